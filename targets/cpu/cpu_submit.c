/* Running a plan over one batch. The submitting thread computes too, so a submission is complete
 * when submit returns, and every fence handed out has been reached. */
#include "core/base/deadline.h"
#include "core/base/size.h"
#include "targets/cpu/cpu_device.h"
#include "targets/cpu/kernels/kv_cache.h"

/* Tokens times tiles that are computed between two looks at cancel and deadline: a few milliseconds
 * of the largest matrices on a slow core, thousands of tiles while decoding. */
#define PIECE_TILE_TOKENS 2048u

/* Whether to stop; the first reason found stays. */
static int must_stop(llmir_cpu_program_t* program) {
    const llmir_submission_t* submission = program->submission;
    if (llmir_atomic_load_acquire(&program->stop) != 0) {
        return 1;
    }
    if (submission->cancel != NULL && llmir_atomic_load_acquire(submission->cancel) != 0) {
        llmir_atomic_store_release(&program->stop, LLMIR_STATUS_CANCELLED);
        return 1;
    }
    const uint32_t deadline = submission->deadline != NULL
                                  ? llmir_atomic_load_acquire(submission->deadline)
                                  : LLMIR_DEADLINE_NONE;
    if (deadline != LLMIR_DEADLINE_NONE && llmir_deadline_is_over(deadline, llmir_clock_ns())) {
        llmir_atomic_store_release(&program->stop, LLMIR_STATUS_DEADLINE);
        return 1;
    }
    return 0;
}

/* Computes tiles piece by piece. Once the submission is to stop, what is left counts as done: its
 * results are of no use to anyone. */
static void run_dispatch(void* user, uint32_t step, uint32_t tile_begin, uint32_t tile_end) {
    llmir_cpu_program_t* program = user;
    const llmir_cpu_frame_t* frame = &program->frames[step];
    while (tile_begin < tile_end && !must_stop(program)) {
        const uint32_t left = tile_end - tile_begin;
        const uint32_t count = left < program->piece_tiles ? left : program->piece_tiles;
        frame->run(&frame->call, frame->params, tile_begin, tile_begin + count);
        tile_begin += count;
    }
}

/* The same between the two marks of a span: its first tile begins it, the last one done ends it. */
static void run_traced(void* user, uint32_t step, uint32_t tile_begin, uint32_t tile_end) {
    llmir_cpu_program_t* program = user;
    const llmir_submission_t* submission = program->submission;
    const uint32_t count = tile_end - tile_begin;
    if (tile_begin == 0) {
        submission->trace(submission->trace_user, step, LLMIR_TRACE_BEGIN);
    }
    run_dispatch(user, step, tile_begin, tile_end);
    if (llmir_atomic_add(&program->frames[step].traced_tiles, count) + count ==
        program->steps[step].tile_count) {
        submission->trace(submission->trace_user, step, LLMIR_TRACE_END);
    }
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
            return llmir_fail(
                error, LLMIR_STATUS_INVALID_ARGUMENT,
                "slot %u: %llu bytes at offset %llu do not fit the activations of %zu "
                "bytes",
                i, (unsigned long long)bytes, (unsigned long long)offset,
                submission->activations->bytes);
        }
    }
    return LLMIR_STATUS_OK;
}

static void place_batch(llmir_cpu_program_t* program, const llmir_submission_t* submission) {
    const llmir_batch_t* batch = submission->batch;
    const uint32_t tokens = batch->token_count != 0 ? batch->token_count : 1u;
    program->submission = submission;
    program->piece_tiles = tokens < PIECE_TILE_TOKENS ? PIECE_TILE_TOKENS / tokens : 1u;
    llmir_atomic_store_release(&program->stop, 0);
    program->batch = (llmir_cpu_batch_t){
        .token_count = batch->token_count,
        .sequence_count = batch->sequence_count,
        .output_count = batch->output_count,
        .page_tokens = program->plan->record->page_tokens,
        .kv_type = batch->kv_type,
        .tokens = batch->tokens,
        .positions = batch->positions,
        .token_sequence = batch->token_sequence,
        .output_rows = batch->output_rows,
    };
}

/* Points the KV layers into this submission's pages. */
static void place_layers(llmir_cpu_program_t* program, const llmir_submission_t* submission) {
    const llmir_plan_record_t* record = program->plan->record;
    const llmir_batch_t* batch = submission->batch;
    uint8_t* pages = ((const llmir_cpu_buffer_t*)submission->kv)->data;
    for (uint32_t i = 0; i < record->kv_layer_count; ++i) {
        const llmir_plan_kv_layer_t* layer = &program->plan->kv_layers[i];
        const int apart = batch->window_table != NULL && layer->window != 0;
        llmir_cpu_kv_layer_t* view = &program->kv_layers[i];
        *view = llmir_cpu_kv_layer(layer, batch->kv_type, record->page_tokens);
        view->pages = pages + batch->kv_places[i].offset;
        view->page_bytes = batch->kv_places[i].page_bytes;
        view->page_table = apart ? batch->window_table : batch->page_table;
        view->page_table_stride = batch->page_table_stride;
    }
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
        llmir_atomic_store_release(&frame->traced_tiles, 0);
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
    place_layers(program, submission);
    place_dispatches(program, submission);
    const llmir_cpu_job_t job = {
        .step_count = program->plan->record->dispatch_count,
        .steps = program->steps,
        .run = submission->trace != NULL ? run_traced : run_dispatch,
        .user = program,
        .cancel = &program->stop,
    };
    llmir_status_t status = llmir_cpu_pool_run(device->pool, &job, error);
    const uint32_t stop = llmir_atomic_load_acquire(&program->stop);
    llmir_mutex_unlock(&device->submit_mutex);
    if (stop != 0) {
        status = llmir_fail(error, (llmir_status_t)stop, "the computation was stopped: %s",
                            llmir_status_text((llmir_status_t)stop));
    }
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
                          "fence %llu was never handed out, the last one is %llu",
                          (unsigned long long)fence, (unsigned long long)last);
    }
    return LLMIR_STATUS_OK;
}
