/* The sampler: each step alone against its definition, and what must hold for any logits. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/sampler.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define COUNT 50u
#define DRAWS 200000

static llmir_candidate_t scratch[COUNT];
static llmir_sampler_mark_t marks[LLMIR_SAMPLER_MAX_WINDOW];

static llmir_sampler_t sampler_of(llmir_sampler_options_t options) {
    llmir_sampler_t sampler;
    options.struct_size = sizeof(options);
    assert_status(llmir_sampler_init(&sampler, &options, COUNT, &assert_status_error),
                  LLMIR_STATUS_OK);
    return sampler;
}

static int32_t draw(llmir_sampler_t* sampler, const float* logits, uint32_t count) {
    const llmir_sampler_input_t input = {
        .logits = logits, .count = count, .candidates = scratch, .marks = marks};
    return llmir_sampler_draw(sampler, &input);
}

/* Shares of each id in many draws. */
static void measure(llmir_sampler_options_t options,
                    const float* logits,
                    uint32_t count,
                    double* out_shares) {
    llmir_sampler_t sampler = sampler_of(options);
    memset(out_shares, 0, count * sizeof(*out_shares));
    for (int i = 0; i < DRAWS; ++i) {
        out_shares[draw(&sampler, logits, count)] += 1.0 / DRAWS;
    }
}

/* exp((logit - largest) / temperature) over the ids that `keep` names, normalised. */
static void expect_shares(
    const float* logits, const int* keep, uint32_t count, float temperature, const double* shares) {
    double weights[COUNT] = {0};
    double sum = 0;
    for (uint32_t i = 0; i < count; ++i) {
        weights[i] = keep[i] ? exp((double)logits[i] / (double)temperature) : 0;
        sum += weights[i];
    }
    for (uint32_t i = 0; i < count; ++i) {
        const double expected = weights[i] / sum;
        if (fabs(shares[i] - expected) > 5 * sqrt(expected / DRAWS) + 1e-9) {
            fail_msg("id %u: share %g, expected %g", i, shares[i], expected);
        }
    }
}

static const float five[5] = {0.5f, 2.0f, -1.0f, 1.5f, 0.0f};

