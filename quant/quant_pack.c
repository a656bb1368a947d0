/* Packing and unpacking; quant_layout.h draws the layouts. Every access goes through one of the
 * four position functions below. */
#include "quant/quant_pack.h"

#include <string.h>

/* Where the nibble of a column lies in a chunk of 32 columns: see PANEL_S4. */
#define CHUNK_HALF 16u /* columns in the low nibbles; the others are in the high ones */

static uint8_t* block_of(const llmir_matrix_t* matrix, uint32_t row, uint32_t block) {
    return matrix->data +
           row / LLMIR_PANEL_ROWS *
               llmir_panel_bytes(matrix->layout, matrix->group, matrix->columns) +
           (size_t)block * llmir_block_bytes(matrix->layout, matrix->group);
}

/* Bytes of a block's integers; scales, then mins follow. */
static uint32_t block_integer_bytes(const llmir_matrix_t* matrix) {
    return matrix->layout == LLMIR_LAYOUT_PANEL_S8
               ? matrix->group * LLMIR_PANEL_ROWS
               : matrix->group / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES;
}

/* Byte of (row, column in the block) of S8. */
static uint32_t byte_offset(uint32_t row, uint32_t column) {
    return column / 4 * 64 + row % LLMIR_PANEL_ROWS * 4 + column % 4;
}

/* Byte and shift of (row, column in the block) of S4 and U4. */
static uint32_t nibble_offset(uint32_t row, uint32_t column, uint32_t* out_shift) {
    const uint32_t in_chunk = column % LLMIR_CHUNK_COLUMNS;
    *out_shift = in_chunk < CHUNK_HALF ? 0 : 4;
    return column / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES +
           byte_offset(row, in_chunk % CHUNK_HALF);
}

/* binary16 or binary32 units of a float layout: index of (row, column). */
static size_t float_index(const llmir_matrix_t* matrix, uint32_t row, uint32_t column) {
    if (matrix->layout == LLMIR_LAYOUT_F32 || matrix->layout == LLMIR_LAYOUT_F16) {
        return (size_t)row * matrix->columns + column;
    }
    const size_t panel = row / LLMIR_PANEL_ROWS;
    return (panel * matrix->columns + column) * LLMIR_PANEL_ROWS + row % LLMIR_PANEL_ROWS;
}

