/* Products of many tokens: 256 columns of four panels are unpacked into the L1 cache, and there
 * three tokens after three pass by, or, with large groups, six after six. Each broadcast of
 * activations is used for four panels, each load of weights for all these tokens.
 *
 *   registers: 3 tokens x 4 panels = 12 dots (chains that cover the latency) and 12 sums, 4
 *              weights, 1 broadcast; then d, c and m of a panel instead of weights
 *   large:     6 tokens x 4 panels = 24 dots, 4 weights, 1 broadcast; sums wait in the L1 cache */
#ifndef LLMIR_CPU_LINEAR_VNNI_MANY_H
#define LLMIR_CPU_LINEAR_VNNI_MANY_H

#define VNNI_PANELS LLMIR_LINEAR_STRIP_PANELS
#define VNNI_LANES 3u
#if defined(__clang__)
#define VNNI_LARGE_LANES 6u
#else /* GCC 12 does not keep so many dots in registers */
#define VNNI_LARGE_LANES VNNI_LANES
#endif
#define VNNI_LARGE_GROUP 128u /* from which on sums are rare enough to go by the cache */
#define VNNI_CHUNKS 8u        /* of 32 columns that are unpacked at a time */

/* Unpacked columns of the panels. */
typedef struct vnni_weights {
    __m512i q[VNNI_CHUNKS * VNNI_QUADS][VNNI_PANELS];
    vnni_numbers_t numbers[VNNI_CHUNKS][VNNI_PANELS]; /* of each group */
} vnni_weights_t;

/* Where the tokens are that pass by together. Lanes beyond the last token repeat it. */
typedef struct vnni_lanes {
    const int8_t* rows[VNNI_LARGE_LANES];
    const linear_term_t* terms[VNNI_LARGE_LANES];
    float* sums[VNNI_LARGE_LANES];
    uint32_t count; /* of tokens */
} vnni_lanes_t;

LLMIR_VEC vnni_lanes_t vnni_lanes_at(const linear_pass_t* pass,
                                     uint32_t first,
                                     const uint32_t lanes) {
    vnni_lanes_t at;
    const uint32_t left = pass->token_count - first;
    at.count = left < lanes ? left : lanes;
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const uint32_t token = first + (lane < at.count ? lane : at.count - 1);
        at.rows[lane] = (const int8_t*)linear_row(pass, token);
        at.terms[lane] = linear_terms(pass, token);
        at.sums[lane] = pass->sums + (size_t)token * LLMIR_PANEL_ROWS;
    }
    return at;
}

/* Adds four columns, `offset` bytes from the start of the rows, to dots[lane][panel]. */
LLMIR_VEC void vnni_quad(const vnni_lanes_t* at,
                         const __m512i q[VNNI_PANELS],
                         size_t offset,
                         const uint32_t lanes,
                         __m512i dots[][VNNI_PANELS]) {
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const __m512i x = vnni_broadcast(at->rows[lane] + offset);
        LLMIR_UNROLLED
        for (uint32_t p = 0; p < VNNI_PANELS; p++) {
            dots[lane][p] = _mm512_dpbusd_epi32(dots[lane][p], q[p], x);
        }
    }
}

/* Adds the columns of a group, `offset` bytes from the start of the rows, to dots[lane][panel]: 24
 * products in each round. */
LLMIR_VEC void vnni_columns(const linear_pass_t* pass,
                            const vnni_lanes_t* at,
                            const __m512i q[][VNNI_PANELS],
                            size_t offset,
                            const uint32_t lanes,
                            __m512i dots[][VNNI_PANELS]) {
    const uint32_t quads = lanes > VNNI_LANES ? 1 : 2;
    LLMIR_ROLLED
    for (uint32_t i = 0; i < pass->group / 4; i += quads) {
        LLMIR_UNROLLED
        for (uint32_t j = 0; j < quads; j++) {
            vnni_quad(at, q[i + j], offset + (i + j) * 4, lanes, dots);
        }
    }
}

