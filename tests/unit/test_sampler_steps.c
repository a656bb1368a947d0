/* The sampler's steps against a second implementation, which is written from their definitions in
 * double precision without heaps, marks or the Z function: random options in random orders, the
 * candidates that are left, their probabilities, and the shares of many draws. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/sampler.h"
#include "core/sampler_filter.h"
#include "core/sampler_math.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define COUNT 50u
#define RECENT 120u

typedef struct reference {
    double logits[COUNT];
    double p[COUNT]; /* of those that are kept; 0 of the others */
    int keep[COUNT];
} reference_t;

typedef struct scene {
    llmir_sampler_options_t options;
    int32_t breakers[LLMIR_MAX_DRY_BREAKERS];
    llmir_logit_bias_t bias[LLMIR_MAX_LOGIT_BIAS];
    float logits[COUNT];
    int32_t recent[RECENT]; /* the last token first */
    uint32_t recent_count;
    uint32_t allowed[COUNT / 32u + 1u];
    int has_grammar;
} scene_t;

/* ---- The definitions ---- */

static void find_p(reference_t* r) {
    double largest = -INFINITY;
    double sum = 0;
    for (uint32_t i = 0; i < COUNT; ++i) {
        largest = r->keep[i] && r->logits[i] > largest ? r->logits[i] : largest;
    }
    for (uint32_t i = 0; i < COUNT; ++i) {
        r->p[i] = r->keep[i] ? exp(r->logits[i] - largest) : 0;
        sum += r->p[i];
    }
    for (uint32_t i = 0; i < COUNT; ++i) {
        r->p[i] /= sum;
    }
}

/* Keeps the best by `score` (lower ids first among equals) until `count` or `share` is reached. */
static void keep_best(reference_t* r, const double* score, uint32_t count, double share) {
    int chosen[COUNT] = {0};
    double sum = 0;
    find_p(r);
    for (uint32_t n = 0; n < count && (n == 0 || sum < share); ++n) {
        int best = -1;
        for (int i = 0; i < (int)COUNT; ++i) {
            if (r->keep[i] && !chosen[i] && (best < 0 || score[i] > score[best])) {
                best = i;
            }
        }
        if (best < 0) {
            break;
        }
        chosen[best] = 1;
        sum += r->p[best];
    }
    memcpy(r->keep, chosen, sizeof(chosen));
}

static void reference_penalties(const scene_t* s, reference_t* r) {
    const uint32_t window = s->options.repetition_window != 0 ? s->options.repetition_window : 64u;
    for (uint32_t id = 0; id < COUNT; ++id) {
        int count = 0;
        for (uint32_t i = 0; i < s->recent_count && i < window; ++i) {
            count += s->recent[i] == (int32_t)id;
        }
        if (count > 0) {
            const double penalty = (double)s->options.repetition_penalty;
            if (penalty != 0) {
                r->logits[id] =
                    r->logits[id] > 0 ? r->logits[id] / penalty : r->logits[id] * penalty;
            }
            r->logits[id] -=
                count * (double)s->options.frequency_penalty + (double)s->options.presence_penalty;
        }
    }
}

static int is_breaker(const scene_t* s, int32_t token) {
    for (uint32_t i = 0; i < s->options.dry_breaker_count; ++i) {
        if (s->breakers[i] == token) {
            return 1;
        }
    }
    return 0;
}

/* For each earlier place of the last token: how far back it is the same, up to a breaker. */
static void reference_dry(const scene_t* s, reference_t* r) {
    const uint32_t allowed =
        s->options.dry_allowed_length != 0 ? s->options.dry_allowed_length : 2u;
    const double base = s->options.dry_base != 0.0f ? (double)s->options.dry_base : 1.75;
    const uint32_t window = s->options.dry_window != 0 ? s->options.dry_window : 1024u;
    const uint32_t count = s->recent_count < window ? s->recent_count : window;
    uint32_t longest[COUNT] = {0};
    for (uint32_t place = 1; place < count; ++place) {
        const int32_t follower = s->recent[place - 1];
        uint32_t length = 0;
        while (place + length < count && s->recent[length] == s->recent[place + length] &&
               !is_breaker(s, s->recent[length])) {
            ++length;
        }
        if (!is_breaker(s, follower) && length > longest[follower]) {
            longest[follower] = length;
        }
    }
    for (uint32_t id = 0; id < COUNT; ++id) {
        if (longest[id] >= allowed) {
            r->logits[id] -=
                (double)s->options.dry_multiplier * pow(base, (double)(longest[id] - allowed));
        }
    }
}

