/* A plan made ready on a Vulkan device: weights uploaded, one pipeline a function, one descriptor
 * set a step. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/size.h"
#include "targets/gpu/gpu_unpack.h"
#include "targets/vulkan/vulkan_device.h"

#define PROGRAM_ALIGNMENT 64u

/* ---- Memory of the host ---- */

/* One block: the program and its arrays. */
typedef struct program_layout {
    size_t places, chunks, steps, pipelines, sets, kv_places;
} program_layout_t;

static int append(size_t* cursor, uint64_t count, size_t element_bytes, size_t* out_offset) {
    size_t bytes;
    return llmir_size_align(*cursor, PROGRAM_ALIGNMENT, out_offset) && count <= SIZE_MAX &&
           llmir_size_mul((size_t)count, element_bytes, &bytes) &&
           llmir_size_add(*out_offset, bytes, cursor);
}

static llmir_status_t allocate_program(llmir_vulkan_device_t* device,
                                       const llmir_plan_view_t* plan,
                                       const llmir_gpu_code_t* code,
                                       llmir_vulkan_program_t** out_program,
                                       llmir_error_t* error) {
    program_layout_t layout;
    uint32_t step_count = 0;
    size_t cursor = sizeof(llmir_vulkan_program_t);
    void* block = NULL;
    LLMIR_TRY(llmir_gpu_make_steps(plan, &device->limits, NULL, NULL, &step_count, error));
    const uint64_t tensors = plan->record->tensor_count;
    /* There are never more chunks than tensors and the scratch memory. */
    if (!append(&cursor, tensors + 1u, sizeof(llmir_gpu_place_t), &layout.places) ||
        !append(&cursor, tensors + 1u, sizeof(llmir_vulkan_memory_t), &layout.chunks) ||
        !append(&cursor, step_count, sizeof(llmir_gpu_step_t), &layout.steps) ||
        !append(&cursor, code->function_count, sizeof(VkPipeline), &layout.pipelines) ||
        !append(&cursor, step_count, sizeof(VkDescriptorSet), &layout.sets) ||
        !append(&cursor, plan->record->kv_layer_count, sizeof(llmir_kv_place_t),
                &layout.kv_places)) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "program: %" PRIu32 " steps", step_count);
    }
    LLMIR_TRY(llmir_allocate(&device->allocator, cursor, PROGRAM_ALIGNMENT, "vulkan program",
                             &block, error));
    memset(block, 0, cursor);
    llmir_vulkan_program_t* program = block;
    uint8_t* base = block;
    program->base.device = &device->base;
    program->plan = plan;
    program->code = *code;
    program->block_bytes = cursor;
    program->places = (void*)(base + layout.places);
    program->chunks = (void*)(base + layout.chunks);
    program->steps = (void*)(base + layout.steps);
    program->step_count = step_count;
    program->pipelines = (void*)(base + layout.pipelines);
    program->sets = (void*)(base + layout.sets);
    program->bound_places = (void*)(base + layout.kv_places);
    *out_program = program;
    return LLMIR_STATUS_OK;
}

/* ---- Weights ---- */

static llmir_status_t upload_weights(llmir_vulkan_program_t* program, llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const llmir_plan_view_t* plan = program->plan;
    uint32_t chunk_count = 0;
    LLMIR_TRY(llmir_gpu_place_tensors(plan, &device->limits, program->places, &chunk_count, error));
    for (; program->chunk_count < chunk_count; ++program->chunk_count) {
        const uint64_t bytes = llmir_gpu_chunk_bytes(plan, program->places, program->chunk_count);
        LLMIR_TRY(llmir_vulkan_memory_create(device, bytes, 0,
                                             &program->chunks[program->chunk_count], error));
    }
    for (uint32_t i = 0; i < plan->record->tensor_count; ++i) {
        const llmir_gpu_place_t* place = &program->places[i];
        LLMIR_TRY(llmir_vulkan_memory_write(device, &program->chunks[place->chunk], place->offset,
                                            plan->tensors[i].data,
                                            plan->tensors[i].record->data_bytes, error));
    }
    LLMIR_TRY(llmir_gpu_make_steps(plan, &device->limits, program->places, program->steps,
                                   &program->step_count, error));
    program->step_count -= program->code.largest == LLMIR_GPU_ANY; /* the last step needs it */
    return LLMIR_STATUS_OK;
}

/* ---- Pipelines ---- */

static llmir_status_t create_layouts(llmir_vulkan_program_t* program, llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    VkDescriptorSetLayoutBinding bindings[LLMIR_GPU_BINDING_COUNT];
    for (uint32_t i = 0; i < LLMIR_GPU_BINDING_COUNT; ++i) {
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    }
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = LLMIR_GPU_BINDING_COUNT,
        .pBindings = bindings,
    };
    LLMIR_VULKAN_TRY(
        device->api.vkCreateDescriptorSetLayout(device->device, &set, NULL, &program->set_layout),
        "creating a set layout");
    const VkPushConstantRange words = {VK_SHADER_STAGE_COMPUTE_BIT, 0, LLMIR_GPU_WORD_COUNT * 4u};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &program->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &words,
    };
    LLMIR_VULKAN_TRY(device->api.vkCreatePipelineLayout(device->device, &layout, NULL,
                                                        &program->pipeline_layout),
                     "creating a pipeline layout");
    return LLMIR_STATUS_OK;
}

