/* Reading requests for completions. Parameters of the interface that would change the answer and
 * are not supported are errors; those that only describe are ignored. */
#include "server/completion.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/input.h"

#define MAX_MESSAGES 1024u
#define MAX_SEED 9007199254740992.0 /* 2^53: what a JSON number holds exactly */

/* A reader's state. */
typedef struct reader {
    const completion_model_t* model;
    const json_t* body;
    completion_t* out;
    api_error_t* error;
} reader_t;

static int fail_type(const reader_t* r, const char* name, const char* expected) {
    static const char* const types[] = {"an object", "an array", "a string", "an integer",
                                        "a number",  "true",     "false",    "null"};
    const json_t* found = json_object_get(r->body, name);
    return api_fail(r->error, 400, name, "'%s' is %s, expected %s", name,
                    found != NULL ? types[json_typeof(found)] : "missing", expected);
}

static const json_t* get(const reader_t* r, const char* name) {
    const json_t* value = json_object_get(r->body, name);
    return json_is_null(value) ? NULL : value;
}

/* ---- Numbers and flags ---- */

static int read_number(
    const reader_t* r, const char* name, double low, double high, double* inout_value) {
    const json_t* value = get(r, name);
    if (value == NULL) {
        return 1;
    }
    if (!json_is_number(value)) {
        return fail_type(r, name, "a number");
    }
    const double number = json_number_value(value);
    if (!(number >= low && number <= high)) {
        return api_fail(r->error, 400, name, "'%s' is %g, expected %g to %g", name, number, low,
                        high);
    }
    *inout_value = number;
    return 1;
}

static int read_float(
    const reader_t* r, const char* name, double low, double high, float* inout_value) {
    double number = (double)*inout_value;
    if (!read_number(r, name, low, high, &number)) {
        return 0;
    }
    *inout_value = (float)number;
    return 1;
}

static int read_count(
    const reader_t* r, const char* name, uint32_t low, uint32_t high, uint32_t* inout_value) {
    double number = (double)*inout_value;
    const json_t* value = get(r, name);
    if (value != NULL && !json_is_integer(value)) {
        return fail_type(r, name, "an integer");
    }
    if (!read_number(r, name, (double)low, (double)high, &number)) {
        return 0;
    }
    *inout_value = (uint32_t)number;
    return 1;
}

static int read_flag(const reader_t* r, const char* name, int* inout_value) {
    const json_t* value = get(r, name);
    if (value != NULL && !json_is_boolean(value)) {
        return fail_type(r, name, "true or false");
    }
    *inout_value = value != NULL ? json_is_true(value) : *inout_value;
    return 1;
}

/* ---- The prompt ---- */

/* A message's content: a string, or parts of type "text" joined in heap memory, free() it. */
static char* read_content(const reader_t* r, const json_t* content, size_t* out_bytes) {
    size_t bytes = json_string_length(content);
    const json_t* part = NULL;
    size_t i = 0;
    json_array_foreach(content, i, part) {
        bytes += json_string_length(json_object_get(part, "text"));
    }
    char* text = malloc(bytes + 1u);
    if (text == NULL) {
        (void)api_fail(r->error, 500, "messages", "out of memory");
        return NULL;
    }
    *out_bytes = 0;
    if (json_is_string(content)) {
        memcpy(text, json_string_value(content), bytes);
        *out_bytes = bytes;
        return text;
    }
    json_array_foreach(content, i, part) {
        const json_t* piece = json_object_get(part, "text");
        const char* type = json_string_value(json_object_get(part, "type"));
        if (type == NULL || strcmp(type, "text") != 0 || !json_is_string(piece)) {
            (void)api_fail(r->error, 400, "messages",
                           "a part of a message is of type '%s', expected 'text' with a string",
                           type != NULL ? type : "");
            free(text);
            return NULL;
        }
        memcpy(text + *out_bytes, json_string_value(piece), json_string_length(piece));
        *out_bytes += json_string_length(piece);
    }
    return text;
}

