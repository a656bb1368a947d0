/* The module of a GPU image as a driver takes it. */
#ifndef LLMIR_GPU_UNPACK_H
#define LLMIR_GPU_UNPACK_H

#include "core/base/allocator.h"
#include "targets/gpu/gpu_code.h"

typedef struct llmir_gpu_module {
    const uint8_t* data; /* aligned as the section is, or better */
    size_t bytes;
    void* block; /* NULL: the module lies in the section */
} llmir_gpu_module_t;

/* Unpacks the module of `code` where it is packed. The section must outlive `out_module`, which
 * the caller frees with the same allocator. Errors: OUT_OF_MEMORY; CORRUPT, UNSUPPORTED (a packing
 * that this runtime does not know). On failure there is nothing to free. */
llmir_status_t llmir_gpu_module_unpack(const llmir_allocator_t* allocator,
                                       const llmir_gpu_code_t* code,
                                       llmir_gpu_module_t* out_module,
                                       llmir_error_t* error);

void llmir_gpu_module_free(const llmir_allocator_t* allocator, llmir_gpu_module_t* module);

#endif /* LLMIR_GPU_UNPACK_H */
