/* Integer matrix products with the RISC-V vector extension. A register of bytes holds one column of
 * the panel's 16 rows, and vwmacc.vx multiplies it by one activation, a scalar, into 16-bit lanes;
 * the sums are widened before they overflow:
 *
 *   nibbles   at most 15 * 127 = 1905: 16 columns, 30480, fit 16 bits
 *   bytes     at most 128 * 127 = 16256: 2 columns, 32512, fit
 *
 * Sixteen lanes are one register of 128 bits for bytes, two for words and four for 32 bits; longer
 * registers are filled in part, so that one code runs on all processors.
 *
 * Many tokens: the weights of a group are laid out column by column in the scratch (L1 cache), as
 * signed bytes (S4: q - 8), and four tokens at a time share each load of them:
 *
 *   q  | column 0: row 0 .. 15 | column 1 | ...           a segment load takes 4 columns of a quad
 *
 *   registers: 4 tokens x (4 dots + 2 words) = 24, 1 weights, which leaves 7
 *
 * One token: nibbles 0 .. 15 are multiplied where they are unpacked, and S4 adds its term. */
#ifndef LLMIR_CPU_LINEAR_RVV_H
#define LLMIR_CPU_LINEAR_RVV_H

#include <riscv_vector.h>

#include "targets/cpu/kernels/linear_pass.h"

#define RVV_LANES 4u
#define RVV_ROWS ((size_t)LLMIR_PANEL_ROWS) /* lanes of every operation */

/* A group of the panel for many tokens. */
typedef struct rvv_scratch {
    int8_t q[LLMIR_MAX_GROUP * LLMIR_PANEL_ROWS];
    float d[LLMIR_PANEL_ROWS];
    float m[LLMIR_PANEL_ROWS];
} rvv_scratch_t;

/* Column j of a quad that was loaded as a segment. */
#define RVV_COLUMN(quad, j) __riscv_vget_v_u8m1x4_u8m1(quad, j)

LLMIR_VEC vint8m1_t rvv_low(vuint8m1_t x) {
    return __riscv_vreinterpret_v_u8m1_i8m1(__riscv_vand_vx_u8m1(x, 15, RVV_ROWS));
}
LLMIR_VEC vint8m1_t rvv_high(vuint8m1_t x) {
    return __riscv_vreinterpret_v_u8m1_i8m1(__riscv_vsrl_vx_u8m1(x, 4, RVV_ROWS));
}
LLMIR_VEC vint8m1_t rvv_signed(vuint8m1_t x) {
    return __riscv_vreinterpret_v_u8m1_i8m1(x);
}
LLMIR_VEC vint16m2_t rvv_mul(vint8m1_t w, int8_t a) {
    return __riscv_vwmul_vx_i16m2(w, a, RVV_ROWS);
}
LLMIR_VEC vint16m2_t rvv_mul_add(vint16m2_t sum, vint8m1_t w, int8_t a) {
    return __riscv_vwmacc_vx_i16m2(sum, a, w, RVV_ROWS);
}
LLMIR_VEC vint32m4_t rvv_widen_add(vint32m4_t dots, vint16m2_t words) {
    return __riscv_vwadd_wv_i32m4(dots, words, RVV_ROWS);
}
LLMIR_VEC vint32m4_t rvv_zero(void) {
    return __riscv_vmv_v_x_i32m4(0, RVV_ROWS);
}
/* From the dots of the high bytes to where those of the low bytes start. */
LLMIR_VEC vint32m4_t rvv_shift(vint32m4_t dots) {
    return __riscv_vsll_vx_i32m4(dots, 8, RVV_ROWS);
}

