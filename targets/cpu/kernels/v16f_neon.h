/* v16f with NEON: four registers. AArch64, and ARMv7 with VFPv4, which has the fused multiply-add
 * and the conversions of f16; there NEON takes subnormal numbers for zeros, and what NEON lacks
 * (division, square root) is done lane by lane. See vec16.h for what each primitive does.
 *
 * v16p holds the pairs apart, so that a product of pairs is two multiply-adds and no shuffle:
 *
 *   even[0], even[1]: the first of pairs 0-7, 8-15     odd[0], odd[1]: the second */
#ifndef LLMIR_CPU_V16F_NEON_H
#define LLMIR_CPU_V16F_NEON_H

#include <arm_neon.h>
#include <stdint.h>

#define LLMIR_V16_NEON 1

typedef struct v16f {
    float32x4_t r[4]; /* lanes 0-3, 4-7, 8-11, 12-15 */
} v16f;
typedef struct v16i {
    int32x4_t r[4];
} v16i;
typedef struct v16p {
    int16x8_t even[2];
    int16x8_t odd[2];
} v16p;

#if defined(__aarch64__)
#define LLMIR_V16_REGISTERS 8 /* v16f values that registers can hold */
#else
#define LLMIR_V16_REGISTERS 4
#endif

/* out.r[i] = expression(i) for the four registers. */
#define LLMIR_V16_QUARTERS(type, expression) \
    type out;                                \
    LLMIR_UNROLLED                           \
    for (int i = 0; i < 4; ++i) {            \
        out.r[i] = (expression);             \
    }                                        \
    return out

/* Maxima and minima by comparison: vmaxq orders zeros and keeps NaNs. */
LLMIR_VEC float32x4_t v16_max_quarter(float32x4_t x, float32x4_t y) {
    return vbslq_f32(vcgtq_f32(x, y), x, y);
}
LLMIR_VEC float32x4_t v16_min_quarter(float32x4_t x, float32x4_t y) {
    return vbslq_f32(vcltq_f32(x, y), x, y);
}
#if defined(__aarch64__)
LLMIR_VEC float32x4_t v16_div_quarter(float32x4_t x, float32x4_t y) {
    return vdivq_f32(x, y);
}
LLMIR_VEC float32x4_t v16_sqrt_quarter(float32x4_t x) {
    return vsqrtq_f32(x);
}
LLMIR_VEC int32x4_t v16_round_quarter(float32x4_t x) {
    return vcvtnq_s32_f32(x);
}
#else
LLMIR_VEC float32x4_t v16_div_quarter(float32x4_t x, float32x4_t y) {
    return (float32x4_t){x[0] / y[0], x[1] / y[1], x[2] / y[2], x[3] / y[3]};
}
LLMIR_VEC float32x4_t v16_sqrt_quarter(float32x4_t x) {
    return (float32x4_t){__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]),
                         __builtin_sqrtf(x[3])};
}
/* Adding 1.5 * 2^23 leaves the rounded integer in the low bits. */
LLMIR_VEC int32x4_t v16_round_quarter(float32x4_t x) {
    const int32x4_t bits = vreinterpretq_s32_f32(vaddq_f32(x, vdupq_n_f32(0x1.8p23f)));
    return vsubq_s32(bits, vdupq_n_s32(0x4b400000));
}
#endif

LLMIR_VEC v16f v16_set1(float f) {
    LLMIR_V16_QUARTERS(v16f, vdupq_n_f32(f));
}
LLMIR_VEC v16f v16_zero(void) {
    return v16_set1(0.0f);
}
LLMIR_VEC v16f v16_load(const float* p) {
    LLMIR_V16_QUARTERS(v16f, vld1q_f32(p + 4 * i));
}
LLMIR_VEC void v16_store(float* p, v16f x) {
    LLMIR_UNROLLED
    for (int i = 0; i < 4; ++i) {
        vst1q_f32(p + 4 * i, x.r[i]);
    }
}
LLMIR_VEC v16f v16_add(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, vaddq_f32(x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_sub(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, vsubq_f32(x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_mul(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, vmulq_f32(x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_div(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, v16_div_quarter(x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
    LLMIR_V16_QUARTERS(v16f, vfmaq_f32(z.r[i], x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_max(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, v16_max_quarter(x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_min(v16f x, v16f y) {
    LLMIR_V16_QUARTERS(v16f, v16_min_quarter(x.r[i], y.r[i]));
}
LLMIR_VEC v16f v16_sqrt(v16f x) {
    LLMIR_V16_QUARTERS(v16f, v16_sqrt_quarter(x.r[i]));
}
LLMIR_VEC v16f v16_abs(v16f x) {
    LLMIR_V16_QUARTERS(v16f, vabsq_f32(x.r[i]));
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    LLMIR_V16_QUARTERS(v16f, vbslq_f32(vcltq_f32(x.r[i], y.r[i]), a.r[i], b.r[i]));
}

LLMIR_VEC float32x4_t v16_f16_quarter(const uint16_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    LLMIR_V16_QUARTERS(v16f, v16_f16_quarter(p + 4 * i));
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    LLMIR_UNROLLED
    for (int i = 0; i < 4; ++i) {
        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.r[i])));
    }
}
LLMIR_VEC v16f v16_load_bf16(const uint16_t* p) {
    LLMIR_V16_QUARTERS(v16f, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}
/* Four registers of int32 from two of int16. */
LLMIR_VEC v16i v16i_widen(int16x8_t low, int16x8_t high) {
    return (v16i){{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
                   vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))}};
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    LLMIR_V16_QUARTERS(v16f, vcvtq_f32_s32(x.r[i]));
}
LLMIR_VEC v16f v16_load_i8(const int8_t* p) {
    return v16i_to_f32(v16i_widen(vmovl_s8(vld1_s8(p)), vmovl_s8(vld1_s8(p + 8))));
}
LLMIR_VEC v16f v16_load_u8(const uint8_t* p) {
    return v16i_to_f32(v16i_widen(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p))),
                                  vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p + 8)))));
}

LLMIR_VEC v16i v16_round(v16f x) {
    LLMIR_V16_QUARTERS(v16i, v16_round_quarter(x.r[i]));
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    LLMIR_V16_QUARTERS(v16f, vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(t.r[i]), 23)));
}

