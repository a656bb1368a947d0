/* The register tiles of attention that are compiled, and the choice among them: X(rows, storage of
 * the cache). Each costs a kilobyte or two in every library and bundle. Widest tiles of f32 share
 * what is converted from f16 (attention_pass.h). ISAs that newer ones have replaced get few. */
#ifndef LLMIR_CPU_ATTENTION_SHAPES_H
#define LLMIR_CPU_ATTENTION_SHAPES_H

#include "targets/cpu/kernels/attention_integer.h"
#include "targets/cpu/kernels/attention_tile.h"

#if ATTENTION_MAX_ROWS >= 6
#if ATTENTION_MAX_ROWS == 12
#define ATTENTION_WIDEST(X) X(12, F16) X(12, F32)
#else
#define ATTENTION_WIDEST(X)
#endif
#define ATTENTION_SHAPES(X) \
    ATTENTION_WIDEST(X)     \
    X(1, F16)               \
    X(2, F16)               \
    X(3, F16)               \
    X(4, F16)               \
    X(6, F16)               \
    X(1, F32)               \
    X(1, Q8)                \
    X(2, Q8)                \
    X(3, Q8)                \
    X(4, Q8)
#elif ATTENTION_MAX_ROWS == 1
#define ATTENTION_SHAPES(X) \
    X(1, F16)               \
    X(1, F32)               \
    X(1, Q8)
#elif ATTENTION_SHARES_ALL
#define ATTENTION_SHAPES(X) \
    X(1, F32)               \
    X(3, F32)               \
    X(1, Q8)
#else
#define ATTENTION_SHAPES(X) \
    X(1, F16)               \
    X(3, F16)               \
    X(1, F32)               \
    X(1, Q8)
#endif

/* Groups group .. group + span - 1, of those from `begin` on that are taken together. */
LLMIR_VEC void attention_score_any(attention_tile_t* tile,
                                   const attention_piece_t* piece,
                                   uint32_t begin,
                                   uint32_t group,
                                   const int rows,
                                   const int span,
                                   const uint32_t storage) {
    if (llmir_kv_is_integer(storage)) {
        attention_score_groups_q8(tile, piece, group, rows, span);
    } else {
        attention_score_groups(tile, piece, begin, group, rows, span, storage);
    }
}

/* Two functions per shape:
 * attention_scores_<rows>_<storage>: scores of groups [begin, end);
 * attention_values_<rows>_<storage>: tile->sums of `span` * 16 columns over a range of keys.
 * The widest tile takes vectors in pairs alone (ATTENTION_PAIRS). */
/* NOLINTBEGIN(bugprone-branch-clone): the branches are equal where the widest span is 1 */
#define ATTENTION_DEFINE(n, type)                                                               \
    LLMIR_OUTLINE void attention_scores_##n##_##type(                                           \
        attention_tile_t* tile, const attention_piece_t* piece, uint32_t begin, uint32_t end) { \
        const uint32_t span = ATTENTION_SPAN(n);                                                \
        uint32_t g = begin;                                                                     \
        for (; g + span <= end; g += span) {                                                    \
            attention_score_any(tile, piece, begin, g, n, ATTENTION_SPAN(n),                    \
                                LLMIR_KV_STORAGE_##type);                                       \
        }                                                                                       \
        for (; ATTENTION_SPAN(n) > 1 && !ATTENTION_PAIRS(n) && g < end; ++g) {                  \
            attention_score_any(tile, piece, begin, g, n, 1, LLMIR_KV_STORAGE_##type);          \
        }                                                                                       \
    }                                                                                           \
    LLMIR_OUTLINE void attention_values_##n##_##type(                                           \
        attention_tile_t* tile, const attention_piece_t* piece, const attention_range_t* range, \
        uint32_t span) {                                                                        \
        if (ATTENTION_PAIRS(n) || (ATTENTION_SPAN(n) > 1 && span > 1u)) {                       \
            attention_add_values(tile, piece, *range, n, ATTENTION_SPAN(n),                     \
                                 LLMIR_KV_STORAGE_##type);                                      \
        } else {                                                                                \
            attention_add_values(tile, piece, *range, n, 1, LLMIR_KV_STORAGE_##type);           \
        }                                                                                       \
    }
ATTENTION_SHAPES(ATTENTION_DEFINE)
/* NOLINTEND(bugprone-branch-clone) */
#undef ATTENTION_DEFINE

/* Tiles of q8 take what was unpacked from q4. */
static inline uint32_t attention_tile_storage(const attention_piece_t* piece) {
    return llmir_kv_is_integer(piece->storage) ? LLMIR_KV_STORAGE_Q8 : piece->storage;
}

/* Rows of the next tile, out of `left`: such that no remainder is slow. */
static inline uint32_t attention_next_rows(uint32_t left, uint32_t storage) {
#if ATTENTION_MAX_ROWS >= 6
    static const uint8_t few[12] = {0, 1, 2, 3, 4, 3, 6, 4, 4, 6, 6, 6};
    if (storage == LLMIR_KV_STORAGE_F32) {
        return 1u;
    }
    if (llmir_kv_is_integer(storage)) {
        return left == 6u || left == 3u ? 3u : left < 4u ? left : 4u;
    }
    return left < 12u ? few[left] : 6u;
#elif ATTENTION_MAX_ROWS == 1
    (void)left, (void)storage;
    return 1u;
#else
    const uint32_t widest = ATTENTION_SHARES_ALL ? LLMIR_KV_STORAGE_F32 : LLMIR_KV_STORAGE_F16;
    return storage != widest || left < 3u ? 1u : 3u;
#endif
}

/* Vectors of columns that a tile of `rows` rows takes at a time. */
static inline uint32_t attention_span(uint32_t rows) {
    (void)rows;
    return ATTENTION_SPAN(rows);
}

/* Scores of `rows` rows with groups [begin, end). */
static inline void attention_scores(attention_tile_t* tile,
                                    const attention_piece_t* piece,
                                    uint32_t begin,
                                    uint32_t end,
                                    uint32_t rows) {
    switch (rows * LLMIR_KV_STORAGE_COUNT + attention_tile_storage(piece)) {
#define ATTENTION_CASE(n, type)                                  \
    case (n) * LLMIR_KV_STORAGE_COUNT + LLMIR_KV_STORAGE_##type: \
        attention_scores_##n##_##type(tile, piece, begin, end);  \
        break;
        ATTENTION_SHAPES(ATTENTION_CASE)
#undef ATTENTION_CASE
        default:
            break;
    }
}

/* Values of `rows` rows from range->row on. */
LLMIR_OUTLINE void attention_range_values(attention_tile_t* tile,
                                          const attention_piece_t* piece,
                                          const attention_range_t* range,
                                          uint32_t rows,
                                          uint32_t span) {
    switch (rows * LLMIR_KV_STORAGE_COUNT + attention_tile_storage(piece)) {
#define ATTENTION_CASE(n, type)                                  \
    case (n) * LLMIR_KV_STORAGE_COUNT + LLMIR_KV_STORAGE_##type: \
        attention_values_##n##_##type(tile, piece, range, span); \
        break;
        ATTENTION_SHAPES(ATTENTION_CASE)
#undef ATTENTION_CASE
        default:
            break;
    }
}

#endif /* LLMIR_CPU_ATTENTION_SHAPES_H */
