/* Arithmetic on sizes that cannot wrap: each function returns 1 and stores the result, or returns
 * 0. */
#ifndef LLMIR_BASE_SIZE_H
#define LLMIR_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/compiler.h"

LLMIR_INLINE int llmir_size_add(size_t a, size_t b, size_t* out) {
    *out = a + b;
    return *out >= a;
}

LLMIR_INLINE int llmir_size_mul(size_t a, size_t b, size_t* out) {
    if (a != 0 && b > SIZE_MAX / a) {
        return 0;
    }
    *out = a * b;
    return 1;
}

/* Rounds up to a multiple of `alignment`, a power of two. */
LLMIR_INLINE int llmir_size_align(size_t a, size_t alignment, size_t* out) {
    if (!llmir_size_add(a, alignment - 1, out)) {
        return 0;
    }
    *out &= ~(alignment - 1);
    return 1;
}

/* Whether [offset, offset + bytes) lies inside [0, total). */
LLMIR_INLINE int llmir_range_fits(uint64_t offset, uint64_t bytes, uint64_t total) {
    return offset <= total && bytes <= total - offset;
}

#endif /* LLMIR_BASE_SIZE_H */
