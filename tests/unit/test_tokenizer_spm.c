/* SentencePiece over small sections: BPE by score, unigram, what stands for text without tokens. */
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/tokenizer.h"
#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/tiny_tokenizer.h"

#define NORMAL LLMIR_TOKEN_NORMAL
#define FALLBACK LLMIR_TOKENIZER_BYTE_FALLBACK
#define ESCAPE "\xe2\x96\x81" /* U+2581 */

/* Opens the section of `v`, encodes and compares with the ids up to -1. */
static void expect(const tiny_vocabulary_t* v, const char* text, const int32_t* expected) {
    const tiny_section_t section = tiny_tokenizer_section(v);
    const llmir_allocator_t allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    llmir_tokenizer_t tokenizer;
    assert_status(
        llmir_tokenizer_open(section.data, section.bytes, 1000, &tokenizer, &assert_status_error),
        LLMIR_STATUS_OK);
    int32_t ids[64];
    const llmir_encode_text_t input = {text, strlen(text), NULL, 0};
    llmir_token_sink_t sink = {ids, 64, 0};
    assert_status(llmir_tokenizer_encode(&tokenizer, &allocator, &input, LLMIR_TOKENIZE_SPECIAL,
                                         &sink, &assert_status_error),
                  LLMIR_STATUS_OK);
    size_t count = 0;
    while (expected[count] != -1) {
        ++count;
    }
    assert_int_equal(sink.count, count);
    assert_memory_equal(ids, expected, count * sizeof *ids);
    free(section.data);
}

#define EXPECT(v, text, ...) expect(&(v), (text), (const int32_t[]){__VA_ARGS__, -1})

/* ---- BPE by score */

enum { A = TINY_FIRST_TOKEN, B, C, AB, BC, ABC, SP, SP_A, AA, AAA, UNK, TAG, B_SP_C, E_ACUTE };
static const tiny_token_t tokens[] = {{"a", NORMAL, -20},
                                      {"b", NORMAL, -21},
                                      {"c", NORMAL, -22},
                                      {"ab", NORMAL, -2},
                                      {"bc", NORMAL, -1},
                                      {"abc", NORMAL, -3},
                                      {" ", NORMAL, -23},
                                      {" a", NORMAL, -4},
                                      {"aa", NORMAL, -5},
                                      {"aaa", NORMAL, -5},
                                      {"<unk>", LLMIR_TOKEN_UNKNOWN, 0},
                                      {"<tag>", LLMIR_TOKEN_CONTROL, 0},
                                      {"b c", NORMAL, -1.5f},
                                      {"\xc3\xa9", NORMAL, -24}};
#define SPM(flag_bits)                              \
    {.kind = LLMIR_TOKENIZER_SPM,                   \
     .flags = (flag_bits),                          \
     .tokens = tokens,                              \
     .token_count = sizeof tokens / sizeof *tokens, \
     .unknown_id = UNK}
static const tiny_vocabulary_t spm = SPM(FALLBACK);
static const tiny_vocabulary_t spm_prefix = SPM(FALLBACK | LLMIR_TOKENIZER_SPACE_PREFIX);
static const tiny_vocabulary_t spm_without_bytes = SPM(0);
static const tiny_vocabulary_t spm_trim =
    SPM(FALLBACK | LLMIR_TOKENIZER_SPACE_PREFIX | LLMIR_TOKENIZER_TRIM_SPACES);

static void test_tokenizer_spm_best_score_merges_first(void** state) {
    (void)state;
    EXPECT(spm, "abc", ABC);   /* bc, then a bc */
    EXPECT(spm, "aab", A, AB); /* ab before aa */
}

static void test_tokenizer_spm_leftmost_of_equal_scores_merges_first(void** state) {
    (void)state;
    /* The first aa is joined by its neighbour before the second pair has its turn. */
    EXPECT(spm, "aaaa", AAA, A);
    EXPECT(spm, "aaaaa", AAA, AA);
}

static void test_tokenizer_spm_prefix_goes_before_each_part(void** state) {
    (void)state;
    EXPECT(spm, "a", A);
    EXPECT(spm_prefix, "a", SP_A);
    EXPECT(spm_prefix, "a<tag>a", SP_A, TAG, SP_A);
    EXPECT(spm_prefix, "", -1);
}

static void test_tokenizer_spm_escape_is_a_space(void** state) {
    (void)state;
    EXPECT(spm, ESCAPE "a", SP_A);
    EXPECT(spm, "\xe2\x96", 0xe2, 0x96); /* half of one is not */
}

static void test_tokenizer_spm_token_with_a_space_inside_is_found(void** state) {
    (void)state;
    EXPECT(spm, "b c", B, SP, C); /* no two neighbours are a token on the way */
    EXPECT(spm, "b a", B, SP_A);
}

static void test_tokenizer_spm_bytes_stand_for_unknown_characters(void** state) {
    (void)state;
    EXPECT(spm, "ax\xc3\xa9\xe2\x82\xac", A, 'x', E_ACUTE, 0xe2, 0x82, 0xac);
    EXPECT(spm,
           "\xff"
           "a\xc3",
           0xff, A, 0xc3);
}

static void test_tokenizer_spm_unknown_run_is_one_token(void** state) {
    (void)state;
    EXPECT(spm_without_bytes, "axyza\xff", A, UNK, A, UNK);
    EXPECT(spm_without_bytes, "x<tag>y", UNK, TAG, UNK);
}

static void test_tokenizer_spm_trim_collapses_spaces(void** state) {
    (void)state;
    EXPECT(spm_trim, "  a   a  ", SP_A, SP_A);
    EXPECT(spm_trim, "   ", -1);
    EXPECT(spm_trim, "a" ESCAPE ESCAPE "a", SP_A, SP, SP_A); /* only spaces proper collapse */
}

