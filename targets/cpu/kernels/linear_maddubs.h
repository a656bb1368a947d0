/* Integer matrix products with u8 x s8 pair sums (pmaddubsw): AVX2 and SSE4.1.
 *
 * pmaddubsw multiplies unsigned by signed bytes and adds neighbours into 16 bits. With weights of
 * 0 .. 15 and activations of -127 .. 127 a pair is at most 3810, so eight of them, 32 columns of a
 * lane's two halves, stay below 32767 (30480): a chunk is added up in 16 bits and widened once.
 *
 *   S4, U4   the nibbles as they are; S4 adds -8 * sum of the activations at the end
 *   S8       w + 128 = 16 * high + low: two nibble products; -128 * sum at the end. One token
 *            alone takes |w| * (sign of w applied to a) instead, which unpacks faster.
 *
 * Many tokens: the weights of 16 columns are unpacked into 8 registers and stay there while all
 * tokens of the tile pass by; what a token has added up meanwhile waits in the scratch (L1 cache).
 * A broadcast of 4 activations serves two registers, so loads are not the limit. A group is made in
 * three loops over the tokens, two for the integers and one for the float part: in one loop the
 * chain from load to store would be longer than the processor can look ahead.
 *
 * Wide activations: the high bytes first, what they add up to times 256, then the low bytes.
 *
 *   registers: 8 weights (int4: 4 quads of columns x 2 vectors of rows; S8: 4 quads x low, high),
 *              2 sums, 1 broadcast, 1 product, ones */
#ifndef LLMIR_CPU_LINEAR_MADDUBS_H
#define LLMIR_CPU_LINEAR_MADDUBS_H

#include "targets/cpu/kernels/linear_pass.h"
#include "targets/cpu/kernels/linear_simd_x86.h"

/* What the tokens of a tile have added up for 2 * SPAN rows. */
typedef struct maddubs_scratch {
    linear_int words[LLMIR_LINEAR_TOKEN_BLOCK][2]; /* 16 bits: the first 16 columns of a chunk */
    linear_int dots[LLMIR_LINEAR_TOKEN_BLOCK][2];  /* 32 bits: the chunks of a group so far */
} maddubs_scratch_t;

LLMIR_VEC linear_int maddubs_dot(linear_int sum, linear_int weights, linear_int a) {
    return LINEAR_I(add_epi16)(sum, LINEAR_I(maddubs_epi16)(weights, a));
}

/* Low or high nibbles of 16 columns, 2 * SPAN rows from `chunk` on: q[2 * quad + vector]. */
LLMIR_VEC void maddubs_unpack4(const uint8_t* chunk, int high, linear_int q[8]) {
    const linear_int mask = LINEAR_I(set1_epi8)(15);
    for (uint32_t i = 0; i < 8; i++) {
        linear_int x = linear_load(chunk + i / 2 * 64 + i % 2 * LINEAR_SPAN * 4);
        x = high ? LINEAR_I(srli_epi16)(x, 4) : x;
        q[i] = LINEAR_AND(x, mask);
    }
}

/* Bytes of 16 columns, SPAN rows from `bytes` on, moved to 0 .. 255: q[2 * quad] low, q[2 * quad +
 * 1] high. */
LLMIR_VEC void maddubs_unpack8(const uint8_t* bytes, linear_int q[8]) {
    const linear_int mask = LINEAR_I(set1_epi8)(15);
    for (uint32_t quad = 0; quad < 4; quad++) {
        const linear_int x = LINEAR_XOR(linear_load(bytes + quad * 64), LINEAR_I(set1_epi8)(-128));
        q[2 * quad] = LINEAR_AND(x, mask);
        q[2 * quad + 1] = LINEAR_AND(LINEAR_I(srli_epi16)(x, 4), mask);
    }
}

/* Adds 16 columns of a token to two vectors of 16-bit sums. */
LLMIR_VEC void maddubs_columns16(const linear_int q[8],
                                 const int8_t* a,
                                 linear_int* x,
                                 linear_int* y) {
    for (uint32_t quad = 0; quad < 4; quad++) {
        const linear_int b = linear_broadcast4(a + quad * 4);
        *x = maddubs_dot(*x, q[2 * quad], b);
        *y = maddubs_dot(*y, q[2 * quad + 1], b);
    }
}

/* First half of a chunk for all tokens; `a` is the first token's, at the first of the columns. */
LLMIR_VEC void maddubs_first16(const linear_pass_t* pass,
                               const int8_t* a,
                               const linear_int q[8],
                               maddubs_scratch_t* scratch) {
    for (uint32_t t = 0; t < pass->token_count; t++, a += pass->row_bytes) {
        linear_int x = LINEAR_ZERO();
        linear_int y = LINEAR_ZERO();
        maddubs_columns16(q, a, &x, &y);
        scratch->words[t][0] = x;
        scratch->words[t][1] = y;
    }
}

