/* Checking a PLAN section: tables first, then buffers, KV layers and variants, at last the
 * dispatches, whose kernels' rules stand in plan_kernels.c. */
#include "core/plan.h"

#include <string.h>

#include "core/base/size.h"
#include "core/plan_kernels.h"
#include "quant/activation.h"
#include "quant/kv_layout.h"
#include "quant/quant_layout.h"

#define GROUP_TOKENS 16u /* tokens that lie side by side in the keys of a page */

/* A table inside the section; *out is NULL for an empty one. */
static llmir_status_t open_table(const llmir_plan_source_t* source,
                                 const char* what,
                                 const uint32_t count_and_offset[2],
                                 const size_t element_bytes_and_alignment[2],
                                 const void** out,
                                 llmir_error_t* error) {
    const uint64_t bytes = (uint64_t)count_and_offset[0] * element_bytes_and_alignment[0];
    const uint32_t offset = count_and_offset[1];
    if (offset % element_bytes_and_alignment[1] != 0 ||
        !llmir_range_fits(offset, bytes, source->section_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "PLAN: %u %s at %u, misaligned or outside of the section's %zu bytes",
                          count_and_offset[0], what, offset, source->section_bytes);
    }
    *out = source->section + offset;
    return LLMIR_STATUS_OK;
}

#define OPEN_TABLE(name, what)                                                                    \
    open_table(source, what, (const uint32_t[2]){record->name##_count, record->name##_offset},    \
               (const size_t[2]){sizeof(llmir_plan_##name##_t), _Alignof(llmir_plan_##name##_t)}, \
               &tables[table_count++], error)

static llmir_status_t open_tables(const llmir_plan_source_t* source,
                                  llmir_plan_view_t* plan,
                                  llmir_error_t* error) {
    const llmir_plan_record_t* record = plan->record;
    const void* tables[5] = {NULL};
    size_t table_count = 0;
    LLMIR_TRY(OPEN_TABLE(variant, "variants"));
    LLMIR_TRY(OPEN_TABLE(dispatch, "dispatches"));
    LLMIR_TRY(OPEN_TABLE(buffer, "buffers"));
    LLMIR_TRY(OPEN_TABLE(slot, "slots"));
    LLMIR_TRY(OPEN_TABLE(kv_layer, "KV layers"));
    plan->variants = tables[0];
    plan->dispatches = tables[1];
    plan->buffers = tables[2];
    plan->slots = tables[3];
    plan->kv_layers = tables[4];
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_record(const llmir_plan_source_t* source,
                                   const llmir_plan_record_t* record,
                                   llmir_error_t* error) {
    if (source->section_bytes < sizeof(*record) || record->record_bytes < sizeof(*record)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "PLAN: the record is shorter than %zu bytes",
                          sizeof(*record));
    }
    if (record->kernel_abi_version < 1u || record->kernel_abi_version > LLMIR_KERNEL_ABI_VERSION) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "PLAN: kernel ABI version %u, this library has 1 to %u",
                          record->kernel_abi_version, LLMIR_KERNEL_ABI_VERSION);
    }
    if (record->tensor_count != source->tensor_count) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "PLAN: made for %u tensors, there are %u",
                          record->tensor_count, source->tensor_count);
    }
    if (record->page_tokens < GROUP_TOKENS || record->page_tokens > LLMIR_PLAN_MAX_PAGE_TOKENS ||
        record->page_tokens % GROUP_TOKENS != 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "PLAN: %u tokens a page, expected a multiple of 16 up to 256",
                          record->page_tokens);
    }
    if (record->chunk_tokens < 1 || record->chunk_tokens > LLMIR_PLAN_MAX_CHUNK_TOKENS) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "PLAN: %u tokens a chunk, expected 1 to %u",
                          record->chunk_tokens, LLMIR_PLAN_MAX_CHUNK_TOKENS);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_slots(const llmir_plan_view_t* plan, llmir_error_t* error) {
    for (uint32_t i = 0; i < plan->record->slot_count; ++i) {
        const llmir_plan_slot_t* slot = &plan->slots[i];
        if (slot->token_row_bytes > LLMIR_PLAN_MAX_ROW_BYTES ||
            slot->output_row_bytes > LLMIR_PLAN_MAX_ROW_BYTES) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT, "PLAN: slot %u: rows beyond %u bytes", i,
                              LLMIR_PLAN_MAX_ROW_BYTES);
        }
    }
    return LLMIR_STATUS_OK;
}