/* The dots of group g, whose weights begin at q. */
LLMIR_VEC void vnni_dots(const linear_pass_t* pass,
                         uint32_t layout,
                         const vnni_lanes_t* at,
                         const __m512i q[][VNNI_PANELS],
                         uint32_t g,
                         const uint32_t lanes,
                         __m512i dots[][VNNI_PANELS]) {
    const size_t offset = (size_t)g * pass->group;
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        LLMIR_UNROLLED
        for (uint32_t p = 0; p < VNNI_PANELS; p++) {
            dots[lane][p] = pass->low_offset != 0 ? _mm512_setzero_si512()
                                                  : vnni_start(pass, &at->terms[lane][g], layout);
        }
    }
    vnni_columns(pass, at, q, offset, lanes, dots);
    if (pass->low_offset == 0) {
        return;
    }
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < lanes; lane++) {
        const __m512i start = vnni_start(pass, &at->terms[lane][g], layout);
        LLMIR_UNROLLED
        for (uint32_t p = 0; p < VNNI_PANELS; p++) {
            dots[lane][p] = _mm512_add_epi32(vnni_shift(dots[lane][p]), start);
        }
    }
    vnni_columns(pass, at, q, offset + pass->low_offset, lanes, dots);
}

/* The sum of a lane and panel with the dot of group g, whose scales are `numbers`. */
LLMIR_VEC __m512 vnni_add(const linear_pass_t* pass,
                          uint32_t layout,
                          const vnni_lanes_t* at,
                          uint32_t lane,
                          const vnni_numbers_t* numbers,
                          uint32_t g,
                          __m512i dot,
                          __m512 acc) {
    const size_t scales = (size_t)((const int8_t*)pass->scales - (const int8_t*)pass->rows);
    const float scale = ((const float*)(at->rows[lane] + scales))[g];
    return vnni_finish(pass, layout, numbers, dot, scale, &at->terms[lane][g], acc);
}

/* `count` groups from group g of the pass on, which `w` has, for the tokens `at`. */
LLMIR_VEC void vnni_groups(const linear_pass_t* pass,
                           uint32_t layout,
                           const vnni_lanes_t* at,
                           const vnni_weights_t* w,
                           uint32_t g,
                           uint32_t count) {
    __m512 acc[VNNI_LANES][VNNI_PANELS];
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < VNNI_LANES; lane++) {
        LLMIR_UNROLLED
        for (uint32_t p = 0; p < VNNI_PANELS; p++) {
            acc[lane][p] = _mm512_load_ps(at->sums[lane] + p * pass->sum_stride);
        }
    }
    LLMIR_ROLLED
    for (uint32_t i = 0; i < count; i++) {
        __m512i dots[VNNI_LANES][VNNI_PANELS];
        vnni_dots(pass, layout, at, &w->q[i * (pass->group / 4)], g + i, VNNI_LANES, dots);
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < VNNI_LANES; lane++) {
            LLMIR_UNROLLED
            for (uint32_t p = 0; p < VNNI_PANELS; p++) {
                acc[lane][p] = vnni_add(pass, layout, at, lane, &w->numbers[i][p], g + i,
                                        dots[lane][p], acc[lane][p]);
            }
        }
    }
    LLMIR_UNROLLED
    for (uint32_t lane = 0; lane < VNNI_LANES; lane++) {
        LLMIR_UNROLLED
        for (uint32_t p = 0; p < VNNI_PANELS && lane < at->count; p++) {
            _mm512_store_ps(at->sums[lane] + p * pass->sum_stride, acc[lane][p]);
        }
    }
}

/* The same for large groups and more tokens. */
LLMIR_VEC void vnni_large_groups(const linear_pass_t* pass,
                                 uint32_t layout,
                                 const vnni_lanes_t* at,
                                 const vnni_weights_t* w,
                                 uint32_t g,
                                 uint32_t count) {
    LLMIR_ROLLED
    for (uint32_t i = 0; i < count; i++) {
        __m512i dots[VNNI_LARGE_LANES][VNNI_PANELS];
        vnni_dots(pass, layout, at, &w->q[i * (pass->group / 4)], g + i, VNNI_LARGE_LANES, dots);
        LLMIR_UNROLLED
        for (uint32_t lane = 0; lane < VNNI_LARGE_LANES; lane++) {
            LLMIR_UNROLLED
            for (uint32_t p = 0; p < VNNI_PANELS && lane < at->count; p++) {
                float* sums = at->sums[lane] + p * pass->sum_stride;
                _mm512_store_ps(sums, vnni_add(pass, layout, at, lane, &w->numbers[i][p], g + i,
                                               dots[lane][p], _mm512_load_ps(sums)));
            }
        }
    }
}

