/* Integer matrix products with AVX-512 VNNI: vpdpbusd adds four u8 x s8 products to each of 16
 * 32-bit lanes, one lane per row of the panel.
 *
 * The weights are made unsigned (S4, U4: the nibbles as they are; S8: + 128), and the dot product
 * starts from the token's term, -8 or -128 times the sum of its activations, so that nothing is
 * left to correct. It also starts with the bits of M = 1.5 * 2^23, so that as f32 it is M plus the
 * dot, without a conversion: fma(M + i, d, -M * d) is i * d rounded once, because M * d is exact (d
 * has 11 significant bits, M has two) and |i| < 2^22; an infinite d gives NaN. Wide activations,
 * whose dots are larger, pass by twice, high bytes first: their dots times 256 are where those of
 * the low bytes start.
 *
 *   many tokens   linear_vnni_many.h   weights unpacked into the L1 cache, sums in registers
 *   2 to 12       linear_vnni_few.h    weights unpacked into registers, sums in the L1 cache
 *   one           here                 reads each panel once from front to back */
#ifndef LLMIR_CPU_LINEAR_VNNI_H
#define LLMIR_CPU_LINEAR_VNNI_H

#define LINEAR_DOT_START 0x4B400000 /* M */
#include "targets/cpu/kernels/linear_pass.h"

#define VNNI_QUADS \
    (LLMIR_CHUNK_COLUMNS / 4) /* of a chunk of 32 columns: quad i has 4 i .. 4 i + 3 */

/* Bytes of a chunk of 32 columns. */
LLMIR_VEC uint32_t vnni_chunk_bytes(uint32_t layout) {
    return layout == LLMIR_LAYOUT_PANEL_S8 ? 2 * LLMIR_CHUNK_BYTES : LLMIR_CHUNK_BYTES;
}

/* Unpacks 32 columns of 16 rows. A block with scales alone is 32 bytes longer than a multiple of
 * 64, so every second one is aligned to 32 only. */
LLMIR_VEC void vnni_unpack(const uint8_t* chunk, uint32_t layout, __m512i q[VNNI_QUADS]) {
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

/* What the tokens need of a block beside its columns. */
typedef struct vnni_numbers {
    __m512 d; /* scales */
    __m512 c; /* -M * d */
    __m512 m; /* U4: minima */
} vnni_numbers_t;

LLMIR_VEC vnni_numbers_t vnni_numbers(const uint8_t* block, uint32_t layout, uint32_t group) {
    const uint16_t* d = (const uint16_t*)(block + linear_scale_offset(layout, group));
    vnni_numbers_t numbers;
    numbers.d = v16_load_f16(d);
    numbers.c = _mm512_mul_ps(_mm512_set1_ps(-12582912.0f), numbers.d);
    numbers.m = layout == LLMIR_LAYOUT_PANEL_U4 ? v16_load_f16(d + 16) : _mm512_setzero_ps();
    return numbers;
}

LLMIR_VEC __m512i vnni_step(__m512i dot, __m512i q, const int8_t* a) {
    int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    return _mm512_dpbusd_epi32(dot, q, _mm512_set1_epi32(quad));
}

/* Four activations for all lanes, in a register: one load for all panels. */
LLMIR_VEC __m512i vnni_broadcast(const int8_t* a) {
    int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    __m512i x = _mm512_set1_epi32(quad);
#if !defined(__m512i) /* with which tests emulate it on other processors */
    __asm__("" : "+v"(x));
#endif
    return x;
}

/* Where the dot of a group starts. */
LLMIR_VEC __m512i vnni_start(const linear_pass_t* pass,
                             const linear_term_t* term,
                             uint32_t layout) {
    return layout != LLMIR_LAYOUT_PANEL_U4 ? _mm512_set1_epi32(term->i)
           : pass->low_offset != 0         ? _mm512_setzero_si512()
                                           : _mm512_set1_epi32(LINEAR_DOT_START);
}

/* From the dots of the high bytes to where those of the low bytes start. */
LLMIR_VEC __m512i vnni_shift(__m512i dot) {
    return _mm512_slli_epi32(dot, 8);
}

/* The float part of the contract for one group of a token. */
LLMIR_VEC __m512 vnni_finish(const linear_pass_t* pass,
                             uint32_t layout,
                             const vnni_numbers_t* w,
                             __m512i dot,
                             float scale,
                             const linear_term_t* term,
                             __m512 acc) {
    const __m512 scaled = pass->low_offset != 0
                              ? _mm512_mul_ps(_mm512_cvtepi32_ps(dot), w->d)
                              : _mm512_fmadd_ps(_mm512_castsi512_ps(dot), w->d, w->c);
    acc = _mm512_fmadd_ps(scaled, _mm512_set1_ps(scale), acc);
    return layout == LLMIR_LAYOUT_PANEL_U4 ? _mm512_fmadd_ps(w->m, _mm512_set1_ps(term->f), acc)
                                           : acc;
}

#include "targets/cpu/kernels/linear_vnni_few.h"
#include "targets/cpu/kernels/linear_vnni_many.h"

/* One token, one panel. */
LLMIR_VEC void vnni_one_token(const linear_pass_t* pass, uint32_t layout) {
    const uint32_t chunk_bytes = vnni_chunk_bytes(layout);
    const int8_t* a = (const int8_t*)pass->rows;
    __m512 acc = _mm512_load_ps(pass->sums);
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        const __m512i zero = _mm512_setzero_si512();
        __m512i dots[2] = {vnni_start(pass, pass->terms + g, layout), zero};
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
        const vnni_numbers_t w = vnni_numbers(block, layout, pass->group);
        const __m512i dot = _mm512_add_epi32(dots[0], dots[1]);
        acc = vnni_finish(pass, layout, &w, dot, ((const float*)pass->scales)[g], pass->terms + g,
                          acc);
    }
    _mm512_store_ps(pass->sums, acc);
}

/* The layout is a constant in a bundle's code. The built-in kernels look at it on the way: one
 * instance for all takes half the room and is as fast. */
#define LINEAR_TAKES_PANELS
LLMIR_VEC void linear_integer_panels(const linear_pass_t* pass, uint32_t layout) {
    if (pass->token_count > LLMIR_LINEAR_FEW_TOKENS) {
        vnni_many(pass, layout);
        return;
    }
    linear_pass_t panel = *pass;
    LLMIR_ROLLED
    for (uint32_t p = 0; p < pass->panel_count; p++) {
        if (pass->token_count > 1) {
            vnni_few(&panel, layout);
        } else {
            vnni_one_token(&panel, layout);
        }
        panel.blocks += pass->panel_bytes;
        panel.sums += pass->sum_stride;
    }
}

#endif /* LLMIR_CPU_LINEAR_VNNI_H */
