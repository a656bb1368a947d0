/* From text to fragments and ids: finds special tokens and has what lies between them encoded.
 *
 * Special tokens are matched at the leftmost place, the longest first, as the reference does.
 * User-defined ones are text like any other and always match; control tokens only on request and
 * never inside what the caller calls plain. */
#include "core/tokenizer_internal.h"

#define LLMIR_ENCODE_MAX_BYTES ((size_t)1 << 30)

static llmir_status_t encode_fragment(llmir_tokenizer_work_t* work,
                                      const uint8_t* text,
                                      size_t bytes) {
    if (bytes == 0) {
        return LLMIR_STATUS_OK;
    }
    switch (work->tokenizer->kind) {
        case LLMIR_TOKENIZER_BPE:
            return llmir_bpe_encode(work, text, bytes);
        case LLMIR_TOKENIZER_SPM:
            return llmir_spm_encode(work, text, bytes);
        default:
            return llmir_unigram_encode(work, text, bytes);
    }
}

/* The longest special token at the start of `text`. Control tokens must end within
 * `control_bytes`. */
static uint32_t match_special(const llmir_tokenizer_t* tokenizer,
                              const uint8_t* text,
                              size_t bytes,
                              size_t control_bytes,
                              size_t* out_length) {
    uint32_t found = LLMIR_NO_TOKEN;
    uint32_t node = 0;
    const size_t longest =
        bytes < LLMIR_TOKENIZER_MAX_TOKEN_BYTES ? bytes : LLMIR_TOKENIZER_MAX_TOKEN_BYTES;
    for (size_t length = 1; length <= longest; ++length) {
        node = llmir_trie_step(tokenizer->special_nodes, tokenizer->special_node_count, node,
                               text[length - 1]);
        if (node == 0) {
            break;
        }
        const uint32_t id = tokenizer->special_nodes[node].token;
        if (id >= tokenizer->token_count) {
            continue;
        }
        const uint32_t kind = tokenizer->token_info[id] & LLMIR_TOKEN_CLASS_MASK;
        if (kind == LLMIR_TOKEN_USER_DEFINED || length <= control_bytes) {
            found = id;
            *out_length = length;
        }
    }
    return found;
}

/* How many bytes from `at` on may make a control token: up to the next plain range.
 * *inout_range is the first range that ends behind `at`; it only moves on. */
static size_t control_bytes_at(const llmir_encode_text_t* text, size_t at, size_t* inout_range) {
    while (*inout_range < text->plain_count && text->plain[*inout_range].end <= at) {
        ++*inout_range;
    }
    if (*inout_range == text->plain_count) {
        return text->bytes - at;
    }
    const size_t begin = text->plain[*inout_range].begin;
    return begin <= at ? 0 : begin - at;
}

static llmir_status_t encode_text(llmir_tokenizer_work_t* work,
                                  const llmir_encode_text_t* text,
                                  int with_control) {
    const llmir_tokenizer_t* tokenizer = work->tokenizer;
    if (text->bytes == 0) {
        return LLMIR_STATUS_OK; /* `data` may be NULL, and NULL + 0 is undefined */
    }
    const uint8_t* data = (const uint8_t*)text->data;
    size_t fragment = 0;
    size_t range = 0;
    for (size_t at = 0; at < text->bytes;) {
        size_t length = 1;
        uint32_t id = LLMIR_NO_TOKEN;
        if (tokenizer->special_first != NULL &&
            llmir_bit_is_set(tokenizer->special_first, data[at])) {
            const size_t control = with_control ? control_bytes_at(text, at, &range) : 0;
            id = match_special(tokenizer, data + at, text->bytes - at, control, &length);
        }
        if (id != LLMIR_NO_TOKEN) {
            LLMIR_TRY(encode_fragment(work, data + fragment, at - fragment));
            llmir_work_emit(work, id);
            fragment = at + length;
        }
        at += length;
    }
    return encode_fragment(work, data + fragment, text->bytes - fragment);
}

llmir_status_t llmir_tokenizer_encode(const llmir_tokenizer_t* tokenizer,
                                      const llmir_allocator_t* allocator,
                                      const llmir_encode_text_t* text,
                                      uint32_t flags,
                                      llmir_token_sink_t* inout_sink,
                                      llmir_error_t* error) {
    if (text->bytes >= LLMIR_ENCODE_MAX_BYTES) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "text of %zu bytes, expected less than 1 GiB", text->bytes);
    }
    llmir_tokenizer_work_t work = {
        .tokenizer = tokenizer, .allocator = allocator, .sink = inout_sink, .error = error};
    if ((flags & LLMIR_TOKENIZE_ADD_BOS) && (tokenizer->flags & LLMIR_TOKENIZER_ADD_BOS) &&
        tokenizer->bos_id >= 0) {
        llmir_work_emit(&work, (uint32_t)tokenizer->bos_id);
    }
    const llmir_status_t status = encode_text(&work, text, (flags & LLMIR_TOKENIZE_SPECIAL) != 0);
    llmir_work_release(&work);
    return status;
}
