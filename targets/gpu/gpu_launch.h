/* Which functions run a step of a submission, and with how many workgroups. */
#ifndef LLMIR_GPU_LAUNCH_H
#define LLMIR_GPU_LAUNCH_H

#include "targets/gpu/gpu_code.h"
#include "targets/gpu/gpu_plan.h"

#define LLMIR_GPU_STEP_LAUNCHES 2u

typedef struct llmir_gpu_launch {
    uint32_t function;
    uint32_t threads; /* of a workgroup, along x */
    uint32_t grid_x;
    uint32_t grid_y;
} llmir_gpu_launch_t;

/* Parts that attention cuts the longest context of a batch into, rounded up to a power of two, so
 * that it seldom changes; 0: it does not cut. */
uint32_t llmir_gpu_batch_parts(const llmir_batch_t* batch);

/* The launches of a step, which run one after the other; none, if it has no rows.
 * Errors: UNSUPPORTED (no function for this cache). */
llmir_status_t llmir_gpu_step_launches(const llmir_gpu_code_t* code,
                                       const llmir_plan_view_t* plan,
                                       const llmir_gpu_step_t* step,
                                       const llmir_submission_t* submission,
                                       llmir_gpu_launch_t out_launches[LLMIR_GPU_STEP_LAUNCHES],
                                       uint32_t* out_count,
                                       llmir_error_t* error);

#endif /* LLMIR_GPU_LAUNCH_H */
