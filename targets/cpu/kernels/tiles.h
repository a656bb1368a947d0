/* How each kernel cuts its work into tiles. Shared by the kernels, which turn a tile back into
 * rows, and by tiles.c, which counts. Results never depend on it. */
#ifndef LLMIR_CPU_TILES_H
#define LLMIR_CPU_TILES_H

#include "targets/cpu/kernels/kernel.h"

/* Tokens of one tile of embed, rope_table and qkv. For qkv this is one group of positions, so that
 * a tile's writes into the keys mostly stay in its own cache lines. */
#define LLMIR_TOKEN_TILE_ROWS 16u
/* Rows of one tile of norm, quantize and gate. */
#define LLMIR_NORM_TILE_ROWS 4u
/* Most tokens of one attention tile. */
#define LLMIR_ATTENTION_TILE_TOKENS 16u

typedef struct llmir_tile_rows {
    uint32_t begin;
    uint32_t end;
} llmir_tile_rows_t;

static inline uint32_t llmir_tile_count(uint32_t rows, uint32_t tile_rows) {
    return rows / tile_rows + (rows % tile_rows != 0);
}

/* The rows of tiles [tile_begin, tile_end). */
static inline llmir_tile_rows_t llmir_tile_rows(uint32_t tile_begin,
                                                uint32_t tile_end,
                                                uint32_t tile_rows,
                                                uint32_t rows) {
    const llmir_tile_rows_t all = {tile_begin * tile_rows, tile_end * tile_rows};
    return all.end > rows ? (llmir_tile_rows_t){all.begin, rows} : all;
}

static inline uint32_t llmir_extent_rows(uint32_t extent, const llmir_cpu_batch_t* batch) {
    return extent == LLMIR_EXTENT_OUTPUTS ? batch->output_count : batch->token_count;
}

/* Tokens of one attention tile: long runs of one sequence share what is read of the cache; tokens
 * of many sequences (decode) share nothing, so they are spread over threads. */
static inline uint32_t llmir_attention_tile_tokens(const llmir_cpu_batch_t* batch) {
    const uint32_t sequences = batch->sequence_count ? batch->sequence_count : 1u;
    const uint32_t run = batch->token_count / sequences;
    if (run <= 1u) {
        return 1u;
    }
    return run < LLMIR_ATTENTION_TILE_TOKENS ? run : LLMIR_ATTENTION_TILE_TOKENS;
}

#endif /* LLMIR_CPU_TILES_H */
