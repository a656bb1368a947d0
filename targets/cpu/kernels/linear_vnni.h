/* Integer matrix products with AVX-512 VNNI: vpdpbusd adds four u8 x s8 products to each of 16
 * 32-bit lanes, one lane per row of the panel.
 *
 * The weights are made unsigned (S4, U4: the nibbles as they are; S8: + 128), and the dot product
 * starts from the token's term, -8 or -128 times the sum of its activations, so that nothing is
 * left to correct. 64 columns, two groups of 32 or a part of a wider one, are unpacked into 16
 * registers and stay there while all tokens of the tile pass by; the activations are the broadcast
 * memory operands of vpdpbusd, and the f32 sums wait in the L1 cache. Wide activations pass by
 * twice, high bytes first: their dots times 256 are where those of the low bytes start.
 *
 *   registers: 16 weights, 4 tokens x 2 halves = 8 dots (chains that cover the latency), 4 scales
 *              and minima, 2 sums, 2 products: all 32
 *
 * One token alone keeps its sums in a register and reads the panel once from front to back. */
#ifndef LLMIR_CPU_LINEAR_VNNI_H
#define LLMIR_CPU_LINEAR_VNNI_H

#include "targets/cpu/kernels/linear_pass.h"

/* Tokens side by side: groups of 32, with chains of 8 or 16 dots each, and wider ones. */
#define VNNI_LANES 4u
#define VNNI_LANES64 2u

/* What the tokens need of the weights in registers; halves are 32 columns. */
typedef struct vnni_weights {
    __m512i q[2][8]; /* [half]: quad i has columns 4 i .. 4 i + 3, as unsigned bytes */
    __m512 d[2];     /* [half] groups of 32; [0] wider groups */
    __m512 m[2];     /* U4 */
} vnni_weights_t;

/* Where the next token's data are. */
typedef struct vnni_cursor {
    const int8_t* a;
    const uint8_t* scales; /* f32 */
    const linear_term_t* terms;
    float* sums;
} vnni_cursor_t;

LLMIR_VEC vnni_cursor_t vnni_cursor_at(const linear_pass_t* pass, uint32_t g) {
    return (vnni_cursor_t){(const int8_t*)pass->rows + (size_t)g * pass->group,
                           pass->scales + (size_t)g * 4, pass->terms + g, pass->sums};
}

LLMIR_VEC void vnni_cursor_advance(const linear_pass_t* pass, vnni_cursor_t* at) {
    at->a += pass->row_bytes;
    at->scales += pass->row_bytes;
    at->terms += pass->term_stride;
    at->sums += LLMIR_PANEL_ROWS;
}

/* Unpacks 32 columns of 16 rows. A block with scales alone is 32 bytes longer than a multiple of
 * 64, so every second one is aligned to 32 only. */
LLMIR_VEC void vnni_unpack(const uint8_t* chunk, uint32_t layout, __m512i q[8]) {
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        LLMIR_UNROLLED
        for (uint32_t i = 0; i < 8; i++) {
            q[i] = _mm512_xor_si512(_mm512_loadu_si512(chunk + i * 64), _mm512_set1_epi8(-128));
        }
        return;
    }
    const __m512i mask = _mm512_set1_epi8(15);
    LLMIR_UNROLLED
    for (uint32_t i = 0; i < 4; i++) {
        const __m512i x = _mm512_loadu_si512(chunk + i * 64);
        q[i] = _mm512_and_si512(x, mask);
        q[i + 4] = _mm512_and_si512(_mm512_srli_epi16(x, 4), mask);
    }
}

/* Scales (and minima) of a block. */
LLMIR_VEC void vnni_load_scales(
    const uint8_t* block, uint32_t layout, uint32_t group, __m512* out_d, __m512* out_m) {
    const uint16_t* d = (const uint16_t*)(block + linear_scale_offset(layout, group));
    *out_d = v16_load_f16(d);
    *out_m = layout == LLMIR_LAYOUT_PANEL_U4 ? v16_load_f16(d + 16) : _mm512_setzero_ps();
}

LLMIR_VEC __m512i vnni_step(__m512i dot, __m512i q, const int8_t* a) {
    int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    return _mm512_dpbusd_epi32(dot, q, _mm512_set1_epi32(quad));
}

/* Where the dot of a group starts. */
LLMIR_VEC __m512i vnni_start(const linear_term_t* term, uint32_t layout) {
    return layout == LLMIR_LAYOUT_PANEL_U4 ? _mm512_setzero_si512() : _mm512_set1_epi32(term->i);
}

/* From the dots of the high bytes to where those of the low bytes start. */
LLMIR_VEC __m512i vnni_shift(__m512i dot) {
    return _mm512_slli_epi32(dot, 8);
}

