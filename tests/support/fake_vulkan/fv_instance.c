/* Instances and devices of the stand-in for Vulkan. */
#include <stdio.h>
#include <string.h>

#include "targets/vulkan/vulkan_matrix.h"
#include "tests/support/fake_vulkan/fake_vulkan.h"

#define HOST_BYTES (UINT64_C(8) << 30) /* the heap of the host, where a device has its own */

/* ---- Instances ---- */

static VkResult vkCreateInstance_(const VkInstanceCreateInfo* info,
                                  const VkAllocationCallbacks* callbacks,
                                  VkInstance* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    FV_EXPECT(info->sType == VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, "the struct");
    FV_EXPECT(info->pApplicationInfo->apiVersion == VK_API_VERSION_1_1, "Vulkan 1.1");
    fv_object_t* instance = fv_new(FV_INSTANCE, NULL);
    for (uint32_t i = 0; i < fv.devices; ++i) {
        fv_new(FV_PHYSICAL, instance)->number = i;
    }
    fv.is_lost = 0;
    fv.dirty = 0;
    *out = (VkInstance)instance;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateInstance);

static void vkDestroyInstance_(VkInstance instance, const VkAllocationCallbacks* callbacks) {
    (void)callbacks;
    fv_end(instance, FV_INSTANCE);
    fv_forget();
}
FV_FUNCTION(vkDestroyInstance);

static VkResult vkEnumeratePhysicalDevices_(VkInstance instance,
                                            uint32_t* inout_count,
                                            VkPhysicalDevice* out) {
    FV_TRY(fv_enter());
    const uint32_t room = *inout_count;
    *inout_count = 0;
    for (fv_object_t* object = fv.objects; object != NULL; object = object->next) {
        if (object->kind == FV_PHYSICAL && object->is_live &&
            object->owner == (fv_object_t*)instance && *inout_count < room) {
            out[(*inout_count)++] = (VkPhysicalDevice)object;
        }
    }
    return VK_SUCCESS;
}
FV_FUNCTION(vkEnumeratePhysicalDevices);

/* ---- Physical devices ---- */

static const char* const extensions[] = {
    VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
    VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME,
    VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
    VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME,
    VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
    "VK_KHR_cooperative_matrix",
};

static uint32_t extension_count(void) {
    return !fv.has_level ? 1u : fv.matrix < 0 ? 3u : 6u;
}

static VkResult vkEnumerateDeviceExtensionProperties_(VkPhysicalDevice physical,
                                                      const char* layer,
                                                      uint32_t* inout_count,
                                                      VkExtensionProperties* out) {
    (void)layer;
    FV_TRY(fv_enter());
    (void)fv_object(physical, FV_PHYSICAL);
    const uint32_t there = extension_count();
    if (out == NULL) {
        *inout_count = there;
        return VK_SUCCESS;
    }
    for (uint32_t i = 0; i < there && i < *inout_count; ++i) {
        memset(&out[i], 0, sizeof out[i]);
        (void)snprintf(out[i].extensionName, sizeof out[i].extensionName, "%s", extensions[i]);
    }
    return VK_SUCCESS;
}
FV_FUNCTION(vkEnumerateDeviceExtensionProperties);

static void fill_matrix_features(VkBaseOutStructure* s) {
    if (s->sType == LLMIR_VK_MATRIX_FEATURES) {
        ((llmir_vk_matrix_features_t*)(void*)s)->cooperativeMatrix = VK_TRUE;
    } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES) {
        VkPhysicalDeviceVulkanMemoryModelFeatures* memory = (void*)s;
        memory->vulkanMemoryModel = memory->vulkanMemoryModelDeviceScope = VK_TRUE;
    } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES) {
        VkPhysicalDeviceSubgroupSizeControlFeatures* sizes = (void*)s;
        sizes->subgroupSizeControl = sizes->computeFullSubgroups = VK_TRUE;
    }
}

static void vkGetPhysicalDeviceFeatures2_(VkPhysicalDevice physical,
                                          VkPhysicalDeviceFeatures2* out) {
    (void)fv_object(physical, FV_PHYSICAL);
    memset(&out->features, 0, sizeof out->features);
    out->features.shaderInt16 = VK_TRUE;
    for (VkBaseOutStructure* s = out->pNext; s != NULL; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES) {
            ((VkPhysicalDeviceShaderIntegerDotProductFeatures*)(void*)s)->shaderIntegerDotProduct =
                VK_TRUE;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES) {
            ((VkPhysicalDeviceShaderFloat16Int8Features*)(void*)s)->shaderFloat16 = VK_TRUE;
            ((VkPhysicalDeviceShaderFloat16Int8Features*)(void*)s)->shaderInt8 = VK_TRUE;
        } else if (fv.matrix >= 0) {
            fill_matrix_features(s);
        }
    }
}
FV_FUNCTION(vkGetPhysicalDeviceFeatures2);

