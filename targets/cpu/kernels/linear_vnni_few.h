/* Products of few tokens: 64 columns of a panel, two groups of 32 or a part of a wider one, are
 * unpacked into 16 registers and stay there while all tokens pass by; the activations are the
 * broadcast memory operands of vpdpbusd, and the f32 sums wait in the L1 cache.
 *
 *   registers: 16 weights, 4 tokens x 2 halves = 8 dots (chains that cover the latency), d, c and m
 *              of both halves, a sum, a product: all 32 */
#ifndef LLMIR_CPU_LINEAR_VNNI_FEW_H
#define LLMIR_CPU_LINEAR_VNNI_FEW_H

/* Tokens side by side: groups of 32, and larger ones. What GCC compiles is built in, and is to be
 * small more than fast where bundles bring code of their own. */
#define VNNI_FEW_LANES 4u
#if defined(__clang__)
#define VNNI_FEW_LANES64 4u
#else
#define VNNI_FEW_LANES64 2u
#endif

/* What the tokens need of the weights in registers; halves are 32 columns. */
typedef struct vnni_halves {
    __m512i q[2][VNNI_QUADS];  /* [half] */
    vnni_numbers_t numbers[2]; /* [half] groups of 32; [0] wider groups */
} vnni_halves_t;

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

/* Adds `halves` times 32 columns of `lanes` tokens to dots[lane][half]. */
LLMIR_VEC void vnni_half_columns(const vnni_halves_t* w,
                                 const int8_t* a,
                                 size_t row_bytes,
                                 const uint32_t halves,
                                 const uint32_t lanes,
                                 __m512i dots[][2]) {
    LLMIR_UNROLLED
    for (uint32_t i = 0; i < VNNI_QUADS; i++) {
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
LLMIR_VEC __m512 vnni_half_finish(const linear_pass_t* pass,
                                  uint32_t layout,
                                  const vnni_halves_t* w,
                                  const uint32_t half,
                                  const vnni_cursor_t* at,
                                  __m512i dot,
                                  __m512 acc) {
    return vnni_finish(pass, layout, &w->numbers[half], dot, ((const float*)at->scales)[half],
                       at->terms + half, acc);
}

/* ---- Groups of 32 */

LLMIR_VEC void vnni_tokens32(const linear_pass_t* pass,
                             uint32_t layout,
                             const vnni_halves_t* w,
                             const uint32_t halves,
                             const uint32_t lanes,
                             vnni_cursor_t* at) {
    __m512i dots[VNNI_FEW_LANES][2];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        dots[lane][0] = dots[lane][1] = _mm512_setzero_si512();
    }
    if (pass->low_offset != 0) {
        vnni_half_columns(w, at->a, pass->row_bytes, halves, lanes, dots);
    }
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        LLMIR_UNROLLED
        for (uint32_t half = 0; half < halves; half++) {
            const linear_term_t* term = at->terms + lane * pass->term_stride + half;
            const __m512i start = vnni_start(pass, term, layout);
            dots[lane][half] = pass->low_offset == 0
                                   ? start
                                   : _mm512_add_epi32(vnni_shift(dots[lane][half]), start);
        }
    }
    vnni_half_columns(w, at->a + pass->low_offset, pass->row_bytes, halves, lanes, dots);
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        __m512 acc = _mm512_load_ps(at->sums);
        LLMIR_UNROLLED
        for (uint32_t half = 0; half < halves; half++) {
            acc = vnni_half_finish(pass, layout, w, half, at, dots[lane][half], acc);
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
    vnni_halves_t w;
    LLMIR_UNROLLED
    for (uint32_t half = 0; half < halves; half++) {
        const uint8_t* block = pass->blocks + (g + half) * pass->block_bytes;
        linear_prefetch(block, (uint32_t)pass->block_bytes);
        vnni_unpack(block, layout, w.q[half]);
        w.numbers[half] = vnni_numbers(block, layout, LLMIR_CHUNK_COLUMNS);
    }
    vnni_cursor_t at = vnni_cursor_at(pass, g);
    uint32_t left = pass->token_count;
    LLMIR_ROLLED
    for (; halves == 2 && left >= VNNI_FEW_LANES; left -= VNNI_FEW_LANES) {
        vnni_tokens32(pass, layout, &w, halves, VNNI_FEW_LANES, &at);
    }
    LLMIR_ROLLED
    for (; left != 0; left--) {
        vnni_tokens32(pass, layout, &w, halves, 1, &at);
    }
}

/* ---- Larger groups: steps of 64 columns, dots between steps wait in the scratch */

LLMIR_VEC void vnni_tokens64(const linear_pass_t* pass,
                             const vnni_halves_t* w,
                             const int8_t* a,
                             const uint32_t lanes,
                             __m512i* scratch) {
    __m512i dots[VNNI_FEW_LANES64][2];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        dots[lane][0] = scratch[lane];
        dots[lane][1] = _mm512_setzero_si512();
    }
    vnni_half_columns(w, a, pass->row_bytes, 2, lanes, dots);
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        scratch[lane] = _mm512_add_epi32(dots[lane][0], dots[lane][1]);
    }
}

