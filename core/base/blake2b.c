/* BLAKE2b-256 after RFC 7693. The twelve rounds are unrolled over a constant permutation, so that
 * the compiler keeps the sixteen working words in registers; compiled for size they are loops. */
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

/* The message schedule (RFC 7693, 2.7): which words a round mixes. */
#define SIGMA(X)                                            \
    X(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    X(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3) \
    X(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4) \
    X(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8) \
    X(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13) \
    X(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9) \
    X(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11) \
    X(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10) \
    X(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5) \
    X(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0) \
    X(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    X(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

/* Twelve rounds over the working words v and the message m. Each mixes the columns of the 4 x 4
 * words, then the diagonals. */
#if defined(__OPTIMIZE_SIZE__)
#define SCHEDULE(...) {__VA_ARGS__},
static const uint8_t schedule[12][16] = {SIGMA(SCHEDULE)};

static void mix_rounds(uint64_t v[16], const uint64_t m[16]) {
    for (unsigned round = 0; round < 12; ++round) {
        for (unsigned i = 0; i < 8; ++i) {
            const unsigned turn = i / 4; /* diagonals begin one, two and three columns later */
            uint64_t* a = &v[i % 4];
            uint64_t* b = &v[4 + (i + turn) % 4];
            uint64_t* c = &v[8 + (i + 2 * turn) % 4];
            uint64_t* d = &v[12 + (i + 3 * turn) % 4];
            const uint8_t* words = &schedule[round][2 * i];
            MIX(*a, *b, *c, *d, m[words[0]], m[words[1]]);
        }
    }
}
#else
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    MIX(v0, v4, v8, v12, m[s0], m[s1]);                                             \
    MIX(v1, v5, v9, v13, m[s2], m[s3]);                                             \
    MIX(v2, v6, v10, v14, m[s4], m[s5]);                                            \
    MIX(v3, v7, v11, v15, m[s6], m[s7]);                                            \
    MIX(v0, v5, v10, v15, m[s8], m[s9]);                                            \
    MIX(v1, v6, v11, v12, m[s10], m[s11]);                                          \
    MIX(v2, v7, v8, v13, m[s12], m[s13]);                                           \
    MIX(v3, v4, v9, v14, m[s14], m[s15]);

LLMIR_INLINE void mix_rounds(uint64_t v[16], const uint64_t m[16]) {
    uint64_t v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3], v4 = v[4], v5 = v[5], v6 = v[6], v7 = v[7];
    uint64_t v8 = v[8], v9 = v[9], v10 = v[10], v11 = v[11];
    uint64_t v12 = v[12], v13 = v[13], v14 = v[14], v15 = v[15];
    SIGMA(ROUND)
    v[0] = v0, v[1] = v1, v[2] = v2, v[3] = v3, v[4] = v4, v[5] = v5, v[6] = v6, v[7] = v7;
    v[8] = v8, v[9] = v9, v[10] = v10, v[11] = v11;
    v[12] = v12, v[13] = v13, v[14] = v14, v[15] = v15;
}
#endif

static void compress(llmir_blake2b_t* hash, const uint8_t* block, int is_last) {
    uint64_t m[16];
    for (size_t i = 0; i < 16; ++i) {
        m[i] = load_u64(block + 8 * i);
    }
    uint64_t* h = hash->state;
    const uint64_t* k = initial_state;
    uint64_t v[16] = {h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7],
                      k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7]};
    v[12] ^= hash->length_low;
    v[13] ^= hash->length_high;
    v[14] = is_last ? ~v[14] : v[14];
    mix_rounds(v, m);
    for (size_t i = 0; i < 8; ++i) {
        h[i] ^= v[i] ^ v[i + 8];
    }
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
