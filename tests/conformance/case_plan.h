/* A case of a kernel as a target takes it: a plan of one dispatch. */
#ifndef LLMIR_CASE_PLAN_H
#define LLMIR_CASE_PLAN_H

#include "targets/target.h"
#include "tests/conformance/kernel_case.h"

typedef struct target_fixture {
    const llmir_target_t* target;
    llmir_device_t* device;
    const char* folder;
} target_fixture_t;

typedef struct one_plan {
    llmir_plan_record_t record;
    llmir_plan_variant_t variant;
    llmir_plan_dispatch_t dispatch;
    llmir_plan_buffer_t buffers[LLMIR_PLAN_MAX_OPERANDS];
    llmir_plan_slot_t slots[LLMIR_PLAN_MAX_OPERANDS];
    llmir_plan_kv_layer_t layer;
    llmir_tensor_record_t records[LLMIR_PLAN_MAX_OPERANDS];
    llmir_tensor_view_t tensors[LLMIR_PLAN_MAX_OPERANDS];
    llmir_plan_view_t view;
    uint64_t slot_offsets[LLMIR_PLAN_MAX_OPERANDS];
    uint64_t activation_bytes;
} one_plan_t;

/* The plan points into the case. */
void make_plan(const kernel_case_t* c, one_plan_t* plan);

/* Whether the device runs a level's code. A stand-in driver executes what was made for it, and that
 * is every level up to its highest but those of programs on a processor. */
int runs_code(const llmir_device_caps_t* caps, const case_code_t* code);

#endif /* LLMIR_CASE_PLAN_H */
