/* Many tokens with smmla, the product of two 2 x 8 matrices of bytes: 2 tokens x 2 rows of the
 * panel, 8 columns at once, twice the products of sdot. The weights are unpacked into that shape,
 *
 *   q  | octet 0: rows 0, 1 | rows 2, 3 | ... | rows 14, 15 | octet 1 | ...     16 bytes: 2 x 8
 *
 * and what an accumulator holds stays in its shape until all groups are done, scales, minima and
 * f32 sums too, so that the loop needs no shuffle:
 *
 *   | token 0, row 0 | token 0, row 1 | token 1, row 0 | token 1, row 1 |      one of 8 pairs of
 * rows
 *
 *   registers: 2 pairs of tokens x 8 pairs of rows = 16 dots, 2 activations, 1 weights; then
 *              2 scales of tokens, 1 scale of rows, 1 product, 1 sum. An odd token is its own pair.
 */
#ifndef LLMIR_CPU_LINEAR_NEON_MMLA_H
#define LLMIR_CPU_LINEAR_NEON_MMLA_H

#include "targets/cpu/kernels/linear_neon_block.h"

#define MMLA_ROW_PAIRS 8
#define MMLA_MAX_PAIRS (LLMIR_LINEAR_TOKEN_BLOCK / 2)

/* What a pass keeps beside the panel. */
typedef struct mmla_scratch {
    int8_t q[NEON_SCRATCH_BYTES];
    float32x4_t d[MMLA_ROW_PAIRS]; /* | row 0 | row 1 | row 0 | row 1 | */
    float32x4_t m[MMLA_ROW_PAIRS];
    float32x4_t sums[MMLA_MAX_PAIRS][MMLA_ROW_PAIRS];
} mmla_scratch_t;

/* Quads 2 i and 2 i + 1 of a quarter as two registers of octet i. */
LLMIR_VEC void mmla_store_octet(int8_t* out, int8x16_t quad0, int8x16_t quad1) {
    const int32x4_t x = vreinterpretq_s32_s8(quad0);
    const int32x4_t y = vreinterpretq_s32_s8(quad1);
    vst1q_s8(out, vreinterpretq_s8_s32(vzip1q_s32(x, y)));
    vst1q_s8(out + 16, vreinterpretq_s8_s32(vzip2q_s32(x, y)));
}

LLMIR_VEC void mmla_unpack(const uint8_t* block, uint32_t layout, uint32_t group, int8_t* out) {
    const int8x16_t zero = vdupq_n_s8(layout == LLMIR_LAYOUT_PANEL_S4 ? 8 : 0);
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        LLMIR_ROLLED
        for (uint32_t i = 0; i < group * 16; i += 128) {
            LLMIR_UNROLLED
            for (uint32_t v = 0; v < 4; v++) {
                const int8_t* w = (const int8_t*)block + i + v * 16;
                mmla_store_octet(out + i + v * 32, vld1q_s8(w), vld1q_s8(w + 64));
            }
        }
        return;
    }
    LLMIR_ROLLED
    for (uint32_t i = 0; i < group * 8; i += 128) {
        int8_t* low = out + i / 256 * 512 + i % 256; /* the octets of low and of high nibbles */
        LLMIR_UNROLLED
        for (uint32_t v = 0; v < 4; v++) {
            const neon_nibbles_t x = neon_nibbles(block + i + v * 16);
            const neon_nibbles_t y = neon_nibbles(block + i + v * 16 + 64);
            mmla_store_octet(low + v * 32, vsubq_s8(x.low, zero), vsubq_s8(y.low, zero));
            mmla_store_octet(low + 256 + v * 32, vsubq_s8(x.high, zero), vsubq_s8(y.high, zero));
        }
    }
}

/* Both tokens' rows of numbers of a quarter, as two registers. */
LLMIR_VEC void mmla_zip(float32x4_t x, float32x4_t y, float32x4_t out[2]) {
    const float64x2_t a = vreinterpretq_f64_f32(x);
    const float64x2_t b = vreinterpretq_f64_f32(y);
    out[0] = vreinterpretq_f32_f64(vzip1q_f64(a, b));
    out[1] = vreinterpretq_f32_f64(vzip2q_f64(a, b));
}

LLMIR_VEC void mmla_load_scales(const uint8_t* block,
                                uint32_t layout,
                                uint32_t group,
                                mmla_scratch_t* scratch) {
    const neon_scales_t scales = neon_load_scales(block, layout, group);
    LLMIR_UNROLLED
    for (int v = 0; v < 4; v++) {
        mmla_zip(scales.d.r[v], scales.d.r[v], &scratch->d[2 * v]);
        mmla_zip(scales.m.r[v], scales.m.r[v], &scratch->m[2 * v]);
    }
}

/* Adds a group to the dots of `pairs` pairs of tokens; a[2 pair] and a[2 pair + 1] are their rows.
 */
