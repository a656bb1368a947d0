/* Builds a whole bundle in memory without the compiler: a Llama-shaped model of random weights,
 * with a PLAN and no CODE. Options switch on what other families have (biases, norms of heads and
 * deltas, windows), so that every kernel and every flag of the plan is met. */
#ifndef LLMIR_TINY_BUNDLE_H
#define LLMIR_TINY_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#include "llmir_bundle.h"

typedef struct tiny_options {
    uint64_t seed;
    uint32_t layout; /* of the matrices: PANEL_F32, PANEL_F16, PANEL_S4, PANEL_U4 or PANEL_S8 */
    uint32_t group;  /* of integer layouts */
    uint32_t vocab;  /* at least TINY_FIRST_WORD + TINY_WORD_COUNT with a tokenizer */
    uint32_t dim;
    uint32_t layers;
    uint32_t q_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t ffn;
    uint32_t context;
    uint32_t page_tokens;
    uint32_t chunk;
    uint32_t window;     /* of odd layers; 0: none */
    uint32_t bias;       /* of the qkv product */
    uint32_t head_norm;  /* norms of q and k heads */
    uint32_t delta_norm; /* post norms: products go to a delta that the next norm adds */
    uint32_t split_gate; /* gate and up in one product, joined by the gate kernel */
    uint32_t tokenizer;  /* adds TOKENIZER and CHAT */
} tiny_options_t;

/* 2 layers, 4 query and 2 KV heads of 16, dim 64, ffn 96, vocab 320, context 512, F32, tokenizer.
 */
tiny_options_t tiny_options_default(void);

/* Ids of the tokenizer: an end of turn, a control token, one token a byte, then words. */
#define TINY_END 0
#define TINY_CONTROL 1
#define TINY_FIRST_BYTE 2
#define TINY_FIRST_WORD 258
#define TINY_WORD_COUNT 8
extern const char* const tiny_words[TINY_WORD_COUNT];

typedef struct tiny_bundle {
    uint8_t* data; /* 64-byte aligned heap memory */
    size_t bytes;
} tiny_bundle_t;

/* Ends the process if there is no memory: it serves tests alone. */
tiny_bundle_t tiny_bundle_build(const tiny_options_t* options);
void tiny_bundle_free(tiny_bundle_t* bundle);

/* A copy that may be damaged. */
tiny_bundle_t tiny_bundle_copy(const tiny_bundle_t* bundle);

/* The first section of a kind; NULL if there is none. */
llmir_bundle_section_t* tiny_bundle_section(const tiny_bundle_t* bundle, uint32_t kind);

/* Makes all hashes fit the bytes again, as far as the section table can be followed. */
void tiny_bundle_rehash(const tiny_bundle_t* bundle);

#endif /* LLMIR_TINY_BUNDLE_H */
