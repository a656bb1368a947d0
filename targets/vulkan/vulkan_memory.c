/* Device memory and the buffers made of it. Memory that the host sees is written and read in place;
 * other memory goes through the staging memory piece by piece. */
#include "targets/vulkan/vulkan_device.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/size.h"

/* The first memory type of `allowed` with all `wanted` flags; UINT32_MAX: none. */
static uint32_t find_type(const llmir_vulkan_device_t* device,
                          uint32_t allowed,
                          VkMemoryPropertyFlags wanted) {
    for (uint32_t i = 0; i < device->memory_properties.memoryTypeCount; ++i) {
        const VkMemoryPropertyFlags flags = device->memory_properties.memoryTypes[i].propertyFlags;
        if ((allowed >> i & 1u) != 0 && (flags & wanted) == wanted) {
            return i;
        }
    }
    return UINT32_MAX;
}

static uint32_t choose_type(const llmir_vulkan_device_t* device, uint32_t allowed, int for_host) {
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    uint32_t type = UINT32_MAX;
    if (!for_host && !device->is_unified) {
        type = find_type(device, allowed, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    }
    if (type == UINT32_MAX) { /* what the host reads is best cached */
        type = find_type(device, allowed, host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    }
    return type != UINT32_MAX ? type : find_type(device, allowed, host);
}

static llmir_status_t bind_memory(llmir_vulkan_device_t* device,
                                  int for_host,
                                  llmir_vulkan_memory_t* memory,
                                  llmir_error_t* error) {
    VkMemoryRequirements needs;
    device->api.vkGetBufferMemoryRequirements(device->device, memory->buffer, &needs);
    const uint32_t type = choose_type(device, needs.memoryTypeBits, for_host);
    if (type == UINT32_MAX) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "%s: no memory for buffers",
                          device->name);
    }
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs.size,
        .memoryTypeIndex = type,
    };
    LLMIR_VULKAN_TRY(device->api.vkAllocateMemory(device->device, &info, NULL, &memory->memory),
                     "allocating memory");
    LLMIR_VULKAN_TRY(
        device->api.vkBindBufferMemory(device->device, memory->buffer, memory->memory, 0),
        "binding memory");
    const VkMemoryPropertyFlags flags = device->memory_properties.memoryTypes[type].propertyFlags;
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if ((for_host || device->is_unified) && (flags & host) == host) {
        void* mapped = NULL;
        LLMIR_VULKAN_TRY(
            device->api.vkMapMemory(device->device, memory->memory, 0, VK_WHOLE_SIZE, 0, &mapped),
            "mapping memory");
        memory->mapped = mapped;
    }
    return LLMIR_STATUS_OK;
}

/* The caller holds the mutex. */
static llmir_status_t clear_memory(llmir_vulkan_device_t* device,
                                   const llmir_vulkan_memory_t* memory,
                                   llmir_error_t* error) {
    llmir_vulkan_frame_t* frame = NULL;
    LLMIR_TRY(llmir_vulkan_frame_begin(device, &frame, error));
    device->api.vkCmdFillBuffer(frame->commands, memory->buffer, 0, VK_WHOLE_SIZE, 0);
    llmir_vulkan_barrier(device, frame->commands);
    LLMIR_TRY(llmir_vulkan_frame_submit(device, frame, error));
    return llmir_vulkan_drain(device, error);
}

llmir_status_t llmir_vulkan_memory_create(llmir_vulkan_device_t* device,
                                          uint64_t bytes,
                                          int for_host,
                                          llmir_vulkan_memory_t* out_memory,
                                          llmir_error_t* error) {
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    memset(out_memory, 0, sizeof *out_memory);
    out_memory->bytes = bytes;
    const VkResult result =
        device->api.vkCreateBuffer(device->device, &info, NULL, &out_memory->buffer);
    llmir_status_t status = result == VK_SUCCESS
                                ? bind_memory(device, for_host, out_memory, error)
                                : llmir_vulkan_fail(error, result, "creating a buffer");
    if (status == LLMIR_STATUS_OK && out_memory->mapped != NULL) {
        memset(out_memory->mapped, 0, (size_t)bytes);
    } else if (status == LLMIR_STATUS_OK) {
        llmir_mutex_lock(&device->mutex);
        status = clear_memory(device, out_memory, error);
        llmir_mutex_unlock(&device->mutex);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_vulkan_memory_destroy(device, out_memory);
    }
    return status;
}

void llmir_vulkan_memory_destroy(llmir_vulkan_device_t* device, llmir_vulkan_memory_t* memory) {
    device->api.vkDestroyBuffer(device->device, memory->buffer, NULL);
    device->api.vkFreeMemory(device->device, memory->memory, NULL);
    memset(memory, 0, sizeof *memory);
}

/* One copy on the device; the caller holds the mutex. */
static llmir_status_t copy_now(llmir_vulkan_device_t* device,
                               VkBuffer from,
                               VkBuffer to,
                               VkBufferCopy region,
                               llmir_error_t* error) {
    llmir_vulkan_frame_t* frame = NULL;
    LLMIR_TRY(llmir_vulkan_frame_begin(device, &frame, error));
    llmir_vulkan_barrier(device, frame->commands);
    device->api.vkCmdCopyBuffer(frame->commands, from, to, 1, &region);
    llmir_vulkan_barrier(device, frame->commands);
    LLMIR_TRY(llmir_vulkan_frame_submit(device, frame, error));
    return llmir_vulkan_drain(device, error);
}

