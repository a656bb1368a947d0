/* See bundle_probe.h. */
#include "tests/support/bundle_probe.h"

#define MEMORY_LIMIT (64u << 20)
#define ID_CAPACITY 64u
#define PROMPT 20

static void* limited_resize(
    void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    const llmir_allocator_t* inner = self;
    return new_size > MEMORY_LIMIT
               ? NULL
               : inner->resize(inner->self, block, old_size, new_size, alignment);
}

llmir_allocator_t bundle_probe_allocator(llmir_allocator_t* inner) {
    return (llmir_allocator_t){inner, limited_resize};
}

static void probe_text(const llmir_model_t* model) {
    const llmir_message_t message = {"user", "Hello \xf0\x9f\x98\x80", 10};
    int32_t ids[ID_CAPACITY];
    char text[256];
    size_t count = 0;
    size_t bytes = 0;
    (void)!llmir_model_tokenize(model, "Hello world\xff", 12, LLMIR_TOKENIZE_SPECIAL, ids,
                                ID_CAPACITY, &count, NULL);
    (void)!llmir_model_detokenize(model, ids, count < ID_CAPACITY ? count : ID_CAPACITY,
                                  LLMIR_TOKENIZE_SPECIAL, text, sizeof(text), &bytes, NULL);
    (void)!llmir_model_chat(model, &message, 1, LLMIR_CHAT_GENERATE, ids, ID_CAPACITY, &count,
                            NULL);
}

static void probe_session(llmir_session_t* session) {
    int32_t ids[PROMPT];
    llmir_piece_t piece = {.finish = LLMIR_FINISH_NONE};
    for (int32_t i = 0; i < PROMPT; ++i) {
        ids[i] = i * 13 % 300;
    }
    if (llmir_session_feed(session, ids, PROMPT, NULL) != LLMIR_STATUS_OK) {
        return;
    }
    for (int i = 0; i < 4 && piece.finish == LLMIR_FINISH_NONE; ++i) {
        if (llmir_session_next(session, &piece, NULL) != LLMIR_STATUS_OK) {
            return;
        }
    }
}

llmir_status_t bundle_probe(llmir_runtime_t* runtime,
                            const void* data,
                            size_t bytes,
                            llmir_error_t* error) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    llmir_model_t* model = NULL;
    const llmir_status_t status =
        llmir_model_load_memory(runtime, data, bytes, NULL, &model, error);
    if (status != LLMIR_STATUS_OK) {
        return status;
    }
    sampler.temperature = 1;
    sampler.top_k = 5;
    options.context_tokens = 40;
    options.chunk_tokens = 16;
    options.sampler = &sampler;
    options.kv_type = LLMIR_KV_F32;
    probe_text(model);
    if (llmir_session_create(model, NULL, &options, &session, NULL) == LLMIR_STATUS_OK) {
        probe_session(session);
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    return status;
}
