/* Integer matrix products with AVX-512 VNNI: vpdpbusd adds four u8 x s8 products to each of 16
 * 32-bit lanes, one lane per row of the panel.
 *
 * The weights are made unsigned (S4, U4: the nibbles as they are; S8: + 128), and the dot product
 * starts from the token's term, -8 or -128 times the sum of its activations, so that nothing is
 * left to correct. A chunk of 32 columns is unpacked into 8 registers, which TOKENS tokens use one
 * after the other; the activations are the broadcast memory operands of vpdpbusd.
 *
 *   registers for 16 tokens: 16 accumulators (f32; groups > 32: 32-bit dots, the f32 accumulators
 *   wait in `sums`), 8 weights, 4 dots in flight, 2 for scales and minima, 1 mask: 31 of 32 */
#ifndef LLMIR_CPU_LINEAR_VNNI_H
#define LLMIR_CPU_LINEAR_VNNI_H

#include "targets/cpu/kernels/linear_pass.h"

#define VNNI_LANES 4u /* tokens whose dots are interleaved: covers the latency of vpdpbusd */

/* 32 columns of 16 rows as unsigned bytes: q[i] has columns 4 i .. 4 i + 3. */
LLMIR_VEC void vnni_unpack(const uint8_t* chunk, uint32_t layout, __m512i q[8]) {
    if (layout == LLMIR_LAYOUT_PANEL_S8) {
        for (uint32_t i = 0; i < 8; i++) {
            q[i] = _mm512_xor_si512(_mm512_load_si512(chunk + i * 64), _mm512_set1_epi8(-128));
        }
        return;
    }
    const __m512i mask = _mm512_set1_epi8(15);
    for (uint32_t i = 0; i < 4; i++) {
        const __m512i x = _mm512_load_si512(chunk + i * 64);
        q[i] = _mm512_and_si512(x, mask);
        q[i + 4] = _mm512_and_si512(_mm512_srli_epi16(x, 4), mask);
    }
}

LLMIR_VEC __m512i vnni_step(__m512i dot, __m512i q, const int8_t* a) {
    int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    return _mm512_dpbusd_epi32(dot, q, _mm512_set1_epi32(quad));
}

/* Adds 32 columns to the dots of `lanes` neighbouring tokens. */
LLMIR_VEC void vnni_columns32(
    const __m512i q[8], const int8_t* a, size_t row_bytes, uint32_t lanes, __m512i* dots) {
    for (uint32_t i = 0; i < 8; i++) {
        for (uint32_t lane = 0; lane < lanes; lane++) {
            dots[lane] = vnni_step(dots[lane], q[i], a + lane * row_bytes + i * 4);
        }
    }
}

/* Where the dot of a group starts. */
LLMIR_VEC __m512i vnni_start(const linear_term_t* term, uint32_t layout) {
    return layout == LLMIR_LAYOUT_PANEL_U4 ? _mm512_setzero_si512() : _mm512_set1_epi32(term->i);
}

/* The float part of the contract: the end of a group. */
LLMIR_VEC __m512 vnni_finish(const linear_pass_t* pass,
                             uint32_t layout,
                             uint32_t token,
                             uint32_t g,
                             __m512i dot,
                             __m512 acc) {
    const uint8_t* d =
        pass->blocks + g * pass->block_bytes + linear_scale_offset(layout, pass->group);
    const __m512 scale = _mm512_set1_ps(linear_scales(pass, token)[g]);
    const __m512 p = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), v16_load_f16((const uint16_t*)d));
    acc = _mm512_fmadd_ps(p, scale, acc);
    if (layout == LLMIR_LAYOUT_PANEL_U4) {
        const __m512 m = v16_load_f16((const uint16_t*)(d + 32));
        acc = _mm512_fmadd_ps(m, _mm512_set1_ps(linear_terms(pass, token)[g].f), acc);
    }
    return acc;
}

