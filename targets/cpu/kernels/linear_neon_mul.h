/* Dots of bytes without an instruction for them: smull and smlal multiply 8 bytes by 8 into 16-bit
 * lanes, saddlp adds neighbours into 32 bits. A lane of 16 bits is one column of a row, so a
 * quarter of the panel, 4 rows x 4 columns, is two registers of such sums.
 *
 *   nibbles   at most 15 * 127 = 1905: all 8 quads of a chunk, 15240, fit 16 bits
 *   bytes     at most 128 * 127 = 16256: two quads, 32512, fit; then they are widened
 *
 *   registers: 2 tokens x 8 sums = 16, 2 (bytes: 4) activations, 2 (bytes: 4) halves of weights,
 *              2 products; ARMv7, which has 16: 1 token */
#ifndef LLMIR_CPU_LINEAR_NEON_MUL_H
#define LLMIR_CPU_LINEAR_NEON_MUL_H

#include "targets/cpu/kernels/linear_neon_block.h"

#if defined(__aarch64__)
#define NEON_LANES 2u
#else
#define NEON_LANES 1u
#endif

/* Products of a quarter: rows 0, 1 and rows 2, 3. */
typedef struct neon_words {
    int16x8_t r[2];
} neon_words_t;

/* Weights of a quarter, in halves: each is an operand of its own. */
typedef struct neon_halves {
    int8x8_t r[2];
} neon_halves_t;

LLMIR_VEC neon_halves_t neon_load_halves(const int8_t* p) {
    return (neon_halves_t){{vld1_s8(p), vld1_s8(p + 8)}};
}

LLMIR_VEC neon_halves_t neon_split(int8x16_t w) {
    return (neon_halves_t){{vget_low_s8(w), vget_high_s8(w)}};
}

LLMIR_VEC neon_words_t neon_multiply(neon_halves_t w, int8x8_t a) {
    return (neon_words_t){{vmull_s8(w.r[0], a), vmull_s8(w.r[1], a)}};
}

LLMIR_VEC neon_words_t neon_multiply_add(neon_words_t sum, neon_halves_t w, int8x8_t a) {
    return (neon_words_t){{vmlal_s8(sum.r[0], w.r[0], a), vmlal_s8(sum.r[1], w.r[1], a)}};
}

/* Sums of 4 columns, one per row: of pairs of 32-bit lanes. */
LLMIR_VEC int32x4_t neon_row_sums(int32x4_t low, int32x4_t high) {
#if defined(__aarch64__)
    return vpaddq_s32(low, high);
#else
    return vcombine_s32(vpadd_s32(vget_low_s32(low), vget_high_s32(low)),
                        vpadd_s32(vget_low_s32(high), vget_high_s32(high)));
#endif
}

/* Four activations in every 32-bit lane. */
LLMIR_VEC int8x8_t neon_broadcast4(const int8_t* a) {
    int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    return vreinterpret_s8_s32(vdup_n_s32(quad));
}

LLMIR_VEC v16i neon_add_words(v16i dots, const neon_words_t words[4]) {
    LLMIR_UNROLLED
    for (int v = 0; v < 4; v++) {
        const int32x4_t sums =
            neon_row_sums(vpaddlq_s16(words[v].r[0]), vpaddlq_s16(words[v].r[1]));
        dots.r[v] = vaddq_s32(dots.r[v], sums);
    }
    return dots;
}

/* Two quads of bytes, 128 of them, with 8 activations; wide[v] has the two registers of a quarter.
 */
LLMIR_VEC void neon_two_quads(const int8_t* q,
                              const int8_t* a,
                              size_t row_bytes,
                              const uint32_t lanes,
                              int32x4_t wide[NEON_LANES][4][2]) {
    int8x8_t x[NEON_LANES][2];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        x[lane][0] = neon_broadcast4(a + lane * row_bytes);
        x[lane][1] = neon_broadcast4(a + lane * row_bytes + 4);
    }
    LLMIR_UNROLLED
    for (int v = 0; v < 4; v++) {
        const neon_halves_t w0 = neon_load_halves(q + v * 16);
        const neon_halves_t w1 = neon_load_halves(q + 64 + v * 16);
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const neon_words_t words =
                neon_multiply_add(neon_multiply(w0, x[lane][0]), w1, x[lane][1]);
            wide[lane][v][0] = vpadalq_s16(wide[lane][v][0], words.r[0]);
            wide[lane][v][1] = vpadalq_s16(wide[lane][v][1], words.r[1]);
        }
    }
}

