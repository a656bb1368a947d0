/* Cutting a plan into stages, and finding how many layers a device takes. */
#include "core/split.h"

#include <string.h>

#include "core/pool_layout.h"

/* Weights lie in a GPU's memory from multiples of this many bytes. */
#define TENSOR_ALIGNMENT 256u
/* Of a device's memory, one part in so many is left to others. */
#define SPARE_SHARE 16u
/* Not a buffer: the slot holds nothing that is needed. */
#define NO_BUFFER UINT32_MAX

llmir_status_t llmir_split_processor(llmir_runtime_t* runtime,
                                     llmir_device_t** out_device,
                                     llmir_error_t* error) {
    const llmir_device_wish_t wish = {{0}, 0};
    uint32_t index = 0;
    while (index + 1u < llmir_target_registry_count &&
           strcmp(llmir_target_registry[index]->name, "cpu") != 0) {
        ++index;
    }
    return llmir_runtime_device(runtime, index, &wish, out_device, error);
}

/* ---- Layers ---- */

/* The dispatch with which layer `wanted` begins, or the one behind the last layer; *out_count is
 * the number of layers. Layers are runs of dispatches that name the same one. */
static uint32_t find_layer(const llmir_plan_view_t* plan, uint32_t wanted, uint32_t* out_count) {
    uint32_t last = UINT32_MAX;
    uint32_t count = 0;
    uint32_t end = 0;
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->record->dispatch_count; ++i) {
        const uint32_t layer = plan->dispatches[i].layer;
        if (layer == UINT32_MAX) {
            continue;
        }
        if (layer != last) {
            found = count == wanted ? i : found;
            ++count;
        }
        last = layer;
        end = i + 1u;
    }
    *out_count = count;
    return wanted >= count ? end : found;
}

/* ---- What flows between stages ---- */

/* Whether a dispatch writes all of an operand without looking at it. */
static int overwrites(const llmir_plan_view_t* plan,
                      const llmir_plan_dispatch_t* dispatch,
                      uint32_t operand) {
    const llmir_plan_variant_t* variant = &plan->variants[dispatch->variant];
    const llmir_linear_params_t* linear = (const void*)(plan->section + variant->params.offset);
    switch (variant->kernel) {
        case LLMIR_KERNEL_EMBED:
        case LLMIR_KERNEL_ROPE_TABLE:
        case LLMIR_KERNEL_QUANTIZE:
        case LLMIR_KERNEL_GATE:
            return operand == 1;
        case LLMIR_KERNEL_NORM:
            return operand == 4;
        case LLMIR_KERNEL_ATTENTION:
            return operand == 2;
        case LLMIR_KERNEL_LINEAR: /* products side by side in one buffer: the first one is at 0 */
            return operand == 3 && (linear->flags & LLMIR_LINEAR_ADD) == 0 &&
                   linear->out_column == 0;
        default:
            return 0;
    }
}

/* Goes back over a dispatch: from what is needed behind it to what is needed before it.
 * inout_needed [slot] is the buffer that the slot must hold, or NO_BUFFER. */
static void step_back(const llmir_plan_view_t* plan,
                      const llmir_plan_dispatch_t* dispatch,
                      uint32_t* inout_needed) {
    for (int reads = 0; reads < 2; ++reads) {
        for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
            const llmir_plan_operand_t* operand = &dispatch->operands[i];
            if (operand->space == LLMIR_OPERAND_BUFFER && overwrites(plan, dispatch, i) != reads) {
                inout_needed[plan->buffers[operand->index].slot] =
                    reads ? operand->index : NO_BUFFER;
            }
        }
    }
}

/* ---- Stages ---- */

/* The tables of a stage, in the model's block. */
typedef struct stage_tables {
    llmir_plan_record_t* record;
    llmir_tensor_view_t* tensors;
    llmir_plan_kv_layer_t* kv_layers;
    llmir_plan_slot_t* slots;
    uint32_t* imports; /* [slot_count] */
} stage_tables_t;

/* The tables of all stages, or with `block` NULL the bytes that they take. */
static size_t lay_out(const llmir_plan_record_t* record,
                      void* block,
                      stage_tables_t out_tables[LLMIR_MAX_STAGES],
                      uint32_t** out_needed) {
    size_t cursor = 0;
    uint8_t* base = block;
    for (uint32_t i = 0; i < LLMIR_MAX_STAGES; ++i) {
        const size_t at[5] = {
            llmir_arena_append(&cursor, 1, sizeof(llmir_plan_record_t)).offset,
            llmir_arena_append(&cursor, record->tensor_count, sizeof(llmir_tensor_view_t)).offset,
            llmir_arena_append(&cursor, record->kv_layer_count, sizeof(llmir_plan_kv_layer_t))
                .offset,
            llmir_arena_append(&cursor, record->slot_count, sizeof(llmir_plan_slot_t)).offset,
            llmir_arena_append(&cursor, record->slot_count, sizeof(uint32_t)).offset,
        };
        if (base != NULL) {
            out_tables[i] = (stage_tables_t){(void*)(base + at[0]), (void*)(base + at[1]),
                                             (void*)(base + at[2]), (void*)(base + at[3]),
                                             (void*)(base + at[4])};
        }
    }
    const size_t needed = llmir_arena_append(&cursor, record->slot_count, sizeof(uint32_t)).offset;
    if (base != NULL) {
        *out_needed = (uint32_t*)(void*)(base + needed);
    }
    return cursor;
}