static uint16_t load_u16(const uint8_t* bytes) {
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* ---- Writing */

void llmir_matrix_set_float_row(const llmir_matrix_t* matrix, uint32_t row, const float* values) {
    for (uint32_t column = 0; column < matrix->columns; column++) {
        const size_t index = float_index(matrix, row, column);
        const float value = values[column];
        if (matrix->layout == LLMIR_LAYOUT_F32 || matrix->layout == LLMIR_LAYOUT_PANEL_F32) {
            memcpy(matrix->data + 4 * index, &value, sizeof value);
        } else {
            const uint16_t half = matrix->layout == LLMIR_LAYOUT_PANEL_BF16
                                      ? llmir_f32_to_bf16(value)
                                      : llmir_f32_to_f16(value);
            memcpy(matrix->data + 2 * index, &half, sizeof half);
        }
    }
}

static void set_block_integers(const llmir_matrix_t* matrix,
                               uint8_t* block,
                               uint32_t row,
                               const int8_t* q) {
    for (uint32_t column = 0; column < matrix->group; column++) {
        if (matrix->layout == LLMIR_LAYOUT_PANEL_S8) {
            block[byte_offset(row, column)] = (uint8_t)q[column];
        } else {
            uint32_t shift;
            uint8_t* byte = block + nibble_offset(row, column, &shift);
            *byte = (uint8_t)((*byte & ~(0xFu << shift)) | ((uint32_t)q[column] & 0xFu) << shift);
        }
    }
}

void llmir_matrix_set_integer_row(const llmir_matrix_t* matrix,
                                  uint32_t row,
                                  const int8_t* q,
                                  const uint16_t* scales,
                                  const uint16_t* mins) {
    const uint32_t lane = row % LLMIR_PANEL_ROWS * 2;
    const uint32_t integer_bytes = block_integer_bytes(matrix);
    for (uint32_t g = 0; g < llmir_matrix_group_count(matrix); g++) {
        uint8_t* block = block_of(matrix, row, g);
        set_block_integers(matrix, block, row, q + (size_t)g * matrix->group);
        memcpy(block + integer_bytes + lane, &scales[g], sizeof scales[g]);
        if (matrix->layout == LLMIR_LAYOUT_PANEL_U4) {
            memcpy(block + integer_bytes + 32 + lane, &mins[g], sizeof mins[g]);
        }
    }
}

/* ---- Reading */

static int32_t block_integer(const llmir_matrix_t* matrix,
                             const uint8_t* block,
                             uint32_t row,
                             uint32_t column) {
    if (matrix->layout == LLMIR_LAYOUT_PANEL_S8) {
        return (int8_t)block[byte_offset(row, column)];
    }
    uint32_t shift;
    const uint32_t offset = nibble_offset(row, column, &shift);
    return block[offset] >> shift & 0xF;
}

int32_t llmir_matrix_integer_at(const llmir_matrix_t* matrix, uint32_t row, uint32_t column) {
    return block_integer(matrix, block_of(matrix, row, column / matrix->group), row,
                         column % matrix->group);
}

void llmir_matrix_get_integer_row(const llmir_matrix_t* matrix,
                                  uint32_t row,
                                  int8_t* out_q,
                                  uint16_t* out_scales,
                                  uint16_t* out_mins) {
    const uint32_t lane = row % LLMIR_PANEL_ROWS * 2;
    const uint32_t integer_bytes = block_integer_bytes(matrix);
    for (uint32_t g = 0; g < llmir_matrix_group_count(matrix); g++) {
        const uint8_t* block = block_of(matrix, row, g);
        if (out_q != NULL) {
            int8_t* q = out_q + (size_t)g * matrix->group;
            for (uint32_t column = 0; column < matrix->group; column++) {
                q[column] = (int8_t)block_integer(matrix, block, row, column);
            }
        }
        if (out_scales != NULL) {
            out_scales[g] = load_u16(block + integer_bytes + lane);
        }
        if (out_mins != NULL && matrix->layout == LLMIR_LAYOUT_PANEL_U4) {
            out_mins[g] = load_u16(block + integer_bytes + 32 + lane);
        }
    }
}

static float float_value(const llmir_matrix_t* matrix, uint32_t row, uint32_t column) {
    const size_t index = float_index(matrix, row, column);
    if (matrix->layout == LLMIR_LAYOUT_F32 || matrix->layout == LLMIR_LAYOUT_PANEL_F32) {
        float value;
        memcpy(&value, matrix->data + 4 * index, sizeof value);
        return value;
    }
    const uint16_t half = load_u16(matrix->data + 2 * index);
    return matrix->layout == LLMIR_LAYOUT_PANEL_BF16 ? llmir_bf16_to_f32(half)
                                                     : llmir_f16_to_f32(half);
}

float llmir_matrix_value_at(const llmir_matrix_t* matrix, uint32_t row, uint32_t column) {
    if (!llmir_layout_is_integer(matrix->layout)) {
        return float_value(matrix, row, column);
    }
    const uint8_t* block = block_of(matrix, row, column / matrix->group);
    const uint8_t* scales = block + block_integer_bytes(matrix) + row % LLMIR_PANEL_ROWS * 2;
    const int32_t q = block_integer(matrix, block, row, column % matrix->group);
    const float d = llmir_f16_to_f32(load_u16(scales));
    if (matrix->layout == LLMIR_LAYOUT_PANEL_U4) {
        return d * (float)q + llmir_f16_to_f32(load_u16(scales + 32));
    }
    return d * (float)(matrix->layout == LLMIR_LAYOUT_PANEL_S4 ? q - 8 : q);
}

void llmir_matrix_dequantize_row(const llmir_matrix_t* matrix, uint32_t row, float* out_values) {
    for (uint32_t column = 0; column < matrix->columns; column++) {
        out_values[column] = llmir_matrix_value_at(matrix, row, column);
    }
}
