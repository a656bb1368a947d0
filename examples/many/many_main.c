/* llmir-many: one scheduler, many requests from several threads. Each thread asks its share of the
 * questions, one after the other, and reads the answers as they come; the scheduler computes all of
 * them together. --check asks each question once more, alone, and compares. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/input.h"
#include "common/open.h"
#include "llmir.h"

#define ANSWER_BYTES 8192
#define PROMPT_TOKENS 512

static const char* const questions[] = {
    "What is the capital of %s?",
    "Write one sentence about the weather in %s.",
    "Name three things that people in %s like to eat.",
    "How would you travel to %s?",
};
static const char* const places[] = {"France", "Japan",  "Kenya",  "Brazil",
                                     "Norway", "Canada", "Turkey", "Vietnam"};

typedef struct many {
    llmir_model_t* model;
    llmir_scheduler_t* scheduler;
    uint32_t request_count;
    uint32_t max_tokens;
    char (*answers)[ANSWER_BYTES]; /* [request] terminated */
} many_t;

/* One thread's share: every `step`-th question from `first` on. */
typedef struct share {
    const many_t* many;
    uint32_t first;
    uint32_t step;
    llmir_error_t error; /* code 0: all were answered */
} share_t;

static llmir_status_t make_prompt(
    const many_t* many, uint32_t index, int32_t* tokens, size_t* out_count, llmir_error_t* error) {
    char text[256];
    const int bytes = snprintf(text, sizeof(text), questions[index % 4u], places[index / 4u % 8u]);
    const llmir_message_t message = {"user", text, (size_t)bytes};
    return llmir_model_chat(many->model, &message, 1, LLMIR_CHAT_GENERATE, tokens, PROMPT_TOKENS,
                            out_count, error);
}

static void append(char* answer, const llmir_piece_t* piece) {
    const size_t used = strlen(answer);
    const size_t room = ANSWER_BYTES - 1u - used;
    const size_t bytes = piece->text_bytes < room ? piece->text_bytes : room;
    memcpy(answer + used, piece->text, bytes);
    answer[used + bytes] = '\0';
}

/* Asks one question and reads its answer to the end. */
static llmir_status_t ask(const many_t* many, uint32_t index, llmir_error_t* error) {
    int32_t tokens[PROMPT_TOKENS];
    llmir_request_options_t options = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    llmir_request_t* request = NULL;
    llmir_piece_t piece = {0};
    options.tokens = tokens;
    options.session = &session;
    session.max_tokens = many->max_tokens;
    llmir_status_t status = make_prompt(many, index, tokens, &options.token_count, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_scheduler_submit(many->scheduler, &options, &request, error);
    }
    while (status == LLMIR_STATUS_OK && piece.finish == LLMIR_FINISH_NONE) {
        status = llmir_request_next(request, UINT64_MAX, &piece, error);
        append(many->answers[index], &piece);
    }
    llmir_request_destroy(request);
    return status;
}

static void* run_share(void* user) {
    share_t* share = user;
    for (uint32_t i = share->first; i < share->many->request_count; i += share->step) {
        if (ask(share->many, i, &share->error) != LLMIR_STATUS_OK) {
            break;
        }
    }
    return NULL;
}

/* Answers everything with `thread_count` threads. */
static llmir_status_t run_all(const many_t* many, uint32_t thread_count, llmir_error_t* error) {
    pthread_t* threads = calloc(thread_count, sizeof(*threads));
    share_t* shares = calloc(thread_count, sizeof(*shares));
    uint32_t started = 0;
    *error = (llmir_error_t){0};
    while (threads != NULL && shares != NULL && started < thread_count) {
        shares[started] = (share_t){many, started, thread_count, {0}};
        if (pthread_create(&threads[started], NULL, run_share, &shares[started]) != 0) {
            break;
        }
        ++started;
    }
    if (started < thread_count) {
        error->code = LLMIR_STATUS_OUT_OF_MEMORY;
        (void)snprintf(error->message, sizeof(error->message), "%u of %u threads started", started,
                       thread_count);
    }
    for (uint32_t i = 0; i < started; ++i) {
        (void)pthread_join(threads[i], NULL);
        if (shares[i].error.code != LLMIR_STATUS_OK) {
            *error = shares[i].error;
        }
    }
    free(threads);
    free(shares);
    return (llmir_status_t)error->code;
}

/* Asks each question of a session that is alone, and compares. */
static llmir_status_t check(const many_t* many, uint32_t* out_different, llmir_error_t* error) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    int32_t tokens[PROMPT_TOKENS];
    char answer[ANSWER_BYTES];
    options.max_tokens = many->max_tokens;
    llmir_status_t status = llmir_session_create(many->model, NULL, &options, &session, error);
    for (uint32_t i = 0; i < many->request_count && status == LLMIR_STATUS_OK; ++i) {
        llmir_piece_t piece = {0};
        size_t count = 0;
        answer[0] = '\0';
        llmir_session_reset(session);
        status = make_prompt(many, i, tokens, &count, error);
        if (status == LLMIR_STATUS_OK) {
            status = llmir_session_feed(session, tokens, count, error);
        }
        while (status == LLMIR_STATUS_OK && piece.finish == LLMIR_FINISH_NONE) {
            status = llmir_session_next(session, &piece, error);
            append(answer, &piece);
        }
        *out_different += strcmp(answer, many->answers[i]) != 0;
    }
    llmir_session_destroy(session);
    return status;
}

