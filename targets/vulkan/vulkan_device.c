/* Choosing a Vulkan device and opening it. */
#include "targets/vulkan/vulkan_device.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/blake2b.h"

#define MAX_PHYSICAL_DEVICES 16u
#define MAX_QUEUE_FAMILIES 32u

extern const llmir_target_t llmir_target_vulkan;

/* ---- The instance ---- */

static llmir_status_t open_instance(llmir_vulkan_device_t* device, llmir_error_t* error) {
    LLMIR_TRY(llmir_vulkan_api_open(&device->api, error));
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pEngineName = "llmir",
        .apiVersion = VK_API_VERSION_1_1,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
    };
    const VkResult result = device->api.vkCreateInstance(&info, NULL, &device->instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER || result == VK_ERROR_INITIALIZATION_FAILED) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "vulkan: the loader finds no driver of Vulkan 1.1 (VkResult %d)",
                          (int)result);
    }
    LLMIR_VULKAN_TRY(result, "creating an instance");
    return llmir_vulkan_api_instance(&device->api, device->instance, error);
}

/* ---- Choosing ---- */

/* Higher is better; 0: not a device for us. */
static uint32_t rank_of(const VkPhysicalDeviceProperties* properties,
                        const llmir_device_options_t* options) {
    if (properties->apiVersion < VK_API_VERSION_1_1) {
        return 0;
    }
    if (options->device_name != NULL &&
        strstr(properties->deviceName, options->device_name) == NULL) {
        return 0;
    }
    switch (properties->deviceType) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return 5;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return 4;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return 3;
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return options->no_software ? 0 : 1;
        default:
            return 2;
    }
}

static llmir_status_t choose_physical(llmir_vulkan_device_t* device,
                                      const llmir_device_options_t* options,
                                      llmir_error_t* error) {
    VkPhysicalDevice devices[MAX_PHYSICAL_DEVICES];
    uint32_t count = MAX_PHYSICAL_DEVICES;
    const VkResult result =
        device->api.vkEnumeratePhysicalDevices(device->instance, &count, devices);
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        return llmir_vulkan_fail(error, result, "listing devices");
    }
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; ++i) {
        VkPhysicalDeviceProperties2 properties = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
        device->api.vkGetPhysicalDeviceProperties2(devices[i], &properties);
        const uint32_t rank = rank_of(&properties.properties, options);
        if (rank > best) {
            best = rank;
            device->physical = devices[i];
            device->properties = properties.properties;
        }
    }
    if (best == 0) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "vulkan: none of %" PRIu32 " devices fits (Vulkan 1.1%s%s%s)", count,
                          options->no_software ? ", no software device" : "",
                          options->device_name != NULL ? ", name " : "",
                          options->device_name != NULL ? options->device_name : "");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_limits(const llmir_vulkan_device_t* device, llmir_error_t* error) {
    const VkPhysicalDeviceLimits* limits = &device->properties.limits;
    const struct {
        const char* name;
        uint32_t found, wanted;
    } needs[] = {
        {"maxPerStageDescriptorStorageBuffers", limits->maxPerStageDescriptorStorageBuffers,
         LLMIR_GPU_BINDING_COUNT},
        {"maxPushConstantsSize", limits->maxPushConstantsSize, LLMIR_GPU_WORD_COUNT * 4u},
        {"maxComputeWorkGroupInvocations", limits->maxComputeWorkGroupInvocations, 128},
        {"maxComputeSharedMemorySize", limits->maxComputeSharedMemorySize, 16384},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; ++i) {
        if (needs[i].found < needs[i].wanted) {
            return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                              "vulkan: device '%s': %s is %" PRIu32 ", expected at least %" PRIu32,
                              device->properties.deviceName, needs[i].name, needs[i].found,
                              needs[i].wanted);
        }
    }
    return LLMIR_STATUS_OK;
}

/* A family that computes, if possible without graphics, which then do not wait for us. */
static llmir_status_t choose_queue(llmir_vulkan_device_t* device, llmir_error_t* error) {
    VkQueueFamilyProperties families[MAX_QUEUE_FAMILIES];
    uint32_t count = MAX_QUEUE_FAMILIES;
    device->api.vkGetPhysicalDeviceQueueFamilyProperties(device->physical, &count, families);
    device->queue_family = UINT32_MAX;
    for (uint32_t i = 0; i < count; ++i) {
        const VkQueueFlags flags = families[i].queueFlags;
        if ((flags & VK_QUEUE_COMPUTE_BIT) != 0 && families[i].queueCount > 0 &&
            (device->queue_family == UINT32_MAX || (flags & VK_QUEUE_GRAPHICS_BIT) == 0)) {
            device->queue_family = i;
        }
    }
    return device->queue_family != UINT32_MAX
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                            "vulkan: device '%s' has no queue that computes",
                            device->properties.deviceName);
}

