/* The rules of the kernels. Each kernel has two small functions: one looks at its parameters alone,
 * the other compares the operands of a dispatch with them. They follow llmir_bundle.h, which says
 * what each operand means; where a kernel steps by a stride, the stride is tied to the buffer's
 * rows. */
#include "core/plan_kernels.h"

#include "core/tensors.h"
#include "quant/quant_layout.h"

#define MAX_DIM LLMIR_TENSOR_MAX_COLUMNS

static int dim_is_valid(uint32_t dim) {
    return dim >= 1 && dim <= MAX_DIM;
}

/* ---- Operands ---- */

/* Records the first fault; returns `good` so that checks chain with &&. */
static int expect(llmir_dispatch_check_t* check, uint32_t operand, int good, const char* fault) {
    if (!good && check->fault == NULL) {
        check->fault_operand = operand;
        check->fault = fault;
    }
    return good;
}

static int is_absent(llmir_dispatch_check_t* check, uint32_t operand) {
    return expect(check, operand, check->operands[operand].space == LLMIR_OPERAND_NONE,
                  "present, but the parameters say that it is absent");
}

static const llmir_plan_buffer_t* buffer_of(llmir_dispatch_check_t* check, uint32_t operand) {
    const llmir_plan_operand_t reference = check->operands[operand];
    const int good = reference.space == LLMIR_OPERAND_BUFFER &&
                     reference.index < check->plan->record->buffer_count;
    return expect(check, operand, good, "expected a buffer of the plan")
               ? &check->plan->buffers[reference.index]
               : NULL;
}

/* A buffer of `extent` rows of exactly `columns` f32. */
static int is_f32(llmir_dispatch_check_t* check,
                  uint32_t operand,
                  uint32_t extent,
                  uint32_t columns) {
    const llmir_plan_buffer_t* buffer = buffer_of(check, operand);
    return buffer != NULL &&
           expect(check, operand, buffer->format == LLMIR_ROW_F32, "expected f32 rows") &&
           expect(check, operand, buffer->extent == extent, "wrong extent") &&
           expect(check, operand, buffer->columns == columns, "wrong number of columns");
}

/* A buffer of f32 rows `stride` elements apart that hold at least `columns`. */
static int is_f32_strided(llmir_dispatch_check_t* check,
                          uint32_t operand,
                          uint32_t extent,
                          const uint32_t columns_and_stride[2]) {
    const llmir_plan_buffer_t* buffer = buffer_of(check, operand);
    return buffer != NULL &&
           expect(check, operand, buffer->format == LLMIR_ROW_F32, "expected f32 rows") &&
           expect(check, operand, buffer->extent == extent, "wrong extent") &&
           expect(check, operand, buffer->columns >= columns_and_stride[0], "too few columns") &&
           expect(check, operand, buffer->row_bytes / 4u == columns_and_stride[1],
                  "the stride is not the distance of the buffer's rows");
}

static int is_q8(llmir_dispatch_check_t* check,
                 uint32_t operand,
                 uint32_t extent,
                 const uint32_t columns_and_group[2]) {
    const llmir_plan_buffer_t* buffer = buffer_of(check, operand);
    return buffer != NULL &&
           expect(check, operand, buffer->format == LLMIR_ROW_Q8, "expected Q8 rows") &&
           expect(check, operand, buffer->extent == extent, "wrong extent") &&
           expect(check, operand, buffer->columns == columns_and_group[0],
                  "wrong number of columns") &&
           expect(check, operand, buffer->group == columns_and_group[1], "wrong group");
}

static const llmir_tensor_record_t* tensor_of(llmir_dispatch_check_t* check, uint32_t operand) {
    const llmir_plan_operand_t reference = check->operands[operand];
    const int good = reference.space == LLMIR_OPERAND_TENSOR &&
                     reference.index < check->plan->record->tensor_count;
    return expect(check, operand, good, "expected a tensor of the bundle")
               ? check->plan->tensors[reference.index].record
               : NULL;
}

/* A vector of `count` f32. */
static int is_vector(llmir_dispatch_check_t* check, uint32_t operand, uint32_t count) {
    const llmir_tensor_record_t* record = tensor_of(check, operand);
    return record != NULL &&
           expect(check, operand, record->layout == LLMIR_LAYOUT_F32, "expected an f32 tensor") &&
           expect(check, operand,
                  llmir_tensor_rows(record) == 1 && llmir_tensor_columns(record) == count,
                  "wrong number of elements");
}

typedef struct matrix_shape {
    uint32_t rows; /* at least; panels are whole */
    uint32_t columns;
    uint32_t layout;
    uint32_t group;
} matrix_shape_t;

