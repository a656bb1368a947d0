/* Checked allocation over the application's allocator, and the default allocator over the C
 * library's heap. The default serves any power-of-two alignment with plain malloc: a block with
 * more alignment than malloc gives is cut out of a larger one, whose address stands in front of it.
 *
 *   original            block - sizeof(void*)   block (aligned)
 *   | unused ...        | original              | size bytes ... | unused |
 *
 * LLMIR_NO_HEAP: there is no heap, so the default refuses everything and the C library's is not
 * linked. */
#include "core/base/allocator.h"

#include <stdalign.h>
#if !defined(LLMIR_NO_HEAP)
#include <stdlib.h>
#endif
#include <string.h>

#include "core/base/size.h"

static int is_power_of_two(size_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

#if defined(LLMIR_NO_HEAP)

static void* heap_resize(
    void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    (void)self, (void)block, (void)old_size, (void)new_size, (void)alignment;
    return NULL;
}

static void* heap_allocate_zeroed(size_t size, size_t alignment) {
    (void)size, (void)alignment;
    return NULL;
}

#else

#define HEAP_ALIGNMENT alignof(max_align_t)

/* Bytes to ask of malloc for an aligned block. */
static int padded_size(size_t size, size_t alignment, size_t* out) {
    return llmir_size_add(size, alignment, out) && llmir_size_add(*out, sizeof(void*), out);
}

static uint8_t* align_block(uint8_t* original, size_t alignment) {
    const uintptr_t first = (uintptr_t)original + sizeof(void*);
    const uintptr_t aligned = (first + alignment - 1) & ~((uintptr_t)alignment - 1);
    return original + (aligned - (uintptr_t)original);
}

static void* original_of(const void* block) {
    void* original;
    memcpy(&original, (const uint8_t*)block - sizeof original, sizeof original);
    return original;
}

static void* finish_block(uint8_t* block, void* original) {
    memcpy(block - sizeof original, &original, sizeof original);
    return block;
}

static void heap_free(void* block, size_t alignment) {
    if (block != NULL) {
        free(alignment <= HEAP_ALIGNMENT ? block : original_of(block));
    }
}

/* realloc keeps the contents relative to the start of the original block; where the aligned block
 * begins in the new one may differ, and then the contents move. */
static void* heap_resize_aligned(void* block, size_t old_size, size_t new_size, size_t alignment) {
    size_t padded;
    if (!padded_size(new_size, alignment, &padded)) {
        return NULL;
    }
    size_t old_distance = 0;
    void* original = NULL;
    if (block != NULL) {
        original = original_of(block);
        old_distance = (size_t)((uint8_t*)block - (uint8_t*)original);
    }
    uint8_t* moved = realloc(original, padded);
    if (moved == NULL) {
        return NULL;
    }
    uint8_t* aligned = align_block(moved, alignment);
    if (block != NULL && aligned != moved + old_distance) {
        memmove(aligned, moved + old_distance, old_size < new_size ? old_size : new_size);
    }
    return finish_block(aligned, moved);
}

static void* heap_resize(
    void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    (void)self;
    if (new_size == 0) {
        heap_free(block, alignment);
        return NULL;
    }
    if (!is_power_of_two(alignment)) {
        return NULL;
    }
    return alignment <= HEAP_ALIGNMENT ? realloc(block, new_size)
                                       : heap_resize_aligned(block, old_size, new_size, alignment);
}

/* The heap's own zeroed memory: pages of a large block cost nothing before they are touched. */
static void* heap_allocate_zeroed(size_t size, size_t alignment) {
    if (!is_power_of_two(alignment)) {
        return NULL;
    }
    if (alignment <= HEAP_ALIGNMENT) {
        return calloc(1, size);
    }
    size_t padded;
    if (!padded_size(size, alignment, &padded)) {
        return NULL;
    }
    uint8_t* original = calloc(1, padded);
    return original == NULL ? NULL : finish_block(align_block(original, alignment), original);
}

#endif

llmir_allocator_t llmir_allocator_or_default(llmir_allocator_t allocator) {
    if (allocator.resize == NULL) {
        allocator.self = NULL;
        allocator.resize = heap_resize;
    }
    return allocator;
}

llmir_status_t llmir_allocate(const llmir_allocator_t* allocator,
                              size_t bytes,
                              size_t alignment,
                              const char* what,
                              void** out,
                              llmir_error_t* error) {
    *out = NULL;
    if (bytes == 0 || !is_power_of_two(alignment)) {
        return llmir_fail(error, LLMIR_STATUS_INTERNAL,
                          "%s: cannot allocate %zu bytes aligned to %zu", what, bytes, alignment);
    }
    void* block = NULL;
    if (allocator->resize == NULL || allocator->resize == heap_resize) {
        block = heap_allocate_zeroed(bytes, alignment);
    } else {
        block = allocator->resize(allocator->self, NULL, 0, bytes, alignment);
        if (block != NULL) {
            memset(block, 0, bytes);
        }
    }
    if (block == NULL) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY, "%s: %zu bytes were refused", what,
                          bytes);
    }
    *out = block;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_reallocate(const llmir_allocator_t* allocator,
                                void** inout_block,
                                size_t old_bytes,
                                size_t new_bytes,
                                size_t alignment,
                                const char* what,
                                llmir_error_t* error) {
    if (new_bytes == 0 || !is_power_of_two(alignment)) {
        return llmir_fail(error, LLMIR_STATUS_INTERNAL,
                          "%s: cannot resize to %zu bytes aligned to %zu", what, new_bytes,
                          alignment);
    }
    const llmir_allocator_t used = llmir_allocator_or_default(*allocator);
    void* block = used.resize(used.self, *inout_block, old_bytes, new_bytes, alignment);
    if (block == NULL) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY,
                          "%s: %zu bytes were refused (%zu so far)", what, new_bytes, old_bytes);
    }
    *inout_block = block;
    return LLMIR_STATUS_OK;
}

void llmir_free(const llmir_allocator_t* allocator, void* block, size_t bytes, size_t alignment) {
    if (block != NULL) {
        const llmir_allocator_t used = llmir_allocator_or_default(*allocator);
        (void)used.resize(used.self, block, bytes, 0, alignment);
    }
}