/* Groups of 32: the accumulators stay in registers for the whole pass. */
LLMIR_VEC void vnni_tokens_group32(const linear_pass_t* pass,
                                   uint32_t layout,
                                   uint32_t first,
                                   const uint32_t tokens) {
    const uint32_t lanes = tokens < VNNI_LANES ? tokens : VNNI_LANES;
    __m512 acc[16];
    for (uint32_t t = 0; t < tokens; t++) {
        acc[t] = _mm512_load_ps(pass->sums + (first + t) * LLMIR_PANEL_ROWS);
    }
    for (uint32_t g = 0; g < pass->block_count; g++) {
        __m512i q[8];
        vnni_unpack(pass->blocks + g * pass->block_bytes, layout, q);
        const int8_t* a = (const int8_t*)linear_row(pass, first) + g * LLMIR_CHUNK_COLUMNS;
        for (uint32_t t = 0; t < tokens; t += lanes) {
            __m512i dots[VNNI_LANES];
            for (uint32_t lane = 0; lane < lanes; lane++) {
                dots[lane] = vnni_start(linear_terms(pass, first + t + lane) + g, layout);
            }
            vnni_columns32(q, a + t * pass->row_bytes, pass->row_bytes, lanes, dots);
            for (uint32_t lane = 0; lane < lanes; lane++) {
                acc[t + lane] =
                    vnni_finish(pass, layout, first + t + lane, g, dots[lane], acc[t + lane]);
            }
        }
    }
    for (uint32_t t = 0; t < tokens; t++) {
        _mm512_store_ps(pass->sums + (first + t) * LLMIR_PANEL_ROWS, acc[t]);
    }
}

/* Groups of 64 and 128: the dots stay in registers for a group, the accumulators in memory. */
LLMIR_VEC void vnni_tokens_wide(const linear_pass_t* pass,
                                uint32_t layout,
                                uint32_t first,
                                const uint32_t tokens) {
    const uint32_t chunk_bytes = LLMIR_CHUNK_BYTES * (layout == LLMIR_LAYOUT_PANEL_S8 ? 2 : 1);
    const uint32_t lanes = tokens < VNNI_LANES ? tokens : VNNI_LANES;
    for (uint32_t g = 0; g < pass->block_count; g++) {
        const uint8_t* block = pass->blocks + g * pass->block_bytes;
        const int8_t* a = (const int8_t*)linear_row(pass, first) + g * pass->group;
        __m512i dots[16];
        for (uint32_t t = 0; t < tokens; t++) {
            dots[t] = vnni_start(linear_terms(pass, first + t) + g, layout);
        }
        for (uint32_t chunk = 0; chunk < pass->group / LLMIR_CHUNK_COLUMNS; chunk++) {
            __m512i q[8];
            vnni_unpack(block + chunk * chunk_bytes, layout, q);
            for (uint32_t t = 0; t < tokens; t += lanes) {
                vnni_columns32(q, a + chunk * LLMIR_CHUNK_COLUMNS + t * pass->row_bytes,
                               pass->row_bytes, lanes, dots + t);
            }
        }
        for (uint32_t t = 0; t < tokens; t++) {
            float* sums = pass->sums + (first + t) * LLMIR_PANEL_ROWS;
            _mm512_store_ps(sums,
                            vnni_finish(pass, layout, first + t, g, dots[t], _mm512_load_ps(sums)));
        }
    }
}

LLMIR_VEC void vnni_tokens(const linear_pass_t* pass,
                           uint32_t layout,
                           uint32_t first,
                           const uint32_t tokens) {
    if (pass->group == LLMIR_CHUNK_COLUMNS) {
        vnni_tokens_group32(pass, layout, first, tokens);
    } else {
        vnni_tokens_wide(pass, layout, first, tokens);
    }
}

LLMIR_VEC void linear_integer_pass(const linear_pass_t* pass, uint32_t layout) {
    uint32_t first = 0;
    for (; first + 16 <= pass->token_count; first += 16) {
        vnni_tokens(pass, layout, first, 16);
    }
    if (pass->token_count - first >= 8) {
        vnni_tokens(pass, layout, first, 8);
        first += 8;
    }
    if (pass->token_count - first >= 4) {
        vnni_tokens(pass, layout, first, 4);
        first += 4;
    }
    for (; first < pass->token_count; first++) {
        vnni_tokens(pass, layout, first, 1);
    }
}

#endif /* LLMIR_CPU_LINEAR_VNNI_H */