static void print_stats(const llmir_scheduler_t* scheduler, double seconds) {
    llmir_scheduler_stats_t stats = {.struct_size = sizeof(stats)};
    if (llmir_scheduler_get_stats(scheduler, &stats, NULL) != LLMIR_STATUS_OK) {
        return;
    }
    fprintf(
        stderr,
        "%llu requests in %.2f s: %llu tokens (%.0f/s), %.1f sequences a pass; "
        "%llu prompt tokens computed, %llu reused; first token %.0f ms (half), %.0f ms (90 %%)\n",
        (unsigned long long)stats.finished_count, seconds,
        (unsigned long long)stats.generated_token_count,
        (double)stats.generated_token_count / seconds,
        (double)stats.batched_sequence_count / (double)(stats.pass_count + !stats.pass_count),
        (unsigned long long)stats.computed_token_count,
        (unsigned long long)stats.reused_token_count, (double)stats.first_token_ns[0] / 1e6,
        (double)stats.first_token_ns[1] / 1e6);
}

static const char usage[] =
    "usage: llmir-many BUNDLE [--requests N] [--clients N] [-b BATCH] [-n MAX_TOKENS] [--threads "
    "N]\n"
    "                  [--check] [--stats]\n"
    "  --requests N   questions to ask (32)\n"
    "  --clients N    threads that ask them (8)\n"
    "  -b BATCH       questions answered at once (8)\n"
    "  -n MAX_TOKENS  of an answer (64)\n"
    "  --check        compare with what each question is answered alone\n";

static int run(const many_t* many, uint32_t clients, int32_t checks, int32_t shows_stats) {
    llmir_error_t error = {0};
    const double start_ms = input_now_ms();
    if (run_all(many, clients, &error) != LLMIR_STATUS_OK) {
        return cli_fail("llmir-many", "%s", error.message);
    }
    const double seconds = (input_now_ms() - start_ms) / 1e3;
    for (uint32_t i = 0; i < many->request_count; ++i) {
        printf("--- %u: ", i);
        printf(questions[i % 4u], places[i / 4u % 8u]);
        printf("\n%s\n", many->answers[i]);
    }
    if (shows_stats) {
        print_stats(many->scheduler, seconds);
    }
    uint32_t different = 0;
    if (checks && check(many, &different, &error) != LLMIR_STATUS_OK) {
        return cli_fail("llmir-many", "%s", error.message);
    }
    return different == 0 ? 0
                          : cli_fail("llmir-many", "%u of %u answers differ from those given alone",
                                     different, many->request_count);
}

int main(int argc, char** argv) {
    many_t many = {.request_count = 32, .max_tokens = 64};
    llmir_scheduler_options_t options = LLMIR_SCHEDULER_OPTIONS_INIT;
    uint32_t clients = 8;
    uint32_t threads = 0;
    int32_t checks = 0;
    int32_t shows_stats = 0;
    const char* path = NULL;
    opened_model_t opened;
    llmir_error_t error = {0};
    const cli_option_t known[] = {
        {"--requests", NULL, CLI_U32, &many.request_count},
        {"--clients", NULL, CLI_U32, &clients},
        {"-b", "--batch", CLI_U32, &options.session_count},
        {"-n", "--max-tokens", CLI_U32, &many.max_tokens},
        {"--threads", "-t", CLI_U32, &threads},
        {"--check", NULL, CLI_FLAG, &checks},
        {"--stats", NULL, CLI_FLAG, &shows_stats},
    };
    const cli_program_t program = {"llmir-many", usage, known, sizeof(known) / sizeof(known[0])};
    const int exit_code = cli_parse(&program, argc, argv, &path, 1);
    if (exit_code >= 0) {
        return exit_code;
    }
    if (clients == 0 || clients > 1000 || many.request_count > 100000) {
        return cli_usage(&program, "--clients 1 to 1000, --requests 0 to 100000");
    }
    if (open_model("llmir-many", path, NULL, threads, 0, &opened, &error) != LLMIR_STATUS_OK) {
        return cli_fail("llmir-many", "%s", error.message);
    }
    options.flags = LLMIR_SCHEDULER_THREAD;
    options.request_count = clients;
    many.model = opened.model;
    many.answers = calloc((size_t)many.request_count + 1u, sizeof(*many.answers));
    int result = 1;
    if (many.answers == NULL) {
        result = cli_fail("llmir-many", "out of memory");
    } else if (llmir_scheduler_create(opened.model, &options, &many.scheduler, &error) !=
               LLMIR_STATUS_OK) {
        result = cli_fail("llmir-many", "%s", error.message);
    } else {
        result = run(&many, clients, checks, shows_stats);
    }
    llmir_scheduler_destroy(many.scheduler);
    free(many.answers);
    close_model(&opened);
    return result;
}