LLMIR_VEC void neon_byte_columns(const int8_t* q,
                                 const int8_t* a,
                                 size_t row_bytes,
                                 uint32_t columns,
                                 const uint32_t lanes,
                                 v16i dots[NEON_LANES]) {
    int32x4_t wide[NEON_LANES][4][2];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        LLMIR_UNROLLED
        for (int v = 0; v < 4; v++) {
            wide[lane][v][0] = wide[lane][v][1] = vdupq_n_s32(0);
        }
    }
    LLMIR_ROLLED
    for (uint32_t column = 0; column < columns; column += 8) {
        neon_two_quads(q + column * 16, a + column, row_bytes, lanes, wide);
    }
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        LLMIR_UNROLLED
        for (int v = 0; v < 4; v++) {
            const int32x4_t sums = neon_row_sums(wide[lane][v][0], wide[lane][v][1]);
            dots[lane].r[v] = vaddq_s32(dots[lane].r[v], sums);
        }
    }
}

/* 32 columns of unpacked nibbles. */
LLMIR_VEC void neon_nibble_columns(const int8_t* q,
                                   const int8_t* a,
                                   size_t row_bytes,
                                   const uint32_t lanes,
                                   v16i dots[NEON_LANES]) {
    neon_words_t words[NEON_LANES][4];
    LLMIR_UNROLLED
    for (int quad = 0; quad < 8; quad++) {
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const int8x8_t x = neon_broadcast4(a + lane * row_bytes + quad * 4);
            LLMIR_UNROLLED
            for (int v = 0; v < 4; v++) {
                const neon_halves_t w = neon_load_halves(q + quad * 64 + v * 16);
                words[lane][v] =
                    quad == 0 ? neon_multiply(w, x) : neon_multiply_add(words[lane][v], w, x);
            }
        }
    }
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        dots[lane] = neon_add_words(dots[lane], words[lane]);
    }
}

/* Adds a group of unpacked weights to the dots of `lanes` tokens. */
LLMIR_VEC void neon_columns(const linear_pass_t* pass,
                            uint32_t layout,
                            const int8_t* q,
                            const int8_t* a,
                            const uint32_t lanes,
                            v16i dots[NEON_LANES]) {
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        neon_byte_columns(q, a, pass->row_bytes, pass->group, lanes, dots);
        return;
    }
    LLMIR_ROLLED
    for (uint32_t column = 0; column < pass->group; column += LLMIR_CHUNK_COLUMNS) {
        neon_nibble_columns(q + column * 16, a + column, pass->row_bytes, lanes, dots);
    }
}

/* The same for one token and 32 columns as they lie in memory. */
LLMIR_VEC v16i neon_chunk(const uint8_t* chunk, uint32_t layout, const int8_t* a, v16i dots) {
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        v16i lanes[NEON_LANES] = {dots};
        neon_byte_columns((const int8_t*)chunk, a, 0, LLMIR_CHUNK_COLUMNS, 1, lanes);
        return lanes[0];
    }
    neon_words_t words[4];
    LLMIR_UNROLLED
    for (int quad = 0; quad < 4; quad++) {
        const int8x8_t low = neon_broadcast4(a + quad * 4);
        const int8x8_t high = neon_broadcast4(a + quad * 4 + 16);
        LLMIR_UNROLLED
        for (int v = 0; v < 4; v++) {
            const neon_nibbles_t x = neon_nibbles(chunk + quad * 64 + v * 16);
            words[v] = quad == 0 ? neon_multiply(neon_split(x.low), low)
                                 : neon_multiply_add(words[v], neon_split(x.low), low);
            words[v] = neon_multiply_add(words[v], neon_split(x.high), high);
        }
    }
    return neon_add_words(dots, words);
}

#endif /* LLMIR_CPU_LINEAR_NEON_MUL_H */
