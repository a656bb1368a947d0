/* The functions of vec16_math.h lane by lane: the same operations in the same order, and therefore
 * the same bits, in a tenth of the code where there are no vectors. */
#ifndef LLMIR_CPU_VEC16_MATH_SMALL_H
#define LLMIR_CPU_VEC16_MATH_SMALL_H

#include "targets/cpu/kernels/vec16_math.h"

/* exp(x) = 2^n * exp(r); *out_scale is 2^(n + bias - 127). */
LLMIR_OUTLINE float small_exp_split(float x, float bias, float* out_scale) {
    const float magic = LLMIR_EXP_ROUND + bias;
    const float t = small_fma(x, LLMIR_EXP_LOG2E, magic);
    const float n = t - magic;
    float r = small_fma(n, LLMIR_EXP_LN2_HIGH, x);
    r = small_fma(n, LLMIR_EXP_LN2_LOW, r);
    float p = small_fma(LLMIR_EXP_C6, r, LLMIR_EXP_C5);
    p = small_fma(p, r, LLMIR_EXP_C4);
    p = small_fma(p, r, LLMIR_EXP_C3);
    p = small_fma(p, r, LLMIR_EXP_C2);
    p = small_fma(p, r, 1.0f);
    p = small_fma(p, r, 1.0f);
    const uint32_t bits = (uint32_t)v16_bits(t) << 23;
    __builtin_memcpy(out_scale, &bits, sizeof bits);
    return p;
}

LLMIR_OUTLINE float small_exp(float x) {
    float scale;
    const float p = small_exp_split(x, 126.0f, &scale);
    float result = (p + p) * scale;
    result = x < LLMIR_EXP_LOWEST ? 0.0f : result;
    return LLMIR_EXP_HIGHEST < x ? __builtin_inff() : result;
}

LLMIR_OUTLINE float small_tanh(float x) {
    return 1.0f - 2.0f / (small_exp(x + x) + 1.0f);
}

#define LLMIR_SMALL_LANES(expression) \
    LLMIR_ROLLED                      \
    for (int i = 0; i < 16; ++i) {    \
        x.lane[i] = (expression);     \
    }                                 \
    return x

LLMIR_OUTLINE float small_exp_nonpositive(float x) {
    float scale;
    const float p = small_exp_split(x, 127.0f, &scale);
    return x < LLMIR_EXP_LOWEST ? 0.0f : p * scale;
}
LLMIR_VEC v16f v16_exp_nonpositive(v16f x) {
    LLMIR_SMALL_LANES(small_exp_nonpositive(x.lane[i]));
}
LLMIR_VEC v16f v16_exp(v16f x) {
    LLMIR_SMALL_LANES(small_exp(x.lane[i]));
}
LLMIR_VEC v16f v16_sigmoid(v16f x) {
    LLMIR_SMALL_LANES(1.0f / (1.0f + small_exp(0.0f - x.lane[i])));
}
LLMIR_VEC v16f v16_tanh(v16f x) {
    LLMIR_SMALL_LANES(small_tanh(x.lane[i]));
}
LLMIR_VEC v16f v16_soft_cap(v16f x, float cap) {
    LLMIR_SMALL_LANES(cap * small_tanh(x.lane[i] / cap));
}

LLMIR_OUTLINE float small_gate(float x, uint32_t gate) {
    if (gate == LLMIR_GATE_SILU) {
        return x / (1.0f + small_exp(0.0f - x));
    }
    if (gate == LLMIR_GATE_GELU_TANH) {
        const float cubic = small_fma(x * x, LLMIR_GELU_CUBIC, 1.0f);
        return x / (1.0f + small_exp(x * LLMIR_GELU_SCALE * cubic));
    }
    return x;
}
LLMIR_VEC v16f v16_gate(v16f x, uint32_t gate) {
    LLMIR_SMALL_LANES(small_gate(x.lane[i], gate));
}

#undef LLMIR_SMALL_LANES

#endif /* LLMIR_CPU_VEC16_MATH_SMALL_H */
