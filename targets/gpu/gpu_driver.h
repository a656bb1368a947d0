/* The driver of a GPU as a table of functions, found in a library that is opened at run time. CUDA
 * and HIP fill the same table; a flavor is what they differ in. */
#ifndef LLMIR_GPU_DRIVER_H
#define LLMIR_GPU_DRIVER_H

#include "platform/library.h"
#include "targets/target.h"

typedef struct llmir_gpu_driver {
    llmir_library_t library;
    int version; /* as driver_version gave it */
#define LLMIR_GPU_FUNCTION(field, parameters, cuda_name, hip_name) int(*field) parameters;
#include "targets/gpu/gpu_functions.inc"
#undef LLMIR_GPU_FUNCTION
} llmir_gpu_driver_t;

typedef struct llmir_gpu_flavor {
    const llmir_target_t* target;
    const char* const* libraries;      /* names to try, NULL at the end */
    const char* const* function_names; /* in the order of gpu_functions.inc */
    const char* code_name;             /* of what modules are: "PTX" */
    uint32_t section_target;           /* llmir_section_target_t */
    /* The level of code that a device runs. Errors: UNSUPPORTED, OUT_OF_MEMORY, DEVICE_LOST. */
    llmir_status_t (*find_level)(const llmir_gpu_driver_t* driver,
                                 const llmir_allocator_t* allocator,
                                 int device,
                                 uint32_t* out_level,
                                 llmir_error_t* error);
    uint32_t level_min;          /* levels are 10 * major + minor; 0: they have no order */
    int is_text;                 /* modules are strings, or cubins of LLMIR_GPU_LEVEL_CUBIN */
    int driver_min;              /* as driver_version gives it */
    const char* driver_min_name; /* "CUDA 11.4" */
    void* launch_end;            /* what ends the list that a launch takes */
} llmir_gpu_flavor_t;

/* What a kernel is given, as its parameters lie in memory. */
typedef struct llmir_gpu_arguments {
    uint64_t bindings[LLMIR_GPU_BINDING_COUNT]; /* addresses; 0: not used */
    uint32_t words[LLMIR_GPU_WORD_COUNT];
} llmir_gpu_arguments_t;

/* Opens the library, finds every function and initializes the driver. Errors: UNSUPPORTED (no
 * library, a function is missing, no device, too old a driver). */
llmir_status_t llmir_gpu_driver_open(const llmir_gpu_flavor_t* flavor,
                                     llmir_gpu_driver_t* out_driver,
                                     llmir_error_t* error);
void llmir_gpu_driver_close(llmir_gpu_driver_t* driver);

/* Makes an error of a result that is not 0. */
llmir_status_t llmir_gpu_fail(llmir_error_t* error,
                              const llmir_gpu_flavor_t* flavor,
                              int result,
                              const char* what);

#endif /* LLMIR_GPU_DRIVER_H */
