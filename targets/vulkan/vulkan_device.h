/* The objects of the Vulkan target, private to targets/vulkan. */
#ifndef LLMIR_VULKAN_DEVICE_H
#define LLMIR_VULKAN_DEVICE_H

#include "targets/gpu/gpu_code.h"
#include "targets/gpu/gpu_plan.h"
#include "targets/target.h"
#include "targets/vulkan/vulkan_api.h"
#include "targets/vulkan/vulkan_matrix.h"

/* Bytes of the staging memory, and so of what a transfer has on the host at once. */
#define LLMIR_VULKAN_STAGING_BYTES ((uint64_t)4 << 20)
/* Command buffers that are recorded and executed in turn. */
#define LLMIR_VULKAN_FRAMES 2u

typedef struct llmir_vulkan_memory {
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint8_t* mapped; /* NULL: the host cannot see it */
    uint64_t bytes;
} llmir_vulkan_memory_t;

typedef struct llmir_vulkan_frame {
    VkCommandBuffer commands;
    VkFence fence;
    int is_pending;   /* submitted, and its fence not reset */
    int is_recording; /* begun and not ended */
} llmir_vulkan_frame_t;

typedef struct llmir_vulkan_device {
    llmir_device_t base;
    llmir_allocator_t allocator;
    llmir_cache_t cache;
    llmir_vulkan_api_t api;
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t queue_family;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory_properties;
    llmir_gpu_limits_t limits;
    uint8_t identity[LLMIR_DEVICE_IDENTITY_BYTES];
    uint32_t level;               /* llmir_vulkan_level_t */
    llmir_vulkan_matrix_t matrix; /* for code of its level */
    int has_budget;               /* VK_EXT_memory_budget: the driver tells what others leave */
    int is_unified;               /* host-visible memory is as good as any */
    VkCommandPool command_pool;
    llmir_vulkan_frame_t frames[LLMIR_VULKAN_FRAMES];
    uint32_t next_frame;
    llmir_vulkan_memory_t staging; /* empty if memory is unified */
    llmir_mutex_t mutex;           /* of queue, frames and staging */
    int has_mutex;
    int is_lost; /* under the mutex: every further use fails */
    uint64_t last_fence;
    uint64_t buffer_count; /* made so far; under the mutex */
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE + 16];
} llmir_vulkan_device_t;

typedef struct llmir_vulkan_buffer {
    llmir_buffer_t base;
    uint64_t number; /* from 1, never used again */
    llmir_vulkan_memory_t memory;
} llmir_vulkan_buffer_t;

typedef struct llmir_vulkan_program {
    llmir_program_t base;
    const llmir_plan_view_t* plan;
    llmir_gpu_code_t code;
    size_t block_bytes;
    llmir_gpu_place_t* places;     /* [tensor_count] */
    llmir_vulkan_memory_t* chunks; /* [chunk_count] */
    uint32_t chunk_count;
    llmir_gpu_step_t* steps; /* [step_count] */
    uint32_t step_count;
    VkPipeline* pipelines; /* [function_count] */
    VkDescriptorSet* sets; /* [step_count] */
    VkShaderModule module;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout pipeline_layout;
    VkPipelineCache pipeline_cache; /* while pipelines are made */
    uint8_t cached_hash[32];        /* of what it was made from; zeros: nothing */
    VkDescriptorPool descriptor_pool;
    uint64_t bound_activations; /* numbers of the buffers that the sets are written for */
    uint64_t bound_kv;
    llmir_kv_place_t* bound_places; /* [kv_layer_count] */
    int has_matrices;               /* its code is that of the device's matrices */
    char code_name[64];
} llmir_vulkan_program_t;

/* ---- vulkan_memory.c ---- */

/* Memory that shaders use: `for_host`, or the fastest for the device. Zeroed. */
llmir_status_t llmir_vulkan_memory_create(llmir_vulkan_device_t* device,
                                          uint64_t bytes,
                                          int for_host,
                                          llmir_vulkan_memory_t* out_memory,
                                          llmir_error_t* error);
void llmir_vulkan_memory_destroy(llmir_vulkan_device_t* device, llmir_vulkan_memory_t* memory);

