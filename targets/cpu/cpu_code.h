/* The kernels in a CODE section of the bundle. Code that does not fit this device is refused with a
 * readable reason; the built-in kernels then run. */
#ifndef LLMIR_CPU_CODE_H
#define LLMIR_CPU_CODE_H

#include "targets/cpu/cpu_elf.h"
#include "targets/cpu/kernels/kernel.h"
#include "targets/target.h"

typedef struct llmir_cpu_code {
    llmir_elf_image_t image; /* empty: no code was loaded */
    const uint8_t* entries;  /* little-endian uint32_t[entry_count], in the section */
    uint32_t entry_count;
} llmir_cpu_code_t;

/* Checks and loads the section.
 *   built_in_level  of the kernels that would run instead: code for less is not worth running.
 *   level_max       0: no limit.
 * Errors: UNSUPPORTED, CORRUPT, OUT_OF_MEMORY; *out_code is then empty. */
llmir_status_t llmir_cpu_code_load(const llmir_program_options_t* options,
                                   uint32_t built_in_level,
                                   uint32_t level_max,
                                   llmir_cpu_code_t* out_code,
                                   llmir_error_t* error);
void llmir_cpu_code_unload(llmir_cpu_code_t* code);

/* The kernel of a variant; NULL: the section leaves it to the built-in one, or there is no code. */
llmir_cpu_kernel_fn llmir_cpu_code_kernel(const llmir_cpu_code_t* code, uint32_t variant);

#endif /* LLMIR_CPU_CODE_H */
