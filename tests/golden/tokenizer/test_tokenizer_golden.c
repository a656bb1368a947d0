/* One vocabulary against the reference: test_tokenizer_golden SECTION CORPUS IDS [FILTER].
 *
 * SECTION is what tokenizer-section made of a vocabulary; make_corpus.py describes the other two.
 * Beside the ids themselves this runs what must hold for any vocabulary: decoding gives the text
 * back, time is linear, and damage to the section is found or harmless. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/allocator.h"
#include "core/tokenizer_internal.h"
#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/test_random.h"

#define LINE_MAX_BYTES 8192
#define LINE_MAX_TOKENS 4096
#define UNTOLD SIZE_MAX /* a count: the reference has no answer */

typedef struct golden {
    const char* section_path;
    const char* corpus_path;
    const char* ids_path;
    uint8_t* section;
    size_t section_bytes;
    llmir_tokenizer_t tokenizer;
    llmir_allocator_t allocator;
} golden_t;

typedef struct golden_line {
    char text[LINE_MAX_BYTES];
    size_t bytes;
    int32_t ids[2][LINE_MAX_TOKENS]; /* without and with control tokens */
    size_t counts[2];
} golden_line_t;

static uint8_t* read_file(const char* path, size_t* out_bytes) {
    FILE* file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *out_bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t* bytes = malloc(*out_bytes); /* malloc's alignment suits a section */
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *out_bytes, file), *out_bytes);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

static int setup(void** state) {
    golden_t* golden = *state;
    golden->section = read_file(golden->section_path, &golden->section_bytes);
    golden->allocator = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    assert_status(llmir_tokenizer_open(golden->section, golden->section_bytes, UINT32_MAX,
                                       &golden->tokenizer, &assert_status_error),
                  LLMIR_STATUS_OK);
    return 0;
}

static int teardown(void** state) {
    free(((golden_t*)*state)->section);
    return 0;
}

/* ---- The corpus */

static size_t unescape(const char* line, char* out) {
    size_t count = 0;
    for (; *line != '\0' && *line != '\n'; ++line) {
        char c = *line;
        if (c == '\\') {
            ++line;
            c = *line == 'n' ? '\n' : *line == 'r' ? '\r' : *line == 't' ? '\t' : '\\';
            if (*line == 'x') {
                const char digits[3] = {line[1], line[2], '\0'};
                c = (char)strtol(digits, NULL, 16);
                line += 2;
            }
        }
        out[count++] = c;
    }
    return count;
}

/* Reads ids up to a tab or the end of the line, and returns what follows. */
static const char* read_ids(const char* line, int32_t* ids, size_t* out_count) {
    *out_count = 0;
    if (*line == '-') {
        *out_count = UNTOLD;
        return line + 1;
    }
    while (*line != '\0' && *line != '\n' && *line != '\t') {
        char* end;
        ids[(*out_count)++] = (int32_t)strtol(line, &end, 10);
        line = *end == ' ' ? end + 1 : end;
    }
    return line;
}

/* Reads a line of both files; 0 at the end of the corpus. */
static int next_line(FILE* corpus, FILE* ids, golden_line_t* out) {
    static char buffer[LINE_MAX_TOKENS * 8];
    if (fgets(buffer, LINE_MAX_BYTES, corpus) == NULL) {
        return 0;
    }
    out->bytes = unescape(buffer, out->text);
    assert_non_null(fgets(buffer, sizeof buffer, ids));
    const char* rest = read_ids(buffer, out->ids[0], &out->counts[0]);
    if (*rest == '\t') {
        read_ids(rest + 1, out->ids[1], &out->counts[1]);
    } else {
        memcpy(out->ids[1], out->ids[0], sizeof out->ids[0]);
        out->counts[1] = out->counts[0];
    }
    return 1;
}

