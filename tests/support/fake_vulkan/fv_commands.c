/* Command buffers and the queue of the stand-in for Vulkan. Commands are done in the order of their
 * submission when somebody waits; each that reads or writes what another one wrote needs a barrier
 * between them. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_vulkan/fake_vulkan.h"

/* ---- Recording ---- */

static VkResult vkCreateCommandPool_(VkDevice device,
                                     const VkCommandPoolCreateInfo* info,
                                     const VkAllocationCallbacks* callbacks,
                                     VkCommandPool* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    FV_EXPECT(info->flags == VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT &&
                  info->queueFamilyIndex == 1,
              "buffers that are begun again, of the queue's family");
    *out = (VkCommandPool)fv_new(FV_COMMAND_POOL, fv_object(device, FV_DEVICE));
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateCommandPool);

static void vkDestroyCommandPool_(VkDevice device,
                                  VkCommandPool pool,
                                  const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(pool, FV_COMMAND_POOL);
}
FV_FUNCTION(vkDestroyCommandPool);

static VkResult vkAllocateCommandBuffers_(VkDevice device,
                                          const VkCommandBufferAllocateInfo* info,
                                          VkCommandBuffer* out) {
    (void)device;
    FV_TRY(fv_enter());
    fv_object_t* pool = fv_object(info->commandPool, FV_COMMAND_POOL);
    FV_EXPECT(info->commandBufferCount == 1, "one buffer");
    *out = (VkCommandBuffer)fv_new(FV_COMMAND_BUFFER, pool);
    return VK_SUCCESS;
}
FV_FUNCTION(vkAllocateCommandBuffers);

static int is_submitted(const fv_object_t* commands) {
    for (const fv_submission_t* s = fv.first; s != NULL; s = s->next) {
        if (s->commands == commands) {
            return 1;
        }
    }
    return 0;
}

static VkResult vkBeginCommandBuffer_(VkCommandBuffer handle,
                                      const VkCommandBufferBeginInfo* info) {
    FV_TRY(fv_enter());
    fv_object_t* commands = fv_object(handle, FV_COMMAND_BUFFER);
    FV_EXPECT(info->sType == VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, "the struct");
    if (commands == NULL || is_submitted(commands) || commands->is_recording) {
        fv_fault("a command buffer is begun that is recorded, or that the device executes");
        return VK_ERROR_UNKNOWN;
    }
    fv_clear_commands(commands);
    commands->is_recording = 1;
    commands->is_recorded = 0;
    commands->pipeline = commands->set = NULL;
    commands->words_set = 0;
    return VK_SUCCESS;
}
FV_FUNCTION(vkBeginCommandBuffer);

static VkResult vkEndCommandBuffer_(VkCommandBuffer handle) {
    const VkResult result = fv_enter();
    fv_object_t* commands = fv_object(handle, FV_COMMAND_BUFFER);
    FV_EXPECT(commands != NULL && commands->is_recording, "recorded");
    if (commands != NULL) {
        commands->is_recording = 0;
        commands->is_recorded = result == VK_SUCCESS;
    }
    return result;
}
FV_FUNCTION(vkEndCommandBuffer);

static fv_object_t* recording(VkCommandBuffer handle) {
    fv_object_t* commands = fv_object(handle, FV_COMMAND_BUFFER);
    if (commands != NULL && !commands->is_recording) {
        fv_fault("a command for a buffer that is not recorded");
    }
    return commands;
}

static fv_command_t* append(VkCommandBuffer handle, fv_command_kind_t kind) {
    fv_object_t* commands = recording(handle);
    fv_command_t* command = calloc(1, sizeof *command);
    if (command == NULL || commands == NULL) {
        abort();
    }
    command->kind = kind;
    if (commands->last != NULL) {
        commands->last->next = command;
    } else {
        commands->first = command;
    }
    commands->last = command;
    return command;
}

static void vkCmdBindPipeline_(VkCommandBuffer handle,
                               VkPipelineBindPoint point,
                               VkPipeline pipeline) {
    fv_object_t* commands = recording(handle);
    FV_EXPECT(point == VK_PIPELINE_BIND_POINT_COMPUTE, "for computing");
    commands->pipeline = fv_object(pipeline, FV_PIPELINE);
}
FV_FUNCTION(vkCmdBindPipeline);

static void vkCmdBindDescriptorSets_(VkCommandBuffer handle,
                                     VkPipelineBindPoint point,
                                     VkPipelineLayout layout,
                                     uint32_t first,
                                     uint32_t count,
                                     const VkDescriptorSet* sets,
                                     uint32_t offset_count,
                                     const uint32_t* offsets) {
    fv_object_t* commands = recording(handle);
    (void)offsets;
    (void)fv_object(layout, FV_PIPELINE_LAYOUT);
    FV_EXPECT(
        point == VK_PIPELINE_BIND_POINT_COMPUTE && first == 0 && count == 1 && offset_count == 0,
        "one set");
    commands->set = fv_object(sets[0], FV_SET);
}
FV_FUNCTION(vkCmdBindDescriptorSets);

