/* One question and its answer: messages to tokens, feed, stream. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_program.h"
#include "common/cli.h"
#include "common/input.h"
#include "common/json.h"

/* Ids of the text: the chat template's in a conversation, plain ones with --raw. Heap memory; NULL
 * on failure. */
static int32_t* turn_ids(const chat_t* chat,
                         const char* text,
                         size_t* out_count,
                         llmir_error_t* error) {
    const chat_options_t* options = chat->options;
    const size_t bytes = strlen(text);
    if (options->raw) {
        return open_tokenize(chat->opened.model, text, bytes,
                             LLMIR_TOKENIZE_ADD_BOS | LLMIR_TOKENIZE_SPECIAL, out_count, error);
    }
    llmir_message_t messages[2];
    size_t count = 0;
    if (options->system != NULL && !chat->started) {
        messages[count++] = (llmir_message_t){"system", options->system, strlen(options->system)};
    }
    messages[count++] = (llmir_message_t){"user", text, bytes};
    const uint32_t flags = LLMIR_CHAT_GENERATE | (chat->started ? LLMIR_CHAT_CONTINUE : 0u);
    llmir_status_t status =
        llmir_model_chat(chat->opened.model, messages, count, flags, NULL, 0, out_count, error);
    int32_t* ids = status == LLMIR_STATUS_CAPACITY ? malloc(*out_count * sizeof(*ids)) : NULL;
    if (ids != NULL) {
        status = llmir_model_chat(chat->opened.model, messages, count, flags, ids, *out_count,
                                  out_count, error);
    }
    if (status != LLMIR_STATUS_OK) {
        free(ids);
        return NULL;
    }
    return ids;
}

static void note_finish(const llmir_piece_t* piece) {
    if (piece->finish == LLMIR_FINISH_CONTEXT) {
        fprintf(stderr, "\n%s: warning: the context is full; /reset begins anew\n",
                chat_program_name);
    }
}

/* Ctrl-C may interrupt the writing, which then goes on. */
llmir_status_t chat_write(const char* text, size_t bytes, llmir_error_t* error) {
    int is_written = fwrite(text, 1, bytes, stdout) == bytes;
    while (is_written && fflush(stdout) != 0) {
        is_written = errno == EINTR;
        if (is_written) {
            clearerr(stdout);
        }
    }
    if (!is_written) {
        (void)snprintf(error->message, sizeof(error->message), "cannot write standard output: %s",
                       strerror(errno));
        return LLMIR_STATUS_IO;
    }
    return LLMIR_STATUS_OK;
}

static void print_logprob(const chat_t* chat, int32_t token, float logprob) {
    char text[256];
    size_t bytes = 0;
    if (llmir_model_detokenize(chat->opened.model, &token, 1, LLMIR_TOKENIZE_SPECIAL, text,
                               sizeof(text), &bytes, NULL) != LLMIR_STATUS_OK) {
        bytes = 0;
    }
    fprintf(stderr, "%8.4f %d ", (double)logprob, token);
    json_write_string(stderr, text, bytes);
}

void chat_print_logprobs(const chat_t* chat, const llmir_piece_t* piece) {
    if (chat->options->logprobs == CHAT_NO_LOGPROBS || piece->token < 0) {
        return;
    }
    print_logprob(chat, piece->token, piece->logprob);
    for (uint32_t i = 0; i < piece->top_count; ++i) {
        fputs(i == 0 ? "   of " : ", ", stderr);
        print_logprob(chat, piece->top[i].token, piece->top[i].logprob);
    }
    fputc('\n', stderr);
}

/* Generates until the model ends its turn, a limit is met or Ctrl-C. */
static llmir_status_t stream_answer(chat_t* chat, double start_ms, llmir_error_t* error) {
    const double answer_start = input_now_ms();
    llmir_piece_t piece = {0};
    do {
        const llmir_status_t status = llmir_session_next(chat->session, &piece, error);
        if (status != LLMIR_STATUS_OK) {
            return status;
        }
        if (chat->last.answer_tokens == 0) {
            chat->last.first_token_ms = input_now_ms() - start_ms;
        }
        chat->last.answer_tokens += piece.token >= 0;
        chat_print_logprobs(chat, &piece);
        if (chat_write(piece.text, piece.text_bytes, error) != LLMIR_STATUS_OK) {
            return LLMIR_STATUS_IO;
        }
    } while (piece.finish == LLMIR_FINISH_NONE);
    note_finish(&piece);
    chat->last.answer_ms = input_now_ms() - answer_start;
    return LLMIR_STATUS_OK;
}

