/* llmir-bench, its parts:  bench_run.c       the timed runs
 *                          bench_roofline.c  the machine's limits: memory read bandwidth, int8
 * multiply-add rate bench_bundle.c    what a token costs by the plan: bytes read, integer
 * operations
 *                          bench_trace.c     spans in Chrome's trace format */
#ifndef LLMIR_EXAMPLES_BENCH_H
#define LLMIR_EXAMPLES_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/open.h"
#include "llmir.h"

#define BENCH_MAX_REPEATS 64u
#define BENCH_MAX_RESULTS 64u

extern const char bench_program_name[];

/* Where spans go. */
typedef struct bench_trace {
    FILE* file; /* NULL: no tracing */
    llmir_trace_fn event;
    uint64_t start_ns, event_count;
} bench_trace_t;

typedef struct bench_options {
    const char* bundle;
    open_device_t device;
    const char* threads_text; /* "1,2"; NULL: one per core */
    const char* kv;           /* NULL: f16 */
    uint32_t kv_type;
    uint32_t prompt_tokens, decode_tokens, depth, batch, repeats;
    int32_t json, no_roofline;
    const char* trace_path; /* NULL: no trace */
    bench_trace_t* trace;
} bench_options_t;

typedef struct bench_roofline {
    double read_bytes_per_second;
    double
        int8_ops_per_second; /* a multiply and an add are two; 0: not measured on this processor */
} bench_roofline_t;

typedef struct bench_costs {
    uint64_t bytes_per_token;   /* weights that one decoded token reads */
    uint64_t int_ops_per_token; /* of the integer matrix products of a prompt's token */
} bench_costs_t;

typedef struct bench_result {
    const char* test; /* "prompt", "decode" or "batch" */
    uint32_t tokens, depth, batch, threads, repeat_count;
    double repeats[BENCH_MAX_REPEATS]; /* tokens per second */
    double tokens_per_second;          /* median */
    double roofline_share;             /* 0: unknown */
} bench_result_t;

typedef struct bench_report {
    double load_ms, first_token_ms;
    uint64_t arena_bytes;
    char device[160];
    char code[64];
    uint32_t threads;
    bench_roofline_t roofline;
    bench_costs_t costs;
    bench_result_t results[BENCH_MAX_RESULTS];
    size_t result_count;
} bench_report_t;

/* Measures the limits with `threads` threads for about half a second. */
void bench_measure_roofline(uint32_t threads, bench_roofline_t* out);

/* Reads the plan of a bundle file; zeros if it cannot be read. */
void bench_read_costs(const char* path, bench_costs_t* out);

/* Begins a trace file; 0 if it cannot be written. */
int bench_trace_begin(bench_trace_t* trace, const char* path);

/* Completes the file, if there is one; 0 if that failed. */
int bench_trace_end(bench_trace_t* trace);

/* Runs all tests with one number of threads and appends the results. */
llmir_status_t bench_run(const bench_options_t* options,
                         uint32_t threads,
                         bench_report_t* inout_report,
                         llmir_error_t* error);

#endif /* LLMIR_EXAMPLES_BENCH_H */
