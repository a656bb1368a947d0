/* Builds small TOKENIZER sections, so that the runtime's tokenizer is tested without the compiler.
 */
#ifndef LLMIR_TINY_TOKENIZER_H
#define LLMIR_TINY_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "core/tokenizer.h"

/* A token after the 256 that stand for single bytes (ids 0 .. 255). */
typedef struct tiny_token {
    const char* text;
    uint8_t info; /* class and marks */
    float score;  /* SentencePiece; larger merges first */
} tiny_token_t;

#define TINY_FIRST_TOKEN 256

typedef struct tiny_merge {
    uint32_t left, right, merged;
} tiny_merge_t;

typedef struct tiny_vocabulary {
    uint32_t kind;
    uint32_t pretokenizer;
    uint32_t flags;
    const tiny_token_t* tokens;
    uint32_t token_count; /* without the bytes */
    const tiny_merge_t* merges;
    uint32_t merge_count;
    int32_t bos_id; /* 0: none, as no byte can be */
    int32_t unknown_id;
} tiny_vocabulary_t;

typedef struct tiny_section {
    uint8_t* data; /* of malloc */
    size_t bytes;
} tiny_section_t;

/* Byte tokens are NORMAL for BPE; else BYTE with the flag BYTE_FALLBACK, and UNUSED without. The
 * character table knows ASCII, Latin, Cyrillic and CJK letters, ASCII and Arabic digits, all white
 * space; form C knows U+0301, U+0323, U+0327, six letters with them, U+212B and Hangul. */
tiny_section_t tiny_tokenizer_section(const tiny_vocabulary_t* vocabulary);

#endif /* LLMIR_TINY_TOKENIZER_H */