/* Second half of an int4 chunk: x and y are two vectors of rows. */
LLMIR_VEC void maddubs_last16_int4(const linear_pass_t* pass,
                                   const int8_t* a,
                                   const linear_int q[8],
                                   int is_first_chunk,
                                   maddubs_scratch_t* scratch) {
    const linear_int ones = LINEAR_I(set1_epi16)(1);
    for (uint32_t t = 0; t < pass->token_count; t++, a += pass->row_bytes) {
        linear_int x = scratch->words[t][0];
        linear_int y = scratch->words[t][1];
        maddubs_columns16(q, a, &x, &y);
        x = LINEAR_I(madd_epi16)(x, ones);
        y = LINEAR_I(madd_epi16)(y, ones);
        linear_int* dots = scratch->dots[t];
        dots[0] = is_first_chunk ? x : LINEAR_I(add_epi32)(x, dots[0]);
        dots[1] = is_first_chunk ? y : LINEAR_I(add_epi32)(y, dots[1]);
    }
}

/* Second half of an S8 chunk for vector `v` of the two: x has the low, y the high nibbles. */
LLMIR_VEC void maddubs_last16_int8(const linear_pass_t* pass,
                                   const int8_t* a,
                                   const linear_int q[8],
                                   int is_first_chunk,
                                   uint32_t v,
                                   maddubs_scratch_t* scratch) {
    const linear_int ones = LINEAR_I(set1_epi16)(1);
    const linear_int sixteens = LINEAR_I(set1_epi16)(16);
    for (uint32_t t = 0; t < pass->token_count; t++, a += pass->row_bytes) {
        linear_int x = scratch->words[t][0];
        linear_int y = scratch->words[t][1];
        maddubs_columns16(q, a, &x, &y);
        x = LINEAR_I(add_epi32)(LINEAR_I(madd_epi16)(x, ones), LINEAR_I(madd_epi16)(y, sixteens));
        linear_int* dot = &scratch->dots[t][v];
        *dot = is_first_chunk ? x : LINEAR_I(add_epi32)(x, *dot);
    }
}

/* The integer part of a chunk for 2 * SPAN rows; `weights` and `a` are at its first. */
LLMIR_VEC void maddubs_chunk(const linear_pass_t* pass,
                             uint32_t layout,
                             const uint8_t* weights,
                             const int8_t* a,
                             int is_first_chunk,
                             maddubs_scratch_t* scratch) {
    linear_int q[8];
    if (layout != LLMIR_LAYOUT_PANEL_S8) {
        maddubs_unpack4(weights, 0, q);
        maddubs_first16(pass, a, q, scratch);
        maddubs_unpack4(weights, 1, q);
        maddubs_last16_int4(pass, a + 16, q, is_first_chunk, scratch);
        return;
    }
    for (uint32_t v = 0; v < 2; v++) {
        maddubs_unpack8(weights + v * LINEAR_SPAN * 4, q);
        maddubs_first16(pass, a, q, scratch);
        maddubs_unpack8(weights + LLMIR_CHUNK_BYTES + v * LINEAR_SPAN * 4, q);
        maddubs_last16_int8(pass, a + 16, q, is_first_chunk, v, scratch);
    }
}

