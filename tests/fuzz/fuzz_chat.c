/* Fuzzes chat template tables: any bytes are an error or a table, and any table turns any messages
 * into ids in range or says why not.
 *
 *   byte 0       flags of the encoding (2 bits); number of messages (3 bits)
 *   byte 1       number of patches, three bytes each: place (16 bits, scaled) and value; 0xff: what
 *                follows is a section of its own
 *   messages     a byte of role each; what is left is cut into their contents
 *
 * The undamaged table is one of three roles that may follow each other in any order. */
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/chat.h"
#include "tests/support/tiny_tokenizer.h"

#define CHECK(condition)           \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

#define MAX_IDS 8192
#define TABLE_BYTES 512u

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

static const tiny_token_t tokens[] = {{"<|>", LLMIR_TOKEN_CONTROL, 0},
                                      {"<user>", LLMIR_TOKEN_USER_DEFINED, 0}};
static const tiny_vocabulary_t vocabulary = {.kind = LLMIR_TOKENIZER_BPE,
                                             .pretokenizer = LLMIR_PRETOKENIZER_GPT2,
                                             .tokens = tokens,
                                             .token_count = 2};

static const llmir_tokenizer_t* tokenizer_once(void) {
    static llmir_tokenizer_t tokenizer;
    static int is_open;
    if (!is_open) {
        const tiny_section_t section = tiny_tokenizer_section(&vocabulary);
        CHECK(llmir_tokenizer_open(section.data, section.bytes, 1000, &tokenizer, NULL) ==
              LLMIR_STATUS_OK);
        is_open = 1;
    }
    return &tokenizer;
}

/* Every transition, with the text "<|>" and two letters. */
static void fill_table(uint8_t table[TABLE_BYTES]) {
    llmir_chat_record_t* record = (llmir_chat_record_t*)(void*)table;
    memset(table, 0, TABLE_BYTES);
    record->record_bytes = sizeof(*record);
    memcpy(table + sizeof(*record), "<|>ab", 5);
    for (uint32_t from = 0; from < LLMIR_CHAT_FROM_COUNT; ++from) {
        for (uint32_t to = 0; to < LLMIR_CHAT_TO_COUNT; ++to) {
            record->present[from] |= 1u << to;
            record->text[from][to] = (llmir_bundle_range_t){(uint32_t)sizeof(*record), 5};
        }
    }
}

static void encode(const uint8_t* section,
                   size_t section_bytes,
                   uint32_t options,
                   const uint8_t* data,
                   size_t bytes,
                   int is_intact) {
    static const char* const roles[] = {"system", "user", "assistant", "tool"};
    static int32_t ids[MAX_IDS];
    const llmir_allocator_t heap = llmir_allocator_or_default((llmir_allocator_t){NULL, NULL});
    const size_t count = options >> 2 & 7u;
    llmir_message_t messages[8];
    llmir_chat_t chat;
    llmir_token_sink_t sink = {ids, MAX_IDS, 0};
    if (llmir_chat_open(section, section_bytes, tokenizer_once(), &chat, NULL) != LLMIR_STATUS_OK) {
        CHECK(!is_intact);
        return;
    }
    if (bytes < count) {
        return;
    }
    int is_known = count != 0;
    const size_t part = count != 0 ? (bytes - count) / count : 0u;
    for (size_t i = 0; i < count; ++i) {
        messages[i] =
            (llmir_message_t){roles[data[i] % 4u], (const char*)data + count + i * part, part};
        is_known &= data[i] % 4u != 3u;
    }
    const llmir_status_t status =
        llmir_chat_encode(&chat, &heap, messages, count, options & 3u, &sink, NULL);
    CHECK(!is_intact || !is_known || status == LLMIR_STATUS_OK);
    for (size_t i = 0; status == LLMIR_STATUS_OK && i < sink.count && i < MAX_IDS; ++i) {
        CHECK(ids[i] >= 0 && (uint32_t)ids[i] < tokenizer_once()->token_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
    if (bytes < 2) {
        return 0;
    }
    if (data[1] == 0xffu) {
        uint8_t* copy = malloc(bytes); /* aligned, and its end is watched */
        CHECK(copy != NULL);
        memcpy(copy, data + 2, bytes - 2);
        encode(copy, bytes - 2, data[0], data, bytes, 0);
        free(copy);
        return 0;
    }
    const size_t patch_count = data[1] % 8u;
    const size_t begin = 2u + 3u * patch_count;
    if (bytes < begin) {
        return 0;
    }
    uint8_t* table = malloc(TABLE_BYTES);
    CHECK(table != NULL);
    fill_table(table);
    for (size_t i = 0; i < patch_count; ++i) {
        const uint8_t* patch = data + 2 + 3 * i;
        const size_t place = ((size_t)patch[0] * 256u + patch[1]) * TABLE_BYTES / 65536u;
        table[place] = patch[2];
    }
    encode(table, TABLE_BYTES, data[0], data + begin, bytes - begin, patch_count == 0);
    free(table);
    return 0;
}
