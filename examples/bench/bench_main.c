/* llmir-bench: tokens per second of prompts, decoding and batches, beside the machine's limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "common/cli.h"
#include "common/input.h"
#include "common/json.h"
#include "common/open.h"
#include "common/system.h"

const char bench_program_name[] = "llmir-bench";

static const char usage[] =
    "usage: llmir-bench BUNDLE [-p 512] [-n 128] [-d DEPTH] [-b BATCH] [-t THREADS[,...]] [-r "
    "REPEATS]\n"
    "                   [--kv TYPE] [--device NAME] [--gpu-layers N] [--gpu-memory MIB]\n"
    "                   [--no-roofline] [--trace FILE] [--json]\n"
    "  -p N           tokens of the prompt test, 0: leave it out\n"
    "  -n N           tokens of the decode test, 0: leave it out\n"
    "  -d DEPTH       tokens in the context before decoding (0)\n"
    "  -b BATCH       also decode that many sequences together (1 .. 64)\n"
    "  --kv TYPE      storage of keys and values: " OPEN_KV_NAMES
    " (f16)\n"
    "  -t THREADS     numbers of threads to try, e.g. 1,2 (one per core)\n"
    "  -r REPEATS     counted runs of each test after one to warm up (5)\n"
    "  --no-roofline  do not measure the machine's limits\n"
    "  --trace FILE   write a span for each pass and dispatch, in Chrome's trace format\n";

static void print_json_result(const bench_result_t* result, uint64_t bytes_per_token) {
    printf(
        "{\"test\": \"%s\", \"tokens\": %u, \"depth\": %u, \"batch\": %u, \"threads\": %u, "
        "\"tokens_per_second\": %.3f, \"repeats\": [",
        result->test, result->tokens, result->depth, result->batch, result->threads,
        result->tokens_per_second);
    for (uint32_t i = 0; i < result->repeat_count; ++i) {
        printf(i == 0 ? "%.3f" : ", %.3f", result->repeats[i]);
    }
    printf("], \"bytes_per_token\": %llu, \"roofline_share\": %.4f}",
           (unsigned long long)bytes_per_token, result->roofline_share);
}

static void print_json(const bench_options_t* options, const bench_report_t* report) {
    fputs("{\"bundle\": ", stdout);
    json_write_string(stdout, options->bundle, strlen(options->bundle));
    printf(
        ", \"device\": \"%s\", \"code\": \"%s\", \"kv\": \"%s\", \"threads\": %u, \"load_ms\": "
        "%.3f, "
        "\"first_token_ms\": %.3f, "
        "\"peak_rss_bytes\": %llu, \"arena_bytes\": %llu, "
        "\"roofline\": {\"read_bytes_per_second\": %.0f, \"int8_ops_per_second\": %.0f}, "
        "\"results\": [",
        report->device, report->code, options->kv != NULL ? options->kv : "f16", report->threads,
        report->load_ms, report->first_token_ms, (unsigned long long)input_peak_rss_bytes(),
        (unsigned long long)report->arena_bytes, report->roofline.read_bytes_per_second,
        report->roofline.int8_ops_per_second);
    for (size_t i = 0; i < report->result_count; ++i) {
        fputs(i == 0 ? "" : ", ", stdout);
        print_json_result(&report->results[i], report->costs.bytes_per_token);
    }
    fputs("]}\n", stdout);
}

static void print_text(const bench_report_t* report) {
    printf("%s, %s: load %.1f ms, first token after %.1f ms, peak RSS %.1f MiB, arena %.1f MiB\n",
           report->device, report->code, report->load_ms, report->first_token_ms,
           (double)input_peak_rss_bytes() / (1 << 20), (double)report->arena_bytes / (1 << 20));
    if (report->roofline.read_bytes_per_second > 0) {
        printf("limits: memory read %.1f GB/s, int8 %.0f GOPS\n",
               report->roofline.read_bytes_per_second * 1e-9,
               report->roofline.int8_ops_per_second * 1e-9);
    }
    printf("%-8s %7s %7s %6s %8s %12s %10s\n", "test", "tokens", "depth", "batch", "threads",
           "tokens/s", "of limit");
    for (size_t i = 0; i < report->result_count; ++i) {
        const bench_result_t* result = &report->results[i];
        printf("%-8s %7u %7u %6u %8u %12.2f ", result->test, result->tokens, result->depth,
               result->batch, result->threads, result->tokens_per_second);
        if (result->roofline_share > 0) {
            printf("%9.1f%%\n", 100.0 * result->roofline_share);
        } else {
            printf("%10s\n", "-");
        }
    }
}

/* Takes the next number of a list like "1,2,4"; returns 0 at its end, -1 if it is none. */
static int next_threads(const char** inout_text, uint32_t* out) {
    char* end = NULL;
    if (**inout_text == '\0') {
        return 0;
    }
    const unsigned long value = strtoul(*inout_text, &end, 10);
    if (end == *inout_text || value == 0 || value > 1024 || (*end != '\0' && *end != ',')) {
        return -1;
    }
    *out = (uint32_t)value;
    *inout_text = *end == ',' ? end + 1 : end;
    return 1;
}

