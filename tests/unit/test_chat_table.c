/* Chat tables by hand: joining, trimming, what stays text, wrong orders and damaged sections. How
 * tables are made from templates is tested with the compiler. */
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/chat.h"
#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/tiny_tokenizer.h"

#define SECTION_BYTES 1024
enum { TURN = TINY_FIRST_TOKEN };

/* Bytes, and one control token that the table's texts are made of. */
static const tiny_token_t tokens[] = {{"<|>", LLMIR_TOKEN_CONTROL, 0}};
static const tiny_vocabulary_t vocabulary = {.kind = LLMIR_TOKENIZER_BPE,
                                             .pretokenizer = LLMIR_PRETOKENIZER_GPT2,
                                             .tokens = tokens,
                                             .token_count = 1};

typedef struct fixture {
    tiny_section_t tokenizer_section;
    llmir_tokenizer_t tokenizer;
    llmir_allocator_t allocator;
    union {
        llmir_chat_record_t record;
        uint8_t bytes[SECTION_BYTES];
    } section;
    size_t section_bytes;
    llmir_chat_t chat;
} fixture_t;

static void add_text(fixture_t* f, uint32_t from, uint32_t to, const char* text) {
    const size_t bytes = strlen(text);
    assert_true(f->section_bytes + bytes <= SECTION_BYTES);
    f->section.record.present[from] |= 1u << to;
    f->section.record.text[from][to] =
        (llmir_bundle_range_t){(uint32_t)f->section_bytes, (uint32_t)bytes};
    memcpy(f->section.bytes + f->section_bytes, text, bytes);
    f->section_bytes += bytes;
}

static llmir_status_t open_table(fixture_t* f, llmir_error_t* error) {
    return llmir_chat_open(f->section.bytes, f->section_bytes, &f->tokenizer, &f->chat, error);
}

/* A table in which a user's turn is <|>u..., an answer <|>a..., the system's text <|>s..., and in
 * which two turns of the same role never follow each other. */
static int setup(void** state) {
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture.tokenizer_section = tiny_tokenizer_section(&vocabulary);
    fixture.allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    assert_status(
        llmir_tokenizer_open(fixture.tokenizer_section.data, fixture.tokenizer_section.bytes, 1000,
                             &fixture.tokenizer, &assert_status_error),
        LLMIR_STATUS_OK);
    fixture.section.record.record_bytes = sizeof(llmir_chat_record_t);
    fixture.section_bytes = sizeof(llmir_chat_record_t);
    add_text(&fixture, LLMIR_CHAT_FROM_START, LLMIR_CHAT_ROLE_SYSTEM, "<|>s");
    add_text(&fixture, LLMIR_CHAT_FROM_START, LLMIR_CHAT_ROLE_USER, "<|>u");
    add_text(&fixture, LLMIR_CHAT_ROLE_SYSTEM, LLMIR_CHAT_ROLE_USER, "<|>u");
    add_text(&fixture, LLMIR_CHAT_ROLE_USER, LLMIR_CHAT_ROLE_ASSISTANT, "<|>a");
    add_text(&fixture, LLMIR_CHAT_ROLE_USER, LLMIR_CHAT_TO_GENERATE, "<|>a");
    add_text(&fixture, LLMIR_CHAT_ROLE_USER, LLMIR_CHAT_TO_END, "");
    add_text(&fixture, LLMIR_CHAT_ROLE_ASSISTANT, LLMIR_CHAT_ROLE_USER, ".<|>u");
    add_text(&fixture, LLMIR_CHAT_ROLE_ASSISTANT, LLMIR_CHAT_TO_END, ".");
    assert_status(open_table(&fixture, &assert_status_error), LLMIR_STATUS_OK);
    *state = &fixture;
    return 0;
}

static int teardown(void** state) {
    free(((fixture_t*)*state)->tokenizer_section.data);
    return 0;
}

/* A conversation from pairs of role and content, up to NULL. */
static size_t messages_of(const char* const* pairs, llmir_message_t* out) {
    size_t count = 0;
    for (; pairs[2 * count] != NULL; ++count) {
        const char* content = pairs[2 * count + 1];
        out[count] = (llmir_message_t){pairs[2 * count], content, strlen(content)};
    }
    return count;
}

/* Encodes and compares the text; the control token reads as '#', so that one in a content, which
 * stays text, reads otherwise. */
