/* Opening the driver of CUDA or HIP. */
#include "targets/gpu/gpu_driver.h"

#include <string.h>

/* Results, the same in both: CUresult and hipError_t. */
enum {
    RESULT_OUT_OF_MEMORY = 2,
    RESULT_DEVICE_UNAVAILABLE = 46,
    RESULT_NO_DEVICE = 100,
    RESULT_UNCORRECTABLE = 214,
    RESULT_FIRST_OF_LAUNCHES = 700, /* illegal address, time-out, ... */
    RESULT_LAST_OF_LAUNCHES = 720,
    RESULT_UNKNOWN = 999,
};

llmir_status_t llmir_gpu_fail(llmir_error_t* error,
                              const llmir_gpu_flavor_t* flavor,
                              int result,
                              const char* what) {
    llmir_status_t status = LLMIR_STATUS_UNSUPPORTED;
    if (result == RESULT_OUT_OF_MEMORY) {
        status = LLMIR_STATUS_OUT_OF_MEMORY;
    } else if ((result >= RESULT_FIRST_OF_LAUNCHES && result <= RESULT_LAST_OF_LAUNCHES) ||
               result == RESULT_DEVICE_UNAVAILABLE || result == RESULT_UNCORRECTABLE ||
               result == RESULT_UNKNOWN) {
        status = LLMIR_STATUS_DEVICE_LOST;
    }
    return llmir_fail(error, status, "%s: %s: %s (result %d)", flavor->target->name, what,
                      llmir_status_text(status), result);
}

static llmir_status_t find_functions(const llmir_gpu_flavor_t* flavor,
                                     llmir_gpu_driver_t* driver,
                                     llmir_error_t* error) {
    const char* const* name = flavor->function_names;
#define LLMIR_GPU_FUNCTION(field, parameters, cuda_name, hip_name)                            \
    llmir_library_symbol(&driver->library, *name, (llmir_library_function_t*)&driver->field); \
    if (driver->field == NULL) {                                                              \
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "%s: the driver has no %s",        \
                          flavor->target->name, *name);                                       \
    }                                                                                         \
    ++name;
#include "targets/gpu/gpu_functions.inc"
#undef LLMIR_GPU_FUNCTION
    return LLMIR_STATUS_OK;
}

static llmir_status_t start_driver(const llmir_gpu_flavor_t* flavor,
                                   llmir_gpu_driver_t* driver,
                                   llmir_error_t* error) {
    int version = 0;
    int result = driver->init(0);
    if (result == RESULT_NO_DEVICE) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "%s: the driver finds no device",
                          flavor->target->name);
    }
    if (result != 0) {
        return llmir_gpu_fail(error, flavor, result, "starting the driver");
    }
    result = driver->driver_version(&version);
    driver->version = version;
    if (result != 0) {
        return llmir_gpu_fail(error, flavor, result, "asking for the driver's version");
    }
    if (version < flavor->driver_min) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "%s: the driver's version is %d, expected at least %d (%s)",
                          flavor->target->name, version, flavor->driver_min,
                          flavor->driver_min_name);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_gpu_driver_open(const llmir_gpu_flavor_t* flavor,
                                     llmir_gpu_driver_t* out_driver,
                                     llmir_error_t* error) {
    memset(out_driver, 0, sizeof *out_driver);
    for (const char* const* name = flavor->libraries; *name != NULL; ++name) {
        if (llmir_library_open(*name, &out_driver->library)) {
            break;
        }
    }
    if (out_driver->library.handle == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "%s: this machine has no driver (%s)",
                          flavor->target->name, flavor->libraries[0]);
    }
    llmir_status_t status = find_functions(flavor, out_driver, error);
    if (status == LLMIR_STATUS_OK) {
        status = start_driver(flavor, out_driver, error);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_gpu_driver_close(out_driver);
    }
    return status;
}

void llmir_gpu_driver_close(llmir_gpu_driver_t* driver) {
    llmir_library_close(&driver->library);
    memset(driver, 0, sizeof *driver);
}
