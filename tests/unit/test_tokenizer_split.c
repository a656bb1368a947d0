/* Where the pre-tokenizers cut, worked out by hand from their expressions, and normalisation to
 * form C before the cut. */
#include <stdlib.h>
#include <string.h>

#include "core/tokenizer_internal.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_tokenizer.h"

typedef struct fixture {
    tiny_section_t section;
    llmir_tokenizer_t tokenizer;
    llmir_allocator_t allocator;
} fixture_t;

static int setup(void** state) {
    static fixture_t fixture;
    const tiny_vocabulary_t vocabulary = {.kind = LLMIR_TOKENIZER_BPE,
                                          .flags = LLMIR_TOKENIZER_NFC};
    fixture.section = tiny_tokenizer_section(&vocabulary);
    fixture.allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    assert_status(llmir_tokenizer_open(fixture.section.data, fixture.section.bytes, 1000,
                                       &fixture.tokenizer, &assert_status_error),
                  LLMIR_STATUS_OK);
    *state = &fixture;
    return 0;
}

static int teardown(void** state) {
    free(((fixture_t*)*state)->section.data);
    return 0;
}

/* `words` is the text with '|' where it is cut. */
static void expect_words(void** state, llmir_pretokenizer_t kind, const char* words) {
    llmir_tokenizer_t tokenizer = ((fixture_t*)*state)->tokenizer;
    tokenizer.pretokenizer = kind;
    uint8_t text[256];
    char cut[512];
    size_t bytes = 0;
    for (const char* c = words; *c != '\0'; ++c) {
        if (*c != '|') {
            text[bytes++] = (uint8_t)*c;
        }
    }
    size_t length = 0;
    for (size_t at = 0; at < bytes;) {
        const size_t end = llmir_pretokenizer_next(&tokenizer, text, bytes, at);
        assert_true(end > at && end <= bytes);
        if (at > 0) {
            cut[length++] = '|';
        }
        memcpy(cut + length, text + at, end - at);
        length += end - at;
        at = end;
    }
    cut[length] = '\0';
    assert_string_equal(cut, words);
}

static void test_tokenizer_split_gpt2_follows_its_expression(void** state) {
    const llmir_pretokenizer_t kind = LLMIR_PRETOKENIZER_GPT2;
    expect_words(state, kind, "Hello| world|!");
    expect_words(state, kind, "a|  | b| ");
    expect_words(state, kind, "a| \n|\t|b| \n ");
    expect_words(state, kind, "I|'m| you|'ll|'|LL| '|s|'s");
    expect_words(state, kind, "x|12| 345|.|5| ?!...|y");
    expect_words(state, kind, "\xc3\xa9t\xc3\xa9|\xe2\x82\xac| \xd9\xa1|\xc2\xa0|x");
    expect_words(state, kind, "a|\xff\xfe!|b| \xff|\n");
}

static void test_tokenizer_split_smollm_cuts_digits_first(void** state) {
    const llmir_pretokenizer_t kind = LLMIR_PRETOKENIZER_SMOLLM;
    expect_words(state, kind, "x|1|2|\xd9\xa1|y");
    expect_words(state, kind, "a| |1|   |2"); /* white space ends its part before a digit */
    expect_words(state, kind, "a|  | b|  |7| !");
}

static void test_tokenizer_split_llama3_follows_its_expression(void** state) {
    const llmir_pretokenizer_t kind = LLMIR_PRETOKENIZER_LLAMA3;
    expect_words(state, kind, "Hello| world|!!|x|!x|\tx|\xc2\xa0x");
    expect_words(state, kind, "a|123|456|7| |89");
    expect_words(state, kind, "I|'M| you|'lL|'\xc5\xbf|'x| ''|d");
    expect_words(state, kind, "a|  \n \n|  | b| \r\n");
    expect_words(state, kind, "a|!\n\n|b| ?\r\n|\t|1");
    expect_words(state, kind, "a|\n|b|  ");
    expect_words(state, kind,
                 "a|\xff\xff\n|b|\xff"
                 "c");
}

static void test_tokenizer_split_qwen2_cuts_single_digits(void** state) {
    expect_words(state, LLMIR_PRETOKENIZER_QWEN2, "a|1|2|3| |4|'S| x|!\n");
}

static void test_tokenizer_split_none_keeps_the_text(void** state) {
    expect_words(state, LLMIR_PRETOKENIZER_NONE, "a b  1\n!");
}

