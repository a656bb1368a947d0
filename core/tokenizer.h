/* The tokenizer of a bundle: text to token ids and back, over the tables of a TOKENIZER section.
 *
 * The section is used where it lies; a llmir_tokenizer_t is a checked view of it and needs no
 * closing. All functions may be called from any thread at once. Time is linear in the text (n log n
 * in the length of a single word), for any text and any section. */
#ifndef LLMIR_TOKENIZER_H
#define LLMIR_TOKENIZER_H

#include "core/base/status.h"
#include "llmir_bundle.h"

/* Pointers into the section; tables of another kind of tokenizer are NULL with count 0. */
typedef struct llmir_tokenizer {
    uint32_t kind;         /* llmir_tokenizer_kind_t */
    uint32_t pretokenizer; /* llmir_pretokenizer_t */
    uint32_t flags;        /* llmir_tokenizer_flag_t */
    uint32_t token_count;
    uint32_t max_token_bytes;
    uint32_t text_probes;
    uint32_t merge_probes;
    uint32_t merge_count;
    int32_t bos_id; /* -1 if the model has none, as the next two */
    int32_t eos_id;
    int32_t unknown_id;
    float unknown_score;
    const uint32_t* token_offsets; /* [token_count + 1], ascending, inside token_bytes */
    const uint8_t* token_bytes;
    const uint8_t* token_info; /* [token_count] */
    const uint32_t* text_slots;
    uint32_t text_slot_count;
    uint32_t merge_slot_count;
    const uint64_t* merge_slots;
    const uint32_t* merge_ids; /* [merge_count] */
    const int32_t* byte_ids;   /* [256], each -1 or below token_count; NULL: none */
    const uint32_t* token_ranks;
    const float* token_scores;
    const uint8_t* space_joins;   /* [32] bits */
    const uint8_t* special_first; /* [32] bits */
    const llmir_trie_node_t* special_nodes;
    const llmir_trie_node_t* vocab_nodes;
    uint32_t special_node_count;
    uint32_t vocab_node_count;
    const uint16_t* char_index; /* [LLMIR_CHAR_INDEX_COUNT], each below char_block_count */
    const uint8_t* char_blocks; /* [char_block_count][LLMIR_CHAR_BLOCK] */
    const llmir_nfc_char_t* nfc_chars;
    const uint32_t* nfc_pool;
    const llmir_nfc_pair_t* nfc_pairs;
    uint32_t nfc_char_count;
    uint32_t nfc_pool_count;
    uint32_t nfc_pair_count;
} llmir_tokenizer_t;

/* Checks a TOKENIZER section and makes `out` a view of it.
 *   section      8-byte aligned; must outlive `out`.
 *   vocab_count  columns of the logits; the section may not hold more tokens.
 * Memory: allocates nothing. Errors: CORRUPT, UNSUPPORTED (a kind or pre-tokenizer of a later
 * version). */
llmir_status_t llmir_tokenizer_open(const uint8_t* section,
                                    size_t bytes,
                                    uint32_t vocab_count,
                                    llmir_tokenizer_t* out,
                                    llmir_error_t* error);

/* The bytes that a token stands for, inside the section; NULL with 0 bytes for an id out of range.
 * out_class receives a llmir_token_class_t and may be NULL. */
const uint8_t* llmir_tokenizer_token_bytes(const llmir_tokenizer_t* tokenizer,
                                           int32_t id,
                                           uint32_t* out_bytes,
                                           uint32_t* out_class);

/* Whether the token appears in text only on request: control, unknown and unused ones. */
int llmir_tokenizer_is_special(const llmir_tokenizer_t* tokenizer, int32_t id);

/* Whether the token ends the model's turn; 0 for ids out of range. */
int llmir_tokenizer_is_end(const llmir_tokenizer_t* tokenizer, int32_t id);

/* Where ids go: at most `capacity` are stored, all are counted. Calls append. */
typedef struct llmir_token_sink {
    int32_t* tokens;
    size_t capacity;
    size_t count;
} llmir_token_sink_t;

/* A part of a text, [begin, end) in bytes. */
typedef struct llmir_text_range {
    size_t begin;
    size_t end;
} llmir_text_range_t;

/* Text to encode. Bytes of the plain ranges never make a control token, whatever the flags: what a
 * user typed inside a chat template. */
typedef struct llmir_encode_text {
    const char* data;
    size_t bytes;
    const llmir_text_range_t* plain; /* ascending, not overlapping; NULL if plain_count is 0 */
    size_t plain_count;
} llmir_encode_text_t;

/* Appends the ids of a text.
 *   flags  llmir_tokenize_flag_t.
 * Bytes that are not UTF-8 become what stands for single bytes: the byte-level alphabet, or byte
 * tokens (SentencePiece).
 * Memory: working memory from `allocator`, given back before it returns.
 * Errors: OUT_OF_MEMORY, CAPACITY (text of 1 GiB or more). */
llmir_status_t llmir_tokenizer_encode(const llmir_tokenizer_t* tokenizer,
                                      const llmir_allocator_t* allocator,
                                      const llmir_encode_text_t* text,
                                      uint32_t flags,
                                      llmir_token_sink_t* inout_sink,
                                      llmir_error_t* error);

/* Where bytes go, as llmir_token_sink_t. */
typedef struct llmir_text_sink {
    char* text;
    size_t capacity;
    size_t bytes;
} llmir_text_sink_t;

/* Appends the bytes of `count` tokens; special ones only with LLMIR_TOKENIZE_SPECIAL.
 * Errors: INVALID_ARGUMENT (an id out of range). */
llmir_status_t llmir_tokenizer_decode(const llmir_tokenizer_t* tokenizer,
                                      const int32_t* tokens,
                                      size_t count,
                                      uint32_t flags,
                                      llmir_text_sink_t* inout_sink,
                                      llmir_error_t* error);

#endif /* LLMIR_TOKENIZER_H */
