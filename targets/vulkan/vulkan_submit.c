/* Running a batch: the arrays are copied, then the steps recorded and submitted in segments, so
 * that cancellation and deadlines are looked at every few milliseconds. Submitting returns when all
 * has run; the host has nothing else to do for this batch. */
#include <inttypes.h>
#include <string.h>

#include "targets/gpu/gpu_checks.h"
#include "targets/gpu/gpu_launch.h"
#include "targets/vulkan/vulkan_device.h"

/* What vkCmdUpdateBuffer takes at most. */
#define UPDATE_BYTES 65536u

/* Rows times steps of a segment: much less than a tenth of a second even in software. */
#define SEGMENT_ROWS 1024u
#define SEGMENT_MIN_STEPS 4u

static llmir_status_t check_capacity(const llmir_vulkan_program_t* program,
                                     const llmir_submission_t* submission,
                                     llmir_error_t* error) {
    const llmir_vulkan_device_t* device = (const llmir_vulkan_device_t*)program->base.device;
    const uint32_t largest = device->properties.limits.maxComputeWorkGroupCount[1];
    const uint64_t binding = device->limits.binding_bytes;
    if (submission->batch->token_count > largest) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "batch: %" PRIu32 " tokens, %s takes at most %" PRIu32,
                          submission->batch->token_count, device->name, largest);
    }
    if (submission->activations->bytes > binding) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "activations of %zu bytes, %s binds at most %" PRIu64,
                          submission->activations->bytes, device->name, binding);
    }
    for (uint32_t i = 0; i < program->plan->record->kv_layer_count; ++i) {
        const llmir_kv_place_t* place = &submission->batch->kv_places[i];
        if (place->bytes + place->offset % LLMIR_GPU_TENSOR_ALIGNMENT > binding) {
            return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                              "KV layer %" PRIu32 ": %" PRIu64 " bytes, %s binds at most %" PRIu64,
                              i, place->bytes, device->name, binding);
        }
    }
    return LLMIR_STATUS_OK;
}

/* ---- Bindings ---- */

static VkDescriptorBufferInfo buffer_info(const llmir_vulkan_program_t* program,
                                          const llmir_gpu_step_t* step,
                                          uint32_t index,
                                          const llmir_submission_t* submission) {
    llmir_gpu_binding_t binding = step->bindings[index];
    VkBuffer buffer = VK_NULL_HANDLE;
    switch (binding.space) {
        case LLMIR_GPU_SPACE_ACTIVATIONS:
            buffer = ((const llmir_vulkan_buffer_t*)submission->activations)->memory.buffer;
            binding.bytes = submission->activations->bytes;
            break;
        case LLMIR_GPU_SPACE_KV:
            buffer = ((const llmir_vulkan_buffer_t*)submission->kv)->memory.buffer;
            binding = llmir_gpu_kv_binding(step, submission->batch);
            break;
        default:
            buffer = program->chunks[binding.chunk].buffer;
            break;
    }
    return (VkDescriptorBufferInfo){buffer, binding.offset, (binding.bytes + 3u) & ~(uint64_t)3u};
}

/* Points the descriptor sets at a submission's buffers, if they point elsewhere. */
static void bind_buffers(llmir_vulkan_program_t* program, const llmir_submission_t* submission) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const uint64_t activations = ((const llmir_vulkan_buffer_t*)submission->activations)->number;
    const uint64_t kv = ((const llmir_vulkan_buffer_t*)submission->kv)->number;
    const size_t place_bytes = program->plan->record->kv_layer_count * sizeof(llmir_kv_place_t);
    if (program->bound_activations == activations && program->bound_kv == kv &&
        memcmp(program->bound_places, submission->batch->kv_places, place_bytes) == 0) {
        return;
    }
    for (uint32_t i = 0; i < program->step_count; ++i) {
        VkDescriptorBufferInfo infos[LLMIR_GPU_BINDING_COUNT];
        VkWriteDescriptorSet writes[LLMIR_GPU_BINDING_COUNT];
        uint32_t count = 0;
        for (uint32_t k = 0; k < LLMIR_GPU_BINDING_COUNT; ++k) {
            if (program->steps[i].bindings[k].space == LLMIR_GPU_SPACE_NONE) {
                continue;
            }
            infos[count] = buffer_info(program, &program->steps[i], k, submission);
            writes[count] = (VkWriteDescriptorSet){
                .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                .dstSet = program->sets[i],
                .dstBinding = k,
                .descriptorCount = 1,
                .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                .pBufferInfo = &infos[count],
            };
            ++count;
        }
        device->api.vkUpdateDescriptorSets(device->device, count, writes, 0, NULL);
    }
    program->bound_activations = activations;
    program->bound_kv = kv;
    memcpy(program->bound_places, submission->batch->kv_places, place_bytes);
}

