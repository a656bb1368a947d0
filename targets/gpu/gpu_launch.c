/* Which functions run a step. Attention of few tokens over long contexts is cut into parts
 * (llmir_bundle.h: LLMIR_GPU_PARTS); the bits are those of one function for all, so this is free to
 * choose. */
#include "targets/gpu/gpu_launch.h"

#include <inttypes.h>

static uint32_t pieces_of(uint32_t keys) {
    return keys / LLMIR_GPU_PIECE_KEYS + (keys % LLMIR_GPU_PIECE_KEYS != 0);
}

/* The power of two that is enough for so many pieces, at most LLMIR_GPU_PARTS. */
static uint32_t parts_of(uint32_t pieces) {
    uint32_t parts = 1;
    while (parts < pieces && parts < LLMIR_GPU_PARTS) {
        parts *= 2u;
    }
    return parts;
}

uint32_t llmir_gpu_batch_parts(const llmir_batch_t* batch) {
    uint32_t longest = 0;
    if (batch->token_count > LLMIR_GPU_SPLIT_ROWS) {
        return 0;
    }
    for (uint32_t i = 0; i < batch->token_count; ++i) {
        const uint32_t keys = (uint32_t)batch->positions[i] + 1u;
        longest = keys > longest ? keys : longest;
    }
    const uint32_t parts = parts_of(pieces_of(longest));
    return parts > 1u ? parts : 0u;
}

/* A window lies in at most two pieces more than it has whole ones. */
static uint32_t step_parts(const llmir_plan_view_t* plan,
                           const llmir_gpu_step_t* step,
                           const llmir_batch_t* batch) {
    uint32_t parts = llmir_gpu_batch_parts(batch);
    const uint32_t window = plan->kv_layers[step->kv_layer].window;
    if (window != 0) {
        const uint32_t most = parts_of(window / LLMIR_GPU_PIECE_KEYS + 2u);
        parts = parts < most ? parts : most;
    }
    return parts;
}

static llmir_gpu_launch_t launch_of(const llmir_gpu_code_t* code,
                                    const llmir_gpu_step_t* step,
                                    uint32_t index,
                                    uint32_t rows) {
    const llmir_gpu_function_t function = llmir_gpu_code_function(code, index);
    return (llmir_gpu_launch_t){index, function.threads, llmir_gpu_step_grid(step, &function),
                                rows / function.rows + (rows % function.rows != 0)};
}

llmir_status_t llmir_gpu_step_launches(const llmir_gpu_code_t* code,
                                       const llmir_plan_view_t* plan,
                                       const llmir_gpu_step_t* step,
                                       const llmir_submission_t* submission,
                                       llmir_gpu_launch_t out_launches[LLMIR_GPU_STEP_LAUNCHES],
                                       uint32_t* out_count,
                                       llmir_error_t* error) {
    const llmir_batch_t* batch = submission->batch;
    const uint32_t rows = llmir_gpu_step_rows(step, submission);
    *out_count = 0;
    if (rows == 0) {
        return LLMIR_STATUS_OK;
    }
    const uint32_t whole = llmir_gpu_code_choose(code, step->variant, batch->kv_type, rows);
    if (whole == LLMIR_GPU_ANY) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "dispatch %" PRIu32 ": the bundle has no function for this cache",
                          step->dispatch);
    }
    const uint32_t split = llmir_gpu_code_function(code, whole).split;
    const uint32_t join = split != 0 ? llmir_gpu_code_function(code, split - 1u).split : 0u;
    const int can_split =
        join != 0 && step->bindings[LLMIR_GPU_SCRATCH_BINDING].space != LLMIR_GPU_SPACE_NONE;
    const uint32_t parts = can_split ? step_parts(plan, step, batch) : 0u;
    if (parts == 0) {
        out_launches[0] = launch_of(code, step, whole, rows);
        *out_count = 1;
        return LLMIR_STATUS_OK;
    }
    out_launches[0] = launch_of(code, step, split - 1u, rows);
    out_launches[0].grid_x *= parts;
    out_launches[1] = launch_of(code, step, join - 1u, rows);
    *out_count = 2;
    return LLMIR_STATUS_OK;
}
