/* Attention against a double-precision reference over shapes, windows, caps, page sizes and cache
 * types; the same bits at every level with FMA and however the tokens are fed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/kernels/kernel_fixture.h"

typedef struct attention_case {
    uint32_t q_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t window;
    float soft_cap;
    uint32_t page_tokens;
    uint32_t kv_type;
    uint32_t context; /* positions 0 .. context - 1 exist */
    uint32_t begin;   /* queries are positions begin .. context - 1 */
} attention_case_t;

static const attention_case_t cases[] = {
    {9, 3, 64, 0, 0.0f, 16, LLMIR_KV_F16, 300, 250},   /* SmolLM2 */
    {9, 3, 64, 0, 0.0f, 32, LLMIR_KV_F32, 70, 0},      /* from the start */
    {4, 1, 256, 40, 0.0f, 64, LLMIR_KV_F16, 330, 250}, /* Gemma 3, window over pieces */
    {4, 1, 256, 0, 0.0f, 16, LLMIR_KV_F32, 40, 20},
    {8, 1, 16, 0, 30.0f, 16, LLMIR_KV_F16, 60, 0},    /* soft cap, many heads a kv head */
    {18, 2, 80, 0, 0.0f, 48, LLMIR_KV_F16, 300, 255}, /* 48 does not divide a piece */
    {9, 3, 80, 40, 0.0f, 16, LLMIR_KV_F16, 330, 240}, /* half a pair of vectors; window */
    {5, 5, 24, 7, 0.0f, 16, LLMIR_KV_F16, 50, 0},     /* a half-filled vector; tiny window */
    {7, 1, 8, 0, 0.0f, 256, LLMIR_KV_F32, 270, 230},
    {2, 1, 512, 0, 50.0f, 16, LLMIR_KV_F16, 20, 10},
    {6, 2, 104, 256, 0.0f, 128, LLMIR_KV_F16, 530, 500}, /* window as long as a piece */
    {1, 1, 128, 1, 0.0f, 16, LLMIR_KV_F32, 20, 0},       /* sees only itself */
    {9, 3, 64, 0, 0.0f, 16, LLMIR_KV_Q8, 300, 250},
    {4, 1, 256, 40, 0.0f, 64, LLMIR_KV_Q8, 330, 250},
    {8, 1, 16, 0, 30.0f, 16, LLMIR_KV_Q8, 60, 0},
    {18, 2, 80, 0, 0.0f, 48, LLMIR_KV_Q8, 300, 255},
    {5, 5, 24, 7, 0.0f, 16, LLMIR_KV_Q8, 50, 0},
    {7, 1, 8, 0, 0.0f, 256, LLMIR_KV_Q8, 270, 230},
    {2, 1, 512, 0, 50.0f, 16, LLMIR_KV_Q8, 20, 10},
    {6, 2, 104, 256, 0.0f, 128, LLMIR_KV_Q8, 530, 500},
    {9, 3, 64, 0, 0.0f, 16, LLMIR_KV_Q4, 300, 250},
    {4, 1, 256, 40, 0.0f, 64, LLMIR_KV_Q4, 330, 250},
    {8, 1, 16, 0, 30.0f, 16, LLMIR_KV_Q4, 60, 0},
    {18, 2, 80, 0, 0.0f, 48, LLMIR_KV_Q4, 300, 255},
    {5, 5, 24, 7, 0.0f, 16, LLMIR_KV_Q4, 50, 0},
    {7, 1, 8, 0, 0.0f, 256, LLMIR_KV_Q4, 270, 230},
    {2, 1, 512, 0, 50.0f, 16, LLMIR_KV_Q4, 20, 10},
    {6, 2, 104, 256, 0.0f, 128, LLMIR_KV_Q4, 530, 500},
};
#define CASE_COUNT (sizeof cases / sizeof *cases)

/* A case with its cache, queries and outputs. Key and value (position, head, d) of a sequence are
 * kept in f32 and written into the cache as far as a test wants. */
typedef struct attention_fixture {
    const attention_case_t* c;
    test_batch_t b;
    llmir_attention_params_t params;
    uint32_t sequences;
    float* source[TEST_BATCH_MAX_SEQUENCES];  /* [context][2][kv_heads][head_dim] */
    float* queries[TEST_BATCH_MAX_SEQUENCES]; /* [context][q_stride] */
    float* q;                                 /* [tokens][q_stride], of the batch */
    float* out;                               /* [tokens][out_stride] */
} attention_fixture_t;

static size_t source_index(const attention_case_t* c, uint32_t position, uint32_t v, uint32_t h) {
    return (((size_t)position * 2u + v) * c->kv_heads + h) * c->head_dim;
}