/* ---- The batch's arrays ---- */

/* Bytes at `offset` of the activations, in place or by a command. */
static void put_bytes(llmir_vulkan_device_t* device,
                      VkCommandBuffer commands,
                      llmir_vulkan_memory_t* memory,
                      uint64_t offset,
                      const void* data,
                      uint64_t bytes) {
    if (memory->mapped != NULL) {
        if (bytes > 0) {
            memcpy(memory->mapped + offset, data, (size_t)bytes);
        }
        return;
    }
    for (uint64_t done = 0; done < bytes; done += UPDATE_BYTES) {
        const uint64_t left = bytes - done;
        device->api.vkCmdUpdateBuffer(commands, memory->buffer, offset + done,
                                      left < UPDATE_BYTES ? left : UPDATE_BYTES,
                                      (const uint8_t*)data + done);
    }
}

static void put_batch(llmir_vulkan_device_t* device,
                      VkCommandBuffer commands,
                      const llmir_submission_t* submission,
                      const llmir_batch_arrays_t* arrays) {
    const llmir_batch_t* batch = submission->batch;
    llmir_vulkan_memory_t* memory = &((llmir_vulkan_buffer_t*)submission->activations)->memory;
    const uint64_t base = submission->batch_offset;
    const uint64_t tokens = (uint64_t)batch->token_count * 4u;
    const uint64_t table = (uint64_t)batch->sequence_count * batch->page_table_stride * 4u;
    put_bytes(device, commands, memory, base + arrays->tokens, batch->tokens, tokens);
    put_bytes(device, commands, memory, base + arrays->positions, batch->positions, tokens);
    put_bytes(device, commands, memory, base + arrays->sequences, batch->token_sequence, tokens);
    put_bytes(device, commands, memory, base + arrays->output_rows, batch->output_rows,
              (uint64_t)batch->output_count * 4u);
    put_bytes(device, commands, memory, base + arrays->page_table, batch->page_table, table);
    if (batch->window_table != NULL) {
        put_bytes(device, commands, memory, base + arrays->window_table, batch->window_table,
                  table);
    }
    llmir_vulkan_barrier(device, commands);
}

/* ---- Steps ---- */

static llmir_status_t record_step(llmir_vulkan_program_t* program,
                                  const llmir_submission_t* submission,
                                  uint32_t index,
                                  VkCommandBuffer commands,
                                  llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const llmir_gpu_step_t* step = &program->steps[index];
    llmir_gpu_launch_t launches[LLMIR_GPU_STEP_LAUNCHES];
    uint32_t words[LLMIR_GPU_WORD_COUNT];
    uint32_t count = 0;
    LLMIR_TRY(llmir_gpu_step_launches(&program->code, program->plan, step, submission, launches,
                                      &count, error));
    llmir_gpu_step_words(program->plan, step, submission, words);
    for (uint32_t i = 0; i < count; ++i) {
        device->api.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                                      program->pipelines[launches[i].function]);
        device->api.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                                            program->pipeline_layout, 0, 1, &program->sets[index],
                                            0, NULL);
        device->api.vkCmdPushConstants(commands, program->pipeline_layout,
                                       VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof words, words);
        device->api.vkCmdDispatch(commands, launches[i].grid_x, launches[i].grid_y, 1);
        llmir_vulkan_barrier(device, commands);
    }
    return LLMIR_STATUS_OK;
}

static uint32_t segment_steps(const llmir_submission_t* submission) {
    const uint32_t tokens = submission->batch->token_count;
    const uint32_t steps = tokens != 0 ? SEGMENT_ROWS / tokens : SEGMENT_ROWS;
    return steps > SEGMENT_MIN_STEPS ? steps : SEGMENT_MIN_STEPS;
}

