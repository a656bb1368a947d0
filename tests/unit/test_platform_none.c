/* platform/none under the whole runtime: its sources are part of this program, so that the linker
 * takes them in place of the system's. A bundle in memory must run on one thread, and what such a
 * system lacks must be said. */
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "tests/support/tiny_model.h"

static void test_platform_none_files_and_threads_are_unsupported(void** state) {
    (void)state;
    llmir_mapping_t mapping;
    assert_status_message(llmir_file_map("model.llmir", &mapping, &assert_status_error),
                          LLMIR_STATUS_UNSUPPORTED, "load the bundle from memory");
    assert_null(mapping.data);
    assert_status(llmir_descriptor_map(0, 0, 1, &mapping, &assert_status_error),
                  LLMIR_STATUS_UNSUPPORTED);
    llmir_unmap(&mapping);
    llmir_thread_t thread;
    assert_status(llmir_thread_start(&thread, free, NULL, &assert_status_error),
                  LLMIR_STATUS_UNSUPPORTED);
    void* pages = NULL;
    assert_status(llmir_pages_reserve(4096, &pages, &assert_status_error),
                  LLMIR_STATUS_UNSUPPORTED);
    assert_null(pages);
}

static void test_platform_none_asking_for_threads_fails_cleanly(void** state) {
    (void)state;
    test_allocator_t counter = {0};
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    options.thread_count = 2;
    options.allocator = test_allocator(&counter);
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    tiny_options_t tiny = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&tiny);
    /* Wherever the threads are made, it fails before a model exists. */
    llmir_status_t status = llmir_runtime_create(&options, &runtime, NULL);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model, NULL);
    }
    assert_int_equal(status, LLMIR_STATUS_UNSUPPORTED);
    assert_null(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
    test_allocator_check(&counter);
}

/* The logits are those of any other system: compared with themselves fed token by token. */
static void test_platform_none_model_in_memory_runs(void** state) {
    (void)state;
    enum { COUNT = 9 };
    tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    tiny_load(&loaded, &options, 0);
    assert_int_equal(llmir_runtime_thread_count(loaded.runtime), 1);
    int32_t ids[COUNT];
    tiny_ids(1, options.vocab, ids, COUNT);
    llmir_session_t* whole = tiny_session(&loaded, NULL);
    llmir_session_t* single = tiny_session(&loaded, NULL);
    assert_status(llmir_session_feed(whole, ids, COUNT, &assert_status_error), LLMIR_STATUS_OK);
    for (size_t i = 0; i < COUNT; ++i) {
        assert_status(llmir_session_feed(single, ids + i, 1, &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    assert_memory_equal(llmir_session_logits(whole), llmir_session_logits(single),
                        options.vocab * sizeof(float));
    llmir_session_destroy(whole);
    llmir_session_destroy(single);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform_none_files_and_threads_are_unsupported),
        cmocka_unit_test(test_platform_none_asking_for_threads_fails_cleanly),
        cmocka_unit_test(test_platform_none_model_in_memory_runs),
    };
    return cmocka_run_group_tests_name("platform_none", tests, NULL, NULL);
}
