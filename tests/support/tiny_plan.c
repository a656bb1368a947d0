/* The tiny model's plan: what the compiler would emit for two layers of a Llama. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quant/activation.h"
#include "quant/quant_layout.h"
#include "tests/support/tiny_internal.h"

#define MAX_ITEMS 512u

enum {
    BUFFER_X,
    BUFFER_ROPE,
    BUFFER_NORMED,
    BUFFER_QKV,
    BUFFER_ATTENDED,
    BUFFER_ATTENDED_Q8,
    BUFFER_GATE_UP,
    BUFFER_GATED,
    BUFFER_GATED_Q8,
    BUFFER_DELTA,
    BUFFER_FINAL,
    BUFFER_LOGITS,
    BUFFER_COUNT
};

typedef struct plan_build {
    tiny_model_t* model;
    int is_integer;
    llmir_plan_variant_t variants[MAX_ITEMS];
    uint32_t variant_count;
    llmir_plan_dispatch_t dispatches[MAX_ITEMS];
    uint32_t dispatch_count;
    llmir_plan_buffer_t buffers[BUFFER_COUNT];
    llmir_plan_slot_t slots[BUFFER_COUNT];
    llmir_plan_kv_layer_t kv_layers[64];
    tiny_bytes_t params;
    uint32_t layer;
    int has_delta; /* the delta buffer waits to be added */
} plan_build_t;

static llmir_plan_operand_t buffer(uint32_t index) {
    return (llmir_plan_operand_t){LLMIR_OPERAND_BUFFER, index};
}
static llmir_plan_operand_t tensor(uint32_t index) {
    return (llmir_plan_operand_t){LLMIR_OPERAND_TENSOR, index};
}
static const llmir_plan_operand_t nothing = {LLMIR_OPERAND_NONE, 0};

/* A dispatch of a new variant with `count` operands. */
static void dispatch(plan_build_t* plan,
                     uint32_t kernel,
                     const void* params,
                     uint32_t params_bytes,
                     const llmir_plan_operand_t* operands,
                     uint32_t count) {
    const uint32_t offset = (uint32_t)tiny_append(&plan->params, params, params_bytes, 8);
    llmir_plan_dispatch_t* made = &plan->dispatches[plan->dispatch_count++];
    plan->variants[plan->variant_count] =
        (llmir_plan_variant_t){.kernel = kernel, .params = {offset, params_bytes}};
    *made = (llmir_plan_dispatch_t){.variant = plan->variant_count++, .layer = plan->layer};
    memcpy(made->operands, operands, count * sizeof(*operands));
}

#define DISPATCH(plan, kernel, params, ...)                                                        \
    dispatch(plan, kernel, &(params), sizeof(params), (const llmir_plan_operand_t[]){__VA_ARGS__}, \
             sizeof((const llmir_plan_operand_t[]){__VA_ARGS__}) / sizeof(llmir_plan_operand_t))

static void set_buffer(
    plan_build_t* plan, uint32_t index, uint32_t slot, uint32_t extent, uint32_t columns, int q8) {
    const uint32_t group = q8 ? plan->model->options.group : 0;
    const uint32_t row_bytes =
        q8 ? llmir_q8_row_bytes(columns, group) : llmir_align64(columns * 4u);
    llmir_plan_slot_t* held = &plan->slots[slot];
    uint32_t* room =
        extent == LLMIR_EXTENT_OUTPUTS ? &held->output_row_bytes : &held->token_row_bytes;
    plan->buffers[index] = (llmir_plan_buffer_t){.slot = slot,
                                                 .extent = extent,
                                                 .format = q8 ? LLMIR_ROW_Q8 : LLMIR_ROW_F32,
                                                 .columns = columns,
                                                 .group = group,
                                                 .row_bytes = row_bytes};
    *room = *room < row_bytes ? row_bytes : *room;
}

