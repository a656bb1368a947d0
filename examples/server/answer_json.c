/* The objects of answers, as the OpenAI interface describes them: chat completions and the older
 * text completions, whole and in chunks. */
#include <stdlib.h>
#include <string.h>

#include "server/answer.h"

static const char* finish_reason(int32_t finish) {
    switch (finish) {
        case LLMIR_FINISH_END:
        case LLMIR_FINISH_STOP:
            return "stop";
        case LLMIR_FINISH_LIMIT:
        case LLMIR_FINISH_CONTEXT:
            return "length";
        default:
            return NULL;
    }
}

static json_t* usage_object(const answer_t* answer) {
    json_int_t tokens = 0;
    for (uint32_t i = 0; i < answer->completion.choice_count; ++i) {
        tokens += answer->choices[i].token_count;
    }
    const json_int_t prompt = (json_int_t)answer->completion.token_count;
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", prompt, "completion_tokens",
                     tokens, "total_tokens", prompt + tokens, "prompt_tokens_details",
                     "cached_tokens", (json_int_t)answer->reused_count);
}

/* The older interface has arrays instead of objects. */
static json_t* text_logprobs(const json_t* tokens) {
    json_t* names = json_array();
    json_t* values = json_array();
    json_t* tops = json_array();
    const json_t* token = NULL;
    size_t i = 0;
    json_array_foreach(tokens, i, token) {
        json_t* top = json_object();
        const json_t* other = NULL;
        size_t j = 0;
        json_array_foreach(json_object_get(token, "top_logprobs"), j, other) {
            json_object_set(top, json_string_value(json_object_get(other, "token")),
                            json_object_get(other, "logprob"));
        }
        json_array_append(names, json_object_get(token, "token"));
        json_array_append(values, json_object_get(token, "logprob"));
        json_array_append_new(tops, top);
    }
    return json_pack("{s:o, s:o, s:o}", "tokens", names, "token_logprobs", values, "top_logprobs",
                     tops);
}

static json_t* logprobs_of(const answer_t* answer, const choice_t* choice) {
    if (choice->logprobs == NULL) {
        return json_null();
    }
    return answer->completion.is_chat ? json_pack("{s:O}", "content", choice->logprobs)
                                      : text_logprobs(choice->logprobs);
}

static json_int_t index_of(const answer_t* answer, const choice_t* choice) {
    return (json_int_t)(choice - answer->choices);
}

static json_t* text_of(const choice_t* choice) {
    return json_stringn(choice->text.data != NULL ? choice->text.data : "", choice->text.bytes);
}

/* {"id", "object", "created", "model", "choices": [choice]} */
static json_t* envelope(const answer_t* answer, const char* object, json_t* choices) {
    return json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", answer->id, "object", object, "created",
                     (json_int_t)answer->created, "model", answer->model->id, "choices", choices);
}

/* ---- Whole ---- */

static json_t* choice_object(const answer_t* answer, const choice_t* choice) {
    json_t* object =
        json_pack("{s:I, s:o, s:s?}", "index", index_of(answer, choice), "logprobs",
                  logprobs_of(answer, choice), "finish_reason", finish_reason(choice->finish));
    if (answer->completion.is_chat) {
        json_object_set_new(object, "message",
                            json_pack("{s:s, s:o, s:n}", "role", "assistant", "content",
                                      text_of(choice), "refusal"));
    } else {
        json_object_set_new(object, "text", text_of(choice));
    }
    return object;
}

json_t* answer_object(const answer_t* answer, api_error_t* error) {
    json_t* choices = json_array();
    for (uint32_t i = 0; i < answer->completion.choice_count; ++i) {
        const choice_t* choice = &answer->choices[i];
        if (choice->error.code != LLMIR_STATUS_OK) {
            (void)api_fail_status(error, &choice->error, "");
            json_decref(choices);
            return NULL;
        }
        json_array_append_new(choices, choice_object(answer, choice));
    }
    json_t* object = envelope(
        answer, answer->completion.is_chat ? "chat.completion" : "text_completion", choices);
    if (json_object_set_new(object, "usage", usage_object(answer)) != 0) {
        (void)api_fail(error, 500, "", "out of memory");
    }
    return object;
}

/* ---- Chunks ---- */

static void append_event(text_buffer_t* out, json_t* object) {
    char* text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL) {
        out->has_failed = 1;
        return;
    }
    text_append(out, "data: ", 6);
    text_append(out, text, strlen(text));
    text_append(out, "\n\n", 2);
    free(text);
}

static json_t* chunk_object(const answer_t* answer, const choice_t* choice) {
    json_t* object =
        json_pack("{s:I, s:o, s:s?}", "index", index_of(answer, choice), "logprobs",
                  logprobs_of(answer, choice), "finish_reason", finish_reason(choice->finish));
    if (!answer->completion.is_chat) {
        json_object_set_new(object, "text", text_of(choice));
        return object;
    }
    json_t* delta = json_object();
    if (!choice->has_begun) {
        json_object_set_new(delta, "role", json_string("assistant"));
    }
    if (!choice->has_begun || choice->text.bytes != 0) {
        json_object_set_new(delta, "content", text_of(choice));
    }
    json_object_set_new(object, "delta", delta);
    return object;
}

/* An error in the middle of a stream is an event of its own. */
static void append_error(const choice_t* choice, text_buffer_t* out) {
    api_error_t error;
    (void)api_fail_status(&error, &choice->error, "");
    char* text = api_error_text(&error);
    if (text != NULL) {
        text_append(out, "data: ", 6);
        text_append(out, text, strlen(text));
        text_append(out, "\n\n", 2);
    }
    free(text);
}

void answer_chunk(const answer_t* answer, choice_t* choice, text_buffer_t* out) {
    const char* name = answer->completion.is_chat ? "chat.completion.chunk" : "text_completion";
    if (choice->error.code != LLMIR_STATUS_OK) {
        append_error(choice, out);
        return;
    }
    const int is_empty = choice->text.bytes == 0 && json_array_size(choice->logprobs) == 0;
    if (is_empty && choice->has_begun && choice->finish == LLMIR_FINISH_NONE) {
        return; /* bytes that may become a character are held back */
    }
    json_t* object = envelope(answer, name, json_pack("[o]", chunk_object(answer, choice)));
    if (answer->completion.includes_usage) {
        json_object_set_new(object, "usage", json_null());
    }
    append_event(out, object);
    choice->has_begun = 1;
    choice->text.bytes = 0;
    json_array_clear(choice->logprobs);
}

void answer_last_chunks(const answer_t* answer, text_buffer_t* out) {
    const char* name = answer->completion.is_chat ? "chat.completion.chunk" : "text_completion";
    if (answer->completion.includes_usage) {
        json_t* object = envelope(answer, name, json_array());
        json_object_set_new(object, "usage", usage_object(answer));
        append_event(out, object);
    }
    text_append(out, "data: [DONE]\n\n", 14);
}
