/* Vulkan's functions as a table, and the statuses that its results become. The loader is opened at
 * run time; a machine without one only lacks this target. */
#ifndef LLMIR_VULKAN_API_H
#define LLMIR_VULKAN_API_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "core/base/status.h"
#include "platform/library.h"

typedef struct llmir_vulkan_api {
    llmir_library_t library;
    PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr;
#define LLMIR_VULKAN_GLOBAL(name) PFN_##name name;
#define LLMIR_VULKAN_INSTANCE(name) PFN_##name name;
#define LLMIR_VULKAN_DEVICE(name) PFN_##name name;
#include "targets/vulkan/vulkan_symbols.inc"
#undef LLMIR_VULKAN_GLOBAL
#undef LLMIR_VULKAN_INSTANCE
#undef LLMIR_VULKAN_DEVICE
} llmir_vulkan_api_t;

/* Opens the loader and finds what needs no instance. Errors: UNSUPPORTED. */
llmir_status_t llmir_vulkan_api_open(llmir_vulkan_api_t* out_api, llmir_error_t* error);
void llmir_vulkan_api_close(llmir_vulkan_api_t* api);

/* Finds the functions of an instance, of a device. Errors: UNSUPPORTED. */
llmir_status_t llmir_vulkan_api_instance(llmir_vulkan_api_t* api,
                                         VkInstance instance,
                                         llmir_error_t* error);
llmir_status_t llmir_vulkan_api_device(llmir_vulkan_api_t* api,
                                       VkDevice device,
                                       llmir_error_t* error);

/* Makes an error of a result that is no success. */
llmir_status_t llmir_vulkan_fail(llmir_error_t* error, VkResult result, const char* what);

/* Passes on the failure of a Vulkan call. */
#define LLMIR_VULKAN_TRY(call, what)                        \
    do {                                                    \
        const VkResult result_ = (call);                    \
        if (result_ != VK_SUCCESS) {                        \
            return llmir_vulkan_fail(error, result_, what); \
        }                                                   \
    } while (0)

#endif /* LLMIR_VULKAN_API_H */
