/* BLAKE2b-256 (RFC 7693, no key): the hash of bundles and of their sections. */
#ifndef LLMIR_BASE_BLAKE2B_H
#define LLMIR_BASE_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

#define LLMIR_BLAKE2B_BYTES 32u
#define LLMIR_BLAKE2B_BLOCK_BYTES 128u

typedef struct llmir_blake2b {
    uint64_t state[8];
    uint64_t length_low; /* bytes compressed so far */
    uint64_t length_high;
    size_t buffered_bytes;
    uint8_t buffer[LLMIR_BLAKE2B_BLOCK_BYTES];
} llmir_blake2b_t;

void llmir_blake2b_init(llmir_blake2b_t* hash);

/* Appends `bytes` bytes, in pieces of any size; `data` may be NULL if there are none. */
void llmir_blake2b_update(llmir_blake2b_t* hash, const void* data, size_t bytes);

/* Writes the hash; `hash` must be initialised again before further use. */
void llmir_blake2b_final(llmir_blake2b_t* hash, uint8_t out[LLMIR_BLAKE2B_BYTES]);

/* All three at once. */
void llmir_blake2b_hash(const void* data, size_t bytes, uint8_t out[LLMIR_BLAKE2B_BYTES]);

#endif /* LLMIR_BASE_BLAKE2B_H */
