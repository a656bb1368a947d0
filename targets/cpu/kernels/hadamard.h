/* Turning a head by the orthonormal Hadamard matrix of quant/kv_layout.h, in place. A product of
 * two turned vectors is that of the vectors themselves, and the matrix is its own inverse.
 * Additions are those of the fast transform, smallest distance first, and the same on every ISA. */
#ifndef LLMIR_CPU_HADAMARD_H
#define LLMIR_CPU_HADAMARD_H

#include "targets/cpu/kernels/vec16.h"

#if LLMIR_V16_REGISTERS >= 8
/* Lane i of the result: x[i] + x[i + step] where bit `step` of i is 0, else x[i - step] - x[i]. */
LLMIR_VEC v16f hadamard_lanes(v16f x, const int step) {
    float sign[LLMIR_LANES];
    for (int i = 0; i < 16; ++i) {
        sign[i] = (i & step) != 0 ? -1.0f : 1.0f;
    }
    return v16_fma(x, v16_load(sign), v16_swap(x, step)); /* exact products: one rounding */
}

/* Steps 1 to 8 (to 4 if n is 8). */
LLMIR_VEC void hadamard_small_steps(float* x, uint32_t n) {
    LLMIR_ROLLED
    for (uint32_t i = 0; i < n; i += LLMIR_LANES) {
        v16f v = v16_load_upto(x + i, n - i);
        v = hadamard_lanes(v, 1);
        v = hadamard_lanes(v, 2);
        v = hadamard_lanes(v, 4);
        v = n >= LLMIR_LANES ? hadamard_lanes(v, 8) : v;
        v16_store_upto(x + i, v, n - i);
    }
}
#else
LLMIR_VEC void hadamard_small_steps(float* x, uint32_t n) {
    const uint32_t end = n < LLMIR_LANES ? n : LLMIR_LANES;
    LLMIR_ROLLED
    for (uint32_t step = 1; step < end; step *= 2u) {
        LLMIR_ROLLED
        for (uint32_t i = 0; i < n; ++i) {
            if ((i & step) == 0) {
                const float a = x[i];
                const float b = x[i + step];
                x[i] = a + b;
                x[i + step] = a - b;
            }
        }
    }
}
#endif

/* One block of `n` elements, a power of two from 8 on. */
LLMIR_VEC void hadamard_block(float* x, uint32_t n) {
    float norm = 1.0f;
    LLMIR_ROLLED
    for (uint32_t i = n; i > 1; i /= 4u) {
        norm *= i >= 4u ? 0.5f : 0.70710678118654752f;
    }
    hadamard_small_steps(x, n);
    LLMIR_ROLLED
    for (uint32_t step = LLMIR_LANES; step < n; step *= 2u) {
        LLMIR_ROLLED
        for (uint32_t i = 0; i < n; i += LLMIR_LANES) {
            if ((i & step) == 0) {
                const v16f a = v16_load(x + i);
                const v16f b = v16_load(x + i + step);
                v16_store(x + i, v16_add(a, b));
                v16_store(x + i + step, v16_sub(a, b));
            }
        }
    }
    LLMIR_ROLLED
    for (uint32_t i = 0; i < n; i += LLMIR_LANES) {
        v16_store_upto(x + i, v16_mul(v16_load_upto(x + i, n - i), v16_set1(norm)), n - i);
    }
}

LLMIR_OUTLINE void hadamard_turn(float* x, uint32_t dim) {
    while (dim != 0) {
        uint32_t n = 8u;
        while (n * 2u <= dim) {
            n *= 2u;
        }
        hadamard_block(x, n);
        x += n;
        dim -= n;
    }
}

#endif /* LLMIR_CPU_HADAMARD_H */