/* Adds `halves` times 32 columns of `lanes` tokens to dots[lane][half]. */
LLMIR_VEC void vnni_columns(const vnni_weights_t* w,
                            const int8_t* a,
                            size_t row_bytes,
                            const uint32_t halves,
                            const uint32_t lanes,
                            __m512i dots[][2]) {
    LLMIR_UNROLLED
    for (uint32_t i = 0; i < 8; i++) {
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const int8_t* quad = a + lane * row_bytes + i * 4;
            LLMIR_UNROLLED
            for (uint32_t half = 0; half < halves; half++) {
                dots[lane][half] =
                    vnni_step(dots[lane][half], w->q[half][i], quad + half * LLMIR_CHUNK_COLUMNS);
            }
        }
    }
}

/* The float part of the contract for one group (half) of the token at `at`. */
LLMIR_VEC __m512 vnni_finish(uint32_t layout,
                             const vnni_weights_t* w,
                             const uint32_t half,
                             const vnni_cursor_t* at,
                             __m512i dot,
                             __m512 acc) {
    const __m512 scale = _mm512_set1_ps(((const float*)at->scales)[half]);
    acc = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dot), w->d[half]), scale, acc);
    return layout == LLMIR_LAYOUT_PANEL_U4
               ? _mm512_fmadd_ps(w->m[half], _mm512_set1_ps(at->terms[half].f), acc)
               : acc;
}

/* ---- Groups of 32 */

LLMIR_VEC void vnni_tokens32(const linear_pass_t* pass,
                             uint32_t layout,
                             const vnni_weights_t* w,
                             const uint32_t halves,
                             const uint32_t lanes,
                             vnni_cursor_t* at) {
    __m512i dots[VNNI_LANES][2];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        dots[lane][0] = dots[lane][1] = _mm512_setzero_si512();
    }
    if (pass->low_offset != 0) {
        vnni_columns(w, at->a, pass->row_bytes, halves, lanes, dots);
    }
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        LLMIR_UNROLLED
        for (uint32_t half = 0; half < halves; half++) {
            const linear_term_t* term = at->terms + lane * pass->term_stride + half;
            const __m512i start = vnni_start(term, layout);
            dots[lane][half] = pass->low_offset == 0
                                   ? start
                                   : _mm512_add_epi32(vnni_shift(dots[lane][half]), start);
        }
    }
    vnni_columns(w, at->a + pass->low_offset, pass->row_bytes, halves, lanes, dots);
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        __m512 acc = _mm512_load_ps(at->sums);
        LLMIR_UNROLLED
        for (uint32_t half = 0; half < halves; half++) {
            acc = vnni_finish(layout, w, half, at, dots[lane][half], acc);
        }
        _mm512_store_ps(at->sums, acc);
        vnni_cursor_advance(pass, at);
    }
}

/* Blocks g .. g + halves - 1, all tokens. */
LLMIR_VEC void vnni_blocks32(const linear_pass_t* pass,
                             uint32_t layout,
                             uint32_t g,
                             const uint32_t halves) {
    vnni_weights_t w;
    LLMIR_UNROLLED
    for (uint32_t half = 0; half < halves; half++) {
        const uint8_t* block = pass->blocks + (g + half) * pass->block_bytes;
        linear_prefetch(block, (uint32_t)pass->block_bytes);
        vnni_unpack(block, layout, w.q[half]);
        vnni_load_scales(block, layout, LLMIR_CHUNK_COLUMNS, &w.d[half], &w.m[half]);
    }
    vnni_cursor_t at = vnni_cursor_at(pass, g);
    uint32_t left = pass->token_count;
    LLMIR_ROLLED
    for (; halves == 2 && left >= VNNI_LANES; left -= VNNI_LANES) {
        vnni_tokens32(pass, layout, &w, halves, VNNI_LANES, &at);
    }
    LLMIR_ROLLED
    for (; left != 0; left--) {
        vnni_tokens32(pass, layout, &w, halves, 1, &at);
    }
}

/* ---- Groups of 64 and 128: steps of 64 columns, dots between steps wait in the scratch */

LLMIR_VEC void vnni_tokens64(const linear_pass_t* pass,
                             uint32_t layout,
                             const vnni_weights_t* w,
                             const uint32_t lanes,
                             int is_last_step,
                             __m512i* scratch,
                             vnni_cursor_t* at) {
    __m512i dots[VNNI_LANES64][2];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        dots[lane][0] = scratch[lane];
        dots[lane][1] = _mm512_setzero_si512();
    }
    vnni_columns(w, at->a, pass->row_bytes, 2, lanes, dots);
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const __m512i dot = _mm512_add_epi32(dots[lane][0], dots[lane][1]);
        if (!is_last_step) {
            scratch[lane] = dot;
            vnni_cursor_advance(pass, at);
            continue;
        }
        _mm512_store_ps(at->sums, vnni_finish(layout, w, 0, at, dot, _mm512_load_ps(at->sums)));
        vnni_cursor_advance(pass, at);
    }
}

/* Adds the terms of group g to 256 times what the scratch holds. */
LLMIR_VEC void vnni_start_all(const linear_pass_t* pass,
                              uint32_t layout,
                              uint32_t g,
                              __m512i scratch[LLMIR_LINEAR_TOKEN_BLOCK]) {
    LLMIR_ROLLED
    for (uint32_t t = 0; t < pass->token_count; t++) {
        scratch[t] =
            _mm512_add_epi32(vnni_shift(scratch[t]), vnni_start(linear_terms(pass, t) + g, layout));
    }
}

