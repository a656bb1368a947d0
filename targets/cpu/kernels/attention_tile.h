/* The inner part of attention: a few query rows against one piece of 256 keys, with everything that
 * is accumulated in registers. A shape (rows, span) computes `rows` query rows times `span` vectors
 * of sixteen keys (scores) or of sixteen elements (values). Shapes change speed, never bits. */
#ifndef LLMIR_CPU_ATTENTION_TILE_H
#define LLMIR_CPU_ATTENTION_TILE_H

#include "targets/cpu/kernels/kv_cache.h"
#include "targets/cpu/kernels/vec16_math.h"

#define ATTENTION_PIECE 256u
#define ATTENTION_GROUPS (ATTENTION_PIECE / LLMIR_KV_GROUP)

/* The largest shapes: accumulators (rows * span), converted vectors (span) and one broadcast fit
 * into the registers of the ISA. Spans above 1 are the same for all shapes of an ISA. */
#if defined(LLMIR_SMALL_STACK)
#define ATTENTION_MAX_ROWS 1
#define ATTENTION_MAX_SPAN 1
#define ATTENTION_SPAN(rows) 1
#elif LLMIR_V16_REGISTERS >= 32
#define ATTENTION_MAX_ROWS 12
#define ATTENTION_MAX_SPAN 2
#define ATTENTION_SPAN(rows) 2
#elif LLMIR_V16_REGISTERS >= 8
#define ATTENTION_MAX_ROWS 6
#define ATTENTION_MAX_SPAN 2
#define ATTENTION_SPAN(rows) ((rows) <= 3 ? 2 : 1)
#else
#define ATTENTION_MAX_ROWS 3
#define ATTENTION_MAX_SPAN 1
#define ATTENTION_SPAN(rows) 1
#endif

/* Rows that go through the pieces together: a multiple of every register tile. */
#if defined(LLMIR_SMALL_STACK)
#define ATTENTION_BLOCK_ROWS 8u
#else
#define ATTENTION_BLOCK_ROWS 48u
#endif
/* Most rows of a tile of integer storage. */
#define ATTENTION_INTEGER_ROWS (ATTENTION_MAX_ROWS < 4 ? 1 : 4)

/* Elements of a head that the loop over keys takes at a time: with the widest tile two, which
 * leaves half of the reloads of pointers to rows that have no register. */
#define ATTENTION_MAX_STEP 2
#define ATTENTION_STEP(rows) ((rows) == 12 ? 2 : 1)
/* Whether a tile of f16 keeps what it converts, for others. */
#define ATTENTION_KEEPS(rows, storage) ((rows) == 12 && (storage) == LLMIR_KV_STORAGE_F16)
/* Whether a tile takes groups, and vectors of values, in pairs alone. Groups of a piece are even
 * for it then, with any keys in place of missing ones, and so are its columns. */
#define ATTENTION_PAIRS(rows) ((rows) == 12)
/* Whether tiles share what is converted from f16, all of it or what many rows look at
 * (attention_pass.h). Tiles of six rows and AVX2, which converts beside its multiply-adds, gained
 * nothing. */
#if defined(LLMIR_V16_SLOW_F16) && !defined(LLMIR_SMALL_STACK)
#define ATTENTION_SHARES_ALL 1
#else
#define ATTENTION_SHARES_ALL 0
#endif
#define ATTENTION_SHARES (ATTENTION_SHARES_ALL || ATTENTION_MAX_ROWS == 12)
/* Columns of values that the widest tile takes at a time. */
#define ATTENTION_COLUMNS (ATTENTION_SPAN(ATTENTION_MAX_ROWS) * LLMIR_LANES)

/* A piece as its rows see it. */
typedef struct attention_piece {
    const uint8_t* keys[ATTENTION_GROUPS]; /* of sixteen positions each */
    const uint8_t* values[ATTENTION_GROUPS];
    const uint8_t* next_keys[ATTENTION_GROUPS]; /* of the next piece, to ask for; or any */
    uint32_t group_begin;                       /* groups that rows look at; others are not set */
    uint32_t group_end;
    uint32_t head_dim;
    uint32_t storage;         /* llmir_kv_storage_t */
    uint32_t value_row_bytes; /* from the value of one key to that of the next */
    float scale;
    float soft_cap; /* 0: none */
} attention_piece_t;

/* One query head of one token. */
typedef struct attention_row {
    const float* q;     /* integer storage: the form that kv_cache.h draws */
    float* out;         /* sum of values of the pieces so far, not yet divided by l */
    uint32_t first_key; /* absolute positions */
    uint32_t last_key;  /* one past */
    uint32_t begin;     /* the part of them in this piece, relative to it */
    uint32_t end;
    float m; /* maximum of the scores so far */
    float l; /* sum of exp(score - m) so far; 0: no piece yet */
} attention_row_t;

