/* See static_arena.h. Blocks lie one behind the other; a block that is not the last stays until
 * those behind it are gone. */
#include "static_arena.h"

#include <stdint.h>
#include <string.h>

static void* take(static_arena_t* arena, size_t bytes, size_t alignment) {
    const uintptr_t base = (uintptr_t)arena->memory;
    const uintptr_t at = (base + arena->used + alignment - 1u) & ~(uintptr_t)(alignment - 1u);
    const size_t offset = (size_t)(at - base);
    if (offset > arena->bytes || bytes > arena->bytes - offset) {
        return NULL; /* the library reports it: OUT_OF_MEMORY */
    }
    arena->used = offset + bytes;
    arena->live += bytes;
    arena->most = arena->used > arena->most ? arena->used : arena->most;
    return arena->memory + offset;
}

static void give_back(static_arena_t* arena, const void* block, size_t bytes) {
    if (block == NULL) {
        return;
    }
    arena->live -= bytes;
    if (arena->live == 0) {
        arena->used = 0;
    } else if ((const unsigned char*)block + bytes == arena->memory + arena->used) {
        arena->used -= bytes;
    }
}

static void* resize(void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    static_arena_t* arena = self;
    if (new_size == 0) {
        give_back(arena, block, old_size);
        return NULL;
    }
    void* moved = take(arena, new_size, alignment);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        give_back(arena, block, old_size);
    }
    return moved;
}

llmir_allocator_t static_arena_allocator(static_arena_t* arena) {
    const llmir_allocator_t allocator = {arena, resize};
    return allocator;
}