static void fixture_init(attention_fixture_t* f,
                         test_random_t* random,
                         const attention_case_t* c,
                         uint32_t sequences) {
    const llmir_plan_kv_layer_t layer = {
        .kv_heads = c->kv_heads, .head_dim = c->head_dim, .window = c->window};
    const uint32_t heads = c->q_heads + 2u * c->kv_heads;
    f->c = c;
    f->sequences = sequences;
    f->params = (llmir_attention_params_t){
        .q_heads = c->q_heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .window = c->window,
        .q_stride = heads * c->head_dim,
        .out_stride = c->q_heads * c->head_dim + 8u,
        .scale = 2.0f / sqrtf((float)c->head_dim),
        .soft_cap = c->soft_cap,
    };
    test_batch_init(&f->b, random, layer, c->page_tokens, c->kv_type);
    test_batch_allocate_cache(&f->b, random, sequences, c->context);
    for (uint32_t s = 0; s < sequences; ++s) {
        const size_t kv = (size_t)c->context * 2u * c->kv_heads * c->head_dim;
        const size_t q = (size_t)c->context * f->params.q_stride;
        f->source[s] = test_aligned(kv * 4u);
        f->queries[s] = test_aligned(q * 4u);
        test_random_fill_f32(random, f->source[s], kv, -1.5f, 1.5f);
        test_random_fill_f32(random, f->queries[s], q, -1.5f, 1.5f);
    }
    f->q = test_aligned((size_t)TEST_BATCH_MAX_TOKENS * f->params.q_stride * 4u);
    f->out = test_aligned((size_t)TEST_BATCH_MAX_TOKENS * f->params.out_stride * 4u);
}

static void fixture_deinit(attention_fixture_t* f) {
    for (uint32_t s = 0; s < f->sequences; ++s) {
        free(f->source[s]);
        free(f->queries[s]);
    }
    free(f->q);
    free(f->out);
    test_batch_deinit(&f->b);
}

static void cache_write(attention_fixture_t* f, uint32_t s, uint32_t begin, uint32_t end) {
    const attention_case_t* c = f->c;
    for (uint32_t p = begin; p < end; ++p) {
        for (uint32_t h = 0; h < c->kv_heads; ++h) {
            test_cache_put(&f->b, (test_cell_t){s, h, p, 0},
                           f->source[s] + source_index(c, p, 0, h));
            test_cache_put(&f->b, (test_cell_t){s, h, p, 1},
                           f->source[s] + source_index(c, p, 1, h));
        }
    }
}

static void cache_forget(attention_fixture_t* f) {
    memset(f->b.kv, 0xff, f->b.kv_bytes);
}

/* Runs the batch's tokens; every output is NaN before. */
static void run(attention_fixture_t* f, const test_kernel_level_t* level, int reversed) {
    const llmir_attention_params_t* p = &f->params;
    for (uint32_t t = 0; t < f->b.batch.token_count; ++t) {
        const float* from =
            f->queries[f->b.token_sequence[t]] + (size_t)f->b.positions[t] * p->q_stride;
        float* to = f->q + (size_t)t * p->q_stride;
        for (uint32_t h = 0; h < p->q_heads; ++h) {
            test_query_put(&f->b, from + h * p->head_dim, to + h * p->head_dim);
        }
    }
    memset(f->out, 0xff, (size_t)f->b.batch.token_count * p->out_stride * 4u);
    const llmir_cpu_call_t call = {
        .batch = &f->b.batch,
        .operands = {f->q, &f->b.view, f->out},
        .row_bytes = {p->q_stride * 4u, 0, p->out_stride * 4u},
    };
    test_kernel_run(level, LLMIR_KERNEL_ATTENTION, &call, p, reversed);
}

/* softmax(scale * q . k) . v of one query head in double, from what the cache holds. */
static void reference(const attention_fixture_t* f, uint32_t t, uint32_t head, double* out) {
    const attention_case_t* c = f->c;
    const uint32_t s = f->b.token_sequence[t];
    const uint32_t position = (uint32_t)f->b.positions[t];
    const uint32_t kv_head = head / (c->q_heads / c->kv_heads);
    const uint32_t first = c->window && position >= c->window ? position - c->window + 1u : 0u;
    const float* source =
        f->queries[s] + (size_t)position * f->params.q_stride + (size_t)head * c->head_dim;
    float q[512];
    test_query_put(&f->b, source, q);
    double scores[1024];
    double max = -INFINITY;
    for (uint32_t p = first; p <= position; ++p) {
        double dot = 0.0;
        for (uint32_t d = 0; d < c->head_dim; ++d) {
            dot += test_query_get(&f->b, q, d) *
                   test_cache_get(&f->b, (test_cell_t){s, kv_head, p, 0}, d);
        }
        dot *= f->params.scale;
        scores[p] = c->soft_cap != 0.0f ? c->soft_cap * tanh(dot / c->soft_cap) : dot;
        max = scores[p] > max ? scores[p] : max;
    }
    double sum = 0.0;
    memset(out, 0, c->head_dim * sizeof *out);
    for (uint32_t p = first; p <= position; ++p) {
        const double weight = exp(scores[p] - max);
        sum += weight;
        for (uint32_t d = 0; d < c->head_dim; ++d) {
            out[d] += weight * test_cache_get(&f->b, (test_cell_t){s, kv_head, p, 1}, d);
        }
    }
    for (uint32_t d = 0; d < c->head_dim; ++d) {
        out[d] /= sum;
    }
    test_turn(&f->b, out); /* back */
}