/* Tracing wants to know how long each dispatch takes, so it runs alone. */
static llmir_status_t run_traced(llmir_vulkan_program_t* program,
                                 const llmir_submission_t* submission,
                                 uint32_t index,
                                 llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const uint32_t dispatch = program->steps[index].dispatch;
    llmir_vulkan_frame_t* frame = NULL;
    if (llmir_gpu_step_rows(&program->steps[index], submission) == 0) {
        return LLMIR_STATUS_OK;
    }
    submission->trace(submission->trace_user, dispatch, LLMIR_TRACE_BEGIN);
    LLMIR_TRY(llmir_vulkan_frame_begin(device, &frame, error));
    LLMIR_TRY(record_step(program, submission, index, frame->commands, error));
    LLMIR_TRY(llmir_vulkan_frame_submit(device, frame, error));
    LLMIR_TRY(llmir_vulkan_drain(device, error));
    submission->trace(submission->trace_user, dispatch, LLMIR_TRACE_END);
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_steps(llmir_vulkan_program_t* program,
                                const llmir_submission_t* submission,
                                llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const uint32_t length = segment_steps(submission);
    for (uint32_t i = 0; i < program->step_count;) {
        llmir_vulkan_frame_t* frame = NULL;
        LLMIR_TRY(llmir_gpu_check_stop(submission, error));
        if (submission->trace != NULL) {
            LLMIR_TRY(run_traced(program, submission, i++, error));
            continue;
        }
        const uint32_t left = program->step_count - i;
        const uint32_t end = i + (left < length ? left : length);
        LLMIR_TRY(llmir_vulkan_frame_begin(device, &frame, error));
        for (; i < end; ++i) {
            LLMIR_TRY(record_step(program, submission, i, frame->commands, error));
        }
        LLMIR_TRY(llmir_vulkan_frame_submit(device, frame, error));
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_batch(llmir_vulkan_program_t* program,
                                const llmir_submission_t* submission,
                                const llmir_batch_arrays_t* arrays,
                                llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    llmir_vulkan_frame_t* frame = NULL;
    bind_buffers(program, submission);
    LLMIR_TRY(llmir_vulkan_frame_begin(device, &frame, error));
    put_batch(device, frame->commands, submission, arrays);
    LLMIR_TRY(llmir_vulkan_frame_submit(device, frame, error));
    const llmir_status_t status = run_steps(program, submission, error);
    const llmir_status_t drained =
        llmir_vulkan_drain(device, status == LLMIR_STATUS_OK ? error : NULL);
    return status != LLMIR_STATUS_OK ? status : drained;
}

llmir_status_t llmir_vulkan_submit(llmir_device_t* base,
                                   const llmir_submission_t* submission,
                                   uint64_t* out_fence,
                                   llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base;
    llmir_vulkan_program_t* program = (llmir_vulkan_program_t*)submission->program;
    const llmir_batch_t* batch = submission->batch;
    const llmir_batch_arrays_t arrays =
        llmir_batch_arrays(batch->token_count, batch->output_count, batch->sequence_count,
                           batch->page_table_stride, batch->window_table != NULL);
    *out_fence = 0;
    LLMIR_TRY(llmir_gpu_check_submission(program->plan, submission, &arrays, error));
    LLMIR_TRY(check_capacity(program, submission, error));
    llmir_mutex_lock(&device->mutex);
    const llmir_status_t status = run_batch(program, submission, &arrays, error);
    if (status == LLMIR_STATUS_OK) {
        *out_fence = ++device->last_fence;
    }
    llmir_mutex_unlock(&device->mutex);
    if (status == LLMIR_STATUS_OK && submission->largest != NULL &&
        program->code.largest != LLMIR_GPU_ANY) {
        return llmir_vulkan_memory_read(
            device, &((const llmir_vulkan_buffer_t*)submission->activations)->memory,
            submission->batch_offset + arrays.largest, submission->largest,
            (uint64_t)batch->output_count * 4u, error);
    }
    return status;
}

llmir_status_t llmir_vulkan_wait(llmir_device_t* base,
                                 uint64_t fence,
                                 uint64_t timeout_ns,
                                 llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base;
    (void)timeout_ns;
    llmir_mutex_lock(&device->mutex);
    const uint64_t last = device->last_fence;
    llmir_mutex_unlock(&device->mutex);
    return fence <= last
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                            "fence %" PRIu64 " was never handed out, the last one is %" PRIu64,
                            fence, last);
}
