/* out[t][out_column + n] = epilogue(sum over k of w[n][k] * a[t][k]): the matrix product, for int4,
 * int8 and float weights in panels of 16 outputs.
 *
 * The arithmetic is one contract for every ISA, so that all of them (those without FMA apart: they
 * round a * b before adding) give the same bits, for any number of tokens, threads and tiles.
 *
 *   integer weights, per output n and token t, groups g in order, acc = 0 at first:
 *     i   = dot(q_w[n][g], q_a[t][g])                 exact, of q - 8 for S4; wide activations
 *                                                     have 256 * high + low for q_a
 *     acc = fma((float)i * d[n][g], scale[t][g], acc)
 *     acc = fma(m[n][g], (float)sum[t][g] * scale[t][g], acc)             U4 only
 *   float weights: linear_float.h
 *   epilogue, in this order: + bias, gate, soft cap, + what out held
 *
 * This file has the tiles and the epilogue; the sums are made by the micro-kernels of one ISA
 * family. A tile's sums stay on the stack between the two. */
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/linear_float.h"
#include "targets/cpu/kernels/linear_pass.h"
#include "targets/cpu/kernels/linear_tiles.h"
#include "targets/cpu/kernels/tiles.h"
#include "targets/cpu/kernels/vec16_math.h"

#if defined(LLMIR_KERNEL_EXACT_FMA)
#include "targets/cpu/kernels/linear_plain.h"
#elif defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
    defined(__AVX512VL__)
#include "targets/cpu/kernels/linear_vnni.h"
#elif defined(__SSE4_1__) && (!defined(__AVX2__) || (defined(__FMA__) && defined(__F16C__)))
#include "targets/cpu/kernels/linear_maddubs.h"
#elif defined(LLMIR_V16_NEON)
#include "targets/cpu/kernels/linear_neon.h"
#elif defined(LLMIR_V16_RVV)
#include "targets/cpu/kernels/linear_rvv.h"
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#include "targets/cpu/kernels/linear_helium.h"
#elif defined(__ARM_FEATURE_SIMD32) && defined(__ARM_FEATURE_FMA) && __ARM_ARCH_PROFILE == 'M'
#include "targets/cpu/kernels/linear_dsp.h"
#else
#include "targets/cpu/kernels/linear_plain.h"
#endif

#if !defined(LINEAR_DOT_START)
#define LINEAR_DOT_START 0 /* where the dots of narrow rows begin, beside what the layout adds */
#endif

void LLMIR_KERNEL_NAME(linear)(const llmir_cpu_call_t* call,
                               const void* params,
                               uint32_t tile_begin,
                               uint32_t tile_end);

#define TOKEN_FLOATS (LLMIR_LINEAR_TOKEN_BLOCK * LLMIR_PANEL_ROWS)
#define STRIP_PANELS LLMIR_LINEAR_STRIP_PANELS /* they share the terms */

/* The tokens of one tile and what is computed for them. Arrays lie outside, so that compilers keep
 * the rest in registers and constants constant. */
typedef struct linear_tile {
    const llmir_linear_params_t* params;
    const llmir_cpu_call_t* call;
    uint32_t first_token;
    uint32_t token_count;
    uint32_t block_count; /* of the weights, along the columns */
    uint32_t pass_blocks; /* that one pass takes at most: bounded by the terms */
    float* sums;          /* [weight panel of the strip][token block][16], 64-byte aligned */
    linear_term_t* terms; /* [token][blocks of the pass] */
} linear_tile_t;

/* Blocks that passes over several weight panels share. */
typedef struct linear_span {
    uint32_t begin;
    uint32_t count;
    uint32_t term_stride; /* terms between two tokens */
    const linear_term_t* terms;
} linear_span_t;

LLMIR_VEC const uint8_t* tile_activations(const linear_tile_t* tile) {
    return (const uint8_t*)tile->call->operands[0] +
           (size_t)tile->first_token * tile->call->row_bytes[0];
}

/* Columns of a row of activations, high and low bytes counted apart. */
LLMIR_VEC uint32_t tile_row_columns(const linear_tile_t* tile) {
    const llmir_linear_params_t* p = tile->params;
    return p->flags & LLMIR_LINEAR_WIDE ? 2 * p->columns : p->columns;
}