/* Keys [begin, end), elements from `column` on. */
typedef struct attention_range {
    uint32_t begin;
    uint32_t end;
    uint32_t column;
} attention_range_t;

/* Rows that go through a piece together. Arrays by row have 16 entries: they are v16f too. */
typedef struct attention_tile {
    attention_row_t* rows;
    uint32_t begin; /* keys that any row looks at */
    uint32_t end;
    attention_range_t joint;                           /* keys that all rows look at, if any */
    float scores[ATTENTION_MAX_ROWS][ATTENTION_PIECE]; /* then exp(score - m) */
    float sums[ATTENTION_MAX_ROWS][ATTENTION_MAX_SPAN * LLMIR_LANES]; /* of values, some columns */
    float (*weights)[ATTENTION_PIECE];         /* of values: scores, scaled if those are integers */
    const uint8_t* unpacked[ATTENTION_GROUPS]; /* values of q4 */
    const uint8_t* const* values;              /* those, or the piece's */
    uint32_t value_row_bytes;                  /* from one of these to the next */
    uint32_t next_offset; /* of the part of the next keys that these values ask for */
    float* kept;          /* where a tile that keeps what it converts puts it (attention_pass.h) */
    float m[LLMIR_LANES]; /* of this piece */
    float l[LLMIR_LANES];
    float keep[LLMIR_LANES]; /* factor of what the rows hold so far */
    float add[LLMIR_LANES];  /* factor of this piece */
} attention_tile_t;

/* Sixteen elements of a value, from element `column` on. */
LLMIR_VEC v16f attention_load_value(const uint8_t* row, uint32_t column, const uint32_t storage) {
    switch (storage) {
        case LLMIR_KV_STORAGE_F32:
            return v16_load((const float*)row + column);
        case LLMIR_KV_STORAGE_Q8:
            return v16_load_i8((const int8_t*)row + column);
        default:
            return v16_load_f16((const uint16_t*)row + column);
    }
}

/* Bytes of one element of a value. */
LLMIR_VEC uint32_t attention_value_bytes(const uint32_t storage) {
    return storage == LLMIR_KV_STORAGE_F32 ? 4u : llmir_kv_is_integer(storage) ? 1u : 2u;
}

/* Pages lie far apart, so no hardware prefetcher follows the groups of a layer. Tiles of few rows
 * (decode) wait for memory, so the loop over the keys asks for the values of the piece, and the
 * loop over the values for the keys of the next piece, byte by byte as far as it is itself. */
#define ATTENTION_PREFETCH_ROWS 4

/* Scores of groups group .. group + span - 1 for rows 0 .. rows - 1; group `begin` is kept first.
 */
LLMIR_VEC void attention_score_groups(attention_tile_t* tile,
                                      const attention_piece_t* piece,
                                      uint32_t begin,
                                      uint32_t group,
                                      const int rows,
                                      const int span,
                                      const uint32_t storage) {
    v16f sums[ATTENTION_MAX_ROWS][ATTENTION_MAX_SPAN];
    const float* q[ATTENTION_MAX_ROWS];
    const uint8_t* keys[ATTENTION_MAX_SPAN];
    const uint8_t* values[ATTENTION_MAX_SPAN];
    LLMIR_UNROLLED
    for (int r = 0; r < rows; ++r) {
        q[r] = tile->rows[r].q;
        for (int s = 0; s < span; ++s) {
            sums[r][s] = v16_zero();
        }
    }
    for (int s = 0; s < span; ++s) {
        keys[s] = piece->keys[group + (uint32_t)s];
        values[s] = piece->values[group + (uint32_t)s];
    }
    const size_t head_dim = piece->head_dim;
    const int f32 = storage == LLMIR_KV_STORAGE_F32;
    const size_t element_bytes = LLMIR_KV_GROUP * (f32 ? 4u : 2u);
    const int step = ATTENTION_STEP(rows);
    float* kept = ATTENTION_KEEPS(rows, storage)
                      ? tile->kept + (group - begin) * head_dim * LLMIR_KV_GROUP
                      : NULL;
    for (size_t d = 0; d < head_dim; d += (size_t)step) {
        v16f k[ATTENTION_MAX_STEP][ATTENTION_MAX_SPAN];
        LLMIR_UNROLLED
        for (int e = 0; e < step; ++e) {
            LLMIR_UNROLLED
            for (int s = 0; s < span; ++s) {
                const uint8_t* from = keys[s] + (d + (size_t)e) * element_bytes;
                k[e][s] = f32 ? v16_load((const float*)from) : v16_load_f16((const uint16_t*)from);
                if (ATTENTION_KEEPS(rows, storage)) {
                    v16_store(kept + ((size_t)s * head_dim + d + (size_t)e) * LLMIR_KV_GROUP,
                              k[e][s]);
                }
                if (rows <= ATTENTION_PREFETCH_ROWS) {
                    __builtin_prefetch(values[s] + (d + (size_t)e) * element_bytes);
                }
            }
        }
        LLMIR_UNROLLED
        for (int r = 0; r < rows; ++r) {
            LLMIR_UNROLLED
            for (int e = 0; e < step; ++e) {
                const v16s element = v16s_set1(q[r][d + (size_t)e]);
                LLMIR_UNROLLED
                for (int s = 0; s < span; ++s) {
                    v16_fma_into(&sums[r][s], element, &k[e][s]);
                }
            }
        }
    }
    const v16f scale = v16_set1(piece->scale);
    LLMIR_UNROLLED
    for (int r = 0; r < rows; ++r) {
        for (int s = 0; s < span; ++s) {
            v16_store(&tile->scores[r][(group + (uint32_t)s) * LLMIR_KV_GROUP],
                      v16_mul(sums[r][s], scale));
        }
    }
}