static size_t encode(const golden_t* golden,
                     const char* text,
                     size_t bytes,
                     uint32_t flags,
                     int32_t* ids,
                     size_t capacity) {
    const llmir_encode_text_t input = {text, bytes, NULL, 0};
    llmir_token_sink_t sink = {ids, capacity, 0};
    assert_status(llmir_tokenizer_encode(&golden->tokenizer, &golden->allocator, &input, flags,
                                         &sink, &assert_status_error),
                  LLMIR_STATUS_OK);
    return sink.count;
}

static void print_ids(const char* what, const int32_t* ids, size_t count) {
    print_message("  %s", what);
    for (size_t i = 0; i < count; ++i) {
        print_message(" %d", (int)ids[i]);
    }
    print_message("\n");
}

static void test_tokenizer_corpus_gives_reference_ids(void** state) {
    const golden_t* golden = *state;
    static golden_line_t line;
    static int32_t ids[LINE_MAX_TOKENS];
    FILE* corpus = fopen(golden->corpus_path, "rb");
    FILE* expected = fopen(golden->ids_path, "rb");
    assert_non_null(corpus);
    assert_non_null(expected);
    size_t line_count = 0;
    size_t wrong = 0;
    for (; next_line(corpus, expected, &line); ++line_count) {
        for (size_t special = 0; special < 2; ++special) {
            const uint32_t flags = special ? LLMIR_TOKENIZE_SPECIAL : 0;
            if (line.counts[special] == UNTOLD) {
                continue;
            }
            const size_t count = encode(golden, line.text, line.bytes, flags, ids, LINE_MAX_TOKENS);
            if (count == line.counts[special] &&
                memcmp(ids, line.ids[special], count * sizeof *ids) == 0) {
                continue;
            }
            ++wrong;
            print_message("line %zu, flags %u: '%.*s'\n", line_count + 1, (unsigned)flags,
                          (int)line.bytes, line.text);
            print_ids("found   ", ids, count);
            print_ids("expected", line.ids[special], line.counts[special]);
        }
    }
    assert_int_equal(fclose(corpus), 0);
    assert_int_equal(fclose(expected), 0);
    assert_true(line_count > 200);
    assert_int_equal(wrong, 0);
}

/* A block of characters; 0 .. 0 counts bytes that are no UTF-8. */
typedef struct golden_block {
    uint32_t first;
    uint32_t last;
    const char* name;
} golden_block_t;

static const golden_block_t golden_blocks[] = {
    {0, 0, "invalid bytes"},         {'a', 'z', "Latin"},
    {0x370, 0x3ff, "Greek"},         {0x400, 0x4ff, "Cyrillic"},
    {0x530, 0x58f, "Armenian"},      {0x590, 0x5ff, "Hebrew"},
    {0x600, 0x6ff, "Arabic"},        {0x700, 0x74f, "Syriac"},
    {0x900, 0x97f, "Devanagari"},    {0x980, 0x9ff, "Bengali"},
    {0xa00, 0xa7f, "Gurmukhi"},      {0xa80, 0xaff, "Gujarati"},
    {0xb80, 0xbff, "Tamil"},         {0xc00, 0xc7f, "Telugu"},
    {0xc80, 0xcff, "Kannada"},       {0xd00, 0xd7f, "Malayalam"},
    {0xd80, 0xdff, "Sinhala"},       {0xe00, 0xe7f, "Thai"},
    {0xe80, 0xeff, "Lao"},           {0xf00, 0xfff, "Tibetan"},
    {0x1000, 0x109f, "Myanmar"},     {0x10a0, 0x10ff, "Georgian"},
    {0x1100, 0x11ff, "Hangul Jamo"}, {0x1200, 0x137f, "Ethiopic"},
    {0x13a0, 0x13ff, "Cherokee"},    {0x1780, 0x17ff, "Khmer"},
    {0x1800, 0x18af, "Mongolian"},   {0x3040, 0x309f, "Hiragana"},
    {0x30a0, 0x30ff, "Katakana"},    {0x4e00, 0x9fff, "CJK"},
    {0xac00, 0xd7a3, "Hangul"},      {0x1f600, 0x1f64f, "emoji"},
    {0x1f1e6, 0x1f1ff, "flags"},     {0x200d, 0x200d, "joiner"},
    {0x2000, 0x200a, "wide spaces"},
};
enum { GOLDEN_BLOCK_COUNT = sizeof golden_blocks / sizeof *golden_blocks };