/* Makes the terms of blocks [begin, begin + count) for all tokens of the tile. */
LLMIR_VEC void tile_make_terms(linear_tile_t* tile, uint32_t begin, uint32_t count) {
    const llmir_linear_params_t* p = tile->params;
    const int32_t offset = p->layout == LLMIR_LAYOUT_PANEL_S4 ? -8 : -128;
    const int32_t start = p->flags & LLMIR_LINEAR_WIDE ? 0 : LINEAR_DOT_START;
    const uint32_t columns = tile_row_columns(tile);
    for (uint32_t t = 0; t < tile->token_count; t++) {
        const uint8_t* row = tile_activations(tile) + (size_t)t * tile->call->row_bytes[0];
        const float* scales = (const float*)(row + llmir_q8_scale_offset(columns)) + begin;
        const int32_t* sums =
            (const int32_t*)(row + llmir_q8_sum_offset(columns, p->group)) + begin;
        linear_term_t* terms = tile->terms + (size_t)t * count;
        if (p->layout == LLMIR_LAYOUT_PANEL_U4) {
            for (uint32_t g = 0; g < count; g++) {
                terms[g].f = (float)sums[g] * scales[g];
            }
        } else {
            for (uint32_t g = 0; g < count; g++) {
                terms[g].i = sums[g] * offset + start;
            }
        }
    }
}

/* Moves the pass on by one panel. */
LLMIR_VEC void pass_next_panel(linear_pass_t* pass) {
    pass->blocks += pass->panel_bytes;
    pass->sums += pass->sum_stride;
}

/* All panels of the pass; where it stands afterwards is open. */
LLMIR_VEC void pass_run(linear_pass_t* pass, uint32_t layout) {
    if (!llmir_layout_is_integer(layout)) {
        for (uint32_t i = 0; i < pass->panel_count; i++, pass_next_panel(pass)) {
            linear_float_pass(pass, layout);
        }
        return;
    }
#if defined(LINEAR_TAKES_PANELS)
    linear_integer_panels(pass, layout);
#else
    for (uint32_t i = 0; i < pass->panel_count; i++, pass_next_panel(pass)) {
        linear_integer_pass(pass, layout);
    }
#endif
}

/* Adds the products of a span with `panel_count` weight panels to the sums. */
LLMIR_VEC void tile_run_pass(const linear_tile_t* tile,
                             uint32_t weight_panel,
                             uint32_t panel_count,
                             const linear_span_t* span) {
    const llmir_linear_params_t* p = tile->params;
    const uint8_t* row = tile_activations(tile);
    linear_pass_t pass;
    pass.block_bytes = llmir_block_bytes(p->layout, p->group);
    pass.blocks = (const uint8_t*)tile->call->operands[1] +
                  ((size_t)weight_panel * tile->block_count + span->begin) * pass.block_bytes;
    pass.block_count = span->count;
    pass.low_offset = p->flags & LLMIR_LINEAR_WIDE ? p->columns : 0;
    pass.rows = row;
    pass.row_bytes = tile->call->row_bytes[0];
    pass.token_count = tile->token_count;
    pass.term_stride = span->term_stride;
    pass.terms = span->terms;
    pass.sums = tile->sums;
    pass.panel_count = panel_count;
    pass.panel_bytes = tile->block_count * pass.block_bytes;
    pass.sum_stride = TOKEN_FLOATS;
    if (!llmir_layout_is_integer(p->layout)) {
        pass.group = 1;
        pass.scales = row;
    } else {
        pass.group = p->group;
        pass.rows = row + (size_t)span->begin * p->group;
        pass.scales = row + llmir_q8_scale_offset(tile_row_columns(tile)) + (size_t)span->begin * 4;
    }
    pass_run(&pass, p->layout);
}

/* Makes the sums of weight panels [first, first + count), count <= STRIP_PANELS. `terms_are_made`:
 * those of all blocks are there already. */
LLMIR_VEC void tile_sum_strip(linear_tile_t* tile,
                              uint32_t first,
                              uint32_t count,
                              int terms_are_made) {
    /* All of the strip: micro-kernels may compute panels that are missing, for nothing. */
    for (uint32_t i = 0; i < STRIP_PANELS; i++) {
        for (uint32_t t = 0; t < tile->token_count; t++) {
            v16_store(tile->sums + i * TOKEN_FLOATS + t * LLMIR_PANEL_ROWS, v16_zero());
        }
    }
    linear_span_t span = {0, 0, tile->block_count, tile->terms};
    for (; span.begin < tile->block_count; span.begin += span.count) {
        const uint32_t left = tile->block_count - span.begin;
        span.count = left < tile->pass_blocks ? left : tile->pass_blocks;
        if (terms_are_made) {
            span.terms = tile->terms + span.begin;
        } else {
            span.term_stride = span.count;
            tile_make_terms(tile, span.begin, span.count);
        }
        tile_run_pass(tile, first, count, &span);
    }
}

