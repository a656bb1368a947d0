/* x[t] = weights[token[t]] * scale: one row of a matrix of any layout as f32.
 *
 * The rows of a panel lie interleaved, so the integers of one row are gathered four at a time.
 * Products with integer weights are exact in f32. */
#include "quant/half.h"
#include "quant/quant_layout.h"
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/tiles.h"
#include "targets/cpu/kernels/vec16.h"

void LLMIR_KERNEL_NAME(embed)(const llmir_cpu_call_t* call,
                              const void* params,
                              uint32_t tile_begin,
                              uint32_t tile_end);

#define LLMIR_LANE_SCALE_BYTES 32u /* sixteen f16 behind the integers of a block */

/* One f16 of a block's scales or minima. */
LLMIR_VEC float embed_f16(const uint8_t* scales, uint32_t lane) {
    uint16_t bits;
    __builtin_memcpy(&bits, scales + lane * 2u, 2);
    return llmir_f16_to_f32(bits);
}

/* A row of PANEL_S4 or PANEL_U4. `panel` holds the row in lane `lane`. */
LLMIR_OUTLINE void embed_nibbles(const llmir_embed_params_t* p,
                                 const uint8_t* panel,
                                 uint32_t lane,
                                 float* out) {
    const int is_unsigned = p->layout == LLMIR_LAYOUT_PANEL_U4;
    const uint32_t nibble_bytes = p->group / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES;
    const float scale = p->scale;
    for (uint32_t column = 0; column < p->dim; column += LLMIR_CHUNK_COLUMNS) {
        const uint32_t in_group = column % p->group;
        const uint8_t* block =
            panel + (size_t)(column / p->group) * llmir_block_bytes(p->layout, p->group);
        const uint8_t* chunk = block + in_group / LLMIR_CHUNK_COLUMNS * LLMIR_CHUNK_BYTES;
        const float d = embed_f16(block + nibble_bytes, lane);
        /* S4 counts from -8. An exact product, so one rounding at most: that of adding m. */
        const float zero = is_unsigned ? 0.0f : 8.0f;
        const float m =
            is_unsigned ? embed_f16(block + nibble_bytes + LLMIR_LANE_SCALE_BYTES, lane) : 0.0f;
        for (uint32_t i = 0; i < 16; ++i) {
            const uint32_t pair = chunk[i / 4u * 64u + lane * 4u + i % 4u];
            out[column + i] = (d * ((float)(pair & 15u) - zero) + m) * scale;
            out[column + 16u + i] = (d * ((float)(pair >> 4) - zero) + m) * scale;
        }
    }
}

LLMIR_OUTLINE void embed_bytes(const llmir_embed_params_t* p,
                               const uint8_t* panel,
                               uint32_t lane,
                               float* out) {
    for (uint32_t column = 0; column < p->dim; column += 4u) {
        const uint32_t c = column % p->group;
        const uint8_t* block =
            panel + (size_t)(column / p->group) * llmir_block_bytes(p->layout, p->group);
        const float d = embed_f16(block + p->group * LLMIR_PANEL_ROWS, lane);
        for (uint32_t i = 0; i < 4; ++i) {
            const int8_t q = (int8_t)block[c * 16u + lane * 4u + i];
            out[column + i] = d * (float)q * p->scale;
        }
    }
}

/* Sixteen elements, or those that are left, of a row of 2- or 4-byte floats. */
LLMIR_VEC v16f embed_floats(const uint8_t* row, uint32_t step, uint32_t layout, uint32_t left) {
    const uint32_t count = left < LLMIR_LANES ? left : LLMIR_LANES;
    if (layout == LLMIR_LAYOUT_F32 || layout == LLMIR_LAYOUT_PANEL_F32) {
        float f[16] = {0};
        for (uint32_t i = 0; i < count; ++i) {
            __builtin_memcpy(&f[i], row + (size_t)i * step, 4);
        }
        return v16_load(f);
    }
    uint16_t bits[16] = {0};
    for (uint32_t i = 0; i < count; ++i) {
        __builtin_memcpy(&bits[i], row + (size_t)i * step, 2);
    }
    return layout == LLMIR_LAYOUT_PANEL_BF16 ? v16_load_bf16(bits) : v16_load_f16(bits);
}

/* A row of floats whose elements are `step` bytes apart. */
LLMIR_OUTLINE void embed_float_row(const llmir_embed_params_t* p,
                                   const uint8_t* row,
                                   uint32_t step,
                                   float* out) {
    const v16f scale = v16_set1(p->scale);
    for (uint32_t column = 0; column < p->dim; column += LLMIR_LANES) {
        const uint32_t left = p->dim - column;
        const v16f w = embed_floats(row + (size_t)column * step, step, p->layout, left);
        v16_store_upto(out + column, v16_mul(w, scale), left);
    }
}

static void embed_row(const llmir_embed_params_t* p,
                      const uint8_t* weights,
                      uint32_t token,
                      float* out) {
    const uint32_t lane = token % LLMIR_PANEL_ROWS;
    const uint8_t* panel = weights + (size_t)(token / LLMIR_PANEL_ROWS) *
                                         llmir_panel_bytes(p->layout, p->group, p->dim);
    switch (p->layout) {
        case LLMIR_LAYOUT_PANEL_S4:
        case LLMIR_LAYOUT_PANEL_U4:
            embed_nibbles(p, panel, lane, out);
            break;
        case LLMIR_LAYOUT_PANEL_S8:
            embed_bytes(p, panel, lane, out);
            break;
        case LLMIR_LAYOUT_PANEL_F32:
            embed_float_row(p, panel + lane * 4u, 64u, out);
            break;
        case LLMIR_LAYOUT_PANEL_F16:
        case LLMIR_LAYOUT_PANEL_BF16:
            embed_float_row(p, panel + lane * 2u, 32u, out);
            break;
        case LLMIR_LAYOUT_F32:
            embed_float_row(p, weights + (size_t)token * p->dim * 4u, 4u, out);
            break;
        default: /* LLMIR_LAYOUT_F16 */
            embed_float_row(p, weights + (size_t)token * p->dim * 2u, 2u, out);
            break;
    }
}

void LLMIR_KERNEL_NAME(embed)(const llmir_cpu_call_t* call,
                              const void* params,
                              uint32_t tile_begin,
                              uint32_t tile_end) {
    const llmir_embed_params_t* p = (const llmir_embed_params_t*)params;
    const llmir_cpu_batch_t* batch = call->batch;
    const llmir_tile_rows_t rows =
        llmir_tile_rows(tile_begin, tile_end, LLMIR_TOKEN_TILE_ROWS, batch->token_count);
    for (uint32_t t = rows.begin; t < rows.end; ++t) {
        float* out = (float*)((uint8_t*)call->operands[1] + (size_t)t * call->row_bytes[1]);
        embed_row(p, (const uint8_t*)call->operands[0], (uint32_t)batch->tokens[t], out);
    }
}
