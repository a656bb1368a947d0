/* Shader modules, layouts, pipelines and pipeline caches of the stand-in for Vulkan. A module is
 * SPIR-V, of which the entry points and their workgroups are read; a pipeline runs a function of
 * the shared object that is executed in the module's place. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_driver/fake_kernel.h"
#include "tests/support/fake_vulkan/fake_vulkan.h"

#define SPIRV_MAGIC 0x07230203u
#define OP_ENTRY_POINT 15u
#define OP_EXECUTION_MODE 16u
#define MODE_LOCAL_SIZE 17u
#define MODEL_COMPUTE 5u

/* ---- Modules ---- */

static VkResult vkCreateShaderModule_(VkDevice device,
                                      const VkShaderModuleCreateInfo* info,
                                      const VkAllocationCallbacks* callbacks,
                                      VkShaderModule* out) {
    char file[FAKE_KERNEL_NAME_BYTES];
    char path[1024];
    (void)callbacks;
    FV_TRY(fv_enter());
    fv_object_t* owner = fv_object(device, FV_DEVICE);
    if (info->codeSize < 20 || info->codeSize % 4 != 0 || info->pCode[0] != SPIRV_MAGIC) {
        fv_fault("a module that is no SPIR-V");
        return VK_ERROR_UNKNOWN;
    }
    fake_kernel_file_name(info->pCode, info->codeSize, file);
    (void)snprintf(path, sizeof path, "%s/%s", fv.kernels != NULL ? fv.kernels : ".", file);
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fv_fault("a module that nothing can be executed for: %s", dlerror());
        return VK_ERROR_UNKNOWN;
    }
    fv_object_t* module = fv_new(FV_MODULE, owner);
    module->library = library;
    module->bytes = info->codeSize;
    module->code = malloc(info->codeSize);
    if (module->code == NULL) {
        abort();
    }
    memcpy(module->code, info->pCode, info->codeSize);
    *out = (VkShaderModule)module;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateShaderModule);

static void vkDestroyShaderModule_(VkDevice device,
                                   VkShaderModule module,
                                   const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(module, FV_MODULE);
}
FV_FUNCTION(vkDestroyShaderModule);

/* Threads of a workgroup of an entry point; 0: it is not there. */
static uint32_t threads_of(const fv_object_t* module, const char* name) {
    const uint32_t words = (uint32_t)(module->bytes / 4);
    uint32_t id = 0;
    for (uint32_t i = 5; i < words;) {
        const uint32_t* op = module->code + i;
        const uint32_t length = op[0] >> 16;
        const uint32_t code = op[0] & 0xffffu;
        if (length == 0 || i + length > words) {
            return 0;
        }
        if (code == OP_ENTRY_POINT && op[1] == MODEL_COMPUTE &&
            strcmp((const char*)(op + 3), name) == 0) {
            id = op[2];
        }
        if (code == OP_EXECUTION_MODE && op[1] == id && id != 0 && op[2] == MODE_LOCAL_SIZE) {
            return op[4] == 1 && op[5] == 1 ? op[3] : 0;
        }
        i += length;
    }
    return 0;
}

/* ---- Layouts ---- */

static VkResult vkCreateDescriptorSetLayout_(VkDevice device,
                                             const VkDescriptorSetLayoutCreateInfo* info,
                                             const VkAllocationCallbacks* callbacks,
                                             VkDescriptorSetLayout* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    FV_EXPECT(info->bindingCount == LLMIR_GPU_BINDING_COUNT, "the bindings of kernels");
    FV_EXPECT(info->bindingCount <= fv.buffers, "within maxPerStageDescriptorStorageBuffers");
    *out = (VkDescriptorSetLayout)fv_new(FV_SET_LAYOUT, fv_object(device, FV_DEVICE));
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateDescriptorSetLayout);

static void vkDestroyDescriptorSetLayout_(VkDevice device,
                                          VkDescriptorSetLayout layout,
                                          const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(layout, FV_SET_LAYOUT);
}
FV_FUNCTION(vkDestroyDescriptorSetLayout);

static VkResult vkCreatePipelineLayout_(VkDevice device,
                                        const VkPipelineLayoutCreateInfo* info,
                                        const VkAllocationCallbacks* callbacks,
                                        VkPipelineLayout* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    (void)fv_object(info->pSetLayouts[0], FV_SET_LAYOUT);
    FV_EXPECT(info->pushConstantRangeCount == 1 && info->pPushConstantRanges->offset == 0 &&
                  info->pPushConstantRanges->size == LLMIR_GPU_WORD_COUNT * 4u,
              "the words of kernels");
    *out = (VkPipelineLayout)fv_new(FV_PIPELINE_LAYOUT, fv_object(device, FV_DEVICE));
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreatePipelineLayout);

static void vkDestroyPipelineLayout_(VkDevice device,
                                     VkPipelineLayout layout,
                                     const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(layout, FV_PIPELINE_LAYOUT);
}
FV_FUNCTION(vkDestroyPipelineLayout);

/* ---- Pipeline caches: a header, and a hash of each pipeline, all of them hashed ---- */

