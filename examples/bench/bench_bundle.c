/* What one token costs, by the plan: every LINEAR reads its weights once and multiplies rows x
 * columns. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "common/input.h"
#include "inspect/inspect_bundle.h"

/* Tensors are numbered through all WEIGHTS parts. Returns the bytes of tensor `index`, 0 if there
 * is none. */
static uint64_t tensor_bytes(const inspect_bundle_t* bundle, uint32_t index) {
    for (uint32_t i = 0; i < bundle->header.section_count; ++i) {
        llmir_bundle_section_t section;
        const uint8_t* data = inspect_section(bundle, i, &section);
        if (section.kind != LLMIR_SECTION_WEIGHTS || data == NULL) {
            continue;
        }
        const uint32_t count = inspect_tensor_count(data, section.bytes);
        if (index < count) {
            llmir_tensor_record_t tensor;
            uint32_t name_bytes = 0;
            inspect_tensor(data, section.bytes, index, &tensor, &name_bytes);
            return tensor.data_bytes;
        }
        index -= count;
    }
    return 0;
}

static void add_linear(const inspect_bundle_t* bundle,
                       const llmir_plan_dispatch_t* dispatch,
                       const llmir_linear_params_t* params,
                       bench_costs_t* inout) {
    inout->bytes_per_token += tensor_bytes(bundle, dispatch->operands[1].index);
    if (params->extent == LLMIR_EXTENT_TOKENS && params->group != 0) {
        const uint64_t matrices = params->gate == LLMIR_GATE_NONE ? 1 : 2;
        inout->int_ops_per_token += 2 * matrices * params->rows * params->columns;
    }
}

/* Copies `bytes` at `offset` of the plan section; 0 if outside. */
static int copy_out(
    const uint8_t* plan, uint64_t plan_bytes, uint64_t offset, void* out, size_t bytes) {
    if (offset > plan_bytes || bytes > plan_bytes - offset) {
        return 0;
    }
    memcpy(out, plan + offset, bytes);
    return 1;
}

static void add_plan(const inspect_bundle_t* bundle,
                     const uint8_t* plan,
                     uint64_t bytes,
                     bench_costs_t* inout) {
    llmir_plan_record_t record;
    if (!copy_out(plan, bytes, 0, &record, sizeof(record))) {
        return;
    }
    for (uint32_t i = 0; i < record.dispatch_count; ++i) {
        llmir_plan_dispatch_t dispatch;
        llmir_plan_variant_t variant;
        llmir_linear_params_t params;
        const uint64_t at = record.dispatch_offset + (uint64_t)i * sizeof(dispatch);
        if (!copy_out(plan, bytes, at, &dispatch, sizeof(dispatch)) ||
            !copy_out(plan, bytes,
                      record.variant_offset + (uint64_t)dispatch.variant * sizeof(variant),
                      &variant, sizeof(variant))) {
            return;
        }
        if (variant.kernel == LLMIR_KERNEL_LINEAR &&
            copy_out(plan, bytes, variant.params.offset, &params, sizeof(params))) {
            add_linear(bundle, &dispatch, &params, inout);
        }
    }
}

void bench_read_costs(const char* path, bench_costs_t* out) {
    size_t bytes = 0;
    uint8_t* data = (uint8_t*)input_read_file(path, &bytes);
    inspect_bundle_t bundle;
    memset(out, 0, sizeof(*out));
    if (data != NULL && inspect_open(data, bytes, &bundle) == NULL) {
        for (uint32_t i = 0; i < bundle.header.section_count; ++i) {
            llmir_bundle_section_t section;
            const uint8_t* plan = inspect_section(&bundle, i, &section);
            if (section.kind == LLMIR_SECTION_PLAN && section.target == LLMIR_SECTION_TARGET_ANY &&
                plan != NULL) {
                add_plan(&bundle, plan, section.bytes, out);
            }
        }
    }
    free(data);
}