static int is_matrix(llmir_dispatch_check_t* check, uint32_t operand, matrix_shape_t shape) {
    const llmir_tensor_record_t* record = tensor_of(check, operand);
    return record != NULL &&
           expect(check, operand, record->layout == shape.layout && record->group == shape.group,
                  "the layout or group is not the parameters'") &&
           expect(check, operand,
                  record->rank == 2 && llmir_tensor_columns(record) == shape.columns,
                  "not a matrix with the parameters' columns") &&
           expect(check, operand, llmir_tensor_rows(record) >= shape.rows, "too few rows");
}

static int is_kv(llmir_dispatch_check_t* check,
                 uint32_t operand,
                 uint32_t kv_heads,
                 uint32_t head_dim) {
    const llmir_plan_operand_t reference = check->operands[operand];
    if (!expect(check, operand,
                reference.space == LLMIR_OPERAND_KV &&
                    reference.index < check->plan->record->kv_layer_count,
                "expected a KV layer of the plan")) {
        return 0;
    }
    const llmir_plan_kv_layer_t* layer = &check->plan->kv_layers[reference.index];
    return expect(check, operand, layer->kv_heads == kv_heads && layer->head_dim == head_dim,
                  "the KV layer has other heads than the parameters");
}

/* Buffers of one dispatch must not share memory: a kernel's tiles run at the same time. */
static int buffers_are_disjoint(llmir_dispatch_check_t* check) {
    uint32_t slots[LLMIR_PLAN_MAX_OPERANDS] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        if (check->operands[i].space != LLMIR_OPERAND_BUFFER) {
            continue;
        }
        const uint32_t slot = check->plan->buffers[check->operands[i].index].slot;
        for (uint32_t j = 0; j < count; ++j) {
            if (!expect(check, i, slots[j] != slot, "shares its slot with another operand")) {
                return 0;
            }
        }
        slots[count++] = slot;
    }
    return 1;
}

/* ---- One rule per kernel ---- */

static const char* embed_fault(const void* untyped) {
    const llmir_embed_params_t* params = untyped;
    if (!dim_is_valid(params->dim) || params->vocab < 1) {
        return "dim or vocab is out of range";
    }
    return params->layout < LLMIR_LAYOUT_F32 || params->layout > LLMIR_LAYOUT_PANEL_S8
               ? "unknown layout"
               : NULL;
}

static int embed_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_embed_params_t* params = untyped;
    return expect(check, 0, params->vocab >= check->vocab_count,
                  "fewer rows than the model has tokens") &&
           is_matrix(check, 0,
                     (matrix_shape_t){params->vocab, params->dim, params->layout, params->group}) &&
           is_f32(check, 1, LLMIR_EXTENT_TOKENS, params->dim);
}

static const char* rope_table_fault(const void* untyped) {
    const llmir_rope_table_params_t* params = untyped;
    return params->pair_count < 1 || params->pair_count > LLMIR_PLAN_MAX_HEAD_DIM / 2
               ? "pair_count is out of range"
               : NULL;
}

static int rope_table_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_rope_table_params_t* params = untyped;
    return is_vector(check, 0, params->pair_count) &&
           is_f32(check, 1, LLMIR_EXTENT_TOKENS, 2u * params->pair_count);
}

static const char* norm_fault(const void* untyped) {
    const llmir_norm_params_t* params = untyped;
    const uint32_t known =
        LLMIR_NORM_ADD_DELTA | LLMIR_NORM_DELTA_NORM | LLMIR_NORM_NO_OUTPUT | LLMIR_NORM_WIDE;
    if (!dim_is_valid(params->dim) || (params->flags & ~known) != 0 || params->gather > 1) {
        return "dim, flags or gather is out of range";
    }
    if ((params->flags & LLMIR_NORM_DELTA_NORM) && !(params->flags & LLMIR_NORM_ADD_DELTA)) {
        return "the delta is normalised but not added";
    }
    if (params->flags & LLMIR_NORM_NO_OUTPUT) {
        return params->gather || !(params->flags & LLMIR_NORM_ADD_DELTA)
                   ? "without output there is nothing to do"
                   : NULL;
    }
    if (params->out_format == LLMIR_ROW_F32) {
        return params->flags & LLMIR_NORM_WIDE ? "f32 rows are never wide" : NULL;
    }
    return params->out_format != LLMIR_ROW_Q8 || !llmir_group_is_valid(params->group) ||
                   params->dim % params->group != 0
               ? "out_format or group is invalid"
               : NULL;
}

/* Columns of a Q8 row of `columns` values. */
static uint32_t q8_columns(uint32_t columns, uint32_t is_wide) {
    return is_wide ? 2u * columns : columns;
}