/* Slots: the qkv rows, gate-up rows and the logits live at different times and share one. */
static void set_buffers(plan_build_t* plan) {
    const tiny_options_t* o = &plan->model->options;
    const int q8 = plan->is_integer;
    const uint32_t t = LLMIR_EXTENT_TOKENS;
    set_buffer(plan, BUFFER_X, 0, t, o->dim, 0);
    set_buffer(plan, BUFFER_ROPE, 1, t, o->head_dim, 0);
    set_buffer(plan, BUFFER_NORMED, 2, t, o->dim, q8);
    set_buffer(plan, BUFFER_QKV, 3, t, (o->q_heads + 2 * o->kv_heads) * o->head_dim, 0);
    set_buffer(plan, BUFFER_ATTENDED, 4, t, o->q_heads * o->head_dim, 0);
    set_buffer(plan, BUFFER_ATTENDED_Q8, 5, t, o->q_heads * o->head_dim, q8);
    set_buffer(plan, BUFFER_GATE_UP, 3, t, 2 * o->ffn, 0);
    set_buffer(plan, BUFFER_GATED, 4, t, o->ffn, 0);
    set_buffer(plan, BUFFER_GATED_Q8, 5, t, o->ffn, q8);
    set_buffer(plan, BUFFER_DELTA, 6, t, o->dim, 0);
    set_buffer(plan, BUFFER_FINAL, 7, LLMIR_EXTENT_OUTPUTS, o->dim, q8);
    set_buffer(plan, BUFFER_LOGITS, 3, LLMIR_EXTENT_OUTPUTS, o->vocab, 0);
}

typedef struct linear_case {
    const char* name;
    uint32_t in;
    uint32_t out;
    uint32_t rows;
    uint32_t gate;
    uint32_t add;
    uint32_t bias;
} linear_case_t;

static void add_linear(plan_build_t* plan, linear_case_t c) {
    const llmir_plan_buffer_t* in = &plan->buffers[c.in];
    const llmir_plan_buffer_t* out = &plan->buffers[c.out];
    const uint32_t flags =
        (c.add ? LLMIR_LINEAR_ADD : 0u) | (c.bias ? (uint32_t)LLMIR_LINEAR_BIAS : 0u);
    const llmir_linear_params_t params = {.rows = c.rows,
                                          .columns = in->columns,
                                          .layout = plan->model->options.layout,
                                          .group = plan->is_integer ? in->group : 0,
                                          .flags = flags,
                                          .gate = c.gate,
                                          .extent = out->extent,
                                          .out_stride = out->row_bytes / 4u};
    const uint32_t weight_rows = c.gate ? 2u * llmir_panel_count(c.rows) * 16u : c.rows;
    const uint32_t weights = tiny_add_matrix(plan->model, c.name, weight_rows, in->columns);
    const llmir_plan_operand_t bias =
        c.bias ? tensor(tiny_add_vector(plan->model, "bias", c.rows, 0.0f)) : nothing;
    DISPATCH(plan, LLMIR_KERNEL_LINEAR, params, buffer(c.in), tensor(weights), bias, buffer(c.out));
}

/* A norm of x into `out`; adds a waiting delta. */
static void add_norm(plan_build_t* plan, uint32_t out, uint32_t gather) {
    tiny_model_t* model = plan->model;
    const uint32_t dim = model->options.dim;
    const int post = plan->has_delta;
    const llmir_norm_params_t params = {
        .dim = dim,
        .flags = post ? LLMIR_NORM_ADD_DELTA | LLMIR_NORM_DELTA_NORM : 0u,
        .epsilon = 1e-5f,
        .delta_epsilon = 1e-6f,
        .out_format = plan->buffers[out].format,
        .group = plan->buffers[out].group,
        .gather = gather};
    const llmir_plan_operand_t delta = post ? buffer(BUFFER_DELTA) : nothing;
    const llmir_plan_operand_t delta_weight =
        post ? tensor(tiny_add_vector(model, "post_norm", dim, 1.0f)) : nothing;
    const uint32_t weight = tiny_add_vector(model, "norm", dim, 1.0f);
    DISPATCH(plan, LLMIR_KERNEL_NORM, params, buffer(BUFFER_X), delta, delta_weight, tensor(weight),
             buffer(out));
    plan->has_delta = 0;
}

/* Rows that a product reads: quantized where its weights are integers. */
static uint32_t add_quantize(plan_build_t* plan, uint32_t in, uint32_t q8) {
    if (!plan->is_integer) {
        return in;
    }
    const llmir_quantize_params_t params = {.dim = plan->buffers[in].columns,
                                            .group = plan->model->options.group,
                                            .extent = plan->buffers[in].extent};
    DISPATCH(plan, LLMIR_KERNEL_QUANTIZE, params, buffer(in), buffer(q8));
    return q8;
}

