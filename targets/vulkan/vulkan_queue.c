/* Recording and executing commands: two command buffers in turn, so that one is recorded while the
 * other runs. */
#include "targets/vulkan/vulkan_device.h"

/* A device that does not answer for so long is lost. */
#define ANSWER_NS ((uint64_t)60 * 1000000000u)

static llmir_status_t note_failure(llmir_vulkan_device_t* device,
                                   VkResult result,
                                   const char* what,
                                   llmir_error_t* error) {
    const llmir_status_t status = llmir_vulkan_fail(error, result, what);
    device->is_lost |= status == LLMIR_STATUS_DEVICE_LOST;
    return status;
}

static llmir_status_t wait_for(llmir_vulkan_device_t* device,
                               llmir_vulkan_frame_t* frame,
                               llmir_error_t* error) {
    if (!frame->is_pending) {
        return LLMIR_STATUS_OK;
    }
    VkResult result =
        device->api.vkWaitForFences(device->device, 1, &frame->fence, VK_TRUE, ANSWER_NS);
    if (result != VK_SUCCESS) {
        /* What it works on may be destroyed next. */
        (void)device->api.vkDeviceWaitIdle(device->device);
        return note_failure(device, result, "waiting for the device", error);
    }
    result = device->api.vkResetFences(device->device, 1, &frame->fence);
    if (result != VK_SUCCESS) {
        return note_failure(device, result, "resetting a fence", error);
    }
    frame->is_pending = 0;
    return LLMIR_STATUS_OK;
}

static VkResult end_commands(llmir_vulkan_device_t* device, llmir_vulkan_frame_t* frame) {
    frame->is_recording = 0;
    return device->api.vkEndCommandBuffer(frame->commands);
}

llmir_status_t llmir_vulkan_frame_begin(llmir_vulkan_device_t* device,
                                        llmir_vulkan_frame_t** out_frame,
                                        llmir_error_t* error) {
    if (device->is_lost) {
        return llmir_fail(error, LLMIR_STATUS_DEVICE_LOST, "%s: the device was lost before",
                          device->name);
    }
    llmir_vulkan_frame_t* frame = &device->frames[device->next_frame];
    LLMIR_TRY(wait_for(device, frame, error));
    if (frame->is_recording) { /* given up by a failure */
        (void)end_commands(device, frame);
    }
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    LLMIR_VULKAN_TRY(device->api.vkBeginCommandBuffer(frame->commands, &begin),
                     "beginning commands");
    frame->is_recording = 1;
    *out_frame = frame;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_vulkan_frame_submit(llmir_vulkan_device_t* device,
                                         llmir_vulkan_frame_t* frame,
                                         llmir_error_t* error) {
    LLMIR_VULKAN_TRY(end_commands(device, frame), "ending commands");
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &frame->commands,
    };
    const VkResult result = device->api.vkQueueSubmit(device->queue, 1, &submit, frame->fence);
    if (result != VK_SUCCESS) {
        return note_failure(device, result, "submitting", error);
    }
    frame->is_pending = 1;
    device->next_frame = (device->next_frame + 1u) % LLMIR_VULKAN_FRAMES;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_vulkan_drain(llmir_vulkan_device_t* device, llmir_error_t* error) {
    llmir_status_t first = LLMIR_STATUS_OK;
    for (uint32_t i = 0; i < LLMIR_VULKAN_FRAMES; ++i) {
        const llmir_status_t status =
            wait_for(device, &device->frames[i], first == LLMIR_STATUS_OK ? error : NULL);
        first = first == LLMIR_STATUS_OK ? status : first;
    }
    return first;
}

void llmir_vulkan_barrier(llmir_vulkan_device_t* device, VkCommandBuffer commands) {
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                         VK_ACCESS_HOST_READ_BIT,
    };
    device->api.vkCmdPipelineBarrier(commands, stages, stages | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                                     &barrier, 0, NULL, 0, NULL);
}
