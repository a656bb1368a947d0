/* cpu_code.h where memory cannot be made executable: firmware, WebAssembly. Code in bundles is
 * passed over with a reason, and the loader is not part of the library. */
#include <string.h>

#include "targets/cpu/cpu_code.h"

llmir_status_t llmir_cpu_code_load(const llmir_program_options_t* options,
                                   uint32_t built_in_level,
                                   uint32_t level_max,
                                   llmir_cpu_code_t* out_code,
                                   llmir_error_t* error) {
    (void)options, (void)built_in_level, (void)level_max;
    memset(out_code, 0, sizeof *out_code);
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "this platform does not load code");
}

void llmir_cpu_code_unload(llmir_cpu_code_t* code) {
    (void)code;
}

llmir_cpu_kernel_fn llmir_cpu_code_kernel(const llmir_cpu_code_t* code, uint32_t variant) {
    (void)code, (void)variant;
    return NULL;
}
