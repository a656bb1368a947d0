/* What a shared prefix saves: the time to the first token of requests that begin with the same
 * tokens and go on differently, one after the other through a scheduler, and the tokens computed
 * for all of them.
 *
 *   bench_prefix BUNDLE [PREFIX_TOKENS [REQUESTS]]        1000, 16 */
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"
#include "common/open.h"
#include "tests/support/test_random.h"

#define TAIL_TOKENS 16u
#define MAX_PREFIX 100000u

typedef struct bench {
    opened_model_t opened;
    llmir_scheduler_t* scheduler;
    int32_t* tokens; /* [prefix, then TAIL_TOKENS] */
    uint32_t prefix_tokens;
    test_random_t random;
} bench_t;

static void draw_tokens(bench_t* bench, int32_t* tokens, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        tokens[i] = (int32_t)test_random_below(&bench->random, bench->opened.info.vocab_count);
    }
}

/* One request for one token, computed by this thread. */
static llmir_status_t ask(bench_t* bench, llmir_request_info_t* info, llmir_error_t* error) {
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    llmir_request_options_t options = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_request_t* request = NULL;
    llmir_piece_t piece = {0};
    draw_tokens(bench, bench->tokens + bench->prefix_tokens, TAIL_TOKENS);
    session.max_tokens = 1;
    session.flags = LLMIR_SESSION_IGNORE_END;
    options.session = &session;
    options.tokens = bench->tokens;
    options.token_count = bench->prefix_tokens + TAIL_TOKENS;
    llmir_status_t status = llmir_scheduler_submit(bench->scheduler, &options, &request, error);
    while (status == LLMIR_STATUS_OK && piece.finish == LLMIR_FINISH_NONE) {
        status = llmir_scheduler_step(bench->scheduler, NULL, error);
        if (status == LLMIR_STATUS_OK) {
            status = llmir_request_next(request, 0, &piece, error);
        }
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_request_get_info(request, info, error);
    }
    llmir_request_destroy(request);
    return status;
}

static int compare_ms(const void* a, const void* b) {
    const double x = *(const double*)a;
    const double y = *(const double*)b;
    return (x > y) - (x < y);
}

static llmir_status_t run(bench_t* bench, uint32_t requests, double* ms, llmir_error_t* error) {
    llmir_scheduler_stats_t stats = {.struct_size = sizeof(stats)};
    llmir_request_info_t info = {.struct_size = sizeof(info)};
    llmir_status_t status = LLMIR_STATUS_OK;
    bench->tokens[0] ^= 1; /* not the prefix: code and weights are touched once before */
    status = ask(bench, &info, error);
    bench->tokens[0] ^= 1;
    uint64_t computed = 0;
    for (uint32_t i = 0; i < requests && status == LLMIR_STATUS_OK; ++i) {
        status = ask(bench, &info, error);
        ms[i] = (double)info.first_token_ns / 1e6;
        computed += info.prompt_token_count - info.reused_token_count;
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_scheduler_get_stats(bench->scheduler, &stats, error);
    }
    if (status == LLMIR_STATUS_OK) {
        const double first = ms[0];
        qsort(ms + 1, requests - 1u, sizeof(*ms), compare_ms);
        const double median = ms[1u + (requests - 1u) / 2u];
        printf(
            "%u requests with %u equal tokens and %u of their own: %llu prompt tokens computed\n"
            "first token after %.1f ms; of the later requests %.2f ms (median), %.2f ms (worst): "
            "1/%.1f\n",
            requests, bench->prefix_tokens, TAIL_TOKENS, (unsigned long long)computed, first,
            median, ms[requests - 1u], first / median);
    }
    return status;
}

static int bench_model(bench_t* bench, uint32_t requests) {
    llmir_scheduler_options_t options = LLMIR_SCHEDULER_OPTIONS_INIT;
    llmir_error_t error = {0};
    double* ms = calloc(requests, sizeof(*ms));
    bench->tokens = calloc((size_t)bench->prefix_tokens + TAIL_TOKENS, sizeof(*bench->tokens));
    options.context_tokens =
        4u * (bench->prefix_tokens + TAIL_TOKENS); /* what was computed stays */
    int result = 0;
    if (ms == NULL || bench->tokens == NULL) {
        result = cli_fail("bench_prefix", "out of memory");
    } else if (llmir_scheduler_create(bench->opened.model, &options, &bench->scheduler, &error) !=
               LLMIR_STATUS_OK) {
        result = cli_fail("bench_prefix", "%s", error.message);
    } else {
        draw_tokens(bench, bench->tokens, bench->prefix_tokens);
        if (run(bench, requests, ms, &error) != LLMIR_STATUS_OK) {
            result = cli_fail("bench_prefix", "%s", error.message);
        }
    }
    llmir_scheduler_destroy(bench->scheduler);
    free(bench->tokens);
    free(ms);
    return result;
}

int main(int argc, char** argv) {
    bench_t bench = {.prefix_tokens = 1000};
    test_random_init(&bench.random, 1);
    uint32_t requests = 16;
    llmir_error_t error = {0};
    if (argc > 2) {
        bench.prefix_tokens = (uint32_t)strtoul(argv[2], NULL, 10);
    }
    if (argc > 3) {
        requests = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    if (argc < 2 || argc > 4 || requests < 2 || bench.prefix_tokens < 1 ||
        bench.prefix_tokens > MAX_PREFIX) {
        fprintf(stderr, "usage: bench_prefix BUNDLE [PREFIX_TOKENS [REQUESTS]]\n");
        return 2;
    }
    if (open_model("bench_prefix", argv[1], NULL, 0, 0, &bench.opened, &error) != LLMIR_STATUS_OK) {
        return cli_fail("bench_prefix", "%s", error.message);
    }
    const int result = bench_model(&bench, requests);
    close_model(&bench.opened);
    return result;
}
