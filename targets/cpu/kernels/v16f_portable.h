/* v16f in C with the vector types of gcc and clang: four vectors of 16 bytes, which every SIMD
 * instruction set holds in registers and other processors take apart. v16_fma rounds twice, because
 * a software fma would be far too slow; the tests define LLMIR_KERNEL_EXACT_FMA to get the bits of
 * the ISAs that have one. See vec16.h for what each primitive does. */
#ifndef LLMIR_CPU_V16F_PORTABLE_H
#define LLMIR_CPU_V16F_PORTABLE_H

#include <stdint.h>

#include "quant/half.h"

typedef float v16_quarter __attribute__((vector_size(16)));
typedef int32_t v16_quarter_bits __attribute__((vector_size(16)));

typedef struct v16f {
    v16_quarter q[4]; /* lanes 0-3, 4-7, 8-11, 12-15 */
} v16f;
typedef struct v16i {
    v16_quarter_bits q[4];
} v16i;
typedef v16i v16p; /* a pair in the halves of each lane */

#define LLMIR_V16_REGISTERS 4      /* v16f values that registers can hold, a guess */
#if !defined(LLMIR_KERNEL_MINIMAL) /* there, small comes before fast */
#define LLMIR_V16_SLOW_F16         /* integer operations convert it */
#endif

/* out.q[i] = expression(i) for the four quarters. */
#define LLMIR_V16_QUARTERS(type, expression) \
    type out;                                \
    for (int i = 0; i < 4; ++i) {            \
        out.q[i] = (expression);             \
    }                                        \
    return out

/* Lane i of out = expression(i), for what has no vector operation. */
#define LLMIR_V16_LANES(expression) \
    float lanes[16];                \
    for (int i = 0; i < 16; ++i) {  \
        lanes[i] = (expression);    \
    }                               \
    return v16_load(lanes)

/* m ? a : b, m all ones or all zeros in each lane. */
LLMIR_VEC v16_quarter v16_choose(v16_quarter_bits m, v16_quarter a, v16_quarter b) {
    return (v16_quarter)((m & (v16_quarter_bits)a) | (~m & (v16_quarter_bits)b));
}

LLMIR_VEC v16f v16_set1(float f) {
    const v16_quarter all = {f, f, f, f};
    return (v16f){{all, all, all, all}};
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
    LLMIR_V16_QUARTERS(v16f, x.q[i] + y.q[i]);
}
LLMIR_VEC v16f v16_sub(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, x.q[i] - y.q[i]);
}
LLMIR_VEC v16f v16_mul(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, x.q[i] * y.q[i]);
}
LLMIR_VEC v16f v16_div(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, x.q[i] / y.q[i]);
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
#if defined(LLMIR_KERNEL_EXACT_FMA)
    LLMIR_V16_LANES(__builtin_fmaf(x.q[i / 4][i % 4], y.q[i / 4][i % 4], z.q[i / 4][i % 4]));
#else
    LLMIR_V16_QUARTERS(v16f, x.q[i] * y.q[i] + z.q[i]);
#endif
}
LLMIR_VEC v16f v16_max(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, v16_choose(x.q[i] > y.q[i], x.q[i], y.q[i]));
}
LLMIR_VEC v16f v16_min(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, v16_choose(x.q[i] < y.q[i], x.q[i], y.q[i]));
}
LLMIR_VEC v16f v16_sqrt(v16f x) {
    LLMIR_V16_LANES(__builtin_sqrtf(x.q[i / 4][i % 4]));
}
LLMIR_VEC v16f v16_abs(v16f x) {
    LLMIR_V16_QUARTERS(v16f, (v16_quarter)((v16_quarter_bits)x.q[i] & 0x7fffffff));
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    LLMIR_V16_QUARTERS(v16f, v16_choose(x.q[i] < y.q[i], a.q[i], b.q[i]));
}