/* The reference of all tokens of the batch: [tokens][q_heads][head_dim]. */
static double* reference_all(const attention_fixture_t* f) {
    const attention_case_t* c = f->c;
    const size_t row = (size_t)c->q_heads * c->head_dim;
    double* want = test_aligned(f->b.batch.token_count * row * sizeof *want);
    for (uint32_t t = 0; t < f->b.batch.token_count; ++t) {
        for (uint32_t h = 0; h < c->q_heads; ++h) {
            reference(f, t, h, want + t * row + (size_t)h * c->head_dim);
        }
    }
    return want;
}

static void check_reference(const attention_fixture_t* f,
                            const test_kernel_level_t* level,
                            const double* want) {
    const attention_case_t* c = f->c;
    const uint32_t row = c->q_heads * c->head_dim;
    /* A cap multiplies the 2^-22 of tanh. */
    const double limit = c->soft_cap != 0.0f ? 1e-5 : 5e-6;
    for (uint32_t t = 0; t < f->b.batch.token_count; ++t) {
        const float* out = f->out + (size_t)t * f->params.out_stride;
        for (uint32_t i = 0; i < row; ++i) {
            const double expected = want[(size_t)t * row + i];
            if (!(fabs(out[i] - expected) <= limit)) {
                fail_msg("%s: %u/%u heads of %u: position %d, element %u: %.9g, expected %.9g",
                         level->name, c->q_heads, c->kv_heads, c->head_dim, f->b.positions[t], i,
                         out[i], expected);
            }
        }
        for (uint32_t i = row; i < f->params.out_stride; ++i) {
            assert_true(isnan(out[i])); /* padding stays as it was */
        }
    }
}

static size_t out_bytes(const attention_fixture_t* f, uint32_t tokens) {
    return (size_t)tokens * f->params.out_stride * 4u;
}

static float* copy_out(const attention_fixture_t* f, uint32_t tokens) {
    float* copy = test_aligned(out_bytes(f, tokens) + 4u);
    memcpy(copy, f->out, out_bytes(f, tokens));
    return copy;
}

static void test_attention_matches_the_reference_at_every_level(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 11);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (size_t i = 0; i < CASE_COUNT; ++i) {
        if (!test_takes_case()) {
            continue;
        }
        attention_fixture_t f;
        fixture_init(&f, &random, &cases[i], 1);
        cache_write(&f, 0, 0, cases[i].context);
        test_batch_add(&f.b, 0, cases[i].begin, cases[i].context);
        double* want = reference_all(&f);
        float* expected[2] = {NULL, NULL}; /* exact: [1]; portable: [0] */
        for (uint32_t l = 0; l < count; ++l) {
            run(&f, &levels[l], 0);
            check_reference(&f, &levels[l], want);
            float** same = &expected[levels[l].is_fused];
            if (!*same) {
                *same = copy_out(&f, f.b.batch.token_count);
            }
            test_assert_same_bits("attention", &levels[l], f.out, *same,
                                  out_bytes(&f, f.b.batch.token_count));
        }
        free(expected[0]);
        free(expected[1]);
        free(want);
        fixture_deinit(&f);
    }
}

/* Feeds positions in steps of `step`; what is not yet fed is NaN in the cache. */
static void check_chunks(attention_fixture_t* f,
                         const test_kernel_level_t* level,
                         const float* whole,
                         uint32_t step) {
    const attention_case_t* c = f->c;
    cache_forget(f);
    cache_write(f, 0, 0, c->begin);
    for (uint32_t p = c->begin; p < c->context; p += step) {
        const uint32_t end = p + step < c->context ? p + step : c->context;
        cache_write(f, 0, p, end);
        test_batch_clear(&f->b);
        test_batch_add(&f->b, 0, p, end);
        run(f, level, step % 2u == 0);
        const float* want = whole + (size_t)(p - c->begin) * f->params.out_stride;
        test_assert_same_bits("a chunk", level, f->out, want, out_bytes(f, end - p));
    }
}

