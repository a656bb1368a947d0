/* What sampling costs a token, step by step: microseconds of the sampler alone on random logits
 * with the spread that a language model's have.
 *
 *   bench_sampler [VOCABULARY [DRAWS]]        49152, 300 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/logprobs.h"
#include "core/sampler.h"
#include "platform/platform.h"
#include "tests/support/test_random.h"

#define ROUNDS 7
#define WINDOW 1024u

typedef struct bench {
    uint32_t count; /* of logits */
    uint32_t draws;
    float* logits;
    int32_t recent[WINDOW];
    llmir_candidate_t* candidates;
    llmir_sampler_mark_t marks[WINDOW];
} bench_t;

static double draw_us(bench_t* bench, const llmir_sampler_options_t* options) {
    llmir_sampler_t sampler;
    double best = INFINITY;
    if (llmir_sampler_init(&sampler, options, bench->count, NULL) != LLMIR_STATUS_OK) {
        return NAN;
    }
    const llmir_sampler_input_t input = {.logits = bench->logits,
                                         .count = bench->count,
                                         .recent = bench->recent,
                                         .recent_count = llmir_sampler_window(&sampler),
                                         .candidates = bench->candidates,
                                         .marks = bench->marks};
    for (int round = 0; round < ROUNDS; ++round) {
        const uint64_t start = llmir_clock_ns();
        for (uint32_t i = 0; i < bench->draws; ++i) {
            (void)llmir_sampler_draw(&sampler, &input);
        }
        const double us = (double)(llmir_clock_ns() - start) * 1e-3 / bench->draws;
        best = us < best ? us : best;
    }
    return best;
}

static double logprobs_us(const bench_t* bench, uint32_t top_count) {
    llmir_logprobs_t logprobs = {.wanted_count = top_count};
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; ++round) {
        const uint64_t start = llmir_clock_ns();
        for (uint32_t i = 0; i < bench->draws; ++i) {
            llmir_logprobs_find(bench->logits, bench->count, 5, &logprobs);
        }
        const double us = (double)(llmir_clock_ns() - start) * 1e-3 / bench->draws;
        best = us < best ? us : best;
    }
    return best;
}

static const struct {
    const char* name;
    llmir_sampler_options_t options;
} cases[] = {
    {"greedy", {.temperature = 0}},
    {"temperature", {.temperature = 0.8f}},
    {"top-k 40", {.temperature = 0.8f, .top_k = 40}},
    {"top-k 40, top-p, min-p, penalty",
     {.temperature = 0.7f,
      .top_k = 40,
      .top_p = 0.95f,
      .min_p = 0.05f,
      .repetition_penalty = 1.1f}},
    {"top-p 0.95", {.temperature = 0.8f, .top_p = 0.95f}},
    {"min-p 0.05", {.temperature = 0.8f, .min_p = 0.05f}},
    {"typical 0.95", {.temperature = 0.8f, .typical_p = 0.95f}},
    {"greedy, DRY", {.temperature = 0, .dry_multiplier = 0.8f}},
    {"top-k 40, DRY", {.temperature = 0.8f, .top_k = 40, .dry_multiplier = 0.8f}},
};

int main(int argc, char** argv) {
    bench_t* bench = calloc(1, sizeof(*bench));
    test_random_t random;
    if (bench == NULL) {
        return 1;
    }
    bench->count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 49152u;
    bench->draws = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 300u;
    bench->logits = malloc(bench->count * sizeof(*bench->logits));
    bench->candidates = malloc(bench->count * sizeof(*bench->candidates));
    if (bench->logits == NULL || bench->candidates == NULL || bench->count < 100 ||
        bench->draws == 0) {
        return 1;
    }
    test_random_init(&random, 1);
    /* A bell of width 3 with a few likely tokens above it. */
    for (uint32_t i = 0; i < bench->count; ++i) {
        float parts[4];
        test_random_fill_f32(&random, parts, 4, -2.6f, 2.6f);
        bench->logits[i] = parts[0] + parts[1] + parts[2] + parts[3];
    }
    for (uint32_t i = 0; i < 20; ++i) {
        bench->logits[test_random_below(&random, bench->count)] = 20.0f - (float)i * 0.5f;
    }
    for (uint32_t i = 0; i < WINDOW; ++i) {
        bench->recent[i] = (int32_t)test_random_below(&random, 300);
    }
    printf("%u logits, us a token\n", bench->count);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        llmir_sampler_options_t options = cases[i].options;
        options.struct_size = sizeof(options);
        printf("  %-34s %8.1f\n", cases[i].name, draw_us(bench, &options));
    }
    printf("  %-34s %8.1f\n", "log-probability", logprobs_us(bench, 0));
    printf("  %-34s %8.1f\n", "log-probability and the top 20", logprobs_us(bench, 20));
    free(bench->logits);
    free(bench->candidates);
    free(bench);
    return 0;
}
