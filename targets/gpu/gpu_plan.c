/* Laying a plan out for a GPU. */
#include "targets/gpu/gpu_plan.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/size.h"
#include "quant/kv_layout.h"
#include "quant/quant_layout.h"

/* Parts of a matrix have a multiple of this many rows: whole panels of whole workgroups. */
#define PART_ROWS 64u

static uint64_t align_up(uint64_t bytes) {
    return (bytes + (LLMIR_GPU_TENSOR_ALIGNMENT - 1u)) &
           ~(uint64_t)(LLMIR_GPU_TENSOR_ALIGNMENT - 1u);
}

/* ---- Weights ---- */

llmir_status_t llmir_gpu_place_tensors(const llmir_plan_view_t* plan,
                                       const llmir_gpu_limits_t* limits,
                                       llmir_gpu_place_t* out_places,
                                       uint32_t* out_chunk_count,
                                       llmir_error_t* error) {
    uint32_t chunk = 0;
    uint64_t used = 0;
    for (uint32_t i = 0; i < plan->record->tensor_count; ++i) {
        const uint64_t bytes = align_up(plan->tensors[i].record->data_bytes);
        if (bytes > limits->chunk_bytes) {
            return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                              "tensor %" PRIu32 ": %" PRIu64
                              " bytes, the device allocates at most %" PRIu64,
                              i, bytes, limits->chunk_bytes);
        }
        if (used + bytes > limits->chunk_bytes) {
            ++chunk;
            used = 0;
        }
        out_places[i] = (llmir_gpu_place_t){chunk, used};
        used += bytes;
    }
    chunk += used != 0;
    const uint64_t scratch = llmir_plan_scratch_bytes(plan);
    const int has_scratch =
        scratch != 0 && scratch <= limits->chunk_bytes && scratch <= limits->binding_bytes;
    out_places[plan->record->tensor_count] =
        (llmir_gpu_place_t){has_scratch ? chunk : LLMIR_GPU_ANY, 0};
    *out_chunk_count = chunk + (uint32_t)has_scratch;
    return LLMIR_STATUS_OK;
}

uint64_t llmir_gpu_chunk_bytes(const llmir_plan_view_t* plan,
                               const llmir_gpu_place_t* places,
                               uint32_t chunk) {
    uint64_t end = 0;
    if (places[plan->record->tensor_count].chunk == chunk) {
        return llmir_plan_scratch_bytes(plan);
    }
    for (uint32_t i = 0; i < plan->record->tensor_count; ++i) {
        if (places[i].chunk == chunk) {
            end = places[i].offset + align_up(plan->tensors[i].record->data_bytes);
        }
    }
    return end;
}

/* ---- Steps ---- */

/* The matrix of a dispatch that is worked on in parts. */
typedef struct split_matrix {
    uint32_t operand;
    uint32_t rows;
    uint64_t unit_bytes; /* of PART_ROWS rows */
} split_matrix_t;

static const void* params_of(const llmir_plan_view_t* plan, const llmir_plan_dispatch_t* dispatch) {
    return plan->section + plan->variants[dispatch->variant].params.offset;
}

/* Returns 0 if the kernel has no matrix. */
static int find_matrix(const llmir_plan_view_t* plan,
                       const llmir_plan_dispatch_t* dispatch,
                       split_matrix_t* out) {
    switch (plan->variants[dispatch->variant].kernel) {
        case LLMIR_KERNEL_EMBED: {
            const llmir_embed_params_t* p = params_of(plan, dispatch);
            *out = (split_matrix_t){0, p->vocab,
                                    llmir_layout_bytes(p->layout, p->group, PART_ROWS, p->dim)};
            return 1;
        }
        case LLMIR_KERNEL_LINEAR: {
            const llmir_linear_params_t* p = params_of(plan, dispatch);
            const uint32_t matrices = p->gate != LLMIR_GATE_NONE ? 2u : 1u;
            *out = (split_matrix_t){
                1, p->rows,
                matrices * llmir_layout_bytes(p->layout, p->group, PART_ROWS, p->columns)};
            return 1;
        }
        default:
            return 0;
    }
}

static uint32_t extent_of(const llmir_plan_view_t* plan, const llmir_plan_dispatch_t* dispatch) {
    const void* params = params_of(plan, dispatch);
    switch (plan->variants[dispatch->variant].kernel) {
        case LLMIR_KERNEL_NORM:
            return ((const llmir_norm_params_t*)params)->gather ? LLMIR_EXTENT_OUTPUTS
                                                                : LLMIR_EXTENT_TOKENS;
        case LLMIR_KERNEL_QUANTIZE:
            return ((const llmir_quantize_params_t*)params)->extent;
        case LLMIR_KERNEL_LINEAR:
            return ((const llmir_linear_params_t*)params)->extent;
        default:
            return LLMIR_EXTENT_TOKENS;
    }
}