/* The float part of the contract for 2 * SPAN rows; `d` are their scales. */
LLMIR_VEC void maddubs_scale(const linear_pass_t* pass,
                             uint32_t layout,
                             uint32_t g,
                             const uint8_t* d,
                             float* sums,
                             const maddubs_scratch_t* scratch) {
    const int is_u4 = layout == LLMIR_LAYOUT_PANEL_U4;
    const linear_f32 d0 = linear_load_f16(d);
    const linear_f32 d1 = linear_load_f16(d + LINEAR_SPAN * 2);
    const linear_f32 m0 = is_u4 ? linear_load_f16(d + 32) : d0;
    const linear_f32 m1 = is_u4 ? linear_load_f16(d + 32 + LINEAR_SPAN * 2) : d1;
    const uint8_t* scales = pass->scales + g * 4;
    const linear_term_t* term = pass->terms + g;
    for (uint32_t t = 0; t < pass->token_count; t++) {
        linear_int x = scratch->dots[t][0];
        linear_int y = scratch->dots[t][1];
        if (!is_u4) {
            x = LINEAR_I(add_epi32)(x, LINEAR_I(set1_epi32)(term->i));
            y = LINEAR_I(add_epi32)(y, LINEAR_I(set1_epi32)(term->i));
        }
        const linear_f32 scale = LINEAR_F(set1_ps)(*(const float*)scales);
        linear_f32 u = LINEAR_F(mul_ps)(LINEAR_F(cvtepi32_ps)(x), d0);
        linear_f32 v = LINEAR_F(mul_ps)(LINEAR_F(cvtepi32_ps)(y), d1);
        u = linear_fma(u, scale, LINEAR_F(load_ps)(sums));
        v = linear_fma(v, scale, LINEAR_F(load_ps)(sums + LINEAR_SPAN));
        if (is_u4) {
            u = linear_fma(m0, LINEAR_F(set1_ps)(term->f), u);
            v = linear_fma(m1, LINEAR_F(set1_ps)(term->f), v);
        }
        LINEAR_F(store_ps)(sums, u);
        LINEAR_F(store_ps)(sums + LINEAR_SPAN, v);
        sums += LLMIR_PANEL_ROWS;
        scales += pass->row_bytes;
        term += pass->term_stride;
    }
}

/* The dots of all tokens times 256. */
LLMIR_VEC void maddubs_shift(const linear_pass_t* pass, maddubs_scratch_t* scratch) {
    LLMIR_ROLLED
    for (uint32_t t = 0; t < pass->token_count; t++) {
        scratch->dots[t][0] = LINEAR_I(slli_epi32)(scratch->dots[t][0], 8);
        scratch->dots[t][1] = LINEAR_I(slli_epi32)(scratch->dots[t][1], 8);
    }
}

/* Many tokens, one block. `chunks` is group / 32, a constant where it can be. */
LLMIR_VEC void maddubs_block(const linear_pass_t* pass,
                             uint32_t layout,
                             uint32_t chunks,
                             uint32_t g,
                             maddubs_scratch_t* scratch) {
    const uint8_t* block = pass->blocks + g * pass->block_bytes;
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const uint8_t* d = block + chunks * chunk_bytes;
    const int8_t* a = (const int8_t*)pass->rows + g * chunks * LLMIR_CHUNK_COLUMNS;
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row += 2 * LINEAR_SPAN) {
        const uint32_t steps = pass->low_offset != 0 ? 2 * chunks : chunks;
        const int8_t* x = a;
        LLMIR_ROLLED
        for (uint32_t step = 0; step < steps; step++, x += LLMIR_CHUNK_COLUMNS) {
            if (step == chunks) { /* from the high bytes to the low ones */
                maddubs_shift(pass, scratch);
                x = a + pass->low_offset;
            }
            maddubs_chunk(pass, layout, block + step % chunks * chunk_bytes + row * 4, x, step == 0,
                          scratch);
        }
        maddubs_scale(pass, layout, g, d + row * 2, pass->sums + row, scratch);
    }
}

/* ---- One token: everything in registers, the panel is read once from front to back */

/* 32-bit dots of one chunk for SPAN rows. */
LLMIR_VEC linear_int maddubs_dot_int4(const uint8_t* chunk, const int8_t* a) {
    const linear_int mask = LINEAR_I(set1_epi8)(15);
    linear_int low = LINEAR_ZERO();
    linear_int high = LINEAR_ZERO();
    for (uint32_t quad = 0; quad < 4; quad++) {
        const linear_int x = linear_load(chunk + quad * 64);
        low = maddubs_dot(low, LINEAR_AND(x, mask), linear_broadcast4(a + quad * 4));
        high = maddubs_dot(high, LINEAR_AND(LINEAR_I(srli_epi16)(x, 4), mask),
                           linear_broadcast4(a + quad * 4 + 16));
    }
    return LINEAR_I(madd_epi16)(LINEAR_I(add_epi16)(low, high), LINEAR_I(set1_epi16)(1));
}

/* |w| is at most 128 and fits an unsigned byte; a pair is at most 2 * 128 * 127 = 32512. */
LLMIR_VEC linear_int maddubs_dot_int8(const uint8_t* bytes, const int8_t* a) {
    linear_int dot = LINEAR_ZERO();
    for (uint32_t quad = 0; quad < 8; quad++) {
        const linear_int w = linear_load(bytes + quad * 64);
        const linear_int signed_a = LINEAR_I(sign_epi8)(linear_broadcast4(a + quad * 4), w);
        const linear_int words = LINEAR_I(maddubs_epi16)(LINEAR_I(abs_epi8)(w), signed_a);
        dot = LINEAR_I(add_epi32)(dot, LINEAR_I(madd_epi16)(words, LINEAR_I(set1_epi16)(1)));
    }
    return dot;
}