/* The same for all tokens; `a`: the first one's columns. */
LLMIR_VEC void vnni_step64(const linear_pass_t* pass,
                           const vnni_halves_t* w,
                           const int8_t* a,
                           __m512i scratch[LLMIR_LINEAR_FEW_TOKENS]) {
    uint32_t t = 0;
    LLMIR_ROLLED
    for (; t + VNNI_FEW_LANES64 <= pass->token_count; t += VNNI_FEW_LANES64) {
        vnni_tokens64(pass, w, a + t * pass->row_bytes, VNNI_FEW_LANES64, scratch + t);
    }
    LLMIR_ROLLED
    for (; t < pass->token_count; t++) {
        vnni_tokens64(pass, w, a + t * pass->row_bytes, 1, scratch + t);
    }
}

/* Adds the terms of group g to 256 times what the scratch holds. */
LLMIR_VEC void vnni_start_all(const linear_pass_t* pass,
                              uint32_t layout,
                              uint32_t g,
                              __m512i scratch[LLMIR_LINEAR_FEW_TOKENS]) {
    LLMIR_ROLLED
    for (uint32_t t = 0; t < pass->token_count; t++) {
        scratch[t] = _mm512_add_epi32(vnni_shift(scratch[t]),
                                      vnni_start(pass, linear_terms(pass, t) + g, layout));
    }
}

LLMIR_VEC void vnni_block_wide(const linear_pass_t* pass,
                               uint32_t layout,
                               uint32_t g,
                               __m512i scratch[LLMIR_LINEAR_FEW_TOKENS]) {
    const uint32_t chunk_bytes = vnni_chunk_bytes(layout);
    const uint8_t* block = pass->blocks + g * pass->block_bytes;
    vnni_halves_t w;
    w.numbers[0] = vnni_numbers(block, layout, pass->group);
    const uint32_t end = pass->low_offset != 0 ? 2 * pass->group : pass->group;
    vnni_cursor_t at = vnni_cursor_at(pass, g);
    LLMIR_ROLLED
    for (uint32_t t = 0; t < pass->token_count; t++) {
        scratch[t] = _mm512_setzero_si512();
    }
    LLMIR_ROLLED
    for (uint32_t step = 0; step < end; step += 64) {
        const uint32_t column = step % pass->group;
        const uint8_t* chunk = block + column / LLMIR_CHUNK_COLUMNS * chunk_bytes;
        if (step < pass->group) {
            linear_prefetch(chunk, 2 * chunk_bytes);
        }
        vnni_unpack(chunk, layout, w.q[0]);
        vnni_unpack(chunk + chunk_bytes, layout, w.q[1]);
        if (step + pass->group == end) { /* the only bytes, or from the high ones to the low ones */
            vnni_start_all(pass, layout, g, scratch);
        }
        const uint32_t low = step + pass->group >= end ? pass->low_offset : 0;
        vnni_step64(pass, &w, at.a + column + low, scratch);
    }
    LLMIR_ROLLED
    for (uint32_t t = 0; t < pass->token_count; t++, vnni_cursor_advance(pass, &at)) {
        const __m512 acc = _mm512_load_ps(at.sums);
        _mm512_store_ps(at.sums, vnni_half_finish(pass, layout, &w, 0, &at, scratch[t], acc));
    }
}

/* All blocks of one panel. */
LLMIR_VEC void vnni_few(const linear_pass_t* pass, uint32_t layout) {
    uint32_t g = 0;
    if (pass->group == LLMIR_CHUNK_COLUMNS) {
        for (; g + 2 <= pass->block_count; g += 2) {
            vnni_blocks32(pass, layout, g, 2);
        }
        if (g < pass->block_count) {
            vnni_blocks32(pass, layout, g, 1);
        }
        return;
    }
    __m512i scratch[LLMIR_LINEAR_FEW_TOKENS];
    for (; g < pass->block_count; g++) {
        vnni_block_wide(pass, layout, g, scratch);
    }
}

#endif /* LLMIR_CPU_LINEAR_VNNI_FEW_H */
