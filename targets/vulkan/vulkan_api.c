/* Opening Vulkan's loader. */
#include "targets/vulkan/vulkan_api.h"

#include <string.h>

/* On every system one of these; the last is a driver that needs no loader. */
static const char* const loader_names[] = {
    "libvulkan.so.1", "libvulkan.so", "vulkan-1.dll", "libvulkan.1.dylib", "libMoltenVK.dylib",
};

llmir_status_t llmir_vulkan_api_open(llmir_vulkan_api_t* out_api, llmir_error_t* error) {
    memset(out_api, 0, sizeof *out_api);
    for (size_t i = 0; i < sizeof loader_names / sizeof loader_names[0]; ++i) {
        if (llmir_library_open(loader_names[i], &out_api->library)) {
            break;
        }
    }
    if (out_api->library.handle == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "vulkan: this machine has no loader (%s)", loader_names[0]);
    }
    llmir_library_symbol(&out_api->library, "vkGetInstanceProcAddr",
                         (llmir_library_function_t*)&out_api->vkGetInstanceProcAddr);
    if (out_api->vkGetInstanceProcAddr != NULL) {
#define LLMIR_VULKAN_GLOBAL(name) \
    out_api->name = (PFN_##name)out_api->vkGetInstanceProcAddr(NULL, #name);
#define LLMIR_VULKAN_INSTANCE(name)
#define LLMIR_VULKAN_DEVICE(name)
#include "targets/vulkan/vulkan_symbols.inc"
#undef LLMIR_VULKAN_GLOBAL
#undef LLMIR_VULKAN_INSTANCE
#undef LLMIR_VULKAN_DEVICE
    }
    if (out_api->vkCreateInstance == NULL) {
        llmir_vulkan_api_close(out_api);
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "vulkan: the loader has no vkCreateInstance");
    }
    return LLMIR_STATUS_OK;
}

void llmir_vulkan_api_close(llmir_vulkan_api_t* api) {
    llmir_library_close(&api->library);
    memset(api, 0, sizeof *api);
}

static llmir_status_t missing(const char* name, llmir_error_t* error) {
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "vulkan: the driver has no %s", name);
}

llmir_status_t llmir_vulkan_api_instance(llmir_vulkan_api_t* api,
                                         VkInstance instance,
                                         llmir_error_t* error) {
#define LLMIR_VULKAN_GLOBAL(name)
#define LLMIR_VULKAN_INSTANCE(name)                                      \
    api->name = (PFN_##name)api->vkGetInstanceProcAddr(instance, #name); \
    if (api->name == NULL) {                                             \
        return missing(#name, error);                                    \
    }
#define LLMIR_VULKAN_DEVICE(name)
#include "targets/vulkan/vulkan_symbols.inc"
#undef LLMIR_VULKAN_GLOBAL
#undef LLMIR_VULKAN_INSTANCE
#undef LLMIR_VULKAN_DEVICE
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_vulkan_api_device(llmir_vulkan_api_t* api,
                                       VkDevice device,
                                       llmir_error_t* error) {
#define LLMIR_VULKAN_GLOBAL(name)
#define LLMIR_VULKAN_INSTANCE(name)
#define LLMIR_VULKAN_DEVICE(name)                                    \
    api->name = (PFN_##name)api->vkGetDeviceProcAddr(device, #name); \
    if (api->name == NULL) {                                         \
        return missing(#name, error);                                \
    }
#include "targets/vulkan/vulkan_symbols.inc"
#undef LLMIR_VULKAN_GLOBAL
#undef LLMIR_VULKAN_INSTANCE
#undef LLMIR_VULKAN_DEVICE
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_vulkan_fail(llmir_error_t* error, VkResult result, const char* what) {
    llmir_status_t status = LLMIR_STATUS_UNSUPPORTED;
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
        result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_TOO_MANY_OBJECTS) {
        status = LLMIR_STATUS_OUT_OF_MEMORY;
    } else if (result == VK_ERROR_DEVICE_LOST || result == VK_TIMEOUT) {
        status = LLMIR_STATUS_DEVICE_LOST;
    }
    return llmir_fail(error, status, "vulkan: %s: %s (VkResult %d)", what,
                      llmir_status_text(status), (int)result);
}
