/* How many tiles a dispatch has, for built-in and specialised code alike. */
#include "targets/cpu/kernels/tiles.h"

#include "targets/cpu/kernels/kernel_table.h"
#include "targets/cpu/kernels/linear_tiles.h"

static uint32_t norm_tile_count(const llmir_norm_params_t* params, const llmir_cpu_batch_t* batch) {
    return llmir_tile_count(params->gather ? batch->output_count : batch->token_count,
                            LLMIR_NORM_TILE_ROWS);
}

static uint32_t quantize_tile_count(const llmir_quantize_params_t* params,
                                    const llmir_cpu_batch_t* batch) {
    return llmir_tile_count(llmir_extent_rows(params->extent, batch), LLMIR_NORM_TILE_ROWS);
}

static uint32_t linear_tile_count(const llmir_linear_params_t* params,
                                  const llmir_cpu_batch_t* batch) {
    const uint32_t rows = llmir_extent_rows(params->extent, batch);
    return rows == 0 ? 0 : llmir_linear_tile_count(params, rows);
}

static uint32_t attention_tile_count(const llmir_attention_params_t* params,
                                     const llmir_cpu_batch_t* batch) {
    return params->kv_heads *
           llmir_tile_count(batch->token_count, llmir_attention_tile_tokens(batch));
}

uint32_t llmir_cpu_kernel_tile_count(uint32_t kernel,
                                     const void* params,
                                     const llmir_cpu_batch_t* batch) {
    switch (kernel) {
        case LLMIR_KERNEL_EMBED:
        case LLMIR_KERNEL_ROPE_TABLE:
        case LLMIR_KERNEL_QKV:
            return llmir_tile_count(batch->token_count, LLMIR_TOKEN_TILE_ROWS);
        case LLMIR_KERNEL_NORM:
            return norm_tile_count(params, batch);
        case LLMIR_KERNEL_QUANTIZE:
            return quantize_tile_count(params, batch);
        case LLMIR_KERNEL_LINEAR:
            return linear_tile_count(params, batch);
        case LLMIR_KERNEL_ATTENTION:
            return attention_tile_count(params, batch);
        case LLMIR_KERNEL_GATE:
            return llmir_tile_count(batch->token_count, LLMIR_NORM_TILE_ROWS);
        default:
            return 0;
    }
}
