/* The tiny model's TOKENIZER and CHAT sections: SentencePiece with a token a byte and a few words.
 */
#include <string.h>

#include "tests/support/tiny_internal.h"

/* Words that end inside of a character, and words that hold several. */
const char* const tiny_words[TINY_WORD_COUNT] = {
    "Hello", " world", "stop", "\xc3\xa9", "\xe2\x82", "\xac!", "\xf0\x9f\x98\x80", "the end"};

static llmir_bundle_range_t append_range(tiny_bytes_t* out, const void* data, size_t bytes) {
    return (llmir_bundle_range_t){(uint32_t)tiny_append(out, data, bytes, 8), (uint32_t)bytes};
}

tiny_bytes_t tiny_tokenizer_build(void) {
    enum { COUNT = TINY_FIRST_WORD + TINY_WORD_COUNT };
    tiny_bytes_t out = {0};
    tiny_bytes_t text = {0};
    uint32_t offsets[COUNT + 1] = {0};
    uint8_t info[COUNT];
    uint32_t ranks[COUNT] = {0};
    int32_t byte_ids[256];
    const uint8_t joins[32] = {0};
    memset(info, LLMIR_TOKEN_NORMAL, sizeof(info));
    info[TINY_END] = LLMIR_TOKEN_CONTROL | LLMIR_TOKEN_END;
    info[TINY_CONTROL] = LLMIR_TOKEN_CONTROL;
    for (uint32_t id = 0; id < COUNT; ++id) {
        const uint8_t byte = (uint8_t)(id - TINY_FIRST_BYTE);
        offsets[id] = (uint32_t)text.bytes;
        if (id < TINY_FIRST_BYTE) {
            tiny_append(&text, id == TINY_END ? "<end>" : "<control>", id == TINY_END ? 5 : 9, 1);
        } else if (id < TINY_FIRST_WORD) {
            tiny_append(&text, &byte, 1, 1);
            info[id] = LLMIR_TOKEN_BYTE;
            byte_ids[byte] = (int32_t)id;
        } else {
            const char* word = tiny_words[id - TINY_FIRST_WORD];
            tiny_append(&text, word, strlen(word), 1);
        }
    }
    offsets[COUNT] = (uint32_t)text.bytes;
    llmir_tokenizer_record_t record = {.record_bytes = sizeof(record),
                                       .kind = LLMIR_TOKENIZER_SPM,
                                       .flags = LLMIR_TOKENIZER_BYTE_FALLBACK,
                                       .token_count = COUNT,
                                       .max_token_bytes = 9,
                                       .bos_id = TINY_CONTROL,
                                       .eos_id = TINY_END,
                                       .unknown_id = -1,
                                       .padding_id = -1};
    tiny_append(&out, &record, sizeof(record), 64);
    record.token_offsets = append_range(&out, offsets, sizeof(offsets));
    record.token_bytes = append_range(&out, text.data, text.bytes);
    record.token_info = append_range(&out, info, sizeof(info));
    record.byte_ids = append_range(&out, byte_ids, sizeof(byte_ids));
    record.token_ranks = append_range(&out, ranks, sizeof(ranks));
    record.space_joins = append_range(&out, joins, sizeof(joins));
    memcpy(out.data, &record, sizeof(record));
    tiny_bytes_free(&text);
    return out;
}

tiny_bytes_t tiny_chat_build(void) {
    tiny_bytes_t out = {0};
    llmir_chat_record_t record = {.record_bytes = sizeof(record)};
    tiny_append(&out, &record, sizeof(record), 64);
    for (uint32_t from = 0; from < LLMIR_CHAT_FROM_COUNT; ++from) {
        for (uint32_t to = 0; to < LLMIR_CHAT_TO_COUNT; ++to) {
            record.present[from] |= 1u << to;
            record.text[from][to] = append_range(&out, "\n[/]\n", 5);
        }
    }
    memcpy(out.data, &record, sizeof(record));
    return out;
}
