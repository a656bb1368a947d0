/* Integer matrix products in plain C: the level of processors without a family of their own, and
 * the reference that the others equal bit by bit. */
#ifndef LLMIR_CPU_LINEAR_PLAIN_H
#define LLMIR_CPU_LINEAR_PLAIN_H

#include "targets/cpu/kernels/linear_pass.h"

/* dots[row] = integer dot product of a block with 32 columns of activations per nibble chunk. */
LLMIR_VEC void plain_dot_nibbles(const uint8_t* chunk,
                                 const int8_t* a,
                                 int32_t offset,
                                 int32_t dots[16]) {
    for (uint32_t quad = 0; quad < 4; quad++) {
        for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
            for (uint32_t j = 0; j < 4; j++) {
                const uint32_t byte = chunk[quad * 64 + row * 4 + j];
                dots[row] += ((int32_t)(byte & 15u) - offset) * a[quad * 4 + j];
                dots[row] += ((int32_t)(byte >> 4) - offset) * a[quad * 4 + j + 16];
            }
        }
    }
}

LLMIR_VEC void plain_dot_bytes(const int8_t* block,
                               const int8_t* a,
                               uint32_t group,
                               int32_t dots[16]) {
    for (uint32_t quad = 0; quad < group / 4; quad++) {
        for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
            for (uint32_t j = 0; j < 4; j++) {
                dots[row] += block[quad * 64 + row * 4 + j] * a[quad * 4 + j];
            }
        }
    }
}

/* dots[row] += integer dot product of a block with the activations at `a`. */
LLMIR_VEC void plain_dot(const linear_pass_t* pass,
                         uint32_t layout,
                         const uint8_t* block,
                         const int8_t* a,
                         int32_t dots[16]) {
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        plain_dot_bytes((const int8_t*)block, a, pass->group, dots);
        return;
    }
    for (uint32_t c = 0; c < pass->group / LLMIR_CHUNK_COLUMNS; c++) {
        plain_dot_nibbles(block + c * LLMIR_CHUNK_BYTES, a + c * LLMIR_CHUNK_COLUMNS,
                          layout == LLMIR_LAYOUT_PANEL_S4 ? 8 : 0, dots);
    }
}

/* One block and one token: the group step of the contract. */
LLMIR_VEC void plain_step(
    const linear_pass_t* pass, uint32_t layout, const uint8_t* block, uint32_t token, uint32_t g) {
    const int8_t* a = (const int8_t*)linear_row(pass, token) + g * pass->group;
    const uint32_t halves = pass->low_offset != 0 ? 2 : 1;
    int32_t dots[16] = {0};
    LLMIR_ROLLED
    for (uint32_t half = 0; half < halves; half++, a += pass->low_offset) {
        for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
            dots[row] *= 256; /* the high bytes */
        }
        plain_dot(pass, layout, block, a, dots);
    }
    float converted[16];
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
        converted[row] = (float)dots[row];
    }
    const uint16_t* d = (const uint16_t*)(block + linear_scale_offset(layout, pass->group));
    float* sums = pass->sums + token * LLMIR_PANEL_ROWS;
    const v16f scale = v16_set1(linear_scales(pass, token)[g]);
    v16f acc = v16_fma(v16_mul(v16_load(converted), v16_load_f16(d)), scale, v16_load(sums));
    if (layout == LLMIR_LAYOUT_PANEL_U4) {
        acc = v16_fma(v16_load_f16(d + 16), v16_set1(linear_terms(pass, token)[g].f), acc);
    }
    v16_store(sums, acc);
}

LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    for (uint32_t g = 0; g < pass->block_count; g++) {
        for (uint32_t token = 0; token < pass->token_count; token++) {
            plain_step(pass, layout, pass->blocks + g * pass->block_bytes, token, g);
        }
    }
}

#endif /* LLMIR_CPU_LINEAR_PLAIN_H */