static void vkCmdPushConstants_(VkCommandBuffer handle,
                                VkPipelineLayout layout,
                                VkShaderStageFlags stages,
                                uint32_t offset,
                                uint32_t bytes,
                                const void* data) {
    fv_object_t* commands = recording(handle);
    (void)fv_object(layout, FV_PIPELINE_LAYOUT);
    if (stages != VK_SHADER_STAGE_COMPUTE_BIT || offset % 4u != 0 || bytes % 4u != 0 ||
        offset > sizeof commands->words || bytes > sizeof commands->words - offset) {
        fv_fault("push constants: %u bytes at %u", bytes, offset);
        return;
    }
    memcpy((uint8_t*)commands->words + offset, data, bytes);
    for (uint32_t i = offset / 4u; i < (offset + bytes) / 4u; ++i) {
        commands->words_set |= 1u << i;
    }
}
FV_FUNCTION(vkCmdPushConstants);

static void vkCmdDispatch_(VkCommandBuffer handle, uint32_t x, uint32_t y, uint32_t z) {
    const fv_object_t* commands = recording(handle);
    if (commands->pipeline == NULL || commands->set == NULL ||
        commands->words_set != (1u << LLMIR_GPU_WORD_COUNT) - 1u || x == 0 || y == 0 || x > 65535 ||
        y > 65535 || z != 1) {
        fv_fault("a dispatch of %u x %u x %u workgroups, or without pipeline, set or words", x, y,
                 z);
        return;
    }
    fv_command_t* command = append(handle, FV_DISPATCH);
    command->pipeline = commands->pipeline;
    command->set = commands->set;
    memcpy(command->words, commands->words, sizeof command->words);
    command->grid_x = x;
    command->grid_y = y;
}
FV_FUNCTION(vkCmdDispatch);

static void vkCmdCopyBuffer_(VkCommandBuffer handle,
                             VkBuffer from,
                             VkBuffer to,
                             uint32_t count,
                             const VkBufferCopy* regions) {
    fv_command_t* command = append(handle, FV_COPY);
    FV_EXPECT(count == 1, "one region");
    command->from = fv_object(from, FV_BUFFER);
    command->to = fv_object(to, FV_BUFFER);
    command->from_offset = regions->srcOffset;
    command->to_offset = regions->dstOffset;
    command->bytes = regions->size;
}
FV_FUNCTION(vkCmdCopyBuffer);

static void vkCmdFillBuffer_(
    VkCommandBuffer handle, VkBuffer to, VkDeviceSize offset, VkDeviceSize bytes, uint32_t word) {
    fv_command_t* command = append(handle, FV_FILL);
    command->to = fv_object(to, FV_BUFFER);
    command->to_offset = offset;
    command->bytes = bytes != VK_WHOLE_SIZE || command->to == NULL
                         ? bytes
                         : (command->to->bytes - offset) & ~(uint64_t)3u;
    command->word = word;
    FV_EXPECT(offset % 4u == 0 && command->bytes % 4u == 0, "words");
}
FV_FUNCTION(vkCmdFillBuffer);

static void vkCmdUpdateBuffer_(VkCommandBuffer handle,
                               VkBuffer to,
                               VkDeviceSize offset,
                               VkDeviceSize bytes,
                               const void* data) {
    fv_command_t* command = append(handle, FV_UPDATE);
    FV_EXPECT(offset % 4u == 0 && bytes % 4u == 0 && bytes > 0 && bytes <= 65536, "few words");
    command->to = fv_object(to, FV_BUFFER);
    command->to_offset = offset;
    command->bytes = bytes;
    command->data = malloc(bytes != 0 ? bytes : 1u);
    if (command->data == NULL) {
        abort();
    }
    memcpy(command->data, data, bytes);
}
FV_FUNCTION(vkCmdUpdateBuffer);

static void vkCmdPipelineBarrier_(VkCommandBuffer handle,
                                  VkPipelineStageFlags from,
                                  VkPipelineStageFlags to,
                                  VkDependencyFlags flags,
                                  uint32_t count,
                                  const VkMemoryBarrier* barriers,
                                  uint32_t buffer_count,
                                  const VkBufferMemoryBarrier* buffers,
                                  uint32_t image_count,
                                  const VkImageMemoryBarrier* images) {
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkAccessFlags writes = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    const VkAccessFlags reads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
    (void)append(handle, FV_BARRIER);
    (void)flags, (void)buffers, (void)images;
    FV_EXPECT(count == 1 && buffer_count == 0 && image_count == 0, "one barrier of all memory");
    FV_EXPECT((from & stages) == stages && (to & stages) == stages, "all stages");
    FV_EXPECT((barriers->srcAccessMask & writes) == writes &&
                  (barriers->dstAccessMask & (writes | reads)) == (writes | reads),
              "all kinds of access");
}
FV_FUNCTION(vkCmdPipelineBarrier);

