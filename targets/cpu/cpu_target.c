/* The CPU back end as the runtime sees it: one table of functions. */
#include "targets/cpu/cpu_target.h"

#include "targets/cpu/cpu_device.h"

const llmir_target_t llmir_target_cpu = {
    .struct_size = (uint32_t)sizeof(llmir_target_t),
    .abi_version = LLMIR_TARGET_ABI_VERSION,
    .name = "cpu",
    .probe = llmir_cpu_probe,
    .device_create = llmir_cpu_device_create,
    .device_destroy = llmir_cpu_device_destroy,
    .device_caps = llmir_cpu_device_caps,
    .buffer_create = llmir_cpu_buffer_create,
    .buffer_import = llmir_cpu_buffer_import,
    .buffer_destroy = llmir_cpu_buffer_destroy,
    .buffer_write = llmir_cpu_buffer_write,
    .buffer_read = llmir_cpu_buffer_read,
    .buffer_copy = llmir_cpu_buffer_copy,
    .buffer_map = llmir_cpu_buffer_map,
    .buffer_unmap = llmir_cpu_buffer_unmap,
    .program_load = llmir_cpu_program_load,
    .program_unload = llmir_cpu_program_unload,
    .program_code = llmir_cpu_program_code,
    .submit = llmir_cpu_submit,
    .wait = llmir_cpu_wait,
};
