/* The working memory of a call that encodes a text, and the ids that come out of it: what all
 * algorithms share. */
#include "core/tokenizer_internal.h"

#define LLMIR_WORK_ALIGNMENT 16u
#define LLMIR_WORK_MIN_BYTES 1024u

llmir_status_t llmir_work_reserve(llmir_tokenizer_work_t* work,
                                  llmir_work_buffer_t* buffer,
                                  size_t bytes) {
    if (bytes <= buffer->bytes) {
        return LLMIR_STATUS_OK;
    }
    size_t grown = buffer->bytes + buffer->bytes / 2;
    grown = grown < LLMIR_WORK_MIN_BYTES ? LLMIR_WORK_MIN_BYTES : grown;
    grown = grown < bytes ? bytes : grown;
    LLMIR_TRY(llmir_reallocate(work->allocator, &buffer->data, buffer->bytes, grown,
                               LLMIR_WORK_ALIGNMENT, "tokenizer working memory", work->error));
    buffer->bytes = grown;
    return LLMIR_STATUS_OK;
}

void llmir_work_release(llmir_tokenizer_work_t* work) {
    llmir_work_buffer_t* buffers[] = {&work->text, &work->symbols, &work->heap, &work->codes,
                                      &work->codes_too};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); ++i) {
        llmir_free(work->allocator, buffers[i]->data, buffers[i]->bytes, LLMIR_WORK_ALIGNMENT);
        *buffers[i] = (llmir_work_buffer_t){NULL, 0};
    }
}

void llmir_work_emit(llmir_tokenizer_work_t* work, uint32_t id) {
    llmir_token_sink_t* sink = work->sink;
    if (sink->count < sink->capacity) {
        sink->tokens[sink->count] = (int32_t)id;
    }
    ++sink->count;
    work->last_is_unknown = 0;
}

void llmir_work_emit_fallback(llmir_tokenizer_work_t* work, const uint8_t* bytes, size_t count) {
    const llmir_tokenizer_t* tokenizer = work->tokenizer;
    int complete = tokenizer->byte_ids != NULL;
    for (size_t i = 0; complete && i < count; ++i) {
        complete = tokenizer->byte_ids[bytes[i]] >= 0;
    }
    for (size_t i = 0; complete && i < count; ++i) {
        llmir_work_emit(work, (uint32_t)tokenizer->byte_ids[bytes[i]]);
    }
    if (!complete && tokenizer->unknown_id >= 0 && !work->last_is_unknown) {
        llmir_work_emit(work, (uint32_t)tokenizer->unknown_id);
        work->last_is_unknown = 1;
    }
}
