/* Memory of tests on Windows, whose C library lacks aligned_alloc and posix_memalign, and gives
 * what stands for them back by another function than free: here all go the same way. Included
 * before every file of the tests. */
#ifndef LLMIR_TEST_MEMORY_WINDOWS_H
#define LLMIR_TEST_MEMORY_WINDOWS_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define TEST_MEMORY_ALIGNMENT 16

static inline void* test_memory_zeroed(size_t count, size_t bytes) {
    void* block = bytes != 0 && count > (size_t)-1 / bytes
                      ? NULL
                      : _aligned_malloc(count * bytes, TEST_MEMORY_ALIGNMENT);
    return block == NULL ? NULL : memset(block, 0, count * bytes);
}

static inline int test_memory_aligned(void** out, size_t alignment, size_t bytes) {
    *out = _aligned_malloc(bytes, alignment);
    return *out == NULL;
}

#define malloc(bytes) _aligned_malloc((bytes), TEST_MEMORY_ALIGNMENT)
#define calloc(count, bytes) test_memory_zeroed((count), (bytes))
#define realloc(block, bytes) _aligned_realloc((block), (bytes), TEST_MEMORY_ALIGNMENT)
#define free(block) _aligned_free(block)
#define aligned_alloc(alignment, bytes) _aligned_malloc((bytes), (alignment))
#define posix_memalign(out, alignment, bytes) test_memory_aligned((out), (alignment), (bytes))

#endif /* LLMIR_TEST_MEMORY_WINDOWS_H */
