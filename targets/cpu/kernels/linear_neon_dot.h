/* Dots of bytes with sdot: each 32-bit lane gets the products of 4 columns of its row with 4
 * activations, which the instruction takes from a quarter of a register. 16 columns of activations
 * are one register.
 *
 *   registers: 4 tokens x 4 quarters = 16 dots, 4 activations, 1 weights; one token: 4 (wide: 8)
 *              dots, 2 activations, 1 packed, 2 weights, 1 mask */
#ifndef LLMIR_CPU_LINEAR_NEON_DOT_H
#define LLMIR_CPU_LINEAR_NEON_DOT_H

#include "targets/cpu/kernels/linear_neon_block.h"

#define NEON_LANES 4u

/* Adds quad `quad` of the weights at `q`, columns 4 `quad` .. + 3 of a[lane]. A macro, because the
 * quarter of a register must be a constant. */
#define NEON_DOT_QUAD(q, quad)                                                      \
    LLMIR_UNROLLED                                                                  \
    for (int v = 0; v < 4; v++) {                                                   \
        const int8x16_t w = vld1q_s8((q) + (quad) * 64 + v * 16);                   \
        LLMIR_UNROLLED                                                              \
        for (uint32_t lane = 0; lane < lanes; lane++) {                             \
            dots[lane].r[v] = vdotq_laneq_s32(dots[lane].r[v], w, x[lane], (quad)); \
        }                                                                           \
    }

/* Adds a group of unpacked weights to the dots of `lanes` tokens. */
LLMIR_VEC void neon_columns(const linear_pass_t* pass,
                            uint32_t layout,
                            const int8_t* q,
                            const int8_t* a,
                            const uint32_t lanes,
                            v16i dots[NEON_LANES]) {
    (void)layout;
    for (uint32_t column = 0; column < pass->group; column += 16) {
        int8x16_t x[NEON_LANES];
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < lanes; lane++) {
            x[lane] = vld1q_s8(a + lane * pass->row_bytes + column);
        }
        NEON_DOT_QUAD(q, 0)
        NEON_DOT_QUAD(q, 1)
        NEON_DOT_QUAD(q, 2)
        NEON_DOT_QUAD(q, 3)
        q += 256;
    }
}

#undef NEON_DOT_QUAD

/* The same for one token and 32 columns as they lie in memory: `low` has the activations of the
 * first 16, which are the low nibbles, `high` the others. */
#define NEON_DOT_NIBBLES(quad)                                               \
    LLMIR_UNROLLED                                                           \
    for (int v = 0; v < 4; v++) {                                            \
        const neon_nibbles_t x = neon_nibbles(chunk + (quad) * 64 + v * 16); \
        dots.r[v] = vdotq_laneq_s32(dots.r[v], x.low, low, (quad));          \
        dots.r[v] = vdotq_laneq_s32(dots.r[v], x.high, high, (quad));        \
    }
#define NEON_DOT_BYTES(quad)                                                     \
    LLMIR_UNROLLED                                                               \
    for (int v = 0; v < 4; v++) {                                                \
        const int8_t* w = (const int8_t*)chunk + (quad) * 64 + v * 16;           \
        dots.r[v] = vdotq_laneq_s32(dots.r[v], vld1q_s8(w), low, (quad));        \
        dots.r[v] = vdotq_laneq_s32(dots.r[v], vld1q_s8(w + 256), high, (quad)); \
    }

LLMIR_VEC v16i neon_chunk(const uint8_t* chunk, uint32_t layout, const int8_t* a, v16i dots) {
    const int8x16_t low = vld1q_s8(a);
    const int8x16_t high = vld1q_s8(a + 16);
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        NEON_DOT_BYTES(0)
        NEON_DOT_BYTES(1)
        NEON_DOT_BYTES(2)
        NEON_DOT_BYTES(3)
    } else {
        NEON_DOT_NIBBLES(0)
        NEON_DOT_NIBBLES(1)
        NEON_DOT_NIBBLES(2)
        NEON_DOT_NIBBLES(3)
    }
    return dots;
}

#undef NEON_DOT_NIBBLES
#undef NEON_DOT_BYTES

#endif /* LLMIR_CPU_LINEAR_NEON_DOT_H */
