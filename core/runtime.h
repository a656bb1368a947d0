/* The runtime object: what models share. Devices are made when the first model asks for them. */
#ifndef LLMIR_RUNTIME_H
#define LLMIR_RUNTIME_H

#include "core/target_registry.h"

/* More threads are surely a mistake. */
#define LLMIR_RUNTIME_MAX_THREADS 256u

/* Most devices that models of one runtime run on. */
#define LLMIR_RUNTIME_MAX_DEVICES 8u

/* Which device of a target is wanted: those of one runtime that were wished for alike are one. */
typedef struct llmir_device_wish {
    char name[32];        /* part of its name; "": the best */
    uint32_t no_software; /* 1: not a device that is a program on the processor */
} llmir_device_wish_t;

typedef struct llmir_runtime_slot {
    llmir_device_t* device; /* NULL: free */
    llmir_device_wish_t wish;
} llmir_runtime_slot_t;

struct llmir_runtime {
    llmir_allocator_t allocator; /* resize is never NULL */
    llmir_log_fn log;
    void* log_user;
    uint32_t thread_count; /* never 0 */
    uint32_t cpu_level_max;
    uint32_t flags;
    llmir_executor_t executor; /* run is NULL: own threads */
    llmir_trace_fn trace;      /* NULL: none */
    void* trace_user;
    llmir_cache_t cache; /* get is NULL: none */
    llmir_runtime_slot_t devices[LLMIR_RUNTIME_MAX_DEVICES];
};

/* The device of target `index` of the registry that is wished for, made if
 * need be; it belongs to the runtime. Errors: UNSUPPORTED (with the reason),
 * OUT_OF_MEMORY, CAPACITY. */
llmir_status_t llmir_runtime_device(llmir_runtime_t* runtime,
                                    uint32_t index,
                                    const llmir_device_wish_t* wish,
                                    llmir_device_t** out_device,
                                    llmir_error_t* error);

/* Hands one line to the application's log, if there is one. */
void llmir_runtime_log(const llmir_runtime_t* runtime, llmir_log_level_t level, const char* text);

#endif /* LLMIR_RUNTIME_H */
