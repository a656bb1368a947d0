/* Packing: what is written is read back, lies where quant_layout.h draws it, and touches nothing
 * else. */
#include <stdlib.h>
#include <string.h>

#include "quant/quant_pack.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define ROWS 37u /* two panels and a part of the third */
#define COLUMNS 512u

typedef struct packed_row {
    int8_t q[COLUMNS];
    uint16_t scales[COLUMNS / 32];
    uint16_t mins[COLUMNS / 32];
} packed_row_t;

static llmir_matrix_t make_matrix(uint32_t layout, uint32_t group) {
    llmir_matrix_t matrix = {NULL, layout, group, ROWS, COLUMNS};
    matrix.data = calloc(1, llmir_layout_bytes(layout, group, ROWS, COLUMNS));
    assert_non_null(matrix.data);
    return matrix;
}

static void fill_row(test_random_t* random, uint32_t layout, packed_row_t* row) {
    for (uint32_t i = 0; i < COLUMNS; i++) {
        row->q[i] = layout == LLMIR_LAYOUT_PANEL_S8
                        ? (int8_t)((int)test_random_below(random, 256) - 128)
                        : (int8_t)test_random_below(random, 16);
    }
    for (uint32_t g = 0; g < COLUMNS / 32; g++) {
        row->scales[g] = llmir_f32_to_f16(test_random_f32(random, -1.0f, 1.0f));
        row->mins[g] = llmir_f32_to_f16(test_random_f32(random, -1.0f, 1.0f));
    }
}

static float expected_value(const packed_row_t* row, uint32_t layout, uint32_t group, uint32_t k) {
    const float d = llmir_f16_to_f32(row->scales[k / group]);
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_S4:
            return d * (float)(row->q[k] - 8);
        case LLMIR_LAYOUT_PANEL_U4:
            return d * (float)row->q[k] + llmir_f16_to_f32(row->mins[k / group]);
        default:
            return d * (float)row->q[k];
    }
}

static void check_integer_row(const llmir_matrix_t* matrix, uint32_t r, const packed_row_t* row) {
    packed_row_t back;
    float values[COLUMNS];
    memset(&back, 0x55, sizeof back);
    llmir_matrix_get_integer_row(matrix, r, back.q, back.scales, back.mins);
    llmir_matrix_dequantize_row(matrix, r, values);
    assert_memory_equal(back.q, row->q, sizeof back.q);
    const size_t group_bytes = 2 * (size_t)llmir_matrix_group_count(matrix);
    assert_memory_equal(back.scales, row->scales, group_bytes);
    if (matrix->layout == LLMIR_LAYOUT_PANEL_U4) {
        assert_memory_equal(back.mins, row->mins, group_bytes);
    } else {
        assert_int_equal(back.mins[0], 0x5555);
    }
    for (uint32_t k = 0; k < COLUMNS; k++) {
        const float expected = expected_value(row, matrix->layout, matrix->group, k);
        assert_int_equal(llmir_matrix_integer_at(matrix, r, k), row->q[k]);
        assert_true(values[k] == expected);
        assert_true(llmir_matrix_value_at(matrix, r, k) == expected);
    }
}

static void test_quant_pack_integer_rows_in_any_order_are_read_back(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 1);
    packed_row_t* rows = calloc(ROWS, sizeof *rows);
    assert_non_null(rows);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_S4; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t group = 32; group <= LLMIR_MAX_GROUP; group *= 2) {
            llmir_matrix_t matrix = make_matrix(layout, group);
            for (uint32_t i = 0; i < ROWS; i++) {
                const uint32_t r = i * 5 % ROWS;
                fill_row(&random, layout, &rows[r]);
                llmir_matrix_set_integer_row(&matrix, r, rows[r].q, rows[r].scales, rows[r].mins);
            }
            /* Written again: nothing of the first values stays. */
            fill_row(&random, layout, &rows[3]);
            llmir_matrix_set_integer_row(&matrix, 3, rows[3].q, rows[3].scales, rows[3].mins);
            for (uint32_t r = 0; r < ROWS; r++) {
                check_integer_row(&matrix, r, &rows[r]);
            }
            free(matrix.data);
        }
    }
    free(rows);
}