static void add_statistics(chat_t* chat) {
    chat->total.prompt_tokens += chat->last.prompt_tokens;
    chat->total.answer_tokens += chat->last.answer_tokens;
    chat->total.prompt_ms += chat->last.prompt_ms;
    chat->total.answer_ms += chat->last.answer_ms;
}

int chat_turn(chat_t* chat, const char* text) {
    llmir_error_t error = {0};
    size_t count = 0;
    const double start = input_now_ms();
    chat->last = (chat_statistics_t){0};
    llmir_session_clear_cancel(chat->session);
    int32_t* ids = turn_ids(chat, text, &count, &error);
    if (ids == NULL) {
        return cli_fail(chat_program_name, "%s", error.message);
    }
    llmir_status_t status = LLMIR_STATUS_OK;
    if (count == 0) {
        free(ids);
        return cli_fail(chat_program_name, "the prompt is empty: there is nothing to continue");
    }
    status = llmir_session_feed(chat->session, ids, count, &error);
    free(ids);
    if (status == LLMIR_STATUS_OK) {
        chat->started = 1;
        chat->last.prompt_tokens = count;
        chat->last.prompt_ms = input_now_ms() - start;
        status = chat->options->best_of > 1 ? chat_answer_best(chat, start, &error)
                                            : stream_answer(chat, start, &error);
    }
    add_statistics(chat);
    chat->interrupted = status == LLMIR_STATUS_CANCELLED;
    return status == LLMIR_STATUS_OK || chat->interrupted
               ? 0
               : cli_fail(chat_program_name, "%s", error.message);
}

void chat_reset(chat_t* chat) {
    llmir_session_reset(chat->session);
    chat->started = 0;
}

void chat_print_statistics(const chat_t* chat, const chat_statistics_t* statistics) {
    const double prompt_rate = statistics->prompt_ms > 0
                                   ? 1e3 * (double)statistics->prompt_tokens / statistics->prompt_ms
                                   : 0;
    const double answer_rate = statistics->answer_ms > 0
                                   ? 1e3 * (double)statistics->answer_tokens / statistics->answer_ms
                                   : 0;
    fprintf(stderr,
            "prompt %zu tokens, %.1f tokens/s; answer %zu tokens, %.1f tokens/s; position %u\n",
            statistics->prompt_tokens, prompt_rate, statistics->answer_tokens, answer_rate,
            llmir_session_position(chat->session));
    fprintf(stderr,
            "load %.1f ms, first token after %.1f ms, peak memory %.1f MiB, %s, %s, %u threads\n",
            chat->opened.load_ms, statistics->first_token_ms,
            (double)input_peak_rss_bytes() / (1 << 20), chat->opened.info.device,
            chat->opened.info.code, llmir_runtime_thread_count(chat->opened.runtime));
    llmir_pool_stats_t pool = {.struct_size = sizeof(pool)};
    if (llmir_pool_get_stats(chat->pool, &pool, NULL) == LLMIR_STATUS_OK &&
        pool.guessed_token_count != 0) {
        fprintf(stderr, "guessed %llu tokens, %llu of them right\n",
                (unsigned long long)pool.guessed_token_count,
                (unsigned long long)pool.accepted_token_count);
    }
    if (chat->opened.info.code_reason[0] != '\0') {
        fprintf(stderr, "the bundle's code is not used: %s\n", chat->opened.info.code_reason);
    }
    llmir_device_report_t report = {.struct_size = sizeof(report)};
    for (uint32_t i = 0;
         llmir_model_device_report(chat->opened.model, i, &report, NULL) == LLMIR_STATUS_OK; ++i) {
        if (report.status != LLMIR_STATUS_OK) {
            fprintf(stderr, "%s is not used: %s\n", report.target, report.reason);
        } else if (report.is_taken && report.reason[0] != '\0') {
            fprintf(stderr, "%s: %s\n", report.target, report.reason);
        }
    }
}
