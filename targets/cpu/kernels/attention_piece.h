/* One piece of 256 keys for some rows: scores, exponentials, values, and the merge with the pieces
 * before it. */
#ifndef LLMIR_CPU_ATTENTION_PIECE_H
#define LLMIR_CPU_ATTENTION_PIECE_H

#include "targets/cpu/kernels/attention_shapes.h"

/* Scores of group `group` outside [begin, end) become minus infinity. */
LLMIR_OUTLINE void attention_mask(float* scores, uint32_t group, uint32_t begin, uint32_t end) {
    const uint32_t base = group * LLMIR_KV_GROUP;
    LLMIR_ROLLED
    for (uint32_t i = 0; i < LLMIR_KV_GROUP; ++i) {
        if (base + i < begin || base + i >= end) {
            scores[i] = -__builtin_inff();
        }
    }
}

#if defined(LLMIR_KERNEL_SMALL)
#include "targets/cpu/kernels/attention_small.h"
#else
/* The groups of a piece that a row looks at. */
static inline uint32_t attention_first_group(const attention_row_t* row) {
    return row->begin / LLMIR_KV_GROUP;
}
static inline uint32_t attention_last_group(const attention_row_t* row) {
    return (row->end - 1u) / LLMIR_KV_GROUP;
}

/* Scores of row r: what caps and masks leave of them, and their maximum. */
LLMIR_OUTLINE void attention_maximum(attention_tile_t* tile,
                                     const attention_piece_t* piece,
                                     uint32_t r) {
    const attention_row_t* row = &tile->rows[r];
    const uint32_t first = attention_first_group(row);
    const uint32_t last = attention_last_group(row);
    float* scores = tile->scores[r];
    if (piece->soft_cap != 0.0f) {
        LLMIR_ROLLED
        for (uint32_t i = first * LLMIR_KV_GROUP; i < row->end; i += LLMIR_KV_GROUP) {
            v16_store(&scores[i], v16_soft_cap(v16_load(&scores[i]), piece->soft_cap));
        }
    }
    if (row->begin % LLMIR_KV_GROUP != 0) {
        attention_mask(&scores[first * LLMIR_KV_GROUP], first, row->begin, row->end);
    }
    if (row->end % LLMIR_KV_GROUP != 0) {
        attention_mask(&scores[last * LLMIR_KV_GROUP], last, row->begin, row->end);
    }
    v16f maxima = v16_set1(-__builtin_inff());
    LLMIR_ROLLED
    for (uint32_t g = first; g <= last; ++g) { /* and asks for the next row's scores */
        __builtin_prefetch(&scores[g * LLMIR_KV_GROUP + ATTENTION_PIECE]);
        maxima = v16_max(v16_load(&scores[g * LLMIR_KV_GROUP]), maxima);
    }
    tile->m[r] = v16_max_lanes(maxima);
}

/* Scores of row r -> exponentials, and their sum. */
LLMIR_OUTLINE void attention_row_exponentials(attention_tile_t* tile, uint32_t r) {
    const uint32_t last = attention_last_group(&tile->rows[r]);
    const v16f m = v16_set1(tile->m[r]);
    v16f sums = v16_zero();
    LLMIR_ROLLED
    for (uint32_t g = attention_first_group(&tile->rows[r]); g <= last; ++g) {
        float* scores = &tile->scores[r][g * LLMIR_KV_GROUP];
        const v16f p = v16_exp_nonpositive(v16_sub(v16_load(scores), m));
        v16_store(scores, p);
        sums = v16_add(sums, p);
    }
    tile->l[r] = v16_sum(sums);
}

/* Scores -> exponentials, with maximum and sum of each row. All maxima come first: the exponentials
 * of one row wait for its maximum, and the maxima of others for nothing. */
static inline void attention_exponentials(attention_tile_t* tile,
                                          const attention_piece_t* piece,
                                          uint32_t count) {
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        attention_maximum(tile, piece, r);
    }
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        attention_row_exponentials(tile, r);
    }
}

/* x = exp(x), x <= 0; one copy, for what is done once a piece. */
LLMIR_OUTLINE void attention_exp(float* x) {
    v16_store(x, v16_exp_nonpositive(v16_load(x)));
}

