/* The softmax of attention_piece.h one number after the other, for processors without vectors: the
 * same operations in the same order for each lane, and therefore the same bits, in a third of the
 * code. */
#ifndef LLMIR_CPU_ATTENTION_SMALL_H
#define LLMIR_CPU_ATTENTION_SMALL_H

#include "targets/cpu/kernels/attention_tile.h"

/* Scores of row r -> exponentials, with their maximum and sum. */
LLMIR_OUTLINE void attention_row_exponentials(attention_tile_t* tile,
                                              const attention_piece_t* piece,
                                              uint32_t r) {
    const attention_row_t* row = &tile->rows[r];
    const uint32_t first = row->begin / LLMIR_KV_GROUP * LLMIR_KV_GROUP;
    const uint32_t last = (row->end + LLMIR_KV_GROUP - 1u) / LLMIR_KV_GROUP * LLMIR_KV_GROUP;
    float* scores = tile->scores[r];
    float m = -__builtin_inff();
    LLMIR_ROLLED
    for (uint32_t i = first; i < last; ++i) {
        if (i < row->begin || i >= row->end) {
            scores[i] = -__builtin_inff();
        } else if (piece->soft_cap != 0.0f) {
            scores[i] = piece->soft_cap * small_tanh(scores[i] / piece->soft_cap);
        }
        m = scores[i] > m ? scores[i] : m;
    }
    v16f sums = v16_zero();
    LLMIR_ROLLED
    for (uint32_t i = first; i < last; ++i) {
        scores[i] = small_exp_nonpositive(scores[i] - m);
        sums.lane[i % LLMIR_LANES] += scores[i];
    }
    tile->m[r] = m;
    tile->l[r] = v16_sum(sums);
}

static inline void attention_exponentials(attention_tile_t* tile,
                                          const attention_piece_t* piece,
                                          uint32_t count) {
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        attention_row_exponentials(tile, piece, r);
    }
}

/* Merges maxima and sums of the piece into the rows, and leaves the factors for the values. A row
 * without a piece has m = -infinity and l = 0: keep = 0, add = 1. */
LLMIR_OUTLINE void attention_merge_sums(attention_tile_t* tile, uint32_t count) {
    LLMIR_ROLLED
    for (uint32_t r = 0; r < count; ++r) {
        const attention_row_t* row = &tile->rows[r];
        const float m = row->m > tile->m[r] ? row->m : tile->m[r];
        tile->keep[r] = small_exp_nonpositive(row->m - m);
        tile->add[r] = small_exp_nonpositive(tile->m[r] - m);
        tile->m[r] = m;
        tile->l[r] = small_fma(tile->l[r], tile->add[r], row->l * tile->keep[r]);
    }
}

#endif /* LLMIR_CPU_ATTENTION_SMALL_H */
