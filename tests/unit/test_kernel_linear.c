/* The matrix product: every layout, shape, token count and epilogue.
 *
 * An exact scalar version of the contract, written here from the values that quant_pack reads back,
 * is equal bit by bit to the plain C kernel; that is built twice, with a fused multiply-add (level
 * "exact") and without ("portable"). Each SIMD level then equals the one of the two that rounds as
 * it does, and splitting into tiles changes nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant_activation.h"
#include "quant/quant_pack.h"
#include "targets/cpu/kernels/linear_tiles.h"
#include "tests/support/kernels/kernel_fixture.h"

#define SENTINEL 1234.5f

#define MAX_COLUMNS 2304

typedef struct linear_case {
    llmir_linear_params_t params;
    llmir_matrix_t weights; /* as packed: gate and up panels alternate */
    llmir_cpu_batch_t batch;
    llmir_cpu_call_t call;
    uint32_t tokens;
    uint8_t* activations;
    float* bias;
    float* out_before; /* [tokens][out_stride] */
    float* out;
} linear_case_t;

/* Columns of a row of activations. */
static uint32_t row_columns(const llmir_linear_params_t* p) {
    return p->flags & LLMIR_LINEAR_WIDE ? 2 * p->columns : p->columns;
}

/* ---- Making cases */

static void* make_zeroed(size_t bytes) {
    void* memory = test_aligned(bytes);
    memset(memory, 0, bytes);
    return memory;
}

/* Extreme integers now and then: the sums of 16 bits must not saturate. */
static int8_t random_integer(test_random_t* random, uint32_t layout, int is_extreme) {
    const int is_int8 = layout == LLMIR_LAYOUT_PANEL_S8;
    if (is_extreme) {
        const int high = (int)test_random_below(random, 2);
        return (int8_t)(is_int8 ? (high ? 127 : -128) : (high ? 15 : 0));
    }
    return (int8_t)(is_int8 ? (int)test_random_below(random, 256) - 128
                            : (int)test_random_below(random, 16));
}

static void fill_integer_row(test_random_t* random, const llmir_matrix_t* weights, uint32_t row) {
    int8_t q[MAX_COLUMNS];
    uint16_t scales[MAX_COLUMNS / 32];
    uint16_t mins[MAX_COLUMNS / 32];
    const int is_extreme = test_random_below(random, 4) == 0;
    const int8_t same = random_integer(random, weights->layout, 1);
    for (uint32_t i = 0; i < weights->columns; i++) {
        q[i] = is_extreme ? same : random_integer(random, weights->layout, 0);
    }
    for (uint32_t g = 0; g < llmir_matrix_group_count(weights); g++) {
        scales[g] = llmir_f32_to_f16(test_random_f32(random, -0.02f, 0.02f));
        mins[g] = llmir_f32_to_f16(test_random_f32(random, -0.1f, 0.1f));
    }
    llmir_matrix_set_integer_row(weights, row, q, scales, mins);
}

static void fill_weights(test_random_t* random, const llmir_matrix_t* weights) {
    for (uint32_t row = 0; row < weights->rows; row++) {
        if (llmir_layout_is_integer(weights->layout)) {
            fill_integer_row(random, weights, row);
        } else {
            float values[MAX_COLUMNS];
            test_random_fill_f32(random, values, weights->columns, -0.1f, 0.1f);
            llmir_matrix_set_float_row(weights, row, values);
        }
    }
}

/* Some rows are all equal (every q is 127 or -127), some have groups of zeros. */
static void fill_activation_row(test_random_t* random, float* values, uint32_t columns) {
    const uint32_t kind = test_random_below(random, 4);
    const float constant = test_random_below(random, 2) ? 3.0f : -3.0f;
    for (uint32_t i = 0; i < columns; i++) {
        values[i] = kind == 0 ? constant : test_random_normal(random);
    }
    if (kind == 1) {
        memset(values, 0, sizeof(float) * (columns < 128 ? columns : 128));
    }
}

