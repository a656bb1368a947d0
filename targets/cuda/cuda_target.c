/* The CUDA back end: NVIDIA's driver API through the table that targets/gpu runs on. */
#include "targets/gpu/gpu_target.h"

static const char* const libraries[] = {"libcuda.so.1", "libcuda.so", "nvcuda.dll", NULL};

static const char* const function_names[] = {
#define LLMIR_GPU_FUNCTION(field, parameters, cuda_name, hip_name) cuda_name,
#include "targets/gpu/gpu_functions.inc"
#undef LLMIR_GPU_FUNCTION
};

extern const llmir_target_t llmir_target_cuda;

/* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, ..._MINOR */
#define MAJOR_ATTRIBUTE 75
#define MINOR_ATTRIBUTE 76

static llmir_status_t find_level(const llmir_gpu_driver_t* driver,
                                 const llmir_allocator_t* allocator,
                                 int device,
                                 uint32_t* out_level,
                                 llmir_error_t* error);

static const llmir_gpu_flavor_t flavor = {
    .target = &llmir_target_cuda,
    .libraries = libraries,
    .function_names = function_names,
    .code_name = "PTX",
    .section_target = LLMIR_SECTION_TARGET_CUDA,
    .find_level = find_level,
    .level_min = 75,
    .is_text = 1,
    .driver_min = 11040, /* the first with cuGraphInstantiateWithFlags */
    .driver_min_name = "CUDA 11.4",
    .launch_end = NULL,
};

static llmir_status_t find_level(const llmir_gpu_driver_t* driver,
                                 const llmir_allocator_t* allocator,
                                 int device,
                                 uint32_t* out_level,
                                 llmir_error_t* error) {
    int major = 0;
    int minor = 0;
    (void)allocator;
    int result = driver->device_attribute(&major, MAJOR_ATTRIBUTE, device);
    if (result == 0) {
        result = driver->device_attribute(&minor, MINOR_ATTRIBUTE, device);
    }
    *out_level = (uint32_t)(10 * major + minor);
    return result == 0 ? LLMIR_STATUS_OK
                       : llmir_gpu_fail(error, &flavor, result, "asking for a device's version");
}

static llmir_status_t cuda_probe(const llmir_device_options_t* options, llmir_error_t* error) {
    return llmir_gpu_probe(&flavor, options, error);
}

static llmir_status_t cuda_device_create(const llmir_device_options_t* options,
                                         llmir_device_t** out_device,
                                         llmir_error_t* error) {
    return llmir_gpu_device_create(&flavor, options, out_device, error);
}

const llmir_target_t llmir_target_cuda = {
    LLMIR_GPU_TARGET_ENTRIES,
    .name = "cuda",
    .probe = cuda_probe,
    .device_create = cuda_device_create,
};