static void bind_operand(const llmir_plan_view_t* plan,
                         const llmir_gpu_place_t* places,
                         uint32_t index,
                         llmir_gpu_step_t* step) {
    const llmir_plan_operand_t* operand = &plan->dispatches[step->dispatch].operands[index];
    llmir_gpu_binding_t* binding = &step->bindings[index];
    step->slots[index] = LLMIR_GPU_ANY;
    switch (operand->space) {
        case LLMIR_OPERAND_BUFFER:
            binding->space = LLMIR_GPU_SPACE_ACTIVATIONS;
            step->slots[index] = plan->buffers[operand->index].slot;
            step->words[LLMIR_GPU_WORD_STRIDE + index] =
                plan->buffers[operand->index].row_bytes / 4;
            break;
        case LLMIR_OPERAND_TENSOR:
            *binding = (llmir_gpu_binding_t){LLMIR_GPU_SPACE_WEIGHTS, places[operand->index].chunk,
                                             places[operand->index].offset,
                                             plan->tensors[operand->index].record->data_bytes};
            break;
        case LLMIR_OPERAND_KV:
            binding->space = LLMIR_GPU_SPACE_KV;
            step->kv_layer = operand->index;
            break;
        default:
            break;
    }
}

static llmir_gpu_step_t make_step(const llmir_plan_view_t* plan,
                                  const llmir_gpu_place_t* places,
                                  uint32_t dispatch) {
    llmir_gpu_step_t step;
    memset(&step, 0, sizeof step);
    step.dispatch = dispatch;
    step.variant = plan->dispatches[dispatch].variant;
    step.extent = extent_of(plan, &plan->dispatches[dispatch]);
    step.kv_layer = LLMIR_GPU_ANY;
    step.bindings[LLMIR_GPU_BATCH_BINDING].space = LLMIR_GPU_SPACE_ACTIVATIONS;
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        bind_operand(plan, places, i, &step);
    }
    if (plan->variants[step.variant].kernel == LLMIR_KERNEL_ATTENTION &&
        places[plan->record->tensor_count].chunk != LLMIR_GPU_ANY) {
        step.bindings[LLMIR_GPU_SCRATCH_BINDING] =
            (llmir_gpu_binding_t){LLMIR_GPU_SPACE_WEIGHTS, places[plan->record->tensor_count].chunk,
                                  0, llmir_plan_scratch_bytes(plan)};
    }
    return step;
}

/* What its words are: llmir_bundle.h. */
static llmir_gpu_step_t make_largest(const llmir_plan_view_t* plan) {
    const llmir_plan_buffer_t* logits = &plan->buffers[plan->record->logits_buffer];
    llmir_gpu_step_t step;
    memset(&step, 0, sizeof step);
    step.dispatch = plan->record->dispatch_count - 1u;
    step.variant = LLMIR_GPU_ANY;
    step.extent = LLMIR_EXTENT_OUTPUTS;
    step.kv_layer = LLMIR_GPU_ANY;
    memset(step.slots, 0xff, sizeof step.slots); /* LLMIR_GPU_ANY */
    step.slots[0] = logits->slot;
    step.words[LLMIR_GPU_WORD_STRIDE] = logits->row_bytes / 4;
    step.words[LLMIR_GPU_WORD_HELD] = logits->columns;
    step.bindings[0].space = LLMIR_GPU_SPACE_ACTIVATIONS;
    step.bindings[1].space = LLMIR_GPU_SPACE_ACTIVATIONS;
    return step;
}

/* Narrows a step to rows [first, first + count) of its matrix. */
static void take_part(const split_matrix_t* matrix,
                      uint32_t first,
                      uint32_t count,
                      llmir_gpu_step_t* step) {
    llmir_gpu_binding_t* binding = &step->bindings[matrix->operand];
    const uint64_t begin = first / PART_ROWS * matrix->unit_bytes;
    step->first_row = first;
    step->row_count = count;
    step->words[LLMIR_GPU_WORD_FIRST] = first;
    step->words[LLMIR_GPU_WORD_HELD] = count;
    if (first + count < matrix->rows) {
        binding->bytes = count / PART_ROWS * matrix->unit_bytes;
    } else {
        binding->bytes -= begin;
    }
    binding->offset += begin;
}

llmir_status_t llmir_gpu_make_steps(const llmir_plan_view_t* plan,
                                    const llmir_gpu_limits_t* limits,
                                    const llmir_gpu_place_t* places,
                                    llmir_gpu_step_t* out_steps,
                                    uint32_t* out_step_count,
                                    llmir_error_t* error) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->record->dispatch_count; ++i) {
        split_matrix_t matrix = {0};
        uint32_t part = UINT32_MAX;
        if (find_matrix(plan, &plan->dispatches[i], &matrix)) {
            const uint64_t units = limits->binding_bytes / matrix.unit_bytes;
            part = units < UINT32_MAX / PART_ROWS ? (uint32_t)units * PART_ROWS : UINT32_MAX;
            if (part == 0) {
                return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                                  "dispatch %" PRIu32 ": %u rows take %" PRIu64
                                  " bytes, the device binds at most %" PRIu64,
                                  i, PART_ROWS, matrix.unit_bytes, limits->binding_bytes);
            }
        }
        uint32_t first = 0;
        do {
            if (out_steps != NULL) {
                out_steps[count] = make_step(plan, places, i);
                if (matrix.rows != 0) {
                    const uint32_t left = matrix.rows - first;
                    take_part(&matrix, first, left < part ? left : part, &out_steps[count]);
                }
            }
            ++count;
            first += part < matrix.rows - first ? part : matrix.rows - first;
        } while (first < matrix.rows);
    }
    if (out_steps != NULL) {
        out_steps[count] = make_largest(plan);
    }
    *out_step_count = count + 1u;
    return LLMIR_STATUS_OK;
}

