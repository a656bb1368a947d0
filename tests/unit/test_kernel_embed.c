/* Embedding rows of every layout, the rope table, and the table of kernels itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant_layout.h"
#include "tests/support/kernels/kernel_fixture.h"

#define VOCAB 77u
#define TOKENS 37u

/* ---- embed ---- */

static double half_at(const uint8_t* p) {
    uint16_t bits;
    memcpy(&bits, p, 2);
    return test_f16_value(bits);
}

static double bf16_value(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* Element (row, column) by the drawings in quant/quant_layout.h. */
static double weight_at(const llmir_embed_params_t* p, const uint8_t* w, uint32_t row, uint32_t c) {
    const uint32_t lane = row % 16u;
    const uint8_t* panel = w + row / 16u * llmir_panel_bytes(p->layout, p->group, p->dim);
    const uint32_t g = p->group ? c / p->group : 0;
    const uint8_t* block = panel + (size_t)g * llmir_block_bytes(p->layout, p->group);
    const uint32_t in_group = p->group ? c % p->group : 0;
    const size_t flat = (size_t)row * p->dim + c;
    float f32;
    uint16_t bits;
    switch (p->layout) {
        case LLMIR_LAYOUT_F32:
            memcpy(&f32, w + flat * 4u, 4);
            return f32;
        case LLMIR_LAYOUT_F16:
            return half_at(w + flat * 2u);
        case LLMIR_LAYOUT_PANEL_F32:
            memcpy(&f32, panel + c * 64u + lane * 4u, 4);
            return f32;
        case LLMIR_LAYOUT_PANEL_F16:
            return half_at(panel + c * 32u + lane * 2u);
        case LLMIR_LAYOUT_PANEL_BF16:
            memcpy(&bits, panel + c * 32u + lane * 2u, 2);
            return bf16_value(bits);
        case LLMIR_LAYOUT_PANEL_S8: {
            const int8_t q = (int8_t)block[in_group / 4u * 64u + lane * 4u + in_group % 4u];
            return half_at(block + p->group * 16u + lane * 2u) * q;
        }
        default: {
            const uint32_t k = in_group % 32u; /* column of the chunk; 16.. are high nibbles */
            const uint8_t* chunk = block + in_group / 32u * 256u;
            const uint8_t byte = chunk[k % 16u / 4u * 64u + lane * 4u + k % 4u];
            const int q = k < 16u ? byte & 15 : byte >> 4;
            const uint8_t* scales = block + p->group * 8u;
            const double d = half_at(scales + lane * 2u);
            return p->layout == LLMIR_LAYOUT_PANEL_S4 ? d * (q - 8)
                                                      : d * q + half_at(scales + 32u + lane * 2u);
        }
    }
}

/* Random bytes, but every f16, bf16 or f32 among them finite and of moderate size. */
static void fill_weights(test_random_t* random, uint8_t* w, size_t bytes, uint32_t layout) {
    test_random_bytes(random, w, bytes);
    const int is_f32 = layout == LLMIR_LAYOUT_F32 || layout == LLMIR_LAYOUT_PANEL_F32;
    for (size_t i = 0; i + 1u < bytes; i += 2) {
        if (is_f32 || layout == LLMIR_LAYOUT_PANEL_BF16) {
            w[i + 1u] = (uint8_t)((w[i + 1u] & 0x80u) | 0x3eu);
        } else {
            w[i + 1u] &= 0xbbu; /* exponent below 31; also changes integers, which is harmless */
        }
    }
}

static void check_embed(test_random_t* random, const llmir_embed_params_t* p) {
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    const size_t bytes = llmir_layout_bytes(p->layout, p->group, p->vocab, p->dim);
    const size_t row_floats = p->dim + 16u;
    uint8_t* weights = test_aligned(bytes);
    float* out = test_aligned(TOKENS * row_floats * 4u);
    int32_t tokens[TOKENS];
    fill_weights(random, weights, bytes, p->layout);
    for (uint32_t t = 0; t < TOKENS; ++t) {
        tokens[t] = t == 0 ? (int32_t)p->vocab - 1 : (int32_t)test_random_below(random, p->vocab);
    }
    const llmir_cpu_batch_t batch = {.token_count = TOKENS, .tokens = tokens};
    const llmir_cpu_call_t call = {
        .batch = &batch, .operands = {weights, out}, .row_bytes = {0, (uint32_t)row_floats * 4u}};
    for (uint32_t l = 0; l < count; ++l) {
        memset(out, 0xff, TOKENS * row_floats * 4u);
        test_kernel_run(&levels[l], LLMIR_KERNEL_EMBED, &call, p, l % 2u == 0);
        for (uint32_t t = 0; t < TOKENS; ++t) {
            for (uint32_t c = 0; c < p->dim; ++c) {
                /* Two roundings in f32: the element's, and that of the product with the scale. */
                const float w = (float)weight_at(p, weights, (uint32_t)tokens[t], c);
                const float want = w * p->scale;
                if (out[t * row_floats + c] != want) { /* zeros of either sign are equal */
                    fail_msg(
                        "%s: layout %u, group %u, dim %u: token %d, column %u: %a, "
                        "expected %a",
                        levels[l].name, p->layout, p->group, p->dim, tokens[t], c,
                        out[t * row_floats + c], want);
                }
            }
            assert_true(isnan(out[t * row_floats + p->dim]));
        }
    }
    free(weights);
    free(out);
}

static void test_embed_every_layout_matches_bit_by_bit(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 41);
    for (uint32_t layout = LLMIR_LAYOUT_F32; layout <= LLMIR_LAYOUT_PANEL_S8; ++layout) {
        if (llmir_layout_is_integer(layout)) {
            for (uint32_t group = 32; group <= 128; group *= 2) {
                const llmir_embed_params_t p = {group * 3u, VOCAB, layout, group, 24.0f, 0};
                check_embed(&random, &p);
            }
            continue;
        }
        static const uint32_t dims[] = {64, 100, 7};
        for (uint32_t i = 0; i < 3; ++i) {
            const llmir_embed_params_t p = {dims[i], VOCAB, layout, 0, i == 1 ? 1.0f : 0.7f, 0};
            check_embed(&random, &p);
        }
    }
}