static void make_case(test_random_t* random,
                      const llmir_linear_params_t* params,
                      uint32_t tokens,
                      linear_case_t* c) {
    const llmir_linear_params_t* p = params;
    const int is_integer = llmir_layout_is_integer(p->layout);
    const uint32_t row_bytes =
        is_integer ? llmir_q8_row_bytes(row_columns(p), p->group) : llmir_align64(p->columns * 4);
    const uint32_t weight_rows =
        p->gate ? 2 * LLMIR_PANEL_ROWS * llmir_panel_count(p->rows) : p->rows;
    memset(c, 0, sizeof *c);
    c->params = *p;
    c->tokens = tokens;
    c->weights = (llmir_matrix_t){NULL, p->layout, p->group, weight_rows, p->columns};
    c->weights.data = make_zeroed(llmir_layout_bytes(p->layout, p->group, weight_rows, p->columns));
    fill_weights(random, &c->weights);
    c->activations = make_zeroed((size_t)tokens * row_bytes);
    for (uint32_t t = 0; t < tokens; t++) {
        float values[MAX_COLUMNS];
        fill_activation_row(random, values, p->columns);
        uint8_t* row = c->activations + (size_t)t * row_bytes;
        if (p->flags & LLMIR_LINEAR_WIDE) {
            llmir_q8_quantize_row_wide(values, p->columns, p->group, row);
        } else if (is_integer) {
            llmir_q8_quantize_row(values, p->columns, p->group, row);
        } else {
            memcpy(row, values, p->columns * 4);
        }
    }
    c->bias = make_zeroed((size_t)p->rows * 4);
    test_random_fill_f32(random, c->bias, p->rows, -1.0f, 1.0f);
    const size_t out_bytes = (size_t)tokens * p->out_stride * 4;
    c->out_before = make_zeroed(out_bytes);
    c->out = make_zeroed(out_bytes);
    for (size_t i = 0; i < out_bytes / 4; i++) {
        c->out_before[i] = SENTINEL;
    }
    c->batch.token_count = p->extent == LLMIR_EXTENT_TOKENS ? tokens : tokens + 5;
    c->batch.output_count = p->extent == LLMIR_EXTENT_OUTPUTS ? tokens : 1;
    c->call.batch = &c->batch;
    c->call.operands[0] = c->activations;
    c->call.operands[1] = c->weights.data;
    c->call.operands[2] = p->flags & LLMIR_LINEAR_BIAS ? c->bias : NULL;
    c->call.operands[3] = c->out;
    c->call.row_bytes[0] = row_bytes;
    c->call.row_bytes[3] = p->out_stride * 4;
}

static void free_case(linear_case_t* c) {
    free(c->weights.data);
    free(c->activations);
    free(c->bias);
    free(c->out_before);
    free(c->out);
}

static void run_kernel(linear_case_t* c, const test_kernel_level_t* level, int reversed) {
    memcpy(c->out, c->out_before, (size_t)c->tokens * c->params.out_stride * 4);
    test_kernel_run(level, LLMIR_KERNEL_LINEAR, &c->call, &c->params, reversed);
}

/* ---- The contract in scalar form */

static float fma_or_not(float x, float y, float z, int fused) {
    return fused ? fmaf(x, y, z) : x * y + z;
}

static float exact_integer(const linear_case_t* c, uint32_t row, uint32_t token, int fused) {
    const llmir_linear_params_t* p = &c->params;
    const uint8_t* a = c->activations + (size_t)token * c->call.row_bytes[0];
    const float* scales = (const float*)(a + llmir_q8_scale_offset(row_columns(p)));
    const int32_t* sums = (const int32_t*)(a + llmir_q8_sum_offset(row_columns(p), p->group));
    const uint32_t groups = p->columns / p->group;
    int8_t q[MAX_COLUMNS];
    uint16_t d[MAX_COLUMNS / 32];
    uint16_t m[MAX_COLUMNS / 32];
    llmir_matrix_get_integer_row(&c->weights, row, q, d, m);
    float acc = 0.0f;
    for (uint32_t g = 0; g < groups; g++) {
        int32_t dot = 0;
        for (uint32_t i = g * p->group; i < (g + 1) * p->group; i++) {
            const int32_t value = (int8_t)a[i];
            dot += (q[i] - (p->layout == LLMIR_LAYOUT_PANEL_S4 ? 8 : 0)) *
                   (p->flags & LLMIR_LINEAR_WIDE ? 256 * value + (int8_t)a[p->columns + i] : value);
        }
        acc = fma_or_not((float)dot * llmir_f16_to_f32(d[g]), scales[g], acc, fused);
        if (p->layout == LLMIR_LAYOUT_PANEL_U4) {
            acc = fma_or_not(llmir_f16_to_f32(m[g]), (float)sums[g] * scales[g], acc, fused);
        }
    }
    return acc;
}