/* Bytes that a row of the buffer needs; 0 if format, group or columns are invalid. */
static uint32_t row_bytes_needed(const llmir_plan_buffer_t* buffer) {
    if (buffer->columns < 1 || buffer->columns > LLMIR_PLAN_MAX_ROW_BYTES / 8) {
        return 0;
    }
    if (buffer->format == LLMIR_ROW_F32) {
        return buffer->group == 0 ? buffer->columns * 4u : 0;
    }
    if (buffer->format != LLMIR_ROW_Q8 || !llmir_group_is_valid(buffer->group) ||
        buffer->columns % buffer->group != 0) {
        return 0;
    }
    return llmir_q8_row_bytes(buffer->columns, buffer->group);
}

static llmir_status_t check_buffers(const llmir_plan_view_t* plan, llmir_error_t* error) {
    for (uint32_t i = 0; i < plan->record->buffer_count; ++i) {
        const llmir_plan_buffer_t* buffer = &plan->buffers[i];
        const uint32_t needed = row_bytes_needed(buffer);
        if (buffer->slot >= plan->record->slot_count || buffer->extent > LLMIR_EXTENT_OUTPUTS ||
            needed == 0) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: buffer %u: slot, extent, format, columns or group is invalid",
                              i);
        }
        const llmir_plan_slot_t* slot = &plan->slots[buffer->slot];
        const uint32_t room =
            buffer->extent == LLMIR_EXTENT_OUTPUTS ? slot->output_row_bytes : slot->token_row_bytes;
        if (buffer->row_bytes < needed || buffer->row_bytes % 64u != 0 ||
            buffer->row_bytes > room) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: buffer %u: rows of %u bytes, expected a multiple of 64 from "
                              "%u to its slot's %u",
                              i, buffer->row_bytes, needed, room);
        }
    }
    return LLMIR_STATUS_OK;
}

/* Pages are the layers one after the other, without gaps. */
static llmir_status_t check_kv_layers(const llmir_plan_view_t* plan, llmir_error_t* error) {
    uint64_t elements = 0;
    for (uint32_t i = 0; i < plan->record->kv_layer_count; ++i) {
        const llmir_plan_kv_layer_t* layer = &plan->kv_layers[i];
        if (layer->kv_heads < 1 || layer->kv_heads > LLMIR_PLAN_MAX_HEADS ||
            !llmir_head_dim_is_valid(layer->head_dim)) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: KV layer %u: %u heads of %u elements", i, layer->kv_heads,
                              layer->head_dim);
        }
        if (layer->element_offset != elements) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: KV layer %u: at element %llu of the page, expected %llu", i,
                              (unsigned long long)layer->element_offset,
                              (unsigned long long)elements);
        }
        elements += 2ull * layer->kv_heads * layer->head_dim * plan->record->page_tokens;
        if (elements > LLMIR_PLAN_MAX_PAGE_ELEMENTS) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: KV pages of more than 2^40 "
                              "elements");
        }
    }
    return LLMIR_STATUS_OK;
}

uint64_t llmir_plan_place_kv(const llmir_plan_view_t* plan,
                             uint32_t storage,
                             uint32_t page_count,
                             uint32_t window_page_count,
                             llmir_kv_place_t* out_places) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < plan->record->kv_layer_count; ++i) {
        const llmir_plan_kv_layer_t* layer = &plan->kv_layers[i];
        const int apart = window_page_count != 0 && layer->window != 0;
        const uint64_t pages = apart ? window_page_count : page_count;
        const uint64_t page = llmir_kv_layer_bytes(layer, storage, plan->record->page_tokens);
        if (page > (UINT64_MAX - end) >> 32) { /* fewer than 2^32 pages */
            return UINT64_MAX;
        }
        if (out_places != NULL) {
            out_places[i] = (llmir_kv_place_t){end, page, pages * page};
        }
        end += pages * page;
    }
    return end;
}