static int read_message(const reader_t* r, const json_t* source, size_t i, llmir_message_t* out) {
    const json_t* content = json_object_get(source, "content");
    const char* role = json_string_value(json_object_get(source, "role"));
    if (role == NULL || !(json_is_string(content) || json_is_array(content))) {
        return api_fail(r->error, 400, "messages",
                        "message %zu: expected an object with a string 'role' and with 'content', "
                        "a string or an array",
                        i);
    }
    out->role = strcmp(role, "developer") == 0 ? "system" : role;
    out->content = read_content(r, content, &out->content_bytes);
    return out->content != NULL;
}

/* Turns messages or text into tokens of which there are at most as many as the context has. */
static int take_tokens(const reader_t* r,
                       const llmir_message_t* messages,
                       size_t message_count,
                       const json_t* prompt) {
    const uint32_t context = r->model->context_count;
    llmir_error_t cause = {0};
    const char* name = prompt != NULL ? "prompt" : "messages";
    completion_t* out = r->out;
    out->tokens = malloc((size_t)context * sizeof(*out->tokens));
    if (out->tokens == NULL) {
        return api_fail(r->error, 500, name, "out of memory");
    }
    const llmir_status_t status =
        prompt != NULL
            ? llmir_model_tokenize(r->model->model, json_string_value(prompt),
                                   json_string_length(prompt), LLMIR_TOKENIZE_ADD_BOS, out->tokens,
                                   context, &out->token_count, &cause)
            : llmir_model_chat(r->model->model, messages, message_count, LLMIR_CHAT_GENERATE,
                               out->tokens, context, &out->token_count, &cause);
    if (status == LLMIR_STATUS_CAPACITY) {
        (void)api_fail(r->error, 400, name, "the prompt has %zu tokens, the context %u",
                       out->token_count, context);
        r->error->code = "context_length_exceeded";
        return 0;
    }
    if (status != LLMIR_STATUS_OK) {
        return api_fail_status(r->error, &cause, name);
    }
    return out->token_count != 0 ? 1 : api_fail(r->error, 400, name, "the prompt is empty");
}

static int read_messages(const reader_t* r) {
    const json_t* source = get(r, "messages");
    const size_t count = json_array_size(source);
    if (!json_is_array(source) || count == 0 || count > MAX_MESSAGES) {
        return json_is_array(source)
                   ? api_fail(r->error, 400, "messages", "%zu messages, expected 1 to %u", count,
                              MAX_MESSAGES)
                   : fail_type(r, "messages", "an array");
    }
    llmir_message_t* messages = calloc(count, sizeof(*messages));
    int is_right = messages != NULL ? 1 : api_fail(r->error, 500, "messages", "out of memory");
    for (size_t i = 0; is_right && i < count; ++i) {
        is_right = read_message(r, json_array_get(source, i), i, &messages[i]);
    }
    is_right = is_right && take_tokens(r, messages, count, NULL);
    for (size_t i = 0; messages != NULL && i < count; ++i) {
        free((char*)messages[i].content);
    }
    free(messages);
    return is_right;
}

/* A prompt of ids is taken as it is. */
static int read_prompt_ids(const reader_t* r, const json_t* prompt) {
    const size_t count = json_array_size(prompt);
    completion_t* out = r->out;
    const json_t* id = NULL;
    size_t i = 0;
    out->tokens = malloc((count + 1u) * sizeof(*out->tokens));
    if (out->tokens == NULL) {
        return api_fail(r->error, 500, "prompt", "out of memory");
    }
    json_array_foreach(prompt, i, id) {
        const json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value >= (json_int_t)r->model->vocab_count) {
            return api_fail(r->error, 400, "prompt",
                            "item %zu is not a token from 0 to %u; several prompts are several "
                            "requests",
                            i, r->model->vocab_count - 1u);
        }
        out->tokens[i] = (int32_t)value;
    }
    out->token_count = count;
    return count != 0 ? 1 : api_fail(r->error, 400, "prompt", "the prompt is empty");
}