/* ---- Cooperative matrices ---- */

static const uint32_t shapes[][4] = {
#define SHAPE(number, rows, tokens, columns, threads) {rows, tokens, columns, threads},
    LLMIR_VULKAN_MATRICES(SHAPE)
#undef SHAPE
};

/* Two combinations that are of no use, and the shape that the stand-in is asked to have. */
static VkResult VKAPI_PTR list_matrices(VkPhysicalDevice physical,
                                        uint32_t* inout_count,
                                        llmir_vk_matrix_properties_t* out) {
    FV_TRY(fv_enter());
    (void)fv_object(physical, FV_PHYSICAL);
    FV_EXPECT(fv.matrix >= 0, "listed by the device");
    const uint32_t there = 3;
    if (out == NULL) {
        *inout_count = there;
        return VK_SUCCESS;
    }
    FV_EXPECT(*inout_count == there, "room for all of them");
    for (uint32_t i = 0; i < there; ++i) {
        const uint32_t* shape = shapes[fv.matrix];
        FV_EXPECT(out[i].sType == LLMIR_VK_MATRIX_PROPERTIES, "the struct");
        out[i].MSize = shape[0];
        out[i].NSize = shape[1];
        out[i].KSize = shape[2];
        out[i].AType = out[i].BType = LLMIR_VK_COMPONENT_SINT8;
        out[i].CType = out[i].ResultType = LLMIR_VK_COMPONENT_SINT32;
        out[i].saturatingAccumulation = i == 0;
        out[i].scope = i == 1 ? 2 /* workgroup */ : LLMIR_VK_SCOPE_SUBGROUP;
    }
    return VK_SUCCESS;
}

static void vkGetPhysicalDeviceProperties2_(VkPhysicalDevice physical,
                                            VkPhysicalDeviceProperties2* out) {
    const fv_object_t* object = fv_object(physical, FV_PHYSICAL);
    VkPhysicalDeviceProperties* p = &out->properties;
    memset(p, 0, sizeof *p);
    p->apiVersion = fv.api_version;
    p->driverVersion = fv.control.revision;
    p->vendorID = 0x10de;
    p->deviceID = 0x77;
    p->deviceType = fv.is_unified ? VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU
                                  : VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    (void)snprintf(p->deviceName, sizeof p->deviceName, "Stand-in %u",
                   object != NULL ? object->number : 0u);
    memset(p->pipelineCacheUUID, 0x5c, VK_UUID_SIZE);
    p->limits.maxStorageBufferRange = (uint32_t)fv.range;
    p->limits.maxPerStageDescriptorStorageBuffers = fv.buffers;
    p->limits.maxPushConstantsSize = 128;
    p->limits.maxComputeWorkGroupInvocations = 1024;
    p->limits.maxComputeSharedMemorySize = 32768;
    p->limits.maxComputeWorkGroupCount[0] = p->limits.maxComputeWorkGroupCount[1] = 65535;
    for (VkBaseOutStructure* s = out->pNext; s != NULL; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES) {
            ((VkPhysicalDeviceMaintenance3Properties*)(void*)s)->maxMemoryAllocationSize =
                fv.memory_bytes;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES) {
            VkPhysicalDeviceSubgroupSizeControlProperties* sizes = (void*)s;
            sizes->minSubgroupSize = 8;
            sizes->maxSubgroupSize = 64;
            sizes->requiredSubgroupSizeStages = VK_SHADER_STAGE_COMPUTE_BIT;
        }
    }
}
FV_FUNCTION(vkGetPhysicalDeviceProperties2);

static void vkGetPhysicalDeviceMemoryProperties2_(VkPhysicalDevice physical,
                                                  VkPhysicalDeviceMemoryProperties2* out2) {
    VkPhysicalDeviceMemoryProperties* out = &out2->memoryProperties;
    const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                       VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    (void)fv_object(physical, FV_PHYSICAL);
    memset(out, 0, sizeof *out);
    out->memoryTypeCount = 2;
    out->memoryTypes[0].propertyFlags =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | (fv.is_unified ? host : 0u);
    out->memoryTypes[1].propertyFlags = host;
    out->memoryTypes[1].heapIndex = fv.is_unified ? 0 : 1;
    out->memoryHeapCount = fv.is_unified ? 1 : 2;
    out->memoryHeaps[0].size = fv.memory_bytes;
    out->memoryHeaps[0].flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
    out->memoryHeaps[1].size = fv.is_unified ? 0 : HOST_BYTES;
    for (VkBaseOutStructure* s = out2->pNext; s != NULL; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) {
            VkPhysicalDeviceMemoryBudgetPropertiesEXT* budget = (void*)s;
            budget->heapBudget[0] = fv.memory_bytes - fv.others_bytes;
            budget->heapUsage[0] = fv.device_bytes;
            budget->heapBudget[1] = out->memoryHeaps[1].size;
            budget->heapUsage[1] = fv.control.live_bytes - fv.device_bytes;
        }
    }
}
FV_FUNCTION(vkGetPhysicalDeviceMemoryProperties2);