LLMIR_VEC void vnni_block_wide(const linear_pass_t* pass,
                               uint32_t layout,
                               uint32_t g,
                               __m512i scratch[LLMIR_LINEAR_TOKEN_BLOCK]) {
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const uint8_t* block = pass->blocks + g * pass->block_bytes;
    vnni_weights_t w;
    vnni_load_scales(block, layout, pass->group, &w.d[0], &w.m[0]);
    const uint32_t end = pass->low_offset != 0 ? 2 * pass->group : pass->group;
    LLMIR_ROLLED
    for (uint32_t t = 0; t < pass->token_count; t++) {
        scratch[t] = _mm512_setzero_si512();
    }
    LLMIR_ROLLED
    for (uint32_t step = 0; step < end; step += 64) {
        const uint32_t column = step % pass->group;
        const uint8_t* chunk = block + column / LLMIR_CHUNK_COLUMNS * chunk_bytes;
        vnni_unpack(chunk, layout, w.q[0]);
        vnni_unpack(chunk + chunk_bytes, layout, w.q[1]);
        const int is_last_step = step + 64 == end;
        vnni_cursor_t at = vnni_cursor_at(pass, g);
        at.a += column;
        if (step + pass->group == end) { /* the only bytes, or from the high ones to the low ones */
            vnni_start_all(pass, layout, g, scratch);
        }
        at.a += step + pass->group >= end ? pass->low_offset : 0;
        uint32_t t = 0;
        for (; t + VNNI_LANES64 <= pass->token_count; t += VNNI_LANES64) {
            vnni_tokens64(pass, layout, &w, VNNI_LANES64, is_last_step, scratch + t, &at);
        }
        if (t < pass->token_count) {
            vnni_tokens64(pass, layout, &w, 1, is_last_step, scratch + t, &at);
        }
    }
}

/* ---- One token */

LLMIR_VEC void vnni_one_token(const linear_pass_t* pass, uint32_t layout) {
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const int8_t* a = (const int8_t*)pass->rows;
    __m512 acc = _mm512_load_ps(pass->sums);
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        const __m512i zero = _mm512_setzero_si512();
        __m512i dots[2] = {vnni_start(pass->terms + g, layout), zero};
        __m512i highs[2] = {zero, zero};
        for (uint32_t column = 0; column < pass->group; column += LLMIR_CHUNK_COLUMNS) {
            __m512i q[8];
            const uint8_t* chunk = block + column / LLMIR_CHUNK_COLUMNS * chunk_bytes;
            linear_prefetch(chunk, chunk_bytes);
            vnni_unpack(chunk, layout, q);
            LLMIR_UNROLLED
            for (uint32_t i = 0; i < 8; i++) {
                dots[i % 2] = vnni_step(dots[i % 2], q[i], a + pass->low_offset + i * 4);
            }
            for (uint32_t i = 0; i < 8 && pass->low_offset != 0; i++) {
                highs[i % 2] = vnni_step(highs[i % 2], q[i], a + i * 4);
            }
            a += LLMIR_CHUNK_COLUMNS;
        }
        if (pass->low_offset != 0) {
            dots[1] = _mm512_add_epi32(dots[1], vnni_shift(_mm512_add_epi32(highs[0], highs[1])));
        }
        vnni_weights_t w;
        vnni_load_scales(block, layout, pass->group, &w.d[0], &w.m[0]);
        const vnni_cursor_t at = vnni_cursor_at(pass, g);
        acc = vnni_finish(layout, &w, 0, &at, _mm512_add_epi32(dots[0], dots[1]), acc);
    }
    _mm512_store_ps(pass->sums, acc);
}

LLMIR_VEC void vnni_layout_pass(const linear_pass_t* pass, uint32_t layout) {
    if (pass->token_count == 1) {
        vnni_one_token(pass, layout);
    } else if (pass->group == LLMIR_CHUNK_COLUMNS) {
        uint32_t g = 0;
        for (; g + 2 <= pass->block_count; g += 2) {
            vnni_blocks32(pass, layout, g, 2);
        }
        if (g < pass->block_count) {
            vnni_blocks32(pass, layout, g, 1);
        }
    } else {
        __m512i scratch[LLMIR_LINEAR_TOKEN_BLOCK];
        for (uint32_t g = 0; g < pass->block_count; g++) {
            vnni_block_wide(pass, layout, g, scratch);
        }
    }
}

/* One instance per layout, with the layout a constant. */
LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_S4:
            vnni_layout_pass(pass, LLMIR_LAYOUT_PANEL_S4);
            break;
        case LLMIR_LAYOUT_PANEL_U4:
            vnni_layout_pass(pass, LLMIR_LAYOUT_PANEL_U4);
            break;
        default:
            vnni_layout_pass(pass, LLMIR_LAYOUT_PANEL_S8);
            break;
    }
}

#endif /* LLMIR_CPU_LINEAR_VNNI_H */
