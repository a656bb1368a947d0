/* See tiny_model.h. */
#include "tests/support/tiny_model.h"

#include <string.h>

void tiny_load(tiny_loaded_t* loaded, const tiny_options_t* options, uint32_t threads) {
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    memset(loaded, 0, sizeof(*loaded));
    loaded->bundle = tiny_bundle_build(options);
    runtime_options.allocator = test_allocator(&loaded->allocator);
    runtime_options.thread_count = TEST_THREADS(threads);
    assert_status(llmir_runtime_create(&runtime_options, &loaded->runtime, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(
        llmir_model_load_memory(loaded->runtime, loaded->bundle.data, loaded->bundle.bytes, NULL,
                                &loaded->model, &assert_status_error),
        LLMIR_STATUS_OK);
}

void tiny_unload(tiny_loaded_t* loaded) {
    llmir_model_destroy(loaded->model);
    llmir_runtime_destroy(loaded->runtime);
    tiny_bundle_free(&loaded->bundle);
    test_allocator_check(&loaded->allocator);
}

llmir_session_t* tiny_session(tiny_loaded_t* loaded, const llmir_session_options_t* options) {
    llmir_session_t* session = NULL;
    assert_status(
        llmir_session_create(loaded->model, NULL, options, &session, &assert_status_error),
        LLMIR_STATUS_OK);
    assert_non_null(session);
    return session;
}

void tiny_ids(uint64_t seed, uint32_t vocab, int32_t* out_ids, size_t count) {
    uint64_t state = seed * 2654435761u + 12345;
    for (size_t i = 0; i < count; ++i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        out_ids[i] = (int32_t)(TINY_FIRST_BYTE + (state >> 33) % (vocab - TINY_FIRST_BYTE));
    }
}
