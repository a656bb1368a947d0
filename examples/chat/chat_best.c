/* --best-of N: the session is forked, so that all answers share the pages of the conversation, each
 * fork goes on with a seed of its own, and the answer stays whose tokens have the largest mean
 * log-probability. */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_program.h"
#include "common/input.h"

typedef struct answer {
    llmir_session_t* session;
    char* text; /* [bytes] */
    size_t bytes, capacity;
    double logprob_sum;
    size_t token_count;
    int32_t finish;
} answer_t;

static double mean_of(const answer_t* answer) {
    return answer->token_count != 0 ? answer->logprob_sum / (double)answer->token_count : -DBL_MAX;
}

static llmir_status_t append(answer_t* answer, const llmir_piece_t* piece, llmir_error_t* error) {
    if (answer->bytes + piece->text_bytes > answer->capacity) {
        const size_t capacity = 2u * answer->capacity + piece->text_bytes + 256u;
        char* text = realloc(answer->text, capacity);
        if (text == NULL) {
            (void)snprintf(error->message, sizeof(error->message), "no memory for an answer");
            return LLMIR_STATUS_OUT_OF_MEMORY;
        }
        answer->text = text;
        answer->capacity = capacity;
    }
    if (piece->text_bytes != 0) {
        memcpy(answer->text + answer->bytes, piece->text, piece->text_bytes);
        answer->bytes += piece->text_bytes;
    }
    if (piece->token >= 0) {
        answer->logprob_sum += (double)piece->logprob;
        answer->token_count += 1u;
    }
    return LLMIR_STATUS_OK;
}

/* Generates one answer to its end; Ctrl-C reaches it. */
static llmir_status_t generate(chat_t* chat,
                               answer_t* answer,
                               double start_ms,
                               llmir_error_t* error) {
    llmir_piece_t piece = {0};
    llmir_status_t status = LLMIR_STATUS_OK;
    chat->session = answer->session;
    chat_catch_interrupt(chat);
    while (status == LLMIR_STATUS_OK && piece.finish == LLMIR_FINISH_NONE) {
        status = llmir_session_next(answer->session, &piece, error);
        if (status == LLMIR_STATUS_OK) {
            chat_print_logprobs(chat, &piece);
            if (chat->last.answer_tokens == 0) {
                chat->last.first_token_ms = input_now_ms() - start_ms;
            }
            chat->last.answer_tokens += piece.token >= 0;
            status = append(answer, &piece, error);
        }
    }
    answer->finish = piece.finish;
    return status;
}

/* The session and its forks, each with a seed of its own. */
static llmir_status_t fork_answers(const chat_t* chat, answer_t* answers, llmir_error_t* error) {
    llmir_sampler_options_t sampler = chat->options->sampler;
    llmir_status_t status = LLMIR_STATUS_OK;
    answers[0].session = chat->session;
    for (uint32_t i = 1; i < chat->options->best_of && status == LLMIR_STATUS_OK; ++i) {
        status = llmir_session_fork(chat->session, &answers[i].session, error);
        if (status == LLMIR_STATUS_OK) {
            sampler.seed += 1u;
            status = llmir_session_set_sampler(answers[i].session, &sampler, error);
        }
    }
    return status;
}

llmir_status_t chat_answer_best(chat_t* chat, double start_ms, llmir_error_t* error) {
    const uint32_t count = chat->options->best_of;
    const double start = input_now_ms();
    answer_t* answers = calloc(count, sizeof(*answers));
    uint32_t best = 0;
    if (answers == NULL) {
        (void)snprintf(error->message, sizeof(error->message), "no memory for %u answers", count);
        return LLMIR_STATUS_OUT_OF_MEMORY;
    }
    llmir_status_t status = fork_answers(chat, answers, error);
    for (uint32_t i = 0; i < count && status == LLMIR_STATUS_OK; ++i) {
        status = generate(chat, &answers[i], start_ms, error);
        if (chat->options->stats) {
            fprintf(stderr, "answer %u: %zu tokens, mean log-probability %.4f\n", i + 1u,
                    answers[i].token_count, mean_of(&answers[i]));
        }
        best = mean_of(&answers[i]) > mean_of(&answers[best]) ? i : best;
    }
    chat->last.answer_ms = input_now_ms() - start;
    chat->session = answers[best].session;
    chat_catch_interrupt(chat);
    if (status == LLMIR_STATUS_OK) {
        status = chat_write(answers[best].text, answers[best].bytes, error);
    }
    for (uint32_t i = 0; i < count; ++i) {
        if (i != best) {
            llmir_session_destroy(answers[i].session);
        }
        free(answers[i].text);
    }
    free(answers);
    return status;
}
