/* Runtimes and models: every way to load, what is refused, what is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test_file.h"
#include "tests/support/tiny_model.h"

static llmir_runtime_t* make_runtime(uint32_t flags) {
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    options.thread_count = 1;
    options.flags = flags;
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error), LLMIR_STATUS_OK);
    return runtime;
}

static void test_model_runtime_options_are_checked(void** state) {
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = (llmir_runtime_t*)&options;
    (void)state;
    options.flags = 1u << 7;
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_null(runtime);
    options.flags = 0;
    options.thread_count = 100000;
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    options.struct_size = 2;
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_runtime_create(NULL, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_runtime_create(NULL, &runtime, &assert_status_error), LLMIR_STATUS_OK);
    assert_true(llmir_runtime_thread_count(runtime) >= 1);
    llmir_runtime_destroy(runtime);
    llmir_runtime_destroy(NULL);
    assert_int_equal(llmir_version(),
                     LLMIR_VERSION_MAJOR << 16 | LLMIR_VERSION_MINOR << 8 | LLMIR_VERSION_PATCH);
}

static void test_model_info_tells_what_the_bundle_says(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 2);
    assert_int_equal(llmir_runtime_thread_count(loaded.runtime), TEST_THREADS(2));
    assert_status(llmir_model_get_info(loaded.model, &info, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(info.vocab_count, options.vocab);
    assert_int_equal(info.context_count, options.context);
    assert_int_equal(info.layer_count, options.layers);
    assert_int_equal(info.embedding_count, options.dim);
    assert_int_equal(info.kv_page_tokens, options.page_tokens);
    assert_int_equal(info.parameter_count, 12345);
    assert_int_equal(info.bundle_bytes, loaded.bundle.bytes);
    assert_string_equal(info.name, "Tiny");
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(info.device, "cpu");
    assert_memory_equal(info.code, "built-in", 8);
    assert_string_equal(info.code_reason, "the bundle has no code for this device");
    assert_status(llmir_model_memory_plan(loaded.model, NULL, &plan, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(plan.weights_bytes > 0 && plan.weights_bytes < loaded.bundle.bytes);
    assert_status(llmir_model_get_info(NULL, &info, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_true(llmir_model_is_end_token(loaded.model, TINY_END));
    assert_false(llmir_model_is_end_token(loaded.model, TINY_CONTROL));
    tiny_unload(&loaded);
}

/* Weights are used where they lie: loading takes a small part of the bundle's size. */
static void test_model_load_does_not_copy_weights(void** state) {
    tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    (void)state;
    options.dim = 512;
    options.ffn = 1024;
    tiny_load(&loaded, &options, 1);
    assert_true(loaded.bundle.bytes > 10u << 20);
    assert_true(loaded.allocator.peak_bytes < 64u << 10);
    tiny_unload(&loaded);
}

