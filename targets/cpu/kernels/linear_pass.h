/* A pass: what a micro-kernel of the matrix product does at once. Weight panels (16 outputs each),
 * a range of their blocks, and the tokens of a tile; for each panel:
 *
 *   sums[token][16] += sum over the blocks of w * a
 *
 * Every ISA family implements linear_integer_pass(pass, layout) in its own header, or, to take
 * several panels at once, defines LINEAR_TAKES_PANELS and implements linear_integer_panels; the
 * arithmetic is fixed in linear.c. */
#ifndef LLMIR_CPU_LINEAR_PASS_H
#define LLMIR_CPU_LINEAR_PASS_H

#include <stddef.h>
#include <stdint.h>

#include "quant/activation.h"
#include "quant/quant_layout.h"
#include "targets/cpu/kernels/linear_tiles.h"
#include "targets/cpu/kernels/vec16.h"

/* A per-group number of a token, made once per tile for all its panels. */
typedef union linear_term {
    int32_t i; /* S4: -8 * sum, S8: -128 * sum: what weights stored with an offset have too much */
    float f;   /* U4: sum * scale, the factor of the minimum */
} linear_term_t;

typedef struct linear_pass {
    const uint8_t* blocks; /* weights: the first block of the range */
    size_t block_bytes;
    uint32_t block_count;
    uint32_t group;        /* columns of a block; 1 for float layouts */
    uint32_t low_offset;   /* wide activations: from a high byte to its low byte; else 0 */
    const uint8_t* rows;   /* activations: the first token's, at the first column of the range */
    const uint8_t* scales; /* of that token and the first group of the range; Q8 only */
    size_t row_bytes;      /* distance of two tokens, of rows and scales alike */
    uint32_t token_count;
    uint32_t term_stride;       /* terms between two tokens */
    const linear_term_t* terms; /* [token][term_stride]; integer layouts only */
    float* sums;                /* [token][16], 64-byte aligned */
    uint32_t panel_count;       /* that follow each other; the rest is about the first */
    size_t panel_bytes;         /* distance of two panels */
    size_t sum_stride;          /* floats between the sums of two panels */
} linear_pass_t;

LLMIR_VEC const uint8_t* linear_row(const linear_pass_t* pass, uint32_t token) {
    return pass->rows + token * pass->row_bytes;
}

LLMIR_VEC const float* linear_scales(const linear_pass_t* pass, uint32_t token) {
    return (const float*)(pass->scales + token * pass->row_bytes);
}

LLMIR_VEC const linear_term_t* linear_terms(const linear_pass_t* pass, uint32_t token) {
    return pass->terms + (size_t)token * pass->term_stride;
}

/* Asks for the weights that few tokens need 8 KiB later, some 100 ns at the speed of memory: the
 * arithmetic between two loads fills the window in which a processor sees ahead by itself. Past the
 * end of a tensor it is harmless. */
LLMIR_VEC void linear_prefetch(const uint8_t* blocks, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch(blocks + i + 8192);
    }
}

/* Where the binary16 scales of a block begin. */
LLMIR_VEC uint32_t linear_scale_offset(uint32_t layout, uint32_t group) {
    return layout == LLMIR_LAYOUT_PANEL_S8 ? group * LLMIR_PANEL_ROWS
                                           : group / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES;
}

#endif /* LLMIR_CPU_LINEAR_PASS_H */
