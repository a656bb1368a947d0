/* cpu_level.h where the library has the kernels of the processor that it was built for, and no
 * others: nothing is chosen when the program runs. */
#include "targets/cpu/cpu_level.h"

const char* llmir_cpu_level_name(uint32_t level) {
    return level == LLMIR_CPU_LEVEL_NONE ? "portable" : "unknown";
}

int llmir_cpu_level_is_supported(uint32_t level) {
    return level == LLMIR_CPU_LEVEL_NONE;
}

uint32_t llmir_cpu_level_best(uint32_t level_max) {
    (void)level_max;
    return LLMIR_CPU_LEVEL_NONE;
}

const llmir_cpu_kernel_table_t* llmir_cpu_level_choose(uint32_t level_max) {
    (void)level_max;
    return llmir_cpu_kernel_tables[0];
}
