/* core/base/status: texts and messages. */
#include "core/base/status.h"

#include <string.h>

#include "tests/support/test.h"

static void test_status_text_every_code_has_its_own(void** state) {
    (void)state;
    const char* texts[] = {
#define TEXT(name, value, text) llmir_status_text(LLMIR_STATUS_##name),
        LLMIR_STATUS_LIST(TEXT)
#undef TEXT
    };
    const size_t count = sizeof texts / sizeof texts[0];
    for (size_t i = 0; i < count; ++i) {
        assert_string_not_equal(texts[i], "unknown status");
        for (size_t k = 0; k < i; ++k) {
            assert_string_not_equal(texts[i], texts[k]);
        }
    }
}

static void test_status_text_unknown_code_is_said_so(void** state) {
    (void)state;
    assert_string_equal(llmir_status_text((llmir_status_t)999), "unknown status");
    assert_string_equal(llmir_status_text((llmir_status_t)-1), "unknown status");
}

static void test_status_fail_fills_code_and_message(void** state) {
    (void)state;
    llmir_error_t error = {0, {0}};
    assert_int_equal(llmir_fail(&error, LLMIR_STATUS_CORRUPT, "tensor '%s': %d", "wq", 7),
                     LLMIR_STATUS_CORRUPT);
    assert_int_equal(error.code, LLMIR_STATUS_CORRUPT);
    assert_string_equal(error.message, "tensor 'wq': 7");
}

static void test_status_fail_without_error_returns_code(void** state) {
    (void)state;
    assert_int_equal(llmir_fail(NULL, LLMIR_STATUS_IO, "%s", "unseen"), LLMIR_STATUS_IO);
}

static void test_status_fail_long_message_is_cut(void** state) {
    (void)state;
    llmir_error_t error;
    char text[1000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    (void)llmir_fail(&error, LLMIR_STATUS_IO, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
}

static void test_status_fail_cut_inside_character_drops_it(void** state) {
    (void)state;
    llmir_error_t error;
    char text[300];
    /* The euro sign has three bytes; 251 bytes fit, of which the last two would be half of one. */
    memset(text, 'x', sizeof text);
    for (size_t lost = 1; lost <= 2; ++lost) {
        memcpy(text + sizeof error.message - 1 - lost, "\xE2\x82\xAC", 4);
        (void)llmir_fail(&error, LLMIR_STATUS_IO, "%s", text);
        assert_int_equal(strlen(error.message), sizeof error.message - 1 - lost);
        memset(text, 'x', sizeof text);
    }
}

static void assert_message(const char* given, const char* expected) {
    llmir_error_t error;
    (void)llmir_fail(&error, LLMIR_STATUS_CORRUPT, "%s", given);
    assert_string_equal(error.message, expected);
}

static void test_status_fail_valid_utf8_is_kept(void** state) {
    (void)state;
    assert_message("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80 \xED\x9F\xBF \xF4\x8F\xBF\xBF",
                   "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80 \xED\x9F\xBF \xF4\x8F\xBF\xBF");
}

static void test_status_fail_hostile_bytes_become_question_marks(void** state) {
    (void)state;
    assert_message("a\x1B[31mb\n\x7F", "a?[31mb??"); /* terminal control */
    assert_message("\xFF\x80z", "??z");              /* no lead bytes */
    assert_message("\xC0\xAFz", "??z");              /* overlong */
    assert_message("\xE0\x80\x80z", "???z");         /* overlong */
    assert_message("\xED\xA0\x80z", "???z");         /* surrogate */
    assert_message("\xF4\x90\x80\x80z", "????z");    /* above U+10FFFF */
    assert_message("\xE2\x82", "??");                /* incomplete, but not cut by us */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_text_every_code_has_its_own),
        cmocka_unit_test(test_status_text_unknown_code_is_said_so),
        cmocka_unit_test(test_status_fail_fills_code_and_message),
        cmocka_unit_test(test_status_fail_without_error_returns_code),
        cmocka_unit_test(test_status_fail_long_message_is_cut),
        cmocka_unit_test(test_status_fail_cut_inside_character_drops_it),
        cmocka_unit_test(test_status_fail_valid_utf8_is_kept),
        cmocka_unit_test(test_status_fail_hostile_bytes_become_question_marks),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
