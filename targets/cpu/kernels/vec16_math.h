/* Exponentials of sixteen lanes and what is made of them. One sequence of operations for all ISAs,
 * so that they agree bit by bit where v16_fma rounds once. */
#ifndef LLMIR_CPU_VEC16_MATH_H
#define LLMIR_CPU_VEC16_MATH_H

#include "llmir_bundle.h"
#include "targets/cpu/kernels/vec16.h"

/* Of exp(x) = 2^n * exp(r): log2 e, minus ln 2 in two parts, the first so short that n times it is
 * exact, and minimax coefficients of exp(r), relative error 2^-28. */
#define LLMIR_EXP_LOG2E 0x1.715476p+0f
#define LLMIR_EXP_LN2_HIGH (-0x1.62ep-1f)
#define LLMIR_EXP_LN2_LOW (-0x1.0bfbe8p-15f)
#define LLMIR_EXP_C6 0x1.6a1f62p-10f
#define LLMIR_EXP_C5 0x1.123ccap-7f
#define LLMIR_EXP_C4 0x1.555904p-5f
#define LLMIR_EXP_C3 0x1.55548ep-3f
#define LLMIR_EXP_C2 0x1.fffffcp-2f
/* Adding it rounds to an integer, which is left in the low bits. */
#define LLMIR_EXP_ROUND 0x1.8p23f
/* Below ln 2^-125 results are 0: no subnormal numbers, which would be slow. */
#define LLMIR_EXP_LOWEST (-0x1.5a92d6p+6f)
/* The largest argument whose result is finite. */
#define LLMIR_EXP_HIGHEST 0x1.62e42ep+6f

/* GELU: -2 sqrt(2 / pi) x (1 + 0.044715 x^2). */
#define LLMIR_GELU_SCALE (-1.5957691216057308f)
#define LLMIR_GELU_CUBIC 0.044715f

#if defined(LLMIR_KERNEL_SMALL)
#include "targets/cpu/kernels/vec16_math_small.h"
#else

/* 2^n and exp(r) of exp(x) = 2^n * exp(r), as what they are multiplied with: see below. */
typedef struct v16_exp_parts {
    v16f scale; /* 2^(n + bias - 127) */
    v16f p;     /* exp(r) */
} v16_exp_parts_t;

/* x = n ln 2 + r with |r| <= ln 2 / 2 (a little more after rounding). Adding 1.5 * 2^23 + bias
 * rounds to the integer n and leaves n + bias in the low bits, from where it becomes an exponent.
 * ln 2 is taken in two parts, the first so short that n times it is exact. exp(r) is 1 + r + r^2
 * (c2 + ...) with minimax coefficients, relative error 2^-28. */
LLMIR_VEC v16_exp_parts_t v16_exp_split(v16f x, float bias) {
    const v16f magic = v16_set1(LLMIR_EXP_ROUND + bias);
    const v16f t = v16_fma(x, v16_set1(LLMIR_EXP_LOG2E), magic);
    const v16f n = v16_sub(t, magic);
    v16f r = v16_fma(n, v16_set1(LLMIR_EXP_LN2_HIGH), x);
    r = v16_fma(n, v16_set1(LLMIR_EXP_LN2_LOW), r);
    v16f p = v16_set1(LLMIR_EXP_C6);
    p = v16_fma(p, r, v16_set1(LLMIR_EXP_C5));
    p = v16_fma(p, r, v16_set1(LLMIR_EXP_C4));
    p = v16_fma(p, r, v16_set1(LLMIR_EXP_C3));
    p = v16_fma(p, r, v16_set1(LLMIR_EXP_C2));
    p = v16_fma(p, r, v16_set1(1.0f));
    p = v16_fma(p, r, v16_set1(1.0f));
    return (v16_exp_parts_t){v16_exponent_bits(t), p};
}

/* exp(x) for x <= 0 within 1 ulp (2 without FMA); NaN stays NaN. */
LLMIR_VEC v16f v16_exp_nonpositive(v16f x) {
    const v16_exp_parts_t parts = v16_exp_split(x, 127.0f);
    const v16f result = v16_mul(parts.p, parts.scale);
    return v16_select_lt(x, v16_set1(LLMIR_EXP_LOWEST), v16_zero(), result);
}

/* exp(x) for any x, the same bits as above for x <= 0. The scale is 2^(n - 1), because 2^128,
 * needed below the overflow threshold, is no f32. */
LLMIR_VEC v16f v16_exp(v16f x) {
    const v16_exp_parts_t parts = v16_exp_split(x, 126.0f);
    v16f result = v16_mul(v16_add(parts.p, parts.p), parts.scale);
    result = v16_select_lt(x, v16_set1(LLMIR_EXP_LOWEST), v16_zero(), result);
    return v16_select_lt(v16_set1(LLMIR_EXP_HIGHEST), x, v16_set1(__builtin_inff()), result);
}

/* 1 / (1 + exp(-x)) */
LLMIR_VEC v16f v16_sigmoid(v16f x) {
    const v16f one = v16_set1(1.0f);
    return v16_div(one, v16_add(one, v16_exp(v16_sub(v16_zero(), x))));
}

/* tanh(x) = 1 - 2 / (exp(2 x) + 1); the absolute error is below 2^-22. */
LLMIR_VEC v16f v16_tanh(v16f x) {
    const v16f one = v16_set1(1.0f);
    const v16f e = v16_exp(v16_add(x, x));
    return v16_sub(one, v16_div(v16_set1(2.0f), v16_add(e, one)));
}

/* c * tanh(x / c) */
LLMIR_VEC v16f v16_soft_cap(v16f x, float cap) {
    const v16f c = v16_set1(cap);
    return v16_mul(c, v16_tanh(v16_div(x, c)));
}

/* llmir_gate_t of x. GELU: 0.5 x (1 + tanh(u)) = x / (1 + exp(-2 u)). */
LLMIR_VEC v16f v16_gate(v16f x, uint32_t gate) {
    const v16f one = v16_set1(1.0f);
    if (gate == LLMIR_GATE_SILU) {
        return v16_div(x, v16_add(one, v16_exp(v16_sub(v16_zero(), x))));
    }
    if (gate == LLMIR_GATE_GELU_TANH) {
        /* -2 sqrt(2 / pi) x (1 + 0.044715 x^2) */
        const v16f cubic = v16_fma(v16_mul(x, x), v16_set1(LLMIR_GELU_CUBIC), one);
        const v16f e = v16_exp(v16_mul(v16_mul(x, v16_set1(LLMIR_GELU_SCALE)), cubic));
        return v16_div(x, v16_add(one, e));
    }
    return x;
}

#endif /* LLMIR_KERNEL_SMALL */

#endif /* LLMIR_CPU_VEC16_MATH_H */
