/* What the parts of the tokenizer share: characters, look-ups in the section's tables, and the
 * working memory of one llmir_tokenizer_encode().
 *
 * Tables come from a file that anyone may have written. llmir_tokenizer_open() has checked their
 * sizes; a look-up that leads outside of a table counts as "not found". */
#ifndef LLMIR_TOKENIZER_INTERNAL_H
#define LLMIR_TOKENIZER_INTERNAL_H

#include <string.h>

#include "core/base/allocator.h"
#include "core/base/compiler.h"
#include "core/tokenizer.h"

#define LLMIR_NO_TOKEN LLMIR_TOKENIZER_NO_TOKEN

/* ---- Characters */

/* A byte b that begins no valid UTF-8 sequence is a character of its own with this code + b. */
#define LLMIR_CODE_INVALID 0x110000u

/* Reads the character at `text` (left >= 1) and returns its length in bytes. */
LLMIR_INLINE uint32_t llmir_utf8_next(const uint8_t* text, size_t left, uint32_t* out_code) {
    const uint32_t lead = text[0];
    if (lead < 0x80) {
        *out_code = lead;
        return 1;
    }
    *out_code = LLMIR_CODE_INVALID + lead;
    const uint32_t length = lead < 0xe0 ? 2u : lead < 0xf0 ? 3u : 4u;
    if (lead < 0xc2 || lead > 0xf4 || left < length) {
        return 1;
    }
    uint32_t code = lead & (0x7fu >> length);
    for (uint32_t i = 1; i < length; ++i) {
        if ((text[i] & 0xc0u) != 0x80u) {
            return 1;
        }
        code = (code << 6) | (text[i] & 0x3fu);
    }
    const uint32_t least = length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u;
    if (code < least || code > 0x10ffffu || (code >= 0xd800u && code < 0xe000u)) {
        return 1;
    }
    *out_code = code;
    return length;
}

/* llmir_char_flag_t of a code; 0 for invalid bytes and for vocabularies without the table. */
LLMIR_INLINE uint32_t llmir_char_flags(const llmir_tokenizer_t* tokenizer, uint32_t code) {
    if (code >= LLMIR_CODE_INVALID || tokenizer->char_index == NULL) {
        return 0;
    }
    const uint32_t block = tokenizer->char_index[code / LLMIR_CHAR_BLOCK];
    return tokenizer->char_blocks[block * LLMIR_CHAR_BLOCK + code % LLMIR_CHAR_BLOCK];
}

LLMIR_INLINE int llmir_bit_is_set(const uint8_t* bits, uint32_t index) {
    return (bits[index >> 3] >> (index & 7u)) & 1;
}

/* ---- Look-ups */

/* The token that text may become and that is exactly these bytes, or LLMIR_NO_TOKEN. */
uint32_t llmir_tokenizer_find(const llmir_tokenizer_t* tokenizer,
                              const uint8_t* bytes,
                              size_t count);

/* The same for a whole word that needs no merging: only tokens marked LLMIR_TOKEN_WHOLE. */
uint32_t llmir_tokenizer_find_word(const llmir_tokenizer_t* tokenizer,
                                   const uint8_t* bytes,
                                   size_t count);

/* The child of `node` by `byte`; 0 (the root is nobody's child) if there is none. */
LLMIR_INLINE uint32_t llmir_trie_step(const llmir_trie_node_t* nodes,
                                      uint32_t node_count,
                                      uint32_t node,
                                      uint8_t byte) {
    const uint64_t child = (uint64_t)nodes[node].base + byte;
    return child < node_count && nodes[child].parent == node ? (uint32_t)child : 0;
}

/* ---- Working memory */

typedef struct llmir_work_buffer {
    void* data;
    size_t bytes;
} llmir_work_buffer_t;

typedef struct llmir_tokenizer_work {
    const llmir_tokenizer_t* tokenizer;
    const llmir_allocator_t* allocator;
    llmir_token_sink_t* sink;
    llmir_error_t* error;
    int last_is_unknown;           /* the last token stands for text without a token */
    llmir_work_buffer_t text;      /* the fragment after normalisation */
    llmir_work_buffer_t symbols;   /* merge engine: a linked list; unigram: the lattice */
    llmir_work_buffer_t heap;      /* merge engine: candidates */
    llmir_work_buffer_t codes;     /* NFC: a run of decomposed characters ... */
    llmir_work_buffer_t codes_too; /* ... and a second one to sort into */
} llmir_tokenizer_work_t;