static float exact_float(const linear_case_t* c, uint32_t row, uint32_t token, int fused) {
    const float* a = (const float*)(c->activations + (size_t)token * c->call.row_bytes[0]);
    float acc[4] = {0};
    for (uint32_t k = 0; k < c->params.columns; k++) {
        acc[k % 4] =
            fma_or_not(llmir_matrix_value_at(&c->weights, row, k), a[k], acc[k % 4], fused);
    }
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}

static float exact_sum(const linear_case_t* c, uint32_t row, uint32_t token, int fused) {
    return llmir_layout_is_integer(c->params.layout) ? exact_integer(c, row, token, fused)
                                                     : exact_float(c, row, token, fused);
}

static float gate_of(float z, uint32_t gate) {
    return gate == LLMIR_GATE_SILU
               ? z / (1.0f + expf(-z))
               : 0.5f * z * (1.0f + tanhf(0.7978845608f * (z + 0.044715f * z * z * z)));
}

/* What the kernel should write for output n of a token. */
static float exact_output(const linear_case_t* c, uint32_t n, uint32_t token, int fused) {
    const llmir_linear_params_t* p = &c->params;
    const uint32_t panel = n / LLMIR_PANEL_ROWS * 2 * LLMIR_PANEL_ROWS;
    const uint32_t row = p->gate ? panel + n % LLMIR_PANEL_ROWS : n;
    float v = exact_sum(c, row, token, fused);
    if (p->flags & LLMIR_LINEAR_BIAS) {
        v += c->bias[n];
    }
    if (p->gate) {
        v = gate_of(v, p->gate) * exact_sum(c, row + LLMIR_PANEL_ROWS, token, fused);
    }
    if (p->soft_cap != 0.0f) {
        v = p->soft_cap * tanhf(v / p->soft_cap);
    }
    return p->flags & LLMIR_LINEAR_ADD ? v + SENTINEL : v;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Compares what the last kernel wrote with the contract: bit by bit where no exponential is
 * involved. Columns outside of the output must be untouched. */
static void check_against_contract(const linear_case_t* c, int fused) {
    const llmir_linear_params_t* p = &c->params;
    const int is_exact = p->gate == LLMIR_GATE_NONE && p->soft_cap == 0.0f;
    for (uint32_t t = 0; t < c->tokens; t++) {
        for (uint32_t column = 0; column < p->out_stride; column++) {
            const float actual = c->out[(size_t)t * p->out_stride + column];
            if (column < p->out_column || column >= p->out_column + p->rows) {
                assert_int_equal(bits_of(actual), bits_of(SENTINEL));
                continue;
            }
            const float expected = exact_output(c, column - p->out_column, t, fused);
            if (is_exact) {
                assert_int_equal(bits_of(actual), bits_of(expected));
            } else {
                assert_close_f32(&actual, &expected, 1, 1e-4f, 1e-4f);
            }
        }
    }
}

/* Runs a case on every level that this processor has. `scalar` also compares the two plain C ones
 * with the contract, which is slow. */
static void check_case(test_random_t* random,
                       const llmir_linear_params_t* params,
                       uint32_t tokens,
                       int scalar) {
    if (!test_takes_case()) {
        return;
    }
    linear_case_t c;
    make_case(random, params, tokens, &c);
    const test_kernel_level_t* levels;
    const uint32_t level_count = test_kernel_levels(&levels);
    const size_t out_bytes = (size_t)tokens * params->out_stride * 4;
    float* expected[2] = {test_aligned(out_bytes), test_aligned(out_bytes)}; /* [fused] */
    for (int fused = 0; fused < 2; fused++) {
        run_kernel(&c, &levels[fused ? 0 : 1], 0);
        if (scalar) {
            check_against_contract(&c, fused);
        }
        memcpy(expected[fused], c.out, out_bytes);
    }
    char what[128];
    (void)snprintf(what, sizeof what, "layout %u group %u rows %u columns %u tokens %u",
                   params->layout, params->group, params->rows, params->columns, tokens);
    for (uint32_t i = 0; i < level_count; i++) {
        for (int reversed = 0; reversed < 2; reversed++) {
            run_kernel(&c, &levels[i], reversed);
            test_assert_same_bits(what, &levels[i], c.out, expected[levels[i].is_fused], out_bytes);
        }
    }
    free(expected[0]);
    free(expected[1]);
    free_case(&c);
}

/* ---- Tests */

static llmir_linear_params_t plain_params(uint32_t layout,
                                          uint32_t group,
                                          uint32_t rows,
                                          uint32_t columns) {
    llmir_linear_params_t params = {0};
    params.rows = rows;
    params.columns = columns;
    params.layout = layout;
    params.group = layout >= LLMIR_LAYOUT_PANEL_S4 ? group : 0;
    params.out_stride = (rows + 15u) / 16u * 16u;
    return params;
}

static void test_kernel_linear_every_layout_and_token_count_same_bits(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 1);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t group = 32;
             group <= (layout >= LLMIR_LAYOUT_PANEL_S4 ? LLMIR_MAX_GROUP : 32u); group *= 2) {
            for (uint32_t tokens = 1; tokens <= 17; tokens++) {
                const llmir_linear_params_t params =
                    plain_params(layout, group, 32, group <= 128 ? 256 : 512);
                check_case(&random, &params, tokens, tokens <= 3);
            }
        }
    }
}

