/* Modules of drivers that take no length with them. */
#ifndef LLMIR_GPU_MODULE_H
#define LLMIR_GPU_MODULE_H

#include "core/base/status.h"

/* Checks that nothing that a driver reads by the module's own account lies behind its end. `name`
 * is "PTX", "cubin" or "HSACO"; is_text: it is PTX, else a 64-bit ELF file. Error: CORRUPT. */
llmir_status_t llmir_gpu_module_check(
    const char* name, int is_text, const uint8_t* module, size_t bytes, llmir_error_t* error);

#endif /* LLMIR_GPU_MODULE_H */