static int read_prompt(const reader_t* r) {
    const json_t* prompt = get(r, "prompt");
    if (json_array_size(prompt) == 1 && json_is_string(json_array_get(prompt, 0))) {
        prompt = json_array_get(prompt, 0);
    }
    if (json_is_array(prompt)) {
        return read_prompt_ids(r, prompt);
    }
    return json_is_string(prompt) ? take_tokens(r, NULL, 0, prompt)
                                  : fail_type(r, "prompt", "a string or an array of tokens");
}

/* ---- Options ---- */

static int read_sampler(const reader_t* r) {
    llmir_sampler_options_t* s = &r->out->sampler;
    double seed = -1.0;
    uint32_t top_k = 0;
    s->temperature = 1.0f;
    s->top_p = 1.0f;
    if (!read_float(r, "temperature", 0.0, 2.0, &s->temperature) ||
        !read_float(r, "top_p", 0.0, 1.0, &s->top_p) ||
        !read_float(r, "min_p", 0.0, 1.0, &s->min_p) ||
        !read_float(r, "typical_p", 0.0, 1.0, &s->typical_p) ||
        !read_float(r, "repetition_penalty", 0.0, 10.0, &s->repetition_penalty) ||
        !read_float(r, "presence_penalty", -2.0, 2.0, &s->presence_penalty) ||
        !read_float(r, "frequency_penalty", -2.0, 2.0, &s->frequency_penalty) ||
        !read_count(r, "top_k", 0, INT32_MAX, &top_k) ||
        !read_number(r, "seed", -MAX_SEED, MAX_SEED, &seed)) {
        return 0;
    }
    s->top_k = top_k;
    if (get(r, "seed") == NULL) {
        seed = input_now_ms() * 1e6; /* another one each time */
    }
    r->out->seed = (uint64_t)(int64_t)seed;
    return 1;
}

static int read_biases(const reader_t* r) {
    json_t* source = (json_t*)get(r, "logit_bias");
    completion_t* out = r->out;
    const char* key = NULL;
    json_t* value = NULL;
    uint32_t count = 0;
    if (source != NULL && !json_is_object(source)) {
        return fail_type(r, "logit_bias", "an object");
    }
    if (json_object_size(source) > COMPLETION_MAX_BIASES) {
        return api_fail(r->error, 400, "logit_bias", "%zu tokens, expected at most %u",
                        json_object_size(source), COMPLETION_MAX_BIASES);
    }
    json_object_foreach(source, key, value) {
        char* end = NULL;
        const long token = strtol(key, &end, 10);
        const double bias = json_number_value(value);
        if (*key == '\0' || *end != '\0' || token < 0 || token >= (long)r->model->vocab_count ||
            !json_is_number(value) || !(fabs(bias) <= 100.0)) {
            return api_fail(r->error, 400, "logit_bias",
                            "'%.32s': expected a token from 0 to %u with a number from -100 to 100",
                            key, r->model->vocab_count - 1u);
        }
        out->biases[count++] = (llmir_logit_bias_t){(int32_t)token, (float)bias};
    }
    out->sampler.logit_bias = out->biases;
    out->sampler.logit_bias_count = count;
    return 1;
}

static int read_stop(const reader_t* r, const json_t* stop) {
    completion_t* out = r->out;
    const size_t bytes = json_string_length(stop);
    if (!json_is_string(stop) || bytes == 0 || bytes > LLMIR_MAX_STOP_BYTES ||
        strlen(json_string_value(stop)) != bytes ||
        out->session.stop_count == LLMIR_MAX_STOP_STRINGS) {
        return api_fail(r->error, 400, "stop", "expected up to %u strings of 1 to %u bytes",
                        LLMIR_MAX_STOP_STRINGS, LLMIR_MAX_STOP_BYTES);
    }
    char* copy = strdup(json_string_value(stop));
    if (copy == NULL) {
        return api_fail(r->error, 500, "stop", "out of memory");
    }
    out->stops[out->session.stop_count++] = copy;
    return 1;
}

