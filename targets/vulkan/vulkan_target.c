/* The Vulkan back end as the runtime sees it: one table of functions. */
#include "targets/vulkan/vulkan_device.h"

extern const llmir_target_t llmir_target_vulkan;

const llmir_target_t llmir_target_vulkan = {
    .struct_size = (uint32_t)sizeof(llmir_target_t),
    .abi_version = LLMIR_TARGET_ABI_VERSION,
    .name = "vulkan",
    .probe = llmir_vulkan_probe,
    .device_create = llmir_vulkan_device_create,
    .device_destroy = llmir_vulkan_device_destroy,
    .device_caps = llmir_vulkan_device_caps,
    .buffer_create = llmir_vulkan_buffer_create,
    .buffer_import = llmir_vulkan_buffer_import,
    .buffer_destroy = llmir_vulkan_buffer_destroy,
    .buffer_write = llmir_vulkan_buffer_write,
    .buffer_read = llmir_vulkan_buffer_read,
    .buffer_copy = llmir_vulkan_buffer_copy,
    .buffer_map = llmir_vulkan_buffer_map,
    .buffer_unmap = llmir_vulkan_buffer_unmap,
    .program_load = llmir_vulkan_program_load,
    .program_unload = llmir_vulkan_program_unload,
    .program_code = llmir_vulkan_program_code,
    .submit = llmir_vulkan_submit,
    .wait = llmir_vulkan_wait,
};
