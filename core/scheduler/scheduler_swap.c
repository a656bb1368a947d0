/* The swap space: requests that lost their pages, as saved sessions, in the application's memory.
 * Pieces of it are found first fit; there are few of them. */
#include <string.h>

#include "core/scheduler/scheduler.h"

/* Bytes of the swap space that are being written or read. */
typedef struct swap_stream {
    uint8_t* data;
    size_t bytes;
    size_t used;
} swap_stream_t;

static llmir_status_t write_swap(const void* data, size_t bytes, void* user) {
    swap_stream_t* stream = user;
    if (bytes > stream->bytes - stream->used) {
        return LLMIR_STATUS_CAPACITY;
    }
    memcpy(stream->data + stream->used, data, bytes);
    stream->used += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t read_swap(void* data, size_t bytes, void* user) {
    swap_stream_t* stream = user;
    if (bytes > stream->bytes - stream->used) {
        return LLMIR_STATUS_CAPACITY;
    }
    memcpy(data, stream->data + stream->used, bytes);
    stream->used += bytes;
    return LLMIR_STATUS_OK;
}

/* The request in the swap space that overlaps [offset, offset + bytes). */
static const llmir_request_t* overlapping(const llmir_scheduler_t* scheduler,
                                          size_t offset,
                                          size_t bytes) {
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        const llmir_request_t* request = &scheduler->requests[i];
        if (request->swap_bytes != 0 && request->swap_offset < offset + bytes &&
            offset < request->swap_offset + request->swap_bytes) {
            return request;
        }
    }
    return NULL;
}

/* The first gap of `bytes` bytes; 0: none. */
static int find_gap(const llmir_scheduler_t* scheduler, size_t bytes, size_t* out_offset) {
    size_t offset = 0;
    while (bytes <= scheduler->swap_bytes && offset <= scheduler->swap_bytes - bytes) {
        const llmir_request_t* other = overlapping(scheduler, offset, bytes);
        if (other == NULL) {
            *out_offset = offset;
            return 1;
        }
        offset = other->swap_offset + other->swap_bytes;
    }
    return 0;
}

void llmir_scheduler_swap_out(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    const uint64_t bytes = llmir_session_saved_bytes(request->session);
    size_t offset = 0;
    if (request->session->position == 0 || bytes > scheduler->swap_bytes ||
        !find_gap(scheduler, (size_t)bytes, &offset)) {
        return;
    }
    swap_stream_t stream = {scheduler->swap + offset, (size_t)bytes, 0};
    if (llmir_session_save(request->session, write_swap, &stream, NULL) == LLMIR_STATUS_OK) {
        request->swap_offset = offset;
        request->swap_bytes = (size_t)bytes;
    }
}

int llmir_scheduler_swap_in(llmir_request_t* request) {
    swap_stream_t stream = {request->scheduler->swap + request->swap_offset, request->swap_bytes,
                            0};
    request->swap_bytes = 0;
    return llmir_session_restore(request->session, read_swap, &stream, NULL) == LLMIR_STATUS_OK;
}