/* Whatever the bytes: words are not empty and cover the text. */
static void test_tokenizer_split_random_bytes_makes_progress(void** state) {
    llmir_tokenizer_t tokenizer = ((fixture_t*)*state)->tokenizer;
    test_random_t random;
    test_random_init(&random, 12);
    static const char alphabet[] = "  \n\r\t''slrevmtdLS1a!\xc3\xa9\xe2\x82\xac\xc5\xbf";
    for (int round = 0; round < 5000; ++round) {
        uint8_t text[64];
        const size_t bytes = 1 + test_random_below(&random, sizeof text);
        for (size_t i = 0; i < bytes; ++i) {
            text[i] = (uint8_t)alphabet[test_random_below(&random, sizeof alphabet - 1)];
        }
        tokenizer.pretokenizer = (uint32_t)(round % 5);
        for (size_t at = 0; at < bytes;) {
            const size_t end = llmir_pretokenizer_next(&tokenizer, text, bytes, at);
            assert_true(end > at && end <= bytes);
            at = end;
        }
    }
}

/* ---- Form C */

static void expect_nfc(void** state, const char* text, const char* expected) {
    const fixture_t* f = *state;
    int32_t ids[256];
    const llmir_encode_text_t input = {text, strlen(text), NULL, 0};
    llmir_token_sink_t sink = {ids, 256, 0};
    assert_status(llmir_tokenizer_encode(&f->tokenizer, &f->allocator, &input, 0, &sink,
                                         &assert_status_error),
                  LLMIR_STATUS_OK);
    char found[257];
    for (size_t i = 0; i < sink.count; ++i) { /* without merges ids are bytes */
        found[i] = (char)ids[i];
    }
    found[sink.count] = '\0';
    assert_string_equal(found, expected);
}

static void test_tokenizer_nfc_composes_and_orders(void** state) {
    expect_nfc(state, "xe\xcc\x81y", "x\xc3\xa9y");
    expect_nfc(state, "\xe2\x84\xab", "\xc3\x85");                  /* U+212B */
    expect_nfc(state, "c\xcc\x81\xcc\xa7", "\xe1\xb8\x89");         /* reordered */
    expect_nfc(state, "e\xcc\x81\xcc\xa3", "\xe1\xba\xb9\xcc\x81"); /* U+1EB9 U+0301 */
    expect_nfc(state, "\xc3\xa9\xcc\xa3", "\xe1\xba\xb9\xcc\x81");  /* the same */
    expect_nfc(state, "e\xcc\x81\xcc\x81", "\xc3\xa9\xcc\x81");     /* blocked */
    expect_nfc(state,
               "\xcc\x81"
               "e",
               "\xcc\x81"
               "e");                                     /* no starter */
    expect_nfc(state, "e\xff\xcc\x81", "e\xff\xcc\x81"); /* an invalid byte stands between */
}

static void test_tokenizer_nfc_composes_hangul(void** state) {
    expect_nfc(state, "\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80");
    expect_nfc(state, "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81");
    expect_nfc(state, "\xea\xb0\x80\xe1\x86\xa8", "\xea\xb0\x81");
    expect_nfc(state, "\xea\xb0\x81\xe1\x86\xa8", "\xea\xb0\x81\xe1\x86\xa8"); /* has one */
}

/* More marks than are sorted by insertion: all of the lower class come first, in order. */
static void test_tokenizer_nfc_orders_many_marks(void** state) {
    char text[200] = "x";
    char expected[200] = "x";
    for (int i = 0; i < 40; ++i) {
        strcat(text, i % 2 ? "\xcc\xa3" : "\xcc\x81");
        strcat(expected, i < 20 ? "\xcc\xa3" : "\xcc\x81");
    }
    expect_nfc(state, text, expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_split_gpt2_follows_its_expression),
        cmocka_unit_test(test_tokenizer_split_smollm_cuts_digits_first),
        cmocka_unit_test(test_tokenizer_split_llama3_follows_its_expression),
        cmocka_unit_test(test_tokenizer_split_qwen2_cuts_single_digits),
        cmocka_unit_test(test_tokenizer_split_none_keeps_the_text),
        cmocka_unit_test(test_tokenizer_split_random_bytes_makes_progress),
        cmocka_unit_test(test_tokenizer_nfc_composes_and_orders),
        cmocka_unit_test(test_tokenizer_nfc_composes_hangul),
        cmocka_unit_test(test_tokenizer_nfc_orders_many_marks),
    };
    return cmocka_run_group_tests_name("tokenizer_split", tests, setup, teardown);
}