/* Puts what the stage's dispatches name into its tables, which begin empty. Returns 0 if it would
 * need a KV layer below *inout_kv_begin, which belongs to an earlier stage; then sets it to the end
 * of its own. */
static int fill_tables(const llmir_plan_view_t* whole,
                       const llmir_stage_t* stage,
                       const stage_tables_t* tables,
                       uint32_t* inout_kv_begin) {
    static const llmir_tensor_record_t no_tensor;
    const llmir_plan_record_t* record = whole->record;
    uint32_t kv_end = *inout_kv_begin;
    for (uint32_t i = 0; i < record->tensor_count; ++i) {
        tables->tensors[i] = (llmir_tensor_view_t){&no_tensor, whole->tensors[i].data};
    }
    memset(tables->slots, 0, record->slot_count * sizeof(*tables->slots));
    for (uint32_t i = 0; i < stage->plan.record->dispatch_count; ++i) {
        for (uint32_t k = 0; k < LLMIR_PLAN_MAX_OPERANDS; ++k) {
            const llmir_plan_operand_t operand = stage->plan.dispatches[i].operands[k];
            if (operand.space == LLMIR_OPERAND_TENSOR) {
                tables->tensors[operand.index] = whole->tensors[operand.index];
            } else if (operand.space == LLMIR_OPERAND_BUFFER) {
                const uint32_t slot = whole->buffers[operand.index].slot;
                tables->slots[slot] = whole->slots[slot];
            } else if (operand.space == LLMIR_OPERAND_KV) {
                if (operand.index < *inout_kv_begin) {
                    return 0;
                }
                kv_end = operand.index >= kv_end ? operand.index + 1u : kv_end;
            }
        }
    }
    for (uint32_t i = 0; i < record->kv_layer_count; ++i) {
        tables->kv_layers[i] = whole->kv_layers[i];
        tables->kv_layers[i].kv_heads =
            i >= *inout_kv_begin && i < kv_end ? whole->kv_layers[i].kv_heads : 0u;
    }
    *inout_kv_begin = kv_end;
    return 1;
}

/* What a stage takes over from the one before, found from the last stage to the first: `needed` is
 * what the stages behind it need. */
static void find_imports(const llmir_plan_view_t* whole,
                         llmir_stage_t* stage,
                         const stage_tables_t* tables,
                         uint32_t* needed) {
    for (int before = 0; before < 2; ++before) {
        stage->import_count = 0;
        for (uint32_t i = 0; i < whole->record->slot_count; ++i) {
            if (needed[i] != NO_BUFFER) { /* it is there at the end, or at the beginning */
                tables->slots[i] = whole->slots[i];
                tables->imports[stage->import_count++] = needed[i];
            }
        }
        for (uint32_t i = stage->plan.record->dispatch_count; i > 0 && !before; --i) {
            step_back(whole, &stage->plan.dispatches[i - 1u], needed);
        }
    }
    stage->imports = tables->imports;
}

static llmir_status_t take_block(llmir_model_t* model, llmir_error_t* error) {
    if (model->split_block != NULL) {
        return LLMIR_STATUS_OK;
    }
    const size_t bytes = lay_out(model->plan.record, NULL, NULL, NULL);
    if (bytes == SIZE_MAX) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "stages: tables beyond the address space");
    }
    LLMIR_TRY(llmir_allocate(&model->runtime->allocator, bytes, 64, "stages", &model->split_block,
                             error));
    model->split_bytes = bytes;
    return LLMIR_STATUS_OK;
}