LLMIR_VEC float v16_sum(v16f x) {
    const float32x4_t by4 = vaddq_f32(vaddq_f32(x.r[0], x.r[2]), vaddq_f32(x.r[1], x.r[3]));
    const float32x2_t by2 = vadd_f32(vget_low_f32(by4), vget_high_f32(by4));
    return vget_lane_f32(vpadd_f32(by2, by2), 0);
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    const float32x4_t by4 =
        v16_max_quarter(v16_max_quarter(x.r[0], x.r[2]), v16_max_quarter(x.r[1], x.r[3]));
    const float32x2_t low = vget_low_f32(by4);
    const float32x2_t high = vget_high_f32(by4);
    const float32x2_t by2 = vbsl_f32(vcgt_f32(low, high), low, high);
    const float a = vget_lane_f32(by2, 0);
    const float b = vget_lane_f32(by2, 1);
    return a > b ? a : b;
}

LLMIR_VEC v16i v16i_zero(void) {
    LLMIR_V16_QUARTERS(v16i, vdupq_n_s32(0));
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    LLMIR_V16_QUARTERS(v16i, vaddq_s32(x.r[i], y.r[i]));
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    const int32x4_t by4 = vaddq_s32(vaddq_s32(x.r[0], x.r[2]), vaddq_s32(x.r[1], x.r[3]));
    const int32x2_t by2 = vadd_s32(vget_low_s32(by4), vget_high_s32(by4));
    return vget_lane_s32(vpadd_s32(by2, by2), 0);
}
LLMIR_VEC int16x8_t v16i_narrow(int32x4_t low, int32x4_t high) {
    return vcombine_s16(vmovn_s32(low), vmovn_s32(high));
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    vst1q_s8(p, vcombine_s8(vmovn_s16(v16i_narrow(x.r[0], x.r[1])),
                            vmovn_s16(v16i_narrow(x.r[2], x.r[3]))));
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    vst1q_s16(p, v16i_narrow(x.r[0], x.r[1]));
    vst1q_s16(p + 8, v16i_narrow(x.r[2], x.r[3]));
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    const int8x16x2_t pairs = vld2q_s8(p);
    return (v16p){
        {vmovl_s8(vget_low_s8(pairs.val[0])), vmovl_s8(vget_high_s8(pairs.val[0]))},
        {vmovl_s8(vget_low_s8(pairs.val[1])), vmovl_s8(vget_high_s8(pairs.val[1]))},
    };
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int16_t pair[2];
    __builtin_memcpy(pair, p, 4);
    const int16x8_t even = vdupq_n_s16(pair[0]);
    const int16x8_t odd = vdupq_n_s16(pair[1]);
    return (v16p){{even, even}, {odd, odd}};
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
    LLMIR_UNROLLED
    for (int i = 0; i < 2; ++i) {
        int32x4_t* low = &z.r[2 * i];
        int32x4_t* high = &z.r[2 * i + 1];
        *low = vmlal_s16(*low, vget_low_s16(x.even[i]), vget_low_s16(y.even[i]));
        *high = vmlal_s16(*high, vget_high_s16(x.even[i]), vget_high_s16(y.even[i]));
        *low = vmlal_s16(*low, vget_low_s16(x.odd[i]), vget_low_s16(y.odd[i]));
        *high = vmlal_s16(*high, vget_high_s16(x.odd[i]), vget_high_s16(y.odd[i]));
    }
    return z;
}
LLMIR_VEC float32x4_t v16_swap_quarter(const v16f* x, const int i, const int step) {
    return step == 1   ? vrev64q_f32(x->r[i])
           : step == 2 ? vextq_f32(x->r[i], x->r[i], 2)
                       : x->r[i ^ (step / 4)];
}
LLMIR_VEC v16f v16_swap(v16f x, const int step) {
    return (v16f){{v16_swap_quarter(&x, 0, step), v16_swap_quarter(&x, 1, step),
                   v16_swap_quarter(&x, 2, step), v16_swap_quarter(&x, 3, step)}};
}

#undef LLMIR_V16_QUARTERS

#endif /* LLMIR_CPU_V16F_NEON_H */
