/* llmir-perplexity: how well a model predicts a text.
 * The text's tokens are cut into windows of `context` tokens that begin every `stride` tokens; each
 * token is predicted once, from the start of the first window that holds it (never the first token
 * of a window). nll is the mean negative natural log-likelihood. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/input.h"
#include "common/json.h"
#include "common/open.h"
#include "common/system.h"

#define ROWS_AT_ONCE 32u /* rows of logits kept at a time */

static const char program_name[] = "llmir-perplexity";
static const char usage[] =
    "usage: llmir-perplexity BUNDLE -f TEXT [-c CONTEXT] [--stride N] [--kv TYPE] [--threads N] "
    "[--json]\n"
    "  -f TEXT      file with the text, - for standard input\n"
    "  -c CONTEXT   tokens of a window (512)\n"
    "  --stride N   tokens between the starts of two windows (CONTEXT)\n"
    "  --kv TYPE    storage of keys and values: " OPEN_KV_NAMES
    " (f16)\n"
    "  --threads N  threads that compute (one per core)\n"
    "  --json       print one JSON object\n";

typedef struct settings {
    const char* text_path;
    uint32_t context;
    uint32_t stride;
    uint32_t kv_type;
    int32_t json;
} settings_t;

typedef struct evaluation {
    llmir_pool_t* pool;
    llmir_session_t* session;
    float* rows; /* [ROWS_AT_ONCE][vocab_count] */
    uint32_t vocab_count;
    double nll_sum;
    size_t count;
} evaluation_t;

/* Negative log-likelihood of `target` under a row of logits, in double precision. */
static double row_nll(const float* row, uint32_t vocab_count, int32_t target) {
    double top = row[0], sum = 0.0;
    for (uint32_t i = 1; i < vocab_count; ++i) {
        top = row[i] > top ? row[i] : top;
    }
    for (uint32_t i = 0; i < vocab_count; ++i) {
        sum += exp(row[i] - top);
    }
    return top + log(sum) - row[target];
}