static void count_blocks(const golden_line_t* line, size_t counts[GOLDEN_BLOCK_COUNT]) {
    const uint8_t* text = (const uint8_t*)line->text;
    for (size_t at = 0; at < line->bytes;) {
        uint32_t code;
        at += llmir_utf8_next(text + at, line->bytes - at, &code);
        for (size_t i = 0; i < GOLDEN_BLOCK_COUNT; ++i) {
            const golden_block_t* block = &golden_blocks[i];
            counts[i] += block->last == 0 ? code >= LLMIR_CODE_INVALID
                                          : code >= block->first && code <= block->last;
        }
    }
}

static void test_tokenizer_corpus_covers_scripts_and_invalid_bytes(void** state) {
    const golden_t* golden = *state;
    static golden_line_t line;
    size_t counts[GOLDEN_BLOCK_COUNT] = {0};
    FILE* corpus = fopen(golden->corpus_path, "rb");
    FILE* expected = fopen(golden->ids_path, "rb");
    assert_non_null(corpus);
    assert_non_null(expected);
    while (next_line(corpus, expected, &line)) {
        count_blocks(&line, counts);
    }
    assert_int_equal(fclose(corpus), 0);
    assert_int_equal(fclose(expected), 0);
    for (size_t i = 0; i < GOLDEN_BLOCK_COUNT; ++i) {
        if (counts[i] == 0) {
            fail_msg("the corpus has no %s", golden_blocks[i].name);
        }
    }
}

/* ---- Properties of any vocabulary */

/* A random byte that the vocabulary can tell, and that begins no user-defined token of a vocabulary
 * with space prefixes, because another space follows such a token. */
static uint8_t random_byte(const llmir_tokenizer_t* tokenizer,
                           test_random_t* random,
                           uint8_t mask) {
    for (;;) {
        const uint8_t byte = (uint8_t)test_random_u64(random) & mask;
        const int breaks = byte == '\n' && (tokenizer->flags & LLMIR_TOKENIZER_SPACE_PREFIX) != 0;
        if (tokenizer->byte_ids[byte] >= 0 && !breaks) {
            return byte;
        }
    }
}

