/* Cooperative matrices of a device. */
#include "targets/vulkan/vulkan_matrix.h"

#include <string.h>

#include "targets/vulkan/vulkan_device.h"

const char* const llmir_vulkan_matrix_extensions[LLMIR_VULKAN_MATRIX_EXTENSION_COUNT] = {
    "VK_KHR_cooperative_matrix",
    VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME,
    VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
};

typedef struct matrix_shape {
    uint32_t level, rows, tokens, columns, threads;
    const char* name;
} matrix_shape_t;

static const matrix_shape_t shapes[] = {
#define SHAPE(number, rows, tokens, columns, threads) \
    {LLMIR_VULKAN_LEVEL_MATRIX(number),               \
     rows,                                            \
     tokens,                                          \
     columns,                                         \
     threads,                                         \
     " with matrices " #rows "x" #tokens "x" #columns},
    LLMIR_VULKAN_MATRICES(SHAPE)
#undef SHAPE
};

void llmir_vulkan_matrix_note(llmir_vulkan_matrix_query_t* query, const char* extension) {
    for (uint32_t i = 0; i < LLMIR_VULKAN_MATRIX_EXTENSION_COUNT; ++i) {
        query->listed[i] |= strcmp(extension, llmir_vulkan_matrix_extensions[i]) == 0;
    }
}

void* llmir_vulkan_matrix_chain(llmir_vulkan_matrix_query_t* query) {
    for (uint32_t i = 0; i < LLMIR_VULKAN_MATRIX_EXTENSION_COUNT; ++i) {
        if (!query->listed[i]) {
            return NULL;
        }
    }
    query->sizes = (VkPhysicalDeviceSubgroupSizeControlFeatures){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    query->memory = (VkPhysicalDeviceVulkanMemoryModelFeatures){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
        .pNext = &query->sizes};
    query->matrices =
        (llmir_vk_matrix_features_t){.sType = LLMIR_VK_MATRIX_FEATURES, .pNext = &query->memory};
    return &query->matrices;
}

/* Whether what a device lists is a shape of ours, with sums as exact as they must be. */
static int is_shape(const matrix_shape_t* shape, const llmir_vk_matrix_properties_t* p) {
    return p->MSize == shape->rows && p->NSize == shape->tokens && p->KSize == shape->columns &&
           p->AType == LLMIR_VK_COMPONENT_SINT8 && p->BType == LLMIR_VK_COMPONENT_SINT8 &&
           p->CType == LLMIR_VK_COMPONENT_SINT32 && p->ResultType == LLMIR_VK_COMPONENT_SINT32 &&
           !p->saturatingAccumulation && p->scope == LLMIR_VK_SCOPE_SUBGROUP;
}

/* The first one listed, which the device likes best, whose subgroups it can have. */
static void choose_shape(const VkPhysicalDeviceSubgroupSizeControlProperties* sizes,
                         const llmir_vk_matrix_properties_t* listed,
                         uint32_t count,
                         llmir_vulkan_matrix_t* out_matrix) {
    for (uint32_t i = 0; i < count && out_matrix->level == 0; ++i) {
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; ++k) {
            if (is_shape(&shapes[k], &listed[i]) && shapes[k].threads >= sizes->minSubgroupSize &&
                shapes[k].threads <= sizes->maxSubgroupSize) {
                out_matrix->level = shapes[k].level;
                out_matrix->name = shapes[k].name;
                out_matrix->threads = shapes[k].threads;
            }
        }
    }
}

static llmir_status_t list_shapes(llmir_vulkan_device_t* device,
                                  llmir_vk_matrix_fn list,
                                  const VkPhysicalDeviceSubgroupSizeControlProperties* sizes,
                                  llmir_error_t* error) {
    uint32_t count = 0;
    void* block = NULL;
    LLMIR_VULKAN_TRY(list(device->physical, &count, NULL), "counting cooperative matrices");
    const size_t bytes = (size_t)count * sizeof(llmir_vk_matrix_properties_t);
    if (count == 0) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(
        llmir_allocate(&device->allocator, bytes, 8, "vulkan cooperative matrices", &block, error));
    llmir_vk_matrix_properties_t* listed = block;
    memset(listed, 0, bytes);
    for (uint32_t i = 0; i < count; ++i) {
        listed[i].sType = LLMIR_VK_MATRIX_PROPERTIES;
    }
    const VkResult result = list(device->physical, &count, listed);
    if (result >= 0) {
        choose_shape(sizes, listed, count, &device->matrix);
    }
    llmir_free(&device->allocator, block, bytes, 8);
    return result >= 0 ? LLMIR_STATUS_OK
                       : llmir_vulkan_fail(error, result, "listing cooperative matrices");
}

llmir_status_t llmir_vulkan_matrix_choose(llmir_vulkan_device_t* device,
                                          llmir_vulkan_matrix_query_t* query,
                                          llmir_error_t* error) {
    const llmir_vulkan_api_t* api = &device->api;
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &sizes};
    const llmir_vk_matrix_fn list =
        (llmir_vk_matrix_fn)api->vkGetInstanceProcAddr(device->instance, LLMIR_VK_MATRIX_FUNCTION);
    /* With the memory model on, code without matrices needs the scope for its atomic operations. */
    if (!query->matrices.cooperativeMatrix || !query->memory.vulkanMemoryModel ||
        !query->memory.vulkanMemoryModelDeviceScope || !query->sizes.subgroupSizeControl ||
        list == NULL) {
        return LLMIR_STATUS_OK;
    }
    api->vkGetPhysicalDeviceProperties2(device->physical, &properties);
    if ((sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0) {
        return LLMIR_STATUS_OK;
    }
    LLMIR_TRY(list_shapes(device, list, &sizes, error));
    device->matrix.has_full_waves = query->sizes.computeFullSubgroups != VK_FALSE;
    query->memory.vulkanMemoryModelAvailabilityVisibilityChains = VK_FALSE;
    query->matrices.cooperativeMatrixRobustBufferAccess = VK_FALSE;
    return LLMIR_STATUS_OK;
}