/* ---- The device ---- */

static const char* const level_extensions[] = {
    VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME,
    VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
};
#define LEVEL_EXTENSION_COUNT 2u

/* Whether it has those of the level, those of matrices, and VK_EXT_memory_budget. */
static llmir_status_t find_extensions(llmir_vulkan_device_t* device,
                                      int* out_has_level,
                                      llmir_vulkan_matrix_query_t* matrices,
                                      llmir_error_t* error) {
    uint32_t count = 0;
    uint32_t found = 0;
    void* block = NULL;
    *out_has_level = 0;
    LLMIR_VULKAN_TRY(
        device->api.vkEnumerateDeviceExtensionProperties(device->physical, NULL, &count, NULL),
        "counting extensions");
    const size_t bytes = (size_t)count * sizeof(VkExtensionProperties);
    if (count == 0) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(llmir_allocate(&device->allocator, bytes, 8, "vulkan extensions", &block, error));
    VkExtensionProperties* extensions = block;
    const VkResult result = device->api.vkEnumerateDeviceExtensionProperties(device->physical, NULL,
                                                                             &count, extensions);
    for (uint32_t i = 0; result >= 0 && i < count; ++i) {
        for (uint32_t k = 0; k < LEVEL_EXTENSION_COUNT; ++k) {
            found += strcmp(extensions[i].extensionName, level_extensions[k]) == 0;
        }
        device->has_budget |=
            strcmp(extensions[i].extensionName, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) == 0;
        llmir_vulkan_matrix_note(matrices, extensions[i].extensionName);
    }
    llmir_free(&device->allocator, block, bytes, 8);
    *out_has_level = found == LEVEL_EXTENSION_COUNT;
    return result >= 0 ? LLMIR_STATUS_OK : llmir_vulkan_fail(error, result, "listing extensions");
}

/* The features that kernels use, as a chain that begins with `all`. */
typedef struct device_features {
    VkPhysicalDeviceFeatures2 all;
    VkPhysicalDeviceShaderFloat16Int8Features halves;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    llmir_vulkan_matrix_query_t matrices;
    int has_level; /* beyond Vulkan 1.1 */
} device_features_t;

/* Finds out the device's level, and leaves nothing among the features but what its kernels use. */
static llmir_status_t choose_level(llmir_vulkan_device_t* device,
                                   device_features_t* features,
                                   llmir_error_t* error) {
    int has_extensions = 0;
    memset(features, 0, sizeof *features);
    features->dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    features->halves.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    features->halves.pNext = &features->dot;
    features->all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    LLMIR_TRY(find_extensions(device, &has_extensions, &features->matrices, error));
    if (has_extensions) {
        features->all.pNext = &features->halves;
        features->dot.pNext = llmir_vulkan_matrix_chain(&features->matrices);
    }
    device->api.vkGetPhysicalDeviceFeatures2(device->physical, &features->all);
    features->has_level = has_extensions && features->dot.shaderIntegerDotProduct &&
                          features->halves.shaderFloat16 && features->all.features.shaderInt16;
    const int is_software = device->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    device->level = !features->has_level ? LLMIR_VULKAN_LEVEL_BASE
                    : is_software        ? LLMIR_VULKAN_LEVEL_SOFTWARE
                                         : LLMIR_VULKAN_LEVEL_DOT;
    if (features->has_level && features->halves.shaderInt8 && features->dot.pNext != NULL) {
        LLMIR_TRY(llmir_vulkan_matrix_choose(device, &features->matrices, error));
    }
    memset(&features->all.features, 0, sizeof features->all.features);
    features->all.features.shaderInt16 = (VkBool32)features->has_level;
    features->halves.shaderInt8 = device->matrix.level != 0;
    if (device->matrix.level == 0) {
        features->dot.pNext = NULL;
    }
    return LLMIR_STATUS_OK;
}

#define EXTENSIONS_MAX (LEVEL_EXTENSION_COUNT + LLMIR_VULKAN_MATRIX_EXTENSION_COUNT + 1u)