/* Finishes output panel `panel` from its sums (with a gate: `sums` and the panel after it). */
LLMIR_VEC void tile_finish_panel(const linear_tile_t* tile, uint32_t panel, const float* sums) {
    const llmir_linear_params_t* p = tile->params;
    const uint32_t row = panel * LLMIR_PANEL_ROWS;
    /* Whole panels are known at compile time where the shape is constant. */
    const uint32_t left = p->rows % LLMIR_PANEL_ROWS == 0 ? LLMIR_PANEL_ROWS : p->rows - row;
    const size_t stride = tile->call->row_bytes[3];
    uint8_t* out = (uint8_t*)tile->call->operands[3] + tile->first_token * stride +
                   ((size_t)p->out_column + row) * 4;
    const v16f bias = p->flags & LLMIR_LINEAR_BIAS
                          ? v16_load_upto((const float*)tile->call->operands[2] + row, left)
                          : v16_zero();
    for (uint32_t t = 0; t < tile->token_count; t++, out += stride) {
        v16f v = v16_load(sums + t * LLMIR_PANEL_ROWS);
        if (p->flags & LLMIR_LINEAR_BIAS) {
            v = v16_add(v, bias);
        }
        if (p->gate != LLMIR_GATE_NONE) {
            v = v16_mul(v16_gate(v, p->gate), v16_load(sums + TOKEN_FLOATS + t * LLMIR_PANEL_ROWS));
        }
        if (p->soft_cap != 0.0f) {
            v = v16_soft_cap(v, p->soft_cap);
        }
        if (p->flags & LLMIR_LINEAR_ADD) {
            v = v16_add(v, v16_load_upto((const float*)out, left));
        }
        v16_store_upto((float*)out, v, left);
    }
}

/* Output panels [first, end) for the tokens of the tile. */
LLMIR_VEC void tile_run(linear_tile_t* tile, uint32_t first, uint32_t end) {
    const llmir_linear_params_t* p = tile->params;
    const uint32_t per_output = p->gate != LLMIR_GATE_NONE ? 2 : 1; /* weight panels */
    const int is_integer = llmir_layout_is_integer(p->layout);
    tile->block_count = is_integer ? p->columns / p->group : p->columns;
    tile->pass_blocks = is_integer ? LLMIR_LINEAR_MAX_TERMS / tile->token_count : p->columns;
    const int terms_are_made = tile->block_count <= tile->pass_blocks || !is_integer;
    if (terms_are_made && is_integer) {
        tile_make_terms(tile, 0, tile->block_count);
    }
    for (uint32_t panel = first; panel < end;) {
        const uint32_t left = end - panel;
        const uint32_t most = STRIP_PANELS / per_output;
        const uint32_t count = left < most ? left : most;
        tile_sum_strip(tile, panel * per_output, count * per_output, terms_are_made);
        for (uint32_t i = 0; i < count; i++) {
            tile_finish_panel(tile, panel + i, tile->sums + i * per_output * TOKEN_FLOATS);
        }
        panel += count;
    }
}

void LLMIR_KERNEL_NAME(linear)(const llmir_cpu_call_t* call,
                               const void* params,
                               uint32_t tile_begin,
                               uint32_t tile_end) {
    const llmir_linear_params_t* p = (const llmir_linear_params_t*)params;
    const uint32_t tokens = llmir_extent_rows(p->extent, call->batch);
    if (tokens == 0) {
        return;
    }
    const llmir_linear_tiling_t tiling = llmir_linear_tiling(p, tokens);
    const uint32_t panels = llmir_panel_count(p->rows);
    _Alignas(64) float sums[STRIP_PANELS * TOKEN_FLOATS];
    linear_term_t terms[LLMIR_LINEAR_MAX_TERMS];
    linear_tile_t tile;
    tile.params = p;
    tile.call = call;
    tile.sums = sums;
    tile.terms = terms;
    while (tile_begin < tile_end) {
        /* Neighbouring tiles of one token block are one run of panels. */
        const uint32_t block = tile_begin / tiling.panel_blocks;
        const uint32_t in_block = tile_begin % tiling.panel_blocks;
        const uint32_t left = tiling.panel_blocks - in_block;
        const uint32_t count = tile_end - tile_begin < left ? tile_end - tile_begin : left;
        const uint32_t last = (in_block + count) * tiling.panel_block;
        tile.first_token = block * tiling.token_block;
        tile.token_count = tokens - tile.first_token < tiling.token_block
                               ? tokens - tile.first_token
                               : tiling.token_block;
        tile_run(&tile, in_block * tiling.panel_block, last < panels ? last : panels);
        tile_begin += count;
    }
}
