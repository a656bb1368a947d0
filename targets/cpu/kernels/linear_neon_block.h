/* A block of a weight panel in NEON registers: its scales, and nibbles as bytes. */
#ifndef LLMIR_CPU_LINEAR_NEON_BLOCK_H
#define LLMIR_CPU_LINEAR_NEON_BLOCK_H

#include <arm_neon.h>

#include "targets/cpu/kernels/linear_pass.h"

#define NEON_SCRATCH_BYTES (LLMIR_MAX_GROUP * LLMIR_PANEL_ROWS)

/* Scales of 16 rows; minima for U4. */
typedef struct neon_scales {
    v16f d;
    v16f m;
} neon_scales_t;

LLMIR_VEC neon_scales_t neon_load_scales(const uint8_t* block, uint32_t layout, uint32_t group) {
    const uint16_t* d = (const uint16_t*)(block + linear_scale_offset(layout, group));
    const v16f scales = v16_load_f16(d);
    return (neon_scales_t){scales, layout == LLMIR_LAYOUT_PANEL_U4 ? v16_load_f16(d + 16) : scales};
}

/* The nibbles of 16 bytes as bytes. */
typedef struct neon_nibbles {
    int8x16_t low;
    int8x16_t high;
} neon_nibbles_t;

LLMIR_VEC neon_nibbles_t neon_nibbles(const uint8_t* p) {
    const uint8x16_t x = vld1q_u8(p);
    return (neon_nibbles_t){vreinterpretq_s8_u8(vandq_u8(x, vdupq_n_u8(15))),
                            vreinterpretq_s8_u8(vshrq_n_u8(x, 4))};
}

#endif /* LLMIR_CPU_LINEAR_NEON_BLOCK_H */