/* Copies to or from the device, through the staging memory where it must. */
llmir_status_t llmir_vulkan_memory_write(llmir_vulkan_device_t* device,
                                         llmir_vulkan_memory_t* memory,
                                         uint64_t offset,
                                         const void* data,
                                         uint64_t bytes,
                                         llmir_error_t* error);
llmir_status_t llmir_vulkan_memory_read(llmir_vulkan_device_t* device,
                                        const llmir_vulkan_memory_t* memory,
                                        uint64_t offset,
                                        void* data,
                                        uint64_t bytes,
                                        llmir_error_t* error);

/* ---- vulkan_queue.c; the caller holds the mutex ---- */

/* Waits for a frame's turn and begins its commands. */
llmir_status_t llmir_vulkan_frame_begin(llmir_vulkan_device_t* device,
                                        llmir_vulkan_frame_t** out_frame,
                                        llmir_error_t* error);
llmir_status_t llmir_vulkan_frame_submit(llmir_vulkan_device_t* device,
                                         llmir_vulkan_frame_t* frame,
                                         llmir_error_t* error);
/* Waits for everything submitted. */
llmir_status_t llmir_vulkan_drain(llmir_vulkan_device_t* device, llmir_error_t* error);
/* What was written before is visible to what comes after: shaders, copies and the host. */
void llmir_vulkan_barrier(llmir_vulkan_device_t* device, VkCommandBuffer commands);

/* ---- vulkan_cache.c ---- */

/* Makes the program's pipeline cache from what the application kept, if it keeps anything. */
void llmir_vulkan_cache_open(llmir_vulkan_program_t* program);
/* Hands the pipelines to the application, if there is anything new. */
void llmir_vulkan_cache_keep(llmir_vulkan_program_t* program);
void llmir_vulkan_cache_close(llmir_vulkan_program_t* program);

/* ---- The entries of llmir_target_t; see targets/target.h ---- */

llmir_status_t llmir_vulkan_probe(const llmir_device_options_t* options, llmir_error_t* error);
llmir_status_t llmir_vulkan_device_create(const llmir_device_options_t* options,
                                          llmir_device_t** out_device,
                                          llmir_error_t* error);
void llmir_vulkan_device_destroy(llmir_device_t* device);
void llmir_vulkan_device_caps(const llmir_device_t* device, llmir_device_caps_t* out_caps);
llmir_status_t llmir_vulkan_buffer_create(llmir_device_t* device,
                                          size_t bytes,
                                          llmir_buffer_t** out_buffer,
                                          llmir_error_t* error);
llmir_status_t llmir_vulkan_buffer_import(llmir_device_t* device,
                                          void* memory,
                                          size_t bytes,
                                          llmir_buffer_t** out_buffer,
                                          llmir_error_t* error);
void llmir_vulkan_buffer_destroy(llmir_buffer_t* buffer);
llmir_status_t llmir_vulkan_buffer_write(
    llmir_buffer_t* buffer, size_t offset, const void* data, size_t bytes, llmir_error_t* error);
llmir_status_t llmir_vulkan_buffer_read(
    llmir_buffer_t* buffer, size_t offset, void* data, size_t bytes, llmir_error_t* error);
llmir_status_t llmir_vulkan_buffer_copy(llmir_buffer_t* buffer,
                                        size_t to_offset,
                                        size_t from_offset,
                                        size_t bytes,
                                        llmir_error_t* error);
void* llmir_vulkan_buffer_map(llmir_buffer_t* buffer);
void llmir_vulkan_buffer_unmap(llmir_buffer_t* buffer);
llmir_status_t llmir_vulkan_program_load(llmir_device_t* device,
                                         const llmir_program_options_t* options,
                                         llmir_program_t** out_program,
                                         llmir_error_t* error);
void llmir_vulkan_program_unload(llmir_program_t* program);
void llmir_vulkan_program_code(const llmir_program_t* program,
                               const char** out_code,
                               const char** out_reason);
llmir_status_t llmir_vulkan_submit(llmir_device_t* device,
                                   const llmir_submission_t* submission,
                                   uint64_t* out_fence,
                                   llmir_error_t* error);
llmir_status_t llmir_vulkan_wait(llmir_device_t* device,
                                 uint64_t fence,
                                 uint64_t timeout_ns,
                                 llmir_error_t* error);

#endif /* LLMIR_VULKAN_DEVICE_H */
