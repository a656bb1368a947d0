/* Which builds of the kernels run on this processor. */
#include "tests/support/kernels/kernel_levels.h"

#include <stdio.h>

#include "targets/cpu/cpu_level.h"
#include "targets/cpu/kernels/vec16.h"

/* kernel_table.c, compiled once more for the levels of the tests: exact first. */
extern const llmir_cpu_kernel_table_t* const test_kernel_tables[];
extern const uint32_t test_kernel_table_count;

#define LLMIR_CPU_KERNEL_LEVEL(suffix, base, level) TEST_PROBE_DECLARE(suffix);
#include "test_probe_levels.inc"
#undef LLMIR_CPU_KERNEL_LEVEL

/* In the order of the tables: built-in levels, then those of the tests. */
#define LLMIR_CPU_KERNEL_LEVEL(suffix, base, level) {#suffix, TEST_PROBE_PASTE(suffix)},
static const struct {
    const char* name;
    test_probe_fn probe;
} probes[] = {
#include "test_probe_levels.inc"
};
#undef LLMIR_CPU_KERNEL_LEVEL

#define MAX_LEVELS 16u

static int level_runs_here(uint32_t level, int is_emulated) {
#if defined(__x86_64__) && defined(__GNUC__)
    const int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    switch (level) {
        case LLMIR_CPU_LEVEL_NONE:
            return 1;
        case LLMIR_CPU_LEVEL_X86_64_V2:
            return __builtin_cpu_supports("sse4.2") != 0;
        case LLMIR_CPU_LEVEL_X86_64_V3:
            return v3;
        case LLMIR_CPU_LEVEL_X86_64_V4_VNNI:
            return is_emulated
                       ? v3
                       : __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
        default:
            return 0;
    }
#else
    (void)is_emulated;
    return llmir_cpu_level_is_supported(level);
#endif
}

/* Whether a multiply-add of the level rounds once. */
static int level_is_fused(uint32_t level) {
    return level != LLMIR_CPU_LEVEL_X86_64_V2 && level != LLMIR_CPU_LEVEL_NONE;
}

static uint32_t add_level(test_kernel_level_t* levels,
                          uint32_t count,
                          const llmir_cpu_kernel_table_t* table,
                          uint32_t probe,
                          int is_test_level) {
    if (!level_runs_here(table->level, is_test_level)) {
        printf("kernels of level %s do not run on this processor\n", probes[probe].name);
        return count;
    }
    levels[count] = (test_kernel_level_t){
        .name = probes[probe].name,
        .is_fused = is_test_level || level_is_fused(table->level),
        .is_flushed = table->level == LLMIR_CPU_LEVEL_ARMV7_NEON,
        .table = table,
        .probe = probes[probe].probe,
    };
    return count + 1u;
}

uint32_t test_kernel_levels(const test_kernel_level_t** out_levels) {
    static test_kernel_level_t levels[MAX_LEVELS];
    const uint32_t built_in = llmir_cpu_kernel_table_count;
    uint32_t count = add_level(levels, 0, test_kernel_tables[0], built_in, 1);
    for (uint32_t i = 0; i < built_in; ++i) {
        count = add_level(levels, count, llmir_cpu_kernel_tables[i], i, 0);
    }
    for (uint32_t i = 1; i < test_kernel_table_count; ++i) {
        count = add_level(levels, count, test_kernel_tables[i], built_in + i, 1);
    }
    *out_levels = levels;
    return count;
}
