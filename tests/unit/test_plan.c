/* The plan check: every field of a plan that kernels rely on, made wrong one at a time. */
#include <stdlib.h>
#include <string.h>

#include "core/bundle.h"
#include "core/plan.h"
#include "core/plan_kernels.h"
#include "core/tensors.h"
#include "tests/support/test.h"
#include "tests/support/tiny_bundle.h"

/* A copy of a plan that may be changed, over the tensors of its bundle. */
typedef struct plan_case {
    tiny_bundle_t bundle;
    llmir_tensor_view_t* tensors;
    llmir_plan_source_t source;
    uint8_t* section;
    llmir_plan_record_t* record;
    llmir_plan_variant_t* variants;
    llmir_plan_dispatch_t* dispatches;
    llmir_plan_buffer_t* buffers;
    llmir_plan_slot_t* slots;
    llmir_plan_kv_layer_t* kv_layers;
} plan_case_t;

static void begin(plan_case_t* c, const tiny_options_t* options) {
    llmir_bundle_t bundle;
    uint32_t count = 0;
    uint64_t bytes = 0;
    memset(c, 0, sizeof(*c));
    c->bundle = tiny_bundle_build(options);
    assert_status(llmir_bundle_open(c->bundle.data, c->bundle.bytes, &bundle, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_tensors_count(&bundle, &count, &bytes, &assert_status_error),
                  LLMIR_STATUS_OK);
    c->tensors = calloc(count, sizeof(*c->tensors));
    assert_status(llmir_tensors_read(&bundle, c->tensors, &assert_status_error), LLMIR_STATUS_OK);
    const llmir_bundle_section_t* section = tiny_bundle_section(&c->bundle, LLMIR_SECTION_PLAN);
    c->section = c->bundle.data + section->offset;
    c->source = (llmir_plan_source_t){.section = c->section,
                                      .section_bytes = (size_t)section->bytes,
                                      .tensors = c->tensors,
                                      .tensor_count = count,
                                      .vocab_count = options->vocab};
    c->record = (void*)c->section;
    c->variants = (void*)(c->section + c->record->variant_offset);
    c->dispatches = (void*)(c->section + c->record->dispatch_offset);
    c->buffers = (void*)(c->section + c->record->buffer_offset);
    c->slots = (void*)(c->section + c->record->slot_offset);
    c->kv_layers = (void*)(c->section + c->record->kv_layer_offset);
}

static void end(plan_case_t* c) {
    free(c->tensors);
    tiny_bundle_free(&c->bundle);
}

static llmir_status_t open_plan(const plan_case_t* c) {
    llmir_plan_view_t plan;
    llmir_error_t error = {0};
    const llmir_status_t status = llmir_plan_open(&c->source, &plan, &error);
    if (status != LLMIR_STATUS_OK) {
        assert_true(error.message[0] != '\0');
        assert_null(plan.record);
    }
    return status;
}

static tiny_options_t full_options(void) {
    tiny_options_t options = tiny_options_default();
    options.layout = LLMIR_LAYOUT_PANEL_U4;
    options.bias = 1;
    options.head_norm = 1;
    options.delta_norm = 1;
    options.split_gate = 1;
    options.window = 24;
    return options;
}

/* First dispatch of a kernel whose operand `operand` is present (UINT32_MAX: any). */
static llmir_plan_dispatch_t* find(plan_case_t* c, uint32_t kernel, uint32_t operand) {
    for (uint32_t i = 0; i < c->record->dispatch_count; ++i) {
        llmir_plan_dispatch_t* dispatch = &c->dispatches[i];
        if (c->variants[dispatch->variant].kernel == kernel &&
            (operand == UINT32_MAX || dispatch->operands[operand].space != LLMIR_OPERAND_NONE)) {
            return dispatch;
        }
    }
    fail_msg("the plan has no kernel %u with operand %u", kernel, operand);
    return NULL;
}

static void* params_of(plan_case_t* c, const llmir_plan_dispatch_t* dispatch) {
    return c->section + c->variants[dispatch->variant].params.offset;
}

/* Sets a 32-bit field to each value and expects the plan to be refused; then it is put back. */
static void expect_refused(
    plan_case_t* c, void* field, const char* name, const uint32_t* values, size_t count) {
    uint32_t saved;
    memcpy(&saved, field, sizeof(saved));
    for (size_t i = 0; i < count; ++i) {
        memcpy(field, &values[i], sizeof(saved));
        const llmir_status_t status = open_plan(c);
        if (status != LLMIR_STATUS_CORRUPT && status != LLMIR_STATUS_UNSUPPORTED) {
            fail_msg("%s = %u instead of %u was accepted", name, values[i], saved);
        }
    }
    memcpy(field, &saved, sizeof(saved));
    assert_int_equal(open_plan(c), LLMIR_STATUS_OK);
}

#define REFUSED(c, field, ...)                                             \
    expect_refused((c), &(field), #field, (const uint32_t[]){__VA_ARGS__}, \
                   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void test_plan_of_every_option_is_accepted(void** state) {
    static const uint32_t layouts[] = {LLMIR_LAYOUT_PANEL_F32, LLMIR_LAYOUT_PANEL_F16,
                                       LLMIR_LAYOUT_PANEL_S4, LLMIR_LAYOUT_PANEL_U4,
                                       LLMIR_LAYOUT_PANEL_S8};
    (void)state;
    for (uint32_t i = 0; i < 5 * 16; ++i) {
        tiny_options_t options = tiny_options_default();
        plan_case_t c;
        options.layout = layouts[i / 16];
        options.bias = i & 1;
        options.head_norm = i >> 1 & 1;
        options.delta_norm = i >> 2 & 1;
        options.split_gate = i >> 3 & 1;
        begin(&c, &options);
        assert_int_equal(open_plan(&c), LLMIR_STATUS_OK);
        end(&c);
    }
}

static void test_plan_record_fields_are_checked(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    llmir_plan_record_t* r = c.record;
    REFUSED(&c, r->record_bytes, 0, 63);
    REFUSED(&c, r->kernel_abi_version, 0, LLMIR_KERNEL_ABI_VERSION + 1u);
    REFUSED(&c, r->variant_count, 0, 1, UINT32_MAX);
    REFUSED(&c, r->variant_offset, UINT32_MAX, UINT32_MAX - 3, r->variant_offset + 2);
    REFUSED(&c, r->dispatch_count, UINT32_MAX, 1u << 28);
    REFUSED(&c, r->dispatch_offset, UINT32_MAX - 3, (uint32_t)c.source.section_bytes);
    REFUSED(&c, r->buffer_count, 0, 3, UINT32_MAX);
    REFUSED(&c, r->buffer_offset, UINT32_MAX - 3, r->buffer_offset + 1);
    REFUSED(&c, r->slot_count, 0, 7, UINT32_MAX);
    REFUSED(&c, r->slot_offset, UINT32_MAX - 3);
    REFUSED(&c, r->kv_layer_count, 0, 1, UINT32_MAX);
    REFUSED(&c, r->kv_layer_offset, UINT32_MAX - 7, r->kv_layer_offset + 4);
    REFUSED(&c, r->page_tokens, 0, 8, 17, 32, 272, UINT32_MAX);
    REFUSED(&c, r->chunk_tokens, 0, (1u << 16) + 1, UINT32_MAX);
    REFUSED(&c, r->logits_buffer, 0, 12, UINT32_MAX);
    REFUSED(&c, r->tensor_count, 0, r->tensor_count - 1, r->tensor_count + 1);
    end(&c);
}

static void test_plan_tables_are_checked(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    for (uint32_t i = 0; i < c.record->variant_count; ++i) {
        REFUSED(&c, c.variants[i].kernel, 0, 9, UINT32_MAX);
        REFUSED(&c, c.variants[i].params.offset, UINT32_MAX - 7, c.variants[i].params.offset + 4);
        REFUSED(&c, c.variants[i].params.bytes, 0, c.variants[i].params.bytes + 8, UINT32_MAX);
    }
    for (uint32_t i = 0; i < c.record->dispatch_count; ++i) {
        REFUSED(&c, c.dispatches[i].variant, c.record->variant_count, UINT32_MAX);
    }
    for (uint32_t i = 0; i < c.record->buffer_count; ++i) {
        llmir_plan_buffer_t* buffer = &c.buffers[i];
        REFUSED(&c, buffer->slot, c.record->slot_count, UINT32_MAX);
        REFUSED(&c, buffer->extent, 2, UINT32_MAX);
        REFUSED(&c, buffer->format, 2, UINT32_MAX);
        REFUSED(&c, buffer->columns, 0, UINT32_MAX, 1u << 30);
        REFUSED(&c, buffer->row_bytes, 0, 64 - 1, UINT32_MAX, UINT32_MAX - 63, 1u << 28);
        if (buffer->format == LLMIR_ROW_Q8) {
            REFUSED(&c, buffer->group, 0, 16, 31, 33, 48, 256, UINT32_MAX);
        } else {
            REFUSED(&c, buffer->group, 1, 32);
        }
    }
    for (uint32_t i = 0; i < 7; ++i) {
        REFUSED(&c, c.slots[i].token_row_bytes, 0, (1u << 28) + 64, UINT32_MAX);
    }
    REFUSED(&c, c.slots[3].output_row_bytes, 0, 64);
    REFUSED(&c, c.slots[7].output_row_bytes, 0, 64);
    for (uint32_t i = 0; i < c.record->kv_layer_count; ++i) {
        REFUSED(&c, c.kv_layers[i].kv_heads, 0, 1, 3, UINT32_MAX);
        REFUSED(&c, c.kv_layers[i].head_dim, 0, 8, 12, 520, UINT32_MAX);
        REFUSED(&c, c.kv_layers[i].element_offset, 1, 256, UINT32_MAX);
    }
    REFUSED(&c, c.kv_layers[1].window, 1, 23); /* the attention looks back 24 */
    end(&c);
}

/* Every operand of every dispatch: absent, elsewhere, out of range, another one. */
static void test_plan_operands_are_checked(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    for (uint32_t i = 0; i < c.record->dispatch_count; ++i) {
        for (uint32_t k = 0; k < LLMIR_PLAN_MAX_OPERANDS; ++k) {
            llmir_plan_operand_t* operand = &c.dispatches[i].operands[k];
            for (uint32_t space = 0; space < 6; ++space) {
                if (space != operand->space) {
                    REFUSED(&c, operand->space, space);
                }
            }
            if (operand->space != LLMIR_OPERAND_NONE) {
                REFUSED(&c, operand->index, 1000, UINT32_MAX);
            }
        }
    }
    end(&c);
}

static void test_plan_embed_and_rope_params_are_checked(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    llmir_embed_params_t* embed = params_of(&c, find(&c, LLMIR_KERNEL_EMBED, UINT32_MAX));
    REFUSED(&c, embed->dim, 0, 32, 65, 128, UINT32_MAX);
    REFUSED(&c, embed->vocab, 0, options.vocab - 1, options.vocab + 1, UINT32_MAX);
    REFUSED(&c, embed->layout, 0, LLMIR_LAYOUT_F32, LLMIR_LAYOUT_PANEL_S4, 9, UINT32_MAX);
    REFUSED(&c, embed->group, 0, 64, 1);
    llmir_rope_table_params_t* rope = params_of(&c, find(&c, LLMIR_KERNEL_ROPE_TABLE, UINT32_MAX));
    REFUSED(&c, rope->pair_count, 0, 4, 9, 1u << 31, UINT32_MAX);
    /* Fewer rows of logits than the model has tokens. */
    c.source.vocab_count += 1;
    assert_int_equal(open_plan(&c), LLMIR_STATUS_CORRUPT);
    end(&c);
}

static void test_plan_row_kernel_params_are_checked(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    for (uint32_t operand = 1; operand < 4; operand += 2) {
        llmir_norm_params_t* norm = params_of(&c, find(&c, LLMIR_KERNEL_NORM, operand));
        REFUSED(&c, norm->dim, 0, 32, 96, 1u << 25, UINT32_MAX);
        REFUSED(&c, norm->flags, 16, UINT32_MAX, LLMIR_NORM_DELTA_NORM, LLMIR_NORM_NO_OUTPUT,
                norm->flags ^ LLMIR_NORM_ADD_DELTA, norm->flags ^ LLMIR_NORM_NO_OUTPUT,
                norm->flags ^ LLMIR_NORM_WIDE);
        REFUSED(&c, norm->out_format, 0, 2, UINT32_MAX);
        REFUSED(&c, norm->group, 0, 16, 64, 128, UINT32_MAX);
        REFUSED(&c, norm->gather, 1 - norm->gather, 2, UINT32_MAX);
    }
    llmir_quantize_params_t* quantize = params_of(&c, find(&c, LLMIR_KERNEL_QUANTIZE, UINT32_MAX));
    REFUSED(&c, quantize->dim, 0, 32, 65, UINT32_MAX, UINT32_MAX - 31);
    REFUSED(&c, quantize->group, 0, 16, 64, UINT32_MAX);
    REFUSED(&c, quantize->extent, 1, 2, UINT32_MAX);
    REFUSED(&c, quantize->wide, 1, 2, UINT32_MAX); /* the buffer is not */
    llmir_gate_params_t* gate = params_of(&c, find(&c, LLMIR_KERNEL_GATE, UINT32_MAX));
    REFUSED(&c, gate->dim, 0, 48, 97, 1u << 31, UINT32_MAX);
    REFUSED(&c, gate->gate, 0, 3, UINT32_MAX);
    end(&c);
}

static void test_plan_linear_params_are_checked(void** state) {
    static const uint32_t layouts[] = {LLMIR_LAYOUT_PANEL_U4, LLMIR_LAYOUT_PANEL_F32};
    (void)state;
    for (int i = 0; i < 2; ++i) {
        tiny_options_t options = full_options();
        plan_case_t c;
        options.layout = layouts[i];
        begin(&c, &options);
        llmir_linear_params_t* linear = params_of(&c, find(&c, LLMIR_KERNEL_LINEAR, 2));
        REFUSED(&c, linear->rows, 0, linear->rows - 1, linear->rows + 1, UINT32_MAX);
        REFUSED(&c, linear->columns, 0, 32, 96, 65, UINT32_MAX, UINT32_MAX - 31);
        REFUSED(&c, linear->layout, 0, 1, 2, LLMIR_LAYOUT_PANEL_S4, LLMIR_LAYOUT_PANEL_F16, 9,
                UINT32_MAX);
        REFUSED(&c, linear->group, 1, 16, 64, UINT32_MAX);
        REFUSED(&c, linear->flags, 0, 4, LLMIR_LINEAR_ADD, UINT32_MAX);
        REFUSED(&c, linear->gate, 1, 2, 3, UINT32_MAX);
        REFUSED(&c, linear->extent, 1, 2, UINT32_MAX);
        REFUSED(&c, linear->out_column, 1, 8, 16, 1u << 24, UINT32_MAX - 15);
        REFUSED(&c, linear->out_stride, 0, 1, linear->out_stride + 16, UINT32_MAX);
        end(&c);
    }
}

/* A gated product needs whole pairs of panels: twice the rows are not enough for 8 of them. */
static void test_plan_gated_linear_needs_pairs_of_panels(void** state) {
    tiny_options_t options = tiny_options_default();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    for (uint32_t i = 0; i < c.record->dispatch_count; ++i) {
        llmir_linear_params_t* linear = params_of(&c, &c.dispatches[i]);
        if (c.variants[c.dispatches[i].variant].kernel == LLMIR_KERNEL_LINEAR && linear->gate) {
            llmir_tensor_record_t record = *c.tensors[c.dispatches[i].operands[1].index].record;
            c.tensors[c.dispatches[i].operands[1].index].record = &record;
            record.shape[0] = 2 * options.ffn - 1;
            assert_int_equal(open_plan(&c), LLMIR_STATUS_CORRUPT);
            record.shape[0] = options.ffn;
            assert_int_equal(open_plan(&c), LLMIR_STATUS_CORRUPT);
            end(&c);
            return;
        }
    }
    fail_msg("no gated product in the plan");
}

static void test_plan_attention_params_are_checked(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    llmir_qkv_params_t* qkv = params_of(&c, find(&c, LLMIR_KERNEL_QKV, UINT32_MAX));
    REFUSED(&c, qkv->q_heads, 0, 1, 3, 5, 6, 1u << 31, UINT32_MAX);
    REFUSED(&c, qkv->kv_heads, 0, 1, 4, UINT32_MAX);
    REFUSED(&c, qkv->head_dim, 0, 8, 12, 24, 520, UINT32_MAX);
    REFUSED(&c, qkv->rope_dim, 0, 1, 8, 15, 18, 32, UINT32_MAX);
    REFUSED(&c, qkv->stride, 0, 127, 144, UINT32_MAX);
    REFUSED(&c, qkv->flags, 0, 1, 2, 4, UINT32_MAX);
    llmir_attention_params_t* attention =
        params_of(&c, find(&c, LLMIR_KERNEL_ATTENTION, UINT32_MAX));
    REFUSED(&c, attention->q_heads, 0, 1, 3, 5, 6, 1024, 1u << 31, UINT32_MAX);
    REFUSED(&c, attention->kv_heads, 0, 1, 4, UINT32_MAX);
    REFUSED(&c, attention->head_dim, 0, 8, 12, 24, 520, UINT32_MAX);
    REFUSED(&c, attention->q_stride, 0, 127, 144, UINT32_MAX);
    REFUSED(&c, attention->out_stride, 0, 63, 80, UINT32_MAX);
    end(&c);
}

/* Buffers of one dispatch in one slot would be read and written at once. */
static void test_plan_operands_in_one_slot_are_refused(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    for (uint32_t i = 0; i < c.record->slot_count; ++i) {
        c.slots[i] = (llmir_plan_slot_t){1u << 16, 1u << 16};
    }
    assert_int_equal(open_plan(&c), LLMIR_STATUS_OK);
    const uint32_t x = find(&c, LLMIR_KERNEL_NORM, UINT32_MAX)->operands[0].index;
    const uint32_t out = find(&c, LLMIR_KERNEL_NORM, UINT32_MAX)->operands[4].index;
    REFUSED(&c, c.buffers[out].slot, c.buffers[x].slot);
    end(&c);
}

static void test_plan_shorter_than_its_record_is_refused(void** state) {
    const tiny_options_t options = full_options();
    plan_case_t c;
    (void)state;
    begin(&c, &options);
    const size_t bytes = c.source.section_bytes;
    for (size_t cut = 0; cut < bytes; cut += 8) {
        c.source.section_bytes = cut;
        assert_int_equal(open_plan(&c), LLMIR_STATUS_CORRUPT);
    }
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_of_every_option_is_accepted),
        cmocka_unit_test(test_plan_record_fields_are_checked),
        cmocka_unit_test(test_plan_tables_are_checked),
        cmocka_unit_test(test_plan_operands_are_checked),
        cmocka_unit_test(test_plan_embed_and_rope_params_are_checked),
        cmocka_unit_test(test_plan_row_kernel_params_are_checked),
        cmocka_unit_test(test_plan_linear_params_are_checked),
        cmocka_unit_test(test_plan_gated_linear_needs_pairs_of_panels),
        cmocka_unit_test(test_plan_attention_params_are_checked),
        cmocka_unit_test(test_plan_operands_in_one_slot_are_refused),
        cmocka_unit_test(test_plan_shorter_than_its_record_is_refused),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