static llmir_status_t create_pipeline(llmir_vulkan_program_t* program,
                                      uint32_t function,
                                      llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    char name[16];
    (void)snprintf(name, sizeof name, "f%" PRIu32, function);
    const uint32_t wave = program->has_matrices ? device->matrix.threads : 0;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = wave,
    };
    const int is_full = wave != 0 && device->matrix.has_full_waves &&
                        llmir_gpu_code_function(&program->code, function).threads % wave == 0;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = wave != 0 ? &size : NULL,
                .flags = is_full ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = program->module,
                .pName = name,
            },
        .layout = program->pipeline_layout,
    };
    LLMIR_VULKAN_TRY(
        device->api.vkCreateComputePipelines(device->device, program->pipeline_cache, 1, &info,
                                             NULL, &program->pipelines[function]),
        "creating a pipeline");
    return LLMIR_STATUS_OK;
}

static llmir_status_t give_module(llmir_vulkan_program_t* program,
                                  const llmir_gpu_module_t* module,
                                  llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = module->bytes,
        .pCode = (const uint32_t*)(const void*)module->data,
    };
    if (module->bytes == 0 || module->bytes % 4u != 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "GPU image: SPIR-V of %zu bytes, expected 32-bit words", module->bytes);
    }
    LLMIR_VULKAN_TRY(
        device->api.vkCreateShaderModule(device->device, &info, NULL, &program->module),
        "creating a shader module");
    return LLMIR_STATUS_OK;
}

static llmir_status_t create_module(llmir_vulkan_program_t* program, llmir_error_t* error) {
    const llmir_allocator_t* allocator =
        &((const llmir_vulkan_device_t*)program->base.device)->allocator;
    llmir_gpu_module_t module;
    LLMIR_TRY(llmir_gpu_module_unpack(allocator, &program->code, &module, error));
    const llmir_status_t status = give_module(program, &module, error);
    llmir_gpu_module_free(allocator, &module);
    return status;
}

static llmir_status_t create_pipelines(llmir_vulkan_program_t* program, llmir_error_t* error) {
    llmir_vulkan_cache_open(program);
    for (uint32_t i = 0; i < program->code.function_count; ++i) {
        LLMIR_TRY(create_pipeline(program, i, error));
    }
    llmir_vulkan_cache_keep(program);
    llmir_vulkan_cache_close(program);
    return LLMIR_STATUS_OK;
}

static llmir_status_t create_sets(llmir_vulkan_program_t* program, llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)program->base.device;
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                       program->step_count * LLMIR_GPU_BINDING_COUNT};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = program->step_count,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    LLMIR_VULKAN_TRY(
        device->api.vkCreateDescriptorPool(device->device, &pool, NULL, &program->descriptor_pool),
        "creating a descriptor pool");
    for (uint32_t i = 0; i < program->step_count; ++i) {
        const VkDescriptorSetAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = program->descriptor_pool,
            .descriptorSetCount = 1,
            .pSetLayouts = &program->set_layout,
        };
        LLMIR_VULKAN_TRY(
            device->api.vkAllocateDescriptorSets(device->device, &info, &program->sets[i]),
            "allocating a descriptor set");
    }
    return LLMIR_STATUS_OK;
}

/* ---- Entries ---- */

llmir_status_t llmir_vulkan_program_load(llmir_device_t* base,
                                         const llmir_program_options_t* options,
                                         llmir_program_t** out_program,
                                         llmir_error_t* error) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base;
    llmir_vulkan_program_t* program = NULL;
    llmir_gpu_code_t code;
    *out_program = NULL;
    LLMIR_TRY(llmir_gpu_code_open(options, &code, error));
    LLMIR_TRY(allocate_program(device, options->plan, &code, &program, error));
    program->has_matrices =
        device->matrix.level != 0 && options->code_level == device->matrix.level;
    (void)snprintf(program->code_name, sizeof program->code_name, "bundle SPIR-V%s",
                   program->has_matrices                                ? device->matrix.name
                   : options->code_level == LLMIR_VULKAN_LEVEL_SOFTWARE ? " for software"
                   : options->code_level == LLMIR_VULKAN_LEVEL_DOT      ? " with dot products"
                                                                        : "");
    llmir_status_t status = upload_weights(program, error);
    if (status == LLMIR_STATUS_OK) {
        status = create_layouts(program, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = create_module(program, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = create_pipelines(program, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = create_sets(program, error);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_vulkan_program_unload(&program->base);
        return status;
    }
    *out_program = &program->base;
    return LLMIR_STATUS_OK;
}

void llmir_vulkan_program_unload(llmir_program_t* base) {
    llmir_vulkan_program_t* program = (llmir_vulkan_program_t*)base;
    if (program == NULL) {
        return;
    }
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base->device;
    const llmir_vulkan_api_t* api = &device->api;
    api->vkDestroyDescriptorPool(device->device, program->descriptor_pool, NULL);
    for (uint32_t i = 0; i < program->code.function_count; ++i) {
        api->vkDestroyPipeline(device->device, program->pipelines[i], NULL);
    }
    llmir_vulkan_cache_close(program);
    api->vkDestroyPipelineLayout(device->device, program->pipeline_layout, NULL);
    api->vkDestroyDescriptorSetLayout(device->device, program->set_layout, NULL);
    api->vkDestroyShaderModule(device->device, program->module, NULL);
    for (uint32_t i = 0; i < program->chunk_count; ++i) {
        llmir_vulkan_memory_destroy(device, &program->chunks[i]);
    }
    llmir_free(&device->allocator, program, program->block_bytes, PROGRAM_ALIGNMENT);
}

void llmir_vulkan_program_code(const llmir_program_t* program,
                               const char** out_code,
                               const char** out_reason) {
    *out_code = ((const llmir_vulkan_program_t*)program)->code_name;
    *out_reason = "";
}
