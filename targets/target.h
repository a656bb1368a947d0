/* What a back end is: one constant table of functions. The runtime knows targets only through this
 * header.
 *
 * A target runs programs. A program is a plan (the portable list of dispatches) made ready for one
 * device, with the bundle's code for it if that fits. Buffers are bytes. `submit` takes a range of
 * the plan's dispatches over one batch and returns a fence; only `wait` blocks. No entry is NULL;
 * what a device lacks is missing from its caps. */
#ifndef LLMIR_TARGET_H
#define LLMIR_TARGET_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/allocator.h"
#include "core/base/status.h"
#include "llmir_bundle.h"
#include "platform/platform.h"

#define LLMIR_TARGET_ABI_VERSION 3u

typedef struct llmir_target llmir_target_t;

/* Each begins with its target so that the runtime can dispatch; the rest belongs to the target. */
typedef struct llmir_device {
    const llmir_target_t* target;
} llmir_device_t;
typedef struct llmir_buffer {
    llmir_device_t* device;
    size_t bytes;
} llmir_buffer_t;
typedef struct llmir_program {
    llmir_device_t* device;
} llmir_program_t;

typedef struct llmir_device_options {
    llmir_allocator_t allocator;
    uint32_t thread_count;  /* CPU: threads that compute, the submitter included; 0: one per core */
    uint32_t cpu_level_max; /* CPU: llmir_cpu_level_t to stay at or below; 0: no limit */
    llmir_executor_t executor; /* CPU: run is NULL: threads of its own */
    llmir_log_fn log;          /* may be NULL */
    void* log_user;
    llmir_cache_t cache;     /* get is NULL: none */
    const char* device_name; /* GPUs: the device whose name holds this; NULL: the best one */
    uint32_t no_software;    /* GPUs: 1: not a device that is a program on the processor */
} llmir_device_options_t;

#define LLMIR_DEVICE_IDENTITY_BYTES 32u

typedef struct llmir_device_caps {
    const char* name;        /* "cpu"; lives as long as the device */
    uint32_t section_target; /* llmir_section_target_t of the code it can run */
    uint32_t level;          /* llmir_cpu_level_t, or the GPU's architecture number */
    uint32_t own_level;      /* of code for just this device, which goes first; 0: there is none */
    uint32_t thread_count;
    uint32_t can_import;   /* buffer_import takes host memory without a copy */
    uint32_t import_bytes; /* of the allocator that an imported buffer takes: part of what a pool
                              announces */
    uint32_t kv_types;     /* bit llmir_kv_storage_t: kernels can use such a cache */
    uint32_t copies_batch; /* a submission's activations have room for the batch's arrays */
    /* Differs for devices and drivers that may compute differently; zeros: not known. */
    uint8_t identity[LLMIR_DEVICE_IDENTITY_BYTES];
    uint64_t buffer_bytes;  /* of the largest buffer; 0: no limit but memory */
    uint64_t binding_bytes; /* that a kernel sees of a buffer: of the activations, of a layer of the
                               KV buffer; 0: no limit */
    uint64_t memory_bytes;  /* for further programs and buffers, as far as the driver tells what
                               others use; 0: not known */
} llmir_device_caps_t;

/* One tensor of the bundle, in the order that operands count them. */
typedef struct llmir_tensor_view {
    const llmir_tensor_record_t* record; /* checked */
    const uint8_t* data;                 /* record->data_bytes bytes, 64-byte aligned */
} llmir_tensor_view_t;

/* A plan whose every index, offset, parameter and buffer has been checked (core/plan.h does). */
typedef struct llmir_plan_view {
    const llmir_plan_record_t* record;
    const uint8_t* section; /* parameters are at section + variants[i].params.offset */
    const llmir_plan_variant_t* variants;
    const llmir_plan_dispatch_t* dispatches;
    const llmir_plan_buffer_t* buffers;
    const llmir_plan_slot_t* slots;
    const llmir_plan_kv_layer_t* kv_layers;
    const llmir_tensor_view_t* tensors; /* [record->tensor_count] */
} llmir_plan_view_t;

