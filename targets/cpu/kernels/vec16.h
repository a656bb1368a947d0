/* v16f: sixteen f32 lanes, the one vector of all float kernels, with the same bits on every ISA
 * that has a fused multiply-add. One header per ISA holds the primitives:
 *
 *   AVX-512   one register           v16f_avx512.h
 *   AVX2      two                    v16f_avx2.h     with FMA and F16C
 *   SSE4.1    four                   v16f_sse.h      v16_fma rounds twice: no FMA before AVX2
 *   NEON      four                   v16f_neon.h     AArch64, ARMv7 with VFPv4
 *   RVV       four or fewer          v16f_rvv.h      clang only: its vector types are the registers
 *   plain C   vectors of gcc, clang  v16f_portable.h rounds twice too; once in test builds that
 *                                                    define LLMIR_KERNEL_EXACT_FMA and link libm
 *   small     an array of 16         v16f_small.h    the same bits, for processors without vectors
 *                                                    (LLMIR_KERNEL_SMALL, of LLMIR_MINIMAL)
 *
 * Primitives, with x, y, z: v16f; i: v16i, sixteen int32 lanes; p: memory of any alignment; n < 16:
 *
 *  - v16_zero() v16_set1(f) v16_load(p) v16_store(p, x)
 *  - v16_add v16_sub v16_mul v16_div v16_sqrt v16_abs: IEEE, correctly rounded
 *  - v16_fma(x, y, z) = x * y + z
 *  - v16_max(x, y) = x > y ? x : y and v16_min(x, y) = x < y ? x : y: y if one is NaN
 *  - v16_select_lt(x, y, a, b) = x < y ? a : b
 *  - v16_load_f16 v16_store_f16 (nearest even) v16_load_bf16 v16_load_i8 v16_load_u8
 *  - v16_round(x): nearest even int32; |x| must be below 2^22
 *  - v16_exponent_bits(x): the low 8 bits of x's pattern as the exponent of a positive f32
 *  - v16_sum(x): a tree over lanes j + 8, + 4, + 2, + 1; v16_max_lanes(x)
 *  - v16_swap(x, s): lane i of the result is lane i ^ s of x, s a constant 1, 2, 4 or 8; with AVX
 *  - v16i_zero() v16i_add v16i_sum(i) v16i_to_f32(i)
 *  - v16i_store_i8(p, i): lanes must be in -128 .. 127; v16i_store_i16(p, i): in int16
 *  - v16p, sixteen pairs of int16: v16p_load_i8(p), v16p_set1(p) one pair for all lanes;
 *    v16p_dot(x, y, i): i + the sum of the products of each pair, exact in int32
 *  - v16_load_n v16_store_n v16_load_f16_n v16_store_f16_n: the first n lanes; others load as 0
 *  - LLMIR_V16_REGISTERS: how many v16f the registers hold, for choosing blockings;
 *    LLMIR_V16_SLOW_F16: defined where conversions from f16 are worth sharing by themselves
 *
 * Functions with exponentials are in vec16_math.h. */
#ifndef LLMIR_CPU_VEC16_H
#define LLMIR_CPU_VEC16_H

#include <stdint.h>

#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && !defined(LLMIR_KERNEL_SMALL)
#define LLMIR_KERNEL_SMALL /* microcontrollers have no vectors of floats, and little room */
#endif

#if defined(LLMIR_KERNEL_SMALL)
#define LLMIR_VEC static inline /* the compiler knows what is small */
#define LLMIR_OUTLINE static __attribute__((noinline, unused))
#elif defined(__GNUC__)
#define LLMIR_VEC static inline __attribute__((always_inline))
#define LLMIR_OUTLINE static __attribute__((noinline, unused)) /* one copy: size counts */
#else
#define LLMIR_VEC static inline
#define LLMIR_OUTLINE static
#endif

/* Before a loop that is not worth copies of its body. Compilers unroll whatever may end early. */
#if defined(__clang__)
#define LLMIR_ROLLED _Pragma("nounroll")
#elif defined(__GNUC__) && defined(__OPTIMIZE__)
#define LLMIR_ROLLED _Pragma("GCC unroll 1")
#else
#define LLMIR_ROLLED
#endif

/* Before a loop of a few rounds whose arrays must become registers. Clang judges by size, and does
 * so anew when a bundle's kernels are specialised; gcc does where a v16f is four registers. */
