/* The objects of the CPU target, private to targets/cpu. */
#ifndef LLMIR_CPU_DEVICE_H
#define LLMIR_CPU_DEVICE_H

#include "targets/cpu/cpu_code.h"
#include "targets/cpu/cpu_pool.h"
#include "targets/cpu/kernels/kernel_table.h"
#include "targets/target.h"

typedef struct llmir_cpu_device {
    llmir_device_t base;
    llmir_allocator_t allocator;
    const llmir_cpu_kernel_table_t* kernels; /* built-in, of the level that was chosen */
    uint32_t level_max;                      /* 0: no limit */
    llmir_cpu_pool_t* pool;
    /* Models are shared by threads, so submissions to a device queue up here. */
    llmir_mutex_t submit_mutex;
    llmir_mutex_t fence_mutex;
    uint32_t mutex_count; /* initialised so far, in the order above */
    uint64_t last_fence; /* under fence_mutex; reached, because submit computes before it returns */
} llmir_cpu_device_t;

typedef struct llmir_cpu_buffer {
    llmir_buffer_t base;
    uint8_t* data;
    size_t block_bytes; /* of the block that this struct begins; imported data is not part of it */
} llmir_cpu_buffer_t;

/* A dispatch ready to run: everything but what the batch and the submission bring. */
typedef struct llmir_cpu_frame {
    llmir_cpu_kernel_fn run;
    const void* params;
    uint32_t kernel;    /* llmir_kernel_t */
    uint32_t slot_mask; /* bit i: operand i is a buffer, in slot operand_slots[i] */
    uint32_t operand_slots[LLMIR_PLAN_MAX_OPERANDS];
    llmir_atomic_u32_t traced_tiles; /* computed; counted only while tracing */
    llmir_cpu_call_t call;
} llmir_cpu_frame_t;

typedef struct llmir_cpu_program {
    llmir_program_t base;
    const llmir_plan_view_t* plan;
    llmir_cpu_code_t code; /* image of the bundle; empty if the built-in kernels run */
    char code_name[64];
    llmir_error_t code_reason;
    llmir_cpu_batch_t batch;              /* of the submission that runs */
    const llmir_submission_t* submission; /* that runs */
    llmir_atomic_u32_t stop;   /* llmir_status_t why the submission stops early; 0: it does not */
    uint32_t piece_tiles;      /* tiles between two looks at cancel and deadline */
    llmir_cpu_step_t* steps;   /* [dispatch_count] */
    llmir_cpu_frame_t* frames; /* [dispatch_count] */
    llmir_cpu_kv_layer_t* kv_layers; /* [kv_layer_count], of the submission that runs */
    size_t block_bytes;
} llmir_cpu_program_t;

#define LLMIR_CPU_ALIGNMENT 64u

/* The buffer's struct, rounded up so that the data behind it is aligned. */
#define LLMIR_CPU_BUFFER_BYTES \
    ((sizeof(llmir_cpu_buffer_t) + LLMIR_CPU_ALIGNMENT - 1) & ~(size_t)(LLMIR_CPU_ALIGNMENT - 1))

/* The entries of llmir_target_t; see targets/target.h. */
llmir_status_t llmir_cpu_probe(const llmir_device_options_t* options, llmir_error_t* error);
llmir_status_t llmir_cpu_device_create(const llmir_device_options_t* options,
                                       llmir_device_t** out_device,
                                       llmir_error_t* error);
void llmir_cpu_device_destroy(llmir_device_t* device);
void llmir_cpu_device_caps(const llmir_device_t* device, llmir_device_caps_t* out_caps);

llmir_status_t llmir_cpu_buffer_create(llmir_device_t* device,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error);
llmir_status_t llmir_cpu_buffer_import(llmir_device_t* device,
                                       void* memory,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error);
void llmir_cpu_buffer_destroy(llmir_buffer_t* buffer);
llmir_status_t llmir_cpu_buffer_write(
    llmir_buffer_t* buffer, size_t offset, const void* data, size_t bytes, llmir_error_t* error);
llmir_status_t llmir_cpu_buffer_read(
    llmir_buffer_t* buffer, size_t offset, void* data, size_t bytes, llmir_error_t* error);
llmir_status_t llmir_cpu_buffer_copy(llmir_buffer_t* buffer,
                                     size_t to_offset,
                                     size_t from_offset,
                                     size_t bytes,
                                     llmir_error_t* error);
void* llmir_cpu_buffer_map(llmir_buffer_t* buffer);
void llmir_cpu_buffer_unmap(llmir_buffer_t* buffer);

llmir_status_t llmir_cpu_program_load(llmir_device_t* device,
                                      const llmir_program_options_t* options,
                                      llmir_program_t** out_program,
                                      llmir_error_t* error);
void llmir_cpu_program_unload(llmir_program_t* program);
void llmir_cpu_program_code(const llmir_program_t* program,
                            const char** out_code,
                            const char** out_reason);

llmir_status_t llmir_cpu_submit(llmir_device_t* device,
                                const llmir_submission_t* submission,
                                uint64_t* out_fence,
                                llmir_error_t* error);
llmir_status_t llmir_cpu_wait(llmir_device_t* device,
                              uint64_t fence,
                              uint64_t timeout_ns,
                              llmir_error_t* error);

#endif /* LLMIR_CPU_DEVICE_H */