/* Positions by the drawing, spelled out for a few elements. */
static void test_quant_pack_integers_lie_where_the_layout_draws_them(void** state) {
    (void)state;
    packed_row_t row = {{0}, {0}, {0}};
    llmir_matrix_t nibbles = make_matrix(LLMIR_LAYOUT_PANEL_U4, 64);
    const uint32_t block = 2 * 256 + 64;
    const uint32_t panel = COLUMNS / 64 * block;
    row.q[64 + 32 + 4 + 3] = 9;       /* group 1, chunk 1, register 1, byte 3, low */
    row.q[64 + 32 + 16 + 8 + 1] = 13; /* register 2, byte 1, high */
    row.scales[1] = 0x1234;
    row.mins[1] = 0x4321;
    llmir_matrix_set_integer_row(&nibbles, 16 + 5, row.q, row.scales, row.mins);
    const uint8_t* at = nibbles.data + panel + block;
    assert_int_equal(at[256 + 1 * 64 + 5 * 4 + 3], 9);
    assert_int_equal(at[256 + 2 * 64 + 5 * 4 + 1], 13 << 4);
    assert_int_equal(at[512 + 5 * 2] | at[512 + 5 * 2 + 1] << 8, 0x1234);
    assert_int_equal(at[544 + 5 * 2] | at[544 + 5 * 2 + 1] << 8, 0x4321);
    free(nibbles.data);

    llmir_matrix_t bytes = make_matrix(LLMIR_LAYOUT_PANEL_S8, 32);
    row.q[32 + 7] = -77; /* group 1, register 1, byte 3 */
    llmir_matrix_set_integer_row(&bytes, 15, row.q, row.scales, NULL);
    assert_int_equal((int8_t)bytes.data[544 + 64 + 15 * 4 + 3], -77);
    free(bytes.data);
}

static void test_quant_pack_groups_are_powers_of_two_from_32_to_256(void** state) {
    (void)state;
    for (uint64_t group = 0; group <= 4096; group++) {
        const int expected = group == 32 || group == 64 || group == 128 || group == 256;
        assert_int_equal(llmir_group_is_valid(group), expected);
        assert_int_equal(llmir_group_is_valid(group + (UINT64_C(1) << 32)), 0);
    }
    assert_int_equal(llmir_group_is_valid(UINT64_MAX), 0);
}

static void test_quant_pack_float_rows_are_rounded_and_read_back(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 2);
    const uint32_t layouts[] = {LLMIR_LAYOUT_F32, LLMIR_LAYOUT_F16, LLMIR_LAYOUT_PANEL_F32,
                                LLMIR_LAYOUT_PANEL_F16, LLMIR_LAYOUT_PANEL_BF16};
    for (uint32_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        llmir_matrix_t matrix = make_matrix(layouts[i], 0);
        float values[ROWS][COLUMNS];
        test_random_fill_f32(&random, values[0], ROWS * COLUMNS, -10.0f, 10.0f);
        for (uint32_t r = 0; r < ROWS; r++) {
            llmir_matrix_set_float_row(&matrix, r, values[r]);
        }
        for (uint32_t r = 0; r < ROWS; r++) {
            for (uint32_t k = 0; k < COLUMNS; k++) {
                const float x = values[r][k];
                const int is_f32 =
                    layouts[i] == LLMIR_LAYOUT_F32 || layouts[i] == LLMIR_LAYOUT_PANEL_F32;
                const float expected = is_f32 ? x
                                       : layouts[i] == LLMIR_LAYOUT_PANEL_BF16
                                           ? llmir_bf16_to_f32(llmir_f32_to_bf16(x))
                                           : llmir_f16_to_f32(llmir_f32_to_f16(x));
                assert_true(llmir_matrix_value_at(&matrix, r, k) == expected);
            }
        }
        free(matrix.data);
    }
}

static void test_quant_pack_rows_of_padding_stay_zero(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 3);
    llmir_matrix_t matrix = make_matrix(LLMIR_LAYOUT_PANEL_S4, 32);
    packed_row_t row;
    for (uint32_t r = 0; r < ROWS; r++) {
        fill_row(&random, LLMIR_LAYOUT_PANEL_S4, &row);
        llmir_matrix_set_integer_row(&matrix, r, row.q, row.scales, NULL);
    }
    matrix.rows = 48;
    for (uint32_t r = ROWS; r < 48; r++) {
        for (uint32_t k = 0; k < COLUMNS; k++) {
            assert_true(llmir_matrix_value_at(&matrix, r, k) == 0.0f);
        }
    }
    free(matrix.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quant_pack_integer_rows_in_any_order_are_read_back),
        cmocka_unit_test(test_quant_pack_integers_lie_where_the_layout_draws_them),
        cmocka_unit_test(test_quant_pack_groups_are_powers_of_two_from_32_to_256),
        cmocka_unit_test(test_quant_pack_float_rows_are_rounded_and_read_back),
        cmocka_unit_test(test_quant_pack_rows_of_padding_stay_zero),
    };
    return cmocka_run_group_tests_name("quant_pack", tests, NULL, NULL);
}
