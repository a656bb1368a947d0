/* Fuzzes requests to the server, without HTTP: any body is an error object or is computed, and its
 * answer and its stream are JSON. The first byte chooses between chats and plain completions.
 *
 *   fuzz_request CORPUS -dict=tests/fuzz/request.dict */
#include <stdlib.h>
#include <string.h>

#include "server/answer.h"
#include "tests/fuzz/session_model.h"

#define MOST_STEPS 200u
#define LIMIT_TOKENS 4u /* the model is not what is fuzzed */

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

typedef struct fixture {
    completion_model_t model;
    llmir_scheduler_t* scheduler;
} fixture_t;

/* Made once, never freed. */
static void prepare(fixture_t* f) {
    const tiny_options_t options = session_model_options();
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_scheduler_options_t scheduler_options = LLMIR_SCHEDULER_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    const tiny_bundle_t bundle = tiny_bundle_build(&options);
    runtime_options.thread_count = 1;
    scheduler_options.session_count = 2;
    scheduler_options.request_count = 4;
    if (llmir_runtime_create(&runtime_options, &runtime, NULL) != LLMIR_STATUS_OK ||
        llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &f->model.model, NULL) !=
            LLMIR_STATUS_OK ||
        llmir_scheduler_create(f->model.model, &scheduler_options, &f->scheduler, NULL) !=
            LLMIR_STATUS_OK) {
        abort();
    }
    f->model.id = "tiny";
    f->model.vocab_count = options.vocab;
    f->model.context_count = options.context;
}

static void check_json(const char* text, size_t bytes) {
    json_t* value = json_loadb(text, bytes, 0, NULL);
    if (value == NULL) {
        abort();
    }
    json_decref(value);
}

static void check_error(const api_error_t* error) {
    char* text = api_error_text(error);
    if (text == NULL || error->status < 400) {
        abort();
    }
    check_json(text, strlen(text));
    free(text);
}

/* Each event of a stream is one line "data: JSON", and an empty one. */
static void check_events(const text_buffer_t* out) {
    size_t at = 0;
    while (at < out->bytes) {
        const char* line = out->data + at;
        const char* end = memchr(line, '\n', out->bytes - at);
        if (end == NULL || end - line < 6 || memcmp(line, "data: ", 6) != 0 || end[1] != '\n') {
            abort();
        }
        if (memcmp(line + 6, "[DONE]", 6) != 0) {
            check_json(line + 6, (size_t)(end - line) - 6u);
        }
        at = (size_t)(end - out->data) + 2u;
    }
}

static void run(const fixture_t* f, answer_t* answer) {
    text_buffer_t out = {0};
    choice_t* choice = NULL;
    api_error_t error = {0};
    for (uint32_t i = 0; i < MOST_STEPS; ++i) {
        const answer_event_t event = answer_next(answer, 0, &choice);
        if (event == ANSWER_FINISHED) {
            break;
        }
        if (event == ANSWER_NOTHING) {
            (void)llmir_scheduler_step(f->scheduler, NULL, NULL);
        } else if (answer->completion.is_stream) {
            answer_chunk(answer, choice, &out);
        }
    }
    answer_last_chunks(answer, &out);
    check_events(&out);
    text_free(&out);
    json_t* object = answer_object(answer, &error);
    char* text = object != NULL ? json_dumps(object, 0) : NULL;
    if (error.status != 0) {
        check_error(&error);
    } else if (text == NULL) {
        abort();
    }
    free(text);
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    static fixture_t f;
    static answer_t answer;
    api_error_t error = {0};
    if (f.scheduler == NULL) {
        prepare(&f);
    }
    memset(&answer, 0, sizeof(answer));
    if (bytes == 0) {
        return 0;
    }
    if (!completion_read(&f.model, (const char*)data + 1, bytes - 1u, data[0] % 2u == 0,
                         &answer.completion, &error)) {
        check_error(&error);
        return 0;
    }
    llmir_session_options_t* session = &answer.completion.session;
    session->max_tokens = session->max_tokens % LIMIT_TOKENS + 1u;
    if (answer_begin(&answer, f.scheduler, &f.model, 1, &error)) {
        run(&f, &answer);
        answer_end(&answer);
    } else {
        check_error(&error);
    }
    (void)llmir_scheduler_step(f.scheduler, NULL, NULL); /* gives back what was cancelled */
    return 0;
}
