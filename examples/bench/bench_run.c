/* The timed runs: a prompt in one feed, decoding token by token, and a batch of sequences side by
 * side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "common/input.h"
#include "common/open.h"

#define BATCH_PROMPT 128u /* tokens of each sequence before a batch test decodes */
#define MAX_BATCH 64u
#define LARGEST_PAGE 256u /* of any model, in tokens */

typedef struct bench_state {
    const bench_options_t* options;
    llmir_model_t* model;
    llmir_pool_t* pool;
    llmir_session_t* sessions[MAX_BATCH];
    int32_t* tokens; /* random ids, as many as the longest context */
    size_t token_count;
} bench_state_t;

/* Ids that depend on nothing: splitmix64. */
static void fill_tokens(int32_t* tokens, size_t count, uint32_t vocab_count) {
    uint64_t state = 42;
    for (size_t i = 0; i < count; ++i) {
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        tokens[i] = (int32_t)((z ^ z >> 31) % vocab_count);
    }
}

static int compare_doubles(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(const double* values, uint32_t count) {
    double sorted[BENCH_MAX_REPEATS];
    memcpy(sorted, values, count * sizeof(double));
    qsort(sorted, count, sizeof(double), compare_doubles);
    return count % 2 ? sorted[count / 2] : 0.5 * (sorted[count / 2 - 1] + sorted[count / 2]);
}

/* One run of a test after its preparation; *out_ms is the timed part. */
typedef llmir_status_t (*run_fn)(bench_state_t* state, double* out_ms, llmir_error_t* error);

static llmir_status_t run_prompt(bench_state_t* state, double* out_ms, llmir_error_t* error) {
    llmir_session_reset(state->sessions[0]);
    const double start = input_now_ms();
    const llmir_status_t status =
        llmir_session_feed(state->sessions[0], state->tokens, state->options->prompt_tokens, error);
    *out_ms = input_now_ms() - start;
    return status;
}

static llmir_status_t run_decode(bench_state_t* state, double* out_ms, llmir_error_t* error) {
    llmir_status_t status = LLMIR_STATUS_OK;
    const uint32_t depth = state->options->depth;
    llmir_session_reset(state->sessions[0]);
    if (depth > 0) {
        status = llmir_session_feed(state->sessions[0], state->tokens, depth, error);
    }
    const double start = input_now_ms();
    for (uint32_t i = 0; i < state->options->decode_tokens && status == LLMIR_STATUS_OK; ++i) {
        status = llmir_session_feed(state->sessions[0], state->tokens + depth + i, 1, error);
    }
    *out_ms = input_now_ms() - start;
    return status;
}

static llmir_status_t run_batch(bench_state_t* state, double* out_ms, llmir_error_t* error) {
    llmir_status_t status = LLMIR_STATUS_OK;
    const uint32_t batch = state->options->batch;
    const uint32_t depth = state->options->depth > 0 ? state->options->depth : BATCH_PROMPT;
    llmir_feed_t feeds[MAX_BATCH];
    for (uint32_t b = 0; b < batch && status == LLMIR_STATUS_OK; ++b) {
        llmir_session_reset(state->sessions[b]);
        status = llmir_session_feed(state->sessions[b], state->tokens + b, depth, error);
    }
    const double start = input_now_ms();
    for (uint32_t i = 0; i < state->options->decode_tokens && status == LLMIR_STATUS_OK; ++i) {
        for (uint32_t b = 0; b < batch; ++b) {
            feeds[b] = (llmir_feed_t){state->sessions[b], state->tokens + depth + i, 1, NULL};
        }
        status = llmir_pool_feed(state->pool, feeds, batch, error);
    }
    *out_ms = input_now_ms() - start;
    return status;
}

/* Repeats a test (one run more to warm up) and appends its result. */
static llmir_status_t repeat(bench_state_t* state,
                             run_fn run,
                             bench_result_t result,
                             bench_report_t* inout_report,
                             llmir_error_t* error) {
    if (inout_report->result_count == BENCH_MAX_RESULTS) {
        return LLMIR_STATUS_OK;
    }
    for (uint32_t i = 0; i <= state->options->repeats; ++i) {
        double ms = 0;
        const llmir_status_t status = run(state, &ms, error);
        if (status != LLMIR_STATUS_OK) {
            return status;
        }
        if (i > 0) {
            result.repeats[i - 1] = 1e3 * result.tokens * result.batch / ms;
        }
    }
    result.repeat_count = state->options->repeats;
    result.tokens_per_second = median(result.repeats, result.repeat_count);
    const bench_roofline_t* roof = &inout_report->roofline;
    if (result.test[0] == 'd' && roof->read_bytes_per_second > 0) {
        result.roofline_share = result.tokens_per_second *
                                (double)inout_report->costs.bytes_per_token /
                                roof->read_bytes_per_second;
    } else if (result.test[0] == 'p' && roof->int8_ops_per_second > 0) {
        result.roofline_share = result.tokens_per_second *
                                (double)inout_report->costs.int_ops_per_token /
                                roof->int8_ops_per_second;
    }
    inout_report->results[inout_report->result_count++] = result;
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_tests(bench_state_t* state,
                                uint32_t threads,
                                bench_report_t* inout_report,
                                llmir_error_t* error) {
    const bench_options_t* options = state->options;
    llmir_status_t status = LLMIR_STATUS_OK;
    if (options->prompt_tokens > 0) {
        const bench_result_t result = {
            .test = "prompt", .tokens = options->prompt_tokens, .batch = 1, .threads = threads};
        status = repeat(state, run_prompt, result, inout_report, error);
    }
    if (options->decode_tokens > 0 && status == LLMIR_STATUS_OK) {
        const bench_result_t result = {.test = "decode",
                                       .tokens = options->decode_tokens,
                                       .depth = options->depth,
                                       .batch = 1,
                                       .threads = threads};
        status = repeat(state, run_decode, result, inout_report, error);
    }
    if (options->batch > 1 && options->decode_tokens > 0 && status == LLMIR_STATUS_OK) {
        const bench_result_t result = {.test = "batch",
                                       .tokens = options->decode_tokens,
                                       .depth = options->depth > 0 ? options->depth : BATCH_PROMPT,
                                       .batch = options->batch,
                                       .threads = threads};
        status = repeat(state, run_batch, result, inout_report, error);
    }
    return status;
}

/* Positions of the longest sequence. */
static uint32_t longest_of(const bench_options_t* options) {
    const uint32_t depth = options->depth > BATCH_PROMPT ? options->depth : BATCH_PROMPT;
    const uint32_t decode = depth + options->decode_tokens + 1;
    return decode > options->prompt_tokens ? decode : options->prompt_tokens;
}

/* The pool, for pages of `page_tokens`. */
static llmir_pool_options_t pool_options(const bench_options_t* options, uint32_t page_tokens) {
    llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
    pool.session_count = options->batch;
    pool.kv_type = options->kv_type;
    pool.context_tokens = options->batch * (longest_of(options) + page_tokens);
    return pool;
}

/* The pool and its sessions, and the announced arena. */
static llmir_status_t prepare(bench_state_t* state,
                              const llmir_model_info_t* info,
                              bench_report_t* inout_report,
                              llmir_error_t* error) {
    const bench_options_t* options = state->options;
    const llmir_pool_options_t pool = pool_options(options, info->kv_page_tokens);
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    const uint32_t longest = longest_of(options);
    session.flags = LLMIR_SESSION_NO_SHARING; /* every repeat computes everything */
    state->token_count = longest + MAX_BATCH;
    state->tokens = malloc(state->token_count * sizeof(*state->tokens));
    if (state->tokens == NULL) {
        error->code = LLMIR_STATUS_OUT_OF_MEMORY;
        snprintf(error->message, sizeof(error->message), "no memory for %zu tokens",
                 state->token_count);
        return LLMIR_STATUS_OUT_OF_MEMORY;
    }
    fill_tokens(state->tokens, state->token_count, info->vocab_count);
    llmir_status_t status = llmir_model_memory_plan(state->model, &pool, &plan, error);
    if (status == LLMIR_STATUS_OK) {
        inout_report->arena_bytes = plan.arena_bytes;
        status = llmir_pool_create(state->model, &pool, &state->pool, error);
    }
    for (uint32_t b = 0; b < options->batch && status == LLMIR_STATUS_OK; ++b) {
        status =
            llmir_session_create(state->model, state->pool, &session, &state->sessions[b], error);
    }
    return status;
}

llmir_status_t bench_run(const bench_options_t* options,
                         uint32_t threads,
                         bench_report_t* inout_report,
                         llmir_error_t* error) {
    bench_state_t state = {.options = options};
    opened_model_t opened;
    const double start = input_now_ms();
    const llmir_pool_options_t pool = pool_options(options, LARGEST_PAGE);
    const open_request_t request = {.program = bench_program_name,
                                    .path = options->bundle,
                                    .device = &options->device,
                                    .pool = &pool,
                                    .threads = threads,
                                    .trace = options->trace->event,
                                    .trace_user = options->trace};
    llmir_status_t status = open_model_traced(&request, &opened, error);
    if (status != LLMIR_STATUS_OK) {
        return status;
    }
    state.model = opened.model;
    inout_report->load_ms = opened.load_ms;
    inout_report->threads = llmir_runtime_thread_count(opened.runtime);
    snprintf(inout_report->device, sizeof(inout_report->device), "%s", opened.info.device);
    snprintf(inout_report->code, sizeof(inout_report->code), "%s", opened.info.code);
    status = prepare(&state, &opened.info, inout_report, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_feed(state.sessions[0], state.tokens, 1, error);
        inout_report->first_token_ms = input_now_ms() - start;
    }
    if (status == LLMIR_STATUS_OK) {
        status = run_tests(&state, inout_report->threads, inout_report, error);
    }
    for (uint32_t b = 0; b < MAX_BATCH; ++b) {
        llmir_session_destroy(state.sessions[b]);
    }
    llmir_pool_destroy(state.pool);
    free(state.tokens);
    close_model(&opened);
    return status;
}