static void test_attention_chunks_give_the_bits_of_the_whole(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 12);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (size_t i = 0; i < CASE_COUNT; ++i) {
        if (!test_takes_case()) {
            continue;
        }
        for (uint32_t l = 1; l < count; ++l) { /* `exact` is slow, and the others have its bits */
            attention_fixture_t f;
            fixture_init(&f, &random, &cases[i], 1);
            cache_write(&f, 0, 0, cases[i].context);
            test_batch_add(&f.b, 0, cases[i].begin, cases[i].context);
            run(&f, &levels[l], 0);
            float* whole = copy_out(&f, f.b.batch.token_count);
            run(&f, &levels[l], 1);
            test_assert_same_bits("reversed tiles", &levels[l], f.out, whole,
                                  out_bytes(&f, f.b.batch.token_count));
            check_chunks(&f, &levels[l], whole, 1);
            check_chunks(&f, &levels[l], whole, 3);
            check_chunks(&f, &levels[l], whole, 16);
            free(whole);
            fixture_deinit(&f);
        }
    }
}

static void test_attention_sequences_side_by_side_do_not_meet(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 13);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (size_t i = 0; i < CASE_COUNT; ++i) {
        if (!test_takes_case()) {
            continue;
        }
        const attention_case_t* c = &cases[i];
        const uint32_t begins[4] = {c->begin, c->context - 1u, c->begin + 3u, c->context - 2u};
        for (uint32_t l = 1; l < count; ++l) {
            attention_fixture_t f;
            fixture_init(&f, &random, c, 4);
            float* alone[4];
            for (uint32_t s = 0; s < 4; ++s) {
                cache_write(&f, s, 0, c->context);
                test_batch_clear(&f.b);
                test_batch_add(&f.b, s, begins[s], c->context);
                run(&f, &levels[l], 0);
                alone[s] = copy_out(&f, f.b.batch.token_count);
            }
            test_batch_clear(&f.b);
            for (uint32_t s = 0; s < 4; ++s) {
                test_batch_add(&f.b, s, begins[s], c->context);
            }
            run(&f, &levels[l], 0);
            const float* row = f.out;
            for (uint32_t s = 0; s < 4; ++s) {
                const uint32_t tokens = c->context - begins[s];
                test_assert_same_bits("in a batch", &levels[l], row, alone[s],
                                      out_bytes(&f, tokens));
                row += (size_t)tokens * f.params.out_stride;
                free(alone[s]);
            }
            fixture_deinit(&f);
        }
    }
}

static void test_attention_infinite_later_values_do_not_leak(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 14);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    const attention_case_t c = {9, 3, 64, 0, 0.0f, 16, LLMIR_KV_F32, 40, 30};
    attention_fixture_t f;
    fixture_init(&f, &random, &c, 1);
    const size_t last = source_index(&c, c.context - 1u, 1, 0);
    for (uint32_t d = 0; d < c.kv_heads * c.head_dim; ++d) {
        f.source[0][last + d] = INFINITY;
    }
    cache_write(&f, 0, 0, c.context);
    test_batch_add(&f.b, 0, c.begin, c.context);
    for (uint32_t l = 0; l < count; ++l) {
        run(&f, &levels[l], 0);
        for (uint32_t t = 0; t < f.b.batch.token_count; ++t) {
            const int is_last = t + 1u == f.b.batch.token_count;
            for (uint32_t i = 0; i < c.q_heads * c.head_dim; ++i) {
                assert_int_equal(!isfinite(f.out[t * f.params.out_stride + i]), is_last);
            }
        }
    }
    fixture_deinit(&f);
}

static void test_attention_extreme_scores_stay_finite(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 15);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    const attention_case_t c = {3, 1, 64, 0, 0.0f, 16, LLMIR_KV_F32, 600, 560};
    attention_fixture_t f;
    fixture_init(&f, &random, &c, 1);
    for (size_t i = 0; i < (size_t)c.context * f.params.q_stride; ++i) {
        f.queries[0][i] *= 1000.0f; /* one key takes all the weight, the rest underflows */
    }
    cache_write(&f, 0, 0, c.context);
    test_batch_add(&f.b, 0, c.begin, c.context);
    for (uint32_t l = 0; l < count; ++l) {
        run(&f, &levels[l], 0);
        for (uint32_t t = 0; t < f.b.batch.token_count; ++t) {
            for (uint32_t i = 0; i < c.q_heads * c.head_dim; ++i) {
                const float got = f.out[t * f.params.out_stride + i];
                assert_true(got >= -1.5f && got <= 1.5f);
            }
        }
    }
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_matches_the_reference_at_every_level),
        cmocka_unit_test(test_attention_chunks_give_the_bits_of_the_whole),
        cmocka_unit_test(test_attention_sequences_side_by_side_do_not_meet),
        cmocka_unit_test(test_attention_infinite_later_values_do_not_leak),
        cmocka_unit_test(test_attention_extreme_scores_stay_finite),
    };
    return cmocka_run_group_tests_name("kernel_attention", tests, NULL, NULL);
}
