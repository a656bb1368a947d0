/* What the stand-in driver executes in place of a GPU's module: a shared object made from the same
 * kernels (compiler/unittests/GpuKernels/HostKernels.h), in a file whose name is a hash of the
 * module. */
#ifndef LLMIR_FAKE_KERNEL_H
#define LLMIR_FAKE_KERNEL_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One thread of a kernel. `words` are LLMIR_GPU_WORD_COUNT; `barrier` is called with `executor` and
 * returns when all threads of the workgroup have called it. */
typedef void (*fake_kernel_fn)(uint32_t* binding_0,
                               uint32_t* binding_1,
                               uint32_t* binding_2,
                               uint32_t* binding_3,
                               uint32_t* binding_4,
                               uint32_t* binding_5,
                               uint32_t* binding_6,
                               const uint32_t* words,
                               size_t thread,
                               size_t group_x,
                               size_t group_y,
                               void (*barrier)(void* executor),
                               void* executor);

#define FAKE_KERNEL_NAME_BYTES 32u

/* "0123456789abcdef.so": FNV-1a of the module's bytes. */
static inline void fake_kernel_file_name(const void* module,
                                         size_t bytes,
                                         char out_name[FAKE_KERNEL_NAME_BYTES]) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; ++i) {
        hash = (hash ^ ((const uint8_t*)module)[i]) * UINT64_C(0x100000001b3);
    }
    (void)snprintf(out_name, FAKE_KERNEL_NAME_BYTES, "%016" PRIx64 ".so", hash);
}

#endif /* LLMIR_FAKE_KERNEL_H */