static uint64_t hash_of(uint64_t hash, const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
        hash = (hash ^ ((const uint8_t*)data)[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static VkPipelineCacheHeaderVersionOne header_of_device(void) {
    VkPipelineCacheHeaderVersionOne header = {
        .headerSize = sizeof header,
        .headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE,
        .vendorID = 0x10de,
        .deviceID = 0x77,
    };
    memset(header.pipelineCacheUUID, 0x5c, VK_UUID_SIZE);
    return header;
}

/* A driver need not survive data that is not its own, so any is a fault of the caller. */
static void take_data(fv_object_t* cache, const void* data, size_t bytes) {
    const VkPipelineCacheHeaderVersionOne header = header_of_device();
    const size_t rest = bytes - sizeof header - 8u;
    uint64_t hash;
    if (bytes < sizeof header + 8u || memcmp(data, &header, sizeof header) != 0 ||
        rest > sizeof cache->hashes) {
        fv_fault("a pipeline cache of another device, or none");
        return;
    }
    memcpy(&hash, (const uint8_t*)data + sizeof header, 8);
    memcpy(cache->hashes, (const uint8_t*)data + sizeof header + 8u, rest);
    cache->hash_count = (uint32_t)(rest / 8u);
    if (hash != hash_of(fv.control.revision, cache->hashes, rest)) {
        fv_fault("a damaged pipeline cache, or one of another driver");
        cache->hash_count = 0;
    }
}

static VkResult vkCreatePipelineCache_(VkDevice device,
                                       const VkPipelineCacheCreateInfo* info,
                                       const VkAllocationCallbacks* callbacks,
                                       VkPipelineCache* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    fv_object_t* cache = fv_new(FV_PIPELINE_CACHE, fv_object(device, FV_DEVICE));
    if (info->initialDataSize != 0) {
        take_data(cache, info->pInitialData, info->initialDataSize);
    }
    *out = (VkPipelineCache)cache;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreatePipelineCache);

static void vkDestroyPipelineCache_(VkDevice device,
                                    VkPipelineCache cache,
                                    const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(cache, FV_PIPELINE_CACHE);
}
FV_FUNCTION(vkDestroyPipelineCache);

static VkResult vkGetPipelineCacheData_(VkDevice device,
                                        VkPipelineCache handle,
                                        size_t* inout_bytes,
                                        void* out) {
    (void)device;
    FV_TRY(fv_enter());
    const fv_object_t* cache = fv_object(handle, FV_PIPELINE_CACHE);
    const VkPipelineCacheHeaderVersionOne header = header_of_device();
    const size_t rest = cache != NULL ? cache->hash_count * 8u : 0;
    const size_t bytes = sizeof header + 8u + rest;
    if (out != NULL && cache != NULL) {
        const uint64_t hash = hash_of(fv.control.revision, cache->hashes, rest);
        FV_EXPECT(*inout_bytes >= bytes, "enough room");
        memcpy(out, &header, sizeof header);
        memcpy((uint8_t*)out + sizeof header, &hash, 8);
        memcpy((uint8_t*)out + sizeof header + 8u, cache->hashes, rest);
    }
    *inout_bytes = bytes;
    return VK_SUCCESS;
}
FV_FUNCTION(vkGetPipelineCacheData);

/* Compiles a pipeline, unless the cache has it. */
static void compile(fv_object_t* cache, const fv_object_t* module, const char* name) {
    const uint64_t hash =
        hash_of(hash_of(fv.control.revision, module->code, module->bytes), name, strlen(name));
    for (uint32_t i = 0; cache != NULL && i < cache->hash_count; ++i) {
        if (cache->hashes[i] == hash) {
            return;
        }
    }
    ++fv.control.compiled;
    if (cache != NULL && cache->hash_count < sizeof cache->hashes / sizeof cache->hashes[0]) {
        cache->hashes[cache->hash_count++] = hash;
    }
}

/* ---- Pipelines ---- */

static VkResult vkCreateComputePipelines_(VkDevice device,
                                          VkPipelineCache cache,
                                          uint32_t count,
                                          const VkComputePipelineCreateInfo* info,
                                          const VkAllocationCallbacks* callbacks,
                                          VkPipeline* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    const fv_object_t* module = fv_object(info->stage.module, FV_MODULE);
    (void)fv_object(info->layout, FV_PIPELINE_LAYOUT);
    FV_EXPECT(count == 1 && info->stage.stage == VK_SHADER_STAGE_COMPUTE_BIT, "one pipeline");
    const uint32_t threads = module != NULL ? threads_of(module, info->stage.pName) : 0;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo* size = info->stage.pNext;
    if (size != NULL) {
        FV_EXPECT(
            fv.matrix >= 0 && size->requiredSubgroupSize >= 8 && size->requiredSubgroupSize <= 64,
            "a size of subgroups that the device has");
        FV_EXPECT(info->stage.flags == 0 || threads % size->requiredSubgroupSize == 0,
                  "full subgroups");
    }
    void* function = threads != 0 ? dlsym(module->library, info->stage.pName) : NULL;
    if (function == NULL) {
        fv_fault("an entry point %s", info->stage.pName);
        return VK_ERROR_UNKNOWN;
    }
    compile(cache != VK_NULL_HANDLE ? fv_object(cache, FV_PIPELINE_CACHE) : NULL, module,
            info->stage.pName);
    fv_object_t* pipeline = fv_new(FV_PIPELINE, fv_object(device, FV_DEVICE));
    *(void**)&pipeline->run = function;
    pipeline->threads = threads;
    *out = (VkPipeline)pipeline;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateComputePipelines);

static void vkDestroyPipeline_(VkDevice device,
                               VkPipeline pipeline,
                               const VkAllocationCallbacks* callbacks) {
    (void)device, (void)callbacks;
    fv_end(pipeline, FV_PIPELINE);
}
FV_FUNCTION(vkDestroyPipeline);
