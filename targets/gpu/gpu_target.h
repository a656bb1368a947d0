/* The entries of llmir_target_t for drivers of the kind that gpu_driver.h describes; what a target
 * adds is its flavor. See targets/target.h. */
#ifndef LLMIR_GPU_TARGET_H
#define LLMIR_GPU_TARGET_H

#include "targets/gpu/gpu_driver.h"

llmir_status_t llmir_gpu_probe(const llmir_gpu_flavor_t* flavor,
                               const llmir_device_options_t* options,
                               llmir_error_t* error);
llmir_status_t llmir_gpu_device_create(const llmir_gpu_flavor_t* flavor,
                                       const llmir_device_options_t* options,
                                       llmir_device_t** out_device,
                                       llmir_error_t* error);
void llmir_gpu_device_destroy(llmir_device_t* device);
void llmir_gpu_device_caps(const llmir_device_t* device, llmir_device_caps_t* out_caps);
llmir_status_t llmir_gpu_buffer_create(llmir_device_t* device,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error);
llmir_status_t llmir_gpu_buffer_import(llmir_device_t* device,
                                       void* memory,
                                       size_t bytes,
                                       llmir_buffer_t** out_buffer,
                                       llmir_error_t* error);
void llmir_gpu_buffer_destroy(llmir_buffer_t* buffer);
llmir_status_t llmir_gpu_buffer_write(
    llmir_buffer_t* buffer, size_t offset, const void* data, size_t bytes, llmir_error_t* error);
llmir_status_t llmir_gpu_buffer_read(
    llmir_buffer_t* buffer, size_t offset, void* data, size_t bytes, llmir_error_t* error);
llmir_status_t llmir_gpu_buffer_copy(llmir_buffer_t* buffer,
                                     size_t to_offset,
                                     size_t from_offset,
                                     size_t bytes,
                                     llmir_error_t* error);
void* llmir_gpu_buffer_map(llmir_buffer_t* buffer);
void llmir_gpu_buffer_unmap(llmir_buffer_t* buffer);
llmir_status_t llmir_gpu_program_load(llmir_device_t* device,
                                      const llmir_program_options_t* options,
                                      llmir_program_t** out_program,
                                      llmir_error_t* error);
void llmir_gpu_program_unload(llmir_program_t* program);
void llmir_gpu_program_code(const llmir_program_t* program,
                            const char** out_code,
                            const char** out_reason);
llmir_status_t llmir_gpu_submit(llmir_device_t* device,
                                const llmir_submission_t* submission,
                                uint64_t* out_fence,
                                llmir_error_t* error);
llmir_status_t llmir_gpu_wait(llmir_device_t* device,
                              uint64_t fence,
                              uint64_t timeout_ns,
                              llmir_error_t* error);

/* All entries of a table but its name, probe and device_create. */
#define LLMIR_GPU_TARGET_ENTRIES                                                              \
    .struct_size = (uint32_t)sizeof(llmir_target_t), .abi_version = LLMIR_TARGET_ABI_VERSION, \
    .device_destroy = llmir_gpu_device_destroy, .device_caps = llmir_gpu_device_caps,         \
    .buffer_create = llmir_gpu_buffer_create, .buffer_import = llmir_gpu_buffer_import,       \
    .buffer_destroy = llmir_gpu_buffer_destroy, .buffer_write = llmir_gpu_buffer_write,       \
    .buffer_read = llmir_gpu_buffer_read, .buffer_copy = llmir_gpu_buffer_copy,               \
    .buffer_map = llmir_gpu_buffer_map, .buffer_unmap = llmir_gpu_buffer_unmap,               \
    .program_load = llmir_gpu_program_load, .program_unload = llmir_gpu_program_unload,       \
    .program_code = llmir_gpu_program_code, .submit = llmir_gpu_submit, .wait = llmir_gpu_wait

#endif /* LLMIR_GPU_TARGET_H */
