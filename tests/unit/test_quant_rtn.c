/* The quantizers: bounds on the error, never worse than plain rounding, and any input. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/quant_layout.h"
#include "quant/quant_rtn.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define COLUMNS 512u

typedef struct quantized {
    int8_t q[COLUMNS];
    uint16_t scales[COLUMNS / 32];
    uint16_t mins[COLUMNS / 32];
} quantized_t;

static void quantize(uint32_t layout, uint32_t group, const float* values, quantized_t* out) {
    const llmir_quantized_row_t row = {out->q, out->scales, out->mins};
    memset(out, 0, sizeof *out);
    llmir_rtn_quantize_row(layout, group, COLUMNS, values, &row);
}

static float dequantized(const quantized_t* from, uint32_t layout, uint32_t group, uint32_t i) {
    const float d = llmir_f16_to_f32(from->scales[i / group]);
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_S4:
            return d * (float)(from->q[i] - 8);
        case LLMIR_LAYOUT_PANEL_U4:
            return d * (float)from->q[i] + llmir_f16_to_f32(from->mins[i / group]);
        default:
            return d * (float)from->q[i];
    }
}

static double error_of(const quantized_t* from,
                       uint32_t layout,
                       uint32_t group,
                       const float* values) {
    double error = 0.0;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        const double difference = (double)dequantized(from, layout, group, i) - (double)values[i];
        error += difference * difference;
    }
    return error;
}

static void check_range(uint32_t layout, const quantized_t* row) {
    for (uint32_t i = 0; i < COLUMNS; i++) {
        if (layout == LLMIR_LAYOUT_PANEL_S8) {
            assert_in_range(row->q[i] + 127, 0, 254);
        } else {
            assert_in_range(row->q[i], 0, 15);
        }
    }
    for (uint32_t g = 0; g < COLUMNS / 32; g++) {
        assert_true(isfinite(llmir_f16_to_f32(row->scales[g])));
        assert_true(isfinite(llmir_f16_to_f32(row->mins[g])));
    }
}

/* Plain rounding as GGUF's Q4_0 and Q4_1 do it, with the scale in binary16. */
static void quantize_plainly(uint32_t layout,
                             uint32_t group,
                             const float* values,
                             quantized_t* out) {
    for (uint32_t g = 0; g < COLUMNS / group; g++) {
        const float* x = values + g * group;
        float extreme = 0.0f;
        float low = x[0];
        float high = x[0];
        for (uint32_t i = 0; i < group; i++) {
            extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
            low = fminf(low, x[i]);
            high = fmaxf(high, x[i]);
        }
        const int is_s4 = layout == LLMIR_LAYOUT_PANEL_S4;
        out->scales[g] = llmir_f32_to_f16(is_s4 ? extreme / -8.0f : (high - low) / 15.0f);
        out->mins[g] = llmir_f32_to_f16(is_s4 ? 0.0f : low);
        const float d = llmir_f16_to_f32(out->scales[g]);
        const float m = llmir_f16_to_f32(out->mins[g]);
        for (uint32_t i = 0; i < group; i++) {
            const float q = (x[i] - m) / d + (is_s4 ? 8.0f : 0.0f);
            out->q[g * group + i] = (int8_t)nearbyintf(fminf(fmaxf(q, 0.0f), 15.0f));
        }
    }
}

static void test_quant_rtn_four_bits_lose_less_than_plain_rounding(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 1);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_S4; layout <= LLMIR_LAYOUT_PANEL_U4; layout++) {
        for (uint32_t group = 32; group <= LLMIR_MAX_GROUP; group *= 2) {
            double searched = 0.0;
            double plain = 0.0;
            for (int round = 0; round < 50; round++) {
                float values[COLUMNS];
                quantized_t best;
                quantized_t simple;
                for (uint32_t i = 0; i < COLUMNS; i++) {
                    values[i] = 0.05f * test_random_normal(&random);
                }
                quantize(layout, group, values, &best);
                check_range(layout, &best);
                quantize_plainly(layout, group, values, &simple);
                const double error = error_of(&best, layout, group, values);
                const double simple_error = error_of(&simple, layout, group, values);
                assert_true(error <= simple_error * (1.0 + 1e-5));
                searched += error;
                plain += simple_error;
            }
            assert_true(searched < 0.9 * plain);
        }
    }
}

