/* Rows against one piece: one tile of them, in the form that the cache has, or, where rows are
 * many and the cache is f16, several tiles that share what is converted. Keys and values become f32
 * a part at a time, which the L1 cache holds beside what a tile reads with it (queries, weights):
 *
 *   keys    a few groups, [group][head_dim][16]
 *   values  a few columns, [256 keys][ATTENTION_COLUMNS]
 *
 * Conversion is exact, so tiles of f32 have the bits of tiles of f16. Where ATTENTION_KEEPS says
 * so, the last tile, whose rows see furthest, converts for the others while it computes: its stores
 * and its wait for keys and values hide behind multiply-adds, as those of a loop that only converts
 * do not. */
#ifndef LLMIR_CPU_ATTENTION_PASS_H
#define LLMIR_CPU_ATTENTION_PASS_H

#include "targets/cpu/kernels/attention_piece.h"

#define ATTENTION_SHARING_ROWS (ATTENTION_SHARES_ALL ? 1u : 12u) /* fewer do not */
#define ATTENTION_WEIGHT_FLOATS (ATTENTION_INTEGER_ROWS * ATTENTION_PIECE)
#if ATTENTION_SHARES
#define ATTENTION_TILES (ATTENTION_BLOCK_ROWS / ATTENTION_MAX_ROWS)
#define ATTENTION_PART_FLOATS 8192u
#define ATTENTION_PART_KEYS 4096u /* floats of keys, where groups are not longer */
#define ATTENTION_PART_ALIGNED _Alignas(64)
_Static_assert(ATTENTION_PART_FLOATS >= ATTENTION_COLUMNS * ATTENTION_PIECE, "values");
_Static_assert(ATTENTION_PART_FLOATS >= LLMIR_KV_MAX_HEAD_DIM * LLMIR_KV_GROUP, "keys");
#else
#define ATTENTION_TILES 1u
#if defined(LLMIR_SMALL_STACK)
#define ATTENTION_PART_FLOATS ATTENTION_WEIGHT_FLOATS
#else
#define ATTENTION_PART_FLOATS (ATTENTION_WEIGHT_FLOATS + ATTENTION_UNPACKED_BYTES / 4u)
#endif
#define ATTENTION_PART_KEYS 0u
#define ATTENTION_PART_ALIGNED
#endif

/* About 90 KiB of stack where tiles share, 20 where they do not, and 3 with LLMIR_SMALL_STACK. */
typedef struct attention_pass {
    const attention_piece_t* piece;
    attention_piece_t f32; /* as tiles see it for which it is converted */
    int is_shared;
    uint32_t rows; /* of each tile */
    uint32_t tile_count;
    attention_tile_t tiles[ATTENTION_TILES];
    /* What is converted. Integer storage, which is not shared: weights, and behind them q4's values
     * unpacked, if there is room. */
    ATTENTION_PART_ALIGNED float part[ATTENTION_PART_FLOATS];
} attention_pass_t;

static inline int attention_pass_shares(const attention_pass_t* pass) {
    return ATTENTION_SHARES && pass->is_shared;
}

#define ATTENTION_LAST_CONVERTS ATTENTION_KEEPS(ATTENTION_MAX_ROWS, LLMIR_KV_STORAGE_F16)

/* Known where there is no choice. */
static inline uint32_t attention_pass_rows(const attention_pass_t* pass) {
    return ATTENTION_MAX_ROWS == 1 ? 1u : pass->rows;
}
static inline uint32_t attention_pass_tiles(const attention_pass_t* pass) {
    return ATTENTION_SHARES ? pass->tile_count : 1u;
}

/* Whether tile `t` of those that share takes the piece as it is, and converts it for the others. */
static inline int attention_converts(const attention_pass_t* pass, uint32_t t) {
    return ATTENTION_LAST_CONVERTS && t + 1u == pass->tile_count;
}

/* `count` numbers, a multiple of 16, and asks for those a kilobyte further. */
LLMIR_VEC void attention_convert(const uint8_t* from, float* to, uint32_t count) {
    LLMIR_ROLLED
    for (uint32_t i = 0; i < count; i += LLMIR_LANES) {
        __builtin_prefetch(from + i * 2u + 1024u);
        v16_store(to + i, v16_load_f16((const uint16_t*)from + i));
    }
}

