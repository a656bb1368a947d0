/* All builds of the kernels that this machine can run: the built-in levels, x86-64-v4 emulated, and
 * `exact`, plain C with one rounding per multiply-add, whose bits every level with FMA must give.
 */
#ifndef LLMIR_TEST_KERNEL_LEVELS_H
#define LLMIR_TEST_KERNEL_LEVELS_H

#include "targets/cpu/kernels/kernel_table.h"
#include "tests/support/kernels/vec16_probe.h"

typedef struct test_kernel_level {
    const char* name;
    int is_fused;   /* its bits are those of `exact`; else those of `portable` */
    int is_flushed; /* ARMv7: subnormal numbers are zeros, and NaNs lose their payload */
    const llmir_cpu_kernel_table_t* table;
    test_probe_fn probe;
} test_kernel_level_t;

/* Entry 0 is `exact`, entry 1 is `portable`. Levels that the processor lacks are left out and named
 * on standard output. */
uint32_t test_kernel_levels(const test_kernel_level_t** out_levels);

#endif /* LLMIR_TEST_KERNEL_LEVELS_H */