uint32_t llmir_gpu_step_rows(const llmir_gpu_step_t* step, const llmir_submission_t* submission) {
    const llmir_batch_t* batch = submission->batch;
    if (step->variant == LLMIR_GPU_ANY && submission->largest == NULL) {
        return 0;
    }
    return step->extent == LLMIR_EXTENT_OUTPUTS ? batch->output_count : batch->token_count;
}

uint32_t llmir_gpu_step_grid(const llmir_gpu_step_t* step, const llmir_gpu_function_t* function) {
    if (function->weight_rows == 0) {
        return function->grid_x;
    }
    return (step->row_count + function->weight_rows - 1u) / function->weight_rows;
}

/* ---- Words ---- */

llmir_gpu_binding_t llmir_gpu_kv_binding(const llmir_gpu_step_t* step, const llmir_batch_t* batch) {
    const llmir_kv_place_t* place = &batch->kv_places[step->kv_layer];
    const uint64_t before = place->offset % LLMIR_GPU_TENSOR_ALIGNMENT;
    return (llmir_gpu_binding_t){LLMIR_GPU_SPACE_KV, 0, place->offset - before,
                                 place->bytes + before};
}

static void set_kv_words(const llmir_plan_view_t* plan,
                         uint32_t layer_index,
                         const llmir_submission_t* submission,
                         const llmir_batch_arrays_t* arrays,
                         uint32_t* words) {
    const llmir_batch_t* batch = submission->batch;
    const llmir_plan_kv_layer_t* layer = &plan->kv_layers[layer_index];
    const llmir_kv_place_t* place = &batch->kv_places[layer_index];
    const int apart = batch->window_table != NULL && layer->window != 0;
    words[LLMIR_GPU_WORD_PAGE] = (uint32_t)(place->page_bytes / 4);
    words[LLMIR_GPU_WORD_LAYER] = (uint32_t)(place->offset % LLMIR_GPU_TENSOR_ALIGNMENT / 4);
    words[LLMIR_GPU_WORD_VALUES] =
        (uint32_t)(llmir_kv_values_offset(layer, batch->kv_type, plan->record->page_tokens) / 4);
    words[LLMIR_GPU_WORD_TABLE] = (uint32_t)((submission->batch_offset +
                                              (apart ? arrays->window_table : arrays->page_table)) /
                                             4);
    words[LLMIR_GPU_WORD_TABLE_STRIDE] = batch->page_table_stride;
}

void llmir_gpu_step_words(const llmir_plan_view_t* plan,
                          const llmir_gpu_step_t* step,
                          const llmir_submission_t* submission,
                          uint32_t out_words[LLMIR_GPU_WORD_COUNT]) {
    const llmir_batch_t* batch = submission->batch;
    const llmir_batch_arrays_t arrays =
        llmir_batch_arrays(batch->token_count, batch->output_count, batch->sequence_count,
                           batch->page_table_stride, batch->window_table != NULL);
    memcpy(out_words, step->words, sizeof step->words);
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        if (step->slots[i] != LLMIR_GPU_ANY) {
            out_words[LLMIR_GPU_WORD_OFFSET + i] =
                (uint32_t)(submission->slot_offsets[step->slots[i]] / 4);
        }
    }
    if (step->variant == LLMIR_GPU_ANY) {
        out_words[LLMIR_GPU_WORD_OFFSET + 1] =
            (uint32_t)((submission->batch_offset + arrays.largest) / 4);
    }
    out_words[LLMIR_GPU_WORD_ROWS] = llmir_gpu_step_rows(step, submission);
    out_words[LLMIR_GPU_WORD_TOKENS] = (uint32_t)((submission->batch_offset + arrays.tokens) / 4);
    out_words[LLMIR_GPU_WORD_POSITIONS] =
        (uint32_t)((submission->batch_offset + arrays.positions) / 4);
    out_words[LLMIR_GPU_WORD_SEQUENCES] =
        (uint32_t)((submission->batch_offset + arrays.sequences) / 4);
    out_words[LLMIR_GPU_WORD_OUTPUT_ROWS] =
        (uint32_t)((submission->batch_offset + arrays.output_rows) / 4);
    if (step->kv_layer != LLMIR_GPU_ANY) {
        set_kv_words(plan, step->kv_layer, submission, &arrays, out_words);
    }
}
