/* Finishing the projections: head norms, rotation, and where keys and values land in the pages. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/kernels/kernel_fixture.h"

typedef struct qkv_case {
    llmir_qkv_params_t params; /* stride is set by the test */
    uint32_t page_tokens;
    uint32_t kv_type;
} qkv_case_t;

static const qkv_case_t cases[] = {
    {{9, 3, 64, 64, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 16, LLMIR_KV_F16},
    {{9, 3, 64, 64, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 48, LLMIR_KV_F32},
    {{4, 1, 256, 256, 0, LLMIR_QKV_ROPE | LLMIR_QKV_NORM, 1e-6f, 0}, 64, LLMIR_KV_F16},
    {{2, 2, 80, 20, 0, LLMIR_QKV_ROPE | LLMIR_QKV_NORM, 1e-5f, 0}, 16, LLMIR_KV_F32},
    {{3, 1, 24, 24, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 256, LLMIR_KV_F16},
    {{2, 1, 8, 0, 0, LLMIR_QKV_NORM, 1e-5f, 0}, 16, LLMIR_KV_F16},
    {{2, 1, 512, 128, 0, 0, 0.0f, 0}, 16, LLMIR_KV_F32},
    {{9, 3, 64, 64, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 32, LLMIR_KV_Q8},
    {{4, 1, 256, 256, 0, LLMIR_QKV_ROPE | LLMIR_QKV_NORM, 1e-6f, 0}, 16, LLMIR_KV_Q8},
    {{3, 1, 24, 24, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 256, LLMIR_KV_Q8},
    {{2, 1, 8, 0, 0, LLMIR_QKV_NORM, 1e-5f, 0}, 16, LLMIR_KV_Q8},
    {{2, 1, 512, 128, 0, 0, 0.0f, 0}, 16, LLMIR_KV_Q8},
    {{9, 3, 64, 64, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 32, LLMIR_KV_Q4},
    {{4, 1, 256, 256, 0, LLMIR_QKV_ROPE | LLMIR_QKV_NORM, 1e-6f, 0}, 16, LLMIR_KV_Q4},
    {{3, 1, 24, 24, 0, LLMIR_QKV_ROPE, 0.0f, 0}, 256, LLMIR_KV_Q4},
    {{2, 1, 8, 0, 0, LLMIR_QKV_NORM, 1e-5f, 0}, 16, LLMIR_KV_Q4},
    {{2, 1, 512, 128, 0, 0, 0.0f, 0}, 16, LLMIR_KV_Q4},
    {{2, 2, 80, 20, 0, LLMIR_QKV_ROPE | LLMIR_QKV_NORM, 1e-5f, 0}, 16, LLMIR_KV_Q4},
};
#define CASE_COUNT (sizeof cases / sizeof *cases)

typedef struct qkv_fixture {
    llmir_qkv_params_t params;
    test_batch_t b;
    float* before; /* [tokens][stride] */
    float* qkv;
    float* table; /* [tokens][rope_dim], rows of row_bytes */
    uint32_t table_bytes;
    float q_weight[512];
    float k_weight[512];
} qkv_fixture_t;

static size_t qkv_bytes(const qkv_fixture_t* f) {
    return (size_t)f->b.batch.token_count * f->params.stride * 4u;
}

static void fixture_init(qkv_fixture_t* f, test_random_t* random, const qkv_case_t* c) {
    f->params = c->params;
    const llmir_plan_kv_layer_t layer = {.kv_heads = c->params.kv_heads,
                                         .head_dim = c->params.head_dim};
    f->params.stride = (c->params.q_heads + 2u * c->params.kv_heads) * c->params.head_dim + 16u;
    test_batch_init(&f->b, random, layer, c->page_tokens, c->kv_type);
    test_batch_allocate_cache(&f->b, random, 2, 70);
    test_batch_add(&f->b, 1, 13, 62);
    test_batch_add(&f->b, 0, 0, 2);
    f->before = test_aligned(qkv_bytes(f));
    f->qkv = test_aligned(qkv_bytes(f));
    test_random_fill_f32(random, f->before, qkv_bytes(f) / 4u, -2.0f, 2.0f);
    f->table_bytes = (c->params.rope_dim * 4u + 127u) / 64u * 64u;
    f->table = test_aligned((size_t)f->b.batch.token_count * f->table_bytes);
    for (uint32_t t = 0; t < f->b.batch.token_count; ++t) {
        float* row = f->table + (size_t)t * f->table_bytes / 4u;
        for (uint32_t i = 0; i < c->params.rope_dim / 2u; ++i) {
            const double angle = f->b.positions[t] * pow(0.9, i);
            row[i] = (float)cos(angle);
            row[c->params.rope_dim / 2u + i] = (float)sin(angle);
        }
    }
    test_random_fill_f32(random, f->q_weight, 512, 0.5f, 1.5f);
    test_random_fill_f32(random, f->k_weight, 512, 0.5f, 1.5f);
}

static void fixture_deinit(qkv_fixture_t* f) {
    free(f->before);
    free(f->qkv);
    free(f->table);
    test_batch_deinit(&f->b);
}

static void run(qkv_fixture_t* f, const test_kernel_level_t* level, int reversed) {
    memcpy(f->qkv, f->before, qkv_bytes(f));
    memset(f->b.kv, 0xff, f->b.kv_bytes);
    const llmir_cpu_call_t call = {
        .batch = &f->b.batch,
        .operands = {f->qkv, f->table, f->q_weight, f->k_weight, &f->b.view},
        .row_bytes = {f->params.stride * 4u, f->table_bytes},
    };
    test_kernel_run(level, LLMIR_KERNEL_QKV, &call, &f->params, reversed);
}

/* What a head should become, in double. */
static void reference_head(
    const qkv_fixture_t* f, const float* in, const float* weight, uint32_t t, double* out) {
    const llmir_qkv_params_t* p = &f->params;
    const float* table = f->table + (size_t)t * f->table_bytes / 4u;
    const uint32_t half = p->rope_dim / 2u;
    double squares = 0.0;
    for (uint32_t d = 0; d < p->head_dim; ++d) {
        squares += (double)in[d] * in[d];
    }
    const double factor = 1.0 / sqrt(squares / p->head_dim + p->norm_epsilon);
    for (uint32_t d = 0; d < p->head_dim; ++d) {
        out[d] = p->flags & LLMIR_QKV_NORM ? in[d] * factor * weight[d] : in[d];
    }
    for (uint32_t i = 0; i < half && (p->flags & LLMIR_QKV_ROPE); ++i) {
        const double x0 = out[i];
        const double x1 = out[half + i];
        out[i] = x0 * table[i] - x1 * table[half + i];
        out[half + i] = x1 * table[i] + x0 * table[half + i];
    }
}

static void assert_near(double got, double want, double slack) {
    if (!(fabs(got - want) <= slack)) {
        fail_msg("%.9g, expected %.9g", got, want);
    }
}

/* A key or value in the cache against what it should be within `slack`. */
static void check_cell(const qkv_fixture_t* f, test_cell_t cell, const double* want, double slack) {
    const uint32_t dim = f->params.head_dim;
    const double relative = f->b.batch.kv_type == LLMIR_KV_F16 ? 0x1p-11 : 0.0;
    const uint32_t shared = test_cache_scale_elements(&f->b, cell.is_value);
    const int nibbles = f->b.batch.kv_type == LLMIR_KV_Q4 && cell.is_value;
    const double steps = nibbles ? 8.0 : 127.0;
    double scale = 0.0;
    double rounding = 0.0;
    for (uint32_t d = 0; d < dim; ++d) {
        if (shared != 0 && d % shared == 0) {
            double largest = 0.0;
            for (uint32_t i = d; i < dim && i < d + shared; ++i) {
                largest = fmax(largest, fabs(want[i]));
            }
            scale = test_cache_scale(&f->b, cell, d);
            assert_near(fabs(scale) * steps, largest, slack + largest * 0x1p-10 + steps * 0x1p-24);
            rounding = fabs(scale) * (0.5 + 1e-5) + (nibbles ? largest * 0x1p-10 : 0.0);
        }
        /* Nibbles have 8 steps on the side of the largest element, and 7 on the other. */
        const int at_end = nibbles && want[d] / scale > 7.0;
        assert_near(test_cache_get(&f->b, cell, d), want[d],
                    relative * fabs(want[d]) + (at_end ? 2.0 : 1.0) * rounding + slack);
    }
}

static void check_token(const qkv_fixture_t* f, uint32_t t) {
    const llmir_qkv_params_t* p = &f->params;
    const float* before = f->before + (size_t)t * p->stride;
    const float* after = f->qkv + (size_t)t * p->stride;
    const uint32_t s = f->b.token_sequence[t];
    const uint32_t position = (uint32_t)f->b.positions[t];
    const double query_slack = test_cache_scale_elements(&f->b, 0) ? 2e-4 : 2e-6;
    double want[512];
    for (uint32_t h = 0; h < p->q_heads; ++h) {
        reference_head(f, before + h * p->head_dim, f->q_weight, t, want);
        test_turn(&f->b, want);
        for (uint32_t d = 0; d < p->head_dim; ++d) {
            assert_near(test_query_get(&f->b, after + h * p->head_dim, d), want[d], query_slack);
        }
    }
    const float* k = before + p->q_heads * p->head_dim;
    const float* v = k + p->kv_heads * p->head_dim;
    for (uint32_t h = 0; h < p->kv_heads; ++h) {
        reference_head(f, k + h * p->head_dim, f->k_weight, t, want);
        test_turn(&f->b, want);
        check_cell(f, (test_cell_t){s, h, position, 0}, want, 2e-6);
        for (uint32_t d = 0; d < p->head_dim; ++d) {
            want[d] = v[h * p->head_dim + d];
        }
        test_turn(&f->b, want);
        check_cell(f, (test_cell_t){s, h, position, 1}, want,
                   test_cache_scale_elements(&f->b, 1) ? 2e-6 : 0.0);
    }
    /* Keys, values and padding of the row stay. */
    assert_memory_equal(k, after + p->q_heads * p->head_dim,
                        (p->stride - p->q_heads * p->head_dim) * 4u);
}

static void test_qkv_matches_the_reference_at_every_level(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 21);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (size_t i = 0; i < CASE_COUNT; ++i) {
        if (!test_takes_case()) {
            continue;
        }
        qkv_fixture_t f;
        fixture_init(&f, &random, &cases[i]);
        const size_t kv_bytes = f.b.kv_bytes;
        float* expected_q[2] = {NULL, NULL};
        uint8_t* expected_kv[2] = {NULL, NULL};
        for (uint32_t l = 0; l < count; ++l) {
            const int fused = levels[l].is_fused;
            run(&f, &levels[l], l % 2u == 0);
            for (uint32_t t = 0; t < f.b.batch.token_count; ++t) {
                check_token(&f, t);
            }
            if (!expected_q[fused]) {
                expected_q[fused] = test_aligned(qkv_bytes(&f));
                expected_kv[fused] = test_aligned(kv_bytes);
                memcpy(expected_q[fused], f.qkv, qkv_bytes(&f));
                memcpy(expected_kv[fused], f.b.kv, kv_bytes);
            }
            test_assert_same_bits("q", &levels[l], f.qkv, expected_q[fused], qkv_bytes(&f));
            test_assert_same_bits("kv", &levels[l], f.b.kv, expected_kv[fused], kv_bytes);
        }
        for (int fused = 0; fused < 2; ++fused) {
            free(expected_q[fused]);
            free(expected_kv[fused]);
        }
        fixture_deinit(&f);
    }
}

static void test_qkv_writes_nothing_but_its_positions(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 22);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (size_t i = 0; i < CASE_COUNT; ++i) {
        if (!test_takes_case()) {
            continue;
        }
        for (uint32_t l = 1; l < count; ++l) {
            qkv_fixture_t f;
            fixture_init(&f, &random, &cases[i]);
            run(&f, &levels[l], 0);
            /* Give every element that the tokens own its old value; then all must be old. */
            for (uint32_t t = 0; t < f.b.batch.token_count; ++t) {
                const uint32_t s = f.b.token_sequence[t];
                const uint32_t position = (uint32_t)f.b.positions[t];
                for (uint32_t h = 0; h < f.params.kv_heads; ++h) {
                    test_cache_erase(&f.b, (test_cell_t){s, h, position, 0});
                    test_cache_erase(&f.b, (test_cell_t){s, h, position, 1});
                }
            }
            for (size_t byte = 0; byte < f.b.kv_bytes; ++byte) {
                assert_int_equal(f.b.kv[byte], 0xff);
            }
            fixture_deinit(&f);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qkv_matches_the_reference_at_every_level),
        cmocka_unit_test(test_qkv_writes_nothing_but_its_positions),
    };
    return cmocka_run_group_tests_name("kernel_qkv", tests, NULL, NULL);
}
