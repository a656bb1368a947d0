/* Where a session's logits are: in its own memory, or still a row of the last pass. */
#include "core/logits.h"

int llmir_logits_are_plain(const llmir_session_t* session) {
    return LLMIR_HAS_DEVICES && session->grammar == NULL &&
           (session->flags & LLMIR_SESSION_LOGPROBS) == 0 &&
           llmir_sampler_is_plain(&session->sampler);
}

llmir_status_t llmir_logits_read(const llmir_pool_t* pool,
                                 uint32_t row,
                                 float* out_logits,
                                 llmir_error_t* error) {
    const llmir_plan_view_t* plan = &pool->model->plan;
    const llmir_plan_buffer_t* buffer = &plan->buffers[plan->record->logits_buffer];
    const llmir_stage_memory_t* memory = &pool->memory[llmir_model_stage_count(pool->model) - 1u];
    const size_t offset =
        (size_t)memory->slot_offsets[buffer->slot] + (size_t)row * buffer->row_bytes;
    return memory->activations->device->target->buffer_read(
        memory->activations, offset, out_logits, pool->model->record->vocab_count * sizeof(float),
        error);
}

llmir_status_t llmir_logits_load(llmir_session_t* session, llmir_error_t* error) {
    const uint32_t row = LLMIR_HAS_DEVICES ? session->logits_row : 0u;
    if (row == LLMIR_LOGITS_LOST) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "logits: a pass that failed has overwritten them; feed tokens");
    }
    if (row != 0 && session->has_logits) {
        LLMIR_TRY(llmir_logits_read(session->pool, row - 1u, session->logits, error));
    }
    session->logits_row = 0;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_logits_need(llmir_session_t* session, llmir_error_t* error) {
    return LLMIR_HAS_DEVICES && !llmir_logits_are_plain(session) ? llmir_logits_load(session, error)
                                                                 : LLMIR_STATUS_OK;
}

static int is_among(const llmir_session_t* session, const llmir_feed_t* feeds, size_t feed_count) {
    size_t i = 0;
    while (i < feed_count && feeds[i].session != session) {
        ++i;
    }
    return i < feed_count;
}

llmir_status_t llmir_logits_keep(llmir_pool_t* pool,
                                 const llmir_feed_t* feeds,
                                 size_t feed_count,
                                 llmir_error_t* error) {
    for (uint32_t i = 0; LLMIR_HAS_DEVICES && i < pool->layout.session_count; ++i) {
        llmir_session_t* session = &pool->sessions[i];
        if (!session->in_use || session->logits_row == 0 ||
            session->logits_row == LLMIR_LOGITS_LOST) {
            continue;
        }
        if (is_among(session, feeds, feed_count)) {
            session->logits_row = LLMIR_LOGITS_LOST; /* if the pass fails */
        } else {
            LLMIR_TRY(llmir_logits_load(session, error));
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_logits_take(llmir_session_t* session,
                                 uint32_t row,
                                 int may_wait,
                                 llmir_error_t* error) {
    if (LLMIR_HAS_DEVICES) {
        const uint32_t largest = may_wait ? session->pool->largest[row] : UINT32_MAX;
        session->logits_row = 0;
        if (largest < session->pool->model->record->vocab_count) {
            session->largest = (int32_t)largest;
            session->logits_row = row + 1u;
            return LLMIR_STATUS_OK;
        }
    }
    return llmir_logits_read(session->pool, row, session->logits, error);
}