static int norm_output_fits(llmir_dispatch_check_t* check, const llmir_norm_params_t* params) {
    const uint32_t extent = params->gather ? LLMIR_EXTENT_OUTPUTS : LLMIR_EXTENT_TOKENS;
    const uint32_t columns = q8_columns(params->dim, params->flags & LLMIR_NORM_WIDE);
    if (params->flags & LLMIR_NORM_NO_OUTPUT) {
        return is_absent(check, 3) && is_absent(check, 4);
    }
    return is_vector(check, 3, params->dim) &&
           (params->out_format == LLMIR_ROW_F32
                ? is_f32(check, 4, extent, params->dim)
                : is_q8(check, 4, extent, (const uint32_t[2]){columns, params->group}));
}

static int norm_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_norm_params_t* params = untyped;
    return is_f32(check, 0, LLMIR_EXTENT_TOKENS, params->dim) &&
           ((params->flags & LLMIR_NORM_ADD_DELTA)
                ? is_f32(check, 1, LLMIR_EXTENT_TOKENS, params->dim)
                : is_absent(check, 1)) &&
           ((params->flags & LLMIR_NORM_DELTA_NORM) ? is_vector(check, 2, params->dim)
                                                    : is_absent(check, 2)) &&
           norm_output_fits(check, params);
}

static const char* quantize_fault(const void* untyped) {
    const llmir_quantize_params_t* params = untyped;
    return !dim_is_valid(params->dim) || !llmir_group_is_valid(params->group) ||
                   params->dim % params->group != 0 || params->extent > LLMIR_EXTENT_OUTPUTS ||
                   params->wide > 1
               ? "dim, group, extent or wide is out of range"
               : NULL;
}

static int quantize_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_quantize_params_t* params = untyped;
    return is_f32(check, 0, params->extent, params->dim) &&
           is_q8(check, 1, params->extent,
                 (const uint32_t[2]){q8_columns(params->dim, params->wide), params->group});
}

static const char* linear_fault(const void* untyped) {
    const llmir_linear_params_t* params = untyped;
    if (params->rows < 1 || params->rows > MAX_DIM || !dim_is_valid(params->columns)) {
        return "rows or columns is out of range";
    }
    if (params->layout < LLMIR_LAYOUT_PANEL_F32 || params->layout > LLMIR_LAYOUT_PANEL_S8) {
        return "not a panel layout";
    }
    if (llmir_layout_is_integer(params->layout)
            ? !llmir_group_is_valid(params->group) || params->columns % params->group != 0
            : params->group != 0) {
        return "the group does not fit layout and columns";
    }
    if ((params->flags & LLMIR_LINEAR_WIDE) && !llmir_layout_is_integer(params->layout)) {
        return "wide activations with float weights";
    }
    if ((params->flags & ~(uint32_t)(LLMIR_LINEAR_BIAS | LLMIR_LINEAR_ADD | LLMIR_LINEAR_WIDE)) !=
            0 ||
        params->gate > LLMIR_GATE_GELU_TANH || params->extent > LLMIR_EXTENT_OUTPUTS) {
        return "unknown flag, gate or extent";
    }
    if (params->out_column % LLMIR_PANEL_ROWS != 0 || params->out_column > MAX_DIM) {
        return "out_column is not a multiple of 16 or out of range";
    }
    return params->gate != LLMIR_GATE_NONE && (params->flags & LLMIR_LINEAR_BIAS)
               ? "a gated product has no bias"
               : NULL;
}

/* Rows that the weights must have, in whole panels. */
static uint32_t linear_weight_rows(const llmir_linear_params_t* params) {
    return params->gate == LLMIR_GATE_NONE
               ? params->rows
               : 2u * LLMIR_PANEL_ROWS * llmir_panel_count(params->rows);
}

static int linear_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_linear_params_t* params = untyped;
    const uint32_t end = params->out_column + params->rows;
    const uint32_t columns = q8_columns(params->columns, params->flags & LLMIR_LINEAR_WIDE);
    return (llmir_layout_is_integer(params->layout)
                ? is_q8(check, 0, params->extent, (const uint32_t[2]){columns, params->group})
                : is_f32(check, 0, params->extent, params->columns)) &&
           is_matrix(check, 1,
                     (matrix_shape_t){linear_weight_rows(params), params->columns, params->layout,
                                      params->group}) &&
           ((params->flags & LLMIR_LINEAR_BIAS) ? is_vector(check, 2, params->rows)
                                                : is_absent(check, 2)) &&
           is_f32_strided(check, 3, params->extent, (const uint32_t[2]){end, params->out_stride});
}

/* Head counts that cannot wrap: (q + 2 kv) * head_dim stays below 2^21. */
static int heads_are_valid(uint32_t q_heads, uint32_t kv_heads, uint32_t head_dim) {
    return kv_heads >= 1 && kv_heads <= LLMIR_PLAN_MAX_HEADS && q_heads >= kv_heads &&
           q_heads <= LLMIR_PLAN_MAX_HEADS && q_heads % kv_heads == 0 &&
           llmir_head_dim_is_valid(head_dim);
}