static llmir_status_t check_variants(const llmir_plan_source_t* source,
                                     const llmir_plan_view_t* plan,
                                     llmir_error_t* error) {
    for (uint32_t i = 0; i < plan->record->variant_count; ++i) {
        const llmir_plan_variant_t* variant = &plan->variants[i];
        const llmir_kernel_rule_t* rule = llmir_kernel_rule(variant->kernel);
        if (rule == NULL) {
            return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                              "PLAN: variant %u: kernel %u is unknown to this version", i,
                              variant->kernel);
        }
        if (variant->params.offset % 8u != 0 || variant->params.bytes != rule->params_bytes ||
            !llmir_range_fits(variant->params.offset, variant->params.bytes,
                              source->section_bytes)) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: variant %u (%s): %u bytes of parameters at %u, expected %u", i,
                              rule->name, variant->params.bytes, variant->params.offset,
                              rule->params_bytes);
        }
        const char* fault = rule->params_fault(plan->section + variant->params.offset);
        if (fault != NULL) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT, "PLAN: variant %u (%s): %s", i,
                              rule->name, fault);
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_dispatches(const llmir_plan_source_t* source,
                                       const llmir_plan_view_t* plan,
                                       llmir_error_t* error) {
    for (uint32_t i = 0; i < plan->record->dispatch_count; ++i) {
        const llmir_plan_dispatch_t* dispatch = &plan->dispatches[i];
        if (dispatch->variant >= plan->record->variant_count) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "PLAN: dispatch %u: variant %u, there are %u", i, dispatch->variant,
                              plan->record->variant_count);
        }
        const llmir_plan_variant_t* variant = &plan->variants[dispatch->variant];
        const llmir_kernel_rule_t* rule = llmir_kernel_rule(variant->kernel);
        llmir_dispatch_check_t check = {
            .plan = plan, .operands = dispatch->operands, .vocab_count = source->vocab_count};
        if (!llmir_dispatch_is_valid(&check, rule, plan->section + variant->params.offset)) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT, "PLAN: dispatch %u (%s): operand %u: %s",
                              i, rule->name, check.fault_operand, check.fault);
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_logits(const llmir_plan_source_t* source,
                                   const llmir_plan_view_t* plan,
                                   llmir_error_t* error) {
    const uint32_t index = plan->record->logits_buffer;
    const llmir_plan_buffer_t* logits =
        index < plan->record->buffer_count ? &plan->buffers[index] : NULL;
    if (logits == NULL || logits->format != LLMIR_ROW_F32 ||
        logits->extent != LLMIR_EXTENT_OUTPUTS || logits->columns != source->vocab_count) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "PLAN: buffer %u is no f32 output of %u logits", index,
                          source->vocab_count);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_plan_open(const llmir_plan_source_t* source,
                               llmir_plan_view_t* out_plan,
                               llmir_error_t* error) {
    llmir_plan_view_t plan = {.record = (const void*)source->section,
                              .section = source->section,
                              .tensors = source->tensors};
    memset(out_plan, 0, sizeof(*out_plan));
    LLMIR_TRY(check_record(source, plan.record, error));
    LLMIR_TRY(open_tables(source, &plan, error));
    LLMIR_TRY(check_slots(&plan, error));
    LLMIR_TRY(check_buffers(&plan, error));
    LLMIR_TRY(check_kv_layers(&plan, error));
    LLMIR_TRY(check_variants(source, &plan, error));
    LLMIR_TRY(check_dispatches(source, &plan, error));
    LLMIR_TRY(check_logits(source, &plan, error));
    *out_plan = plan;
    return LLMIR_STATUS_OK;
}