/* A product whose result is added to x, at once or by the next norm. */
static void add_residual(plan_build_t* plan, const char* name, uint32_t in) {
    const tiny_options_t* o = &plan->model->options;
    const uint32_t delta = o->delta_norm;
    add_linear(plan, (linear_case_t){.name = name,
                                     .in = in,
                                     .out = delta ? BUFFER_DELTA : BUFFER_X,
                                     .rows = o->dim,
                                     .add = !delta});
    plan->has_delta = delta != 0;
}

static void add_attention(plan_build_t* plan, uint32_t layer) {
    tiny_model_t* model = plan->model;
    const tiny_options_t* o = &model->options;
    const llmir_plan_operand_t kv = {LLMIR_OPERAND_KV, layer};
    const uint32_t stride = plan->buffers[BUFFER_QKV].row_bytes / 4u;
    const llmir_qkv_params_t qkv = {
        .q_heads = o->q_heads,
        .kv_heads = o->kv_heads,
        .head_dim = o->head_dim,
        .rope_dim = o->head_dim,
        .stride = stride,
        .flags = LLMIR_QKV_ROPE | (o->head_norm ? (uint32_t)LLMIR_QKV_NORM : 0u),
        .norm_epsilon = 1e-6f};
    const llmir_attention_params_t attention = {
        .q_heads = o->q_heads,
        .kv_heads = o->kv_heads,
        .head_dim = o->head_dim,
        .window = plan->kv_layers[layer].window,
        .q_stride = stride,
        .out_stride = plan->buffers[BUFFER_ATTENDED].row_bytes / 4u,
        .scale = 1.0f / sqrtf((float)o->head_dim)};
    llmir_plan_operand_t norms[2] = {nothing, nothing};
    add_linear(plan, (linear_case_t){.name = "qkv",
                                     .in = BUFFER_NORMED,
                                     .out = BUFFER_QKV,
                                     .rows = plan->buffers[BUFFER_QKV].columns,
                                     .bias = o->bias});
    for (int i = 0; i < 2 && o->head_norm; ++i) {
        norms[i] = tensor(tiny_add_vector(model, "head_norm", o->head_dim, 1.0f));
    }
    DISPATCH(plan, LLMIR_KERNEL_QKV, qkv, buffer(BUFFER_QKV), buffer(BUFFER_ROPE), norms[0],
             norms[1], kv);
    DISPATCH(plan, LLMIR_KERNEL_ATTENTION, attention, buffer(BUFFER_QKV), kv,
             buffer(BUFFER_ATTENDED));
    add_residual(plan, "attended", add_quantize(plan, BUFFER_ATTENDED, BUFFER_ATTENDED_Q8));
}

static void add_ffn(plan_build_t* plan) {
    const tiny_options_t* o = &plan->model->options;
    if (o->split_gate) {
        const llmir_gate_params_t gate = {.dim = o->ffn, .gate = LLMIR_GATE_GELU_TANH};
        add_linear(
            plan,
            (linear_case_t){
                .name = "gate_up", .in = BUFFER_NORMED, .out = BUFFER_GATE_UP, .rows = 2 * o->ffn});
        DISPATCH(plan, LLMIR_KERNEL_GATE, gate, buffer(BUFFER_GATE_UP), buffer(BUFFER_GATED));
    } else {
        add_linear(plan, (linear_case_t){.name = "gate_up",
                                         .in = BUFFER_NORMED,
                                         .out = BUFFER_GATED,
                                         .rows = o->ffn,
                                         .gate = LLMIR_GATE_SILU});
    }
    add_residual(plan, "down", add_quantize(plan, BUFFER_GATED, BUFFER_GATED_Q8));
}