static void test_model_loads_from_file_and_descriptor(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    llmir_runtime_t* runtime = make_runtime(0);
    llmir_model_t* model = NULL;
    char folder[TEST_FOLDER_BYTES], path[64];
    const uint8_t before[4096 + 64] = {1};
    (void)state;
    test_folder_make(folder);
    (void)snprintf(path, sizeof(path), "%s/model", folder);
    test_file_write(path, bundle.data, bundle.bytes, NULL, 0);
    assert_status(llmir_model_load_file(runtime, path, NULL, &model, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_model_destroy(model);
    assert_status_message(
        llmir_model_load_file(runtime, "no such file", NULL, &model, &assert_status_error),
        LLMIR_STATUS_NOT_FOUND, "no such file");
    assert_null(model);
    /* Cut short: the message names the file. */
    test_file_cut(path, bundle.bytes - 64);
    assert_status_message(llmir_model_load_file(runtime, path, NULL, &model, &assert_status_error),
                          LLMIR_STATUS_CORRUPT, path);
    /* Inside of a larger file, at an offset that is no page's. */
    uint8_t* after = calloc(1, bundle.bytes + 100);
    assert_non_null(after);
    memcpy(after, bundle.data, bundle.bytes);
    test_file_write(path, before, sizeof(before), after, bundle.bytes + 100);
    free(after);
    const int32_t descriptor = test_descriptor_open(path);
    assert_status(llmir_model_load_descriptor(runtime, descriptor, sizeof(before), bundle.bytes,
                                              NULL, &model, &assert_status_error),
                  LLMIR_STATUS_OK);
    test_descriptor_close(descriptor);
    llmir_session_t* session = NULL;
    const int32_t ids[2] = {5, 6};
    assert_status(llmir_session_create(model, NULL, NULL, &session, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(session, ids, 2, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_model_destroy(NULL);
    test_file_remove(path);
    test_folder_remove(folder);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
}

static void test_model_options_are_checked(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    llmir_runtime_t* runtime = make_runtime(0);
    llmir_model_t* model = (llmir_model_t*)&model_options;
    (void)state;
    model_options.device = "abacus";
    assert_status_message(llmir_model_load_memory(runtime, bundle.data, bundle.bytes,
                                                  &model_options, &model, &assert_status_error),
                          LLMIR_STATUS_NOT_FOUND, "abacus");
    assert_null(model);
    model_options.device = "cpu";
    model_options.flags = 2;
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, &model_options,
                                          &model, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_model_load_memory(NULL, bundle.data, bundle.bytes, NULL, &model,
                                          &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, NULL,
                                          &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_model_load_file(runtime, NULL, NULL, &model, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    model_options.device = "auto";
    model_options.flags = LLMIR_MODEL_VERIFY;
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, &model_options,
                                          &model, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
}

/* All sections but the weights are always compared with their hashes; the weights on request. */
static void test_model_damaged_sections_are_refused(void** state) {
    static const uint32_t kinds[] = {LLMIR_SECTION_MODEL, LLMIR_SECTION_TOKENIZER,
                                     LLMIR_SECTION_CHAT, LLMIR_SECTION_PLAN};
    const tiny_options_t options = tiny_options_default();
    llmir_model_options_t verify = LLMIR_MODEL_OPTIONS_INIT;
    llmir_runtime_t* runtime = make_runtime(0);
    llmir_model_t* model = NULL;
    (void)state;
    verify.flags = LLMIR_MODEL_VERIFY;
    for (int i = 0; i < 5; ++i) {
        tiny_bundle_t bundle = tiny_bundle_build(&options);
        const llmir_bundle_section_t* section =
            tiny_bundle_section(&bundle, i < 4 ? kinds[i] : (uint32_t)LLMIR_SECTION_WEIGHTS);
        bundle.data[section->offset + section->bytes - 1] ^= 0x10;
        assert_status_message(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, &verify,
                                                      &model, &assert_status_error),
                              LLMIR_STATUS_CORRUPT, "do not fit its hash");
        assert_null(model);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      i < 4 ? LLMIR_STATUS_CORRUPT : LLMIR_STATUS_OK);
        llmir_model_destroy(model);
        tiny_bundle_free(&bundle);
    }
    llmir_runtime_destroy(runtime);
}

static void test_model_missing_sections(void** state) {
    static const struct {
        uint32_t kind;
        llmir_status_t expected;
    } cases[] = {{LLMIR_SECTION_MODEL, LLMIR_STATUS_UNSUPPORTED},
                 {LLMIR_SECTION_PLAN, LLMIR_STATUS_UNSUPPORTED},
                 {LLMIR_SECTION_WEIGHTS, LLMIR_STATUS_CORRUPT},
                 {LLMIR_SECTION_TOKENIZER, LLMIR_STATUS_OK},
                 {LLMIR_SECTION_CHAT, LLMIR_STATUS_OK}};
    const tiny_options_t options = tiny_options_default();
    llmir_runtime_t* runtime = make_runtime(0);
    (void)state;
    for (int i = 0; i < 5; ++i) {
        tiny_bundle_t bundle = tiny_bundle_build(&options);
        llmir_model_t* model = NULL;
        size_t count = 0;
        tiny_bundle_section(&bundle, cases[i].kind)->kind = 1000; /* unknown: skipped */
        tiny_bundle_rehash(&bundle);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      cases[i].expected);
        if (model != NULL) {
            assert_status(
                llmir_model_chat(model, NULL, 0, 0, NULL, 0, &count, &assert_status_error),
                LLMIR_STATUS_UNSUPPORTED);
        }
        llmir_model_destroy(model);
        tiny_bundle_free(&bundle);
    }
    llmir_runtime_destroy(runtime);
}

static void test_model_record_is_checked(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t good = tiny_bundle_build(&options);
    llmir_runtime_t* runtime = make_runtime(0);
    (void)state;
    for (int i = 0; i < 10; ++i) {
        tiny_bundle_t bundle = tiny_bundle_copy(&good);
        llmir_bundle_section_t* section = tiny_bundle_section(&bundle, LLMIR_SECTION_MODEL);
        llmir_model_record_t* record = (void*)(bundle.data + section->offset);
        llmir_model_t* model = NULL;
        switch (i) {
            case 0:
                record->record_bytes = 8;
                break;
            case 1:
                section->bytes = 32;
                break;
            case 2:
                record->vocab_count = 0;
                break;
            case 3:
                record->vocab_count = UINT32_MAX;
                break;
            case 4:
                record->vocab_count = options.vocab + 1;
                break; /* not the plan's */
            case 5:
                record->context_count = 0;
                break;
            case 6:
                record->context_count = UINT32_MAX;
                break;
            case 7:
                record->name.bytes = UINT32_MAX;
                break;
            case 8:
                bundle.data[section->offset + record->name.offset] = 0xff;
                break;
            default:
                bundle.data[section->offset + record->architecture.offset] = 0;
                break;
        }
        tiny_bundle_rehash(&bundle);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      LLMIR_STATUS_CORRUPT);
        tiny_bundle_free(&bundle);
    }
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&good);
}

/* ---- Code ---- */

static void count_lines(int32_t level, const char* message, void* user) {
    assert_int_equal(level, LLMIR_LOG_WARNING);
    assert_true(message[0] != '\0');
    ++*(int*)user;
}

/* A CODE section that is none, made of the CHAT section: skipped with a reason, or not looked at.
 */
static void test_model_unfit_code_is_skipped_with_a_reason(void** state) {
    static const struct {
        uint32_t level; /* of the section; 0: the device's */
        uint32_t flags;
        const char* reason; /* NULL: what the target says */
        int lines;
    } cases[] = {{0, 0, NULL, 1},
                 {0, LLMIR_RUNTIME_NO_BUNDLE_CODE,
                  "the runtime was created with LLMIR_RUNTIME_NO_BUNDLE_CODE", 0},
                 {0xffff, 0, "the bundle has no code for this device", 0}};
    const tiny_options_t options = tiny_options_default();
    (void)state;
    for (int i = 0; i < 3; ++i) {
        llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
        tiny_bundle_t bundle = tiny_bundle_build(&options);
        llmir_bundle_section_t* section = tiny_bundle_section(&bundle, LLMIR_SECTION_CHAT);
        llmir_model_info_t info = {.struct_size = sizeof(info)};
        llmir_runtime_t* runtime = NULL;
        llmir_model_t* model = NULL;
        int lines = 0;
        runtime_options.thread_count = 1;
        runtime_options.flags = cases[i].flags;
        runtime_options.log = count_lines;
        runtime_options.log_user = &lines;
        runtime_options.cpu_level_max = LLMIR_CPU_LEVEL_X86_64_V2;
        section->kind = LLMIR_SECTION_CODE;
        section->target = LLMIR_SECTION_TARGET_CPU;
        section->level = cases[i].level != 0 ? cases[i].level : (uint32_t)LLMIR_CPU_LEVEL_X86_64_V2;
        tiny_bundle_rehash(&bundle);
        assert_status(llmir_runtime_create(&runtime_options, &runtime, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_model_get_info(model, &info, &assert_status_error), LLMIR_STATUS_OK);
        if (strstr(info.code, "x86-64") != NULL) { /* elsewhere the section is another machine's */
            assert_memory_equal(info.code, "built-in", 8);
            assert_true(info.code_reason[0] != '\0');
            assert_int_equal(lines, cases[i].lines);
            if (cases[i].reason != NULL) {
                assert_string_equal(info.code_reason, cases[i].reason);
            }
        }
        llmir_model_destroy(model);
        llmir_runtime_destroy(runtime);
        tiny_bundle_free(&bundle);
    }
}

static void test_model_session_options_are_checked(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_session_t* session = (llmir_session_t*)&sampler;
    const char* stop = "\xff";
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    const size_t before = loaded.allocator.live_bytes;
    session_options.flags = 1u << 31;
    assert_status(
        llmir_session_create(loaded.model, NULL, &session_options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    assert_null(session);
    session_options.flags = 0;
    session_options.stop_strings = &stop;
    session_options.stop_count = 1;
    assert_status(
        llmir_session_create(loaded.model, NULL, &session_options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    session_options.stop_count = 0;
    session_options.sampler = &sampler;
    sampler.temperature = -1;
    assert_status(
        llmir_session_create(loaded.model, NULL, &session_options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_create(NULL, NULL, NULL, &session, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_int_equal(loaded.allocator.live_bytes, before);
    llmir_session_destroy(NULL);
    llmir_session_reset(NULL);
    llmir_session_cancel(NULL);
    llmir_session_clear_cancel(NULL);
    assert_int_equal(llmir_session_position(NULL), 0);
    assert_null(llmir_session_logits(NULL));
    llmir_pool_destroy(NULL);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_runtime_options_are_checked),
        cmocka_unit_test(test_model_info_tells_what_the_bundle_says),
        cmocka_unit_test(test_model_load_does_not_copy_weights),
        cmocka_unit_test(test_model_loads_from_file_and_descriptor),
        cmocka_unit_test(test_model_options_are_checked),
        cmocka_unit_test(test_model_damaged_sections_are_refused),
        cmocka_unit_test(test_model_missing_sections),
        cmocka_unit_test(test_model_record_is_checked),
        cmocka_unit_test(test_model_unfit_code_is_skipped_with_a_reason),
        cmocka_unit_test(test_model_session_options_are_checked),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
