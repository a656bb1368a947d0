/* The reference quantizer of activation rows (quant/activation.h draws the row). Kernels that
 * quantize on the way are tested against it bit by bit; it also serves tests of the products. */
#ifndef LLMIR_QUANT_QUANT_ACTIVATION_H
#define LLMIR_QUANT_QUANT_ACTIVATION_H

#include <stdint.h>

#include "quant/activation.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Quantizes a row to Q8.
 *   values   [columns]; NaN gives -127; a group with an infinity has an infinite scale
 *   group    divides columns
 *   out_row  llmir_q8_row_bytes(columns, group) bytes, 4-byte aligned; padding is left as it is */
void llmir_q8_quantize_row(const float* values, uint32_t columns, uint32_t group, uint8_t* out_row);

/* Quantizes a row to a wide Q8 row of llmir_q8_row_bytes(2 * columns, group) bytes; otherwise as
 * above. */
void llmir_q8_quantize_row_wide(const float* values,
                                uint32_t columns,
                                uint32_t group,
                                uint8_t* out_row);

/* Real values of a Q8 row: q * scale. */
void llmir_q8_dequantize_row(const uint8_t* row,
                             uint32_t columns,
                             uint32_t group,
                             float* out_values);

#ifdef __cplusplus
}
#endif

#endif /* LLMIR_QUANT_QUANT_ACTIVATION_H */
