/* v16f in plain C: an array that compilers vectorise where they can. v16_fma rounds twice, because
 * a software fma would be far too slow; the tests define LLMIR_KERNEL_EXACT_FMA to get the bits of
 * the ISAs that have one. See vec16.h for what each primitive does. */
#ifndef LLMIR_CPU_V16F_PORTABLE_H
#define LLMIR_CPU_V16F_PORTABLE_H

#include <stdint.h>

#include "quant/half.h"

typedef struct v16f {
    float f[16];
} v16f;
typedef struct v16i {
    int32_t i[16];
} v16i;

#define LLMIR_V16_REGISTERS 4 /* v16f values that registers can hold, a guess */

/* result.f[i] = expression(i) for each lane. */
#define LLMIR_V16_LANES(expression) \
    v16f out;                       \
    for (int i = 0; i < 16; ++i) {  \
        out.f[i] = (expression);    \
    }                               \
    return out

LLMIR_VEC uint32_t v16_lane_bits(float f) {
    uint32_t bits;
    __builtin_memcpy(&bits, &f, 4);
    return bits;
}
LLMIR_VEC float v16_lane_from_bits(uint32_t bits) {
    float f;
    __builtin_memcpy(&f, &bits, 4);
    return f;
}

LLMIR_VEC v16f v16_set1(float f) {
    LLMIR_V16_LANES(f);
}
LLMIR_VEC v16f v16_zero(void) {
    return v16_set1(0.0f);
}
LLMIR_VEC v16f v16_load(const float* p) {
    LLMIR_V16_LANES(p[i]);
}
LLMIR_VEC void v16_store(float* p, v16f x) {
    for (int i = 0; i < 16; ++i) {
        p[i] = x.f[i];
    }
}
LLMIR_VEC v16f v16_add(v16f x, v16f y) {
    LLMIR_V16_LANES(x.f[i] + y.f[i]);
}
LLMIR_VEC v16f v16_sub(v16f x, v16f y) {
    LLMIR_V16_LANES(x.f[i] - y.f[i]);
}
LLMIR_VEC v16f v16_mul(v16f x, v16f y) {
    LLMIR_V16_LANES(x.f[i] * y.f[i]);
}
LLMIR_VEC v16f v16_div(v16f x, v16f y) {
    LLMIR_V16_LANES(x.f[i] / y.f[i]);
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
#if defined(LLMIR_KERNEL_EXACT_FMA)
    LLMIR_V16_LANES(__builtin_fmaf(x.f[i], y.f[i], z.f[i]));
#else
    LLMIR_V16_LANES(x.f[i] * y.f[i] + z.f[i]);
#endif
}
LLMIR_VEC v16f v16_max(v16f x, v16f y) {
    LLMIR_V16_LANES(x.f[i] > y.f[i] ? x.f[i] : y.f[i]);
}
LLMIR_VEC v16f v16_min(v16f x, v16f y) {
    LLMIR_V16_LANES(x.f[i] < y.f[i] ? x.f[i] : y.f[i]);
}
LLMIR_VEC v16f v16_sqrt(v16f x) {
    LLMIR_V16_LANES(__builtin_sqrtf(x.f[i]));
}
LLMIR_VEC v16f v16_abs(v16f x) {
    LLMIR_V16_LANES(v16_lane_from_bits(v16_lane_bits(x.f[i]) & 0x7fffffffu));
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    LLMIR_V16_LANES(x.f[i] < y.f[i] ? a.f[i] : b.f[i]);
}

LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    LLMIR_V16_LANES(llmir_f16_to_f32(p[i]));
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    for (int i = 0; i < 16; ++i) {
        p[i] = llmir_f32_to_f16(x.f[i]);
    }
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
    v16i out;
    for (int i = 0; i < 16; ++i) {
        out.i[i] = (int32_t)(v16_lane_bits(x.f[i] + 0x1.8p23f) - 0x4b400000u);
    }
    return out;
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    LLMIR_V16_LANES(v16_lane_from_bits(v16_lane_bits(t.f[i]) << 23));
}

LLMIR_VEC float v16_sum(v16f x) {
    float by4[4];
    for (int i = 0; i < 4; ++i) {
        by4[i] = (x.f[i] + x.f[i + 8]) + (x.f[i + 4] + x.f[i + 12]);
    }
    return (by4[0] + by4[2]) + (by4[1] + by4[3]);
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    float max = x.f[0];
    for (int i = 1; i < 16; ++i) {
        max = max > x.f[i] ? max : x.f[i];
    }
    return max;
}

LLMIR_VEC v16i v16i_zero(void) {
    v16i out;
    for (int i = 0; i < 16; ++i) {
        out.i[i] = 0;
    }
    return out;
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    v16i out;
    for (int i = 0; i < 16; ++i) {
        out.i[i] = x.i[i] + y.i[i];
    }
    return out;
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) {
        sum += x.i[i];
    }
    return sum;
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    for (int i = 0; i < 16; ++i) {
        p[i] = (int8_t)x.i[i];
    }
}

#undef LLMIR_V16_LANES

#endif /* LLMIR_CPU_V16F_PORTABLE_H */