/* ---- rope_table ---- */

static void test_rope_table_matches_libm_at_any_position(void** state) {
    (void)state;
    enum { PAIRS = 64 };
    static const int32_t positions[] = {0,     1,      2,       3,          100,        2047,
                                        8191,  131071, 1000000, 16777217,   0x3fffffff, 0x7fffffff,
                                        12345, 99999,  524287,  0x12345678, 7,          31};
    const uint32_t token_count = sizeof positions / sizeof *positions;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    float frequency[PAIRS];
    for (uint32_t i = 0; i < PAIRS; ++i) {
        frequency[i] = (float)pow(10000.0, -(double)i / PAIRS);
    }
    const llmir_rope_table_params_t p = {.pair_count = PAIRS, .attention_factor = 1.25f};
    const llmir_cpu_batch_t batch = {.token_count = token_count, .positions = positions};
    float first[18][2 * PAIRS];
    float out[18][2 * PAIRS];
    const llmir_cpu_call_t call = {
        .batch = &batch, .operands = {frequency, out}, .row_bytes = {0, sizeof out[0]}};
    for (uint32_t l = 0; l < count; ++l) {
        test_kernel_run(&levels[l], LLMIR_KERNEL_ROPE_TABLE, &call, &p, l % 2u == 0);
        if (l == 0) {
            memcpy(first, out, sizeof out);
        }
        test_assert_same_bits("rope table", &levels[l], out, first, sizeof out);
        for (uint32_t t = 0; t < token_count; ++t) {
            for (uint32_t i = 0; i < PAIRS; ++i) {
                const double angle = (double)positions[t] * (double)frequency[i];
                assert_true(fabs(out[t][i] - 1.25 * cos(angle)) <= 1.6e-7);
                assert_true(fabs(out[t][PAIRS + i] - 1.25 * sin(angle)) <= 1.6e-7);
            }
        }
    }
}

/* ---- The table of kernels ---- */

static void test_kernel_table_is_complete_and_ascending(void** state) {
    (void)state;
    assert_true(llmir_cpu_kernel_table_count >= 1);
    assert_int_equal(llmir_cpu_kernel_tables[0]->level, LLMIR_CPU_LEVEL_NONE);
    for (uint32_t i = 0; i < llmir_cpu_kernel_table_count; ++i) {
        const llmir_cpu_kernel_table_t* table = llmir_cpu_kernel_tables[i];
        assert_true(i == 0 || table->level > llmir_cpu_kernel_tables[i - 1u]->level);
        assert_true(table->run[0] == NULL);
        for (uint32_t kernel = 1; kernel < LLMIR_KERNEL_COUNT; ++kernel) {
            assert_true(table->run[kernel] != NULL);
        }
    }
}

static void test_kernel_tiles_cover_rows_and_follow_the_batch(void** state) {
    (void)state;
    const llmir_norm_params_t gather = {.dim = 64, .gather = 1};
    const llmir_norm_params_t norm = {.dim = 64};
    const llmir_attention_params_t attention = {.q_heads = 9, .kv_heads = 3, .head_dim = 64};
    llmir_cpu_batch_t batch = {.token_count = 512, .sequence_count = 1, .output_count = 1};
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_NORM, &gather, &batch), 1);
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_NORM, &norm, &batch), 128);
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_ATTENTION, &attention, &batch), 96);
    batch.token_count = 1; /* decode: one tile per kv head */
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_ATTENTION, &attention, &batch), 3);
    batch.token_count = 8; /* eight sequences decode together */
    batch.sequence_count = 8;
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_ATTENTION, &attention, &batch), 24);
    batch.output_count = 0;
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_NORM, &gather, &batch), 0);
    assert_int_equal(llmir_cpu_kernel_tile_count(LLMIR_KERNEL_COUNT, &norm, &batch), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_every_layout_matches_bit_by_bit),
        cmocka_unit_test(test_rope_table_matches_libm_at_any_position),
        cmocka_unit_test(test_kernel_table_is_complete_and_ascending),
        cmocka_unit_test(test_kernel_tiles_cover_rows_and_follow_the_batch),
    };
    return cmocka_run_group_tests_name("kernel_embed", tests, NULL, NULL);
}
