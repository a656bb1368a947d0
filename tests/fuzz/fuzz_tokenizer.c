/* Fuzzes the tokenizer: small sections of every kind, patched by the input, encode the rest of it.
 *
 *   byte 0       kind and pre-tokenizer; 0xff: everything that follows is a section of its own
 *   byte 1       number of patches, three bytes each: place (16 bits, scaled) and value
 *   the rest     text
 *
 * Whatever opens must give ids in range; an undamaged byte-level section must give the text back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/tokenizer.h"
#include "tests/support/tiny_tokenizer.h"

#define CHECK(condition)           \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

#define MAX_IDS 8192

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

static const tiny_token_t tokens[] = {
    {"ab", LLMIR_TOKEN_NORMAL, -1},  {" a", LLMIR_TOKEN_NORMAL | LLMIR_TOKEN_WHOLE, -2},
    {"abc", LLMIR_TOKEN_NORMAL, -3}, {"aa", LLMIR_TOKEN_NORMAL, -4},
    {"<s>", LLMIR_TOKEN_CONTROL, 0}, {"<user>", LLMIR_TOKEN_USER_DEFINED, 0}};
static const tiny_merge_t merges[] = {{'a', 'b', 256}, {256, 'c', 258}, {'a', 'a', 259}};

static void run(
    const uint8_t* section, size_t section_bytes, const uint8_t* text, size_t bytes, int intact) {
    static int32_t ids[MAX_IDS];
    static char decoded[MAX_IDS * 8];
    const llmir_allocator_t heap = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    llmir_tokenizer_t tokenizer;
    if (llmir_tokenizer_open(section, section_bytes, 1u << 21, &tokenizer, NULL) !=
        LLMIR_STATUS_OK) {
        CHECK(!intact);
        return;
    }
    const llmir_text_range_t plain = {bytes / 3, bytes / 2};
    const llmir_encode_text_t input = {(const char*)text, bytes, &plain, 1};
    llmir_token_sink_t sink = {ids, MAX_IDS, 0};
    CHECK(llmir_tokenizer_encode(&tokenizer, &heap, &input, LLMIR_TOKENIZE_SPECIAL, &sink, NULL) ==
          LLMIR_STATUS_OK);
    const size_t count = sink.count < MAX_IDS ? sink.count : MAX_IDS;
    llmir_text_sink_t out = {decoded, sizeof decoded, 0};
    CHECK(llmir_tokenizer_decode(&tokenizer, ids, count, LLMIR_TOKENIZE_SPECIAL, &out, NULL) ==
          LLMIR_STATUS_OK);
    if (intact && tokenizer.kind == LLMIR_TOKENIZER_BPE && tokenizer.flags == 0 &&
        sink.count <= MAX_IDS) {
        CHECK(out.bytes == bytes && memcmp(decoded, text, bytes) == 0);
    }
}

/* Built once for each kind. */
static const tiny_section_t* base_section(uint32_t kind) {
    static tiny_section_t sections[LLMIR_TOKENIZER_UNIGRAM + 1];
    if (sections[kind].data == NULL) {
        const tiny_vocabulary_t vocabulary = {.kind = kind,
                                              .tokens = tokens,
                                              .token_count = sizeof tokens / sizeof *tokens,
                                              .merges = merges,
                                              .merge_count = sizeof merges / sizeof *merges};
        sections[kind] = tiny_tokenizer_section(&vocabulary);
    }
    return &sections[kind];
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    if (bytes < 2) {
        return 0;
    }
    if (data[0] == 0xff) {
        uint8_t* copy = malloc(bytes); /* aligned, and its end is watched */
        CHECK(copy != NULL);
        memcpy(copy, data + 1, bytes - 1);
        run(copy, bytes - 1, data, bytes < 64 ? bytes : 64, 0);
        free(copy);
        return 0;
    }
    const size_t patch_count = data[1] % 8;
    if (bytes < 2 + 3 * patch_count) {
        return 0;
    }
    const uint32_t kind = 1u + data[0] % 3;
    const tiny_section_t* base = base_section(kind);
    uint8_t* section = malloc(base->bytes);
    CHECK(section != NULL);
    memcpy(section, base->data, base->bytes);
    llmir_tokenizer_record_t* record = (llmir_tokenizer_record_t*)(void*)section;
    if (kind == LLMIR_TOKENIZER_BPE) {
        record->pretokenizer = data[0] / 3u % 5u;
        record->flags = data[0] & 0x80u ? LLMIR_TOKENIZER_NFC : 0u;
    } else {
        record->flags = (data[0] / 16u % 8u) << 2; /* prefix, trim, byte fallback */
    }
    for (size_t i = 0; i < patch_count; ++i) {
        const uint8_t* patch = data + 2 + 3 * i;
        const size_t place = (size_t)patch[0] * 256 + patch[1];
        /* Half of the patches hit the record. */
        const size_t range = i % 2 ? base->bytes : sizeof(llmir_tokenizer_record_t);
        section[place * range / 65536] = patch[2];
    }
    const size_t text = 2 + 3 * patch_count;
    run(section, base->bytes, data + text, bytes - text, patch_count == 0);
    free(section);
    return 0;
}