static void add_input(plan_build_t* plan) {
    tiny_model_t* model = plan->model;
    const tiny_options_t* o = &model->options;
    const llmir_embed_params_t embed = {.dim = o->dim,
                                        .vocab = o->vocab,
                                        .layout = o->layout,
                                        .group = plan->is_integer ? o->group : 0,
                                        .scale = 1.0f};
    const llmir_rope_table_params_t rope = {.pair_count = o->head_dim / 2,
                                            .attention_factor = 1.0f};
    const uint32_t weights = tiny_add_matrix(model, "embedding", o->vocab, o->dim);
    const uint32_t frequency = tiny_add_vector(model, "frequency", rope.pair_count, 0.0f);
    for (uint32_t i = 0; i < rope.pair_count; ++i) {
        ((float*)(void*)model->tensors[frequency].data.data)[i] =
            powf(10000.0f, -2.0f * (float)i / (float)o->head_dim);
    }
    DISPATCH(plan, LLMIR_KERNEL_EMBED, embed, tensor(weights), buffer(BUFFER_X));
    DISPATCH(plan, LLMIR_KERNEL_ROPE_TABLE, rope, tensor(frequency), buffer(BUFFER_ROPE));
}

static void set_kv_layers(plan_build_t* plan) {
    const tiny_options_t* o = &plan->model->options;
    const uint64_t elements = 2ull * o->kv_heads * o->head_dim * o->page_tokens;
    for (uint32_t i = 0; i < o->layers; ++i) {
        plan->kv_layers[i] = (llmir_plan_kv_layer_t){.kv_heads = o->kv_heads,
                                                     .head_dim = o->head_dim,
                                                     .window = i % 2u ? o->window : 0,
                                                     .element_offset = i * elements};
    }
}

/* Record, tables and parameters, one after the other. */
static tiny_bytes_t write_plan(const plan_build_t* plan) {
    const tiny_options_t* o = &plan->model->options;
    tiny_bytes_t out = {0};
    llmir_plan_record_t record = {.record_bytes = sizeof(record),
                                  .kernel_abi_version = LLMIR_KERNEL_ABI_VERSION,
                                  .variant_count = plan->variant_count,
                                  .dispatch_count = plan->dispatch_count,
                                  .buffer_count = BUFFER_COUNT,
                                  .slot_count = 8,
                                  .kv_layer_count = o->layers,
                                  .page_tokens = o->page_tokens,
                                  .chunk_tokens = o->chunk,
                                  .logits_buffer = BUFFER_LOGITS,
                                  .tensor_count = plan->model->tensor_count};
    tiny_append(&out, &record, sizeof(record), 64);
    const uint32_t params = (uint32_t)tiny_append(&out, plan->params.data, plan->params.bytes, 64);
    record.variant_offset = (uint32_t)tiny_append(
        &out, plan->variants, plan->variant_count * sizeof(plan->variants[0]), 8);
    record.dispatch_offset = (uint32_t)tiny_append(
        &out, plan->dispatches, plan->dispatch_count * sizeof(plan->dispatches[0]), 8);
    record.buffer_offset = (uint32_t)tiny_append(&out, plan->buffers, sizeof(plan->buffers), 8);
    record.slot_offset = (uint32_t)tiny_append(&out, plan->slots, 8 * sizeof(plan->slots[0]), 8);
    record.kv_layer_offset =
        (uint32_t)tiny_append(&out, plan->kv_layers, o->layers * sizeof(plan->kv_layers[0]), 8);
    memcpy(out.data, &record, sizeof(record));
    llmir_plan_variant_t* variants = (void*)(out.data + record.variant_offset);
    for (uint32_t i = 0; i < plan->variant_count; ++i) {
        variants[i].params.offset += params;
    }
    return out;
}

tiny_bytes_t tiny_plan_build(tiny_model_t* model) {
    plan_build_t* plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        abort();
    }
    plan->model = model;
    plan->is_integer = llmir_layout_is_integer(model->options.layout);
    set_buffers(plan);
    set_kv_layers(plan);
    plan->layer = UINT32_MAX;
    add_input(plan);
    for (uint32_t i = 0; i < model->options.layers; ++i) {
        plan->layer = i;
        add_norm(plan, BUFFER_NORMED, 0);
        add_attention(plan, i);
        add_norm(plan, BUFFER_NORMED, 0);
        add_ffn(plan);
    }
    plan->layer = UINT32_MAX;
    add_norm(plan, BUFFER_FINAL, 1);
    add_linear(plan, (linear_case_t){.name = "logits",
                                     .in = BUFFER_FINAL,
                                     .out = BUFFER_LOGITS,
                                     .rows = model->options.vocab});
    const tiny_bytes_t out = write_plan(plan);
    free(plan->params.data);
    free(plan);
    return out;
}
