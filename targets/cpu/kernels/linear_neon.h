/* Integer matrix products with NEON. A register holds 4 rows x 4 columns of weights, as the panel
 * does; a panel of 16 rows is 4 registers, called quarters. What multiplies bytes depends on the
 * level, in a header each:
 *
 *   AArch64, ARMv7   widening multiplications    linear_neon_mul.h
 *   + dotprod        sdot, 4 rows at once        linear_neon_dot.h
 *   + i8mm           smmla, 2 rows x 2 tokens    linear_neon_mmla.h; one token alone: sdot
 *
 * Many tokens: the weights of a group are unpacked to signed bytes once (S4: q - 8) and wait in the
 * scratch (L1 cache), in the order of PANEL_S8, whose own blocks are taken as they are:
 *
 *   q  | quad 0: quarter 0 .. 3 | quad 1 | ... | quad G / 4 - 1 |     a quad is 4 columns
 *
 * NEON_LANES tokens at a time share each load of them. The dots of a group stay in registers; for
 * wide activations those of the high bytes, times 256, are where those of the low bytes start. The
 * f32 sums wait in the L1 cache between two groups.
 *
 * One token: nibbles are multiplied as they are, 0 .. 15, right where they are unpacked; S4 adds
 * its term, -8 times the sum of the activations. Sums stay in registers, and the panel is read once
 * from front to back. */
#ifndef LLMIR_CPU_LINEAR_NEON_H
#define LLMIR_CPU_LINEAR_NEON_H

#include "targets/cpu/kernels/linear_neon_block.h"

#if defined(__ARM_FEATURE_DOTPROD)
#include "targets/cpu/kernels/linear_neon_dot.h"
#else
#include "targets/cpu/kernels/linear_neon_mul.h"
#endif

/* The float part of the contract: dots of one token's group into its sums. */
LLMIR_VEC v16f neon_finish(uint32_t layout,
                           const neon_scales_t* scales,
                           float scale,
                           const linear_term_t* term,
                           v16i dots,
                           v16f acc) {
    acc = v16_fma(v16_mul(v16i_to_f32(dots), scales->d), v16_set1(scale), acc);
    return layout == LLMIR_LAYOUT_PANEL_U4 ? v16_fma(scales->m, v16_set1(term->f), acc) : acc;
}

/* From the dots of the high bytes to where those of the low bytes start. */
LLMIR_VEC v16i neon_shift(v16i dots) {
    LLMIR_UNROLLED
    for (int v = 0; v < 4; v++) {
        dots.r[v] = vshlq_n_s32(dots.r[v], 8);
    }
    return dots;
}

/* ---- Many tokens ---- */

#if defined(__ARM_FEATURE_MATMUL_INT8)
#include "targets/cpu/kernels/linear_neon_mmla.h"
#else

/* The nibbles of a group as signed bytes in the order of PANEL_S8. */
LLMIR_VEC void neon_unpack(const uint8_t* chunk, uint32_t layout, uint32_t group, int8_t* out) {
    const int8x16_t zero = vdupq_n_s8(layout == LLMIR_LAYOUT_PANEL_S4 ? 8 : 0);
    LLMIR_ROLLED
    for (uint32_t column = 0; column < group; column += LLMIR_CHUNK_COLUMNS) {
        LLMIR_ROLLED
        for (uint32_t i = 0; i < LLMIR_CHUNK_BYTES; i += 16) {
            const neon_nibbles_t x = neon_nibbles(chunk + i);
            vst1q_s8(out + i, vsubq_s8(x.low, zero));
            vst1q_s8(out + LLMIR_CHUNK_BYTES + i, vsubq_s8(x.high, zero));
        }
        chunk += LLMIR_CHUNK_BYTES;
        out += 2 * LLMIR_CHUNK_BYTES;
    }
}

