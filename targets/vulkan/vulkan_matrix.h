/* Cooperative matrices of a device: whether it has them in a shape that a level of code is for, and
 * what it is opened with then. Headers of Vulkan older than 1.3.255 do not know the extension. */
#ifndef LLMIR_VULKAN_MATRIX_H
#define LLMIR_VULKAN_MATRIX_H

#include "targets/vulkan/vulkan_api.h"

/* VkPhysicalDeviceCooperativeMatrixFeaturesKHR */
typedef struct llmir_vk_matrix_features {
    VkStructureType sType;
    void* pNext;
    VkBool32 cooperativeMatrix;
    VkBool32 cooperativeMatrixRobustBufferAccess;
} llmir_vk_matrix_features_t;
#define LLMIR_VK_MATRIX_FEATURES ((VkStructureType)1000506000)

/* VkCooperativeMatrixPropertiesKHR; types are VkComponentTypeKHR, the scope is VkScopeKHR. */
typedef struct llmir_vk_matrix_properties {
    VkStructureType sType;
    void* pNext;
    uint32_t MSize, NSize, KSize;
    int32_t AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    int32_t scope;
} llmir_vk_matrix_properties_t;
#define LLMIR_VK_MATRIX_PROPERTIES ((VkStructureType)1000506001)
#define LLMIR_VK_COMPONENT_SINT8 3
#define LLMIR_VK_COMPONENT_SINT32 5
#define LLMIR_VK_SCOPE_SUBGROUP 3

#define LLMIR_VK_MATRIX_FUNCTION "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"
typedef VkResult(VKAPI_PTR* llmir_vk_matrix_fn)(VkPhysicalDevice physical,
                                                uint32_t* inout_count,
                                                llmir_vk_matrix_properties_t* out_properties);

/* Whose names a device lists. */
typedef enum llmir_vulkan_matrix_extension {
    LLMIR_VULKAN_MATRICES_THEMSELVES,
    LLMIR_VULKAN_MEMORY_MODEL,
    LLMIR_VULKAN_SUBGROUP_SIZES,
    LLMIR_VULKAN_MATRIX_EXTENSION_COUNT,
} llmir_vulkan_matrix_extension_t;
extern const char* const llmir_vulkan_matrix_extensions[LLMIR_VULKAN_MATRIX_EXTENSION_COUNT];

/* The shape that is used. */
typedef struct llmir_vulkan_matrix {
    uint32_t level;     /* LLMIR_VULKAN_LEVEL_MATRIX; 0: none */
    const char* name;   /* " with matrices 16x16x16" */
    uint32_t threads;   /* of a subgroup; pipelines ask for that many */
    int has_full_waves; /* and may ask for subgroups without idle threads */
} llmir_vulkan_matrix_t;

/* What is found out before the device is opened. */
typedef struct llmir_vulkan_matrix_query {
    int listed[LLMIR_VULKAN_MATRIX_EXTENSION_COUNT];
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory;
    llmir_vk_matrix_features_t matrices;
} llmir_vulkan_matrix_query_t;

/* Takes note of an extension that the device lists. */
void llmir_vulkan_matrix_note(llmir_vulkan_matrix_query_t* query, const char* extension);

/* The features to ask for; NULL: extensions are missing. */
void* llmir_vulkan_matrix_chain(llmir_vulkan_matrix_query_t* query);

/* After the features were asked for: chooses the device's shape, and leaves those features that it
 * needs. There may be none, which is no failure. Errors: OUT_OF_MEMORY, and those of the driver. */
struct llmir_vulkan_device;
llmir_status_t llmir_vulkan_matrix_choose(struct llmir_vulkan_device* device,
                                          llmir_vulkan_matrix_query_t* query,
                                          llmir_error_t* error);

#endif /* LLMIR_VULKAN_MATRIX_H */