/* The four chains of float weights end at different columns. */
static void test_kernel_linear_float_columns_of_any_count_same_bits(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 7);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_BF16; layout++) {
        for (uint32_t columns = 1; columns <= 9; columns++) {
            const llmir_linear_params_t params = plain_params(layout, 0, 32, columns);
            check_case(&random, &params, 1, 1);
            check_case(&random, &params, 13, 1);
        }
    }
}

static void test_kernel_linear_rows_not_whole_panels_leaves_the_rest_untouched(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 2);
    const uint32_t rows[] = {1, 15, 17, 31, 40};
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            llmir_linear_params_t params = plain_params(layout, 32, rows[i], 96);
            params.out_column = 16 * (i % 3);
            params.out_stride = params.out_column + rows[i] + i % 2 * 16;
            params.out_stride = (params.out_stride + 15u) / 16u * 16u;
            params.flags = i % 2 ? LLMIR_LINEAR_BIAS : LLMIR_LINEAR_BIAS | LLMIR_LINEAR_ADD;
            check_case(&random, &params, 1, 1);
            check_case(&random, &params, 5, 1);
        }
    }
}

static void test_kernel_linear_gate_with_any_panel_count_multiplies_up(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 3);
    const uint32_t rows[] = {8, 16, 40, 80, 112};
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            llmir_linear_params_t params = plain_params(layout, 64, rows[i], 128);
            params.gate = i % 2 ? LLMIR_GATE_SILU : LLMIR_GATE_GELU_TANH;
            check_case(&random, &params, 1, 1);
            check_case(&random, &params, 19, 0);
        }
    }
}

static void test_kernel_linear_soft_cap_bounds_the_outputs(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 4);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        llmir_linear_params_t params = plain_params(layout, 32, 48, 64);
        params.soft_cap = 0.75f;
        params.extent = LLMIR_EXTENT_OUTPUTS;
        check_case(&random, &params, 3, 1);
    }
}

static void test_kernel_linear_many_tokens_and_columns_in_several_passes_same_bits(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 5);
    const uint32_t tokens[] = {63, 72, 73, 80, 130};
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
            /* 72 tokens x 64 groups fill the terms; the last columns need a second pass. */
            const llmir_linear_params_t params =
                plain_params(layout, 32, 80, i % 2 ? 2304 : 2304 - 32);
            check_case(&random, &params, tokens[i], 0);
        }
    }
}

