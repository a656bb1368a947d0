/* Running a batch through the stages of a model. */
#include "core/stage.h"

/* Copies the rows of one buffer from a stage's activations to the next one's. One of the two
 * devices is the processor, or has memory that it sees: no copy goes through a third place. */
static llmir_status_t copy_rows(const llmir_stage_memory_t* from,
                                const llmir_stage_memory_t* to,
                                uint32_t slot,
                                size_t bytes,
                                llmir_error_t* error) {
    const llmir_target_t* source = from->activations->device->target;
    const llmir_target_t* goal = to->activations->device->target;
    const size_t source_offset = (size_t)from->slot_offsets[slot];
    const size_t goal_offset = (size_t)to->slot_offsets[slot];
    uint8_t* host = goal->buffer_map(to->activations);
    if (host != NULL) {
        const llmir_status_t status =
            source->buffer_read(from->activations, source_offset, host + goal_offset, bytes, error);
        goal->buffer_unmap(to->activations);
        return status;
    }
    host = source->buffer_map(from->activations);
    if (host == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INTERNAL,
                          "slot %u: neither of two devices shows its memory", slot);
    }
    const llmir_status_t status =
        goal->buffer_write(to->activations, goal_offset, host + source_offset, bytes, error);
    source->buffer_unmap(from->activations);
    return status;
}

static llmir_status_t import_rows(const llmir_stage_t* stage,
                                  const llmir_stage_memory_t* memory,
                                  const llmir_batch_t* batch,
                                  llmir_error_t* error) {
    for (uint32_t i = 0; i < stage->import_count; ++i) {
        const llmir_plan_buffer_t* buffer = &stage->plan.buffers[stage->imports[i]];
        const size_t rows =
            buffer->extent == LLMIR_EXTENT_OUTPUTS ? batch->output_count : batch->token_count;
        LLMIR_TRY(copy_rows(memory - 1, memory, buffer->slot, rows * buffer->row_bytes, error));
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_stages_run(const llmir_stage_t* stages,
                                const llmir_stage_memory_t* memory,
                                uint32_t stage_count,
                                const llmir_stage_pass_t* pass,
                                llmir_error_t* error) {
    llmir_batch_t batch = *pass->batch;
    llmir_submission_t submission = {
        .batch = &batch, .cancel = pass->cancel, .deadline = pass->deadline};
    if (pass->trace != NULL && pass->trace->event != NULL) {
        submission.trace = llmir_trace_dispatch;
        submission.trace_user = pass->trace;
    }
    for (uint32_t i = 0; i < stage_count; ++i) {
        const llmir_target_t* target = stages[i].device->target;
        uint64_t fence = 0;
        if (LLMIR_HAS_DEVICES) {
            LLMIR_TRY(import_rows(&stages[i], &memory[i], &batch, error));
        }
        batch.kv_places = memory[i].kv_places;
        submission.program = stages[i].program;
        submission.activations = memory[i].activations;
        submission.kv = memory[i].kv;
        submission.slot_offsets = memory[i].slot_offsets;
        submission.batch_offset = memory[i].batch_offset;
        submission.largest = LLMIR_HAS_DEVICES && i + 1u == stage_count ? pass->largest : NULL;
        if (pass->trace != NULL) {
            pass->trace->first_dispatch = stages[i].first_dispatch;
        }
        LLMIR_TRY(target->submit(stages[i].device, &submission, &fence, error));
        LLMIR_TRY(target->wait(stages[i].device, fence, UINT64_MAX, error));
    }
    return LLMIR_STATUS_OK;
}

void llmir_stage_memory_free(llmir_stage_memory_t* memory) {
    if (memory->kv != NULL) {
        memory->kv->device->target->buffer_destroy(memory->kv);
    }
    if (memory->activations != NULL) {
        memory->activations->device->target->buffer_destroy(memory->activations);
    }
}