static void reference_typical(reference_t* r, double share) {
    double score[COUNT];
    double entropy = 0;
    find_p(r);
    for (uint32_t i = 0; i < COUNT; ++i) {
        entropy -= r->p[i] > 0 ? r->p[i] * log(r->p[i]) : 0;
    }
    for (uint32_t i = 0; i < COUNT; ++i) {
        score[i] = r->p[i] > 0 ? -fabs(-log(r->p[i]) - entropy) : -1e30;
    }
    keep_best(r, score, COUNT, share);
}

static void reference_min_p(reference_t* r, double share) {
    double largest = 0;
    find_p(r);
    for (uint32_t i = 0; i < COUNT; ++i) {
        largest = r->p[i] > largest ? r->p[i] : largest;
    }
    for (uint32_t i = 0; i < COUNT; ++i) {
        r->keep[i] = r->keep[i] && r->p[i] >= share * largest;
    }
}

static void reference_step(const scene_t* s, uint32_t step, reference_t* r) {
    const llmir_sampler_options_t* o = &s->options;
    if (step == LLMIR_SAMPLER_PENALTIES) {
        reference_penalties(s, r);
    } else if (step == LLMIR_SAMPLER_DRY && o->dry_multiplier != 0.0f) {
        reference_dry(s, r);
    } else if (step == LLMIR_SAMPLER_TOP_K && o->top_k != 0) {
        keep_best(r, r->logits, o->top_k, 2);
    } else if (step == LLMIR_SAMPLER_TEMPERATURE) {
        for (uint32_t i = 0; i < COUNT; ++i) {
            r->logits[i] /= (double)o->temperature;
        }
    } else if (step == LLMIR_SAMPLER_TYPICAL && o->typical_p != 0.0f) {
        reference_typical(r, (double)o->typical_p);
    } else if (step == LLMIR_SAMPLER_TOP_P && o->top_p != 0.0f) {
        keep_best(r, r->logits, COUNT, (double)o->top_p);
    } else if (step == LLMIR_SAMPLER_MIN_P && o->min_p != 0.0f) {
        reference_min_p(r, (double)o->min_p);
    }
}

static reference_t reference_of(const scene_t* s) {
    reference_t r;
    for (uint32_t i = 0; i < COUNT; ++i) {
        r.logits[i] = (double)s->logits[i];
        r.keep[i] = !s->has_grammar || (s->allowed[i / 32u] >> (i % 32u) & 1u) != 0;
    }
    for (uint32_t i = 0; i < s->options.logit_bias_count; ++i) {
        r.logits[s->bias[i].token] += (double)s->bias[i].bias;
    }
    for (uint32_t i = 0; i < 8; ++i) {
        const uint32_t step = s->options.order[0] != 0 ? s->options.order[i] : i < 7 ? i + 1u : 0u;
        reference_step(s, step, &r);
    }
    find_p(&r);
    return r;
}

/* ---- Random scenes ---- */

static float between(test_random_t* random, float low, float high) {
    float value;
    test_random_fill_f32(random, &value, 1, low, high);
    return value;
}

static int one_in(test_random_t* random, uint32_t n) {
    return test_random_below(random, n) == 0;
}

static void shuffle_order(test_random_t* random, uint8_t order[8]) {
    const uint32_t count = 1 + test_random_below(random, 7);
    for (uint8_t i = 0; i < 7; ++i) {
        order[i] = (uint8_t)(i + 1u);
    }
    for (uint32_t i = 0; i < 7; ++i) {
        const uint32_t other = i + test_random_below(random, 7 - i);
        const uint8_t step = order[i];
        order[i] = order[other];
        order[other] = step;
    }
    memset(order + count, 0, 8 - count);
}

