#include "tests/conformance/case_plan.h"

#include <stdlib.h>
#include <string.h>

static void add_operand(const kernel_case_t* c, uint32_t index, one_plan_t* plan) {
    const case_operand_t* operand = &c->header->operands[index];
    llmir_plan_operand_t* place = &plan->dispatch.operands[index];
    place->space = operand->space;
    if (operand->space == LLMIR_OPERAND_BUFFER) {
        const uint32_t slot = place->index = plan->record.buffer_count++;
        plan->record.slot_count = plan->record.buffer_count;
        plan->buffers[slot].slot = slot;
        plan->buffers[slot].row_bytes = operand->row_bytes;
        plan->slot_offsets[slot] = plan->activation_bytes;
        plan->activation_bytes += (operand->bytes + 63u) / 64u * 64u;
    } else if (operand->space == LLMIR_OPERAND_TENSOR) {
        const uint32_t tensor = place->index = plan->record.tensor_count++;
        llmir_tensor_record_t* record = &plan->records[tensor];
        record->data_bytes = operand->bytes;
        record->shape[0] = operand->rows;
        record->shape[1] = operand->columns;
        record->rank = 2;
        record->layout = operand->layout;
        record->group = operand->group;
        plan->tensors[tensor] = (llmir_tensor_view_t){record, c->operands[index]};
    }
}

void make_plan(const kernel_case_t* c, one_plan_t* plan) {
    const case_header_t* h = c->header;
    memset(plan, 0, sizeof *plan);
    plan->record.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION;
    plan->record.variant_count = 1;
    plan->record.dispatch_count = 1;
    plan->record.page_tokens = h->page_tokens;
    plan->record.kv_layer_count = h->kv_heads != 0;
    plan->variant.kernel = h->kernel;
    plan->variant.params.bytes = h->params_bytes;
    plan->layer = (llmir_plan_kv_layer_t){h->kv_heads, h->head_dim, h->window, 0, 0};
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        add_operand(c, i, plan);
    }
    plan->view = (llmir_plan_view_t){&plan->record, c->params,   &plan->variant, &plan->dispatch,
                                     plan->buffers, plan->slots, &plan->layer,   plan->tensors};
}

int runs_code(const llmir_device_caps_t* caps, const case_code_t* code) {
    const uint32_t highest = caps->own_level > caps->level ? caps->own_level : caps->level;
    if (code->target != caps->section_target) {
        return 0;
    }
    if (getenv("FAKE_DRIVER_KERNELS") != NULL) {
        return code->level <= highest && (code->target != LLMIR_SECTION_TARGET_VULKAN ||
                                          (code->level != LLMIR_VULKAN_LEVEL_SOFTWARE &&
                                           code->level != LLMIR_VULKAN_LEVEL_MATRIX(0)));
    }
    return code->level == caps->own_level ||
           (code->level >> 8 == caps->level >> 8 && code->level <= caps->level);
}
