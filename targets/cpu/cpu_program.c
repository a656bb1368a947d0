/* A plan made ready: for every dispatch its kernel, parameters and operands are looked up once, so
 * that submitting a batch only places the slots. */
#include "core/base/format.h"
#include "core/base/size.h"
#include "targets/cpu/cpu_device.h"
#include "targets/cpu/cpu_level.h"

/* One block: the program, then a cache line per dispatch, the frames, and the KV layers. */
typedef struct program_layout {
    size_t steps_offset;
    size_t frames_offset;
    size_t layers_offset;
    size_t bytes;
} program_layout_t;

static int lay_out(const llmir_plan_record_t* record, program_layout_t* out) {
    size_t step_bytes, frame_bytes, layer_bytes;
    return llmir_size_align(sizeof(llmir_cpu_program_t), LLMIR_CPU_ALIGNMENT, &out->steps_offset) &&
           llmir_size_mul(record->dispatch_count, sizeof(llmir_cpu_step_t), &step_bytes) &&
           llmir_size_add(out->steps_offset, step_bytes, &out->frames_offset) &&
           llmir_size_mul(record->dispatch_count, sizeof(llmir_cpu_frame_t), &frame_bytes) &&
           llmir_size_add(out->frames_offset, frame_bytes, &out->layers_offset) &&
           llmir_size_mul(record->kv_layer_count, sizeof(llmir_cpu_kv_layer_t), &layer_bytes) &&
           llmir_size_add(out->layers_offset, layer_bytes, &out->bytes);
}

static void resolve_operand(const llmir_cpu_program_t* program,
                            llmir_cpu_frame_t* frame,
                            uint32_t index,
                            const llmir_plan_operand_t* operand) {
    const llmir_plan_view_t* plan = program->plan;
    switch (operand->space) {
        case LLMIR_OPERAND_BUFFER:
            frame->slot_mask |= 1u << index;
            frame->operand_slots[index] = plan->buffers[operand->index].slot;
            frame->call.row_bytes[index] = plan->buffers[operand->index].row_bytes;
            break;
        case LLMIR_OPERAND_TENSOR: /* kernels only read tensors */
            frame->call.operands[index] = (void*)plan->tensors[operand->index].data;
            break;
        case LLMIR_OPERAND_KV:
            frame->call.operands[index] = &program->kv_layers[operand->index];
            break;
        default:
            break;
    }
}

static llmir_status_t resolve_dispatch(llmir_cpu_program_t* program,
                                       uint32_t index,
                                       const llmir_cpu_kernel_table_t* kernels,
                                       llmir_error_t* error) {
    const llmir_plan_view_t* plan = program->plan;
    const llmir_plan_dispatch_t* dispatch = &plan->dispatches[index];
    const llmir_plan_variant_t* variant = &plan->variants[dispatch->variant];
    llmir_cpu_frame_t* frame = &program->frames[index];
    if (variant->kernel >= LLMIR_KERNEL_COUNT || kernels->run[variant->kernel] == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "dispatch %u: this runtime has no kernel %u", index, variant->kernel);
    }
    frame->kernel = variant->kernel;
    frame->params = plan->section + variant->params.offset;
    frame->run = llmir_cpu_code_kernel(&program->code, dispatch->variant);
    if (frame->run == NULL) {
        frame->run = kernels->run[variant->kernel];
    }
    frame->call.batch = &program->batch;
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        resolve_operand(program, frame, i, &dispatch->operands[i]);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t program_init(llmir_cpu_program_t* program,
                                   const llmir_program_options_t* options,
                                   llmir_error_t* error) {
    const llmir_cpu_device_t* device = (const llmir_cpu_device_t*)program->base.device;
    const uint32_t built_in = device->kernels->level;
    const llmir_status_t status = llmir_cpu_code_load(options, built_in, device->level_max,
                                                      &program->code, &program->code_reason);
    const int has_code = status == LLMIR_STATUS_OK;
    (void)llmir_format(program->code_name, sizeof program->code_name, "%s %s",
                       has_code ? "bundle" : "built-in",
                       llmir_cpu_level_name(has_code ? options->code_level : built_in));
    for (uint32_t i = 0; i < options->plan->record->dispatch_count; ++i) {
        LLMIR_TRY(resolve_dispatch(program, i, device->kernels, error));
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_cpu_program_load(llmir_device_t* device,
                                      const llmir_program_options_t* options,
                                      llmir_program_t** out_program,
                                      llmir_error_t* error) {
    *out_program = NULL;
    const llmir_cpu_device_t* cpu = (const llmir_cpu_device_t*)device;
    program_layout_t layout;
    if (!lay_out(options->plan->record, &layout)) {
        return llmir_fail(
            error, LLMIR_STATUS_CAPACITY, "plan: %u dispatches over %u KV layers are too many",
            options->plan->record->dispatch_count, options->plan->record->kv_layer_count);
    }
    void* block = NULL;
    LLMIR_TRY(llmir_allocate(&cpu->allocator, layout.bytes, LLMIR_CPU_ALIGNMENT, "cpu program",
                             &block, error));
    llmir_cpu_program_t* program = block;
    program->base.device = device;
    program->plan = options->plan;
    program->steps = (llmir_cpu_step_t*)(void*)((uint8_t*)block + layout.steps_offset);
    program->frames = (llmir_cpu_frame_t*)(void*)((uint8_t*)block + layout.frames_offset);
    program->kv_layers = (llmir_cpu_kv_layer_t*)(void*)((uint8_t*)block + layout.layers_offset);
    program->block_bytes = layout.bytes;
    const llmir_status_t status = program_init(program, options, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_cpu_program_unload(&program->base);
        return status;
    }
    *out_program = &program->base;
    return LLMIR_STATUS_OK;
}

void llmir_cpu_program_unload(llmir_program_t* base) {
    llmir_cpu_program_t* program = (llmir_cpu_program_t*)base;
    if (program == NULL) {
        return;
    }
    llmir_cpu_code_unload(&program->code);
    const llmir_cpu_device_t* device = (const llmir_cpu_device_t*)base->device;
    llmir_free(&device->allocator, program, program->block_bytes, LLMIR_CPU_ALIGNMENT);
}

void llmir_cpu_program_code(const llmir_program_t* base,
                            const char** out_code,
                            const char** out_reason) {
    const llmir_cpu_program_t* program = (const llmir_cpu_program_t*)base;
    *out_code = program->code_name;
    *out_reason = program->code_reason.message;
}