static uint32_t list_extensions(const llmir_vulkan_device_t* device,
                                int has_level,
                                const char* out_names[EXTENSIONS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; has_level && i < LEVEL_EXTENSION_COUNT; ++i) {
        out_names[count++] = level_extensions[i];
    }
    for (uint32_t i = 0; device->matrix.level != 0 && i < LLMIR_VULKAN_MATRIX_EXTENSION_COUNT;
         ++i) {
        out_names[count++] = llmir_vulkan_matrix_extensions[i];
    }
    if (device->has_budget) {
        out_names[count++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    }
    return count;
}

static llmir_status_t create_logical(llmir_vulkan_device_t* device, llmir_error_t* error) {
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = device->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    device_features_t features;
    const char* extensions[EXTENSIONS_MAX];
    LLMIR_TRY(choose_level(device, &features, error));
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = features.has_level ? &features.all : NULL,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = list_extensions(device, features.has_level, extensions),
        .ppEnabledExtensionNames = extensions,
    };
    LLMIR_VULKAN_TRY(device->api.vkCreateDevice(device->physical, &info, NULL, &device->device),
                     "opening the device");
    LLMIR_TRY(llmir_vulkan_api_device(&device->api, device->device, error));
    device->api.vkGetDeviceQueue(device->device, device->queue_family, 0, &device->queue);
    return LLMIR_STATUS_OK;
}

static llmir_status_t create_frames(llmir_vulkan_device_t* device, llmir_error_t* error) {
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = device->queue_family,
    };
    LLMIR_VULKAN_TRY(
        device->api.vkCreateCommandPool(device->device, &pool, NULL, &device->command_pool),
        "creating a command pool");
    const VkCommandBufferAllocateInfo buffer = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = device->command_pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    for (uint32_t i = 0; i < LLMIR_VULKAN_FRAMES; ++i) {
        LLMIR_VULKAN_TRY(device->api.vkAllocateCommandBuffers(device->device, &buffer,
                                                              &device->frames[i].commands),
                         "creating a command buffer");
        LLMIR_VULKAN_TRY(
            device->api.vkCreateFence(device->device, &fence, NULL, &device->frames[i].fence),
            "creating a fence");
    }
    return LLMIR_STATUS_OK;
}

/* A hash of what says which device and driver this is. */
static void identify(llmir_vulkan_device_t* device) {
    const VkPhysicalDeviceProperties* properties = &device->properties;
    const uint32_t numbers[] = {properties->vendorID, properties->deviceID,
                                properties->driverVersion, properties->apiVersion};
    llmir_blake2b_t hash;
    llmir_blake2b_init(&hash);
    llmir_blake2b_update(&hash, numbers, sizeof numbers);
    llmir_blake2b_update(&hash, properties->pipelineCacheUUID, VK_UUID_SIZE);
    llmir_blake2b_update(&hash, properties->deviceName, strlen(properties->deviceName));
    llmir_blake2b_final(&hash, device->identity);
}

/* What follows from the kind of device and its memory. */
static void describe(llmir_vulkan_device_t* device) {
    const VkPhysicalDeviceLimits* limits = &device->properties.limits;
    const VkPhysicalDeviceType type = device->properties.deviceType;
    VkPhysicalDeviceMaintenance3Properties maintenance = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &maintenance};
    device->api.vkGetPhysicalDeviceProperties2(device->physical, &properties);
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    device->api.vkGetPhysicalDeviceMemoryProperties2(device->physical, &memory);
    device->memory_properties = memory.memoryProperties;
    device->is_unified =
        type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    device->limits.binding_bytes = limits->maxStorageBufferRange;
    device->limits.chunk_bytes = maintenance.maxMemoryAllocationSize;
    (void)snprintf(device->name, sizeof device->name, "vulkan: %s", device->properties.deviceName);
    identify(device);
}

static llmir_status_t device_init(llmir_vulkan_device_t* device,
                                  const llmir_device_options_t* options,
                                  llmir_error_t* error) {
    LLMIR_TRY(open_instance(device, error));
    LLMIR_TRY(choose_physical(device, options, error));
    LLMIR_TRY(check_limits(device, error));
    LLMIR_TRY(choose_queue(device, error));
    describe(device);
    LLMIR_TRY(create_logical(device, error));
    LLMIR_TRY(llmir_mutex_init(&device->mutex, error));
    device->has_mutex = 1;
    LLMIR_TRY(create_frames(device, error));
    return device->is_unified ? LLMIR_STATUS_OK
                              : llmir_vulkan_memory_create(device, LLMIR_VULKAN_STAGING_BYTES, 1,
                                                           &device->staging, error);
}