static const char* qkv_fault(const void* untyped) {
    const llmir_qkv_params_t* params = untyped;
    if (!heads_are_valid(params->q_heads, params->kv_heads, params->head_dim)) {
        return "heads or head_dim is out of range";
    }
    if ((params->flags & ~(uint32_t)(LLMIR_QKV_NORM | LLMIR_QKV_ROPE)) != 0) {
        return "unknown flag";
    }
    if (params->flags & LLMIR_QKV_ROPE) {
        return params->rope_dim < 2 || params->rope_dim % 2u != 0 ||
                       params->rope_dim > params->head_dim
                   ? "rope_dim is out of range"
                   : NULL;
    }
    return params->rope_dim > params->head_dim ? "rope_dim is out of range" : NULL;
}

static int qkv_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_qkv_params_t* params = untyped;
    const uint32_t columns = (params->q_heads + 2u * params->kv_heads) * params->head_dim;
    const int norms = (params->flags & LLMIR_QKV_NORM) != 0;
    return is_f32_strided(check, 0, LLMIR_EXTENT_TOKENS,
                          (const uint32_t[2]){columns, params->stride}) &&
           ((params->flags & LLMIR_QKV_ROPE)
                ? is_f32(check, 1, LLMIR_EXTENT_TOKENS, params->rope_dim)
                : is_absent(check, 1)) &&
           (norms ? is_vector(check, 2, params->head_dim) : is_absent(check, 2)) &&
           (norms ? is_vector(check, 3, params->head_dim) : is_absent(check, 3)) &&
           is_kv(check, 4, params->kv_heads, params->head_dim);
}

static const char* attention_fault(const void* untyped) {
    const llmir_attention_params_t* params = untyped;
    return heads_are_valid(params->q_heads, params->kv_heads, params->head_dim)
               ? NULL
               : "heads or head_dim is out of range";
}

static int attention_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_attention_params_t* params = untyped;
    const uint32_t columns = params->q_heads * params->head_dim;
    if (!is_f32_strided(check, 0, LLMIR_EXTENT_TOKENS,
                        (const uint32_t[2]){columns, params->q_stride}) ||
        !is_kv(check, 1, params->kv_heads, params->head_dim) ||
        !is_f32_strided(check, 2, LLMIR_EXTENT_TOKENS,
                        (const uint32_t[2]){columns, params->out_stride})) {
        return 0;
    }
    /* A layer that keeps only a window of tokens must not be asked for more. */
    const uint32_t kept = check->plan->kv_layers[check->operands[1].index].window;
    return expect(check, 1, kept == 0 || (params->window != 0 && params->window <= kept),
                  "the KV layer's window is smaller than the attention's");
}

static const char* gate_fault(const void* untyped) {
    const llmir_gate_params_t* params = untyped;
    return params->dim < 1 || params->dim > MAX_DIM / 2 || params->gate < LLMIR_GATE_SILU ||
                   params->gate > LLMIR_GATE_GELU_TANH
               ? "dim or gate is out of range"
               : NULL;
}

static int gate_fits(llmir_dispatch_check_t* check, const void* untyped) {
    const llmir_gate_params_t* params = untyped;
    return is_f32(check, 0, LLMIR_EXTENT_TOKENS, 2u * params->dim) &&
           is_f32(check, 1, LLMIR_EXTENT_TOKENS, params->dim);
}

#define RULE(name, operand_count) \
    {#name, sizeof(llmir_##name##_params_t), operand_count, name##_fault, name##_fits}

static const llmir_kernel_rule_t rules[LLMIR_KERNEL_COUNT] = {
    [LLMIR_KERNEL_EMBED] = RULE(embed, 2),         [LLMIR_KERNEL_ROPE_TABLE] = RULE(rope_table, 2),
    [LLMIR_KERNEL_NORM] = RULE(norm, 5),           [LLMIR_KERNEL_QUANTIZE] = RULE(quantize, 2),
    [LLMIR_KERNEL_LINEAR] = RULE(linear, 4),       [LLMIR_KERNEL_QKV] = RULE(qkv, 5),
    [LLMIR_KERNEL_ATTENTION] = RULE(attention, 3), [LLMIR_KERNEL_GATE] = RULE(gate, 2),
};

const llmir_kernel_rule_t* llmir_kernel_rule(uint32_t kernel) {
    return kernel < LLMIR_KERNEL_COUNT && rules[kernel].name != NULL ? &rules[kernel] : NULL;
}

int llmir_dispatch_is_valid(llmir_dispatch_check_t* check,
                            const llmir_kernel_rule_t* rule,
                            const void* params) {
    for (uint32_t i = rule->operand_count; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        if (!is_absent(check, i)) {
            return 0;
        }
    }
    return rule->operands_fit(check, params) && buffers_are_disjoint(check);
}