llmir_status_t llmir_vulkan_memory_write(llmir_vulkan_device_t* device,
                                         llmir_vulkan_memory_t* memory,
                                         uint64_t offset,
                                         const void* data,
                                         uint64_t bytes,
                                         llmir_error_t* error) {
    if (memory->mapped != NULL) {
        memcpy(memory->mapped + offset, data, (size_t)bytes);
        return LLMIR_STATUS_OK;
    }
    llmir_status_t status = LLMIR_STATUS_OK;
    llmir_mutex_lock(&device->mutex);
    for (uint64_t done = 0; done < bytes && status == LLMIR_STATUS_OK;) {
        const uint64_t left = bytes - done;
        const uint64_t piece = left < device->staging.bytes ? left : device->staging.bytes;
        memcpy(device->staging.mapped, (const uint8_t*)data + done, (size_t)piece);
        status = copy_now(device, device->staging.buffer, memory->buffer,
                          (VkBufferCopy){0, offset + done, piece}, error);
        done += piece;
    }
    llmir_mutex_unlock(&device->mutex);
    return status;
}

llmir_status_t llmir_vulkan_memory_read(llmir_vulkan_device_t* device,
                                        const llmir_vulkan_memory_t* memory,
                                        uint64_t offset,
                                        void* data,
                                        uint64_t bytes,
                                        llmir_error_t* error) {
    if (memory->mapped != NULL) {
        memcpy(data, memory->mapped + offset, (size_t)bytes);
        return LLMIR_STATUS_OK;
    }
    llmir_status_t status = LLMIR_STATUS_OK;
    llmir_mutex_lock(&device->mutex);
    for (uint64_t done = 0; done < bytes && status == LLMIR_STATUS_OK;) {
        const uint64_t left = bytes - done;
        const uint64_t piece = left < device->staging.bytes ? left : device->staging.bytes;
        status = copy_now(device, memory->buffer, device->staging.buffer,
                          (VkBufferCopy){offset + done, 0, piece}, error);
        if (status == LLMIR_STATUS_OK) {
            memcpy((uint8_t*)data + done, device->staging.mapped, (size_t)piece);
        }
        done += piece;
    }
    llmir_mutex_unlock(&device->mutex);
    return status;
}

/* ---- Buffers ---- */

llmir_status_t llmir_vulkan_buffer_create(llmir_device_t* base,
                                          size_t bytes,
                                          llmir_buffer_t** out_buffer,
                                          llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base;
    void* block = NULL;
    *out_buffer = NULL;
    if (bytes > device->limits.chunk_bytes) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "buffer: %zu bytes, %s allocates at most %" PRIu64, bytes, device->name,
                          device->limits.chunk_bytes);
    }
    LLMIR_TRY(llmir_allocate(&device->allocator, sizeof(llmir_vulkan_buffer_t), 16, "buffer",
                             &block, error));
    llmir_vulkan_buffer_t* buffer = block;
    buffer->base.device = base;
    buffer->base.bytes = bytes;
    llmir_mutex_lock(&device->mutex);
    buffer->number = ++device->buffer_count;
    llmir_mutex_unlock(&device->mutex);
    const llmir_status_t status = llmir_vulkan_memory_create(
        device, ((uint64_t)bytes + 3u) & ~(uint64_t)3u, 0, &buffer->memory, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_free(&device->allocator, block, sizeof *buffer, 16);
        return status;
    }
    *out_buffer = &buffer->base;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_vulkan_buffer_import(llmir_device_t* device,
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

void llmir_vulkan_buffer_destroy(llmir_buffer_t* base) {
    llmir_vulkan_buffer_t* buffer = (llmir_vulkan_buffer_t*)base;
    if (buffer != NULL) {
        llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base->device;
        llmir_vulkan_memory_destroy(device, &buffer->memory);
        llmir_free(&device->allocator, buffer, sizeof *buffer, 16);
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

llmir_status_t llmir_vulkan_buffer_write(
    llmir_buffer_t* base, size_t offset, const void* data, size_t bytes, llmir_error_t* error) {
    LLMIR_TRY(check_range(base, offset, bytes, error));
    return llmir_vulkan_memory_write((llmir_vulkan_device_t*)base->device,
                                     &((llmir_vulkan_buffer_t*)base)->memory, offset, data, bytes,
                                     error);
}

llmir_status_t llmir_vulkan_buffer_read(
    llmir_buffer_t* base, size_t offset, void* data, size_t bytes, llmir_error_t* error) {
    LLMIR_TRY(check_range(base, offset, bytes, error));
    return llmir_vulkan_memory_read((llmir_vulkan_device_t*)base->device,
                                    &((llmir_vulkan_buffer_t*)base)->memory, offset, data, bytes,
                                    error);
}

llmir_status_t llmir_vulkan_buffer_copy(llmir_buffer_t* base,
                                        size_t to_offset,
                                        size_t from_offset,
                                        size_t bytes,
                                        llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base->device;
    llmir_vulkan_memory_t* memory = &((llmir_vulkan_buffer_t*)base)->memory;
    LLMIR_TRY(check_range(base, to_offset, bytes, error));
    LLMIR_TRY(check_range(base, from_offset, bytes, error));
    if (bytes == 0) {
        return LLMIR_STATUS_OK;
    }
    if (memory->mapped != NULL) {
        memcpy(memory->mapped + to_offset, memory->mapped + from_offset, bytes);
        return LLMIR_STATUS_OK;
    }
    llmir_mutex_lock(&device->mutex);
    const llmir_status_t status = copy_now(device, memory->buffer, memory->buffer,
                                           (VkBufferCopy){from_offset, to_offset, bytes}, error);
    llmir_mutex_unlock(&device->mutex);
    return status;
}

void* llmir_vulkan_buffer_map(llmir_buffer_t* base) {
    return ((llmir_vulkan_buffer_t*)base)->memory.mapped;
}

void llmir_vulkan_buffer_unmap(llmir_buffer_t* buffer) {
    (void)buffer;
}