static int read_stops(const reader_t* r) {
    const json_t* stops = get(r, "stop");
    const json_t* stop = NULL;
    size_t i = 0;
    if (stops == NULL) {
        return 1;
    }
    if (!json_is_array(stops)) {
        return read_stop(r, stops);
    }
    json_array_foreach(stops, i, stop) {
        if (!read_stop(r, stop)) {
            return 0;
        }
    }
    return 1;
}

/* ---- Grammars ---- */

static int make_grammar(const reader_t* r,
                        llmir_grammar_kind_t kind,
                        const char* text,
                        size_t bytes,
                        const char* name) {
    llmir_error_t cause = {0};
    if (llmir_grammar_create(r->model->model, kind, text, bytes, &r->out->grammar, &cause) !=
        LLMIR_STATUS_OK) {
        return api_fail_status(r->error, &cause, name);
    }
    return 1;
}

static int read_schema(const reader_t* r, const json_t* format) {
    const json_t* schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    char* text = json_is_object(schema) ? json_dumps(schema, JSON_COMPACT) : NULL;
    if (text == NULL) {
        return api_fail(r->error, 400, "response_format",
                        "expected an object 'json_schema' with an object 'schema'");
    }
    const int is_right =
        make_grammar(r, LLMIR_GRAMMAR_JSON_SCHEMA, text, strlen(text), "response_format");
    free(text);
    return is_right;
}

/* response_format of the interface, or our own `grammar`: GBNF. */
static int read_grammar(const reader_t* r) {
    static const char any_object[] = "{\"type\":\"object\"}";
    const json_t* format = get(r, "response_format");
    const json_t* gbnf = get(r, "grammar");
    const char* type = json_string_value(json_object_get(format, "type"));
    if (gbnf != NULL) {
        return json_is_string(gbnf) && format == NULL
                   ? make_grammar(r, LLMIR_GRAMMAR_GBNF, json_string_value(gbnf),
                                  json_string_length(gbnf), "grammar")
                   : fail_type(r, "grammar", "a string, and no response_format beside it");
    }
    if (format == NULL || (type != NULL && strcmp(type, "text") == 0)) {
        return 1;
    }
    if (type != NULL && strcmp(type, "json_object") == 0) {
        return make_grammar(r, LLMIR_GRAMMAR_JSON_SCHEMA, any_object, sizeof(any_object) - 1u,
                            "response_format");
    }
    if (type != NULL && strcmp(type, "json_schema") == 0) {
        return read_schema(r, format);
    }
    return api_fail(r->error, 400, "response_format",
                    "type '%.32s', known are text, json_object and json_schema",
                    type != NULL ? type : "");
}

/* ---- All of it ---- */

/* `logprobs` is a flag with `top_logprobs` beside it in chats, and a number elsewhere. */
static int read_logprobs(const reader_t* r) {
    completion_t* out = r->out;
    uint32_t top = 0;
    if (out->is_chat) {
        if (!read_flag(r, "logprobs", &out->wants_logprobs) ||
            !read_count(r, "top_logprobs", 0, LLMIR_MAX_TOP_LOGPROBS, &top)) {
            return 0;
        }
        if (top != 0 && !out->wants_logprobs) {
            return api_fail(r->error, 400, "top_logprobs", "needs 'logprobs': true");
        }
    } else {
        out->wants_logprobs = get(r, "logprobs") != NULL;
        if (!read_count(r, "logprobs", 0, LLMIR_MAX_TOP_LOGPROBS, &top)) {
            return 0;
        }
    }
    out->session.flags |= out->wants_logprobs ? (uint32_t)LLMIR_SESSION_LOGPROBS : 0u;
    out->session.top_logprobs = top;
    return 1;
}

/* What would change the answer and is not there. */
static int refuse_unsupported(const reader_t* r) {
    static const char* const names[] = {"tools",   "functions", "audio", "prediction",
                                        "best_of", "suffix",    "echo",  "web_search_options"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        const json_t* value = get(r, names[i]);
        const int is_empty = value == NULL || json_is_false(value) ||
                             (json_is_array(value) && json_array_size(value) == 0) ||
                             (json_is_integer(value) && json_integer_value(value) == 1);
        if (!is_empty) {
            return api_fail(r->error, 400, names[i], "'%s' is not supported", names[i]);
        }
    }
    return 1;
}