/* Group g of `lanes` tokens from `token` on. */
LLMIR_VEC void neon_tokens(const linear_pass_t* pass,
                           uint32_t layout,
                           const int8_t* q,
                           const neon_scales_t* scales,
                           uint32_t g,
                           uint32_t token,
                           const uint32_t lanes) {
    const int8_t* a = (const int8_t*)linear_row(pass, token) + (size_t)g * pass->group;
    v16i dots[NEON_LANES];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        dots[lane] = v16i_zero();
    }
    if (pass->low_offset != 0) {
        neon_columns(pass, layout, q, a, lanes, dots);
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < lanes; lane++) {
            dots[lane] = neon_shift(dots[lane]);
        }
    }
    neon_columns(pass, layout, q, a + pass->low_offset, lanes, dots);
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        float* sums = pass->sums + (token + lane) * LLMIR_PANEL_ROWS;
        v16_store(sums,
                  neon_finish(layout, scales, linear_scales(pass, token + lane)[g],
                              linear_terms(pass, token + lane) + g, dots[lane], v16_load(sums)));
    }
}

LLMIR_VEC void neon_many_tokens(const linear_pass_t* pass, uint32_t layout) {
    _Alignas(16) int8_t scratch[NEON_SCRATCH_BYTES];
    LLMIR_ROLLED
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        const int8_t* q = (const int8_t*)block;
        linear_prefetch(block, (uint32_t)pass->block_bytes);
        if (layout != LLMIR_LAYOUT_PANEL_S8) {
            neon_unpack(block, layout, pass->group, scratch);
            q = scratch;
        }
        const neon_scales_t scales = neon_load_scales(block, layout, pass->group);
        uint32_t token = 0;
        LLMIR_ROLLED
        for (; token + NEON_LANES <= pass->token_count; token += NEON_LANES) {
            neon_tokens(pass, layout, q, &scales, g, token, NEON_LANES);
        }
        LLMIR_ROLLED
        for (; token < pass->token_count; token++) {
            neon_tokens(pass, layout, q, &scales, g, token, 1);
        }
    }
}

#endif /* __ARM_FEATURE_MATMUL_INT8 */

/* ---- One token ---- */

LLMIR_VEC void neon_one_token(const linear_pass_t* pass, uint32_t layout) {
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const float* scales = linear_scales(pass, 0);
    const int8_t* a = (const int8_t*)pass->rows;
    v16f acc = v16_load(pass->sums);
    LLMIR_ROLLED
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        v16i dots = v16i_zero();
        v16i highs = v16i_zero();
        for (uint32_t column = 0; column < pass->group; column += LLMIR_CHUNK_COLUMNS) {
            const uint8_t* chunk = block + column / LLMIR_CHUNK_COLUMNS * chunk_bytes;
            linear_prefetch(chunk, chunk_bytes);
            if (pass->low_offset != 0) {
                highs = neon_chunk(chunk, layout, a, highs);
            }
            dots = neon_chunk(chunk, layout, a + pass->low_offset, dots);
            a += LLMIR_CHUNK_COLUMNS;
        }
        if (pass->low_offset != 0) {
            dots = v16i_add(dots, neon_shift(highs));
        }
        if (layout == LLMIR_LAYOUT_PANEL_S4) {
            const int32x4_t term = vdupq_n_s32(pass->terms[g].i);
            dots = v16i_add(dots, (v16i){{term, term, term, term}});
        }
        const neon_scales_t of_block = neon_load_scales(block, layout, pass->group);
        acc = neon_finish(layout, &of_block, scales[g], pass->terms + g, dots, acc);
    }
    v16_store(pass->sums, acc);
}

LLMIR_VEC void neon_layout_pass(const linear_pass_t* pass, uint32_t layout) {
    if (pass->token_count == 1) {
        neon_one_token(pass, layout);
    } else {
        neon_many_tokens(pass, layout);
    }
}

/* One instance per layout, with the layout a constant. */
LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_S4:
            neon_layout_pass(pass, LLMIR_LAYOUT_PANEL_S4);
            break;
        case LLMIR_LAYOUT_PANEL_U4:
            neon_layout_pass(pass, LLMIR_LAYOUT_PANEL_U4);
            break;
        default:
            neon_layout_pass(pass, LLMIR_LAYOUT_PANEL_S8);
            break;
    }
}

#endif /* LLMIR_CPU_LINEAR_NEON_H */