/* Merges maxima and sums of the piece into the rows, and leaves the factors for the values. A row
 * without a piece has m = -infinity and l = 0: keep = 0, add = 1. */
LLMIR_OUTLINE void attention_merge_sums(attention_tile_t* tile, uint32_t count) {
    float old_m[LLMIR_LANES] = {0};
    float old_l[LLMIR_LANES] = {0};
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        old_m[r] = tile->rows[r].m;
        old_l[r] = tile->rows[r].l;
    }
    const v16f piece_m = v16_load(tile->m);
    const v16f m = v16_max(v16_load(old_m), piece_m);
    v16_store(tile->keep, v16_sub(v16_load(old_m), m));
    v16_store(tile->add, v16_sub(piece_m, m));
    attention_exp(tile->keep);
    attention_exp(tile->add);
    const v16f old = v16_mul(v16_load(old_l), v16_load(tile->keep));
    const v16f l = v16_fma(v16_load(tile->l), v16_load(tile->add), old);
    v16_store(tile->m, m);
    v16_store(tile->l, l);
}
#endif

/* out = out * keep + sums * add for `n` columns; out is not read for the first piece. */
LLMIR_OUTLINE void attention_merge_values(const attention_tile_t* tile,
                                          uint32_t r,
                                          uint32_t column,
                                          uint32_t n) {
    const attention_row_t* row = &tile->rows[r];
    const v16f keep = v16_set1(tile->keep[r]);
    const v16f add = v16_set1(tile->add[r]);
    for (uint32_t i = 0; i < n; i += LLMIR_LANES) {
        float* out = row->out + column + i;
        v16f sums = v16_load(&tile->sums[r][i]);
        if (row->l != 0.0f) {
            sums = v16_fma(sums, add, v16_mul(v16_load_upto(out, n - i), keep));
        }
        v16_store_upto(out, sums, n - i);
    }
}

/* The keys that any of the tile's rows looks at, and those that all do: {0, 0} if there are none.
 */
static inline void attention_find_ranges(attention_tile_t* tile, uint32_t count) {
    attention_range_t joint = {0, ATTENTION_PIECE, 0};
    if (ATTENTION_MAX_ROWS == 1) {
        tile->joint = (attention_range_t){tile->rows[0].begin, tile->rows[0].end, 0};
        return;
    }
    tile->begin = ATTENTION_PIECE;
    tile->end = 0;
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        const attention_row_t* row = &tile->rows[r];
        joint.begin = row->begin > joint.begin ? row->begin : joint.begin;
        joint.end = row->end < joint.end ? row->end : joint.end;
        tile->begin = row->begin < tile->begin ? row->begin : tile->begin;
        tile->end = row->end > tile->end ? row->end : tile->end;
    }
    tile->joint = joint.begin < joint.end ? joint : (attention_range_t){0, 0, 0};
}

/* Keys [begin, end) of `span` * 16 columns from `column` on, for the rows that look at them. */
LLMIR_OUTLINE void attention_edge_values(attention_tile_t* tile,
                                         const attention_piece_t* piece,
                                         uint32_t count,
                                         attention_range_t edge,
                                         uint32_t span) {
    const uint32_t storage = attention_tile_storage(piece);
    LLMIR_ROLLED
    for (uint32_t key = edge.begin; key < edge.end; ++key) {
        const uint8_t* value =
            tile->values[key / LLMIR_KV_GROUP] + key % LLMIR_KV_GROUP * tile->value_row_bytes;
        LLMIR_ROLLED
        for (uint32_t r = 0; r < count; ++r) {
            if (key < tile->rows[r].begin || key >= tile->rows[r].end) {
                continue;
            }
            const v16f weight = v16_set1(tile->weights[r][key]);
            LLMIR_ROLLED
            for (uint32_t i = 0; i < span * LLMIR_LANES; i += LLMIR_LANES) {
                const v16f v = attention_load_value(value, edge.column + i, storage);
                v16_store(&tile->sums[r][i], v16_fma(weight, v, v16_load(&tile->sums[r][i])));
            }
        }
    }
}