/* Evaluates one window; tokens before `first_new` are context only. */
static llmir_status_t evaluate_window(evaluation_t* evaluation,
                                      const int32_t* ids,
                                      size_t count,
                                      size_t first_new,
                                      llmir_error_t* error) {
    llmir_session_reset(evaluation->session);
    for (size_t done = 0; done + 1 < count;) {
        const size_t left =
            count - 1 - done; /* the last token predicts nothing inside the window */
        const size_t take = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        const llmir_feed_t feed = {evaluation->session, ids + done, take, evaluation->rows};
        const llmir_status_t status = llmir_pool_feed(evaluation->pool, &feed, 1, error);
        if (status != LLMIR_STATUS_OK) {
            return status;
        }
        for (size_t i = 0; i < take; ++i) {
            if (done + i + 1 >= first_new) {
                const float* row = evaluation->rows + i * evaluation->vocab_count;
                evaluation->nll_sum += row_nll(row, evaluation->vocab_count, ids[done + i + 1]);
                ++evaluation->count;
            }
        }
        done += take;
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t evaluate(evaluation_t* evaluation,
                               const int32_t* ids,
                               size_t count,
                               const settings_t* settings,
                               llmir_error_t* error) {
    const uint32_t context = settings->context;
    size_t counted = 0; /* tokens before this one are done */
    for (size_t start = 0; start + 1 < count; start += settings->stride) {
        const size_t length = count - start < context ? count - start : context;
        const size_t first_new = counted > start ? counted - start : 0;
        const llmir_status_t status =
            evaluate_window(evaluation, ids + start, length, first_new, error);
        if (status != LLMIR_STATUS_OK) {
            return status;
        }
        counted = start + length;
        if (counted == count) {
            break;
        }
    }
    return LLMIR_STATUS_OK;
}

static void print_result(const evaluation_t* evaluation,
                         const char* path,
                         double seconds,
                         int json) {
    const double nll = evaluation->nll_sum / (double)evaluation->count;
    if (!json) {
        printf("perplexity %.4f (nll %.6f over %zu tokens, %.2f s)\n", exp(nll), nll,
               evaluation->count, seconds);
        return;
    }
    fputs("{\"bundle\": ", stdout);
    json_write_string(stdout, path, strlen(path));
    printf(", \"tokens\": %zu, \"nll\": %.9f, \"perplexity\": %.9f, \"seconds\": %.3f}\n",
           evaluation->count, nll, exp(nll), seconds);
}

/* Allocates what an evaluation needs; on failure the error is filled. */
static llmir_status_t prepare(const opened_model_t* opened,
                              const settings_t* settings,
                              evaluation_t* out,
                              llmir_error_t* error) {
    llmir_pool_options_t options = LLMIR_POOL_OPTIONS_INIT;
    options.context_tokens = settings->context;
    options.kv_type = settings->kv_type;
    options.chunk_tokens = ROWS_AT_ONCE;
    options.output_rows = ROWS_AT_ONCE;
    out->vocab_count = opened->info.vocab_count;
    out->rows = malloc((size_t)ROWS_AT_ONCE * out->vocab_count * sizeof(float));
    if (out->rows == NULL) {
        error->code = LLMIR_STATUS_OUT_OF_MEMORY;
        snprintf(error->message, sizeof(error->message), "no memory for %u rows of logits",
                 ROWS_AT_ONCE);
        return LLMIR_STATUS_OUT_OF_MEMORY;
    }
    const llmir_status_t status = llmir_pool_create(opened->model, &options, &out->pool, error);
    return status != LLMIR_STATUS_OK
               ? status
               : llmir_session_create(opened->model, out->pool, NULL, &out->session, error);
}

static int run(const opened_model_t* opened, const char* path, const settings_t* settings) {
    llmir_error_t error = {0};
    size_t bytes = 0, count = 0;
    char* text = input_read_file(settings->text_path, &bytes);
    if (text == NULL) {
        return cli_fail(program_name, "cannot read '%s': %s", settings->text_path, strerror(errno));
    }
    int32_t* ids =
        open_tokenize(opened->model, text, bytes, LLMIR_TOKENIZE_ADD_BOS, &count, &error);
    evaluation_t evaluation = {0};
    int result = 1;
    const double start = input_now_ms();
    if (ids == NULL || prepare(opened, settings, &evaluation, &error) != LLMIR_STATUS_OK ||
        evaluate(&evaluation, ids, count, settings, &error) != LLMIR_STATUS_OK) {
        cli_fail(program_name, "%s", error.message);
    } else if (evaluation.count == 0) {
        cli_fail(program_name, "'%s' has %zu tokens, at least 2 are needed", settings->text_path,
                 count);
    } else {
        print_result(&evaluation, path, (input_now_ms() - start) * 1e-3, settings->json);
        result = 0;
    }
    llmir_session_destroy(evaluation.session);
    llmir_pool_destroy(evaluation.pool);
    free(evaluation.rows);
    free(ids);
    free(text);
    return result;
}

int main(int argc, char** argv) {
    const char *path = NULL, *device = NULL, *kv = NULL;
    settings_t settings = {.context = 512};
    uint32_t threads = 0;
    const cli_option_t options[] = {{"-f", "--file", CLI_STRING, &settings.text_path},
                                    {"-c", "--context", CLI_U32, &settings.context},
                                    {"--stride", NULL, CLI_U32, &settings.stride},
                                    {"--kv", NULL, CLI_STRING, &kv},
                                    {"--threads", "-t", CLI_U32, &threads},
                                    {"--device", NULL, CLI_STRING, &device},
                                    {"--json", NULL, CLI_FLAG, &settings.json}};
    const cli_program_t program = {program_name, usage, options,
                                   sizeof(options) / sizeof(options[0])};
    system_begin(&argc, &argv);
    const int leave = cli_parse(&program, argc, argv, &path, 1);
    if (leave >= 0) {
        return leave;
    }
    if (settings.text_path == NULL) {
        return cli_usage(&program, "option '-f' is missing");
    }
    if (!open_kv_type(kv, &settings.kv_type)) {
        return cli_usage(&program, "--kv '%s': expected " OPEN_KV_NAMES, kv);
    }
    if (settings.context < 2 || settings.stride > settings.context) {
        return cli_usage(&program,
                         "context %u, stride %u: expected 2 or more, and stride at most context",
                         settings.context, settings.stride);
    }
    settings.stride = settings.stride == 0 ? settings.context : settings.stride;
    opened_model_t opened;
    llmir_error_t error = {0};
    if (open_model(program_name, path, device, threads, 0, &opened, &error) != LLMIR_STATUS_OK) {
        return cli_fail(program_name, "%s", error.message);
    }
    const int result = run(&opened, path, &settings);
    close_model(&opened);
    return result;
}
