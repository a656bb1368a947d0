/* A plan made ready on a device: weights uploaded, the module loaded, its functions found. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/size.h"
#include "targets/gpu/gpu_device.h"
#include "targets/gpu/gpu_module.h"
#include "targets/gpu/gpu_unpack.h"

#define PROGRAM_ALIGNMENT 64u

/* ---- Memory of the host: one block, the program and its arrays ---- */

static int append(size_t* cursor, uint64_t count, size_t element_bytes, size_t* out_offset) {
    size_t bytes;
    return llmir_size_align(*cursor, PROGRAM_ALIGNMENT, out_offset) && count <= SIZE_MAX &&
           llmir_size_mul((size_t)count, element_bytes, &bytes) &&
           llmir_size_add(*out_offset, bytes, cursor);
}

static llmir_status_t allocate_program(llmir_gpu_device_t* device,
                                       const llmir_plan_view_t* plan,
                                       const llmir_gpu_code_t* code,
                                       llmir_gpu_program_t** out_program,
                                       llmir_error_t* error) {
    size_t places, chunks, steps, functions, slots, kv_places;
    uint32_t step_count = 0;
    size_t cursor = sizeof(llmir_gpu_program_t);
    void* block = NULL;
    LLMIR_TRY(llmir_gpu_make_steps(plan, &device->limits, NULL, NULL, &step_count, error));
    const uint64_t tensors = plan->record->tensor_count;
    const uint64_t slot_count = plan->record->slot_count;
    const uint64_t layer_count = plan->record->kv_layer_count;
    /* There are never more chunks than tensors and the scratch memory. */
    if (!append(&cursor, tensors + 1u, sizeof(llmir_gpu_place_t), &places) ||
        !append(&cursor, tensors + 1u, sizeof(uint64_t), &chunks) ||
        !append(&cursor, step_count, sizeof(llmir_gpu_step_t), &steps) ||
        !append(&cursor, code->function_count, sizeof(void*), &functions) ||
        !append(&cursor, slot_count * LLMIR_GPU_GRAPHS, sizeof(uint64_t), &slots) ||
        !append(&cursor, layer_count * LLMIR_GPU_GRAPHS, sizeof(llmir_kv_place_t), &kv_places)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "program: %" PRIu32 " steps", step_count);
    }
    LLMIR_TRY(llmir_allocate(&device->allocator, cursor, PROGRAM_ALIGNMENT, "GPU program", &block,
                             error));
    memset(block, 0, cursor);
    llmir_gpu_program_t* program = block;
    uint8_t* base = block;
    program->base.device = &device->base;
    program->plan = plan;
    program->code = *code;
    program->block_bytes = cursor;
    program->places = (void*)(base + places);
    program->chunks = (void*)(base + chunks);
    program->steps = (void*)(base + steps);
    program->step_count = step_count;
    program->functions = (void*)(base + functions);
    for (uint32_t i = 0; i < LLMIR_GPU_GRAPHS; ++i) {
        program->graphs[i].slot_offsets = (uint64_t*)(void*)(base + slots) + slot_count * i;
        program->graphs[i].kv_places =
            (llmir_kv_place_t*)(void*)(base + kv_places) + layer_count * i;
    }
    *out_program = program;
    return LLMIR_STATUS_OK;
}

/* ---- Loading ---- */

static llmir_status_t upload_weights(llmir_gpu_device_t* device,
                                     llmir_gpu_program_t* program,
                                     llmir_error_t* error) {
    const llmir_plan_view_t* plan = program->plan;
    uint32_t chunk_count = 0;
    LLMIR_TRY(llmir_gpu_place_tensors(plan, &device->limits, program->places, &chunk_count, error));
    for (; program->chunk_count < chunk_count; ++program->chunk_count) {
        const uint64_t bytes = llmir_gpu_chunk_bytes(plan, program->places, program->chunk_count);
        LLMIR_TRY(
            llmir_gpu_memory_create(device, bytes, &program->chunks[program->chunk_count], error));
    }
    for (uint32_t i = 0; i < plan->record->tensor_count; ++i) {
        const llmir_gpu_place_t* place = &program->places[i];
        LLMIR_TRY(llmir_gpu_memory_write(device, program->chunks[place->chunk] + place->offset,
                                         plan->tensors[i].data, plan->tensors[i].record->data_bytes,
                                         error));
    }
    LLMIR_TRY(llmir_gpu_make_steps(plan, &device->limits, program->places, program->steps,
                                   &program->step_count, error));
    program->step_count -= program->code.largest == LLMIR_GPU_ANY; /* the last step needs it */
    return LLMIR_STATUS_OK;
}