static int run_all(const bench_options_t* options, bench_report_t* report) {
    llmir_error_t error = {0};
    const char* list = options->threads_text != NULL ? options->threads_text : "";
    uint32_t threads = 0;
    int more = options->threads_text == NULL ? 1 : next_threads(&list, &threads);
    bench_read_costs(options->bundle, &report->costs);
    while (more == 1) {
        if (!options->no_roofline) {
            bench_measure_roofline(threads != 0 ? threads : 2, &report->roofline);
        }
        if (bench_run(options, threads, report, &error) != LLMIR_STATUS_OK) {
            return cli_fail(bench_program_name, "%s", error.message);
        }
        more = next_threads(&list, &threads);
    }
    return more == 0 ? 0
                     : cli_fail(bench_program_name, "-t '%s': expected numbers like 1,2",
                                options->threads_text);
}

int main(int argc, char** argv) {
    static bench_report_t report;
    bench_options_t bench = {.prompt_tokens = 512, .decode_tokens = 128, .batch = 1, .repeats = 5};
    bench_trace_t trace = {0};
    const cli_option_t options[] = {
        {"-p", "--prompt", CLI_U32, &bench.prompt_tokens},
        {"-n", "--decode", CLI_U32, &bench.decode_tokens},
        {"-d", "--depth", CLI_U32, &bench.depth},
        {"-b", "--batch", CLI_U32, &bench.batch},
        {"-t", "--threads", CLI_STRING, &bench.threads_text},
        {"-r", "--repeats", CLI_U32, &bench.repeats},
        {"--kv", NULL, CLI_STRING, &bench.kv},
        OPEN_DEVICE_OPTIONS(bench.device),
        {"--no-roofline", NULL, CLI_FLAG, &bench.no_roofline},
        {"--trace", NULL, CLI_STRING, &bench.trace_path},
        {"--json", NULL, CLI_FLAG, &bench.json},
    };
    const cli_program_t program = {bench_program_name, usage, options,
                                   sizeof(options) / sizeof(options[0])};
    system_begin(&argc, &argv);
    const int leave = cli_parse(&program, argc, argv, &bench.bundle, 1);
    if (leave >= 0) {
        return leave;
    }
    if (bench.batch == 0 || bench.batch > 64 || bench.repeats == 0 ||
        bench.repeats > BENCH_MAX_REPEATS) {
        return cli_usage(&program, "-b takes 1 .. 64 and -r 1 .. %u", BENCH_MAX_REPEATS);
    }
    if (!open_kv_type(bench.kv, &bench.kv_type)) {
        return cli_usage(&program, "--kv '%s': expected " OPEN_KV_NAMES, bench.kv);
    }
    bench.trace = &trace;
    if (bench.trace_path != NULL && !bench_trace_begin(&trace, bench.trace_path)) {
        return cli_fail(bench_program_name, "cannot write '%s'", bench.trace_path);
    }
    int result = run_all(&bench, &report);
    if (!bench_trace_end(&trace) && result == 0) {
        result = cli_fail(bench_program_name, "cannot write '%s'", bench.trace_path);
    }
    if (result == 0) {
        if (bench.json) {
            print_json(&bench, &report);
        } else {
            print_text(&report);
        }
    }
    return result;
}