static void test_tokenizer_random_bytes_decode_to_themselves(void** state) {
    const golden_t* golden = *state;
    const llmir_tokenizer_t* tokenizer = &golden->tokenizer;
    if (tokenizer->flags & LLMIR_TOKENIZER_TRIM_SPACES) {
        skip();
    }
    const int normalises = (tokenizer->flags & LLMIR_TOKENIZER_NFC) != 0;
    const size_t prefix = (tokenizer->flags & LLMIR_TOKENIZER_SPACE_PREFIX) != 0;
    test_random_t random;
    test_random_init(&random, 6);
    uint8_t text[513] = {' '};
    char decoded[4096];
    int32_t ids[1024];
    for (size_t round = 0; round < 2000; ++round) {
        const size_t bytes = 1 + test_random_below(&random, 512);
        for (size_t i = 1; i <= bytes;
             ++i) { /* mostly ASCII in every other round, always if form C may change the text */
            const int ascii = normalises || (round % 2 != 0 && test_random_below(&random, 8) != 0);
            text[i] = random_byte(tokenizer, &random, ascii ? 0x7f : 0xff);
        }
        const size_t count = encode(golden, (const char*)text + 1, bytes, 0, ids, 1024);
        assert_true(count <= 1024);
        llmir_text_sink_t sink = {decoded, sizeof decoded, 0};
        assert_status(llmir_tokenizer_decode(tokenizer, ids, count, LLMIR_TOKENIZE_SPECIAL, &sink,
                                             &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(sink.bytes, bytes + prefix);
        assert_memory_equal(decoded, text + 1 - prefix, bytes + prefix);
    }
}

static double cpu_seconds(const golden_t* golden, const char* text, size_t bytes) {
    const clock_t begin = clock();
    encode(golden, text, bytes, LLMIR_TOKENIZE_SPECIAL, NULL, 0);
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* Fills a text: a unit again and again, random letters, random digits or random bytes. */
#define RANDOM_TEXT_COUNT 3
static void fill_text(const char* unit, size_t random_kind, char* text, size_t bytes) {
    static const uint32_t first[RANDOM_TEXT_COUNT] = {'a', '0', 0};
    static const uint32_t count[RANDOM_TEXT_COUNT] = {26, 10, 256};
    const size_t unit_bytes = unit != NULL ? strlen(unit) : 0;
    test_random_t random;
    if (unit == NULL) {
        test_random_init(&random, 7);
    }
    for (size_t i = 0; i < bytes; ++i) {
        text[i] = unit != NULL
                      ? unit[i % unit_bytes]
                      : (char)(first[random_kind] + test_random_below(&random, count[random_kind]));
    }
}

/* Twice the text may cost three times the time, which n log n and caches explain, not four: over
 * two doublings 9 times, not 16. Only what exceeds that is measured again. */
static int time_is_linear(const golden_t* golden, const char* text, size_t bytes, size_t index) {
    double part = 1e9;
    double whole = 1e9;
    for (int round = 0; round < 4; ++round) {
        const double part_now = cpu_seconds(golden, text, bytes / 4);
        const double whole_now = cpu_seconds(golden, text, bytes);
        part = part_now < part ? part_now : part;
        whole = whole_now < whole ? whole_now : whole;
        if (whole <= 9 * part + 0.002) {
            return 1;
        }
    }
    print_message("text %zu: %.4f s for %zu bytes, %.4f s for a quarter\n", index, whole, bytes,
                  part);
    return 0;
}

static void test_tokenizer_megabyte_of_any_text_takes_linear_time(void** state) {
    const golden_t* golden = *state;
    static const char* const units[] = {
        "a",
        " ",
        "7",
        "\n",
        "\xf0\x9f\x91\x8d",
        "ab",
        " \n",
        " a",
        "\t",
        "\r\n ",
        "\xcc\x81\xcc\xa3",
        "<",
        "<|im_start|",
        "<|im_start|><|im_end|>",
        "\xff",
        "\xf0\x9f",
        "e\xcc\x81",
        "The quick brown fox. ",
        "'",
        "'s",
        "\xe2\x96\x81",
        "\xe4\xb8\xad",
        "\xe1\x84\x80\xe1\x85\xa1",
        "aaaaaaab",
    };
    enum { SIZE = 1 << 20, UNIT_COUNT = sizeof units / sizeof *units };
    char* text = malloc(SIZE);
    assert_non_null(text);
    int all_linear = 1;
    for (size_t i = 0; i < UNIT_COUNT + RANDOM_TEXT_COUNT; ++i) {
        const int is_unit = i < UNIT_COUNT;
        fill_text(is_unit ? units[i] : NULL, is_unit ? 0 : i - UNIT_COUNT, text, SIZE);
        all_linear &= time_is_linear(golden, text, SIZE, i);
    }
    free(text);
    assert_true(all_linear);
}

/* Damaged sections either do not open or encode something. Sanitizers watch. */
static void test_tokenizer_damaged_section_is_refused_or_harmless(void** state) {
    const golden_t* golden = *state;
    static const char text[] =
        "Hello, world's 1234  <|im_start|> e\xcc\x81\xe1\x84\x80\xe1\x85\xa1 "
        "\xff\xf0\x9f\x91\x8d\n\n x";
    uint8_t* damaged = malloc(golden->section_bytes);
    assert_non_null(damaged);
    test_random_t random;
    test_random_init(&random, 8);
    memcpy(damaged, golden->section, golden->section_bytes);
    size_t opened = 0;
    for (size_t round = 0; round < 4000; ++round) {
        /* Every other flip hits the record, where all tables begin. */
        const uint32_t range = round % 2 ? (uint32_t)golden->section_bytes
                                         : (uint32_t)sizeof(llmir_tokenizer_record_t);
        size_t at[4];
        for (size_t i = 0; i < 4; ++i) {
            at[i] = test_random_below(&random, range);
            damaged[at[i]] = (uint8_t)test_random_u64(&random);
        }
        llmir_tokenizer_t tokenizer;
        const size_t bytes = round % 8 == 7
                                 ? test_random_below(&random, (uint32_t)golden->section_bytes)
                                 : golden->section_bytes;
        if (llmir_tokenizer_open(damaged, bytes, UINT32_MAX, &tokenizer, NULL) == LLMIR_STATUS_OK) {
            int32_t ids[256];
            const llmir_encode_text_t input = {text, sizeof text - 1, NULL, 0};
            llmir_token_sink_t sink = {ids, 256, 0};
            ++opened;
            (void)llmir_tokenizer_encode(&tokenizer, &golden->allocator, &input,
                                         LLMIR_TOKENIZE_SPECIAL, &sink, NULL);
            for (size_t i = 0; i < sink.count && i < 256; ++i) {
                assert_in_range(ids[i], 0, tokenizer.token_count - 1);
            }
        }
        for (size_t i = 0; i < 4; ++i) {
            damaged[at[i]] = golden->section[at[i]];
        }
    }
    assert_true(opened > 0);
    free(damaged);
}

static llmir_status_t encode_line(const llmir_allocator_t* allocator,
                                  void* user,
                                  llmir_error_t* error) {
    const golden_t* golden = user;
    static const char text[] = "Uncopyrightable e\xcc\x81\xcc\xa3 words  \xff <|im_start|>";
    const llmir_encode_text_t input = {text, sizeof text - 1, NULL, 0};
    llmir_token_sink_t sink = {NULL, 0, 0};
    return llmir_tokenizer_encode(&golden->tokenizer, allocator, &input, LLMIR_TOKENIZE_SPECIAL,
                                  &sink, error);
}

static void test_tokenizer_refused_memory_is_an_error_without_leaks(void** state) {
    assert_true(test_allocator_sweep(encode_line, *state) > 0);
}

int main(int argc, char** argv) {
    if (argc != 4 && argc != 5) {
        (void)fprintf(stderr, "usage: test_tokenizer_golden SECTION CORPUS IDS [FILTER]\n");
        return 2;
    }
    cmocka_set_test_filter(argc == 5 ? argv[4] : NULL);
    golden_t golden = {.section_path = argv[1], .corpus_path = argv[2], .ids_path = argv[3]};
    void* state = &golden;
    const struct CMUnitTest tests[] = {
#define GOLDEN_TEST(function) {#function, function, setup, teardown, state}
        GOLDEN_TEST(test_tokenizer_corpus_gives_reference_ids),
        GOLDEN_TEST(test_tokenizer_random_bytes_decode_to_themselves),
        GOLDEN_TEST(test_tokenizer_corpus_covers_scripts_and_invalid_bytes),
        GOLDEN_TEST(test_tokenizer_megabyte_of_any_text_takes_linear_time),
        GOLDEN_TEST(test_tokenizer_damaged_section_is_refused_or_harmless),
        GOLDEN_TEST(test_tokenizer_refused_memory_is_an_error_without_leaks),
#undef GOLDEN_TEST
    };
    return cmocka_run_group_tests_name("tokenizer_golden", tests, NULL, NULL);
}
