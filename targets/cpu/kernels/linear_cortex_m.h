/* Integer matrix products for Cortex-M: what its two instruction sets, the DSP extension (M4, M7;
 * linear_dsp.h) and Helium (M55, linear_helium.h), share. They make the sixteen exact dot products
 * of a block and add them to the sums as linear.c says; with the fused multiply-add of these
 * processors the bits are those of linear_plain.h and of every other level that has one. */
#ifndef LLMIR_CPU_LINEAR_CORTEX_M_H
#define LLMIR_CPU_LINEAR_CORTEX_M_H

#include "targets/cpu/kernels/linear_pass.h"

/* A block of one token, as the two see it. */
typedef struct linear_block {
    uint32_t layout;
    uint32_t group;
    uint32_t low_offset; /* wide activations: from a high byte to its low byte; else 0 */
    const uint8_t* weights;
    const int8_t* activations;
    int32_t dots[LLMIR_PANEL_ROWS]; /* the result; S4: of the nibbles as they are, 0 .. 15 */
} linear_block_t;

/* Implemented for each set: the dot products of a block; the float part of a block for a token. */
LLMIR_VEC void cortex_m_dots(linear_block_t* block);
LLMIR_VEC void cortex_m_add(const int32_t* dots,
                            const uint16_t* scales,
                            float token_scale,
                            float* sums);
LLMIR_VEC void cortex_m_add_minima(const uint16_t* minima, float term, float* sums);

LLMIR_OUTLINE void cortex_m_step(const linear_pass_t* pass,
                                 linear_block_t* block,
                                 uint32_t token,
                                 uint32_t g) {
    const uint32_t layout = block->layout;
    const uint16_t* d =
        (const uint16_t*)(block->weights + linear_scale_offset(layout, pass->group));
    float* sums = pass->sums + token * LLMIR_PANEL_ROWS;
    block->activations = (const int8_t*)linear_row(pass, token) + g * pass->group;
    cortex_m_dots(block);
    if (layout == LLMIR_LAYOUT_PANEL_S4) {
        const int32_t offset = linear_terms(pass, token)[g].i; /* -8 * the sum of activations */
        for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
            block->dots[row] += offset;
        }
    }
    cortex_m_add(block->dots, d, linear_scales(pass, token)[g], sums);
    if (layout == LLMIR_LAYOUT_PANEL_U4) {
        cortex_m_add_minima(d + LLMIR_PANEL_ROWS, linear_terms(pass, token)[g].f, sums);
    }
}

LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    linear_block_t block;
    block.layout = layout;
    block.group = pass->group;
    block.low_offset = pass->low_offset;
    block.weights = pass->blocks;
    for (uint32_t g = 0; g < pass->block_count; g++, block.weights += pass->block_bytes) {
        for (uint32_t token = 0; token < pass->token_count; token++) {
            cortex_m_step(pass, &block, token, g);
        }
    }
}

#endif /* LLMIR_CPU_LINEAR_CORTEX_M_H */