static void expect(const fixture_t* f,
                   const char* const* pairs,
                   uint32_t flags,
                   const char* expected) {
    llmir_message_t messages[8];
    int32_t ids[256];
    char text[257] = {0};
    const size_t count = messages_of(pairs, messages);
    llmir_token_sink_t sink = {ids, 256, 0};
    assert_status(llmir_chat_encode(&f->chat, &f->allocator, messages, count, flags, &sink,
                                    &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(sink.count <= 256);
    for (size_t i = 0; i < sink.count; ++i) {
        text[i] = ids[i] == TURN ? '#' : (char)ids[i];
    }
    assert_string_equal(text, expected);
}

#define EXPECT(expected, flags, ...) \
    expect(*state, (const char* const[]){__VA_ARGS__, NULL}, flags, expected)

/* The encoding must fail with a message that contains `fragment`. */
static void expect_failure(const fixture_t* f, const char* const* pairs, const char* fragment) {
    llmir_message_t messages[8];
    const size_t count = messages_of(pairs, messages);
    llmir_token_sink_t sink = {NULL, 0, 0};
    llmir_error_t error = {0};
    assert_int_equal(llmir_chat_encode(&f->chat, &f->allocator, messages, count,
                                       LLMIR_CHAT_GENERATE, &sink, &error),
                     LLMIR_STATUS_INVALID_ARGUMENT);
    if (strstr(error.message, fragment) == NULL) {
        fail_msg("'%s' does not contain '%s'", error.message, fragment);
    }
}

#define EXPECT_FAILURE(fragment, ...) \
    expect_failure(*state, (const char* const[]){__VA_ARGS__, NULL}, fragment)

/* ---- Conversations */

static void test_chat_table_joins_contents(void** state) {
    EXPECT("#uhi#a", LLMIR_CHAT_GENERATE, "user", "hi");
    EXPECT("#uhi", 0, "user", "hi");
    EXPECT("#sS#u1#a2.#u3#a", LLMIR_CHAT_GENERATE, "system", "S", "user", "1", "assistant", "2",
           "user", "3");
    EXPECT("#u1#a2.", 0, "user", "1", "assistant", "2");
    EXPECT("#u#a", LLMIR_CHAT_GENERATE, "user", "");
}

static void test_chat_table_continues_after_an_answer(void** state) {
    EXPECT(".#umore#a", LLMIR_CHAT_GENERATE | LLMIR_CHAT_CONTINUE, "user", "more");
}

static void test_chat_table_control_tokens_in_contents_stay_text(void** state) {
    EXPECT("#u<|>#a", LLMIR_CHAT_GENERATE, "user", "<|>");
    EXPECT("#u<#a|>.#u<|#a", LLMIR_CHAT_GENERATE, "user", "<", "assistant", "|>", "user", "<|");
}

static void test_chat_table_system_moves_before_the_last_user(void** state) {
    fixture_t* f = *state;
    f->section.record.flags = LLMIR_CHAT_SYSTEM_BEFORE_LAST_USER;
    add_text(f, LLMIR_CHAT_ROLE_ASSISTANT, LLMIR_CHAT_ROLE_SYSTEM, ".<|>s");
    assert_status(open_table(f, &assert_status_error), LLMIR_STATUS_OK);
    EXPECT("#u1#a2.#sS#u3#a", LLMIR_CHAT_GENERATE, "system", "S", "user", "1", "assistant", "2",
           "user", "3");
    EXPECT("#sS#u1#a", LLMIR_CHAT_GENERATE, "system", "S", "user", "1");
    EXPECT_FAILURE("there is none", "system", "S");
}

static void test_chat_table_forbidden_orders_and_roles_are_named(void** state) {
    EXPECT_FAILURE("from user to user", "user", "1", "user", "2");
    EXPECT_FAILURE("from the start to assistant", "assistant", "1");
    EXPECT_FAILURE("from system to a generated answer", "system", "S");
    EXPECT_FAILURE("role 'tool' is unknown", "tool", "x");
    expect_failure(*state, (const char* const[]){NULL}, "from the start to a generated answer");
    const fixture_t* f = *state;
    const llmir_message_t nameless = {NULL, "x", 1};
    llmir_token_sink_t sink = {NULL, 0, 0};
    assert_status(
        llmir_chat_encode(&f->chat, &f->allocator, &nameless, 1, 0, &sink, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
}

/* ---- Trimming */

static void set_trim(fixture_t* f, uint32_t role, uint32_t trim) {
    f->section.record.trim[role] = trim;
    assert_status(open_table(f, &assert_status_error), LLMIR_STATUS_OK);
}

static void test_chat_table_trims_what_the_flags_say(void** state) {
    const uint32_t both = LLMIR_CHAT_TRIM_LEFT | LLMIR_CHAT_TRIM_RIGHT;
    EXPECT("#u \n x \n ", 0, "user", " \n x \n ");
    set_trim(*state, LLMIR_CHAT_ROLE_USER, LLMIR_CHAT_TRIM_LEFT);
    EXPECT("#ux \n ", 0, "user", " \n x \n ");
    set_trim(*state, LLMIR_CHAT_ROLE_USER, LLMIR_CHAT_TRIM_RIGHT);
    EXPECT("#u \n x", 0, "user", " \n x \n ");
    set_trim(*state, LLMIR_CHAT_ROLE_USER, both);
    EXPECT("#ux y#a z .", 0, "user", "\t\r\v\f\x1c\x1fx y\n", "assistant", " z ");
    EXPECT("#u#a", LLMIR_CHAT_GENERATE, "user", " \n ");
    /* U+0085, U+00A0, U+1680, U+2003, U+2028, U+3000; not U+200B */
    EXPECT("#ux#a", LLMIR_CHAT_GENERATE, "user",
           "\xc2\x85\xc2\xa0x\xe1\x9a\x80\xe2\x80\x83\xe2\x80\xa8\xe3\x80\x80");
    EXPECT("#u\xe2\x80\x8bx\xa0#a", LLMIR_CHAT_GENERATE, "user", "\xe2\x80\x8bx\xa0 ");
}

static void test_chat_table_trims_line_feeds_only(void** state) {
    const uint32_t newlines = LLMIR_CHAT_TRIM_NEWLINES;
    set_trim(*state, LLMIR_CHAT_ROLE_USER, newlines | LLMIR_CHAT_TRIM_LEFT);
    EXPECT("#u \nx\n\n", 0, "user", "\n\n \nx\n\n");
    set_trim(*state, LLMIR_CHAT_ROLE_USER, newlines | LLMIR_CHAT_TRIM_RIGHT);
    EXPECT("#u\nx\r", 0, "user", "\nx\r\n\n");
}

static void test_chat_table_keeps_what_follows_the_system(void** state) {
    set_trim(*state, LLMIR_CHAT_ROLE_USER,
             LLMIR_CHAT_TRIM_LEFT | LLMIR_CHAT_TRIM_RIGHT | LLMIR_CHAT_TRIM_NOT_AFTER_SYSTEM);
    EXPECT("#sS#u 1#a2.#u3#a", LLMIR_CHAT_GENERATE, "system", "S", "user", " 1 ", "assistant", "2",
           "user", " 3 ");
    EXPECT("#u1#a", LLMIR_CHAT_GENERATE, "user", " 1 ");
}

/* ---- Sections and memory */

static void test_chat_table_wrong_records_are_refused(void** state) {
    fixture_t* f = *state;
    for (size_t bytes = 0; bytes < f->section_bytes; ++bytes) {
        llmir_chat_t chat;
        assert_status(
            llmir_chat_open(f->section.bytes, bytes, &f->tokenizer, &chat, &assert_status_error),
            LLMIR_STATUS_CORRUPT);
    }
    llmir_chat_record_t* record = &f->section.record;
    record->flags = 2;
    assert_status(open_table(f, &assert_status_error), LLMIR_STATUS_UNSUPPORTED);
    record->flags = 0;
    record->trim[LLMIR_CHAT_ROLE_ASSISTANT] = LLMIR_CHAT_TRIM_KNOWN + 1;
    assert_status(open_table(f, &assert_status_error), LLMIR_STATUS_UNSUPPORTED);
    record->trim[LLMIR_CHAT_ROLE_ASSISTANT] = 0;
    record->text[LLMIR_CHAT_ROLE_USER][LLMIR_CHAT_TO_END] = (llmir_bundle_range_t){UINT32_MAX, 2};
    assert_status(open_table(f, &assert_status_error), LLMIR_STATUS_CORRUPT);
}

static llmir_status_t encode_once(const llmir_allocator_t* allocator,
                                  void* user,
                                  llmir_error_t* error) {
    const fixture_t* f = user;
    const llmir_message_t messages[] = {{"system", "s", 1}, {"user", "u", 1}};
    llmir_token_sink_t sink = {NULL, 0, 0};
    return llmir_chat_encode(&f->chat, allocator, messages, 2, LLMIR_CHAT_GENERATE, &sink, error);
}

static void test_chat_table_refused_memory_fails_without_leaks(void** state) {
    assert_true(test_allocator_sweep(encode_once, *state) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CHAT_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        CHAT_TEST(test_chat_table_joins_contents),
        CHAT_TEST(test_chat_table_continues_after_an_answer),
        CHAT_TEST(test_chat_table_control_tokens_in_contents_stay_text),
        CHAT_TEST(test_chat_table_system_moves_before_the_last_user),
        CHAT_TEST(test_chat_table_forbidden_orders_and_roles_are_named),
        CHAT_TEST(test_chat_table_trims_what_the_flags_say),
        CHAT_TEST(test_chat_table_trims_line_feeds_only),
        CHAT_TEST(test_chat_table_keeps_what_follows_the_system),
        CHAT_TEST(test_chat_table_wrong_records_are_refused),
        CHAT_TEST(test_chat_table_refused_memory_fails_without_leaks),
#undef CHAT_TEST
    };
    return cmocka_run_group_tests_name("chat_table", tests, NULL, NULL);
}