#if defined(__clang__)
#define LLMIR_UNROLLED _Pragma("unroll")
#elif defined(__GNUC__) && defined(__OPTIMIZE__) && defined(__ARM_NEON)
#define LLMIR_UNROLLED _Pragma("GCC unroll 16")
#else
#define LLMIR_UNROLLED
#endif

#define LLMIR_LANES 16u

/* Copies fewer than 64 bytes with moves of fixed size: a loop could become a call of memcpy. */
LLMIR_VEC void v16_copy_bytes(void* to, const void* from, uint32_t bytes) {
    uint8_t* out = (uint8_t*)to;
    const uint8_t* in = (const uint8_t*)from;
#define LLMIR_COPY_STEP(step)            \
    if (bytes & (step)) {                \
        __builtin_memcpy(out, in, step); \
        out += (step);                   \
        in += (step);                    \
    }
    LLMIR_COPY_STEP(32u)
    LLMIR_COPY_STEP(16u)
    LLMIR_COPY_STEP(8u)
    LLMIR_COPY_STEP(4u)
    LLMIR_COPY_STEP(2u)
    LLMIR_COPY_STEP(1u)
#undef LLMIR_COPY_STEP
}

#if defined(LLMIR_KERNEL_SMALL)
#include "targets/cpu/kernels/v16f_small.h"
#elif defined(LLMIR_KERNEL_EXACT_FMA)
#include "targets/cpu/kernels/v16f_portable.h"
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
    defined(__AVX512VL__)
#include "targets/cpu/kernels/v16f_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "targets/cpu/kernels/v16f_avx2.h"
#elif defined(__SSE4_1__)
#include "targets/cpu/kernels/v16f_sse.h"
#elif defined(__aarch64__) || \
    (defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA) && defined(__ARM_FP) && (__ARM_FP & 2))
#include "targets/cpu/kernels/v16f_neon.h"
#elif defined(__riscv_vector) && defined(__clang__)
#include "targets/cpu/kernels/v16f_rvv.h"
#else
#include "targets/cpu/kernels/v16f_portable.h"
#endif

/* ---- Multiply-adds of one number: in place, which saves the small form most of its copies ---- */

#if defined(LLMIR_KERNEL_SMALL)
typedef float v16s; /* the same in all lanes */
LLMIR_VEC v16s v16s_set1(float x) {
    return x;
}
static inline __attribute__((always_inline)) void v16_fma_into(v16f* sum, v16s x, const v16f* y) {
    LLMIR_ROLLED
    for (int i = 0; i < 16; ++i) {
        sum->lane[i] = small_fma(x, y->lane[i], sum->lane[i]);
    }
}
#else
typedef v16f v16s;
LLMIR_VEC v16s v16s_set1(float x) {
    return v16_set1(x);
}
LLMIR_VEC void v16_fma_into(v16f* sum, v16s x, const v16f* y) {
    *sum = v16_fma(x, *y, *sum);
}
#endif

/* ---- Partial loads and stores: only at the ends of rows, so a call and the
 * way through memory are fine ----
 */

LLMIR_OUTLINE v16f v16_load_n(const float* p, uint32_t n) {
    float lanes[16] = {0};
    v16_copy_bytes(lanes, p, n * 4u);
    return v16_load(lanes);
}

LLMIR_OUTLINE void v16_store_n(float* p, v16f x, uint32_t n) {
    float lanes[16];
    v16_store(lanes, x);
    v16_copy_bytes(p, lanes, n * 4u);
}

LLMIR_OUTLINE v16f v16_load_f16_n(const uint16_t* p, uint32_t n) {
    uint16_t lanes[16] = {0};
    v16_copy_bytes(lanes, p, n * 2u);
    return v16_load_f16(lanes);
}

LLMIR_OUTLINE void v16_store_f16_n(uint16_t* p, v16f x, uint32_t n) {
    uint16_t lanes[16];
    v16_store_f16(lanes, x);
    v16_copy_bytes(p, lanes, n * 2u);
}

/* The first `n` lanes, all of them for n >= 16: the body of loops over rows of any length. */
LLMIR_VEC v16f v16_load_upto(const float* p, uint32_t n) {
    return n >= LLMIR_LANES ? v16_load(p) : v16_load_n(p, n);
}

LLMIR_VEC void v16_store_upto(float* p, v16f x, uint32_t n) {
    if (n >= LLMIR_LANES) {
        v16_store(p, x);
    } else {
        v16_store_n(p, x, n);
    }
}

#endif /* LLMIR_CPU_VEC16_H */
