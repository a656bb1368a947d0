/* The runtime object: what models share. Devices are made when the first model asks for them. */
#ifndef LLMIR_RUNTIME_H
#define LLMIR_RUNTIME_H

#include "core/target_registry.h"

/* More threads are surely a mistake. */
#define LLMIR_RUNTIME_MAX_THREADS 256u

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
    llmir_device_t* devices[LLMIR_TARGET_REGISTRY_MAX]; /* as the registry; NULL: not made yet */
};

/* The device called `name` ("auto" or NULL: the first target that works), made if need be; it
 * belongs to the runtime. Errors: NOT_FOUND (no such target in this build), UNSUPPORTED,
 * OUT_OF_MEMORY. */
llmir_status_t llmir_runtime_device(llmir_runtime_t* runtime,
                                    const char* name,
                                    llmir_device_t** out_device,
                                    llmir_error_t* error);

/* Hands one line to the application's log, if there is one. */
void llmir_runtime_log(const llmir_runtime_t* runtime, llmir_log_level_t level, const char* text);

#endif /* LLMIR_RUNTIME_H */
