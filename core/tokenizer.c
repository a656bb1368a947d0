/* Look-ups and decoding: everything about single tokens. */
#include "core/tokenizer_internal.h"

const uint8_t* llmir_tokenizer_token_bytes(const llmir_tokenizer_t* tokenizer,
                                           int32_t id,
                                           uint32_t* out_bytes,
                                           uint32_t* out_class) {
    *out_bytes = 0;
    if (out_class != NULL) {
        *out_class = 0;
    }
    if (id < 0 || (uint32_t)id >= tokenizer->token_count) {
        return NULL;
    }
    const uint32_t begin = tokenizer->token_offsets[id];
    *out_bytes = tokenizer->token_offsets[id + 1] - begin;
    if (out_class != NULL) {
        *out_class = tokenizer->token_info[id] & LLMIR_TOKEN_CLASS_MASK;
    }
    return tokenizer->token_bytes + begin;
}

int llmir_tokenizer_is_special(const llmir_tokenizer_t* tokenizer, int32_t id) {
    if (id < 0 || (uint32_t)id >= tokenizer->token_count) {
        return 0;
    }
    const uint32_t kind = tokenizer->token_info[id] & LLMIR_TOKEN_CLASS_MASK;
    return kind == LLMIR_TOKEN_CONTROL || kind == LLMIR_TOKEN_UNKNOWN || kind == LLMIR_TOKEN_UNUSED;
}

int llmir_tokenizer_is_end(const llmir_tokenizer_t* tokenizer, int32_t id) {
    return id >= 0 && (uint32_t)id < tokenizer->token_count &&
           (tokenizer->token_info[id] & LLMIR_TOKEN_END) != 0;
}

uint32_t llmir_tokenizer_find(const llmir_tokenizer_t* tokenizer,
                              const uint8_t* bytes,
                              size_t count) {
    const uint32_t slot_count = tokenizer->text_slot_count;
    if (count > tokenizer->max_token_bytes || slot_count == 0) {
        return LLMIR_NO_TOKEN;
    }
    const uint32_t hash = llmir_tokenizer_hash_bytes(bytes, (uint32_t)count);
    uint32_t slot = llmir_tokenizer_slot(hash, slot_count);
    for (uint32_t probe = 0; probe < tokenizer->text_probes; ++probe) {
        const uint32_t id = tokenizer->text_slots[slot];
        if (id >= tokenizer->token_count) {
            return LLMIR_NO_TOKEN;
        }
        const uint32_t begin = tokenizer->token_offsets[id];
        if (tokenizer->token_offsets[id + 1] - begin == count &&
            memcmp(tokenizer->token_bytes + begin, bytes, count) == 0) {
            return id;
        }
        slot = slot + 1 < slot_count ? slot + 1 : 0;
    }
    return LLMIR_NO_TOKEN;
}

uint32_t llmir_tokenizer_find_word(const llmir_tokenizer_t* tokenizer,
                                   const uint8_t* bytes,
                                   size_t count) {
    const uint32_t id = llmir_tokenizer_find(tokenizer, bytes, count);
    const int whole = id != LLMIR_NO_TOKEN && (tokenizer->token_info[id] & LLMIR_TOKEN_WHOLE) != 0;
    return whole ? id : LLMIR_NO_TOKEN;
}

llmir_status_t llmir_tokenizer_decode(const llmir_tokenizer_t* tokenizer,
                                      const int32_t* tokens,
                                      size_t count,
                                      uint32_t flags,
                                      llmir_text_sink_t* inout_sink,
                                      llmir_error_t* error) {
    for (size_t i = 0; i < count; ++i) {
        uint32_t bytes;
        const uint8_t* text = llmir_tokenizer_token_bytes(tokenizer, tokens[i], &bytes, NULL);
        if (text == NULL) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "token %zu: id %d, expected 0 .. %u", i, (int)tokens[i],
                              (unsigned)(tokenizer->token_count - 1));
        }
        if (!(flags & LLMIR_TOKENIZE_SPECIAL) && llmir_tokenizer_is_special(tokenizer, tokens[i])) {
            continue;
        }
        const size_t stored = inout_sink->bytes;
        if (stored < inout_sink->capacity && bytes > 0) {
            const size_t room = inout_sink->capacity - stored;
            memcpy(inout_sink->text + stored, text, bytes < room ? bytes : room);
        }
        inout_sink->bytes += bytes;
    }
    return LLMIR_STATUS_OK;
}
