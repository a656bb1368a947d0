/* Spans for the application's trace callback: one a pass, one a dispatch. */
#ifndef LLMIR_TRACE_H
#define LLMIR_TRACE_H

#include "core/runtime.h"

typedef struct llmir_trace {
    llmir_trace_fn event; /* NULL: nobody listens */
    void* user;
    const llmir_plan_view_t* plan;
    uint32_t first_dispatch; /* what the dispatches of the stage that runs are counted from */
    uint32_t token_count;
    uint32_t sequence_count;
} llmir_trace_t;

/* The trace of one pass. */
llmir_trace_t llmir_trace_begin(const llmir_runtime_t* runtime,
                                const llmir_plan_view_t* plan,
                                const llmir_batch_t* batch);

/* The span of the pass itself. */
void llmir_trace_pass(const llmir_trace_t* trace, llmir_trace_phase_t phase);

/* As llmir_submission_t.trace; `user` is the llmir_trace_t. */
void llmir_trace_dispatch(void* user, uint32_t dispatch, llmir_trace_phase_t phase);

#endif /* LLMIR_TRACE_H */
