/* Dot products with the DSP extension of Armv7E-M: SMLAD multiplies two pairs of 16-bit integers
 * and adds both products to a third. Activations of a block are widened once for all sixteen rows,
 * in the order in which masks (nibbles) and SXTB16 (bytes) bring the weights of a word:
 *
 *   bytes      columns 4i + 0 and 2 | 1 and 3
 *   nibbles    the same of the low nibbles | of the high ones, 16 columns further
 *
 * Wide activations are 16-bit integers anyway, and cost nothing more. */
#ifndef LLMIR_CPU_LINEAR_DSP_H
#define LLMIR_CPU_LINEAR_DSP_H

#include <arm_acle.h>

#include "targets/cpu/kernels/linear_cortex_m.h"

LLMIR_VEC uint32_t dsp_word(const uint8_t* from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

/* The bytes 1 and 3 of a word, widened. */
LLMIR_VEC uint32_t dsp_odd(uint32_t word) {
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

/* Four columns as the pairs (0, 2) and (1, 3). */
LLMIR_VEC void dsp_make_two_pairs(const int8_t* a, uint32_t low_offset, uint32_t* pairs) {
    const uint32_t word = dsp_word((const uint8_t*)a);
    if (low_offset != 0) { /* 256 * high + low */
        const uint32_t low = dsp_word((const uint8_t*)a + low_offset);
        pairs[0] = __sadd16((word & 0x00FF00FFu) << 8, __sxtb16(low));
        pairs[1] = __sadd16(word & 0xFF00FF00u, dsp_odd(low));
    } else {
        pairs[0] = __sxtb16(word);
        pairs[1] = dsp_odd(word);
    }
}

LLMIR_OUTLINE void dsp_make_pairs(const linear_block_t* block, uint32_t* pairs) {
    const uint32_t low_offset = block->low_offset;
    const int8_t* a = block->activations;
    const int8_t* end = a + block->group;
    if (block->layout == LLMIR_LAYOUT_PANEL_S8) {
        for (; a < end; a += 4, pairs += 2) {
            dsp_make_two_pairs(a, low_offset, pairs);
        }
        return;
    }
    for (; a < end; a += 16) {
        for (const int8_t* next = a + 16; a < next; a += 4, pairs += 4) {
            dsp_make_two_pairs(a, low_offset, pairs);
            dsp_make_two_pairs(a + 16, low_offset, pairs + 2);
        }
    }
}

LLMIR_VEC int32_t dsp_bytes(uint32_t word, const uint32_t* pairs, int32_t sum) {
    sum = __smlad(__sxtb16(word), pairs[0], sum);
    return __smlad(dsp_odd(word), pairs[1], sum);
}

LLMIR_VEC int32_t dsp_nibbles(uint32_t word, const uint32_t* pairs, int32_t sum) {
    const uint32_t mask = 0x000F000Fu;
    sum = __smlad((word & mask), pairs[0], sum);
    sum = __smlad((word >> 8 & mask), pairs[1], sum);
    sum = __smlad((word >> 4 & mask), pairs[2], sum);
    return __smlad((word >> 12 & mask), pairs[3], sum);
}

LLMIR_VEC void cortex_m_dots(linear_block_t* block) {
    uint32_t pairs[LLMIR_MAX_GROUP / 2];
    const int is_bytes = block->layout == LLMIR_LAYOUT_PANEL_S8;
    const uint32_t words = is_bytes ? block->group / 4 : block->group / 8; /* of a row */
    dsp_make_pairs(block, pairs);
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row += 4) {
        const uint8_t* w = block->weights + row * 4;
        const uint32_t* a = pairs;
        int32_t d0 = 0, d1 = 0, d2 = 0, d3 = 0;
        if (is_bytes) {
            for (uint32_t i = 0; i < words; i++, w += 64, a += 2) {
                d0 = dsp_bytes(dsp_word(w), a, d0);
                d1 = dsp_bytes(dsp_word(w + 4), a, d1);
                d2 = dsp_bytes(dsp_word(w + 8), a, d2);
                d3 = dsp_bytes(dsp_word(w + 12), a, d3);
            }
        } else {
            for (uint32_t i = 0; i < words; i++, w += 64, a += 4) {
                d0 = dsp_nibbles(dsp_word(w), a, d0);
                d1 = dsp_nibbles(dsp_word(w + 4), a, d1);
                d2 = dsp_nibbles(dsp_word(w + 8), a, d2);
                d3 = dsp_nibbles(dsp_word(w + 12), a, d3);
            }
        }
        block->dots[row] = d0;
        block->dots[row + 1] = d1;
        block->dots[row + 2] = d2;
        block->dots[row + 3] = d3;
    }
}

LLMIR_VEC void cortex_m_add(const int32_t* dots,
                            const uint16_t* scales,
                            float token_scale,
                            float* sums) {
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
        const float product = (float)dots[row] * small_from_f16(scales[row]);
        sums[row] = __builtin_fmaf(product, token_scale, sums[row]);
    }
}

LLMIR_VEC void cortex_m_add_minima(const uint16_t* minima, float term, float* sums) {
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
        sums[row] = __builtin_fmaf(small_from_f16(minima[row]), term, sums[row]);
    }
}

#endif /* LLMIR_CPU_LINEAR_DSP_H */