static void make_scene(test_random_t* random, scene_t* s) {
    llmir_sampler_options_t* o = &s->options;
    memset(s, 0, sizeof(*s));
    o->struct_size = sizeof(*o);
    o->seed = test_random_below(random, 1u << 30);
    o->temperature = one_in(random, 4) ? 1.0f : between(random, 0.3f, 3.0f);
    o->top_k = one_in(random, 2) ? 1 + test_random_below(random, 60) : 0;
    o->top_p = one_in(random, 2) ? between(random, 0.05f, 0.99f) : 0.0f;
    o->min_p = one_in(random, 2) ? between(random, 0.001f, 0.5f) : 0.0f;
    o->typical_p = one_in(random, 2) ? between(random, 0.05f, 0.99f) : 0.0f;
    o->repetition_penalty = one_in(random, 2) ? between(random, 0.7f, 1.8f) : 0.0f;
    o->frequency_penalty = one_in(random, 3) ? between(random, -0.5f, 0.5f) : 0.0f;
    o->presence_penalty = one_in(random, 3) ? between(random, -1.0f, 1.0f) : 0.0f;
    o->repetition_window = one_in(random, 2) ? 1 + test_random_below(random, 150) : 0;
    if (one_in(random, 2)) {
        o->dry_multiplier = between(random, 0.1f, 1.5f);
        o->dry_base = one_in(random, 2) ? between(random, 1.0f, 2.0f) : 0.0f;
        o->dry_allowed_length = test_random_below(random, 5);
        o->dry_window = one_in(random, 2) ? 1 + test_random_below(random, 150) : 0;
        o->dry_breaker_count = test_random_below(random, 4);
        o->dry_breakers = s->breakers;
    }
    o->logit_bias_count = one_in(random, 3) ? test_random_below(random, 10) : 0;
    o->logit_bias = s->bias;
    if (one_in(random, 2)) {
        shuffle_order(random, o->order);
    }
    /* Few different tokens, so that sequences repeat. */
    const uint32_t alphabet = 2 + test_random_below(random, 6);
    for (uint32_t i = 0; i < 16; ++i) {
        s->breakers[i] = (int32_t)test_random_below(random, alphabet);
        s->bias[i] =
            (llmir_logit_bias_t){(int32_t)test_random_below(random, COUNT), between(random, -3, 3)};
    }
    s->recent_count = test_random_below(random, RECENT + 1);
    for (uint32_t i = 0; i < s->recent_count; ++i) {
        s->recent[i] = (int32_t)test_random_below(random, alphabet);
        if (i >= 12 && !one_in(random, 12)) {
            s->recent[i] = s->recent[i - 12]; /* long repetitions */
        }
    }
    test_random_fill_f32(random, s->logits, COUNT, -4, 4);
    s->has_grammar = one_in(random, 3);
    for (uint32_t i = 0; i < COUNT; ++i) {
        if (one_in(random, 2) || i == 7) {
            s->allowed[i / 32u] |= 1u << (i % 32u);
        }
    }
}

/* ---- Comparing ---- */

static llmir_candidate_t scratch[COUNT];
static llmir_sampler_mark_t marks[RECENT];

static llmir_sampler_input_t input_of(const scene_t* s, const llmir_sampler_t* sampler) {
    const uint32_t window = llmir_sampler_window(sampler);
    return (llmir_sampler_input_t){
        .logits = s->logits,
        .count = COUNT,
        .recent = s->recent,
        .recent_count = window < s->recent_count ? window : s->recent_count,
        .candidates = scratch,
        .marks = marks,
        .allowed = s->has_grammar ? s->allowed : NULL,
    };
}

/* Nothing is drawn that the definitions leave out, and what they keep comes in its share. */
static void check_draws(const scene_t* s, int draws) {
    llmir_sampler_t sampler;
    const reference_t r = reference_of(s);
    double shares[COUNT] = {0};
    assert_status(llmir_sampler_init(&sampler, &s->options, COUNT, &assert_status_error),
                  LLMIR_STATUS_OK);
    const llmir_sampler_input_t input = input_of(s, &sampler);
    for (int i = 0; i < draws; ++i) {
        const int32_t id = llmir_sampler_draw(&sampler, &input);
        assert_in_range(id, 0, COUNT - 1u);
        if (!r.keep[id]) {
            fail_msg("token %d was drawn, which is not among those to be kept", id);
        }
        shares[id] += 1.0 / draws;
    }
    for (uint32_t i = 0; i < COUNT; ++i) {
        if (fabs(shares[i] - r.p[i]) > 5.5 * sqrt(r.p[i] / draws) + 1.0 / draws) {
            fail_msg("id %u: share %g, expected %g", i, shares[i], r.p[i]);
        }
    }
}

