/* Dot products with Helium, the M-profile vector extension: VMLADAVA multiplies sixteen pairs of
 * bytes and adds all products to one integer. Weights of a row lie in words 64 bytes apart, so a
 * gather of four words brings sixteen columns of bytes, or a chunk of thirty-two nibbles. Float
 * vectors of Helium flush subnormal numbers to zero: sums below 2^-126 are the one difference. */
#ifndef LLMIR_CPU_LINEAR_HELIUM_H
#define LLMIR_CPU_LINEAR_HELIUM_H

#include <arm_mve.h>

#include "targets/cpu/kernels/linear_cortex_m.h"

#define HELIUM_INLINE static inline __attribute__((always_inline)) /* also where size counts */

/* sum += sixteen columns; wide activations: the high bytes count into `high`. */
HELIUM_INLINE void helium_columns(
    int8x16_t weights, const int8_t* a, uint32_t low_offset, int32_t* high, int32_t* sum) {
    if (low_offset != 0) {
        *high = vmladavaq_s8(*high, weights, vldrbq_s8(a));
        a += low_offset;
    }
    *sum = vmladavaq_s8(*sum, weights, vldrbq_s8(a));
}

/* All rows of a block; `is_bytes` and whether `low` is 0 are constants. */
HELIUM_INLINE void helium_rows(linear_block_t* block, const int is_bytes, const uint32_t low) {
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), 64); /* four words of a row */
    const uint32_t columns = is_bytes ? 16 : LLMIR_CHUNK_COLUMNS;
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
        const uint8_t* w = block->weights + row * 4;
        const int8_t* a = block->activations;
        int32_t high = 0, sum = 0;
        for (uint32_t left = block->group; left != 0; left -= columns, a += columns, w += 256) {
            const uint8x16_t words =
                vreinterpretq_u8_u32(vldrwq_gather_offset_u32((const uint32_t*)w, offsets));
            if (is_bytes) {
                helium_columns(vreinterpretq_s8_u8(words), a, low, &high, &sum);
            } else {
                const uint8x16_t first = vandq_u8(words, vdupq_n_u8(15));
                const uint8x16_t second = vshrq_n_u8(words, 4);
                helium_columns(vreinterpretq_s8_u8(first), a, low, &high, &sum);
                helium_columns(vreinterpretq_s8_u8(second), a + 16, low, &high, &sum);
            }
        }
        block->dots[row] = high * 256 + sum;
    }
}

LLMIR_VEC void cortex_m_dots(linear_block_t* block) {
    const uint32_t low = block->low_offset;
    if (block->layout == LLMIR_LAYOUT_PANEL_S8) {
        if (low != 0) {
            helium_rows(block, 1, low);
        } else {
            helium_rows(block, 1, 0);
        }
    } else if (low != 0) {
        helium_rows(block, 0, low);
    } else {
        helium_rows(block, 0, 0);
    }
}

/* Four f16 as f32. The GNU assembler (2.40) writes wrong register numbers into this instruction
 * where it takes vectors: it is given as bits, VCVTB.F32.F16 Q0, Q0. */
LLMIR_VEC float32x4_t helium_load_f16(const uint16_t* from) {
#if defined(__clang__)
    return vcvtbq_f32_f16(vreinterpretq_f16_u32(vldrhq_u32(from)));
#else
    register uint32x4_t halves __asm__("q0") = vldrhq_u32(from);
    __asm__(".inst.w 0xfe3f0e01" : "+w"(halves));
    return vreinterpretq_f32_u32(halves);
#endif
}

LLMIR_VEC void cortex_m_add(const int32_t* dots,
                            const uint16_t* scales,
                            float token_scale,
                            float* sums) {
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row += 4) {
        const float32x4_t product =
            vmulq_f32(vcvtq_f32_s32(vldrwq_s32(dots + row)), helium_load_f16(scales + row));
        vstrwq_f32(sums + row, vfmaq_n_f32(vldrwq_f32(sums + row), product, token_scale));
    }
}

LLMIR_VEC void cortex_m_add_minima(const uint16_t* minima, float term, float* sums) {
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row += 4) {
        vstrwq_f32(sums + row,
                   vfmaq_n_f32(vldrwq_f32(sums + row), helium_load_f16(minima + row), term));
    }
}

#endif /* LLMIR_CPU_LINEAR_HELIUM_H */
