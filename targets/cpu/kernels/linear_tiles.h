/* How a matrix product is cut into tiles: blocks of tokens times blocks of output panels.
 *
 * A tile is the unit that threads share. Tiles are numbered token block by token block, so a thread
 * that walks neighbouring tiles keeps the activations of its tokens in the L2 cache while it
 * streams the weights. Results never depend on any number in this file. */
#ifndef LLMIR_CPU_LINEAR_TILES_H
#define LLMIR_CPU_LINEAR_TILES_H

#include <stdint.h>

#include "llmir_bundle.h"
#include "quant/quant_layout.h"

/* Most tokens of a tile: each load of a weight is used that often, and the activations of a tile
 * stay in the L2 cache (72 Q8 rows of 2048 columns: 180 KiB; 24 f32 rows of 2048: 192 KiB). The
 * units are multiples of what micro-kernels take at once. */
#if !defined(LLMIR_SMALL_STACK)
#define LLMIR_LINEAR_TOKEN_BLOCK 72u
#define LLMIR_LINEAR_TOKEN_UNIT 12u
#define LLMIR_LINEAR_FLOAT_TOKEN_BLOCK 24u
#define LLMIR_LINEAR_FLOAT_TOKEN_UNIT 12u
#define LLMIR_LINEAR_STRIP_PANELS 4u /* weight panels whose sums are made together */
#define LLMIR_LINEAR_MAX_TERMS 4608u /* bounds tokens times groups of a pass */
#else
/* 2 KiB of stack instead of 36 (AVX-512: 60), where no bundle brings code that takes other tiles */
#define LLMIR_LINEAR_TOKEN_BLOCK 8u
#define LLMIR_LINEAR_TOKEN_UNIT 2u
#define LLMIR_LINEAR_FLOAT_TOKEN_BLOCK 8u
#define LLMIR_LINEAR_FLOAT_TOKEN_UNIT 2u
#define LLMIR_LINEAR_STRIP_PANELS 2u
#define LLMIR_LINEAR_MAX_TERMS 256u
#endif
/* Work that makes a tile worth claiming, in columns times tokens of one panel: some microseconds.
 * Unpacking the weights costs about as much as LLMIR_LINEAR_UNPACK_TOKENS tokens. */
#define LLMIR_LINEAR_TILE_WORK 8192u
#define LLMIR_LINEAR_UNPACK_TOKENS 3u
/* Up to so many tokens panels are taken one by one, so tiles need not be whole strips. */
#define LLMIR_LINEAR_FEW_TOKENS 12u
/* More tiles than this only cost; still enough for the largest processors. */
#define LLMIR_LINEAR_MAX_TILES 1024u

typedef struct llmir_linear_tiling {
    uint32_t token_block;  /* tokens of a tile, but for the last block */
    uint32_t token_blocks; /* along the tokens */
    uint32_t panel_block;  /* output panels of a tile, but for the last block */
    uint32_t panel_blocks; /* along the outputs */
} llmir_linear_tiling_t;

static inline uint32_t llmir_linear_divide_up(uint32_t value, uint32_t by) {
    return value / by + (value % by != 0);
}

/* The tiling for `rows_of_batch` (T or R) > 0 tokens. Token blocks are about equal. */
static inline llmir_linear_tiling_t llmir_linear_tiling(const llmir_linear_params_t* params,
                                                        uint32_t rows_of_batch) {
    const int is_integer = llmir_layout_is_integer(params->layout);
    const uint32_t block = is_integer ? LLMIR_LINEAR_TOKEN_BLOCK : LLMIR_LINEAR_FLOAT_TOKEN_BLOCK;
    const uint32_t unit = is_integer ? LLMIR_LINEAR_TOKEN_UNIT : LLMIR_LINEAR_FLOAT_TOKEN_UNIT;
    llmir_linear_tiling_t tiling;
    tiling.token_blocks = llmir_linear_divide_up(rows_of_batch, block);
    tiling.token_block = llmir_linear_divide_up(rows_of_batch, tiling.token_blocks);
    if (tiling.token_blocks > 1) {
        tiling.token_block = llmir_linear_divide_up(tiling.token_block, unit) * unit;
        tiling.token_blocks = llmir_linear_divide_up(rows_of_batch, tiling.token_block);
    }
    const uint32_t panels = llmir_panel_count(params->rows);
    /* Wide rows are worth it, however few the tokens; and 32 bits suffice for the others. */
    const uint32_t columns =
        params->columns < LLMIR_LINEAR_TILE_WORK ? params->columns : LLMIR_LINEAR_TILE_WORK;
    const uint32_t work = columns * (tiling.token_block + LLMIR_LINEAR_UNPACK_TOKENS);
    const uint32_t worth = work >= LLMIR_LINEAR_TILE_WORK ? 1 : LLMIR_LINEAR_TILE_WORK / work;
    const uint32_t most = LLMIR_LINEAR_MAX_TILES / tiling.token_blocks;
    const uint32_t least = llmir_linear_divide_up(panels, most ? most : 1);
    tiling.panel_block = worth > least ? worth : least;
    if (tiling.token_block > LLMIR_LINEAR_FEW_TOKENS && is_integer) {
        const uint32_t strip =
            LLMIR_LINEAR_STRIP_PANELS / (params->gate != LLMIR_GATE_NONE ? 2 : 1);
        tiling.panel_block = llmir_linear_divide_up(tiling.panel_block, strip) * strip;
    }
    tiling.panel_blocks = llmir_linear_divide_up(panels, tiling.panel_block);
    return tiling;
}

/* Tiles of a product over `rows_of_batch` > 0 tokens; at least 1. */
static inline uint32_t llmir_linear_tile_count(const llmir_linear_params_t* params,
                                               uint32_t rows_of_batch) {
    const llmir_linear_tiling_t tiling = llmir_linear_tiling(params, rows_of_batch);
    return tiling.token_blocks * tiling.panel_blocks;
}

#endif /* LLMIR_CPU_LINEAR_TILES_H */
