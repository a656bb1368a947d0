/* Memory for the library out of one static array: what it takes it takes from the front, and what
 * it took last it can give back. llmirc states in the model's header how large the array has to be.
 */
#ifndef LLMIR_FIRMWARE_STATIC_ARENA_H
#define LLMIR_FIRMWARE_STATIC_ARENA_H

#include "llmir.h"

typedef struct static_arena {
    unsigned char* memory;
    size_t bytes;
    size_t used;
    size_t most; /* that was ever in use */
    size_t live; /* bytes of blocks that were not given back; at 0 the arena is empty again */
} static_arena_t;

/* The allocator to put into llmir_runtime_options_t; `arena` must outlive the runtime. */
llmir_allocator_t static_arena_allocator(static_arena_t* arena);

#endif /* LLMIR_FIRMWARE_STATIC_ARENA_H */