/* tile->sums += p * v over a range of keys, for `rows` rows and `span` * 16 elements. */
LLMIR_VEC void attention_add_values(attention_tile_t* tile,
                                    const attention_piece_t* piece,
                                    const attention_range_t range,
                                    const int rows,
                                    const int span,
                                    const uint32_t storage) {
    v16f sums[ATTENTION_MAX_ROWS][ATTENTION_MAX_SPAN];
    for (int r = 0; r < rows; ++r) {
        for (int s = 0; s < span; ++s) {
            sums[r][s] = v16_load(&tile->sums[r][s * 16]);
        }
    }
    const size_t row_bytes = tile->value_row_bytes;
    float* kept = tile->kept;
    const size_t ahead = tile->next_offset + range.column * attention_value_bytes(storage);
    for (uint32_t key = range.begin; key < range.end;) {
        const uint32_t group = key / LLMIR_KV_GROUP;
        const uint32_t group_end = (group + 1u) * LLMIR_KV_GROUP;
        const uint32_t stop = group_end < range.end ? group_end : range.end;
        const size_t offset = (key % LLMIR_KV_GROUP) * row_bytes;
        const uint8_t* value = tile->values[group] + offset;
        const uint8_t* next = piece->next_keys[group] + offset + ahead;
        const float* p = &tile->weights[0][key];
        for (; key < stop; ++key, ++p, value += row_bytes, next += row_bytes) {
            v16f v[ATTENTION_MAX_SPAN];
            for (int s = 0; s < span; ++s) {
                v[s] =
                    attention_load_value(value, range.column + (uint32_t)s * LLMIR_LANES, storage);
                if (ATTENTION_KEEPS(rows, storage)) {
                    v16_store(kept + key * ATTENTION_COLUMNS + s * 16, v[s]);
                }
            }
            if (rows <= ATTENTION_PREFETCH_ROWS) {
                __builtin_prefetch(next);
            }
            LLMIR_UNROLLED
            for (int r = 0; r < rows; ++r) {
                const v16s weight = v16s_set1(p[(uint32_t)r * ATTENTION_PIECE]);
                for (int s = 0; s < span; ++s) {
                    v16_fma_into(&sums[r][s], weight, &v[s]);
                }
            }
        }
    }
    for (int r = 0; r < rows; ++r) {
        for (int s = 0; s < span; ++s) {
            v16_store(&tile->sums[r][s * 16], sums[r][s]);
        }
    }
}

/* The same for one row of floats and the last `n` elements of a head whose size is no multiple of
 * 16. */
LLMIR_OUTLINE void attention_add_values_n(attention_tile_t* tile,
                                          const attention_piece_t* piece,
                                          uint32_t r,
                                          uint32_t column,
                                          uint32_t n) {
    v16f sums = v16_load(tile->sums[r]);
    const int f32 = piece->storage == LLMIR_KV_STORAGE_F32;
    for (uint32_t key = tile->rows[r].begin; key < tile->rows[r].end; ++key) {
        const uint8_t* values = piece->values[key / LLMIR_KV_GROUP];
        const size_t element = (size_t)(key % LLMIR_KV_GROUP) * piece->head_dim + column;
        const v16f v = f32 ? v16_load_n((const float*)values + element, n)
                           : v16_load_f16_n((const uint16_t*)values + element, n);
        sums = v16_fma(v16_set1(tile->scores[r][key]), v, sums);
    }
    v16_store(tile->sums[r], sums);
}

#endif /* LLMIR_CPU_ATTENTION_TILE_H */
