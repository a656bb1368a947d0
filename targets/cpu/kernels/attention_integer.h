/* Attention over integer storage (quant/kv_layout.h). Queries are integers too (kv_cache.h):
 *
 *   s[key] = (scale of the key * (q[0] * k[0] + q[1] * k[1] + ...)) * (scale of the query * scale)
 *   w[key] = exp(s[key] - m) * scale of the value
 *   o[d]   = w[first] * v[first][d] + ...     one fma per key, lanes are elements
 *
 * The sum of products is exact. */
#ifndef LLMIR_CPU_ATTENTION_INTEGER_H
#define LLMIR_CPU_ATTENTION_INTEGER_H

#include "targets/cpu/kernels/attention_tile.h"

/* Scores of groups group .. group + span - 1 for rows 0 .. rows - 1. */
LLMIR_VEC void attention_score_groups_q8(attention_tile_t* tile,
                                         const attention_piece_t* piece,
                                         uint32_t group,
                                         const int rows,
                                         const int span) {
    v16i sums[ATTENTION_MAX_ROWS][ATTENTION_MAX_SPAN];
    const uint8_t* q[ATTENTION_MAX_ROWS];
    const uint8_t* keys[ATTENTION_MAX_SPAN];
    const uint8_t* values[ATTENTION_MAX_SPAN];
    const size_t head_dim = piece->head_dim;
    for (int r = 0; r < rows; ++r) {
        q[r] = (const uint8_t*)tile->rows[r].q;
        for (int s = 0; s < span; ++s) {
            sums[r][s] = v16i_zero();
        }
    }
    for (int s = 0; s < span; ++s) {
        keys[s] = piece->keys[group + (uint32_t)s];
        values[s] = piece->values[group + (uint32_t)s];
    }
    for (size_t d = 0; d < head_dim; d += 2) {
        v16p k[ATTENTION_MAX_SPAN];
        for (int s = 0; s < span; ++s) {
            k[s] = v16p_load_i8((const int8_t*)keys[s] + d * LLMIR_KV_GROUP);
            if (rows <= ATTENTION_PREFETCH_ROWS) {
                __builtin_prefetch(values[s] + d * LLMIR_KV_GROUP);
            }
        }
        for (int r = 0; r < rows; ++r) {
            const v16p element = v16p_set1(q[r] + d * 2u);
            for (int s = 0; s < span; ++s) {
                sums[r][s] = v16p_dot(element, k[s], sums[r][s]);
            }
        }
    }
    for (int s = 0; s < span; ++s) {
        const v16f scales = v16_load_f16((const uint16_t*)(keys[s] + head_dim * LLMIR_KV_GROUP));
        for (int r = 0; r < rows; ++r) {
            float query_scale;
            __builtin_memcpy(&query_scale, q[r] + head_dim * 2u, 4);
            const v16f score = v16_mul(v16i_to_f32(sums[r][s]), scales);
            v16_store(&tile->scores[r][(group + (uint32_t)s) * LLMIR_KV_GROUP],
                      v16_mul(score, v16_set1(query_scale * piece->scale)));
        }
    }
}

/* tile->weights of all rows. Where keys were never written, scales are anything; nobody reads the
 * weights of those. */
LLMIR_OUTLINE void attention_weigh(attention_tile_t* tile,
                                   const attention_piece_t* piece,
                                   uint32_t count) {
    const uint32_t scales = llmir_kv_value_scales(piece->storage, piece->head_dim);
    for (uint32_t r = 0; r < count; ++r) {
        const uint32_t first = tile->rows[r].begin / LLMIR_KV_GROUP;
        const uint32_t last = (tile->rows[r].end - 1u) / LLMIR_KV_GROUP;
        for (uint32_t g = first; g <= last; ++g) {
            const v16f scale = v16_load_f16((const uint16_t*)(piece->values[g] + scales));
            v16_store(&tile->weights[r][g * LLMIR_KV_GROUP],
                      v16_mul(v16_load(&tile->scores[r][g * LLMIR_KV_GROUP]), scale));
        }
    }
}

#endif /* LLMIR_CPU_ATTENTION_INTEGER_H */