/* Makes room for the keys of groups [begin, end), and converts them if no tile does. */
static inline void attention_share_keys(attention_pass_t* pass, uint32_t begin, uint32_t end) {
    const uint32_t floats = LLMIR_KV_GROUP * pass->piece->head_dim;
    float* part = pass->part;
    LLMIR_ROLLED
    for (uint32_t g = begin; g < end; ++g, part += floats) {
        pass->f32.keys[g] = (const uint8_t*)part;
        if (!ATTENTION_LAST_CONVERTS) {
            attention_convert(pass->piece->keys[g], part, floats);
        }
    }
}

/* Converts columns [column, column + n) of the values, n a multiple of 16, but for what the last
 * tile converts where whole ATTENTION_COLUMNS are taken. That is its joint range, which reaches as
 * far as the others look; where there is a window, it begins later. */
static inline void attention_share_values(attention_pass_t* pass, uint32_t column, uint32_t n) {
    const attention_piece_t* piece = pass->piece;
    const attention_range_t joint = pass->tiles[attention_pass_tiles(pass) - 1u].joint;
    const int all = !ATTENTION_LAST_CONVERTS || n < ATTENTION_COLUMNS || joint.begin == joint.end;
    const uint32_t group_end =
        all ? piece->group_end : (joint.begin + LLMIR_KV_GROUP - 1u) / LLMIR_KV_GROUP;
    LLMIR_ROLLED
    for (uint32_t g = piece->group_begin; g < group_end; ++g) {
        const uint8_t* from = piece->values[g] + column * 2u;
        float* to = pass->part + g * LLMIR_KV_GROUP * ATTENTION_COLUMNS;
        LLMIR_ROLLED
        for (uint32_t i = 0; i < LLMIR_KV_GROUP; ++i) {
            attention_convert(from, to, n);
            if (n < ATTENTION_COLUMNS) { /* taken too, for nothing */
                v16_store(to + n, v16_zero());
            }
            from += piece->value_row_bytes;
            to += ATTENTION_COLUMNS;
        }
    }
}

/* Groups that go through all tiles together: the fewest, and those that a part holds. */
static inline uint32_t attention_few_groups(const attention_pass_t* pass) {
    return pass->is_shared ? ATTENTION_SPAN(ATTENTION_MAX_ROWS) : 1u;
}
static inline uint32_t attention_part_groups(const attention_pass_t* pass) {
    const uint32_t few = attention_few_groups(pass);
    const uint32_t room = ATTENTION_PART_KEYS / (LLMIR_KV_GROUP * pass->piece->head_dim);
    return !pass->is_shared ? ATTENTION_GROUPS : room < few ? few : room / few * few;
}

/* Scores of all tiles. */
static inline void attention_pass_scores(attention_pass_t* pass) {
    const attention_piece_t* piece = pass->piece;
    if (!ATTENTION_SHARES) {
        attention_scores(&pass->tiles[0], piece, piece->group_begin, piece->group_end,
                         attention_pass_rows(pass));
        return;
    }
    const uint32_t few = attention_few_groups(pass);
    const uint32_t step = attention_part_groups(pass);
    const uint32_t last = (piece->group_end + few - 1u) / few * few;
    LLMIR_ROLLED
    for (uint32_t g = piece->group_begin / few * few; g < last; g += step) {
        const uint32_t end = g + step < last ? g + step : last;
        if (pass->is_shared) {
            attention_share_keys(pass, g, end);
        }
        LLMIR_ROLLED
        for (uint32_t t = pass->tile_count; t-- > 0;) {
            const int is_f32 = pass->is_shared && !attention_converts(pass, t);
            attention_scores(&pass->tiles[t], is_f32 ? &pass->f32 : piece, g, end, pass->rows);
        }
    }
}

/* Values of all tiles, merged into the rows' outputs. `unpacked` is room for values of q4. */
LLMIR_OUTLINE void attention_pass_values(attention_pass_t* pass, int8_t* unpacked) {
    const attention_piece_t* piece = pass->piece;
    const uint32_t head_dim = piece->head_dim;
    const uint32_t block = piece->storage == LLMIR_KV_STORAGE_Q4 ? LLMIR_KV_Q4_GROUP : head_dim;
    uint32_t n = 0;
    LLMIR_ROLLED
    for (uint32_t column = 0; column < head_dim; column += n) {
        n = attention_next_columns(head_dim - column, attention_pass_rows(pass));
        const int is_shared = attention_pass_shares(pass) && n >= LLMIR_LANES;
        if (llmir_kv_is_integer(piece->storage) && column % block == 0) {
            attention_ready_values(&pass->tiles[0], piece, attention_pass_rows(pass), column,
                                   unpacked);
        }
        if (is_shared) {
            attention_share_values(pass, column, n);
        }
        LLMIR_ROLLED
        for (uint32_t t = attention_pass_tiles(pass); t-- > 0;) {
            const int converts = attention_converts(pass, t) && n == ATTENTION_COLUMNS;
            const int is_f32 = is_shared && !converts;
            attention_merge_columns(&pass->tiles[t], is_f32 ? &pass->f32 : piece,
                                    attention_pass_rows(pass), column, n,
                                    is_f32 ? 0 : column % block);
        }
    }
}