/* ---- Unigram */

enum { U_A = TINY_FIRST_TOKEN, U_B, U_AB, U_ABA, U_BA, U_UNK, U_TAG };
static const tiny_token_t pieces[] = {{"a", NORMAL, -4},
                                      {"b", NORMAL, -4},
                                      {"ab", NORMAL, -5},
                                      {"aba", NORMAL, -12},
                                      {"ba", NORMAL, -5},
                                      {"<unk>", LLMIR_TOKEN_UNKNOWN, 0},
                                      {"<tag>", LLMIR_TOKEN_CONTROL, 0}};
#define UNIGRAM(flag_bits)                          \
    {.kind = LLMIR_TOKENIZER_UNIGRAM,               \
     .flags = (flag_bits),                          \
     .tokens = pieces,                              \
     .token_count = sizeof pieces / sizeof *pieces, \
     .unknown_id = U_UNK}
static const tiny_vocabulary_t unigram = UNIGRAM(FALLBACK);
static const tiny_vocabulary_t unigram_without_bytes = UNIGRAM(0);

static void test_tokenizer_unigram_best_sum_wins(void** state) {
    (void)state;
    EXPECT(unigram, "ab", U_AB);         /* -5, not -8 */
    EXPECT(unigram, "abab", U_AB, U_AB); /* -10, not -16 */
    EXPECT(unigram, "abba", U_AB, U_BA);
}

static void test_tokenizer_unigram_first_found_of_equals_wins(void** state) {
    (void)state;
    EXPECT(unigram, "aba", U_A, U_BA); /* -9 as ab a: the path whose last token begins first */
}

static void test_tokenizer_unigram_unknown_characters_fall_back(void** state) {
    (void)state;
    EXPECT(unigram, "axb", U_A, 'x', U_B);
    EXPECT(unigram, "a\xc3\xa9\xff", U_A, 0xc3, 0xa9, 0xff);
    EXPECT(unigram_without_bytes, "axyb<tag>\xff", U_A, U_UNK, U_B, U_TAG, U_UNK);
}

static llmir_status_t encode(const llmir_allocator_t* allocator, void* user, llmir_error_t* error) {
    static char text[5000];
    memset(text, 'a', sizeof text);
    const llmir_encode_text_t input = {text, sizeof text, NULL, 0};
    llmir_token_sink_t sink = {NULL, 0, 0};
    return llmir_tokenizer_encode(user, allocator, &input, 0, &sink, error);
}

static void test_tokenizer_sentence_piece_refused_memory_fails_without_leaks(void** state) {
    (void)state;
    const tiny_vocabulary_t* const all[] = {&spm_prefix, &unigram};
    for (size_t i = 0; i < 2; ++i) {
        const tiny_section_t section = tiny_tokenizer_section(all[i]);
        llmir_tokenizer_t tokenizer;
        assert_status(llmir_tokenizer_open(section.data, section.bytes, 1000, &tokenizer,
                                           &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_true(test_allocator_sweep(encode, &tokenizer) >= 2);
        free(section.data);
    }
}

static void test_tokenizer_sentence_piece_damage_stays_harmless(void** state) {
    (void)state;
    const tiny_vocabulary_t* const all[] = {&spm_prefix, &unigram};
    const llmir_allocator_t allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    const llmir_encode_text_t input = {"abc aaa<tag>b c\xff", 16, NULL, 0};
    for (size_t i = 0; i < 2; ++i) {
        const tiny_section_t section = tiny_tokenizer_section(all[i]);
        for (size_t at = 0; at < 2 * section.bytes; ++at) {
            const uint8_t saved = section.data[at / 2];
            section.data[at / 2] = at % 2 ? 0xff : (uint8_t)(saved ^ (1u << at % 8));
            llmir_tokenizer_t t;
            int32_t ids[64];
            llmir_token_sink_t sink = {ids, 64, 0};
            if (llmir_tokenizer_open(section.data, section.bytes, 1000, &t, NULL) ==
                LLMIR_STATUS_OK) {
                assert_status(llmir_tokenizer_encode(&t, &allocator, &input, LLMIR_TOKENIZE_SPECIAL,
                                                     &sink, &assert_status_error),
                              LLMIR_STATUS_OK);
            }
            for (size_t k = 0; k < sink.count && k < 64; ++k) {
                assert_in_range(ids[k], 0, t.token_count - 1);
            }
            section.data[at / 2] = saved;
        }
        free(section.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_spm_best_score_merges_first),
        cmocka_unit_test(test_tokenizer_spm_leftmost_of_equal_scores_merges_first),
        cmocka_unit_test(test_tokenizer_spm_prefix_goes_before_each_part),
        cmocka_unit_test(test_tokenizer_spm_escape_is_a_space),
        cmocka_unit_test(test_tokenizer_spm_token_with_a_space_inside_is_found),
        cmocka_unit_test(test_tokenizer_spm_bytes_stand_for_unknown_characters),
        cmocka_unit_test(test_tokenizer_spm_unknown_run_is_one_token),
        cmocka_unit_test(test_tokenizer_spm_trim_collapses_spaces),
        cmocka_unit_test(test_tokenizer_unigram_best_sum_wins),
        cmocka_unit_test(test_tokenizer_unigram_first_found_of_equals_wins),
        cmocka_unit_test(test_tokenizer_unigram_unknown_characters_fall_back),
        cmocka_unit_test(test_tokenizer_sentence_piece_refused_memory_fails_without_leaks),
        cmocka_unit_test(test_tokenizer_sentence_piece_damage_stays_harmless),
    };
    return cmocka_run_group_tests_name("tokenizer_spm", tests, NULL, NULL);
}
