/* The built-in kernels of every ISA level in this build, and how many tiles a dispatch has.
 * Choosing a level for the processor at hand is the device's work. */
#ifndef LLMIR_CPU_KERNEL_TABLE_H
#define LLMIR_CPU_KERNEL_TABLE_H

#include <stdint.h>

#include "targets/cpu/kernels/kernel.h"

typedef struct llmir_cpu_kernel_table {
    uint32_t level;                              /* llmir_cpu_level_t */
    llmir_cpu_kernel_fn run[LLMIR_KERNEL_COUNT]; /* indexed by llmir_kernel_t; entry 0 is NULL */
} llmir_cpu_kernel_table_t;

/* Ascending levels; entry 0 is the portable one, level NONE. */
extern const llmir_cpu_kernel_table_t* const llmir_cpu_kernel_tables[];
extern const uint32_t llmir_cpu_kernel_table_count;

/* Tiles of a dispatch of `kernel` (llmir_kernel_t) over this batch; 0 if there are no rows. The
 * same for built-in and specialised code. */
uint32_t llmir_cpu_kernel_tile_count(uint32_t kernel,
                                     const void* params,
                                     const llmir_cpu_batch_t* batch);

#endif /* LLMIR_CPU_KERNEL_TABLE_H */
