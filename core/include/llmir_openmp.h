/* An executor over OpenMP, for applications that compute with OpenMP anyway:
 *
 *   llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
 *   options.executor = llmir_openmp_executor();
 *
 * Compile the file that includes this with -fopenmp. The library itself does not know OpenMP. */
#ifndef LLMIR_OPENMP_H
#define LLMIR_OPENMP_H

#if !defined(_OPENMP)
#error "llmir_openmp.h: compile with OpenMP (-fopenmp)"
#endif

#include <omp.h>

#include "llmir.h"

static inline uint32_t llmir_openmp_concurrency(void* self) {
    const int count = omp_get_max_threads();
    (void)self;
    return count > 0 ? (uint32_t)count : 1u;
}

static inline void llmir_openmp_run(void* self,
                                    llmir_task_fn task,
                                    void* task_user,
                                    uint32_t count) {
    const int tasks = (int)count;
    (void)self;
#pragma omp parallel for num_threads(tasks) schedule(static, 1)
    for (int i = 0; i < tasks; ++i) {
        task(task_user, (uint32_t)i);
    }
}

/* The executor over the OpenMP threads of the thread that feeds. */
static inline llmir_executor_t llmir_openmp_executor(void) {
    const llmir_executor_t executor = {NULL, llmir_openmp_concurrency, llmir_openmp_run};
    return executor;
}

#endif /* LLMIR_OPENMP_H */
