/* The tokenizer over small sections: byte-level merging, special tokens, decoding, hostile input.
 */
#include "core/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_tokenizer.h"

#define NORMAL LLMIR_TOKEN_NORMAL
enum { AB = TINY_FIRST_TOKEN, BC, ABC, AA, SPACE_A, START, END, STARTS, USER, UNUSED, BOS };

static const tiny_token_t tokens[] = {{"ab", NORMAL, 0},
                                      {"bc", NORMAL, 0},
                                      {"abc", NORMAL, 0},
                                      {"aa", NORMAL, 0},
                                      {" a", NORMAL | LLMIR_TOKEN_WHOLE, 0},
                                      {"<s", LLMIR_TOKEN_CONTROL, 0},
                                      {"<end>", LLMIR_TOKEN_CONTROL | LLMIR_TOKEN_END, 0},
                                      {"<start>", LLMIR_TOKEN_CONTROL, 0},
                                      {"<user>", LLMIR_TOKEN_USER_DEFINED, 0},
                                      {"<unused>", LLMIR_TOKEN_UNUSED, 0},
                                      {"<bos>", LLMIR_TOKEN_CONTROL, 0}};
static const tiny_merge_t merges[] = {
    {'b', 'c', BC}, {'a', 'b', AB}, {'a', BC, ABC}, {'a', 'a', AA}};
static const tiny_vocabulary_t vocabulary = {.kind = LLMIR_TOKENIZER_BPE,
                                             .pretokenizer = LLMIR_PRETOKENIZER_GPT2,
                                             .flags = LLMIR_TOKENIZER_ADD_BOS | LLMIR_TOKENIZER_NFC,
                                             .tokens = tokens,
                                             .token_count = sizeof tokens / sizeof *tokens,
                                             .merges = merges,
                                             .merge_count = sizeof merges / sizeof *merges,
                                             .bos_id = BOS};

typedef struct fixture {
    tiny_section_t section;
    llmir_tokenizer_t tokenizer;
    llmir_allocator_t allocator;
} fixture_t;