LLMIR_VEC linear_int maddubs_token_dot(uint32_t layout, const uint8_t* weights, const int8_t* a) {
    return layout == LLMIR_LAYOUT_PANEL_S8 ? maddubs_dot_int8(weights, a)
                                           : maddubs_dot_int4(weights, a);
}

LLMIR_VEC void maddubs_token(const linear_pass_t* pass, uint32_t layout, uint32_t chunks) {
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const float* scales = linear_scales(pass, 0);
    const int8_t* a = (const int8_t*)pass->rows;
    linear_f32 acc[LLMIR_PANEL_ROWS / LINEAR_SPAN];
    for (uint32_t v = 0; v < LLMIR_PANEL_ROWS / LINEAR_SPAN; v++) {
        acc[v] = LINEAR_F(load_ps)(pass->sums + v * LINEAR_SPAN);
    }
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        const uint8_t* d = block + chunks * chunk_bytes;
        linear_prefetch(block, chunks * chunk_bytes);
        for (uint32_t v = 0; v < LLMIR_PANEL_ROWS / LINEAR_SPAN; v++) {
            linear_int dot = LINEAR_ZERO();
            linear_int lows = LINEAR_ZERO();
            for (uint32_t chunk = 0; chunk < chunks; chunk++) {
                const uint8_t* w = block + chunk * chunk_bytes + v * LINEAR_SPAN * 4;
                const int8_t* x = a + chunk * LLMIR_CHUNK_COLUMNS;
                dot = LINEAR_I(add_epi32)(dot, maddubs_token_dot(layout, w, x));
                if (pass->low_offset != 0) {
                    const linear_int low = maddubs_token_dot(layout, w, x + pass->low_offset);
                    lows = LINEAR_I(add_epi32)(lows, low);
                }
            }
            if (pass->low_offset != 0) {
                dot = LINEAR_I(add_epi32)(LINEAR_I(slli_epi32)(dot, 8), lows);
            }
            if (layout == LLMIR_LAYOUT_PANEL_S4) {
                dot = LINEAR_I(add_epi32)(dot, LINEAR_I(set1_epi32)(pass->terms[g].i));
            }
            const linear_f32 p = LINEAR_F(mul_ps)(LINEAR_F(cvtepi32_ps)(dot),
                                                  linear_load_f16(d + v * LINEAR_SPAN * 2));
            acc[v] = linear_fma(p, LINEAR_F(set1_ps)(scales[g]), acc[v]);
            if (layout == LLMIR_LAYOUT_PANEL_U4) {
                acc[v] = linear_fma(linear_load_f16(d + 32 + v * LINEAR_SPAN * 2),
                                    LINEAR_F(set1_ps)(pass->terms[g].f), acc[v]);
            }
        }
        a += chunks * LLMIR_CHUNK_COLUMNS;
    }
    for (uint32_t v = 0; v < LLMIR_PANEL_ROWS / LINEAR_SPAN; v++) {
        LINEAR_F(store_ps)(pass->sums + v * LINEAR_SPAN, acc[v]);
    }
}

LLMIR_VEC void maddubs_pass(const linear_pass_t* pass, uint32_t layout, uint32_t chunks) {
    if (pass->token_count == 1) {
        maddubs_token(pass, layout, chunks);
        return;
    }
    maddubs_scratch_t scratch;
    for (uint32_t g = 0; g < pass->block_count; g++) {
        maddubs_block(pass, layout, chunks, g, &scratch);
    }
}

/* Groups of 32 have an instance of their own where the level is more than a fallback. */
LLMIR_VEC void maddubs_layout_pass(const linear_pass_t* pass, uint32_t layout) {
#if defined(__AVX2__)
    if (pass->group == LLMIR_CHUNK_COLUMNS) {
        maddubs_pass(pass, layout, 1);
        return;
    }
#endif
    maddubs_pass(pass, layout, pass->group / LLMIR_CHUNK_COLUMNS);
}

/* One instance per layout, with the layout a constant. */
LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_S4:
            maddubs_layout_pass(pass, LLMIR_LAYOUT_PANEL_S4);
            break;
        case LLMIR_LAYOUT_PANEL_U4:
            maddubs_layout_pass(pass, LLMIR_LAYOUT_PANEL_U4);
            break;
        default:
            maddubs_layout_pass(pass, LLMIR_LAYOUT_PANEL_S8);
            break;
    }
}

#endif /* LLMIR_CPU_LINEAR_MADDUBS_H */
