/* Memory through the application's allocator. A zero-initialised llmir_allocator_t is the C
 * library's heap. */
#ifndef LLMIR_BASE_ALLOCATOR_H
#define LLMIR_BASE_ALLOCATOR_H

#include "core/base/status.h"

/* Returns `allocator` with the default filled in where resize is NULL. */
llmir_allocator_t llmir_allocator_or_default(llmir_allocator_t allocator);

/* Allocates `bytes` (> 0) of zeroed memory; *out is NULL on failure. `what` names it in the
 * message. */
llmir_status_t llmir_allocate(const llmir_allocator_t* allocator,
                              size_t bytes,
                              size_t alignment,
                              const char* what,
                              void** out,
                              llmir_error_t* error);

/* Grows or shrinks *inout_block, keeping its contents; new bytes are not zeroed. On failure the
 * block is as before. */
llmir_status_t llmir_reallocate(const llmir_allocator_t* allocator,
                                void** inout_block,
                                size_t old_bytes,
                                size_t new_bytes,
                                size_t alignment,
                                const char* what,
                                llmir_error_t* error);

/* Frees what the functions above returned; NULL allowed. `bytes` and `alignment` as allocated. */
void llmir_free(const llmir_allocator_t* allocator, void* block, size_t bytes, size_t alignment);

#endif /* LLMIR_BASE_ALLOCATOR_H */
