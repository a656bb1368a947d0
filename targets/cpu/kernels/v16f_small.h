/* v16f as an array and loops over it, for processors without vectors and programs that must be
 * small: each primitive is a handful of instructions, and the compiler chooses what to inline. The
 * operations and their order are those of v16f_portable.h, so the bits are the same; see vec16.h
 * for what each primitive does. */
#ifndef LLMIR_CPU_V16F_SMALL_H
#define LLMIR_CPU_V16F_SMALL_H

#include <stdint.h>

#include "quant/half.h"

typedef struct v16f {
    float lane[16];
} v16f;
typedef struct v16i {
    int32_t lane[16];
} v16i;
typedef v16i v16p; /* a pair in the halves of each lane */

#define LLMIR_V16_REGISTERS 1

/* out.lane[i] = expression(i) for all lanes. */
#define LLMIR_V16_LANES(type, expression) \
    type out;                             \
    LLMIR_ROLLED                          \
    for (int i = 0; i < 16; ++i) {        \
        out.lane[i] = (expression);       \
    }                                     \
    return out

LLMIR_VEC v16f v16_set1(float f) {
    LLMIR_V16_LANES(v16f, f);
}
LLMIR_VEC v16f v16_zero(void) {
    return v16_set1(0.0f);
}
LLMIR_VEC v16f v16_load(const float* p) {
    v16f out;
    __builtin_memcpy(&out, p, sizeof out);
    return out;
}
LLMIR_VEC void v16_store(float* p, v16f x) {
    __builtin_memcpy(p, &x, sizeof x);
}
LLMIR_VEC v16f v16_add(v16f x, v16f y) {
    LLMIR_V16_LANES(v16f, x.lane[i] + y.lane[i]);
}
LLMIR_VEC v16f v16_sub(v16f x, v16f y) {
    LLMIR_V16_LANES(v16f, x.lane[i] - y.lane[i]);
}
LLMIR_VEC v16f v16_mul(v16f x, v16f y) {
    LLMIR_V16_LANES(v16f, x.lane[i] * y.lane[i]);
}
LLMIR_VEC v16f v16_div(v16f x, v16f y) {
    LLMIR_V16_LANES(v16f, x.lane[i] / y.lane[i]);
}
/* On firmware's processors one instruction; elsewhere rounded twice, as in v16f_portable.h, even
 * where the processor has one, so that the portable level has the same bits everywhere. */
LLMIR_VEC float small_fma(float x, float y, float z) {
#if defined(LLMIR_KERNEL_EXACT_FMA) || (defined(__ARM_FEATURE_FMA) && __ARM_ARCH_PROFILE == 'M')
    return __builtin_fmaf(x, y, z);
#else
    return x * y + z;
#endif
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
    LLMIR_V16_LANES(v16f, small_fma(x.lane[i], y.lane[i], z.lane[i]));
}
LLMIR_VEC v16f v16_max(v16f x, v16f y) {
    LLMIR_V16_LANES(v16f, x.lane[i] > y.lane[i] ? x.lane[i] : y.lane[i]);
}
LLMIR_VEC v16f v16_min(v16f x, v16f y) {
    LLMIR_V16_LANES(v16f, x.lane[i] < y.lane[i] ? x.lane[i] : y.lane[i]);
}
LLMIR_VEC v16f v16_sqrt(v16f x) {
    LLMIR_V16_LANES(v16f, __builtin_sqrtf(x.lane[i]));
}
LLMIR_VEC v16f v16_abs(v16f x) {
    LLMIR_V16_LANES(v16f, __builtin_fabsf(x.lane[i]));
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    LLMIR_V16_LANES(v16f, x.lane[i] < y.lane[i] ? a.lane[i] : b.lane[i]);
}
#if defined(__ARM_FEATURE_FMA) && __ARM_ARCH_PROFILE == 'M' /* the same bits in one instruction */
LLMIR_VEC float small_from_f16(uint16_t bits) {
    float value;
    __asm__("vcvtb.f32.f16 %0, %1" : "=t"(value) : "t"((uint32_t)bits));
    return value;
}
LLMIR_VEC uint16_t small_to_f16(float value) {
    uint32_t bits;
    __asm__("vcvtb.f16.f32 %0, %1" : "=t"(bits) : "t"(value), "0"(0));
    return (uint16_t)bits;
}
#else
#define small_from_f16 llmir_f16_to_f32
#define small_to_f16 llmir_f32_to_f16
#endif
LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    LLMIR_V16_LANES(v16f, small_from_f16(p[i]));
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    LLMIR_ROLLED
    for (int i = 0; i < 16; ++i) {
        p[i] = small_to_f16(x.lane[i]);
    }
}
LLMIR_VEC v16f v16_load_bf16(const uint16_t* p) {
    LLMIR_V16_LANES(v16f, llmir_bf16_to_f32(p[i]));
}
LLMIR_VEC v16f v16_load_i8(const int8_t* p) {
    LLMIR_V16_LANES(v16f, (float)p[i]);
}
LLMIR_VEC v16f v16_load_u8(const uint8_t* p) {
    LLMIR_V16_LANES(v16f, (float)p[i]);
}