static void vkGetPhysicalDeviceQueueFamilyProperties_(VkPhysicalDevice physical,
                                                      uint32_t* inout_count,
                                                      VkQueueFamilyProperties* out) {
    (void)fv_object(physical, FV_PHYSICAL);
    memset(out, 0, 2 * sizeof *out);
    out[0].queueFlags = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
    out[1].queueFlags = VK_QUEUE_COMPUTE_BIT;
    out[0].queueCount = out[1].queueCount = 1;
    *inout_count = 2;
}
FV_FUNCTION(vkGetPhysicalDeviceQueueFamilyProperties);

/* ---- Devices ---- */

static VkResult vkCreateDevice_(VkPhysicalDevice physical,
                                const VkDeviceCreateInfo* info,
                                const VkAllocationCallbacks* callbacks,
                                VkDevice* out) {
    (void)callbacks;
    FV_TRY(fv_enter());
    fv_object_t* object = fv_object(physical, FV_PHYSICAL);
    FV_EXPECT(info->sType == VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, "the struct");
    FV_EXPECT(info->queueCreateInfoCount == 1, "one queue");
    FV_EXPECT(info->pQueueCreateInfos->queueFamilyIndex == 1, "the family without graphics");
    FV_EXPECT(info->enabledExtensionCount == extension_count(), "the extensions");
    fv_object_t* device = fv_new(FV_DEVICE, object != NULL ? object->owner : NULL);
    (void)fv_new(FV_QUEUE, device);
    *out = (VkDevice)device;
    return VK_SUCCESS;
}
FV_FUNCTION(vkCreateDevice);

static void vkDestroyDevice_(VkDevice device, const VkAllocationCallbacks* callbacks) {
    (void)callbacks;
    if (fv.first != NULL) {
        fv_fault("a device is destroyed before what was submitted is done");
        (void)fv_run(NULL);
    }
    fv_end(device, FV_DEVICE);
}
FV_FUNCTION(vkDestroyDevice);

static void vkGetDeviceQueue_(VkDevice device, uint32_t family, uint32_t index, VkQueue* out) {
    FV_EXPECT(family == 1 && index == 0, "the queue that was made");
    *out = VK_NULL_HANDLE;
    for (fv_object_t* object = fv.objects; object != NULL; object = object->next) {
        if (object->kind == FV_QUEUE && object->owner == (fv_object_t*)device) {
            *out = (VkQueue)object;
        }
    }
}
FV_FUNCTION(vkGetDeviceQueue);

static VkResult vkDeviceWaitIdle_(VkDevice device) {
    const VkResult result = fv_enter();
    (void)fv_object(device, FV_DEVICE);
    const VkResult done = fv_run(NULL); /* it goes on, whoever hears of it */
    return result != VK_SUCCESS ? result : done;
}
FV_FUNCTION(vkDeviceWaitIdle);

/* ---- Functions ---- */

/* The functions of one kind by their names, 0: without an instance, 1: with one, 2: of a device. */
static PFN_vkVoidFunction find(const char* name, int kind) {
#define LLMIR_VULKAN_GLOBAL(function)                \
    if (kind == 0 && strcmp(name, #function) == 0) { \
        return (PFN_vkVoidFunction)fv_##function;    \
    }
#define LLMIR_VULKAN_INSTANCE(function)              \
    if (kind == 1 && strcmp(name, #function) == 0) { \
        return (PFN_vkVoidFunction)fv_##function;    \
    }
#define LLMIR_VULKAN_DEVICE(function)                \
    if (kind == 2 && strcmp(name, #function) == 0) { \
        return (PFN_vkVoidFunction)fv_##function;    \
    }
#include "targets/vulkan/vulkan_symbols.inc"
#undef LLMIR_VULKAN_GLOBAL
#undef LLMIR_VULKAN_INSTANCE
#undef LLMIR_VULKAN_DEVICE
    fv_fault("a function %s", name);
    return NULL;
}

static PFN_vkVoidFunction vkGetDeviceProcAddr_(VkDevice device, const char* name) {
    (void)fv_object(device, FV_DEVICE);
    return find(name, 2);
}
FV_FUNCTION(vkGetDeviceProcAddr);

__attribute__((visibility("default"))) PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance,
                                                                                const char* name);
PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance, const char* name) {
    if (instance != VK_NULL_HANDLE) {
        (void)fv_object(instance, FV_INSTANCE);
        if (strcmp(name, LLMIR_VK_MATRIX_FUNCTION) == 0) {
            return (PFN_vkVoidFunction)list_matrices;
        }
    }
    return find(name, instance != VK_NULL_HANDLE);
}
