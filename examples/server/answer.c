/* Computing an answer: one request of the scheduler a choice. */
#include "server/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKEN_BYTES 1024

/* ---- Text ---- */

void text_append(text_buffer_t* buffer, const char* data, size_t bytes) {
    if (bytes > buffer->capacity - buffer->bytes) {
        const size_t capacity = 2u * buffer->capacity + bytes + 256u;
        char* grown = realloc(buffer->data, capacity);
        if (grown == NULL) {
            buffer->has_failed = 1;
            return;
        }
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    if (bytes != 0) {
        memcpy(buffer->data + buffer->bytes, data, bytes);
        buffer->bytes += bytes;
    }
}

void text_free(text_buffer_t* buffer) {
    free(buffer->data);
    *buffer = (text_buffer_t){0};
}

/* ---- Log-probabilities ---- */

/* A token's text as a JSON string; bytes that are no UTF-8 alone appear as U+FFFD, and as they are
 * in "bytes". */
static json_t* token_string(const char* text, size_t bytes) {
    json_t* string = json_stringn(text, bytes);
    return string != NULL ? string : json_string("\xef\xbf\xbd");
}

static json_t* token_object(const llmir_model_t* model, int32_t token, float logprob) {
    char text[TOKEN_BYTES];
    size_t bytes = 0;
    json_t* array = json_array();
    if (llmir_model_detokenize(model, &token, 1, LLMIR_TOKENIZE_SPECIAL, text, sizeof(text), &bytes,
                               NULL) != LLMIR_STATUS_OK) {
        bytes = 0;
    }
    for (size_t i = 0; i < bytes; ++i) {
        json_array_append_new(array, json_integer((unsigned char)text[i]));
    }
    return json_pack("{s:o, s:f, s:o}", "token", token_string(text, bytes), "logprob",
                     (double)logprob, "bytes", array);
}

static void add_logprobs(const answer_t* answer, choice_t* choice, const llmir_piece_t* piece) {
    const llmir_model_t* model = answer->model->model;
    if (choice->logprobs == NULL || piece->token < 0) {
        return;
    }
    json_t* object = token_object(model, piece->token, piece->logprob);
    json_t* top = json_array();
    for (uint32_t i = 0; i < piece->top_count; ++i) {
        json_array_append_new(top, token_object(model, piece->top[i].token, piece->top[i].logprob));
    }
    json_object_set_new(object, "top_logprobs", top);
    json_array_append_new(choice->logprobs, object);
}

/* ---- Choices ---- */

static int submit(answer_t* answer, llmir_scheduler_t* scheduler, uint32_t i, api_error_t* error) {
    completion_t* completion = &answer->completion;
    llmir_request_options_t options = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_error_t cause = {0};
    completion->sampler.seed = completion->seed + i;
    options.tokens = completion->tokens;
    options.token_count = completion->token_count;
    options.session = &completion->session;
    options.timeout_ns = completion->timeout_ns;
    const llmir_status_t status =
        llmir_scheduler_submit(scheduler, &options, &answer->choices[i].request, &cause);
    if (status == LLMIR_STATUS_CAPACITY &&
        completion->token_count <= answer->model->context_count) {
        (void)api_fail(error, 429, "", "the server is busy: %s", cause.message);
        error->code = "queue_full";
        return 0;
    }
    if (status != LLMIR_STATUS_OK) {
        return api_fail_status(error, &cause, "");
    }
    answer->choices[i].logprobs = completion->wants_logprobs ? json_array() : NULL;
    answer->open_count += 1u;
    return 1;
}

int answer_begin(answer_t* answer,
                 llmir_scheduler_t* scheduler,
                 const completion_model_t* model,
                 uint64_t number,
                 api_error_t* error) {
    completion_t* completion = &answer->completion;
    answer->model = model;
    answer->created = (int64_t)time(NULL);
    (void)snprintf(answer->id, sizeof(answer->id), "%s-%llx-%llu",
                   completion->is_chat ? "chatcmpl" : "cmpl", (unsigned long long)answer->created,
                   (unsigned long long)number);
    for (uint32_t i = 0; i < completion->choice_count; ++i) {
        if (!submit(answer, scheduler, i, error)) {
            answer_end(answer);
            return 0;
        }
    }
    return 1;
}

static void note_reuse(answer_t* answer, const choice_t* choice) {
    llmir_request_info_t info = {.struct_size = sizeof(info)};
    if (choice == &answer->choices[0] &&
        llmir_request_get_info(choice->request, &info, NULL) == LLMIR_STATUS_OK) {
        answer->reused_count = info.reused_token_count;
    }
}

/* Takes a choice's next piece; 0: there is none within the time. */
static int take_piece(answer_t* answer, choice_t* choice, uint64_t wait_ns) {
    llmir_piece_t piece;
    const llmir_status_t status =
        llmir_request_next(choice->request, wait_ns, &piece, &choice->error);
    if (status == LLMIR_STATUS_OK && piece.token < 0 && piece.finish == LLMIR_FINISH_NONE) {
        return 0;
    }
    text_append(&choice->text, piece.text, piece.text_bytes);
    add_logprobs(answer, choice, &piece);
    choice->token_count += piece.token >= 0 ? 1u : 0u;
    choice->finish = piece.finish;
    if (status != LLMIR_STATUS_OK || piece.finish != LLMIR_FINISH_NONE) {
        note_reuse(answer, choice);
        llmir_request_destroy(choice->request);
        choice->request = NULL;
        answer->open_count -= 1u;
    }
    return 1;
}

answer_event_t answer_next(answer_t* answer, uint64_t wait_ns, choice_t** out_choice) {
    const uint32_t open = answer->open_count;
    for (uint32_t pass = 0; pass < 2 && open != 0; ++pass) {
        for (uint32_t i = 0; i < answer->completion.choice_count; ++i) {
            choice_t* choice = &answer->choices[i];
            /* First look at all of them; then wait, sharing the time. */
            if (choice->request != NULL &&
                take_piece(answer, choice, pass == 0 ? 0 : wait_ns / open)) {
                *out_choice = choice;
                return ANSWER_PIECE;
            }
        }
    }
    return open == 0 ? ANSWER_FINISHED : ANSWER_NOTHING;
}

void answer_end(answer_t* answer) {
    for (uint32_t i = 0; i < COMPLETION_MAX_CHOICES; ++i) {
        choice_t* choice = &answer->choices[i];
        llmir_request_destroy(choice->request); /* before the grammar that it uses */
        choice->request = NULL;
        json_decref(choice->logprobs);
        choice->logprobs = NULL;
        text_free(&choice->text);
    }
    completion_free(&answer->completion);
}