/* Makes a buffer hold at least `bytes`, keeping what it holds; grows geometrically. */
llmir_status_t llmir_work_reserve(llmir_tokenizer_work_t* work,
                                  llmir_work_buffer_t* buffer,
                                  size_t bytes);

/* Gives all buffers back. */
void llmir_work_release(llmir_tokenizer_work_t* work);

void llmir_work_emit(llmir_tokenizer_work_t* work, uint32_t id);

/* Emits what stands for text without a token: byte tokens if the vocabulary has them, else one
 * unknown token for a run of such characters. */
void llmir_work_emit_fallback(llmir_tokenizer_work_t* work, const uint8_t* bytes, size_t count);

/* ---- Parts */

/* Returns the end of the word that begins at `at` < bytes (tokenizer_pretok.c). */
size_t llmir_pretokenizer_next(const llmir_tokenizer_t* tokenizer,
                               const uint8_t* text,
                               size_t bytes,
                               size_t at);

/* Brings a text to form C (tokenizer_nfc.c). *inout_text stays where it is if nothing changes, else
 * becomes work->text. */
llmir_status_t llmir_nfc_normalise(llmir_tokenizer_work_t* work,
                                   const uint8_t** inout_text,
                                   size_t* inout_bytes);

/* Each encodes one fragment: text between special tokens. */
llmir_status_t llmir_bpe_encode(llmir_tokenizer_work_t* work, const uint8_t* text, size_t bytes);
llmir_status_t llmir_spm_encode(llmir_tokenizer_work_t* work, const uint8_t* text, size_t bytes);
llmir_status_t llmir_unigram_encode(llmir_tokenizer_work_t* work,
                                    const uint8_t* text,
                                    size_t bytes);

/* The SentencePiece view of a fragment: U+2581 is a space, spaces trimmed and prefixed as the flags
 * say (tokenizer_spm.c). The result lies in work->text. */
llmir_status_t llmir_spm_normalise(llmir_tokenizer_work_t* work,
                                   const uint8_t* text,
                                   size_t bytes,
                                   size_t* out_bytes);

/* The end of the piece of text that begins at `at` and that no token crosses: merging and paths can
 * treat such pieces one by one with the same result (tokenizer_spm.c). */
size_t llmir_spm_next(const llmir_tokenizer_t* tokenizer,
                      const uint8_t* text,
                      size_t bytes,
                      size_t at);

/* ---- The merge engine (tokenizer_merge.c) */

/* A list of symbols. Indices are positions in the array; BPE numbers its symbols one by one, SPM by
 * the byte where they begin. */
typedef struct llmir_symbol {
    uint32_t id;   /* of the token, LLMIR_NO_TOKEN before its first merge (SPM) */
    uint32_t prev; /* LLMIR_SYMBOL_NONE at the ends */
    uint32_t next; /* LLMIR_SYMBOL_DEAD once merged into its left neighbour */
} llmir_symbol_t;
#define LLMIR_SYMBOL_NONE UINT32_MAX
#define LLMIR_SYMBOL_DEAD (UINT32_MAX - 1u)

typedef struct llmir_merge {
    uint32_t rank; /* smaller first */
    uint32_t id;   /* the merged token */
} llmir_merge_t;

typedef struct llmir_merge_run {
    llmir_tokenizer_work_t* work;
    llmir_symbol_t* symbols; /* linked from index 0 */
    const uint8_t* text;     /* SPM */
    uint32_t bytes;
    /* Whether two neighbours merge, and into what. */
    int (*pair)(const struct llmir_merge_run* run,
                uint32_t left,
                uint32_t right,
                llmir_merge_t* out);
} llmir_merge_run_t;

/* Merges the pair of smallest rank, the leftmost among equals, until none is left. */
llmir_status_t llmir_merge_all(llmir_merge_run_t* run);

#endif /* LLMIR_TOKENIZER_INTERNAL_H */
