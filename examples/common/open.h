/* Opening a bundle the way every program does it. */
#ifndef LLMIR_EXAMPLES_OPEN_H
#define LLMIR_EXAMPLES_OPEN_H

#include <stdint.h>

#include "llmir.h"

typedef struct opened_model {
    llmir_runtime_t* runtime;
    llmir_model_t* model;
    llmir_model_info_t info;
    double load_ms;
} opened_model_t;

/* Creates a runtime with `threads` (0: one per core) and loads `path` on `device` (NULL: auto).
 * Warnings of the library go to standard error as "PROGRAM: warning: ...". On failure the error is
 * filled and nothing is left open. */
llmir_status_t open_model(const char* program,
                          const char* path,
                          const char* device,
                          uint32_t threads,
                          uint32_t model_flags,
                          opened_model_t* out,
                          llmir_error_t* error);

/* Which device, and how much of the model runs there; what the options of the command line say. */
typedef struct open_device {
    const char* name;    /* NULL: auto */
    uint32_t layers;     /* --gpu-layers; 0: as many as fit */
    uint32_t memory_mib; /* --gpu-memory; 0: nearly all of it */
} open_device_t;
#define OPEN_DEVICE_OPTIONS(device)                            \
    {"--device", NULL, CLI_STRING, &(device).name},            \
        {"--gpu-layers", "-ngl", CLI_U32, &(device).layers}, { \
        "--gpu-memory", NULL, CLI_U32, &(device).memory_mib    \
    }

/* The same, all spans of the runtime go to `trace`, and devices are chosen for a pool. */
typedef struct open_request {
    const char* program;
    const char* path;
    const open_device_t* device;
    const llmir_pool_options_t* pool; /* the pool that will be made; NULL: defaults */
    uint32_t threads;
    uint32_t model_flags;
    llmir_trace_fn trace; /* may be NULL */
    void* trace_user;
} open_request_t;
llmir_status_t open_model_traced(const open_request_t* request,
                                 opened_model_t* out,
                                 llmir_error_t* error);

void close_model(opened_model_t* opened);

/* The llmir_kv_type_t named f16 (also NULL), f32, q8 or q4; 0 if `name` is none of them. */
int open_kv_type(const char* name, uint32_t* out_kv_type);
#define OPEN_KV_NAMES "f16, f32, q8 or q4"

/* Turns text into ids in heap memory, free() it; NULL on failure. */
int32_t* open_tokenize(const llmir_model_t* model,
                       const char* text,
                       size_t bytes,
                       uint32_t flags,
                       size_t* out_count,
                       llmir_error_t* error);

#endif /* LLMIR_EXAMPLES_OPEN_H */