#if defined(LLMIR_SMALL_STACK)
/* With the room on a stack that holds it no longer than the values take. */
LLMIR_OUTLINE void attention_pass_values_q4(attention_pass_t* pass) {
    int8_t unpacked[ATTENTION_UNPACKED_BYTES];
    attention_pass_values(pass, unpacked);
}
#endif

/* Whether rows share, of `left`, and how. */
static inline void attention_pass_choose(attention_pass_t* pass, uint32_t left) {
    const attention_piece_t* piece = pass->piece;
    const uint32_t floats = LLMIR_KV_GROUP * piece->head_dim * ATTENTION_SPAN(ATTENTION_MAX_ROWS);
    pass->is_shared = piece->storage == LLMIR_KV_STORAGE_F16 && left >= ATTENTION_SHARING_ROWS &&
                      floats <= ATTENTION_PART_FLOATS;
    pass->tile_count = 1u;
    if (pass->is_shared) {
        pass->rows = left < ATTENTION_MAX_ROWS ? 1u : ATTENTION_MAX_ROWS;
        pass->tile_count = left / pass->rows;
        pass->f32.head_dim = piece->head_dim;
        pass->f32.storage = LLMIR_KV_STORAGE_F32;
        pass->f32.value_row_bytes = ATTENTION_COLUMNS * 4u;
        pass->f32.scale = piece->scale;
        LLMIR_ROLLED
        for (uint32_t g = 0; g < ATTENTION_GROUPS; ++g) {
            const float* values = pass->part + g * LLMIR_KV_GROUP * ATTENTION_COLUMNS;
            pass->f32.values[g] = (const uint8_t*)values;
            pass->f32.next_keys[g] = (const uint8_t*)values;
        }
    }
}

/* Tiles for the first of `rows`. */
static inline void attention_pass_init(attention_pass_t* pass,
                                       const attention_piece_t* piece,
                                       attention_row_t* rows,
                                       uint32_t left) {
    pass->piece = piece;
    if (ATTENTION_MAX_ROWS > 1) {
        pass->rows = attention_next_rows(left, piece->storage);
    }
    if (ATTENTION_SHARES) {
        attention_pass_choose(pass, left);
    }
    const uint32_t count = attention_pass_rows(pass);
    LLMIR_ROLLED
    for (uint32_t t = 0; t < attention_pass_tiles(pass); ++t) {
        attention_tile_t* tile = &pass->tiles[t];
        attention_tile_init(tile, &rows[t * count], count);
        if (ATTENTION_LAST_CONVERTS) {
            tile->kept = pass->part;
        }
        if (llmir_kv_is_integer(piece->storage)) {
            tile->weights = (float(*)[ATTENTION_PIECE])pass->part;
        }
    }
}

/* Takes the first rows of `rows` through the piece; returns how many. */
LLMIR_OUTLINE uint32_t attention_pass_run(const attention_piece_t* piece,
                                          attention_row_t* rows,
                                          uint32_t left) {
    attention_pass_t pass;
    attention_pass_init(&pass, piece, rows, left);
    const uint32_t rows_each = attention_pass_rows(&pass);
    const uint32_t tiles = attention_pass_tiles(&pass);
    attention_pass_scores(&pass);
    LLMIR_ROLLED
    for (uint32_t t = 0; t < tiles; ++t) {
        attention_softmax(&pass.tiles[t], piece, rows_each);
    }
#if defined(LLMIR_SMALL_STACK)
    if (piece->storage == LLMIR_KV_STORAGE_Q4) {
        attention_pass_values_q4(&pass);
    } else {
        attention_pass_values(&pass, NULL);
    }
#else
    attention_pass_values(&pass, (int8_t*)(pass.part + ATTENTION_WEIGHT_FLOATS));
#endif
    LLMIR_ROLLED
    for (uint32_t t = 0; t < tiles; ++t) {
        attention_keep_sums(&pass.tiles[t], rows_each);
    }
    return rows_each * tiles;
}

#endif /* LLMIR_CPU_ATTENTION_PASS_H */