/* The float part of the contract: dots of one token's group into its sums. */
LLMIR_VEC void rvv_finish(uint32_t layout,
                          const float* d,
                          const float* m,
                          float scale,
                          const linear_term_t* term,
                          vint32m4_t dots,
                          float* sums) {
    const vfloat32m4_t dot = __riscv_vfcvt_f_x_v_f32m4(dots, RVV_ROWS);
    const vfloat32m4_t p =
        __riscv_vfmul_vv_f32m4(dot, __riscv_vle32_v_f32m4(d, RVV_ROWS), RVV_ROWS);
    vfloat32m4_t acc = __riscv_vle32_v_f32m4(sums, RVV_ROWS);
    acc = __riscv_vfmacc_vf_f32m4(acc, scale, p, RVV_ROWS);
    if (layout == LLMIR_LAYOUT_PANEL_U4) {
        acc = __riscv_vfmacc_vf_f32m4(acc, term->f, __riscv_vle32_v_f32m4(m, RVV_ROWS), RVV_ROWS);
    }
    __riscv_vse32_v_f32m4(sums, acc, RVV_ROWS);
}

LLMIR_VEC void rvv_load_scales(
    const uint8_t* block, uint32_t layout, uint32_t group, float* d, float* m) {
    const uint16_t* scales = (const uint16_t*)(block + linear_scale_offset(layout, group));
    v16_store(d, v16_load_f16(scales));
    if (layout == LLMIR_LAYOUT_PANEL_U4) {
        v16_store(m, v16_load_f16(scales + 16));
    }
}

/* ---- Many tokens ---- */

/* One column of nibbles at `out` and the one 16 columns behind it. */
LLMIR_VEC void rvv_unpack_column(vuint8m1_t x, int8_t zero, int8_t* out) {
    __riscv_vse8_v_i8m1(out, __riscv_vsub_vx_i8m1(rvv_low(x), zero, RVV_ROWS), RVV_ROWS);
    __riscv_vse8_v_i8m1(out + 256, __riscv_vsub_vx_i8m1(rvv_high(x), zero, RVV_ROWS), RVV_ROWS);
}

LLMIR_VEC void rvv_unpack(const uint8_t* block, uint32_t layout, uint32_t group, int8_t* out) {
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        LLMIR_ROLLED
        for (uint32_t i = 0; i < group * 16; i += 64) {
            const vuint8m1x4_t quad = __riscv_vlseg4e8_v_u8m1x4(block + i, RVV_ROWS);
            __riscv_vse8_v_i8m1(out + i, rvv_signed(RVV_COLUMN(quad, 0)), RVV_ROWS);
            __riscv_vse8_v_i8m1(out + i + 16, rvv_signed(RVV_COLUMN(quad, 1)), RVV_ROWS);
            __riscv_vse8_v_i8m1(out + i + 32, rvv_signed(RVV_COLUMN(quad, 2)), RVV_ROWS);
            __riscv_vse8_v_i8m1(out + i + 48, rvv_signed(RVV_COLUMN(quad, 3)), RVV_ROWS);
        }
        return;
    }
    const int8_t zero = layout == LLMIR_LAYOUT_PANEL_S4 ? 8 : 0;
    LLMIR_ROLLED
    for (uint32_t i = 0; i < group * 8; i += 64) {
        const vuint8m1x4_t quad = __riscv_vlseg4e8_v_u8m1x4(block + i, RVV_ROWS);
        int8_t* low = out + i / 256 * 512 + i % 256;
        rvv_unpack_column(RVV_COLUMN(quad, 0), zero, low);
        rvv_unpack_column(RVV_COLUMN(quad, 1), zero, low + 16);
        rvv_unpack_column(RVV_COLUMN(quad, 2), zero, low + 32);
        rvv_unpack_column(RVV_COLUMN(quad, 3), zero, low + 48);
    }
}

/* Vectors have no arrays; these stand for the four tokens of x0 .. x3. */
#define RVV_EACH(X) X(0) X(1) X(2) X(3)

/* Group g of RVV_LANES tokens from `token` on; where there are fewer, the last one stands for those
 * that are missing. */