/* Makes the stages of which that of `device` has `layer_count` layers. */
static llmir_status_t make_stages(llmir_model_t* model,
                                  llmir_device_t* device,
                                  uint32_t layer_count,
                                  llmir_error_t* error) {
    const llmir_plan_view_t* whole = &model->plan;
    stage_tables_t tables[LLMIR_MAX_STAGES];
    uint32_t* needed = NULL;
    llmir_device_t* processor = NULL;
    uint32_t kv_begin = 0;
    uint32_t all = 0;
    LLMIR_TRY(take_block(model, error));
    LLMIR_TRY(llmir_split_processor(model->runtime, &processor, error));
    (void)lay_out(whole->record, model->split_block, tables, &needed);
    const uint32_t first = find_layer(whole, 0, &all);
    const uint32_t begins[LLMIR_MAX_STAGES + 1u] = {0, first, find_layer(whole, layer_count, &all),
                                                    whole->record->dispatch_count};
    model->stage_count = 0;
    for (uint32_t i = 0; i < LLMIR_MAX_STAGES; ++i) {
        if (begins[i] == begins[i + 1u]) {
            continue;
        }
        const stage_tables_t* own = &tables[model->stage_count];
        llmir_stage_t* stage = &model->stages[model->stage_count];
        model->main_stage = i == 1u ? model->stage_count : model->main_stage;
        model->stage_count += 1u;
        *own->record = *whole->record;
        own->record->dispatch_count = begins[i + 1u] - begins[i];
        *stage = (llmir_stage_t){
            .device = i == 1u ? device : processor, .plan = *whole, .first_dispatch = begins[i]};
        stage->plan.record = own->record;
        stage->plan.dispatches = whole->dispatches + begins[i];
        stage->plan.tensors = own->tensors;
        stage->plan.kv_layers = own->kv_layers;
        stage->plan.slots = own->slots;
        stage->device->target->device_caps(stage->device, &stage->caps);
        if (!fill_tables(whole, stage, own, &kv_begin)) {
            return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                              "%u of %u layers: the others use the keys and values of these",
                              layer_count, all);
        }
    }
    for (uint32_t i = kv_begin; i < whole->record->kv_layer_count; ++i) { /* that nobody uses */
        tables[model->stage_count - 1u].kv_layers[i] = whole->kv_layers[i];
    }
    for (uint32_t i = 0; i < whole->record->slot_count; ++i) {
        needed[i] = NO_BUFFER;
    }
    for (uint32_t i = model->stage_count; i > 0; --i) {
        find_imports(whole, &model->stages[i - 1u], &tables[i - 1u], needed);
    }
    model->stages[0].import_count = 0; /* what nobody has written */
    model->layer_count = layer_count;
    return LLMIR_STATUS_OK;
}

/* ---- What fits ---- */

uint64_t llmir_split_weights(const llmir_stage_t* stage) {
    uint64_t bytes = stage->caps.section_target != LLMIR_SECTION_TARGET_CPU
                         ? llmir_plan_scratch_bytes(&stage->plan)
                         : 0u;
    for (uint32_t i = 0; i < stage->plan.record->tensor_count; ++i) {
        bytes += (stage->plan.tensors[i].record->data_bytes + (TENSOR_ALIGNMENT - 1u)) &
                 ~(uint64_t)(TENSOR_ALIGNMENT - 1u);
    }
    return bytes;
}

/* Whether the stage of the device, with its share of the pool, takes no more than `budget`. */
static llmir_status_t check_fits(const llmir_model_t* model,
                                 const llmir_split_wish_t* wish,
                                 uint64_t budget,
                                 llmir_error_t* error) {
    const llmir_stage_t* stage = &model->stages[model->main_stage];
    llmir_pool_layout_t layout;
    LLMIR_TRY(llmir_pool_layout_make(model, wish->pool, &layout, error));
    const llmir_stage_layout_t* place = &layout.stages[model->main_stage];
    const uint64_t bytes = llmir_split_weights(stage) + place->activations.bytes + place->kv.bytes;
    return budget == 0 || bytes <= budget
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_CAPACITY,
                            "%s: weights, keys and values take %llu MiB, it has %llu",
                            stage->caps.name, (unsigned long long)((bytes + 0xfffffu) >> 20),
                            (unsigned long long)(budget >> 20));
}

static uint64_t budget_of(const llmir_device_caps_t* caps, const llmir_split_wish_t* wish) {
    return wish->memory_bytes != 0 ? wish->memory_bytes
                                   : caps->memory_bytes - caps->memory_bytes / SPARE_SHARE;
}

llmir_status_t llmir_split_fit(llmir_model_t* model,
                               const llmir_split_wish_t* wish,
                               llmir_error_t* reason,
                               llmir_error_t* error) {
    llmir_device_t* device = model->stages[0].device;
    const uint64_t budget = budget_of(&model->stages[0].caps, wish);
    uint32_t all = 0;
    (void)find_layer(&model->plan, 0, &all);
    if (!wish->allowed || wish->layer_count > all) {
        return LLMIR_STATUS_OK;
    }
    if (wish->layer_count != 0) {
        (void)llmir_fail(reason, LLMIR_STATUS_OK, "%u of %u layers, as asked for",
                         wish->layer_count, all);
        return make_stages(model, device, wish->layer_count, error);
    }
    llmir_error_t why = {0, {0}}; /* the whole model does not fit */
    llmir_status_t status = wish->layer_limit <= all
                                ? llmir_fail(&why, LLMIR_STATUS_CAPACITY, "the device refused more")
                                : check_fits(model, wish, budget, &why);
    for (uint32_t i = wish->layer_limit < all ? wish->layer_limit : all;
         i > 0 && status == LLMIR_STATUS_CAPACITY; --i) {
        (void)llmir_fail(reason, LLMIR_STATUS_OK, "%u of %u layers: %s", i, all, why.message);
        LLMIR_TRY(make_stages(model, device, i, error));
        status = check_fits(model, wish, budget, NULL);
    }
    if (status != LLMIR_STATUS_OK && error != NULL) {
        *error = why;
    }
    return status;
}