/* tile->sums of `span` * 16 columns, which lie in the values from `column` on. Each row takes its
 * keys in ascending order: what lies before the joint part, the joint part, what lies behind. */
static void attention_column_values(attention_tile_t* tile,
                                    const attention_piece_t* piece,
                                    uint32_t count,
                                    uint32_t column,
                                    uint32_t span) {
    const attention_range_t joint = {tile->joint.begin, tile->joint.end, column};
    if (ATTENTION_MAX_ROWS == 1) { /* all that the one row looks at is joint */
        attention_range_values(tile, piece, &joint, count, span);
        return;
    }
    if (joint.begin == joint.end) {
        const attention_range_t all = {tile->begin, tile->end, column};
        attention_edge_values(tile, piece, count, all, span);
        return;
    }
    const attention_range_t before = {tile->begin, joint.begin, column};
    const attention_range_t behind = {joint.end, tile->end, column};
    attention_edge_values(tile, piece, count, before, span);
    attention_range_values(tile, piece, &joint, count, span);
    attention_edge_values(tile, piece, count, behind, span);
}

/* Sums of p * v for the outputs' columns [column, column + n), merged into them. They lie in the
 * values from `from` on. */
static inline void attention_merge_columns(attention_tile_t* tile,
                                           const attention_piece_t* piece,
                                           uint32_t count,
                                           uint32_t column,
                                           uint32_t n,
                                           uint32_t from) {
    const int is_integer = llmir_kv_is_integer(piece->storage);
    const uint32_t span = n > LLMIR_LANES ? n / LLMIR_LANES : 1u;
    if (!is_integer) {
        tile->values = piece->values;
        tile->value_row_bytes = piece->value_row_bytes;
    }
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        LLMIR_ROLLED
        for (uint32_t s = 0; s < ATTENTION_MAX_SPAN; ++s) {
            v16_store(&tile->sums[r][s * LLMIR_LANES], v16_zero());
        }
        if (n < LLMIR_LANES && !is_integer) {
            attention_add_values_n(tile, piece, r, column, n);
        }
    }
    if (n >= LLMIR_LANES || is_integer) { /* rows of integers are padded */
        attention_column_values(tile, piece, count, from, span);
    }
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        attention_merge_values(tile, r, column, n);
    }
}

/* How many of the `left` columns a tile of `count` rows takes at a time. */
static inline uint32_t attention_next_columns(uint32_t left, uint32_t count) {
    const uint32_t widest = attention_span(count) * LLMIR_LANES;
    return left >= widest ? widest : left < LLMIR_LANES ? left : LLMIR_LANES;
}

/* A tile for the first `count` of `rows`. */
static inline void attention_tile_init(attention_tile_t* tile,
                                       attention_row_t* rows,
                                       uint32_t count) {
    tile->rows = rows;
    tile->weights = tile->scores;
    tile->next_offset = 0;
    v16_store(tile->m, v16_zero());
    v16_store(tile->l, v16_zero());
    attention_find_ranges(tile, count);
}

/* Scores -> exponentials, and their maxima and sums merged with those of the pieces before. */
static inline void attention_softmax(attention_tile_t* tile,
                                     const attention_piece_t* piece,
                                     uint32_t count) {
    attention_exponentials(tile, piece, count);
    attention_merge_sums(tile, count);
}

/* What the next piece needs to know of this one. */
static inline void attention_keep_sums(const attention_tile_t* tile, uint32_t count) {
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        tile->rows[r].m = tile->m[r];
        tile->rows[r].l = tile->l[r];
    }
}

/* out /= l, after the last piece. */
LLMIR_OUTLINE void attention_row_finish(const attention_row_t* row, uint32_t head_dim) {
    const v16f l = v16_set1(row->l);
    for (uint32_t i = 0; i < head_dim; i += LLMIR_LANES) {
        const uint32_t left = head_dim - i;
        v16_store_upto(row->out + i, v16_div(v16_load_upto(row->out + i, left), l), left);
    }
}

#endif /* LLMIR_CPU_ATTENTION_PIECE_H */
