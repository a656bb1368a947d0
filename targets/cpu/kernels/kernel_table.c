/* One table of functions per ISA level. The list of levels, an X-macro in ascending order, comes
 * from the build (cpu_kernel_levels.inc, generated from kernel_sources.cmake): suffix of the matrix
 * products, suffix of the other kernels, level. */
#include "targets/cpu/kernels/kernel_table.h"

#define LLMIR_CPU_KERNEL_DECLARE(name, suffix)               \
    void LLMIR_KERNEL_CALL LLMIR_KERNEL_PASTE(name, suffix)( \
        const llmir_cpu_call_t* call, const void* params, uint32_t tile_begin, uint32_t tile_end)

#define LLMIR_CPU_KERNEL_LEVEL(suffix, base, level_value)                         \
    LLMIR_CPU_KERNEL_DECLARE(embed, base);                                        \
    LLMIR_CPU_KERNEL_DECLARE(rope_table, base);                                   \
    LLMIR_CPU_KERNEL_DECLARE(norm, base);                                         \
    LLMIR_CPU_KERNEL_DECLARE(quantize, base);                                     \
    LLMIR_CPU_KERNEL_DECLARE(linear, suffix);                                     \
    LLMIR_CPU_KERNEL_DECLARE(qkv, base);                                          \
    LLMIR_CPU_KERNEL_DECLARE(attention, base);                                    \
    LLMIR_CPU_KERNEL_DECLARE(gate, base);                                         \
    static const llmir_cpu_kernel_table_t table_##suffix = {                      \
        .level = (level_value),                                                   \
        .run =                                                                    \
            {                                                                     \
                [LLMIR_KERNEL_EMBED] = LLMIR_KERNEL_PASTE(embed, base),           \
                [LLMIR_KERNEL_ROPE_TABLE] = LLMIR_KERNEL_PASTE(rope_table, base), \
                [LLMIR_KERNEL_NORM] = LLMIR_KERNEL_PASTE(norm, base),             \
                [LLMIR_KERNEL_QUANTIZE] = LLMIR_KERNEL_PASTE(quantize, base),     \
                [LLMIR_KERNEL_LINEAR] = LLMIR_KERNEL_PASTE(linear, suffix),       \
                [LLMIR_KERNEL_QKV] = LLMIR_KERNEL_PASTE(qkv, base),               \
                [LLMIR_KERNEL_ATTENTION] = LLMIR_KERNEL_PASTE(attention, base),   \
                [LLMIR_KERNEL_GATE] = LLMIR_KERNEL_PASTE(gate, base),             \
            },                                                                    \
    };
#include "cpu_kernel_levels.inc"
#undef LLMIR_CPU_KERNEL_LEVEL

#define LLMIR_CPU_KERNEL_LEVEL(suffix, base, level_value) &table_##suffix,
const llmir_cpu_kernel_table_t* const llmir_cpu_kernel_tables[] = {
#include "cpu_kernel_levels.inc"
};
#undef LLMIR_CPU_KERNEL_LEVEL

const uint32_t llmir_cpu_kernel_table_count =
    sizeof llmir_cpu_kernel_tables / sizeof llmir_cpu_kernel_tables[0];
