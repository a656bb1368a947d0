/* The threads of a CPU device. A job is a list of steps; a step is a number of independent tiles.
 * Threads take tiles of the current step by an atomic counter; whoever completes the last tile of a
 * step opens the next one. The pool knows nothing of kernels. */
#ifndef LLMIR_CPU_POOL_H
#define LLMIR_CPU_POOL_H

#include "core/base/allocator.h"
#include "core/base/status.h"
#include "platform/platform.h"

#define LLMIR_CPU_MAX_THREADS 1024u

/* One cache line each: while a step runs, all threads write to its line and to no other. */
typedef struct llmir_cpu_step {
    llmir_atomic_u32_t claim_count;     /* claims made; claim n stands for a range of tiles */
    llmir_atomic_u32_t completed_tiles; /* reaches tile_count when the step is done */
    uint32_t tile_count;
    uint32_t padding[13];
} llmir_cpu_step_t;
_Static_assert(sizeof(llmir_cpu_step_t) == 64, "a step is a cache line");

typedef struct llmir_cpu_job {
    uint32_t step_count;
    llmir_cpu_step_t* steps; /* 64-byte aligned; the caller fills in tile_count alone */
    /* Computes tiles [tile_begin, tile_end) of step `step`; called on any of the threads. */
    void (*run)(void* user, uint32_t step, uint32_t tile_begin, uint32_t tile_end);
    void* user;
    const llmir_atomic_u32_t* cancel; /* checked before every step; NULL: never */
} llmir_cpu_job_t;

typedef struct llmir_cpu_pool llmir_cpu_pool_t;

/* Starts thread_count - 1 threads (the caller of run is the other one). If one cannot be started,
 * those before it end and the pool is not created.
 *   executor    computes instead, and no thread is started; NULL, or its run NULL: own threads.
 *   core_count  processors to run on; with more threads than that, waiting threads sleep at once.
 */
llmir_status_t llmir_cpu_pool_create(const llmir_allocator_t* allocator,
                                     uint32_t thread_count,
                                     uint32_t core_count,
                                     const llmir_executor_t* executor,
                                     llmir_cpu_pool_t** out_pool,
                                     llmir_error_t* error);

/* Ends and joins the threads; NULL allowed. No job may be running. */
void llmir_cpu_pool_destroy(llmir_cpu_pool_t* pool);

uint32_t llmir_cpu_pool_thread_count(const llmir_cpu_pool_t* pool);

/* Runs all steps in order and returns when no thread touches the job any more. One caller at a
 * time. CANCELLED if `cancel` was set before the last step began; steps begun are completed. */
llmir_status_t llmir_cpu_pool_run(llmir_cpu_pool_t* pool,
                                  const llmir_cpu_job_t* job,
                                  llmir_error_t* error);

#endif /* LLMIR_CPU_POOL_H */