/* What the section holds. */
typedef struct module_kind {
    const char* name; /* "PTX" */
    int is_text;
} module_kind_t;

static llmir_status_t give_module(llmir_gpu_device_t* device,
                                  llmir_gpu_program_t* program,
                                  const module_kind_t* kind,
                                  const llmir_gpu_module_t* module,
                                  llmir_error_t* error) {
    LLMIR_TRY(
        llmir_gpu_module_check(kind->name, kind->is_text, module->data, module->bytes, error));
    LLMIR_GPU_TRY(device, device->driver.module_load(&program->module, module->data),
                  "loading the bundle's code");
    return LLMIR_STATUS_OK;
}

static llmir_status_t load_module(llmir_gpu_device_t* device,
                                  llmir_gpu_program_t* program,
                                  const module_kind_t* kind,
                                  llmir_error_t* error) {
    llmir_gpu_module_t module;
    LLMIR_TRY(llmir_gpu_module_unpack(&device->allocator, &program->code, &module, error));
    const llmir_status_t status = give_module(device, program, kind, &module, error);
    llmir_gpu_module_free(&device->allocator, &module);
    return status;
}

static llmir_status_t find_functions(llmir_gpu_device_t* device,
                                     llmir_gpu_program_t* program,
                                     llmir_error_t* error) {
    for (uint32_t i = 0; i < program->code.function_count; ++i) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%" PRIu32, i);
        LLMIR_GPU_TRY(device,
                      device->driver.module_function(&program->functions[i], program->module, name),
                      "finding a function");
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_program_load(llmir_device_t* base,
                                      const llmir_program_options_t* options,
                                      llmir_program_t** out_program,
                                      llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base;
    llmir_gpu_program_t* program = NULL;
    llmir_gpu_code_t code;
    *out_program = NULL;
    LLMIR_TRY(llmir_gpu_code_open(options, &code, error));
    LLMIR_TRY(allocate_program(device, options->plan, &code, &program, error));
    const int is_cubin = options->code_level >= LLMIR_GPU_LEVEL_CUBIN(0);
    const module_kind_t kind = {is_cubin ? "cubin" : device->flavor->code_name,
                                device->flavor->is_text && !is_cubin};
    const uint32_t level = is_cubin ? device->level : options->code_level;
    if (device->flavor->level_min != 0) {
        (void)snprintf(program->code_name, sizeof program->code_name,
                       "bundle %s for %" PRIu32 ".%" PRIu32, kind.name, level / 10u, level % 10u);
    } else {
        (void)snprintf(program->code_name, sizeof program->code_name, "bundle %s for gfx%" PRIx32,
                       kind.name, level >> 8);
    }
    llmir_status_t status = llmir_gpu_enter(device, error);
    if (status == LLMIR_STATUS_OK) {
        status = load_module(device, program, &kind, error);
        if (status == LLMIR_STATUS_OK) {
            status = find_functions(device, program, error);
        }
        if (status == LLMIR_STATUS_OK) {
            status = upload_weights(device, program, error);
        }
        llmir_gpu_leave(device);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_gpu_program_unload(&program->base);
        return status;
    }
    *out_program = &program->base;
    return LLMIR_STATUS_OK;
}

static void free_objects(const llmir_gpu_device_t* device, const llmir_gpu_program_t* program) {
    (void)device->driver.stream_wait(device->stream);
    for (uint32_t i = 0; i < LLMIR_GPU_GRAPHS; ++i) {
        if (program->graphs[i].executable != NULL) {
            (void)device->driver.executable_destroy(program->graphs[i].executable);
        }
    }
    if (program->module != NULL) {
        (void)device->driver.module_unload(program->module);
    }
    for (uint32_t i = 0; i < program->chunk_count; ++i) {
        (void)device->driver.memory_free(program->chunks[i]);
    }
}

void llmir_gpu_program_unload(llmir_program_t* base) {
    llmir_gpu_program_t* program = (llmir_gpu_program_t*)base;
    if (program == NULL) {
        return;
    }
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base->device;
    if (llmir_gpu_enter_to_free(device)) {
        free_objects(device, program);
        llmir_gpu_leave(device);
    }
    llmir_free(&device->allocator, program, program->block_bytes, PROGRAM_ALIGNMENT);
}

void llmir_gpu_program_code(const llmir_program_t* program,
                            const char** out_code,
                            const char** out_reason) {
    *out_code = ((const llmir_gpu_program_t*)program)->code_name;
    *out_reason = "";
}
