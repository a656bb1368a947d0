/* Attention over integer storage (quant/kv_layout.h). Queries are integers too (kv_cache.h):
 *
 *   s[key] = (scale of the key * (q[0] * k[0] + q[1] * k[1] + ...)) * (scale of the query * scale)
 *   w[key] = exp(s[key] - m) * scale of the value
 *   o[d]   = w[first] * v[first][d] + ...     one fma per key, lanes are elements
 *
 * The sum of products is exact. Values of q4 are unpacked to the form of q8, 32 columns of a piece
 * at a time, each with its own w; so both share all tiles. */
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

/* to = from * scales, of sixteen keys. */
LLMIR_VEC void attention_scale_16(const float* from, const uint16_t* scales, float* to) {
    const v16f scale = v16_load_f16(scales);
#if defined(LLMIR_KERNEL_SMALL) /* vectors are copied at every call there */
    LLMIR_ROLLED
    for (uint32_t i = 0; i < LLMIR_LANES; ++i) {
        to[i] = from[i] * scale.lane[i];
    }
#else
    v16_store(to, v16_mul(v16_load(from), scale));
#endif
}

/* tile->weights of all rows with scale `index` of the values. Where keys were never written, scales
 * are anything; nobody reads the weights of those. */
LLMIR_OUTLINE void attention_weigh(attention_tile_t* tile,
                                   const attention_piece_t* piece,
                                   uint32_t count,
                                   uint32_t index) {
    const uint32_t scales = LLMIR_KV_GROUP * (piece->value_row_bytes + index * 2u);
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        const uint32_t first = tile->rows[r].begin / LLMIR_KV_GROUP;
        const uint32_t last = (tile->rows[r].end - 1u) / LLMIR_KV_GROUP;
        LLMIR_ROLLED
        for (uint32_t g = first; g <= last; ++g) {
            attention_scale_16(&tile->scores[r][g * LLMIR_KV_GROUP],
                               (const uint16_t*)(piece->values[g] + scales),
                               &tile->weights[r][g * LLMIR_KV_GROUP]);
        }
    }
}

#define ATTENTION_UNPACKED_BYTES (ATTENTION_PIECE * LLMIR_KV_Q4_GROUP)

/* Sixteen bytes of two nibbles u each: u - 8 of the low and of the high ones. */
#if defined(LLMIR_KERNEL_SMALL)
LLMIR_VEC void attention_unpack_16(const uint8_t* from, int8_t* to) {
    LLMIR_ROLLED
    for (uint32_t i = 0; i < 16; ++i) {
        to[i] = (int8_t)((from[i] & 15) - 8);
        to[16 + i] = (int8_t)((from[i] >> 4) - 8);
    }
}
#else
typedef uint8_t attention_bytes_t __attribute__((vector_size(16)));
LLMIR_VEC void attention_unpack_16(const uint8_t* from, int8_t* to) {
    attention_bytes_t bytes;
    __builtin_memcpy(&bytes, from, 16);
    const attention_bytes_t low = (bytes & 15u) - 8u;
    const attention_bytes_t high = (bytes >> 4) - 8u;
    __builtin_memcpy(to, &low, 16);
    __builtin_memcpy(to + 16, &high, 16);
}
#endif

/* Columns 32 * `index` .. + 31 of the piece's values of q4: [256][32] int8, tile->unpacked. */
LLMIR_OUTLINE void attention_unpack(attention_tile_t* tile,
                                    const attention_piece_t* piece,
                                    uint32_t index,
                                    int8_t* out) {
    const uint32_t end = piece->group_end * LLMIR_KV_GROUP;
    LLMIR_ROLLED
    for (uint32_t key = piece->group_begin * LLMIR_KV_GROUP; key < end; ++key) {
        const uint32_t g = key / LLMIR_KV_GROUP;
        int8_t* to = out + key * LLMIR_KV_Q4_GROUP;
        const uint8_t* from =
            piece->values[g] + key % LLMIR_KV_GROUP * piece->value_row_bytes + index * 16u;
        attention_unpack_16(from, to);
        tile->unpacked[g] = (const uint8_t*)out + g * LLMIR_KV_GROUP * LLMIR_KV_Q4_GROUP;
    }
}

/* Makes the values from `column` on ready, whenever other scales begin: all at column 0 with q8. */
LLMIR_OUTLINE void attention_ready_values(attention_tile_t* tile,
                                          const attention_piece_t* piece,
                                          uint32_t count,
                                          uint32_t column,
                                          int8_t* unpacked) {
    const int is_q4 = piece->storage == LLMIR_KV_STORAGE_Q4;
    const uint32_t index = column / LLMIR_KV_Q4_GROUP; /* 0 with q8 */
    tile->values = is_q4 ? tile->unpacked : piece->values;
    tile->value_row_bytes = is_q4 ? LLMIR_KV_Q4_GROUP : piece->value_row_bytes;
    tile->next_offset = column * LLMIR_KV_GROUP;
    attention_weigh(tile, piece, count, index);
    if (is_q4) {
        attention_unpack(tile, piece, index, unpacked);
    }
}

#endif /* LLMIR_CPU_ATTENTION_INTEGER_H */
