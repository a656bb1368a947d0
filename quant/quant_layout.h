/* The weight layouts, each drawn once. Sizes and positions here are what compiler, kernels and
 * tests use.
 *
 * A panel holds 16 consecutive output rows of a matrix [rows][columns]; rows are padded to whole
 * panels with zeros. Panels follow each other by row; inside a panel, blocks follow each other
 * along the columns.
 *
 * Float panels (F32, F16, BF16): one block per column:   | row 0 | row 1 | ... | row 15 |
 *
 * PANEL_S4 and PANEL_U4: one block per group of G columns (llmir_group_is_valid):
 *
 *   | nibbles: G / 32 chunks of 256 bytes | d: 16 x f16 | m: 16 x f16 (U4 only) |
 *
 *   a chunk covers 32 columns c = 0..31 as 4 registers of 64 bytes; register i, row r, byte j
 * (0..3) at i * 64 + r * 4 + j low  nibble: column i * 4 + j high nibble: column i * 4 + j + 16 so
 * that one 64-byte load, masked or shifted, gives 4 consecutive columns of 16 rows: one integer dot
 * product step.
 *
 * PANEL_S8: one block per group of G columns:
 *
 *   | G / 4 registers of 64 bytes: column i * 4 + j of row r at i * 64 + r * 4 + j | d: 16 x f16 |
 *
 * Values: S4 w = d * (q - 8); U4 w = d * q + m; S8 w = d * q. d and m are IEEE binary16, products
 * are exact in binary32. */
#ifndef LLMIR_QUANT_LAYOUT_H
#define LLMIR_QUANT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "llmir_bundle.h"

#define LLMIR_PANEL_ROWS 16u
#define LLMIR_CHUNK_COLUMNS 32u /* columns of one nibble chunk; every group is a multiple */
#define LLMIR_CHUNK_BYTES 256u
#define LLMIR_MAX_GROUP 256u
#define LLMIR_GROUPS "32, 64, 128 or 256" /* for messages */

/* Whether so many columns may share a scale. The dot of a group of bytes must stay below 2^22
 * (targets/cpu/kernels/linear_vnni.h): 128 * 127 * 256 does. */
static inline int llmir_group_is_valid(uint64_t group) {
    return group == 32u || group == 64u || group == 128u || group == LLMIR_MAX_GROUP;
}

static inline uint32_t llmir_panel_count(uint32_t rows) {
    return rows / LLMIR_PANEL_ROWS + (rows % LLMIR_PANEL_ROWS != 0);
}

/* Whether the layout is one of 4- or 8-bit integers, whose activations are Q8 rows. */
static inline int llmir_layout_is_integer(uint32_t layout) {
    return layout == LLMIR_LAYOUT_PANEL_S4 || layout == LLMIR_LAYOUT_PANEL_U4 ||
           layout == LLMIR_LAYOUT_PANEL_S8;
}

/* Bytes of a block of `group` columns (float panels: of one column). */
static inline uint32_t llmir_block_bytes(uint32_t layout, uint32_t group) {
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_F32:
            return 64u;
        case LLMIR_LAYOUT_PANEL_F16:
        case LLMIR_LAYOUT_PANEL_BF16:
            return 32u;
        case LLMIR_LAYOUT_PANEL_S4:
            return group / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES + 32u;
        case LLMIR_LAYOUT_PANEL_U4:
            return group / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES + 64u;
        case LLMIR_LAYOUT_PANEL_S8:
            return group * LLMIR_PANEL_ROWS + 32u;
        default:
            return 0u;
    }
}

/* Bytes of a panel with `columns` columns, a multiple of `group` for integer layouts. */
static inline size_t llmir_panel_bytes(uint32_t layout, uint32_t group, uint32_t columns) {
    return (size_t)llmir_block_bytes(layout, group) *
           (llmir_layout_is_integer(layout) ? columns / group : columns);
}

/* Bytes of a whole tensor of `rows` x `columns` (row-major layouts: any rank folded into rows). */
static inline uint64_t llmir_layout_bytes(uint32_t layout,
                                          uint32_t group,
                                          uint32_t rows,
                                          uint32_t columns) {
    if (layout == LLMIR_LAYOUT_F32) {
        return 4ull * rows * columns;
    }
    if (layout == LLMIR_LAYOUT_F16) {
        return 2ull * rows * columns;
    }
    return (uint64_t)llmir_panel_count(rows) * llmir_panel_bytes(layout, group, columns);
}

#endif /* LLMIR_QUANT_LAYOUT_H */