static int setup(void** state) {
    static fixture_t fixture;
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

/* Encodes and compares with the ids that follow, up to -1. */
static void expect(const fixture_t* f,
                   const llmir_encode_text_t* text,
                   uint32_t flags,
                   const int32_t* expected) {
    int32_t ids[64];
    llmir_token_sink_t sink = {ids, 64, 0};
    assert_status(llmir_tokenizer_encode(&f->tokenizer, &f->allocator, text, flags, &sink,
                                         &assert_status_error),
                  LLMIR_STATUS_OK);
    size_t count = 0;
    while (expected[count] != -1) {
        ++count;
    }
    assert_int_equal(sink.count, count);
    assert_memory_equal(ids, expected, count * sizeof *ids);
}

#define EXPECT(text, flags, ...)                                                   \
    do {                                                                           \
        const llmir_encode_text_t expect_text = {text, sizeof(text) - 1, NULL, 0}; \
        expect(*state, &expect_text, flags, (const int32_t[]){__VA_ARGS__, -1});   \
    } while (0)

/* ---- Merging */

static void test_tokenizer_bpe_smallest_rank_merges_first(void** state) {
    EXPECT("abc", 0, ABC); /* bc, then a bc; not ab */
    EXPECT("abab", 0, AB, AB);
    EXPECT("bca", 0, BC, 'a');
}

static void test_tokenizer_bpe_leftmost_of_equals_merges_first(void** state) {
    EXPECT("aaa", 0, AA, 'a');
    EXPECT("aaaaa", 0, AA, AA, 'a');
}

static void test_tokenizer_bpe_words_do_not_merge(void** state) {
    EXPECT("a b", 0, 'a', ' ', 'b');
    EXPECT("ab'sc", 0, AB, '\'', 's', 'c'); /* without the split: s, c */
}

static void test_tokenizer_bpe_whole_word_needs_no_merge(void** state) {
    EXPECT("b a", 0, 'b', SPACE_A);
    EXPECT(" aa", 0, ' ', AA); /* only the word itself */
}

static void test_tokenizer_empty_text_gives_no_tokens(void** state) {
    const llmir_encode_text_t empty = {NULL, 0, NULL, 0};
    expect(*state, &empty, 0, (const int32_t[]){-1});
}

static void test_tokenizer_bos_is_added_on_request_only(void** state) {
    EXPECT("ab", LLMIR_TOKENIZE_ADD_BOS, BOS, AB);
    EXPECT("ab", 0, AB);
}

static void test_tokenizer_invalid_utf8_stands_for_itself(void** state) {
    EXPECT("\xff\xc3", 0, 0xff, 0xc3);
    EXPECT("a\xe2\x82", 0, 'a', 0xe2, 0x82);     /* cut inside of a character */
    EXPECT("\xed\xa0\x80", 0, 0xed, 0xa0, 0x80); /* a surrogate */
    EXPECT("\xc0\x80", 0, 0xc0, 0x80);           /* too long for U+0000 */
}

/* ---- Special tokens */

static void test_tokenizer_control_token_needs_the_flag(void** state) {
    EXPECT("a<end>", LLMIR_TOKENIZE_SPECIAL, 'a', END);
    EXPECT("<end>", 0, '<', 'e', 'n', 'd', '>');
}

static void test_tokenizer_longest_special_token_wins(void** state) {
    EXPECT("<start>", LLMIR_TOKENIZE_SPECIAL, STARTS);
    EXPECT("<star", LLMIR_TOKENIZE_SPECIAL, START, 't', 'a', 'r');
}

static void test_tokenizer_user_defined_token_always_matches(void** state) {
    EXPECT("<user><end>", 0, USER, '<', 'e', 'n', 'd', '>');
    EXPECT("<unused>", LLMIR_TOKENIZE_SPECIAL, '<', 'u', 'n', 'u', 's', 'e', 'd', '>');
}

static void test_tokenizer_plain_range_holds_no_control_token(void** state) {
    static const char data[] = "<end><end><end><user>";
    const llmir_text_range_t middle[] = {{5, 10}, {15, 21}};
    const llmir_encode_text_t text = {data, sizeof data - 1, middle, 2};
    expect(*state, &text, LLMIR_TOKENIZE_SPECIAL,
           (const int32_t[]){END, '<', 'e', 'n', 'd', '>', END, USER, -1});
    const llmir_text_range_t inside[] = {{2, 3}}; /* a token may not even reach into one */
    const llmir_encode_text_t cut = {data, 5, inside, 1};
    expect(*state, &cut, LLMIR_TOKENIZE_SPECIAL, (const int32_t[]){'<', 'e', 'n', 'd', '>', -1});
    const llmir_text_range_t behind[] = {{0, 0}, {5, 5}};
    const llmir_encode_text_t free_text = {data, 5, behind, 2};
    expect(*state, &free_text, LLMIR_TOKENIZE_SPECIAL, (const int32_t[]){END, -1});
}

/* ---- Single tokens and decoding */

static void test_tokenizer_token_bytes_and_classes(void** state) {
    const llmir_tokenizer_t* t = &((fixture_t*)*state)->tokenizer;
    uint32_t bytes;
    uint32_t kind;
    assert_memory_equal(llmir_tokenizer_token_bytes(t, ABC, &bytes, &kind), "abc", 3);
    assert_int_equal(bytes, 3);
    assert_int_equal(kind, LLMIR_TOKEN_NORMAL);
    assert_null(llmir_tokenizer_token_bytes(t, -1, &bytes, &kind));
    assert_int_equal(bytes, 0);
    assert_null(llmir_tokenizer_token_bytes(t, BOS + 1, &bytes, NULL));
    assert_true(llmir_tokenizer_is_end(t, END));
    assert_false(llmir_tokenizer_is_end(t, BOS));
    assert_false(llmir_tokenizer_is_end(t, -1));
    assert_false(llmir_tokenizer_is_end(t, INT32_MAX));
    assert_true(llmir_tokenizer_is_special(t, END));
    assert_true(llmir_tokenizer_is_special(t, UNUSED));
    assert_false(llmir_tokenizer_is_special(t, USER));
}

static void test_tokenizer_decode_leaves_special_tokens_out(void** state) {
    const llmir_tokenizer_t* t = &((fixture_t*)*state)->tokenizer;
    const int32_t ids[] = {BOS, ABC, USER, END};
    char text[32];
    llmir_text_sink_t sink = {text, sizeof text, 0};
    assert_status(llmir_tokenizer_decode(t, ids, 4, 0, &sink, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(sink.bytes, 9);
    assert_memory_equal(text, "abc<user>", 9);
    sink.bytes = 0;
    assert_status(
        llmir_tokenizer_decode(t, ids, 4, LLMIR_TOKENIZE_SPECIAL, &sink, &assert_status_error),
        LLMIR_STATUS_OK);
    assert_memory_equal(text, "<bos>abc<user><end>", 19);
}

static void test_tokenizer_sinks_count_past_their_capacity(void** state) {
    const fixture_t* f = *state;
    const int32_t ids[] = {ABC, USER};
    char text[5] = "....";
    llmir_text_sink_t sink = {text, 4, 0};
    assert_status(llmir_tokenizer_decode(&f->tokenizer, ids, 2, 0, &sink, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(sink.bytes, 9);
    assert_string_equal(text, "abc<");
    int32_t few[2] = {-1, -1};
    const llmir_encode_text_t input = {"b c a", 5, NULL, 0};
    llmir_token_sink_t tokens_sink = {few, 1, 0};
    assert_status(llmir_tokenizer_encode(&f->tokenizer, &f->allocator, &input, 0, &tokens_sink,
                                         &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(tokens_sink.count, 4);
    assert_int_equal(few[0], 'b');
    assert_int_equal(few[1], -1);
}

static void test_tokenizer_decode_id_out_of_range_fails(void** state) {
    const llmir_tokenizer_t* t = &((fixture_t*)*state)->tokenizer;
    const int32_t ids[] = {ABC, 9999};
    llmir_text_sink_t sink = {NULL, 0, 0};
    assert_status_message(llmir_tokenizer_decode(t, ids, 2, 0, &sink, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "token 1: id 9999");
}

/* ---- Hostile sections */

static void test_tokenizer_open_truncated_section_fails(void** state) {
    const fixture_t* f = *state;
    llmir_tokenizer_t tokenizer;
    for (size_t bytes = 0; bytes < f->section.bytes; bytes += 8) {
        uint8_t* copy = malloc(bytes > 0 ? bytes : 1); /* so that a sanitizer sees the end */
        memcpy(copy, f->section.data, bytes);
        assert_status(llmir_tokenizer_open(copy, bytes, 1000, &tokenizer, &assert_status_error),
                      LLMIR_STATUS_CORRUPT);
        free(copy);
    }
}

static void test_tokenizer_open_more_tokens_than_logits_fails(void** state) {
    const fixture_t* f = *state;
    llmir_tokenizer_t tokenizer;
    assert_status_message(llmir_tokenizer_open(f->section.data, f->section.bytes, BOS, &tokenizer,
                                               &assert_status_error),
                          LLMIR_STATUS_CORRUPT, "267 tokens, the model has 266 logits");
}

/* One field of the record, and what opening says if it holds `value`. */
typedef struct bad_field {
    size_t offset;
    uint32_t value;
    llmir_status_t status;
} bad_field_t;

static void test_tokenizer_open_bad_record_fields_fail(void** state) {
    const fixture_t* f = *state;
#define FIELD(name) offsetof(llmir_tokenizer_record_t, name)
    static const bad_field_t fields[] = {
        {FIELD(record_bytes), 8, LLMIR_STATUS_CORRUPT},
        {FIELD(record_bytes), UINT32_MAX, LLMIR_STATUS_CORRUPT},
        {FIELD(kind), 9, LLMIR_STATUS_UNSUPPORTED},
        {FIELD(pretokenizer), 77, LLMIR_STATUS_UNSUPPORTED},
        {FIELD(flags), 1u << 31, LLMIR_STATUS_UNSUPPORTED},
        {FIELD(token_count), 0, LLMIR_STATUS_CORRUPT},
        {FIELD(token_count), 5, LLMIR_STATUS_CORRUPT},
        {FIELD(merge_count), UINT32_MAX, LLMIR_STATUS_CORRUPT},
        {FIELD(text_probes), UINT32_MAX, LLMIR_STATUS_CORRUPT},
        {FIELD(max_token_bytes), 1u << 20, LLMIR_STATUS_CORRUPT},
        {FIELD(bos_id), 9999, LLMIR_STATUS_CORRUPT},
        {FIELD(unknown_id), (uint32_t)-2, LLMIR_STATUS_CORRUPT},
        {FIELD(token_offsets.offset), 4, LLMIR_STATUS_CORRUPT},
        {FIELD(token_offsets.bytes), 0, LLMIR_STATUS_CORRUPT},
        {FIELD(token_bytes.bytes), 3, LLMIR_STATUS_CORRUPT},
        {FIELD(token_info.offset), UINT32_MAX - 7, LLMIR_STATUS_CORRUPT},
        {FIELD(byte_ids.bytes), 0, LLMIR_STATUS_CORRUPT},
        {FIELD(merge_slots.bytes), 12, LLMIR_STATUS_CORRUPT},
        {FIELD(special_first.bytes), 0, LLMIR_STATUS_CORRUPT},
        {FIELD(char_index.bytes), 2, LLMIR_STATUS_CORRUPT},
        {FIELD(char_blocks.bytes), 128, LLMIR_STATUS_CORRUPT},
    };
#undef FIELD
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i) {
        uint32_t saved;
        memcpy(&saved, f->section.data + fields[i].offset, 4);
        memcpy(f->section.data + fields[i].offset, &fields[i].value, 4);
        llmir_tokenizer_t tokenizer;
        assert_status(llmir_tokenizer_open(f->section.data, f->section.bytes, 1000, &tokenizer,
                                           &assert_status_error),
                      fields[i].status);
        memcpy(f->section.data + fields[i].offset, &saved, 4);
    }
}

/* Every byte of the tables that opening does not read through, set to 0, to 0xff and to noise. */
static void test_tokenizer_damaged_tables_stay_harmless(void** state) {
    fixture_t* f = *state;
    static const char text[] = "abc aa<start>x 12 <user>caab\xff";
    const llmir_encode_text_t input = {text, sizeof text - 1, NULL, 0};
    test_random_t random;
    test_random_init(&random, 11);
    for (size_t at = 0; at < f->section.bytes; at += 1 + at / 4096) {
        const uint8_t saved = f->section.data[at];
        for (int damage = 0; damage < 3; ++damage) {
            const uint8_t noise = (uint8_t)test_random_u64(&random);
            f->section.data[at] = damage == 0 ? 0 : damage == 1 ? 0xff : noise;
            llmir_tokenizer_t t;
            if (llmir_tokenizer_open(f->section.data, f->section.bytes, 1000, &t, NULL) !=
                LLMIR_STATUS_OK) {
                continue;
            }
            int32_t ids[64];
            llmir_token_sink_t sink = {ids, 64, 0};
            assert_status(llmir_tokenizer_encode(&t, &f->allocator, &input, LLMIR_TOKENIZE_SPECIAL,
                                                 &sink, &assert_status_error),
                          LLMIR_STATUS_OK);
            for (size_t i = 0; i < sink.count && i < 64; ++i) {
                assert_in_range(ids[i], 0, t.token_count - 1);
            }
        }
        f->section.data[at] = saved;
    }
}

/* ---- Size */

static llmir_status_t encode_long_word(const llmir_allocator_t* allocator,
                                       void* user,
                                       llmir_error_t* error) {
    static char text[3000];
    memset(text, 'a', sizeof text);
    const llmir_encode_text_t input = {text, sizeof text, NULL, 0};
    llmir_token_sink_t sink = {NULL, 0, 0};
    return llmir_tokenizer_encode(user, allocator, &input, 0, &sink, error);
}

static void test_tokenizer_refused_memory_fails_without_leaks(void** state) {
    fixture_t* f = *state;
    assert_true(test_allocator_sweep(encode_long_word, &f->tokenizer) >= 2);
}

static void test_tokenizer_text_of_a_gibibyte_fails(void** state) {
    const fixture_t* f = *state;
    const llmir_encode_text_t input = {"", (size_t)1 << 30, NULL, 0};
    llmir_token_sink_t sink = {NULL, 0, 0};
    assert_status_message(llmir_tokenizer_encode(&f->tokenizer, &f->allocator, &input, 0, &sink,
                                                 &assert_status_error),
                          LLMIR_STATUS_CAPACITY, "less than 1 GiB");
}

static void test_tokenizer_megabyte_word_merges_completely(void** state) {
    const fixture_t* f = *state;
    const size_t bytes = 1 << 20;
    char* text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'a', bytes);
    const llmir_encode_text_t input = {text, bytes, NULL, 0};
    llmir_token_sink_t sink = {NULL, 0, 0};
    assert_status(llmir_tokenizer_encode(&f->tokenizer, &f->allocator, &input, 0, &sink,
                                         &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(sink.count, bytes / 2);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_bpe_smallest_rank_merges_first),
        cmocka_unit_test(test_tokenizer_bpe_leftmost_of_equals_merges_first),
        cmocka_unit_test(test_tokenizer_bpe_words_do_not_merge),
        cmocka_unit_test(test_tokenizer_bpe_whole_word_needs_no_merge),
        cmocka_unit_test(test_tokenizer_empty_text_gives_no_tokens),
        cmocka_unit_test(test_tokenizer_bos_is_added_on_request_only),
        cmocka_unit_test(test_tokenizer_invalid_utf8_stands_for_itself),
        cmocka_unit_test(test_tokenizer_control_token_needs_the_flag),
        cmocka_unit_test(test_tokenizer_longest_special_token_wins),
        cmocka_unit_test(test_tokenizer_user_defined_token_always_matches),
        cmocka_unit_test(test_tokenizer_plain_range_holds_no_control_token),
        cmocka_unit_test(test_tokenizer_token_bytes_and_classes),
        cmocka_unit_test(test_tokenizer_decode_leaves_special_tokens_out),
        cmocka_unit_test(test_tokenizer_sinks_count_past_their_capacity),
        cmocka_unit_test(test_tokenizer_decode_id_out_of_range_fails),
        cmocka_unit_test(test_tokenizer_open_truncated_section_fails),
        cmocka_unit_test(test_tokenizer_open_more_tokens_than_logits_fails),
        cmocka_unit_test(test_tokenizer_open_bad_record_fields_fail),
        cmocka_unit_test(test_tokenizer_damaged_tables_stay_harmless),
        cmocka_unit_test(test_tokenizer_refused_memory_fails_without_leaks),
        cmocka_unit_test(test_tokenizer_text_of_a_gibibyte_fails),
        cmocka_unit_test(test_tokenizer_megabyte_word_merges_completely),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, setup, teardown);
}