/* Asks for part `part` of what is unpacked next: what follows the `done` bytes of each panel, or,
 * where the panel ends there, of the panel that is read in its place next. A tile's tokens pass by
 * in 24 threes or 12 sixes, each of which asks for a few lines. */
LLMIR_VEC void vnni_prefetch(
    const linear_pass_t* pass, uint32_t layout, size_t done, uint32_t part, const uint32_t lanes) {
    const uint32_t lines = layout == LLMIR_LAYOUT_PANEL_S8 ? lanes : lanes * 2 / 3;
    const uint8_t* ahead = pass->blocks + done + part * lines * 64u;
    if (done >= pass->panel_bytes) {
        ahead += (VNNI_PANELS - 1) * pass->panel_bytes;
    }
    LLMIR_UNROLLED
    for (uint32_t p = 0; p < VNNI_PANELS; p++, ahead += pass->panel_bytes) {
        LLMIR_UNROLLED
        for (uint32_t i = 0; i < lines; i++) {
            __builtin_prefetch(ahead + i * 64u);
        }
    }
}

/* Unpacks `count` groups from group g on. A panel that is missing is a copy of the last one. */
LLMIR_VEC void vnni_unpack_groups(
    const linear_pass_t* pass, uint32_t layout, uint32_t g, uint32_t count, vnni_weights_t* w) {
    const uint32_t chunks = pass->group / LLMIR_CHUNK_COLUMNS;
    const uint32_t chunk_bytes = vnni_chunk_bytes(layout);
    LLMIR_ROLLED
    for (uint32_t p = 0; p < VNNI_PANELS; p++) {
        const uint32_t panel = p < pass->panel_count ? p : pass->panel_count - 1;
        const uint8_t* block =
            pass->blocks + panel * pass->panel_bytes + (size_t)g * pass->block_bytes;
        __m512i(*q)[VNNI_PANELS] = w->q;
        LLMIR_ROLLED
        for (uint32_t i = 0; i < count; i++, block += pass->block_bytes) {
            LLMIR_ROLLED
            for (uint32_t c = 0; c < chunks; c++, q += VNNI_QUADS) {
                const uint8_t* chunk = block + c * chunk_bytes;
                __m512i unpacked[VNNI_QUADS];
                vnni_unpack(chunk, layout, unpacked);
                LLMIR_UNROLLED
                for (uint32_t quad = 0; quad < VNNI_QUADS; quad++) {
                    q[quad][p] = unpacked[quad];
                }
            }
            w->numbers[i][p] = vnni_numbers(block, layout, pass->group);
        }
    }
}

/* All blocks of up to VNNI_PANELS panels. */
LLMIR_VEC void vnni_many(const linear_pass_t* pass, uint32_t layout) {
    vnni_weights_t w;
    const uint32_t most = VNNI_CHUNKS * LLMIR_CHUNK_COLUMNS / pass->group;
    LLMIR_ROLLED
    for (uint32_t g = 0; g < pass->block_count; g += most) {
        const uint32_t left = pass->block_count - g;
        const uint32_t count = left < most ? left : most;
        vnni_unpack_groups(pass, layout, g, count, &w);
        const size_t done = (size_t)(g + count) * pass->block_bytes;
        if (VNNI_LARGE_LANES > VNNI_LANES && pass->group >= VNNI_LARGE_GROUP) {
            LLMIR_ROLLED
            for (uint32_t t = 0; t < pass->token_count; t += VNNI_LARGE_LANES) {
                const vnni_lanes_t at = vnni_lanes_at(pass, t, VNNI_LARGE_LANES);
                vnni_prefetch(pass, layout, done, t / VNNI_LARGE_LANES, VNNI_LARGE_LANES);
                vnni_large_groups(pass, layout, &at, &w, g, count);
            }
            continue;
        }
        LLMIR_ROLLED
        for (uint32_t t = 0; t < pass->token_count; t += VNNI_LANES) {
            const vnni_lanes_t at = vnni_lanes_at(pass, t, VNNI_LANES);
            vnni_prefetch(pass, layout, done, t / VNNI_LANES, VNNI_LANES);
            vnni_groups(pass, layout, &at, &w, g, count);
        }
    }
}

#endif /* LLMIR_CPU_LINEAR_VNNI_MANY_H */
