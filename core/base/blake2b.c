/* BLAKE2b-256 after RFC 7693. The twelve rounds are unrolled over a constant permutation, so that
 * the compiler keeps the sixteen working words in registers. */
#include "core/base/blake2b.h"

#include <string.h>

#include "core/base/compiler.h"

/* RFC 7693, 2.6: the first 64 bits of the fractional parts of the square roots of 2, 3, 5 .. 19. */
static const uint64_t initial_state[8] = {
    0x6A09E667F3BCC908u, 0xBB67AE8584CAA73Bu, 0x3C6EF372FE94F82Bu, 0xA54FF53A5F1D36F1u,
    0x510E527FADE682D1u, 0x9B05688C2B3E6C1Fu, 0x1F83D9ABFB41BD6Bu, 0x5BE0CD19137E2179u,
};

LLMIR_INLINE uint64_t rotate_right(uint64_t value, unsigned bits) {
    return (value >> bits) | (value << (64 - bits));
}

LLMIR_INLINE uint64_t load_u64(const uint8_t* bytes) {
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 |
           (uint64_t)bytes[3] << 24 | (uint64_t)bytes[4] << 32 | (uint64_t)bytes[5] << 40 |
           (uint64_t)bytes[6] << 48 | (uint64_t)bytes[7] << 56;
}

/* RFC 7693, 3.1: mixes two message words into four working words. */
#define MIX(a, b, c, d, x, y)        \
    do {                             \
        a = a + b + (x);             \
        d = rotate_right(d ^ a, 32); \
        c = c + d;                   \
        b = rotate_right(b ^ c, 24); \
        a = a + b + (y);             \
        d = rotate_right(d ^ a, 16); \
        c = c + d;                   \
        b = rotate_right(b ^ c, 63); \
    } while (0)

/* One round: the arguments are a row of the message schedule SIGMA (RFC 7693, 2.7). */
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    do {                                                                            \
        MIX(v0, v4, v8, v12, m[s0], m[s1]);                                         \
        MIX(v1, v5, v9, v13, m[s2], m[s3]);                                         \
        MIX(v2, v6, v10, v14, m[s4], m[s5]);                                        \
        MIX(v3, v7, v11, v15, m[s6], m[s7]);                                        \
        MIX(v0, v5, v10, v15, m[s8], m[s9]);                                        \
        MIX(v1, v6, v11, v12, m[s10], m[s11]);                                      \
        MIX(v2, v7, v8, v13, m[s12], m[s13]);                                       \
        MIX(v3, v4, v9, v14, m[s14], m[s15]);                                       \
    } while (0)

static void compress(llmir_blake2b_t* hash, const uint8_t* block, int is_last) {
    uint64_t m[16];
    for (size_t i = 0; i < 16; ++i) {
        m[i] = load_u64(block + 8 * i);
    }
    uint64_t* h = hash->state;
    uint64_t v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3];
    uint64_t v4 = h[4], v5 = h[5], v6 = h[6], v7 = h[7];
    uint64_t v8 = initial_state[0], v9 = initial_state[1];
    uint64_t v10 = initial_state[2], v11 = initial_state[3];
    uint64_t v12 = initial_state[4] ^ hash->length_low;
    uint64_t v13 = initial_state[5] ^ hash->length_high;
    uint64_t v14 = is_last ? ~initial_state[6] : initial_state[6];
    uint64_t v15 = initial_state[7];

    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);

    h[0] ^= v0 ^ v8;
    h[1] ^= v1 ^ v9;
    h[2] ^= v2 ^ v10;
    h[3] ^= v3 ^ v11;
    h[4] ^= v4 ^ v12;
    h[5] ^= v5 ^ v13;
    h[6] ^= v6 ^ v14;
    h[7] ^= v7 ^ v15;
}

static void count_bytes(llmir_blake2b_t* hash, size_t bytes) {
    hash->length_low += bytes;
    hash->length_high += hash->length_low < bytes;
}

void llmir_blake2b_init(llmir_blake2b_t* hash) {
    memset(hash, 0, sizeof *hash);
    memcpy(hash->state, initial_state, sizeof hash->state);
    /* The parameter block: digest length, no key, fanout 1, depth 1. */
    hash->state[0] ^= 0x01010000u ^ LLMIR_BLAKE2B_BYTES;
}

void llmir_blake2b_update(llmir_blake2b_t* hash, const void* data, size_t bytes) {
    const uint8_t* next = data;
    /* The last block is marked as such, so a full buffer waits until more bytes follow. */
    while (bytes > 0) {
        if (hash->buffered_bytes == LLMIR_BLAKE2B_BLOCK_BYTES) {
            count_bytes(hash, LLMIR_BLAKE2B_BLOCK_BYTES);
            compress(hash, hash->buffer, 0);
            hash->buffered_bytes = 0;
        }
        while (hash->buffered_bytes == 0 && bytes > LLMIR_BLAKE2B_BLOCK_BYTES) {
            count_bytes(hash, LLMIR_BLAKE2B_BLOCK_BYTES);
            compress(hash, next, 0);
            next += LLMIR_BLAKE2B_BLOCK_BYTES;
            bytes -= LLMIR_BLAKE2B_BLOCK_BYTES;
        }
        const size_t space = LLMIR_BLAKE2B_BLOCK_BYTES - hash->buffered_bytes;
        const size_t taken = bytes < space ? bytes : space;
        memcpy(hash->buffer + hash->buffered_bytes, next, taken);
        hash->buffered_bytes += taken;
        next += taken;
        bytes -= taken;
    }
}

void llmir_blake2b_final(llmir_blake2b_t* hash, uint8_t out[LLMIR_BLAKE2B_BYTES]) {
    count_bytes(hash, hash->buffered_bytes);
    memset(hash->buffer + hash->buffered_bytes, 0,
           LLMIR_BLAKE2B_BLOCK_BYTES - hash->buffered_bytes);
    compress(hash, hash->buffer, 1);
    for (size_t i = 0; i < LLMIR_BLAKE2B_BYTES; ++i) {
        out[i] = (uint8_t)(hash->state[i / 8] >> (8 * (i % 8)));
    }
}

void llmir_blake2b_hash(const void* data, size_t bytes, uint8_t out[LLMIR_BLAKE2B_BYTES]) {
    llmir_blake2b_t hash;
    llmir_blake2b_init(&hash);
    llmir_blake2b_update(&hash, data, bytes);
    llmir_blake2b_final(&hash, out);
}