static void test_sampler_random_options_follow_the_definitions(void** state) {
    test_random_t random;
    scene_t scene;
    (void)state;
    test_random_init(&random, 21);
    for (uint32_t round = 0; round < TEST_SHARE(1500u); ++round) {
        make_scene(&random, &scene);
        check_draws(&scene, round % 100 == 0 ? 100000 : 1000);
    }
}

/* One step alone, with many draws. */
static void test_sampler_each_step_follows_its_definition(void** state) {
    test_random_t random;
    (void)state;
    test_random_init(&random, 22);
    for (uint32_t round = 0; round < 40; ++round) {
        scene_t whole;
        scene_t scene;
        make_scene(&random, &whole);
        scene = whole;
        memset(&scene.options, 0, sizeof(scene.options));
        scene.options.struct_size = sizeof(scene.options);
        scene.options.seed = round;
        scene.options.temperature = 1.0f;
        scene.has_grammar = 0;
        switch (round % 5) {
            case 0:
                scene.options.typical_p = 0.2f + 0.02f * (float)round;
                break;
            case 1:
                scene.options.dry_multiplier = 0.8f;
                scene.options.dry_breaker_count = round / 10u;
                scene.options.dry_breakers = scene.breakers;
                break;
            case 2:
                scene.options.frequency_penalty = 0.1f;
                break;
            case 3:
                scene.options.presence_penalty = 1.5f;
                break;
            default:
                scene.options.logit_bias_count = 10;
                scene.options.logit_bias = scene.bias;
                break;
        }
        check_draws(&scene, 50000);
    }
}

/* Greedy: what is largest after bias, grammar, penalties and DRY, whatever else is set. */
static void test_sampler_greedy_takes_the_largest_after_penalties(void** state) {
    test_random_t random;
    (void)state;
    test_random_init(&random, 23);
    for (uint32_t round = 0; round < TEST_SHARE(3000u); ++round) {
        scene_t scene;
        llmir_sampler_t sampler;
        make_scene(&random, &scene);
        memset(scene.options.order, 0, 8);
        scene.options.temperature = 0.0f;
        assert_status(llmir_sampler_init(&sampler, &scene.options, COUNT, &assert_status_error),
                      LLMIR_STATUS_OK);
        const llmir_sampler_input_t input = input_of(&scene, &sampler);
        const int32_t id = llmir_sampler_draw(&sampler, &input);
        scene.options.temperature = 1.0f;
        scene.options.top_k = 0;
        scene.options.top_p = scene.options.min_p = scene.options.typical_p = 0.0f;
        const reference_t r = reference_of(&scene);
        assert_true(r.keep[id]);
        for (uint32_t i = 0; i < COUNT; ++i) {
            assert_true(!r.keep[i] || r.logits[i] <= r.logits[id] + 1e-5);
        }
    }
}

/* A document of the order: cutting before the temperature does not depend on it. */
static void test_sampler_order_decides_what_temperature_changes(void** state) {
    const float logits[4] = {0.0f, 1.0f, 2.0f, 3.0f}; /* p at temperature 1: .03 .09 .24 .64 */
    const uint8_t cut_first[3] = {LLMIR_SAMPLER_MIN_P, LLMIR_SAMPLER_TEMPERATURE, 0};
    const uint8_t heat_first[3] = {LLMIR_SAMPLER_TEMPERATURE, LLMIR_SAMPLER_MIN_P, 0};
    (void)state;
    for (int is_cut_first = 0; is_cut_first < 2; ++is_cut_first) {
        llmir_sampler_options_t options = LLMIR_SAMPLER_OPTIONS_INIT;
        llmir_sampler_t sampler;
        int seen[4] = {0};
        options.temperature = 10.0f; /* then all are at least .74 of the largest */
        options.min_p = 0.5f;
        memcpy(options.order, is_cut_first ? cut_first : heat_first, 3);
        assert_status(llmir_sampler_init(&sampler, &options, COUNT, &assert_status_error),
                      LLMIR_STATUS_OK);
        const llmir_sampler_input_t input = {
            .logits = logits, .count = 4, .candidates = scratch, .marks = marks};
        for (int i = 0; i < 200; ++i) {
            seen[llmir_sampler_draw(&sampler, &input)] = 1;
        }
        assert_int_equal(seen[0] + seen[1] + seen[2], is_cut_first ? 0 : 3);
        assert_true(seen[3]);
    }
}

