/* ISA levels: their names, whether this processor has them, and the best built-in kernels for it.
 */
#ifndef LLMIR_CPU_LEVEL_H
#define LLMIR_CPU_LEVEL_H

#include <stdint.h>

#include "targets/cpu/kernels/kernel_table.h"

/* "x86-64-v3", "portable" for LLMIR_CPU_LEVEL_NONE, "unknown" for anything else. */
const char* llmir_cpu_level_name(uint32_t level);

/* Whether processor and system support the level; NONE is always supported. */
int llmir_cpu_level_is_supported(uint32_t level);

/* The highest level at or below `level_max` (0: no limit) that processor and system support, whether
 * or not this build has kernels for it: code in bundles may. */
uint32_t llmir_cpu_level_best(uint32_t level_max);

/* The built-in kernels of the highest supported level at or below `level_max` (0: no limit). There
 * always are the portable ones. */
const llmir_cpu_kernel_table_t* llmir_cpu_level_choose(uint32_t level_max);

#endif /* LLMIR_CPU_LEVEL_H */