LLMIR_VEC void mmla_columns(const int8_t* q,
                            const int8_t* const a[4],
                            size_t offset,
                            uint32_t columns,
                            const uint32_t pairs,
                            int32x4_t dots[2][MMLA_ROW_PAIRS]) {
    LLMIR_ROLLED /* else the weights of several columns at once would not fit the registers */
        for (uint32_t column = 0; column < columns; column += 8) {
        int8x16_t x[2];
        LLMIR_UNROLLED
        for (uint32_t pair = 0; pair < pairs; pair++) {
            x[pair] = vcombine_s8(vld1_s8(a[2 * pair] + offset + column),
                                  vld1_s8(a[2 * pair + 1] + offset + column));
        }
        LLMIR_UNROLLED
        for (uint32_t row = 0; row < MMLA_ROW_PAIRS; row++) {
            const int8x16_t w = vld1q_s8(q + row * 16);
            LLMIR_UNROLLED
            for (uint32_t pair = 0; pair < pairs; pair++) {
                dots[pair][row] = vmmlaq_s32(dots[pair][row], x[pair], w);
            }
        }
        q += 128;
    }
}

/* A number of each token of the pair. */
LLMIR_VEC float32x4_t mmla_two(float x, float y) {
    return vcombine_f32(vdup_n_f32(x), vdup_n_f32(y));
}

/* Group g of the tokens from pair `first` on. */
LLMIR_VEC void mmla_tokens(const linear_pass_t* pass,
                           uint32_t layout,
                           uint32_t g,
                           uint32_t first,
                           const uint32_t pairs,
                           mmla_scratch_t* scratch) {
    int32x4_t dots[2][MMLA_ROW_PAIRS];
    const int8_t* a[4];
    uint32_t tokens[4];
    LLMIR_UNROLLED
    for (uint32_t i = 0; i < 2 * pairs; i++) {
        const uint32_t token = 2 * first + i;
        tokens[i] = token < pass->token_count ? token : token - 1;
        a[i] = (const int8_t*)linear_row(pass, tokens[i]) + (size_t)g * pass->group;
        LLMIR_UNROLLED
        for (uint32_t row = 0; row < MMLA_ROW_PAIRS; row++) {
            dots[i / 2][row] = vdupq_n_s32(0);
        }
    }
    if (pass->low_offset != 0) {
        mmla_columns(scratch->q, a, 0, pass->group, pairs, dots);
        LLMIR_UNROLLED
        for (uint32_t i = 0; i < pairs * MMLA_ROW_PAIRS; i++) {
            dots[i / MMLA_ROW_PAIRS][i % MMLA_ROW_PAIRS] =
                vshlq_n_s32(dots[i / MMLA_ROW_PAIRS][i % MMLA_ROW_PAIRS], 8);
        }
    }
    mmla_columns(scratch->q, a, pass->low_offset, pass->group, pairs, dots);
    LLMIR_UNROLLED
    for (uint32_t pair = 0; pair < pairs; pair++) {
        const uint32_t t0 = tokens[2 * pair];
        const uint32_t t1 = tokens[2 * pair + 1];
        const float32x4_t scale = mmla_two(linear_scales(pass, t0)[g], linear_scales(pass, t1)[g]);
        const float32x4_t term = mmla_two(linear_terms(pass, t0)[g].f, linear_terms(pass, t1)[g].f);
        float32x4_t* sums = scratch->sums[first + pair];
        LLMIR_UNROLLED
        for (uint32_t row = 0; row < MMLA_ROW_PAIRS; row++) {
            const float32x4_t dot = vcvtq_f32_s32(dots[pair][row]);
            float32x4_t acc = vfmaq_f32(sums[row], vmulq_f32(dot, scratch->d[row]), scale);
            acc = layout == LLMIR_LAYOUT_PANEL_U4 ? vfmaq_f32(acc, scratch->m[row], term) : acc;
            sums[row] = acc;
        }
    }
}

/* From the shape of the pass's sums to that of the accumulators, or back; both are the same. */
LLMIR_VEC void mmla_turn_sums(const linear_pass_t* pass, mmla_scratch_t* scratch, int is_back) {
    LLMIR_ROLLED
    for (uint32_t token = 0; token < pass->token_count; token += 2) {
        float* t0 = pass->sums + token * LLMIR_PANEL_ROWS;
        float* t1 = token + 1 < pass->token_count ? t0 + LLMIR_PANEL_ROWS : t0;
        float32x4_t* pair = scratch->sums[token / 2];
        LLMIR_UNROLLED
        for (uint32_t v = 0; v < 4; v++) {
            float32x4_t turned[2];
            if (is_back) {
                mmla_zip(pair[2 * v], pair[2 * v + 1], turned);
                vst1q_f32(t1 + v * 4, turned[1]);
                vst1q_f32(t0 + v * 4, turned[0]);
            } else {
                mmla_zip(vld1q_f32(t0 + v * 4), vld1q_f32(t1 + v * 4), &pair[2 * v]);
            }
        }
    }
}

LLMIR_VEC void neon_many_tokens(const linear_pass_t* pass, uint32_t layout) {
    mmla_scratch_t scratch;
    const uint32_t pairs = (pass->token_count + 1) / 2;
    mmla_turn_sums(pass, &scratch, 0);
    LLMIR_ROLLED
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        linear_prefetch(block, (uint32_t)pass->block_bytes);
        mmla_unpack(block, layout, pass->group, scratch.q);
        mmla_load_scales(block, layout, pass->group, &scratch);
        uint32_t pair = 0;
        LLMIR_ROLLED
        for (; pair + 2 <= pairs; pair += 2) {
            mmla_tokens(pass, layout, g, pair, 2, &scratch);
        }
        if (pair < pairs) {
            mmla_tokens(pass, layout, g, pair, 1, &scratch);
        }
    }
    mmla_turn_sums(pass, &scratch, 1);
}

#endif /* LLMIR_CPU_LINEAR_NEON_MMLA_H */
