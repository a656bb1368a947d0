/* Executing a kernel of fake_kernel.h: what the stand-ins for all drivers share. */
#ifndef LLMIR_FAKE_EXECUTE_H
#define LLMIR_FAKE_EXECUTE_H

#include "llmir_bundle.h"
#include "tests/support/fake_driver/fake_kernel.h"

typedef struct fake_launch {
    fake_kernel_fn run;
    uint32_t* bindings[LLMIR_GPU_BINDING_COUNT]; /* NULL: not used */
    const uint32_t* words;                       /* [LLMIR_GPU_WORD_COUNT] */
    uint32_t grid_x, grid_y, threads;
    int has_barrier;
    int is_wrong; /* every second workgroup does nothing */
} fake_launch_t;

/* All workgroups, one after the other. Returns 0; or of a workgroup whose other threads are done
 * how many wait at a barrier, after which nothing can be executed any more. Exits without memory.
 */
uint32_t fake_execute_groups(const fake_launch_t* launch);

#endif /* LLMIR_FAKE_EXECUTE_H */