/* Adding 1.5 * 2^23 leaves the rounded integer in the low bits: no libm, no undefined conversion.
 */
LLMIR_VEC int32_t v16_bits(float x) {
    int32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}
LLMIR_VEC v16i v16_round(v16f x) {
    LLMIR_V16_LANES(v16i, v16_bits(x.lane[i] + 0x1.8p23f) - 0x4b400000);
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    v16f out;
    LLMIR_ROLLED
    for (int i = 0; i < 16; ++i) {
        const uint32_t bits = (uint32_t)v16_bits(t.lane[i]) << 23;
        __builtin_memcpy(&out.lane[i], &bits, sizeof bits);
    }
    return out;
}

LLMIR_VEC float v16_sum(v16f x) {
    LLMIR_ROLLED
    for (int half = 8; half > 0; half /= 2) {
        LLMIR_ROLLED
        for (int i = 0; i < half; ++i) {
            x.lane[i] += x.lane[i + half];
        }
    }
    return x.lane[0];
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    LLMIR_ROLLED
    for (int half = 8; half > 0; half /= 2) {
        LLMIR_ROLLED
        for (int i = 0; i < half; ++i) {
            x.lane[i] = x.lane[i] > x.lane[i + half] ? x.lane[i] : x.lane[i + half];
        }
    }
    return x.lane[0];
}

LLMIR_VEC v16i v16i_zero(void) {
    LLMIR_V16_LANES(v16i, 0);
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    LLMIR_V16_LANES(v16i, x.lane[i] + y.lane[i]);
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    int32_t sum = 0;
    LLMIR_ROLLED
    for (int i = 0; i < 16; ++i) {
        sum += x.lane[i];
    }
    return sum;
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    LLMIR_ROLLED
    for (int i = 0; i < 16; ++i) {
        p[i] = (int8_t)x.lane[i];
    }
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    LLMIR_ROLLED
    for (int i = 0; i < 16; ++i) {
        p[i] = (int16_t)x.lane[i];
    }
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    LLMIR_V16_LANES(v16f, (float)x.lane[i]);
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    int16_t pairs[32];
    v16p out;
    LLMIR_ROLLED
    for (int i = 0; i < 32; ++i) {
        pairs[i] = (int16_t)p[i]; /* NOLINT(bugprone-signed-char-misuse): the sign is meant */
    }
    __builtin_memcpy(&out, pairs, sizeof out);
    return out;
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    LLMIR_V16_LANES(v16p, pair);
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
    LLMIR_V16_LANES(v16i, z.lane[i] + (int16_t)x.lane[i] * (int16_t)y.lane[i] +
                              (x.lane[i] >> 16) * (y.lane[i] >> 16));
}

#undef LLMIR_V16_LANES

#endif /* LLMIR_CPU_V16F_SMALL_H */
