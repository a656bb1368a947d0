/* cpu_pool.h where there is one thread: the caller computes all tiles of a step, then those of the
 * next. The thread pool and its waiting are not part of the library. */
#include "targets/cpu/cpu_pool.h"

struct llmir_cpu_pool {
    llmir_allocator_t allocator;
};

llmir_status_t llmir_cpu_pool_create(const llmir_allocator_t* allocator,
                                     uint32_t thread_count,
                                     uint32_t core_count,
                                     const llmir_executor_t* executor,
                                     llmir_cpu_pool_t** out_pool,
                                     llmir_error_t* error) {
    (void)core_count, (void)executor;
    *out_pool = NULL;
    if (thread_count != 1) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "%u threads: this system has one",
                          thread_count);
    }
    void* block = NULL;
    LLMIR_TRY(llmir_allocate(allocator, sizeof(llmir_cpu_pool_t), _Alignof(llmir_cpu_pool_t),
                             "thread pool", &block, error));
    llmir_cpu_pool_t* pool = block;
    pool->allocator = *allocator;
    *out_pool = pool;
    return LLMIR_STATUS_OK;
}

void llmir_cpu_pool_destroy(llmir_cpu_pool_t* pool) {
    if (pool != NULL) {
        const llmir_allocator_t allocator = pool->allocator;
        llmir_free(&allocator, pool, sizeof(*pool), _Alignof(llmir_cpu_pool_t));
    }
}

uint32_t llmir_cpu_pool_thread_count(const llmir_cpu_pool_t* pool) {
    (void)pool;
    return 1;
}

llmir_status_t llmir_cpu_pool_run(llmir_cpu_pool_t* pool,
                                  const llmir_cpu_job_t* job,
                                  llmir_error_t* error) {
    (void)pool;
    for (uint32_t step = 0; step < job->step_count; ++step) {
        if (job->steps[step].tile_count == 0) {
            continue;
        }
        if (job->cancel != NULL && llmir_atomic_load(job->cancel) != 0) {
            return llmir_fail(error, LLMIR_STATUS_CANCELLED, "the computation was cancelled");
        }
        job->run(job->user, step, 0, job->steps[step].tile_count);
    }
    return LLMIR_STATUS_OK;
}