static int read_model(const reader_t* r) {
    const json_t* model = get(r, "model");
    if (model != NULL && !json_is_string(model)) {
        return fail_type(r, "model", "a string");
    }
    if (model != NULL && strcmp(json_string_value(model), r->model->id) != 0) {
        (void)api_fail(r->error, 404, "model", "the model '%.64s' does not exist; there is '%s'",
                       json_string_value(model), r->model->id);
        r->error->code = "model_not_found";
        return 0;
    }
    return 1;
}

static int read_limits(const reader_t* r) {
    completion_t* out = r->out;
    double timeout = 0.0;
    const json_t* stream_options = get(r, "stream_options");
    out->choice_count = 1;
    if (!read_count(r, "max_tokens", 1, INT32_MAX, &out->session.max_tokens) ||
        !read_count(r, "max_completion_tokens", 1, INT32_MAX, &out->session.max_tokens) ||
        !read_count(r, "n", 1, COMPLETION_MAX_CHOICES, &out->choice_count) ||
        !read_flag(r, "stream", &out->is_stream) ||
        !read_number(r, "timeout", 0.001, 86400.0, &timeout)) {
        return 0;
    }
    if (!out->is_chat && out->session.max_tokens == 0) {
        out->session.max_tokens = 16; /* as the interface has it */
    }
    out->includes_usage = json_is_true(json_object_get(stream_options, "include_usage"));
    const uint64_t own_ns = (uint64_t)(timeout * 1e9);
    const uint64_t most_ns = r->model->timeout_ns;
    out->timeout_ns = own_ns != 0 && (most_ns == 0 || own_ns < most_ns) ? own_ns : most_ns;
    return 1;
}

static int read_all(const reader_t* r) {
    completion_t* out = r->out;
    if (!json_is_object(r->body)) {
        return api_fail(r->error, 400, "", "the body is not a JSON object");
    }
    if (!read_model(r) || !refuse_unsupported(r) || !read_limits(r) || !read_sampler(r) ||
        !read_biases(r) || !read_stops(r) || !read_logprobs(r) ||
        !(out->is_chat ? read_messages(r) : read_prompt(r)) || !read_grammar(r)) {
        return 0;
    }
    out->session.stop_strings = (const char* const*)out->stops;
    out->session.sampler = &out->sampler;
    out->session.speculation =
        r->model->guess_tokens != 0 ? LLMIR_SPECULATION_LOOKUP : LLMIR_SPECULATION_NONE;
    out->session.grammar = out->grammar;
    return 1;
}

int completion_read(const completion_model_t* model,
                    const char* body,
                    size_t body_bytes,
                    int is_chat,
                    completion_t* out,
                    api_error_t* error) {
    json_error_t cause;
    memset(out, 0, sizeof(*out));
    out->is_chat = is_chat;
    out->sampler = (llmir_sampler_options_t)LLMIR_SAMPLER_OPTIONS_INIT;
    out->session = (llmir_session_options_t)LLMIR_SESSION_OPTIONS_INIT;
    json_t* json = json_loadb(body, body_bytes, JSON_REJECT_DUPLICATES, &cause);
    if (json == NULL) {
        return api_fail(error, 400, "", "the body is not JSON: line %d, column %d: %s", cause.line,
                        cause.column, cause.text);
    }
    const reader_t reader = {model, json, out, error};
    const int is_right = read_all(&reader);
    json_decref(json);
    if (!is_right) {
        completion_free(out);
    }
    return is_right;
}

void completion_free(completion_t* completion) {
    for (uint32_t i = 0; i < LLMIR_MAX_STOP_STRINGS; ++i) {
        free(completion->stops[i]);
        completion->stops[i] = NULL;
    }
    free(completion->tokens);
    completion->tokens = NULL;
    llmir_grammar_destroy(completion->grammar);
    completion->grammar = NULL;
}