llmir_status_t llmir_vulkan_probe(const llmir_device_options_t* options, llmir_error_t* error) {
    llmir_vulkan_device_t device;
    memset(&device, 0, sizeof device);
    llmir_status_t status = open_instance(&device, error);
    if (status == LLMIR_STATUS_OK) {
        status = choose_physical(&device, options, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = check_limits(&device, error);
    }
    if (device.instance != VK_NULL_HANDLE && device.api.vkDestroyInstance != NULL) {
        device.api.vkDestroyInstance(device.instance, NULL);
    }
    llmir_vulkan_api_close(&device.api);
    return status;
}

llmir_status_t llmir_vulkan_device_create(const llmir_device_options_t* options,
                                          llmir_device_t** out_device,
                                          llmir_error_t* error) {
    const llmir_allocator_t allocator = llmir_allocator_or_default(options->allocator);
    void* block = NULL;
    *out_device = NULL;
    LLMIR_TRY(llmir_allocate(&allocator, sizeof(llmir_vulkan_device_t), 16, "vulkan device", &block,
                             error));
    llmir_vulkan_device_t* device = block;
    device->base.target = &llmir_target_vulkan;
    device->allocator = allocator;
    device->cache = options->cache;
    const llmir_status_t status = device_init(device, options, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_vulkan_device_destroy(&device->base);
        return status;
    }
    *out_device = &device->base;
    return LLMIR_STATUS_OK;
}

void llmir_vulkan_device_destroy(llmir_device_t* base) {
    llmir_vulkan_device_t* device = (llmir_vulkan_device_t*)base;
    if (device == NULL) {
        return;
    }
    const llmir_vulkan_api_t* api = &device->api;
    if (device->device != VK_NULL_HANDLE && api->vkWaitForFences != NULL) {
        (void)api->vkDeviceWaitIdle(device->device);
        llmir_vulkan_memory_destroy(device, &device->staging);
        for (uint32_t i = 0; i < LLMIR_VULKAN_FRAMES; ++i) {
            api->vkDestroyFence(device->device, device->frames[i].fence, NULL);
        }
        api->vkDestroyCommandPool(device->device, device->command_pool, NULL);
        api->vkDestroyDevice(device->device, NULL);
    }
    if (device->instance != VK_NULL_HANDLE && api->vkDestroyInstance != NULL) {
        api->vkDestroyInstance(device->instance, NULL);
    }
    if (device->has_mutex) {
        llmir_mutex_deinit(&device->mutex);
    }
    llmir_vulkan_api_close(&device->api);
    const llmir_allocator_t allocator = device->allocator;
    llmir_free(&allocator, device, sizeof *device, 16);
}

/* What the process may still allocate of the largest heap that is the device's own: its budget
 * without what it uses, or all of the heap where the driver does not tell. */
static uint64_t free_bytes(const llmir_vulkan_device_t* device) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = device->has_budget ? &budget : NULL};
    uint64_t largest = 0;
    uint64_t bytes = 0;
    device->api.vkGetPhysicalDeviceMemoryProperties2(device->physical, &memory);
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
        const VkMemoryHeap* heap = &memory.memoryProperties.memoryHeaps[i];
        if ((heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0 && heap->size > largest) {
            largest = bytes = heap->size;
            if (device->has_budget) {
                const uint64_t budgeted = budget.heapBudget[i];
                const uint64_t used = budget.heapUsage[i];
                bytes = budgeted > used ? budgeted - used : 1u;
            }
        }
    }
    return bytes;
}

void llmir_vulkan_device_caps(const llmir_device_t* base, llmir_device_caps_t* out_caps) {
    const llmir_vulkan_device_t* device = (const llmir_vulkan_device_t*)base;
    *out_caps = (llmir_device_caps_t){
        .name = device->name,
        .section_target = LLMIR_SECTION_TARGET_VULKAN,
        .level = device->level,
        .own_level = device->matrix.level,
        .thread_count = 1,
        .kv_types = UINT32_MAX,
        .copies_batch = 1,
        .buffer_bytes = device->limits.chunk_bytes,
        .binding_bytes = device->limits.binding_bytes,
        .memory_bytes = free_bytes(device),
    };
    memcpy(out_caps->identity, device->identity, sizeof out_caps->identity);
}
