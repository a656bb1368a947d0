/* Buffers are plain memory: one block with the struct in front, or memory of the caller. */
#include <string.h>

#include "core/base/size.h"
#include "targets/cpu/cpu_device.h"

/* `memory` NULL: the data follows the struct. */
static llmir_status_t create_buffer(llmir_device_t* device,
                                    void* memory,
                                    size_t bytes,
                                    llmir_buffer_t** out_buffer,
                                    llmir_error_t* error) {
    const llmir_cpu_device_t* cpu = (const llmir_cpu_device_t*)device;
    size_t block_bytes;
    if (!llmir_size_add(LLMIR_CPU_BUFFER_BYTES, memory == NULL ? bytes : 0, &block_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "buffer: %zu bytes", bytes);
    }
    void* block = NULL;
    LLMIR_TRY(
        llmir_allocate(&cpu->allocator, block_bytes, LLMIR_CPU_ALIGNMENT, "buffer", &block, error));
    llmir_cpu_buffer_t* buffer = block;
    buffer->base.device = device;
    buffer->base.bytes = bytes;
    buffer->block_bytes = block_bytes;
    buffer->data = memory == NULL ? (uint8_t*)block + LLMIR_CPU_BUFFER_BYTES : memory;
    *out_buffer = &buffer->base;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_buffer_create(llmir_device_t* device,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error) {
    *out_buffer = NULL;
    return create_buffer(device, NULL, bytes, out_buffer, error);
}

llmir_status_t llmir_cpu_buffer_import(llmir_device_t* device,
                                       void* memory,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error) {
    *out_buffer = NULL;
    if (memory == NULL || (uintptr_t)memory % LLMIR_CPU_ALIGNMENT != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "imported memory at %p: expected an alignment of %u bytes", memory,
                          LLMIR_CPU_ALIGNMENT);
    }
    return create_buffer(device, memory, bytes, out_buffer, error);
}

void llmir_cpu_buffer_destroy(llmir_buffer_t* base) {
    llmir_cpu_buffer_t* buffer = (llmir_cpu_buffer_t*)base;
    if (buffer != NULL) {
        const llmir_cpu_device_t* device = (const llmir_cpu_device_t*)base->device;
        llmir_free(&device->allocator, buffer, buffer->block_bytes, LLMIR_CPU_ALIGNMENT);
    }
}

static llmir_status_t check_range(const llmir_buffer_t* buffer,
                                  size_t offset,
                                  size_t bytes,
                                  llmir_error_t* error) {
    if (!llmir_range_fits(offset, bytes, buffer->bytes)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "buffer of %zu bytes: %zu bytes at offset %zu do not fit", buffer->bytes,
                          bytes, offset);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_buffer_write(
    llmir_buffer_t* buffer, size_t offset, const void* data, size_t bytes, llmir_error_t* error) {
    LLMIR_TRY(check_range(buffer, offset, bytes, error));
    if (bytes > 0) {
        memcpy(((llmir_cpu_buffer_t*)buffer)->data + offset, data, bytes);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_buffer_read(
    llmir_buffer_t* buffer, size_t offset, void* data, size_t bytes, llmir_error_t* error) {
    LLMIR_TRY(check_range(buffer, offset, bytes, error));
    if (bytes > 0) {
        memcpy(data, ((const llmir_cpu_buffer_t*)buffer)->data + offset, bytes);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_buffer_copy(llmir_buffer_t* buffer,
                                     size_t to_offset,
                                     size_t from_offset,
                                     size_t bytes,
                                     llmir_error_t* error) {
    LLMIR_TRY(check_range(buffer, to_offset, bytes, error));
    LLMIR_TRY(check_range(buffer, from_offset, bytes, error));
    uint8_t* data = ((llmir_cpu_buffer_t*)buffer)->data;
    if (bytes > 0) {
        memcpy(data + to_offset, data + from_offset, bytes);
    }
    return LLMIR_STATUS_OK;
}

void* llmir_cpu_buffer_map(llmir_buffer_t* buffer) {
    return ((llmir_cpu_buffer_t*)buffer)->data;
}

void llmir_cpu_buffer_unmap(llmir_buffer_t* buffer) {
    (void)buffer;
}
