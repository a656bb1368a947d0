/* Quantizers without calibration data: round to nearest, with a search for the scale.
 *
 * S8 takes the scale from the largest magnitude. S4 and U4 try several scales (U4: and ranges),
 * refit scale and minimum by least squares, and keep what has the smallest squared error after
 * the scale has been rounded to binary16, so the result is never worse than plain rounding. The
 * same input gives the same bytes everywhere. NaN counts as 0, infinities as the largest finite
 * value. */
#ifndef LLMIR_QUANT_RTN_H
#define LLMIR_QUANT_RTN_H

#include <stdint.h>

#include "quant/quant_pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What llmir_matrix_set_integer_row takes; memory of the caller. */
typedef struct llmir_quantized_row {
    int8_t* q;        /* [columns] 0 .. 15 (S4, U4) or -127 .. 127 (S8) */
    uint16_t* scales; /* [columns / group] binary16 */
    uint16_t* mins;   /* [columns / group] binary16; written for U4 only, may be NULL otherwise */
} llmir_quantized_row_t;

/* Quantizes a row for an integer panel layout. A row may be cut anywhere between groups, so parts
 * can run on several threads.
 *   layout   PANEL_S4, PANEL_U4 or PANEL_S8
 *   group    llmir_group_is_valid
 *   columns  a multiple of group
 *   values   [columns] */
void llmir_rtn_quantize_row(uint32_t layout,
                            uint32_t group,
                            uint32_t columns,
                            const float* values,
                            const llmir_quantized_row_t* out_row);

#ifdef __cplusplus
}
#endif

#endif /* LLMIR_QUANT_RTN_H */
