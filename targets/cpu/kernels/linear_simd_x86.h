/* The integer and float vectors of linear_maddubs.h: eight 32-bit lanes with AVX2, four with
 * SSE4.1. A lane is an output row; 8-bit operations hold 4 columns of it. */
#ifndef LLMIR_CPU_LINEAR_SIMD_X86_H
#define LLMIR_CPU_LINEAR_SIMD_X86_H

#include "targets/cpu/kernels/vec16.h"

#if defined(__AVX2__)
#define LINEAR_SPAN 8u /* rows of a vector */
typedef __m256i linear_int;
typedef __m256 linear_f32;
#define LINEAR_I(op) _mm256_##op
#define LINEAR_F(op) _mm256_##op
#define LINEAR_ZERO() _mm256_setzero_si256()
#define LINEAR_AND(x, y) _mm256_and_si256(x, y)
#define LINEAR_XOR(x, y) _mm256_xor_si256(x, y)
#else
#define LINEAR_SPAN 4u
typedef __m128i linear_int;
typedef __m128 linear_f32;
#define LINEAR_I(op) _mm_##op
#define LINEAR_F(op) _mm_##op
#define LINEAR_ZERO() _mm_setzero_si128()
#define LINEAR_AND(x, y) _mm_and_si128(x, y)
#define LINEAR_XOR(x, y) _mm_xor_si128(x, y)
#endif

LLMIR_VEC linear_int linear_load(const void* p) {
#if defined(__AVX2__)
    return _mm256_load_si256((const __m256i*)p);
#else
    return _mm_load_si128((const __m128i*)p);
#endif
}

/* Four consecutive activations in every lane. */
LLMIR_VEC linear_int linear_broadcast4(const int8_t* a) {
    int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    return LINEAR_I(set1_epi32)(quad);
}

/* SPAN binary16 numbers. */
LLMIR_VEC linear_f32 linear_load_f16(const uint8_t* p) {
#if defined(__AVX2__)
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i*)p));
#else
    return v16_f16_quarter((const uint16_t*)p);
#endif
}

/* x * y + z: fused where the ISA can. */
LLMIR_VEC linear_f32 linear_fma(linear_f32 x, linear_f32 y, linear_f32 z) {
#if defined(__AVX2__)
    return _mm256_fmadd_ps(x, y, z);
#else
    return _mm_add_ps(_mm_mul_ps(x, y), z);
#endif
}

#endif /* LLMIR_CPU_LINEAR_SIMD_X86_H */