static void test_quant_rtn_eight_bits_stay_within_half_a_step(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 2);
    for (uint32_t group = 32; group <= LLMIR_MAX_GROUP; group *= 2) {
        float values[COLUMNS];
        quantized_t row;
        test_random_fill_f32(&random, values, COLUMNS, -3.0f, 3.0f);
        quantize(LLMIR_LAYOUT_PANEL_S8, group, values, &row);
        check_range(LLMIR_LAYOUT_PANEL_S8, &row);
        for (uint32_t i = 0; i < COLUMNS; i++) {
            const float d = llmir_f16_to_f32(row.scales[i / group]);
            const float difference = dequantized(&row, LLMIR_LAYOUT_PANEL_S8, group, i) - values[i];
            /* The scale was rounded to 11 bits: up to 127 * 2^-11 steps more at the far end. */
            assert_true(fabsf(difference) <= 0.57f * d);
        }
    }
}

/* Values that a layout holds exactly come back exactly: requantizing changes nothing. */
static void test_quant_rtn_values_on_the_grid_are_kept(void** state) {
    (void)state;
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_S4; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        float values[COLUMNS];
        quantized_t row;
        for (uint32_t i = 0; i < COLUMNS; i++) {
            const int32_t levels = layout == LLMIR_LAYOUT_PANEL_S8 ? 255 : 16;
            const int32_t q = (int32_t)(i * 37u) % levels;
            values[i] = layout == LLMIR_LAYOUT_PANEL_S4   ? 0.125f * (float)(q - 8)
                        : layout == LLMIR_LAYOUT_PANEL_U4 ? 0.125f * (float)q - 0.75f
                                                          : 0.125f * (float)(q - 127);
        }
        if (layout == LLMIR_LAYOUT_PANEL_S8) {
            for (uint32_t g = 0; g < COLUMNS / 32; g++) {
                values[32 * g] = 0.125f * 127.0f;
            }
        }
        quantize(layout, 32, values, &row);
        for (uint32_t i = 0; i < COLUMNS; i++) {
            assert_true(dequantized(&row, layout, 32, i) == values[i]);
        }
    }
}

static void test_quant_rtn_zeros_constants_and_odd_numbers_give_finite_results(void** state) {
    (void)state;
    const float odd[] = {0.0f,    -0.0f,    1.0f,      -2.5f,    1e-30f, FLT_MIN,  1e-45f,
                         FLT_MAX, -FLT_MAX, -INFINITY, INFINITY, NAN,    65504.0f, 1e6f};
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_S4; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t a = 0; a < sizeof odd / sizeof odd[0]; a++) {
            for (uint32_t b = 0; b < sizeof odd / sizeof odd[0]; b++) {
                float values[COLUMNS];
                quantized_t row;
                for (uint32_t i = 0; i < COLUMNS; i++) {
                    values[i] = i % 3 ? odd[a] : odd[b];
                }
                quantize(layout, 64, values, &row);
                check_range(layout, &row);
                if (odd[a] == 0.0f && odd[b] == 0.0f) {
                    assert_true(dequantized(&row, layout, 64, 5) == 0.0f);
                }
                if (a == b && odd[a] == -2.5f) {
                    assert_float_equal(dequantized(&row, layout, 64, 9), -2.5f, 1e-3f);
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quant_rtn_four_bits_lose_less_than_plain_rounding),
        cmocka_unit_test(test_quant_rtn_eight_bits_stay_within_half_a_step),
        cmocka_unit_test(test_quant_rtn_values_on_the_grid_are_kept),
        cmocka_unit_test(test_quant_rtn_zeros_constants_and_odd_numbers_give_finite_results),
    };
    return cmocka_run_group_tests_name("quant_rtn", tests, NULL, NULL);
}
