/* The HIP back end: AMD's module API through the table that targets/gpu runs on. */
#include <string.h>

#include "targets/gpu/gpu_target.h"

static const char* const libraries[] = {"libamdhip64.so.6",
                                        "libamdhip64.so.5",
                                        "libamdhip64.so.7",
                                        "libamdhip64.so",
                                        "amdhip64_6.dll",
                                        "amdhip64.dll",
                                        NULL};

static const char* const function_names[] = {
#define LLMIR_GPU_FUNCTION(field, parameters, cuda_name, hip_name) hip_name,
#include "targets/gpu/gpu_functions.inc"
#undef LLMIR_GPU_FUNCTION
};

extern const llmir_target_t llmir_target_hip;

/* More than hipDeviceProp_t of any version has; its first member is the name, of 256 bytes. */
#define PROPERTIES_BYTES 16384u
#define NAME_BYTES 256u

/* The number in "gfx90a" or "gfx90a:sramecc+:xnack-", 0x90a; 0 if it is none. */
static uint32_t chip_number(const char* text) {
    uint32_t number = 0;
    for (uint32_t i = 0; i < 6; ++i) {
        const char c = text[i];
        if (c >= '0' && c <= '9') {
            number = number << 4 | (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            number = number << 4 | (uint32_t)(c - 'a' + 10);
        } else {
            break;
        }
    }
    return number >= 0x100 ? number : 0;
}

/* The chip is a text among the properties, at a place that differs between versions of HIP. */
static llmir_status_t find_level(const llmir_gpu_driver_t* driver,
                                 const llmir_allocator_t* allocator,
                                 int device,
                                 uint32_t* out_level,
                                 llmir_error_t* error) {
    int (*get_properties)(void* properties, int device) = NULL;
    void* block = NULL;
    *out_level = 0;
    llmir_library_symbol(&driver->library, "hipGetDevicePropertiesR0600",
                         (llmir_library_function_t*)&get_properties);
    if (get_properties == NULL) {
        llmir_library_symbol(&driver->library, "hipGetDeviceProperties",
                             (llmir_library_function_t*)&get_properties);
    }
    if (get_properties == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "hip: the driver has no hipGetDeviceProperties");
    }
    LLMIR_TRY(llmir_allocate(allocator, PROPERTIES_BYTES, 16, "device properties", &block, error));
    memset(block, 0, PROPERTIES_BYTES);
    const int result = get_properties(block, device);
    const char* text = block;
    for (uint32_t i = NAME_BYTES; result == 0 && i + 16u < PROPERTIES_BYTES; ++i) {
        if (memcmp(text + i, "gfx", 3) == 0 && chip_number(text + i + 3) != 0) {
            *out_level = LLMIR_GPU_LEVEL_HIP(chip_number(text + i + 3));
            break;
        }
    }
    llmir_free(allocator, block, PROPERTIES_BYTES, 16);
    if (*out_level == 0) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "hip: device %d tells of no chip (result %d)", device, result);
    }
    return LLMIR_STATUS_OK;
}

static const llmir_gpu_flavor_t flavor = {
    .target = &llmir_target_hip,
    .libraries = libraries,
    .function_names = function_names,
    .code_name = "HSACO",
    .section_target = LLMIR_SECTION_TARGET_HIP,
    .find_level = find_level,
    .driver_min = 50000000, /* 10000000 * major + 100000 * minor: its loader knows code objects 5 */
    .driver_min_name = "ROCm 5.0",
    .launch_end = (void*)3,
};

static llmir_status_t hip_probe(const llmir_device_options_t* options, llmir_error_t* error) {
    return llmir_gpu_probe(&flavor, options, error);
}

static llmir_status_t hip_device_create(const llmir_device_options_t* options,
                                        llmir_device_t** out_device,
                                        llmir_error_t* error) {
    return llmir_gpu_device_create(&flavor, options, out_device, error);
}

const llmir_target_t llmir_target_hip = {
    LLMIR_GPU_TARGET_ENTRIES,
    .name = "hip",
    .probe = hip_probe,
    .device_create = hip_device_create,
};
