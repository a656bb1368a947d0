/* The reference quantizer of activations: the row's parts, rounding, and edge cases. */
#include <math.h>
#include <string.h>

#include "quant/quant_activation.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define COLUMNS 192u
#define GROUP 64u

typedef struct row_parts {
    _Alignas(64) uint8_t bytes[512];
    const int8_t* q;
    const float* scale;
    const int32_t* sum;
} row_parts_t;

static void quantize(const float* values, row_parts_t* row) {
    assert_true(llmir_q8_row_bytes(COLUMNS, GROUP) <= sizeof row->bytes);
    memset(row->bytes, 0x77, sizeof row->bytes);
    llmir_q8_quantize_row(values, COLUMNS, GROUP, row->bytes);
    row->q = (const int8_t*)row->bytes;
    row->scale = (const float*)(row->bytes + llmir_q8_scale_offset(COLUMNS));
    row->sum = (const int32_t*)(row->bytes + llmir_q8_sum_offset(COLUMNS, GROUP));
}

static void test_quant_activation_random_row_is_within_half_a_step(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 1);
    float values[COLUMNS];
    float back[COLUMNS];
    row_parts_t row;
    test_random_fill_f32(&random, values, COLUMNS, -4.0f, 4.0f);
    quantize(values, &row);
    llmir_q8_dequantize_row(row.bytes, COLUMNS, GROUP, back);
    for (uint32_t g = 0; g < COLUMNS / GROUP; g++) {
        float largest = 0.0f;
        int32_t sum = 0;
        for (uint32_t i = g * GROUP; i < (g + 1) * GROUP; i++) {
            largest = fmaxf(largest, fabsf(values[i]));
            sum += row.q[i];
            assert_true(fabsf(back[i] - values[i]) <= 0.5001f * row.scale[g]);
        }
        assert_true(row.scale[g] == largest / 127.0f);
        assert_int_equal(row.sum[g], sum);
    }
}

static void test_quant_activation_ties_round_to_even(void** state) {
    (void)state;
    float values[COLUMNS] = {0};
    row_parts_t row;
    values[0] = 127.0f; /* the scale is 1 */
    values[1] = 0.5f;
    values[2] = 1.5f;
    values[3] = -2.5f;
    values[4] = -126.5f;
    quantize(values, &row);
    const int8_t expected[6] = {127, 0, 2, -2, -126, 0};
    assert_memory_equal(row.q, expected, sizeof expected);
}

static void test_quant_activation_zero_and_tiny_groups_have_finite_results(void** state) {
    (void)state;
    float values[COLUMNS] = {0};
    row_parts_t row;
    values[GROUP] = 1e-45f;
    values[2 * GROUP] = 1e-37f; /* 127 / 1e-37 passes the largest float */
    quantize(values, &row);
    assert_true(row.scale[0] == 0.0f);
    for (uint32_t i = 0; i < 2 * GROUP; i++) {
        assert_int_equal(row.q[i], 0);
    }
    assert_in_range(row.q[2 * GROUP], 30, 127);
    assert_true(isfinite(row.scale[2]));
}

static void test_quant_activation_nan_and_infinity_stay_in_range(void** state) {
    (void)state;
    float values[COLUMNS] = {0};
    row_parts_t row;
    values[0] = NAN;
    values[1] = 2.0f;
    values[GROUP] = INFINITY;
    values[GROUP + 1] = -1.0f;
    quantize(values, &row);
    assert_int_equal(row.q[0], -127);
    assert_int_equal(row.q[1], 127);
    for (uint32_t i = 0; i < COLUMNS; i++) {
        assert_in_range(row.q[i] + 127, 0, 254);
    }
}

/* The high bytes are the narrow row; with the low ones values are 250 times closer. */
static void test_quant_activation_wide_row_keeps_what_the_high_bytes_lose(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 2);
    float values[COLUMNS];
    row_parts_t narrow;
    _Alignas(64) uint8_t wide[1024];
    test_random_fill_f32(&random, values, COLUMNS, -4.0f, 4.0f);
    quantize(values, &narrow);
    assert_true(llmir_q8_row_bytes(2 * COLUMNS, GROUP) <= sizeof wide);
    llmir_q8_quantize_row_wide(values, COLUMNS, GROUP, wide);
    assert_memory_equal(wide, narrow.q, COLUMNS);
    const float* scale = (const float*)(wide + llmir_q8_scale_offset(2 * COLUMNS));
    const int32_t* sums = (const int32_t*)(wide + llmir_q8_sum_offset(2 * COLUMNS, GROUP));
    for (uint32_t g = 0; g < COLUMNS / GROUP; g++) {
        int32_t sum = 0;
        assert_true(scale[g] * 256.0f == narrow.scale[g]);
        for (uint32_t i = g * GROUP; i < (g + 1) * GROUP; i++) {
            const int32_t q = 256 * (int8_t)wide[i] + (int8_t)wide[COLUMNS + i];
            /* Half a step, one and a half where a low byte of 128 became 127, and rounding. */
            assert_true(fabsf((float)q * scale[g] - values[i]) <= 1.6f * scale[g]);
            sum += q;
        }
        assert_int_equal(sums[g], sum);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quant_activation_random_row_is_within_half_a_step),
        cmocka_unit_test(test_quant_activation_ties_round_to_even),
        cmocka_unit_test(test_quant_activation_zero_and_tiny_groups_have_finite_results),
        cmocka_unit_test(test_quant_activation_nan_and_infinity_stay_in_range),
        cmocka_unit_test(test_quant_activation_wide_row_keeps_what_the_high_bytes_lose),
    };
    return cmocka_run_group_tests_name("quant_activation", tests, NULL, NULL);
}
