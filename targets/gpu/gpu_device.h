/* The objects of targets whose drivers are CUDA's or HIP's, private to targets/gpu.
 *
 * Everything of a device happens on one stream, under its mutex, with its context pushed:
 * llmir_gpu_enter and llmir_gpu_leave. */
#ifndef LLMIR_GPU_DEVICE_H
#define LLMIR_GPU_DEVICE_H

#include "targets/gpu/gpu_code.h"
#include "targets/gpu/gpu_driver.h"
#include "targets/gpu/gpu_launch.h"
#include "targets/gpu/gpu_plan.h"
#include "targets/gpu/gpu_target.h"

/* Bytes of the staging memory, and so of what a transfer has on the host at once. */
#define LLMIR_GPU_STAGING_BYTES ((size_t)4 << 20)
/* Segments of a batch that wait or run. */
#define LLMIR_GPU_SEGMENTS 2u
/* Graphs that a program keeps. */
#define LLMIR_GPU_GRAPHS 4u

typedef struct llmir_gpu_device {
    llmir_device_t base;
    llmir_allocator_t allocator;
    const llmir_gpu_flavor_t* flavor;
    llmir_gpu_driver_t driver;
    int ordinal; /* the driver's number of the device */
    uint32_t level;
    llmir_gpu_limits_t limits;
    void* context; /* NULL: not retained */
    void* stream;
    void* events[LLMIR_GPU_SEGMENTS];
    uint8_t* staging; /* pinned */
    llmir_mutex_t mutex;
    int has_mutex;
    int is_lost; /* under the mutex: every further use fails */
    uint64_t last_fence;
    uint64_t buffer_count; /* made so far; under the mutex */
    char name[128];
} llmir_gpu_device_t;

typedef struct llmir_gpu_buffer {
    llmir_buffer_t base;
    uint64_t number; /* from 1, never used again */
    uint64_t address;
} llmir_gpu_buffer_t;

/* What the arguments of all kernels of a batch depend on, apart from slot_offsets and kv_places. */
typedef struct llmir_gpu_shape {
    uint64_t activations, kv; /* numbers of the buffers */
    uint64_t batch_offset;
    uint32_t token_count, sequence_count, output_count, kv_type, table_stride, has_windows;
    uint32_t has_largest, parts;
} llmir_gpu_shape_t;

/* The launches of a batch, recorded once for all batches of the shape. */
typedef struct llmir_gpu_graph {
    void* executable; /* NULL: none */
    llmir_gpu_shape_t shape;
    uint64_t* slot_offsets;      /* [slot_count] */
    llmir_kv_place_t* kv_places; /* [kv_layer_count] */
    uint64_t last_use;
} llmir_gpu_graph_t;

typedef struct llmir_gpu_program {
    llmir_program_t base;
    const llmir_plan_view_t* plan;
    llmir_gpu_code_t code;
    size_t block_bytes;
    llmir_gpu_place_t* places; /* [tensor_count] */
    uint64_t* chunks;          /* [chunk_count] addresses */
    uint32_t chunk_count;
    llmir_gpu_step_t* steps; /* [step_count] */
    uint32_t step_count;
    void** functions; /* [function_count] */
    void* module;
    llmir_gpu_graph_t graphs[LLMIR_GPU_GRAPHS];
    uint64_t graph_uses;
    int has_no_graphs; /* the driver failed to make one */
    char code_name[64];
} llmir_gpu_program_t;

/* Takes the mutex and pushes the context. Errors: DEVICE_LOST; then there is nothing to leave. */
llmir_status_t llmir_gpu_enter(llmir_gpu_device_t* device, llmir_error_t* error);
void llmir_gpu_leave(llmir_gpu_device_t* device);
/* The same for destructors: devices that are lost are entered too. Returns 0 if it cannot be. */
int llmir_gpu_enter_to_free(llmir_gpu_device_t* device);

/* An error of a result; notes a lost device. The caller has entered. */
llmir_status_t llmir_gpu_note(llmir_gpu_device_t* device,
                              int result,
                              const char* what,
                              llmir_error_t* error);

/* Passes on the failure of a driver's function. */
#define LLMIR_GPU_TRY(device, call, what)                          \
    do {                                                           \
        const int result_ = (call);                                \
        if (result_ != 0) {                                        \
            return llmir_gpu_note((device), result_, what, error); \
        }                                                          \
    } while (0)

/* ---- gpu_memory.c; the caller has entered ---- */

/* Zeroed; `bytes` is rounded up to words. */
llmir_status_t llmir_gpu_memory_create(llmir_gpu_device_t* device,
                                       uint64_t bytes,
                                       uint64_t* out_address,
                                       llmir_error_t* error);
llmir_status_t llmir_gpu_memory_write(llmir_gpu_device_t* device,
                                      uint64_t to,
                                      const void* data,
                                      uint64_t bytes,
                                      llmir_error_t* error);
llmir_status_t llmir_gpu_memory_read(
    llmir_gpu_device_t* device, uint64_t from, void* data, uint64_t bytes, llmir_error_t* error);

#endif /* LLMIR_GPU_DEVICE_H */