static void test_sampler_greedy_takes_lowest_id_among_equals(void** state) {
    const float logits[6] = {1, 3, 2, 3, 3, -5};
    llmir_sampler_t sampler;
    (void)state;
    assert_status(llmir_sampler_init(&sampler, NULL, COUNT, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(draw(&sampler, logits, 6), 1);
}

static void test_sampler_temperature_follows_softmax(void** state) {
    const int all[5] = {1, 1, 1, 1, 1};
    double shares[5];
    (void)state;
    measure((llmir_sampler_options_t){.temperature = 0.7f, .seed = 1}, five, 5, shares);
    expect_shares(five, all, 5, 0.7f, shares);
    measure((llmir_sampler_options_t){.temperature = 2.5f, .seed = 2}, five, 5, shares);
    expect_shares(five, all, 5, 2.5f, shares);
}

static void test_sampler_top_k_keeps_the_largest(void** state) {
    const int kept[5] = {1, 1, 0, 1, 0};
    const float equal[4] = {1, 1, 1, 1};
    double shares[5];
    (void)state;
    measure((llmir_sampler_options_t){.temperature = 1, .top_k = 3, .seed = 3}, five, 5, shares);
    expect_shares(five, kept, 5, 1.0f, shares);
    /* Among equals the lower ids stay. */
    measure((llmir_sampler_options_t){.temperature = 1, .top_k = 2, .seed = 3}, equal, 4, shares);
    assert_true(shares[0] > 0.4 && shares[1] > 0.4);
    assert_true(shares[2] == 0 && shares[3] == 0);
}

/* Shares of `five` at temperature 1: 0.49 (id 1), 0.30 (3), 0.11 (0), 0.07 (4), 0.02 (2). */
static void test_sampler_top_p_keeps_the_fewest_that_reach_p(void** state) {
    const int two[5] = {0, 1, 0, 1, 0};
    const int three[5] = {1, 1, 0, 1, 0};
    const int one[5] = {0, 1, 0, 0, 0};
    double shares[5];
    (void)state;
    measure((llmir_sampler_options_t){.temperature = 1, .top_p = 0.75f, .seed = 4}, five, 5,
            shares);
    expect_shares(five, two, 5, 1.0f, shares);
    measure((llmir_sampler_options_t){.temperature = 1, .top_p = 0.85f, .seed = 5}, five, 5,
            shares);
    expect_shares(five, three, 5, 1.0f, shares);
    measure((llmir_sampler_options_t){.temperature = 1, .top_p = 1e-6f, .seed = 6}, five, 5,
            shares);
    expect_shares(five, one, 5, 1.0f, shares);
}

/* Top-p takes shares of what top-k has left: 0.54, 0.33, 0.12 here. */
static void test_sampler_top_p_counts_after_top_k(void** state) {
    const int two[5] = {0, 1, 0, 1, 0};
    double shares[5];
    (void)state;
    measure((llmir_sampler_options_t){.temperature = 1, .top_k = 3, .top_p = 0.86f, .seed = 7},
            five, 5, shares);
    expect_shares(five, two, 5, 1.0f, shares);
}

static void test_sampler_min_p_drops_what_is_far_below_the_largest(void** state) {
    const int kept[5] = {1, 1, 0, 1, 0}; /* weights relative to id 1: .22, 1, .05, .61, .135 */
    double shares[5];
    (void)state;
    measure((llmir_sampler_options_t){.temperature = 1, .min_p = 0.2f, .seed = 8}, five, 5, shares);
    expect_shares(five, kept, 5, 1.0f, shares);
    measure((llmir_sampler_options_t){.temperature = 1, .min_p = 0.2f, .top_k = 5, .seed = 8}, five,
            5, shares);
    expect_shares(five, kept, 5, 1.0f, shares);
}

static void test_sampler_penalty_counts_each_recent_token_once(void** state) {
    const float logits[4] = {2.0f, 1.5f, -1.0f, -1.2f};
    const int32_t recent[3] = {0, 0, 2};
    llmir_sampler_t sampler = sampler_of((llmir_sampler_options_t){.repetition_penalty = 1.25f});
    llmir_sampler_input_t input = {.logits = logits,
                                   .count = 4,
                                   .recent = recent,
                                   .recent_count = 3,
                                   .candidates = scratch,
                                   .marks = marks};
    (void)state;
    assert_int_equal(llmir_sampler_window(&sampler), 64);
    assert_int_equal(llmir_sampler_draw(&sampler, &input), 0); /* 2 / 1.25 = 1.6 > 1.5 */
    sampler.options.repetition_penalty = 1.5f;
    assert_int_equal(llmir_sampler_draw(&sampler, &input), 1);
    assert_true(scratch[2].value == -1.5f); /* negative logits move away from 0 */
}

static void test_sampler_equal_seeds_give_equal_draws(void** state) {
    test_random_t random;
    float logits[COUNT];
    int differ = 0;
    (void)state;
    test_random_init(&random, 11);
    test_random_fill_f32(&random, logits, COUNT, -3, 3);
    llmir_sampler_t a = sampler_of((llmir_sampler_options_t){.temperature = 1, .seed = 42});
    llmir_sampler_t b = a;
    llmir_sampler_t c = sampler_of((llmir_sampler_options_t){.temperature = 1, .seed = 43});
    for (int i = 0; i < 100; ++i) {
        const int32_t id = draw(&a, logits, COUNT);
        assert_int_equal(id, draw(&b, logits, COUNT));
        differ += id != draw(&c, logits, COUNT);
    }
    assert_true(differ > 50);
    llmir_sampler_restart(&a);
    llmir_sampler_restart(&b);
    assert_int_equal(draw(&a, logits, COUNT), draw(&b, logits, COUNT));
}

/* The first draws of a seed are part of the contract: equal on every machine. */
static void test_sampler_draws_of_a_seed_are_known(void** state) {
    llmir_sampler_t sampler =
        sampler_of((llmir_sampler_options_t){.temperature = 1, .top_p = 0.95f, .seed = 1234});
    float logits[COUNT];
    int32_t ids[8];
    (void)state;
    for (uint32_t i = 0; i < COUNT; ++i) {
        logits[i] = (float)(i * 7u % 13u) * 0.25f;
    }
    for (int i = 0; i < 8; ++i) {
        ids[i] = draw(&sampler, logits, COUNT);
    }
    const int32_t expected[8] = {9, 5, 11, 45, 22, 31, 29, 24};
    assert_memory_equal(ids, expected, sizeof(expected));
}

static void test_sampler_survives_nan_and_infinities(void** state) {
    const float cases[6][4] = {{NAN, 1, 2, NAN},
                               {NAN, NAN, NAN, NAN},
                               {-INFINITY, -INFINITY, -INFINITY, -INFINITY},
                               {INFINITY, 1, INFINITY, NAN},
                               {-INFINITY, FLT_MAX, -FLT_MAX, 0},
                               {0, 0, 0, -NAN}};
    const int32_t greedy_ids[6] = {2, 0, 0, 0, 1, 0};
    const int32_t recent[2] = {0, 1};
    (void)state;
    for (int i = 0; i < 6; ++i) {
        for (int options = 0; options < 16; ++options) {
            llmir_sampler_t sampler = sampler_of(
                (llmir_sampler_options_t){.temperature = options & 1 ? 1e-30f : 1.0f,
                                          .top_k = options & 2 ? 2u : 0u,
                                          .top_p = options & 4 ? 0.5f : 0.0f,
                                          .min_p = options & 8 ? 0.5f : 0.0f,
                                          .repetition_penalty = options & 2 ? 1.5f : 0.0f});
            const llmir_sampler_input_t input = {.logits = cases[i],
                                                 .count = 4,
                                                 .recent = recent,
                                                 .recent_count = 2,
                                                 .candidates = scratch,
                                                 .marks = marks};
            for (int n = 0; n < 20; ++n) {
                const int32_t id = llmir_sampler_draw(&sampler, &input);
                assert_in_range(id, 0, 3);
            }
        }
        llmir_sampler_t greedy = sampler_of((llmir_sampler_options_t){0});
        assert_int_equal(draw(&greedy, cases[i], 4), greedy_ids[i]);
    }
}

/* Whatever the options, nothing outside of top-k is ever drawn; checked against a full sort. */
static void test_sampler_top_k_agrees_with_sorting(void** state) {
    test_random_t random;
    (void)state;
    test_random_init(&random, 12);
    for (int round = 0; round < 500; ++round) {
        float logits[COUNT];
        const uint32_t k = 1 + test_random_below(&random, COUNT);
        llmir_sampler_t sampler = sampler_of(
            (llmir_sampler_options_t){.temperature = 3, .top_k = k, .seed = (uint64_t)round});
        for (uint32_t i = 0; i < COUNT; ++i) {
            logits[i] = (float)test_random_below(&random, 20);
        }
        for (int n = 0; n < 20; ++n) {
            const int32_t id = draw(&sampler, logits, COUNT);
            uint32_t before = 0; /* ids that rank above it */
            for (int32_t i = 0; i < (int32_t)COUNT; ++i) {
                before += logits[i] > logits[id] || (logits[i] == logits[id] && i < id);
            }
            assert_true(before < k);
        }
    }
}

static void test_sampler_refuses_bad_options(void** state) {
    const int32_t breakers[2] = {0, COUNT};
    const llmir_logit_bias_t bias[3] = {{COUNT, 1}, {1, NAN}, {1, INFINITY}};
    const llmir_sampler_options_t bad[] = {
        {.temperature = -1},
        {.temperature = NAN},
        {.temperature = INFINITY},
        {.top_p = 1.5f},
        {.top_p = -0.1f},
        {.min_p = 2},
        {.min_p = NAN},
        {.top_p = NAN},
        {.typical_p = 1.01f},
        {.typical_p = NAN},
        {.repetition_penalty = -1},
        {.repetition_penalty = NAN},
        {.repetition_window = 1025},
        {.frequency_penalty = INFINITY},
        {.presence_penalty = NAN},
        {.dry_multiplier = -0.5f},
        {.dry_multiplier = NAN},
        {.dry_base = 0.5f},
        {.dry_base = NAN},
        {.dry_window = 1025},
        {.dry_breaker_count = 1},
        {.dry_breaker_count = 17, .dry_breakers = breakers},
        {.dry_breaker_count = 2, .dry_breakers = breakers},
        {.logit_bias_count = 1},
        {.logit_bias_count = 65, .logit_bias = bias},
        {.logit_bias_count = 1, .logit_bias = bias},
        {.logit_bias_count = 1, .logit_bias = bias + 1},
        {.logit_bias_count = 1, .logit_bias = bias + 2},
        {.order = {8}},
        {.order = {3, 3}},
        {.order = {1, 2, 3, 4, 5, 6, 7, 1}},
        {.order = {3, 0, 4}},
        {.order = {0, 4}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        llmir_sampler_options_t options = bad[i];
        llmir_sampler_t sampler;
        llmir_error_t error = {0};
        options.struct_size = sizeof(options);
        if (llmir_sampler_init(&sampler, &options, COUNT, &error) !=
            LLMIR_STATUS_INVALID_ARGUMENT) {
            fail_msg("options %zu are taken", i);
        }
        assert_non_null(strstr(error.message, "sampler options: "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampler_greedy_takes_lowest_id_among_equals),
        cmocka_unit_test(test_sampler_temperature_follows_softmax),
        cmocka_unit_test(test_sampler_top_k_keeps_the_largest),
        cmocka_unit_test(test_sampler_top_p_keeps_the_fewest_that_reach_p),
        cmocka_unit_test(test_sampler_top_p_counts_after_top_k),
        cmocka_unit_test(test_sampler_min_p_drops_what_is_far_below_the_largest),
        cmocka_unit_test(test_sampler_penalty_counts_each_recent_token_once),
        cmocka_unit_test(test_sampler_equal_seeds_give_equal_draws),
        cmocka_unit_test(test_sampler_draws_of_a_seed_are_known),
        cmocka_unit_test(test_sampler_survives_nan_and_infinities),
        cmocka_unit_test(test_sampler_top_k_agrees_with_sorting),
        cmocka_unit_test(test_sampler_refuses_bad_options),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