/* Conversions of f16 are branchy: one copy each, lane by lane. */
LLMIR_OUTLINE void v16_f16_lanes(const uint16_t* p, float* out) {
    for (int i = 0; i < 16; ++i) {
        out[i] = llmir_f16_to_f32(p[i]);
    }
}
LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    float lanes[16];
    v16_f16_lanes(p, lanes);
    return v16_load(lanes);
}
LLMIR_OUTLINE void v16_to_f16_lanes(const float* x, uint16_t* out) {
    for (int i = 0; i < 16; ++i) {
        out[i] = llmir_f32_to_f16(x[i]);
    }
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    float lanes[16];
    v16_store(lanes, x);
    v16_to_f16_lanes(lanes, p);
}
LLMIR_VEC v16f v16_load_bf16(const uint16_t* p) {
    LLMIR_V16_LANES(llmir_bf16_to_f32(p[i]));
}
LLMIR_VEC v16f v16_load_i8(const int8_t* p) {
    LLMIR_V16_LANES((float)p[i]);
}
LLMIR_VEC v16f v16_load_u8(const uint8_t* p) {
    LLMIR_V16_LANES((float)p[i]);
}

/* Adding 1.5 * 2^23 leaves the rounded integer in the low bits: no libm, no undefined conversion.
 */
LLMIR_VEC v16i v16_round(v16f x) {
    LLMIR_V16_QUARTERS(v16i, (v16_quarter_bits)(x.q[i] + 0x1.8p23f) - 0x4b400000);
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    LLMIR_V16_QUARTERS(v16f, (v16_quarter)((v16_quarter_bits)t.q[i] << 23));
}

LLMIR_VEC float v16_sum(v16f x) {
    const v16_quarter by4 = (x.q[0] + x.q[2]) + (x.q[1] + x.q[3]);
    return (by4[0] + by4[2]) + (by4[1] + by4[3]);
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    const v16f two = {{x.q[0], x.q[1], x.q[0], x.q[1]}};
    const v16f other = {{x.q[2], x.q[3], x.q[2], x.q[3]}};
    const v16f by8 = v16_max(two, other);
    const v16_quarter by4 = v16_choose(by8.q[0] > by8.q[1], by8.q[0], by8.q[1]);
    const float a = by4[0] > by4[2] ? by4[0] : by4[2];
    const float b = by4[1] > by4[3] ? by4[1] : by4[3];
    return a > b ? a : b;
}

LLMIR_VEC v16i v16i_zero(void) {
    LLMIR_V16_QUARTERS(v16i, (v16_quarter_bits){0});
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    LLMIR_V16_QUARTERS(v16i, x.q[i] + y.q[i]);
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    const v16_quarter_bits by4 = (x.q[0] + x.q[2]) + (x.q[1] + x.q[3]);
    return (by4[0] + by4[2]) + (by4[1] + by4[3]);
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    for (int i = 0; i < 16; ++i) {
        p[i] = (int8_t)x.q[i / 4][i % 4];
    }
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    for (int i = 0; i < 16; ++i) {
        p[i] = (int16_t)x.q[i / 4][i % 4];
    }
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    int32_t integers[16];
    __builtin_memcpy(integers, &x, sizeof integers);
    LLMIR_V16_LANES((float)integers[i]);
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    int16_t pairs[32];
    v16p out;
    for (int i = 0; i < 32; ++i) {
        pairs[i] = (int16_t)p[i]; /* NOLINT(bugprone-signed-char-misuse): the sign is meant */
    }
    __builtin_memcpy(&out, pairs, sizeof out);
    return out;
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    const v16_quarter_bits all = {pair, pair, pair, pair};
    return (v16p){{all, all, all, all}};
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
    LLMIR_V16_QUARTERS(v16i, z.q[i] + (x.q[i] << 16 >> 16) * (y.q[i] << 16 >> 16) +
                                 (x.q[i] >> 16) * (y.q[i] >> 16));
}

#undef LLMIR_V16_QUARTERS
#undef LLMIR_V16_LANES

#endif /* LLMIR_CPU_V16F_PORTABLE_H */