/* Bytes that a GPU's program takes beyond its tensors: what attention leaves between its parts
 * (llmir_bundle.h: LLMIR_GPU_PARTS). */
static inline uint64_t llmir_plan_scratch_bytes(const llmir_plan_view_t* plan) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < plan->record->dispatch_count; ++i) {
        const llmir_plan_variant_t* variant = &plan->variants[plan->dispatches[i].variant];
        if (variant->kernel == LLMIR_KERNEL_ATTENTION) {
            const llmir_attention_params_t* p =
                (const llmir_attention_params_t*)(const void*)(plan->section +
                                                               variant->params.offset);
            const uint64_t bytes = (uint64_t)p->q_heads * (p->head_dim + 2u) *
                                   (LLMIR_GPU_SPLIT_ROWS * LLMIR_GPU_PARTS * 4u);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

typedef struct llmir_program_options {
    const llmir_plan_view_t* plan; /* kept until the program is unloaded */
    const uint8_t*
        code; /* a CODE section for this device's target, checked for size only; NULL: none */
    size_t code_bytes;
    uint32_t code_level;
    const uint8_t* plan_hash; /* LLMIR_BUNDLE_HASH_BYTES: hash of the PLAN section */
} llmir_program_options_t;

/* Where the pages of a layer lie in the KV buffer. */
typedef struct llmir_kv_place {
    uint64_t offset;     /* of its page 0, a multiple of 64 */
    uint64_t page_bytes; /* from there to its page 1: at least llmir_kv_layer_bytes */
    uint64_t bytes;      /* of its pages */
} llmir_kv_place_t;

/* One batch, see llmir_cpu_batch_t for shapes. Arrays live until the fence is reached. */
typedef struct llmir_batch {
    uint32_t token_count;
    uint32_t sequence_count;
    uint32_t output_count;
    uint32_t kv_type; /* llmir_kv_storage_t of quant/kv_layout.h */
    uint32_t page_table_stride;
    const int32_t* tokens;
    const int32_t* positions;
    const uint32_t* token_sequence;
    const uint32_t* output_rows;
    const uint32_t* page_table;
    /* The table of layers with a window, as page_table; NULL: they have no pages of their own.
     * Pages that lie before a sequence's window may be anything. */
    const uint32_t* window_table;
    const llmir_kv_place_t* kv_places; /* [kv_layer_count] of the plan */
} llmir_batch_t;

/* Where the arrays of a batch lie when they are copied to a device, in bytes from the first. */
typedef struct llmir_batch_arrays {
    uint64_t tokens;
    uint64_t positions;
    uint64_t sequences;
    uint64_t output_rows;
    uint64_t page_table;
    uint64_t window_table; /* empty without windows */
    uint64_t largest;      /* room for what comes back: u32 [output_count] */
    uint64_t bytes;        /* of all, a multiple of 64 */
} llmir_batch_arrays_t;

static inline llmir_batch_arrays_t llmir_batch_arrays(uint32_t token_count,
                                                      uint32_t output_count,
                                                      uint32_t sequence_count,
                                                      uint32_t page_table_stride,
                                                      int has_windows) {
    const uint64_t tokens = (uint64_t)token_count * 4u;
    const uint64_t table = (uint64_t)sequence_count * page_table_stride * 4u;
    llmir_batch_arrays_t arrays;
    arrays.tokens = 0;
    arrays.positions = tokens;
    arrays.sequences = 2u * tokens;
    arrays.output_rows = 3u * tokens;
    arrays.page_table = arrays.output_rows + (uint64_t)output_count * 4u;
    arrays.window_table = arrays.page_table + table;
    arrays.largest = arrays.window_table + (has_windows ? table : 0u);
    arrays.bytes = arrays.largest + (uint64_t)output_count * 4u;
    arrays.bytes = (arrays.bytes + 63u) & ~(uint64_t)63u;
    return arrays;
}

typedef struct llmir_submission {
    llmir_program_t* program;
    const llmir_batch_t* batch;
    llmir_buffer_t* activations;  /* the slots, one after the other */
    const uint64_t* slot_offsets; /* [slot_count] in `activations`, multiples of 64 */
    uint64_t batch_offset;        /* in `activations`: room for the arrays, if the device copies
                                     them; a multiple of 64 */
    llmir_buffer_t* kv;           /* the pages: each layer's side by side (kv_places) */
    /* Not 0: stop within milliseconds, CANCELLED; NULL: never. */
    const llmir_atomic_u32_t* cancel;
    /* The tick (core/base/deadline.h) at which to stop as promptly, DEADLINE; 0 or NULL: never. */
    const llmir_atomic_u32_t* deadline;
    /* Called around each dispatch that has work, one call after the other; NULL: no tracing. */
    void (*trace)(void* user, uint32_t dispatch, llmir_trace_phase_t phase);
    void* trace_user;
    /* [batch->output_count]: when the fence is reached, the index of the largest logit of each
     * output row, the lowest among equals, where NaN counts as -infinity; left alone by devices
     * that do not look for it. NULL: not wanted. */
    uint32_t* largest;
} llmir_submission_t;

struct llmir_target {
    uint32_t struct_size; /* sizeof(llmir_target_t) of the target */
    uint32_t abi_version; /* LLMIR_TARGET_ABI_VERSION */
    const char* name;

    /* OK if a device can be created here; UNSUPPORTED with the reason otherwise. */
    llmir_status_t (*probe)(const llmir_device_options_t* options, llmir_error_t* error);
    llmir_status_t (*device_create)(const llmir_device_options_t* options,
                                    llmir_device_t** out_device,
                                    llmir_error_t* error);
    void (*device_destroy)(llmir_device_t* device);
    void (*device_caps)(const llmir_device_t* device, llmir_device_caps_t* out_caps);

    /* 64-byte aligned, zeroed. */
    llmir_status_t (*buffer_create)(llmir_device_t* device,
                                    size_t bytes,
                                    llmir_buffer_t** out_buffer,
                                    llmir_error_t* error);
    /* Uses host memory in place; the memory must outlive the buffer. */
    llmir_status_t (*buffer_import)(llmir_device_t* device,
                                    void* memory,
                                    size_t bytes,
                                    llmir_buffer_t** out_buffer,
                                    llmir_error_t* error);
    void (*buffer_destroy)(llmir_buffer_t* buffer);
    llmir_status_t (*buffer_write)(llmir_buffer_t* buffer,
                                   size_t offset,
                                   const void* data,
                                   size_t bytes,
                                   llmir_error_t* error);
    llmir_status_t (*buffer_read)(
        llmir_buffer_t* buffer, size_t offset, void* data, size_t bytes, llmir_error_t* error);
    /* Copies inside the buffer; the ranges do not overlap. */
    llmir_status_t (*buffer_copy)(llmir_buffer_t* buffer,
                                  size_t to_offset,
                                  size_t from_offset,
                                  size_t bytes,
                                  llmir_error_t* error);
    /* A host view of the whole buffer; NULL if the device has none. Valid until unmapped. */
    void* (*buffer_map)(llmir_buffer_t* buffer);
    void (*buffer_unmap)(llmir_buffer_t* buffer);

    /* Unfit code is no error: the program runs the target's own kernels and program_code says why.
     */
    llmir_status_t (*program_load)(llmir_device_t* device,
                                   const llmir_program_options_t* options,
                                   llmir_program_t** out_program,
                                   llmir_error_t* error);
    void (*program_unload)(llmir_program_t* program);
    /* "bundle x86-64-v3" or "built-in x86-64-v3", and why the bundle's code is not used ("" if it
     * is). */
    void (*program_code)(const llmir_program_t* program,
                         const char** out_code,
                         const char** out_reason);

    llmir_status_t (*submit)(llmir_device_t* device,
                             const llmir_submission_t* submission,
                             uint64_t* out_fence,
                             llmir_error_t* error);
    llmir_status_t (*wait)(llmir_device_t* device,
                           uint64_t fence,
                           uint64_t timeout_ns,
                           llmir_error_t* error);
};

#endif /* LLMIR_TARGET_H */
