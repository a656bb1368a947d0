/* See trace.h. The plan tells what a dispatch is. */
#include "core/trace.h"

#include "core/plan_kernels.h"

llmir_trace_t llmir_trace_begin(const llmir_runtime_t* runtime,
                                const llmir_plan_view_t* plan,
                                const llmir_batch_t* batch) {
    return (llmir_trace_t){.event = runtime->trace,
                           .user = runtime->trace_user,
                           .plan = plan,
                           .token_count = batch->token_count,
                           .sequence_count = batch->sequence_count};
}

static void send(const llmir_trace_t* trace,
                 const char* name,
                 uint32_t layer,
                 uint32_t dispatch,
                 llmir_trace_phase_t phase) {
    const llmir_trace_event_t event = {.struct_size = (uint32_t)sizeof(event),
                                       .phase = (uint32_t)phase,
                                       .time_ns = llmir_clock_ns(),
                                       .name = name,
                                       .layer = layer,
                                       .dispatch = dispatch,
                                       .token_count = trace->token_count,
                                       .sequence_count = trace->sequence_count};
    trace->event(&event, trace->user);
}

void llmir_trace_pass(const llmir_trace_t* trace, llmir_trace_phase_t phase) {
    if (trace->event != NULL) {
        send(trace, "pass", LLMIR_TRACE_NO_LAYER, trace->plan->record->dispatch_count, phase);
    }
}

void llmir_trace_dispatch(void* user, uint32_t dispatch, llmir_trace_phase_t phase) {
    const llmir_trace_t* trace = user;
    const uint32_t index = trace->first_dispatch + dispatch;
    const llmir_plan_dispatch_t* record = &trace->plan->dispatches[index];
    const uint32_t kernel = trace->plan->variants[record->variant].kernel;
    send(trace, llmir_kernel_rule(kernel)->name, record->layer, index, phase);
}
