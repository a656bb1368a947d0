/* out = gate(in[0 .. dim)) * in[dim .. 2 dim), for gate and up matrices that were not merged. */
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/tiles.h"
#include "targets/cpu/kernels/vec16_math.h"

void LLMIR_KERNEL_NAME(gate)(const llmir_cpu_call_t* call,
                             const void* params,
                             uint32_t tile_begin,
                             uint32_t tile_end);

void LLMIR_KERNEL_NAME(gate)(const llmir_cpu_call_t* call,
                             const void* params,
                             uint32_t tile_begin,
                             uint32_t tile_end) {
    const llmir_gate_params_t* p = (const llmir_gate_params_t*)params;
    const llmir_tile_rows_t rows =
        llmir_tile_rows(tile_begin, tile_end, LLMIR_NORM_TILE_ROWS, call->batch->token_count);
    const uint32_t dim = p->dim;
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
        const float* gate =
            (const float*)((const uint8_t*)call->operands[0] + (size_t)r * call->row_bytes[0]);
        const float* up = gate + dim;
        float* out = (float*)((uint8_t*)call->operands[1] + (size_t)r * call->row_bytes[1]);
        for (uint32_t i = 0; i < dim; i += LLMIR_LANES) {
            const v16f g = v16_gate(v16_load_upto(gate + i, dim - i), p->gate);
            v16_store_upto(out + i, v16_mul(g, v16_load_upto(up + i, dim - i)), dim - i);
        }
    }
}
