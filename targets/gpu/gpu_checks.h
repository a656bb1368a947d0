/* What submissions of every GPU target must be like, and whether to stop them. */
#ifndef LLMIR_GPU_CHECKS_H
#define LLMIR_GPU_CHECKS_H

#include "targets/gpu/gpu_plan.h"

/* The values of the plan and the arrays of the batch lie within the activations.
 * Errors: INVALID_ARGUMENT. */
llmir_status_t llmir_gpu_check_submission(const llmir_plan_view_t* plan,
                                          const llmir_submission_t* submission,
                                          const llmir_batch_arrays_t* arrays,
                                          llmir_error_t* error);

/* Errors: CANCELLED or DEADLINE, if it is to stop. */
llmir_status_t llmir_gpu_check_stop(const llmir_submission_t* submission, llmir_error_t* error);

#endif /* LLMIR_GPU_CHECKS_H */