LLMIR_VEC void rvv_tokens(const linear_pass_t* pass,
                          uint32_t layout,
                          const rvv_scratch_t* scratch,
                          uint32_t g,
                          uint32_t token) {
    const uint32_t step = layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 16; /* columns that fit 16 bits */
    const uint32_t last = pass->token_count - 1;
    uint32_t halves = pass->low_offset != 0 ? 2 : 1;
    size_t offset = (size_t)g * pass->group;
#define RVV_START(t)                                                   \
    const uint32_t token##t = token + (t) < last ? token + (t) : last; \
    vint32m4_t dots##t = rvv_zero();
#define RVV_FIRST(t)                                                                  \
    const int8_t* a##t = (const int8_t*)linear_row(pass, token##t) + offset + column; \
    vint16m2_t words##t = rvv_mul(w0, a##t[0]);
#define RVV_NEXT(t) words##t = rvv_mul_add(words##t, w, a##t[i]);
#define RVV_WIDEN(t) dots##t = rvv_widen_add(dots##t, words##t);
#define RVV_SHIFT(t) dots##t = rvv_shift(dots##t);
#define RVV_FINISH(t)                                                                       \
    if ((t) <= last - token) {                                                              \
        rvv_finish(layout, scratch->d, scratch->m, linear_scales(pass, token##t)[g],        \
                   linear_terms(pass, token##t) + g, dots##t, pass->sums + token##t * 16u); \
    }
    RVV_EACH(RVV_START)
    for (; halves != 0; halves--, offset += pass->low_offset) {
        RVV_EACH(RVV_SHIFT)
        LLMIR_ROLLED
        for (uint32_t column = 0; column < pass->group; column += step) {
            const int8_t* q = scratch->q + column * LLMIR_PANEL_ROWS;
            const vint8m1_t w0 = __riscv_vle8_v_i8m1(q, RVV_ROWS);
            RVV_EACH(RVV_FIRST)
            LLMIR_UNROLLED
            for (uint32_t i = 1; i < step; i++) {
                const vint8m1_t w = __riscv_vle8_v_i8m1(q + i * LLMIR_PANEL_ROWS, RVV_ROWS);
                RVV_EACH(RVV_NEXT)
            }
            RVV_EACH(RVV_WIDEN)
        }
    }
    RVV_EACH(RVV_FINISH)
#undef RVV_START
#undef RVV_FIRST
#undef RVV_NEXT
#undef RVV_WIDEN
#undef RVV_SHIFT
#undef RVV_FINISH
}

LLMIR_VEC void rvv_many_tokens(const linear_pass_t* pass, uint32_t layout) {
    rvv_scratch_t scratch;
    LLMIR_ROLLED
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        linear_prefetch(block, (uint32_t)pass->block_bytes);
        rvv_unpack(block, layout, pass->group, scratch.q);
        rvv_load_scales(block, layout, pass->group, scratch.d, scratch.m);
        LLMIR_ROLLED
        for (uint32_t token = 0; token < pass->token_count; token += RVV_LANES) {
            rvv_tokens(pass, layout, &scratch, g, token);
        }
    }
}

#undef RVV_EACH

/* ---- One token ---- */

/* Quad `i` of a chunk of nibbles; a column's low nibbles belong to a[0 ..], the high ones to
 * a[16 ..]. */
#define RVV_NIBBLES(j)                                          \
    low = rvv_mul_add(low, rvv_low(RVV_COLUMN(quad, j)), x[j]); \
    high = rvv_mul_add(high, rvv_high(RVV_COLUMN(quad, j)), x[16 + (j)]);

LLMIR_VEC vint32m4_t rvv_nibble_chunk(const uint8_t* chunk, const int8_t* a, vint32m4_t dots) {
    vint16m2_t low = __riscv_vmv_v_x_i16m2(0, RVV_ROWS);
    vint16m2_t high = low;
    LLMIR_ROLLED /* else all columns would be unpacked first, and wait in memory */
        for (uint32_t i = 0; i < 4; i++) {
        const vuint8m1x4_t quad = __riscv_vlseg4e8_v_u8m1x4(chunk + i * 64, RVV_ROWS);
        const int8_t* x = a + i * 4;
        RVV_NIBBLES(0)
        RVV_NIBBLES(1)
        RVV_NIBBLES(2)
        RVV_NIBBLES(3)
    }
    return rvv_widen_add(rvv_widen_add(dots, low), high);
}

#undef RVV_NIBBLES

LLMIR_VEC vint32m4_t rvv_byte_chunk(const uint8_t* chunk, const int8_t* a, vint32m4_t dots) {
    LLMIR_ROLLED
    for (uint32_t i = 0; i < 8; i++) {
        const vuint8m1x4_t quad = __riscv_vlseg4e8_v_u8m1x4(chunk + i * 64, RVV_ROWS);
        const int8_t* x = a + i * 4;
        const vint16m2_t low = rvv_mul_add(rvv_mul(rvv_signed(RVV_COLUMN(quad, 0)), x[0]),
                                           rvv_signed(RVV_COLUMN(quad, 1)), x[1]);
        const vint16m2_t high = rvv_mul_add(rvv_mul(rvv_signed(RVV_COLUMN(quad, 2)), x[2]),
                                            rvv_signed(RVV_COLUMN(quad, 3)), x[3]);
        dots = rvv_widen_add(rvv_widen_add(dots, low), high);
    }
    return dots;
}

LLMIR_VEC vint32m4_t rvv_chunk(const uint8_t* chunk,
                               uint32_t layout,
                               const int8_t* a,
                               vint32m4_t dots) {
    return layout == LLMIR_LAYOUT_PANEL_S8 ? rvv_byte_chunk(chunk, a, dots)
                                           : rvv_nibble_chunk(chunk, a, dots);
}

LLMIR_VEC void rvv_one_token(const linear_pass_t* pass, uint32_t layout) {
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const float* scales = linear_scales(pass, 0);
    const int8_t* a = (const int8_t*)pass->rows;
    LLMIR_ROLLED
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        float d[LLMIR_PANEL_ROWS];
        float m[LLMIR_PANEL_ROWS];
        vint32m4_t dots = rvv_zero();
        vint32m4_t highs = dots;
        LLMIR_ROLLED
        for (uint32_t column = 0; column < pass->group; column += LLMIR_CHUNK_COLUMNS) {
            const uint8_t* chunk = block + column / LLMIR_CHUNK_COLUMNS * chunk_bytes;
            linear_prefetch(chunk, chunk_bytes);
            if (pass->low_offset != 0) {
                highs = rvv_chunk(chunk, layout, a, highs);
            }
            dots = rvv_chunk(chunk, layout, a + pass->low_offset, dots);
            a += LLMIR_CHUNK_COLUMNS;
        }
        dots = __riscv_vadd_vv_i32m4(dots, rvv_shift(highs), RVV_ROWS);
        if (layout == LLMIR_LAYOUT_PANEL_S4) {
            dots = __riscv_vadd_vx_i32m4(dots, pass->terms[g].i, RVV_ROWS);
        }
        rvv_load_scales(block, layout, pass->group, d, m);
        rvv_finish(layout, d, m, scales[g], pass->terms + g, dots, pass->sums);
    }
}

LLMIR_VEC void rvv_layout_pass(const linear_pass_t* pass, uint32_t layout) {
    if (pass->token_count == 1) {
        rvv_one_token(pass, layout);
    } else {
        rvv_many_tokens(pass, layout);
    }
}

/* One instance per layout, with the layout a constant. */
LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_S4:
            rvv_layout_pass(pass, LLMIR_LAYOUT_PANEL_S4);
            break;
        case LLMIR_LAYOUT_PANEL_U4:
            rvv_layout_pass(pass, LLMIR_LAYOUT_PANEL_U4);
            break;
        default:
            rvv_layout_pass(pass, LLMIR_LAYOUT_PANEL_S8);
            break;
    }
}

#undef RVV_COLUMN

#endif /* LLMIR_CPU_LINEAR_RVV_H */
