/* Memory, buffers, descriptor sets and fences of the stand-in for Vulkan. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/fake_vulkan/fake_vulkan.h"

#define ALIGNMENT 256u /* of buffers in memory, of offsets of bindings */

/* ---- Memory ---- */

static VkResult vkAllocateMemory_(VkDevice device,
                                  const VkMemoryAllocateInfo* info,
                                  const VkAllocationCallbacks* callbacks,
                                  VkDeviceMemory* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    fv_object_t* owner = fv_object(device, FV_DEVICE);
    FV_EXPECT(info->allocationSize % ALIGNMENT == 0 && info->memoryTypeIndex < 2,
              "what the buffer requires");
    const int is_device = fv.is_unified || info->memoryTypeIndex == 0;
    if (is_device && fv.device_bytes + fv.others_bytes + info->allocationSize > fv.memory_bytes) {
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = ((size_t)info->allocationSize + page - 1u) / page * page;
    uint8_t* mapping = mmap(NULL, inner + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    /* What a kernel does behind the end shows at once. */
    (void)mprotect(mapping + inner, page, PROT_NONE);
    fv_object_t* memory = fv_new(FV_MEMORY, owner);
    memory->number = info->memoryTypeIndex;
    memory->mapping = mapping;
    memory->mapping_bytes = inner + page;
    memory->memory = mapping + (inner - info->allocationSize);
    memory->bytes = info->allocationSize;
    memset(memory->memory, 0xa5, memory->bytes); /* nobody promises zeros */
    fv.control.live_bytes += memory->bytes;
    fv.device_bytes += is_device ? memory->bytes : 0u;
    *out = (VkDeviceMemory)memory;
    return VK_SUCCESS;
}
FV_FUNCTION(vkAllocateMemory);

static void vkFreeMemory_(VkDevice device,
                          VkDeviceMemory memory,
                          const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(memory, FV_MEMORY);
}
FV_FUNCTION(vkFreeMemory);

static VkResult vkMapMemory_(VkDevice device,
                             VkDeviceMemory handle,
                             VkDeviceSize offset,
                             VkDeviceSize bytes,
                             VkMemoryMapFlags flags,
                             void** out) {
    (void)device;
    FV_TRY(fv_enter());
    fv_object_t* memory = fv_object(handle, FV_MEMORY);
    FV_EXPECT(offset == 0 && bytes == VK_WHOLE_SIZE && flags == 0, "the whole memory");
    FV_EXPECT(memory != NULL && (fv.is_unified || memory->number == 1), "visible to the host");
    *out = memory != NULL ? memory->memory : NULL;
    return VK_SUCCESS;
}
FV_FUNCTION(vkMapMemory);

/* ---- Buffers ---- */

static VkResult vkCreateBuffer_(VkDevice device,
                                const VkBufferCreateInfo* info,
                                const VkAllocationCallbacks* callbacks,
                                VkBuffer* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    FV_EXPECT(info->sType == VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO && info->size > 0,
              "a buffer with bytes");
    fv_object_t* buffer = fv_new(FV_BUFFER, fv_object(device, FV_DEVICE));
    buffer->bytes = info->size;
    *out = (VkBuffer)buffer;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateBuffer);

static void vkDestroyBuffer_(VkDevice device,
                             VkBuffer buffer,
                             const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(buffer, FV_BUFFER);
}
FV_FUNCTION(vkDestroyBuffer);

static void vkGetBufferMemoryRequirements_(VkDevice device,
                                           VkBuffer handle,
                                           VkMemoryRequirements* out) {
    (void)device;
    const fv_object_t* buffer = fv_object(handle, FV_BUFFER);
    memset(out, 0, sizeof *out);
    out->alignment = ALIGNMENT;
    out->size = buffer != NULL ? (buffer->bytes + ALIGNMENT - 1u) / ALIGNMENT * ALIGNMENT : 0;
    out->memoryTypeBits = 3;
}
FV_FUNCTION(vkGetBufferMemoryRequirements);

static VkResult vkBindBufferMemory_(VkDevice device,
                                    VkBuffer handle,
                                    VkDeviceMemory memory_handle,
                                    VkDeviceSize offset) {
    (void)device;
    FV_TRY(fv_enter());
    fv_object_t* buffer = fv_object(handle, FV_BUFFER);
    fv_object_t* memory = fv_object(memory_handle, FV_MEMORY);
    if (buffer == NULL || memory == NULL || buffer->bound != NULL || offset != 0 ||
        buffer->bytes > memory->bytes) {
        fv_fault("a buffer is bound twice, or to memory that it does not fit");
        return VK_ERROR_UNKNOWN;
    }
    buffer->bound = memory;
    return VK_SUCCESS;
}
FV_FUNCTION(vkBindBufferMemory);

uint8_t* fv_range(const fv_object_t* buffer, uint64_t offset, uint64_t bytes, const char* what) {
    if (buffer == NULL || !buffer->is_live || buffer->bound == NULL || !buffer->bound->is_live) {
        fv_fault("%s: a buffer without memory, or one that was destroyed", what);
        return NULL;
    }
    if (bytes == 0 || offset > buffer->bytes || bytes > buffer->bytes - offset) {
        fv_fault("%s: %llu bytes at %llu of a buffer of %llu", what, (unsigned long long)bytes,
                 (unsigned long long)offset, (unsigned long long)buffer->bytes);
        return NULL;
    }
    return buffer->bound->memory + offset;
}

/* ---- Descriptor sets ---- */

static VkResult vkCreateDescriptorPool_(VkDevice device,
                                        const VkDescriptorPoolCreateInfo* info,
                                        const VkAllocationCallbacks* callbacks,
                                        VkDescriptorPool* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    FV_EXPECT(info->maxSets > 0 && info->poolSizeCount == 1, "a pool of storage buffers");
    fv_object_t* pool = fv_new(FV_DESCRIPTOR_POOL, fv_object(device, FV_DEVICE));
    pool->sets_left = info->maxSets;
    pool->descriptors_left = info->pPoolSizes->descriptorCount;
    *out = (VkDescriptorPool)pool;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateDescriptorPool);

static void vkDestroyDescriptorPool_(VkDevice device,
                                     VkDescriptorPool pool,
                                     const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(pool, FV_DESCRIPTOR_POOL);
}
FV_FUNCTION(vkDestroyDescriptorPool);

static VkResult vkAllocateDescriptorSets_(VkDevice device,
                                          const VkDescriptorSetAllocateInfo* info,
                                          VkDescriptorSet* out) {
    (void)device;
    FV_TRY(fv_enter());
    fv_object_t* pool = fv_object(info->descriptorPool, FV_DESCRIPTOR_POOL);
    (void)fv_object(info->pSetLayouts[0], FV_SET_LAYOUT);
    FV_EXPECT(info->descriptorSetCount == 1, "one set");
    if (pool == NULL || pool->sets_left == 0 || pool->descriptors_left < LLMIR_GPU_BINDING_COUNT) {
        fv_fault("a descriptor pool has no more sets");
        return VK_ERROR_OUT_OF_POOL_MEMORY;
    }
    --pool->sets_left;
    pool->descriptors_left -= LLMIR_GPU_BINDING_COUNT;
    *out = (VkDescriptorSet)fv_new(FV_SET, pool);
    return VK_SUCCESS;
}
FV_FUNCTION(vkAllocateDescriptorSets);

static void write_binding(const VkWriteDescriptorSet* write) {
    const VkDescriptorBufferInfo* info = write->pBufferInfo;
    fv_object_t* set = fv_object(write->dstSet, FV_SET);
    fv_object_t* buffer = fv_object(info->buffer, FV_BUFFER);
    if (set == NULL || buffer == NULL) {
        return;
    }
    FV_EXPECT(write->dstBinding < LLMIR_GPU_BINDING_COUNT && write->descriptorCount == 1 &&
                  write->descriptorType == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
              "a storage buffer of the layout");
    FV_EXPECT(info->offset % ALIGNMENT == 0, "aligned");
    FV_EXPECT(info->range <= fv.range, "at most maxStorageBufferRange");
    for (const fv_submission_t* s = fv.first; s != NULL; s = s->next) {
        for (const fv_command_t* c = s->commands->first; c != NULL; c = c->next) {
            FV_EXPECT(c->set != set, "idle");
        }
    }
    if (fv_range(buffer, info->offset, info->range, "a binding") != NULL) {
        set->bindings[write->dstBinding] = (fv_binding_t){buffer, info->offset, info->range};
    }
}

static void vkUpdateDescriptorSets_(VkDevice device,
                                    uint32_t count,
                                    const VkWriteDescriptorSet* writes,
                                    uint32_t copy_count,
                                    const VkCopyDescriptorSet* copies) {
    (void)device, (void)copies;
    FV_EXPECT(copy_count == 0, "without copies");
    for (uint32_t i = 0; i < count; ++i) {
        write_binding(&writes[i]);
    }
}
FV_FUNCTION(vkUpdateDescriptorSets);

/* ---- Fences ---- */

static VkResult vkCreateFence_(VkDevice device,
                               const VkFenceCreateInfo* info,
                               const VkAllocationCallbacks* callbacks,
                               VkFence* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    FV_EXPECT(info->flags == 0, "a fence that is not signaled");
    *out = (VkFence)fv_new(FV_FENCE, fv_object(device, FV_DEVICE));
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateFence);

static void vkDestroyFence_(VkDevice device,
                            VkFence fence,
                            const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(fence, FV_FENCE);
}
FV_FUNCTION(vkDestroyFence);

static VkResult vkResetFences_(VkDevice device, uint32_t count, const VkFence* fences) {
    (void)device;
    FV_TRY(fv_enter());
    for (uint32_t i = 0; i < count; ++i) {
        fv_object_t* fence = fv_object(fences[i], FV_FENCE);
        if (fence != NULL) {
            FV_EXPECT(!fence->is_pending, "idle");
            fence->is_signaled = 0;
        }
    }
    return VK_SUCCESS;
}
FV_FUNCTION(vkResetFences);

static VkResult vkWaitForFences_(
    VkDevice device, uint32_t count, const VkFence* fences, VkBool32 all, uint64_t timeout_ns) {
    const VkResult result = fv_enter();
    (void)device, (void)all;
    FV_EXPECT(count == 1 && timeout_ns > 0, "one fence");
    const fv_object_t* fence = fv_object(fences[0], FV_FENCE);
    if (fence == NULL) {
        return VK_ERROR_UNKNOWN;
    }
    if (result != VK_SUCCESS) {
        return result;
    }
    if (!fence->is_pending && !fence->is_signaled) {
        fv_fault("a fence that was never submitted is waited for");
        return VK_TIMEOUT;
    }
    const VkResult done = fence->is_pending ? fv_run(fence) : VK_SUCCESS;
    return fv.is_lost ? VK_ERROR_DEVICE_LOST : done;
}
FV_FUNCTION(vkWaitForFences);
