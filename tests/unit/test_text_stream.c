/* Streams of text: UTF-8 that arrives in any pieces, and stop strings across them. */
#include <string.h>

#include "core/text_stream.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define REPLACEMENT "\xef\xbf\xbd"

typedef struct stream_case {
    llmir_stop_set_t stops;
    llmir_text_stream_t stream;
    char buffer[LLMIR_TEXT_STREAM_BYTES(256)];
    char text[2048]; /* everything taken so far */
    size_t bytes;
} stream_case_t;

static void begin(stream_case_t* c, const char* const* stops, uint32_t stop_count) {
    memset(c, 0, sizeof(*c));
    assert_status(llmir_stop_set_init(&c->stops, stops, stop_count, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_text_stream_init(&c->stream, &c->stops, c->buffer, sizeof(c->buffer));
}

static void take(stream_case_t* c) {
    size_t bytes = 0;
    const char* text = llmir_text_stream_take(&c->stream, &bytes);
    assert_true(c->bytes + bytes < sizeof(c->text));
    assert_true(llmir_utf8_is_valid(text, bytes));
    memcpy(c->text + c->bytes, text, bytes);
    c->bytes += bytes;
    c->text[c->bytes] = '\0';
}

/* Pushes pieces of `piece` bytes until the end or a stop; returns whether it stopped. */
static int push_pieces(stream_case_t* c, const char* bytes, size_t count, size_t piece) {
    int stopped = 0;
    for (size_t i = 0; i < count && !stopped; i += piece) {
        const size_t left = count - i;
        stopped = llmir_text_stream_push(&c->stream, (const uint8_t*)bytes + i,
                                         left < piece ? left : piece);
        take(c);
    }
    llmir_text_stream_flush(&c->stream);
    take(c);
    return stopped;
}

static void check_all_pieces(const char* const* stops,
                             uint32_t stop_count,
                             const char* bytes,
                             size_t count,
                             const char* expected,
                             int expected_stop) {
    for (size_t piece = 1; piece <= count; ++piece) {
        stream_case_t c;
        begin(&c, stops, stop_count);
        assert_int_equal(push_pieces(&c, bytes, count, piece), expected_stop);
        assert_string_equal(c.text, expected);
    }
}

#define CHECK_BYTES(bytes, expected) \
    check_all_pieces(NULL, 0, (bytes), sizeof(bytes) - 1, (expected), 0)

static void test_text_stream_valid_text_passes_unchanged(void** state) {
    (void)state;
    CHECK_BYTES("plain", "plain");
    CHECK_BYTES("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf",
                "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf");
}

/* The examples of Unicode 15, section 3.9, tables 3-8 to 3-11, and a cut end. */
static void test_text_stream_invalid_bytes_become_one_replacement_per_maximal_part(void** state) {
    (void)state;
    CHECK_BYTES("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41",
                REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT
                    REPLACEMENT REPLACEMENT "A");
    CHECK_BYTES("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41",
                REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT
                    REPLACEMENT REPLACEMENT "A");
    CHECK_BYTES("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42",
                REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT
                "A" REPLACEMENT REPLACEMENT "B");
    CHECK_BYTES("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41",
                REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT "A");
    CHECK_BYTES("a\xe2\x82", "a" REPLACEMENT);
    CHECK_BYTES("\xf0\x9f\x98", REPLACEMENT);
}

static void test_text_stream_incomplete_character_is_held_back(void** state) {
    stream_case_t c;
    (void)state;
    begin(&c, NULL, 0);
    assert_int_equal(llmir_text_stream_push(&c.stream, (const uint8_t*)"a\xf0\x9f\x98", 4), 0);
    take(&c);
    assert_string_equal(c.text, "a");
    assert_int_equal(llmir_text_stream_push(&c.stream, (const uint8_t*)"\x80", 1), 0);
    take(&c);
    assert_string_equal(c.text, "a\xf0\x9f\x98\x80");
}

static void test_text_stream_stop_string_ends_text_before_it(void** state) {
    static const char* const stops[] = {"</s>", "\n\n", "\xe2\x82\xac"};
    (void)state;
    check_all_pieces(stops, 3, "one</s>two", 10, "one", 1);
    check_all_pieces(stops, 3, "a\nb\n\nc", 6, "a\nb", 1);
    check_all_pieces(stops, 3, "x\xe2\x82\xacy", 5, "x", 1);
    check_all_pieces(stops, 3, "no </ s> here <", 15, "no </ s> here <", 0);
    check_all_pieces(stops, 3, "</s>", 4, "", 1);
}

/* The stop string that is completed first wins, whatever the pieces; of two that end together the
 * longer one. */
static void test_text_stream_first_completed_stop_wins(void** state) {
    static const char* const stops[] = {"bcde", "c", "aabaaab"};
    static const char* const ends[] = {"world", "hello world"};
    (void)state;
    check_all_pieces(stops, 3, "xbcdey", 6, "xb", 1);
    check_all_pieces(stops, 3, "aabaabaaabz", 11, "aab", 1);
    check_all_pieces(ends, 2, "say hello world.", 16, "say ", 1);
    check_all_pieces(ends, 2, "say hello  world.", 17, "say hello  ", 1);
}

static void test_text_stream_possible_stop_is_held_back(void** state) {
    static const char* const stops[] = {"STOP"};
    stream_case_t c;
    (void)state;
    begin(&c, stops, 1);
    (void)llmir_text_stream_push(&c.stream, (const uint8_t*)"goST", 4);
    take(&c);
    assert_string_equal(c.text, "go");
    (void)llmir_text_stream_push(&c.stream, (const uint8_t*)"O", 1);
    take(&c);
    assert_string_equal(c.text, "go");
    (void)llmir_text_stream_push(&c.stream, (const uint8_t*)"X", 1);
    take(&c);
    assert_string_equal(c.text, "goSTOX");
}

static void test_text_stream_stop_set_refuses_bad_strings(void** state) {
    static const char* const empty[] = {""};
    static const char* const invalid[] = {"a\xff"};
    static const char* const null[] = {NULL};
    static const char longest[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    const char* many[LLMIR_MAX_STOP_STRINGS + 1];
    const char* one[] = {longest};
    char longer[66];
    llmir_stop_set_t stops;
    (void)state;
    memset(longer, 'a', 65);
    longer[65] = '\0';
    assert_status(llmir_stop_set_init(&stops, empty, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_stop_set_init(&stops, invalid, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_stop_set_init(&stops, null, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_stop_set_init(&stops, NULL, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_stop_set_init(&stops, one, 1, &assert_status_error), LLMIR_STATUS_OK);
    one[0] = longer;
    assert_status(llmir_stop_set_init(&stops, one, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    for (size_t i = 0; i < LLMIR_MAX_STOP_STRINGS + 1; ++i) {
        many[i] = "x";
    }
    assert_status(
        llmir_stop_set_init(&stops, many, LLMIR_MAX_STOP_STRINGS + 1, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
}

/* Random bytes in random pieces: always valid UTF-8, always the same text, never past the buffer.
 */
static void test_text_stream_random_bytes_do_not_depend_on_pieces(void** state) {
    static const uint8_t alphabet[] = {'a',  'b',  'S',  0xc3, 0xa9, 0xe2, 0x82, 0xac,
                                       0xf0, 0x9f, 0x98, 0x80, 0xff, 0xed, 0xa0, 0xf4};
    static const char* const stops[] = {"abSab", "\xc3\xa9\xc3\xa9", ("bb" REPLACEMENT)};
    test_random_t random;
    (void)state;
    test_random_init(&random, 7);
    for (int round = 0; round < 2000; ++round) {
        char bytes[200];
        stream_case_t whole;
        stream_case_t pieces;
        int stopped = 0;
        for (size_t i = 0; i < sizeof(bytes); ++i) {
            bytes[i] = (char)alphabet[test_random_below(&random, sizeof(alphabet))];
        }
        begin(&whole, stops, 3);
        begin(&pieces, stops, 3);
        const int whole_stopped = push_pieces(&whole, bytes, sizeof(bytes), sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes) && !stopped;) {
            size_t piece = 1 + test_random_below(&random, 9);
            piece = piece < sizeof(bytes) - i ? piece : sizeof(bytes) - i;
            stopped = llmir_text_stream_push(&pieces.stream, (const uint8_t*)bytes + i, piece);
            take(&pieces);
            i += piece;
        }
        llmir_text_stream_flush(&pieces.stream);
        take(&pieces);
        assert_int_equal(stopped, whole_stopped);
        assert_string_equal(pieces.text, whole.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_stream_valid_text_passes_unchanged),
        cmocka_unit_test(test_text_stream_invalid_bytes_become_one_replacement_per_maximal_part),
        cmocka_unit_test(test_text_stream_incomplete_character_is_held_back),
        cmocka_unit_test(test_text_stream_stop_string_ends_text_before_it),
        cmocka_unit_test(test_text_stream_first_completed_stop_wins),
        cmocka_unit_test(test_text_stream_possible_stop_is_held_back),
        cmocka_unit_test(test_text_stream_stop_set_refuses_bad_strings),
        cmocka_unit_test(test_text_stream_random_bytes_do_not_depend_on_pieces),
    };
    return cmocka_run_group_tests_name("text_stream", tests, NULL, NULL);
}
