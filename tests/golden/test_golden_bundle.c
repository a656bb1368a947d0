/* Golden bundles of released formats: they load for ever, with the tokenizer, the template, the
 * plan and the weights that they had, and say what they said. make_golden.py tells how they were
 * made. The greedy tokens are far enough from their rivals that every ISA level finds the same. */
#include <stdio.h>
#include <string.h>

#include "llmir_bundle.h"
#include "tests/support/test.h"

#define BUNDLE LLMIR_GOLDEN_FOLDER "/format1.llmir"
#define TOKENS LLMIR_GOLDEN_FOLDER "/format1.tokens"
#define FED 10
#define GENERATED 16

typedef struct golden {
    llmir_runtime_t* runtime;
    llmir_model_t* model;
} golden_t;

static golden_t open_golden(uint32_t cpu_level_max, uint32_t runtime_flags) {
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    golden_t golden = {NULL, NULL};
    options.thread_count = TEST_THREADS(2);
    options.cpu_level_max = cpu_level_max;
    options.flags = runtime_flags;
    model_options.flags = LLMIR_MODEL_VERIFY;
    assert_status(llmir_runtime_create(&options, &golden.runtime, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_load_file(golden.runtime, BUNDLE, &model_options, &golden.model,
                                        &assert_status_error),
                  LLMIR_STATUS_OK);
    return golden;
}

static void close_golden(golden_t* golden) {
    llmir_model_destroy(golden->model);
    llmir_runtime_destroy(golden->runtime);
}

/* The tokens of format1.tokens, which tests/consume compares with too. */
static void read_expected(int32_t expected[GENERATED]) {
    FILE* file = fopen(TOKENS, "r");
    assert_non_null(file);
    for (int i = 0; i < GENERATED; ++i) {
        int token = -1;
        assert_int_equal(fscanf(file, "%d", &token), 1);
        expected[i] = token;
    }
    fclose(file);
}

static void check_generation(llmir_model_t* model) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    int32_t fed[FED], expected[GENERATED];
    read_expected(expected);
    for (int i = 0; i < FED; ++i) {
        fed[i] = 300 + 7 * i;
    }
    options.flags = LLMIR_SESSION_IGNORE_END;
    assert_status(llmir_session_create(model, NULL, &options, &session, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(session, fed, FED, &assert_status_error), LLMIR_STATUS_OK);
    for (int i = 0; i < GENERATED; ++i) {
        llmir_piece_t piece = {0};
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        assert_int_equal(piece.token, expected[i]);
    }
    llmir_session_destroy(session);
}

static void test_golden_bundle_says_what_it_said(void** state) {
    static const uint32_t levels[] = {0, LLMIR_CPU_LEVEL_X86_64_V3, LLMIR_CPU_LEVEL_X86_64_V2};
    (void)state;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); ++i) {
        golden_t golden = open_golden(levels[i], 0);
        llmir_model_info_t info = {.struct_size = sizeof(info)};
        assert_status(llmir_model_get_info(golden.model, &info, &assert_status_error),
                      LLMIR_STATUS_OK);
        /* Code of an older kernel ABI, or for another processor, is passed over with a reason. */
        printf("%s%s%s\n", info.code, info.code_reason[0] != 0 ? ": " : "", info.code_reason);
        assert_true(strncmp(info.code, "bundle", 6) == 0 || info.code_reason[0] != 0);
        check_generation(golden.model);
        close_golden(&golden);
    }
    golden_t golden = open_golden(0, LLMIR_RUNTIME_NO_BUNDLE_CODE);
    check_generation(golden.model);
    close_golden(&golden);
}

static void test_golden_bundle_info(void** state) {
    golden_t golden = open_golden(0, 0);
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    (void)state;
    assert_status(llmir_model_get_info(golden.model, &info, &assert_status_error), LLMIR_STATUS_OK);
    assert_string_equal(info.architecture, "llama");
    assert_int_equal(info.vocab_count, 427);
    assert_int_equal(info.context_count, 256);
    assert_int_equal(info.layer_count, 2);
    assert_int_equal(info.embedding_count, 32);
    assert_int_equal(info.bundle_bytes, 84086);
    close_golden(&golden);
}

static void test_golden_bundle_text(void** state) {
    static const char text[] = "the dog ran after the cat, \xC3\xA9\xF0\x9F\x98\x80";
    const llmir_message_t message = {"user", text, strlen(text)};
    golden_t golden = open_golden(0, 0);
    int32_t tokens[64];
    char back[64];
    size_t count = 0, bytes = 0;
    (void)state;
    assert_status(llmir_model_tokenize(golden.model, text, strlen(text), 0, tokens, 64, &count,
                                       &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_detokenize(golden.model, tokens, count, 0, back, sizeof(back), &bytes,
                                         &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(back, text, bytes);
    assert_status(llmir_model_chat(golden.model, &message, 1, LLMIR_CHAT_GENERATE, tokens, 64,
                                   &count, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_detokenize(golden.model, tokens, count, LLMIR_TOKENIZE_SPECIAL, back,
                                         sizeof(back), &bytes, &assert_status_error),
                  LLMIR_STATUS_CAPACITY);
    assert_memory_equal(back, "<bos><start_of_turn>user\nthe dog", 32);
    close_golden(&golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bundle_says_what_it_said),
        cmocka_unit_test(test_golden_bundle_info),
        cmocka_unit_test(test_golden_bundle_text),
    };
    return cmocka_run_group_tests_name("golden_bundle", tests, NULL, NULL);
}