/* ---- The queue ---- */

static VkResult vkQueueSubmit_(VkQueue queue,
                               uint32_t count,
                               const VkSubmitInfo* submits,
                               VkFence fence_handle) {
    FV_TRY(fv_enter());
    (void)fv_object(queue, FV_QUEUE);
    fv_object_t* fence = fv_object(fence_handle, FV_FENCE);
    FV_EXPECT(count == 1 && submits->commandBufferCount == 1, "one command buffer");
    fv_object_t* commands = fv_object(submits->pCommandBuffers[0], FV_COMMAND_BUFFER);
    if (fence == NULL || commands == NULL || !commands->is_recorded || fence->is_pending ||
        fence->is_signaled || is_submitted(commands)) {
        fv_fault("commands are submitted that are not recorded, or with a fence in use");
        return VK_ERROR_UNKNOWN;
    }
    if (fv.is_lost) {
        return VK_ERROR_DEVICE_LOST;
    }
    fv_submission_t* submission = calloc(1, sizeof *submission);
    if (submission == NULL) {
        abort();
    }
    submission->commands = commands;
    submission->fence = fence;
    fence->is_pending = 1;
    if (fv.last != NULL) {
        fv.last->next = submission;
    } else {
        fv.first = submission;
    }
    fv.last = submission;
    return VK_SUCCESS;
}
FV_FUNCTION(vkQueueSubmit);

static void dispatch(const fv_command_t* command) {
    fake_launch_t launch = {
        .run = command->pipeline->run,
        .has_barrier = 1,
        .is_wrong = fv.is_wrong,
        .grid_x = command->grid_x,
        .grid_y = command->grid_y,
        .threads = command->pipeline->threads,
        .words = command->words,
    };
    for (uint32_t i = 0; i < LLMIR_GPU_BINDING_COUNT; ++i) {
        const fv_binding_t* binding = &command->set->bindings[i];
        if (binding->buffer != NULL) {
            launch.bindings[i] = (uint32_t*)(void*)fv_range(binding->buffer, binding->offset,
                                                            binding->range, "a dispatch");
        }
    }
    ++fv.control.launches;
    const uint32_t waiting = fake_execute_groups(&launch);
    if (waiting != 0) {
        fv_fault("%u of %u threads of a workgroup wait at a barrier, the others are done", waiting,
                 launch.threads);
        abort(); /* the coroutines cannot be used again */
    }
}

static void transfer(const fv_command_t* command) {
    uint8_t* to = fv_range(command->to, command->to_offset, command->bytes, "a transfer");
    const uint8_t* from = command->data;
    if (command->kind == FV_COPY) {
        from = fv_range(command->from, command->from_offset, command->bytes, "a transfer");
    }
    if (to == NULL || (from == NULL && command->kind != FV_FILL)) {
        return;
    }
    if (command->kind != FV_FILL) {
        memmove(to, from, command->bytes);
        return;
    }
    for (uint64_t i = 0; i < command->bytes; i += 4) {
        memcpy(to + i, &command->word, 4);
    }
}

static void do_command(const fv_command_t* command) {
    /* Fills and updates may follow each other: they write to different places. */
    const int reads = command->kind == FV_COPY || command->kind == FV_DISPATCH;
    if (command->kind == FV_BARRIER) {
        fv.dirty = 0;
        return;
    }
    if (fv.dirty == 2 || (fv.dirty == 1 && reads)) {
        fv_fault("a command without a barrier behind one that wrote");
    }
    fv.dirty = reads ? 2 : 1;
    if (command->kind == FV_DISPATCH) {
        dispatch(command);
    } else {
        transfer(command);
    }
}

VkResult fv_run(const fv_object_t* fence) {
    while (fv.first != NULL) {
        fv_submission_t* submission = fv.first;
        for (const fv_command_t* command = submission->commands->first;
             command != NULL && !fv.is_lost; command = command->next) {
            do_command(command);
        }
        submission->fence->is_pending = 0;
        submission->fence->is_signaled = 1;
        fv.first = submission->next;
        fv.last = fv.first != NULL ? fv.last : NULL;
        const int is_last = submission->fence == fence;
        free(submission);
        if (is_last) {
            break;
        }
    }
    return fv.is_lost ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}
