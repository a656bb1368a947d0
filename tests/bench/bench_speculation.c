/* What guessing gains: an answer without guesses, with those of a look-up, and with those of a
 * draft model, in turn, in one process; tokens per second while generating, and how many of the
 * guesses were right. The three answers must be the same.
 *
 *   bench_speculation BUNDLE PROMPT.txt [TOKENS [DRAFT.llmir]]        256 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/input.h"
#include "common/open.h"

#define ROUNDS 5u
#define GUESSES 8u /* at once, at most: as llmir-chat does */
#define MAX_PROMPT 8192u
#define MAX_ANSWER 4096u

enum { PLAIN, LOOKUP, DRAFT, WAYS };
static const char* const way_names[WAYS] = {"plain", "lookup", "draft"};
static const uint32_t way_options[WAYS] = {LLMIR_SPECULATION_NONE, LLMIR_SPECULATION_LOOKUP,
                                           LLMIR_SPECULATION_DRAFT};

typedef struct bench {
    opened_model_t opened;
    opened_model_t draft; /* .model NULL: none */
    int32_t prompt[MAX_PROMPT];
    size_t prompt_tokens;
    uint32_t answer_tokens; /* at most */
    int32_t answers[WAYS][MAX_ANSWER];
    uint32_t answer_counts[WAYS];
    double tokens_per_second[WAYS][ROUNDS];
    llmir_pool_stats_t stats[WAYS];
} bench_t;

static llmir_status_t read_prompt(bench_t* bench, const char* path, llmir_error_t* error) {
    size_t bytes = 0;
    char* text = input_read_file(path, &bytes);
    if (text == NULL) {
        error->code = LLMIR_STATUS_IO;
        (void)snprintf(error->message, sizeof(error->message), "%s: cannot be read", path);
        return LLMIR_STATUS_IO;
    }
    const llmir_message_t message = {"user", text, bytes};
    const llmir_status_t status =
        llmir_model_chat(bench->opened.model, &message, 1, LLMIR_CHAT_GENERATE, bench->prompt,
                         MAX_PROMPT, &bench->prompt_tokens, error);
    free(text);
    return status;
}

/* Generates in `session`, timing from the first token on: before it lies the prompt. */
static llmir_status_t answer(
    bench_t* bench, llmir_session_t* session, uint32_t way, uint32_t round, llmir_error_t* error) {
    llmir_piece_t piece = {0};
    double start_ms = 0.0;
    uint32_t count = 0;
    llmir_status_t status = llmir_session_feed(session, bench->prompt, bench->prompt_tokens, error);
    while (status == LLMIR_STATUS_OK && piece.finish == LLMIR_FINISH_NONE) {
        status = llmir_session_next(session, &piece, error);
        if (count == 0) {
            start_ms = input_now_ms();
        }
        if (status == LLMIR_STATUS_OK && piece.token >= 0 && count < MAX_ANSWER) {
            bench->answers[way][count++] = piece.token;
        }
    }
    bench->answer_counts[way] = count;
    bench->tokens_per_second[way][round] =
        count > 1 ? (count - 1u) * 1e3 / (input_now_ms() - start_ms) : 0.0;
    return status;
}

/* A pool with a session for `way`, used once. */
static llmir_status_t run_way(bench_t* bench, uint32_t way, uint32_t round, llmir_error_t* error) {
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_pool_t* pool = NULL;
    llmir_session_t* session = NULL;
    llmir_status_t status = LLMIR_STATUS_OK;
    options.max_tokens = bench->answer_tokens;
    options.context_tokens = (uint32_t)bench->prompt_tokens + bench->answer_tokens + 32u;
    pool_options.context_tokens = options.context_tokens;
    if (way == DRAFT) {
        status = llmir_session_create(bench->draft.model, NULL, &options, &options.draft, error);
    }
    options.speculation = way_options[way];
    pool_options.guess_tokens = way == PLAIN ? 0u : GUESSES;
    if (status == LLMIR_STATUS_OK) {
        status = llmir_pool_create(bench->opened.model, &pool_options, &pool, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_create(bench->opened.model, pool, &options, &session, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = answer(bench, session, way, round, error);
    }
    if (status == LLMIR_STATUS_OK) {
        bench->stats[way].struct_size = sizeof(bench->stats[way]);
        status = llmir_pool_get_stats(pool, &bench->stats[way], error);
    }
    llmir_session_destroy(session);
    llmir_session_destroy(options.draft);
    llmir_pool_destroy(pool);
    return status;
}

static int compare(const void* a, const void* b) {
    const double x = *(const double*)a;
    const double y = *(const double*)b;
    return (x > y) - (x < y);
}

static int report(bench_t* bench, uint32_t ways) {
    double plain = 0.0;
    printf("%zu tokens of prompt, %u of answer\n", bench->prompt_tokens,
           bench->answer_counts[PLAIN]);
    for (uint32_t way = 0; way < ways; ++way) {
        qsort(bench->tokens_per_second[way], ROUNDS, sizeof(double), compare);
        const double median = bench->tokens_per_second[way][ROUNDS / 2u];
        plain = way == PLAIN ? median : plain;
        printf("%-8s %8.1f tokens/s  %.2fx  %llu guessed, %llu right\n", way_names[way], median,
               median / plain, (unsigned long long)bench->stats[way].guessed_token_count,
               (unsigned long long)bench->stats[way].accepted_token_count);
        if (bench->answer_counts[way] != bench->answer_counts[PLAIN] ||
            memcmp(bench->answers[way], bench->answers[PLAIN],
                   bench->answer_counts[PLAIN] * sizeof(int32_t)) != 0) {
            return cli_fail("bench_speculation", "%s: another answer", way_names[way]);
        }
    }
    return 0;
}

static int run(bench_t* bench, const char* prompt_path) {
    llmir_error_t error = {0};
    const uint32_t ways = bench->draft.model != NULL ? WAYS : DRAFT;
    llmir_status_t status = read_prompt(bench, prompt_path, &error);
    for (uint32_t i = 0; i < ROUNDS * ways && status == LLMIR_STATUS_OK; ++i) {
        status = run_way(bench, i % ways, i / ways, &error);
    }
    return status == LLMIR_STATUS_OK ? report(bench, ways)
                                     : cli_fail("bench_speculation", "%s", error.message);
}

int main(int argc, char** argv) {
    static bench_t bench;
    llmir_error_t error = {0};
    bench.answer_tokens = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 256u;
    if (argc < 3 || argc > 5 || bench.answer_tokens < 2 || bench.answer_tokens > MAX_ANSWER) {
        fprintf(stderr,
                "usage: bench_speculation BUNDLE PROMPT.txt [TOKENS [DRAFT.llmir]], 2 to %u "
                "tokens\n",
                MAX_ANSWER);
        return 2;
    }
    if (open_model("bench_speculation", argv[1], NULL, 0, 0, &bench.opened, &error) !=
            LLMIR_STATUS_OK ||
        (argc > 4 && open_model("bench_speculation", argv[4], NULL, 0, 0, &bench.draft, &error) !=
                         LLMIR_STATUS_OK)) {
        return cli_fail("bench_speculation", "%s", error.message);
    }
    const int result = run(&bench, argv[2]);
    if (bench.draft.model != NULL) {
        close_model(&bench.draft);
    }
    close_model(&bench.opened);
    return result;
}
