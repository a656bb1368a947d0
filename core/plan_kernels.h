/* What each kernel may be given: one rule per kernel kind. Rules return or record a fault as a text
 * that does not change; plan.c says where it was found. */
#ifndef LLMIR_PLAN_KERNELS_H
#define LLMIR_PLAN_KERNELS_H

#include "core/plan.h"

/* One dispatch under examination. The first fault is kept. */
typedef struct llmir_dispatch_check {
    const llmir_plan_view_t* plan;
    const llmir_plan_operand_t* operands; /* [LLMIR_PLAN_MAX_OPERANDS] */
    uint32_t vocab_count;
    uint32_t fault_operand;
    const char* fault; /* NULL: none */
} llmir_dispatch_check_t;

typedef struct llmir_kernel_rule {
    const char* name;
    uint32_t params_bytes;
    uint32_t operand_count;                          /* operands beyond are absent */
    const char* (*params_fault)(const void* params); /* NULL if the parameters are sane */
    /* Compares the operands with parameters that are sane. */
    int (*operands_fit)(llmir_dispatch_check_t* check, const void* params);
} llmir_kernel_rule_t;

/* The rule of a llmir_kernel_t; NULL for other numbers. */
const llmir_kernel_rule_t* llmir_kernel_rule(uint32_t kernel);

/* Whether a dispatch's operands exist, fit the kernel's parameters and do not share memory. */
int llmir_dispatch_is_valid(llmir_dispatch_check_t* check,
                            const llmir_kernel_rule_t* rule,
                            const void* params);

static inline int llmir_head_dim_is_valid(uint32_t head_dim) {
    return head_dim >= 8 && head_dim <= LLMIR_PLAN_MAX_HEAD_DIM && head_dim % 8u == 0;
}

#endif /* LLMIR_PLAN_KERNELS_H */