/* "1 2 3 4 | 1 2 3": 4 would continue a repetition of three tokens. */
static void test_sampler_dry_lowers_what_continues_a_repetition(void** state) {
    const int32_t recent[8] = {3, 2, 1, 0, 4, 3, 2, 1};
    const int32_t breaker = 2;
    float logits[6] = {0, 0, 0, 0, 0, 0};
    llmir_candidate_t items[6];
    llmir_sampler_options_t options = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_sampler_t sampler;
    (void)state;
    options.dry_multiplier = 0.5f;
    options.dry_base = 3.0f;
    for (int with_breaker = 0; with_breaker < 2; ++with_breaker) {
        options.dry_breakers = &breaker;
        options.dry_breaker_count = (uint32_t)with_breaker;
        assert_status(llmir_sampler_init(&sampler, &options, 6, &assert_status_error),
                      LLMIR_STATUS_OK);
        const llmir_sampler_input_t input = {
            .logits = logits, .count = 6, .recent = recent, .recent_count = 8, .marks = marks};
        llmir_candidates_t list = {items, 6, 1, 0, 1.0f};
        for (int32_t i = 0; i < 6; ++i) {
            items[i] = (llmir_candidate_t){0.0f, i};
        }
        llmir_filter_dry(&sampler, &input, &list);
        for (int32_t i = 0; i < 6; ++i) {
            assert_true(items[i].value == (i == 4 && !with_breaker ? -1.5f : 0.0f));
        }
    }
}

/* Many tokens alike: the penalty grows beyond all numbers and stays finite. */
static void test_sampler_dry_of_endless_repetition_is_finite(void** state) {
    static int32_t recent[1024];
    static llmir_sampler_mark_t many[1024];
    const float logits[2] = {5, -5};
    llmir_sampler_options_t options = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_sampler_t sampler;
    (void)state;
    options.dry_multiplier = 1.0f;
    options.temperature = 1.0f;
    assert_status(llmir_sampler_init(&sampler, &options, 2, &assert_status_error), LLMIR_STATUS_OK);
    const llmir_sampler_input_t input = {.logits = logits,
                                         .count = 2,
                                         .recent = recent,
                                         .recent_count = 1024,
                                         .candidates = scratch,
                                         .marks = many};
    assert_int_equal(llmir_sampler_window(&sampler), 1024);
    for (int i = 0; i < 100; ++i) {
        assert_int_equal(llmir_sampler_draw(&sampler, &input), 1);
    }
}

static void test_sampler_exponential_and_logarithm_are_close(void** state) {
    (void)state;
    for (int i = 0; i < 870000; ++i) {
        const float x = -(float)i * 1e-4f;
        const double expected = exp((double)x);
        assert_true(fabs((double)llmir_exp(x) - expected) <= 2e-7 * expected);
    }
    assert_true(llmir_exp(0.0f) == 1.0f);
    assert_true(llmir_exp(-87.5f) == 0.0f && llmir_exp(-INFINITY) == 0.0f &&
                llmir_exp(NAN) == 0.0f);
    for (double x = 1; x < 1e12; x *= 1.0001) {
        assert_true(fabs(llmir_log(x) - log(x)) <= 1e-14 * (1 + log(x)));
    }
    assert_true(llmir_log(1.0) == 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampler_random_options_follow_the_definitions),
        cmocka_unit_test(test_sampler_each_step_follows_its_definition),
        cmocka_unit_test(test_sampler_greedy_takes_the_largest_after_penalties),
        cmocka_unit_test(test_sampler_order_decides_what_temperature_changes),
        cmocka_unit_test(test_sampler_dry_lowers_what_continues_a_repetition),
        cmocka_unit_test(test_sampler_dry_of_endless_repetition_is_finite),
        cmocka_unit_test(test_sampler_exponential_and_logarithm_are_close),
    };
    return cmocka_run_group_tests_name("sampler_steps", tests, NULL, NULL);
}
