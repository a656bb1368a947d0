/* Quantizes rows of activations to Q8 (quant/activation.h). */
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/q8_rows.h"
#include "targets/cpu/kernels/tiles.h"

void LLMIR_KERNEL_NAME(quantize)(const llmir_cpu_call_t* call,
                                 const void* params,
                                 uint32_t tile_begin,
                                 uint32_t tile_end);

void LLMIR_KERNEL_NAME(quantize)(const llmir_cpu_call_t* call,
                                 const void* params,
                                 uint32_t tile_begin,
                                 uint32_t tile_end) {
    const llmir_quantize_params_t* p = (const llmir_quantize_params_t*)params;
    const llmir_tile_rows_t rows = llmir_tile_rows(tile_begin, tile_end, LLMIR_NORM_TILE_ROWS,
                                                   llmir_extent_rows(p->extent, call->batch));
    const uint32_t group_count = p->dim / p->group;
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
        const uint8_t* in = (const uint8_t*)call->operands[0] + (size_t)r * call->row_bytes[0];
        uint8_t* out = (uint8_t*)call->operands[1] + (size_t)r * call->row_bytes[1];
        const llmir_q8_row_t q8 = llmir_q8_row(out, p->wide ? 2 * p->dim : p->dim, p->group);
        for (uint32_t g = 0; g < group_count; ++g) {
            const float* x = (const float*)in + g * p->group;
            if (p->wide) {
                llmir_q8_group_store_wide(q8, g, p->dim, x, p->group);
            } else {
                (void)llmir_q8_group_store(q8, g, x, p->group);
            }
        }
    }
}