/* Every token count of a unit, and enough of both for several passes in each half. */
static void test_kernel_linear_wide_activations_are_16_bits(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 8);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_S4; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        for (uint32_t group = 32; group <= LLMIR_MAX_GROUP; group *= 2) {
            llmir_linear_params_t params =
                plain_params(layout, group, 40, group <= 128 ? 384 : 512);
            params.flags = LLMIR_LINEAR_WIDE;
            for (uint32_t tokens = 1; tokens <= 17; tokens++) {
                check_case(&random, &params, tokens, tokens <= 2);
            }
            params.columns = 2048 - group;
            params.gate = LLMIR_GATE_SILU;
            check_case(&random, &params, 64, 0);
            check_case(&random, &params, 1, 0);
        }
    }
}

/* A token's outputs do not depend on the tokens beside it. */
static void test_kernel_linear_one_token_alone_equals_it_among_many(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 6);
    const test_kernel_level_t* levels;
    const uint32_t level_count = test_kernel_levels(&levels);
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; layout++) {
        if (!test_takes_case()) {
            continue;
        }
        const llmir_linear_params_t params = plain_params(layout, 64, 64, 256);
        linear_case_t c;
        make_case(&random, &params, 40, &c);
        const size_t row = params.out_stride;
        float* all = make_zeroed(40 * row * 4);
        for (uint32_t i = 0; i < level_count; i++) {
            run_kernel(&c, &levels[i], 0);
            memcpy(all, c.out, 40 * row * 4);
            for (uint32_t t = 0; t < 40; t++) {
                linear_case_t alone = c;
                alone.tokens = 1;
                alone.batch.token_count = 1;
                alone.call.batch = &alone.batch;
                alone.call.operands[0] = c.activations + (size_t)t * c.call.row_bytes[0];
                run_kernel(&alone, &levels[i], 0);
                test_assert_same_bits("one token alone", &levels[i], c.out, all + t * row,
                                      params.rows * 4);
            }
        }
        free(all);
        free_case(&c);
    }
}

static void test_kernel_linear_tiling_covers_every_panel_and_token_once(void** state) {
    (void)state;
    const uint32_t shapes[][2] = {{1, 32}, {576, 576}, {49152, 576}, {8192, 2048}, {17, 28672}};
    for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (uint32_t tokens = 1; tokens < 5000; tokens += 1 + tokens / 7) {
            const llmir_linear_params_t params =
                plain_params(tokens % 2 ? LLMIR_LAYOUT_PANEL_U4 : LLMIR_LAYOUT_PANEL_F16, 32,
                             shapes[i][0], shapes[i][1]);
            const llmir_linear_tiling_t tiling = llmir_linear_tiling(&params, tokens);
            assert_in_range(tiling.token_block, 1, LLMIR_LINEAR_TOKEN_BLOCK);
            assert_true((tiling.token_blocks - 1) * tiling.token_block < tokens);
            assert_true(tiling.token_blocks * tiling.token_block >= tokens);
            const uint32_t panels = llmir_panel_count(params.rows);
            assert_true((tiling.panel_blocks - 1) * tiling.panel_block < panels);
            assert_true(tiling.panel_blocks * tiling.panel_block >= panels);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_linear_every_layout_and_token_count_same_bits),
        cmocka_unit_test(test_kernel_linear_float_columns_of_any_count_same_bits),
        cmocka_unit_test(test_kernel_linear_rows_not_whole_panels_leaves_the_rest_untouched),
        cmocka_unit_test(test_kernel_linear_gate_with_any_panel_count_multiplies_up),
        cmocka_unit_test(test_kernel_linear_soft_cap_bounds_the_outputs),
        cmocka_unit_test(test_kernel_linear_many_tokens_and_columns_in_several_passes_same_bits),
        cmocka_unit_test(test_kernel_linear_wide_activations_are_16_bits),
        cmocka_unit_test(test_kernel_linear_one_token_alone_equals_it_among_many),
        cmocka_unit_test(test_kernel_linear_tiling_covers_every_panel_and_token_once),
    };
    return cmocka_run_group_tests_name("kernel_linear", tests, NULL, NULL);
}
