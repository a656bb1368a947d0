/* Running a plan over one batch. The submitting thread computes too, so a submission is complete
 * when submit returns, and every fence handed out has been reached. */
#include <inttypes.h>

#include "core/base/size.h"
#include "targets/cpu/cpu_device.h"

static void run_dispatch(void* user, uint32_t step, uint32_t tile_begin, uint32_t tile_end) {
    const llmir_cpu_frame_t* frame = &((const llmir_cpu_program_t*)user)->frames[step];
    frame->run(&frame->call, frame->params, tile_begin, tile_end);
}

/* Every slot must lie inside the activations for this batch's rows. */
static llmir_status_t check_slots(const llmir_submission_t* submission, llmir_error_t* error) {
    const llmir_plan_view_t* plan = ((const llmir_cpu_program_t*)submission->program)->plan;
    const llmir_batch_t* batch = submission->batch;
    for (uint32_t i = 0; i < plan->record->slot_count; ++i) {
        const uint64_t token_bytes = (uint64_t)batch->token_count * plan->slots[i].token_row_bytes;
        const uint64_t output_bytes =
            (uint64_t)batch->output_count * plan->slots[i].output_row_bytes;
        const uint64_t bytes = token_bytes > output_bytes ? token_bytes : output_bytes;
        const uint64_t offset = submission->slot_offsets[i];
        if (offset % LLMIR_CPU_ALIGNMENT != 0 ||
            !llmir_range_fits(offset, bytes, submission->activations->bytes)) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "slot %" PRIu32 ": %" PRIu64 " bytes at offset %" PRIu64
                              " do not fit the activations of %zu bytes",
                              i, bytes, offset, submission->activations->bytes);
        }
    }
    return LLMIR_STATUS_OK;
}

static void place_batch(llmir_cpu_program_t* program, const llmir_submission_t* submission) {
    const llmir_batch_t* batch = submission->batch;
    program->batch = (llmir_cpu_batch_t){
        .token_count = batch->token_count,
        .sequence_count = batch->sequence_count,
        .output_count = batch->output_count,
        .page_tokens = program->plan->record->page_tokens,
        .kv_type = batch->kv_type,
        .page_table_stride = batch->page_table_stride,
        .tokens = batch->tokens,
        .positions = batch->positions,
        .token_sequence = batch->token_sequence,
        .output_rows = batch->output_rows,
        .page_table = batch->page_table,
        .kv = ((const llmir_cpu_buffer_t*)submission->kv)->data,
        .page_bytes = batch->page_bytes,
    };
}

/* Points the operands of all dispatches into this submission's activations and counts tiles. */
static void place_dispatches(llmir_cpu_program_t* program, const llmir_submission_t* submission) {
    uint8_t* activations = ((const llmir_cpu_buffer_t*)submission->activations)->data;
    for (uint32_t i = 0; i < program->plan->record->dispatch_count; ++i) {
        llmir_cpu_frame_t* frame = &program->frames[i];
        for (uint32_t k = 0; k < LLMIR_PLAN_MAX_OPERANDS; ++k) {
            if ((frame->slot_mask >> k & 1u) != 0) {
                frame->call.operands[k] =
                    activations + submission->slot_offsets[frame->operand_slots[k]];
            }
        }
        program->steps[i].tile_count =
            llmir_cpu_kernel_tile_count(frame->kernel, frame->params, &program->batch);
    }
}

llmir_status_t llmir_cpu_submit(llmir_device_t* base,
                                const llmir_submission_t* submission,
                                uint64_t* out_fence,
                                llmir_error_t* error) {
    llmir_cpu_device_t* device = (llmir_cpu_device_t*)base;
    llmir_cpu_program_t* program = (llmir_cpu_program_t*)submission->program;
    *out_fence = 0;
    LLMIR_TRY(check_slots(submission, error));

    llmir_mutex_lock(&device->submit_mutex);
    place_batch(program, submission);
    place_dispatches(program, submission);
    const llmir_cpu_job_t job = {
        .step_count = program->plan->record->dispatch_count,
        .steps = program->steps,
        .run = run_dispatch,
        .user = program,
        .cancel = submission->cancel,
    };
    const llmir_status_t status = llmir_cpu_pool_run(device->pool, &job, error);
    llmir_mutex_unlock(&device->submit_mutex);
    LLMIR_TRY(status);

    llmir_mutex_lock(&device->fence_mutex);
    *out_fence = ++device->last_fence;
    llmir_mutex_unlock(&device->fence_mutex);
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_wait(llmir_device_t* base,
                              uint64_t fence,
                              uint64_t timeout_ns,
                              llmir_error_t* error) {
    llmir_cpu_device_t* device = (llmir_cpu_device_t*)base;
    (void)timeout_ns;
    llmir_mutex_lock(&device->fence_mutex);
    const uint64_t last = device->last_fence;
    llmir_mutex_unlock(&device->fence_mutex);
    if (fence > last) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "fence %" PRIu64 " was never handed out, the last one is %" PRIu64, fence,
                          last);
    }
    return LLMIR_STATUS_OK;
}
