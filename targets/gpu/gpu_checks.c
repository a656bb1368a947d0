/* What submissions of every GPU target must be like, and whether to stop them. */
#include "targets/gpu/gpu_checks.h"

#include <inttypes.h>

#include "core/base/deadline.h"
#include "core/base/size.h"

static llmir_status_t check_slots(const llmir_plan_view_t* plan,
                                  const llmir_submission_t* submission,
                                  llmir_error_t* error) {
    const llmir_batch_t* batch = submission->batch;
    for (uint32_t i = 0; i < plan->record->slot_count; ++i) {
        const uint64_t tokens = (uint64_t)batch->token_count * plan->slots[i].token_row_bytes;
        const uint64_t outputs = (uint64_t)batch->output_count * plan->slots[i].output_row_bytes;
        const uint64_t bytes = tokens > outputs ? tokens : outputs;
        if (submission->slot_offsets[i] % 4u != 0 ||
            !llmir_range_fits(submission->slot_offsets[i], bytes, submission->activations->bytes)) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "slot %" PRIu32 ": %" PRIu64 " bytes at offset %" PRIu64
                              " do not fit the activations of %zu bytes",
                              i, bytes, submission->slot_offsets[i],
                              submission->activations->bytes);
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_kv(const llmir_plan_view_t* plan,
                               const llmir_submission_t* submission,
                               llmir_error_t* error) {
    for (uint32_t i = 0; i < plan->record->kv_layer_count; ++i) {
        const llmir_kv_place_t* place = &submission->batch->kv_places[i];
        if (place->offset % 4u != 0 ||
            !llmir_range_fits(place->offset, place->bytes, submission->kv->bytes)) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "KV layer %" PRIu32 ": %" PRIu64 " bytes at offset %" PRIu64
                              " do not fit the pages of %zu bytes",
                              i, place->bytes, place->offset, submission->kv->bytes);
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_check_submission(const llmir_plan_view_t* plan,
                                          const llmir_submission_t* submission,
                                          const llmir_batch_arrays_t* arrays,
                                          llmir_error_t* error) {
    LLMIR_TRY(check_slots(plan, submission, error));
    LLMIR_TRY(check_kv(plan, submission, error));
    if (!llmir_range_fits(submission->batch_offset, arrays->bytes,
                          submission->activations->bytes)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "batch: %" PRIu64 " bytes at offset %" PRIu64
                          " do not fit the activations of %zu bytes",
                          arrays->bytes, submission->batch_offset, submission->activations->bytes);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_check_stop(const llmir_submission_t* submission, llmir_error_t* error) {
    llmir_status_t status = LLMIR_STATUS_OK;
    const uint32_t deadline = submission->deadline != NULL
                                  ? llmir_atomic_load_acquire(submission->deadline)
                                  : LLMIR_DEADLINE_NONE;
    if (submission->cancel != NULL && llmir_atomic_load_acquire(submission->cancel) != 0) {
        status = LLMIR_STATUS_CANCELLED;
    } else if (deadline != LLMIR_DEADLINE_NONE &&
               llmir_deadline_is_over(deadline, llmir_clock_ns())) {
        status = LLMIR_STATUS_DEADLINE;
    }
    return status == LLMIR_STATUS_OK ? status
                                     : llmir_fail(error, status, "the computation was stopped: %s",
                                                  llmir_status_text(status));
}
