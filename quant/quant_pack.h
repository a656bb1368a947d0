/* Writing and reading weight matrices in the layouts of quant_layout.h, row by row.
 *
 * The one place that knows where a value lies: the compiler packs with it, tests and tools read
 * with it, kernels are tested against it. Values that are already quantized (GGUF Q4_0, Q4_1, Q8_0)
 * pass through unchanged. Pure functions: nothing is allocated, checked or kept; rows may be
 * written in any order and from several threads at once, because no two rows share a byte. */
#ifndef LLMIR_QUANT_PACK_H
#define LLMIR_QUANT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "quant/half.h"
#include "quant/quant_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A matrix [rows][columns] and its memory. */
typedef struct llmir_matrix {
    uint8_t* data;    /* llmir_layout_bytes(layout, group, rows, columns) bytes, zeroed before the
                         first row is written: the rows that fill up the last panel stay zero */
    uint32_t layout;  /* llmir_layout_t: F32, F16 (row-major) or a panel layout */
    uint32_t group;   /* integer layouts: llmir_group_is_valid, divides columns; else 0 */
    uint32_t rows;    /* outputs */
    uint32_t columns; /* inputs */
} llmir_matrix_t;

/* Groups of a row; 0 for float layouts. */
static inline uint32_t llmir_matrix_group_count(const llmir_matrix_t* matrix) {
    return matrix->group == 0 ? 0 : matrix->columns / matrix->group;
}

/* Writes a row of a float layout (F32, F16, PANEL_F32, PANEL_F16, PANEL_BF16), rounded to nearest
 * even.
 *   values  [columns] */
void llmir_matrix_set_float_row(const llmir_matrix_t* matrix, uint32_t row, const float* values);

/* Writes a row of an integer layout from values that are quantized already.
 *   q       [columns] in column order: 0 .. 15 for S4 and U4, -128 .. 127 for S8
 *   scales  [columns / group] binary16 bits of d
 *   mins    [columns / group] binary16 bits of m; read for U4 only, may be NULL otherwise */
void llmir_matrix_set_integer_row(const llmir_matrix_t* matrix,
                                  uint32_t row,
                                  const int8_t* q,
                                  const uint16_t* scales,
                                  const uint16_t* mins);

/* The inverse of set_integer_row; each of the three outputs may be NULL. `out_mins` is written for
 * U4 only. */
void llmir_matrix_get_integer_row(const llmir_matrix_t* matrix,
                                  uint32_t row,
                                  int8_t* out_q,
                                  uint16_t* out_scales,
                                  uint16_t* out_mins);

/* The stored integer at (row, column) of an integer layout: 0 .. 15 or -128 .. 127. */
int32_t llmir_matrix_integer_at(const llmir_matrix_t* matrix, uint32_t row, uint32_t column);

/* The real value at (row, column) of any layout, as a kernel sees it: exact but for U4, where
 * d * q + m is rounded once. */
float llmir_matrix_value_at(const llmir_matrix_t* matrix, uint32_t row, uint32_t column);

/* Real values of a row of any layout, as value_at gives them.
 *   out_values  [columns] */
void llmir_matrix_dequantize_row(const llmir_matrix_t* matrix, uint32_t row, float* out_values);

#ifdef __cplusplus
}
#endif

#endif /* LLMIR_QUANT_PACK_H */
