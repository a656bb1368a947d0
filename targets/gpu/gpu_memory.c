/* Device memory and the buffers made of it. Everything goes through the staging memory, which the
 * device reads and writes while the host waits. */
#include "targets/gpu/gpu_device.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/size.h"

llmir_status_t llmir_gpu_memory_create(llmir_gpu_device_t* device,
                                       uint64_t bytes,
                                       uint64_t* out_address,
                                       llmir_error_t* error) {
    const uint64_t words = bytes / 4u + (bytes % 4u != 0);
    *out_address = 0;
    LLMIR_GPU_TRY(device, device->driver.memory_allocate(out_address, (size_t)words * 4u),
                  "allocating memory");
    int result = device->driver.fill_words(*out_address, 0, (size_t)words, device->stream);
    if (result == 0) {
        result = device->driver.stream_wait(device->stream);
    }
    if (result != 0) {
        (void)device->driver.memory_free(*out_address);
        *out_address = 0;
        return llmir_gpu_note(device, result, "clearing memory", error);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_memory_write(llmir_gpu_device_t* device,
                                      uint64_t to,
                                      const void* data,
                                      uint64_t bytes,
                                      llmir_error_t* error) {
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t left = bytes - done;
        const size_t piece =
            left < LLMIR_GPU_STAGING_BYTES ? (size_t)left : LLMIR_GPU_STAGING_BYTES;
        memcpy(device->staging, (const uint8_t*)data + done, piece);
        LLMIR_GPU_TRY(
            device,
            device->driver.copy_to_device(to + done, device->staging, piece, device->stream),
            "copying to the device");
        LLMIR_GPU_TRY(device, device->driver.stream_wait(device->stream), "copying to the device");
        done += piece;
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_memory_read(
    llmir_gpu_device_t* device, uint64_t from, void* data, uint64_t bytes, llmir_error_t* error) {
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t left = bytes - done;
        const size_t piece =
            left < LLMIR_GPU_STAGING_BYTES ? (size_t)left : LLMIR_GPU_STAGING_BYTES;
        LLMIR_GPU_TRY(
            device,
            device->driver.copy_to_host(device->staging, from + done, piece, device->stream),
            "copying from the device");
        LLMIR_GPU_TRY(device, device->driver.stream_wait(device->stream),
                      "copying from the device");
        memcpy((uint8_t*)data + done, device->staging, piece);
        done += piece;
    }
    return LLMIR_STATUS_OK;
}

/* ---- Buffers ---- */

llmir_status_t llmir_gpu_buffer_create(llmir_device_t* base,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base;
    void* block = NULL;
    *out_buffer = NULL;
    if (bytes > device->limits.chunk_bytes) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "buffer: %zu bytes, %s takes at most %" PRIu64, bytes, device->name,
                          device->limits.chunk_bytes);
    }
    LLMIR_TRY(llmir_allocate(&device->allocator, sizeof(llmir_gpu_buffer_t), 16, "buffer", &block,
                             error));
    llmir_gpu_buffer_t* buffer = block;
    buffer->base.device = base;
    buffer->base.bytes = bytes;
    llmir_status_t status = llmir_gpu_enter(device, error);
    if (status == LLMIR_STATUS_OK) {
        buffer->number = ++device->buffer_count;
        status = llmir_gpu_memory_create(device, bytes, &buffer->address, error);
        llmir_gpu_leave(device);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_free(&device->allocator, block, sizeof *buffer, 16);
        return status;
    }
    *out_buffer = &buffer->base;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_buffer_import(llmir_device_t* device,
                                       void* memory,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error) {
    (void)device;
    (void)memory;
    *out_buffer = NULL;
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                      "buffer: %zu bytes of the host cannot be used in place", bytes);
}

void llmir_gpu_buffer_destroy(llmir_buffer_t* base) {
    llmir_gpu_buffer_t* buffer = (llmir_gpu_buffer_t*)base;
    if (buffer == NULL) {
        return;
    }
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base->device;
    if (llmir_gpu_enter_to_free(device)) {
        (void)device->driver.memory_free(buffer->address);
        llmir_gpu_leave(device);
    }
    llmir_free(&device->allocator, buffer, sizeof *buffer, 16);
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

llmir_status_t llmir_gpu_buffer_write(
    llmir_buffer_t* base, size_t offset, const void* data, size_t bytes, llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base->device;
    LLMIR_TRY(check_range(base, offset, bytes, error));
    LLMIR_TRY(llmir_gpu_enter(device, error));
    const llmir_status_t status = llmir_gpu_memory_write(
        device, ((llmir_gpu_buffer_t*)base)->address + offset, data, bytes, error);
    llmir_gpu_leave(device);
    return status;
}

llmir_status_t llmir_gpu_buffer_read(
    llmir_buffer_t* base, size_t offset, void* data, size_t bytes, llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base->device;
    LLMIR_TRY(check_range(base, offset, bytes, error));
    LLMIR_TRY(llmir_gpu_enter(device, error));
    const llmir_status_t status = llmir_gpu_memory_read(
        device, ((llmir_gpu_buffer_t*)base)->address + offset, data, bytes, error);
    llmir_gpu_leave(device);
    return status;
}

static llmir_status_t copy_now(
    llmir_gpu_device_t* device, uint64_t to, uint64_t from, size_t bytes, llmir_error_t* error) {
    LLMIR_GPU_TRY(device, device->driver.copy_on_device(to, from, bytes, device->stream),
                  "copying on the device");
    LLMIR_GPU_TRY(device, device->driver.stream_wait(device->stream), "copying on the device");
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_buffer_copy(llmir_buffer_t* base,
                                     size_t to_offset,
                                     size_t from_offset,
                                     size_t bytes,
                                     llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base->device;
    const uint64_t address = ((llmir_gpu_buffer_t*)base)->address;
    LLMIR_TRY(check_range(base, to_offset, bytes, error));
    LLMIR_TRY(check_range(base, from_offset, bytes, error));
    if (bytes == 0) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_gpu_enter(device, error));
    const llmir_status_t status =
        copy_now(device, address + to_offset, address + from_offset, bytes, error);
    llmir_gpu_leave(device);
    return status;
}

void* llmir_gpu_buffer_map(llmir_buffer_t* buffer) {
    (void)buffer;
    return NULL;
}

void llmir_gpu_buffer_unmap(llmir_buffer_t* buffer) {
    (void)buffer;
}
