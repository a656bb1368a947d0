/* v16f with SSE4.1: four registers. There is no fused multiply-add, so v16_fma rounds twice, as in
 * the portable version; f16 goes through integers. See vec16.h for what each primitive does. */
#ifndef LLMIR_CPU_V16F_SSE_H
#define LLMIR_CPU_V16F_SSE_H

#include <smmintrin.h>
#include <stdint.h>

typedef struct v16f {
    __m128 r0, r1, r2, r3; /* lanes 0-3, 4-7, 8-11, 12-15 */
} v16f;
typedef struct v16i {
    __m128i r0, r1, r2, r3;
} v16i;
typedef v16i v16p;

#define LLMIR_V16_REGISTERS 4 /* v16f values that registers can hold */
#define LLMIR_V16_SLOW_F16    /* integer operations convert it */

#define LLMIR_V16_UNARY(name, op)                              \
    LLMIR_VEC v16f name(v16f x) {                              \
        return (v16f){op(x.r0), op(x.r1), op(x.r2), op(x.r3)}; \
    }
#define LLMIR_V16_BINARY(name, type, op)                                               \
    LLMIR_VEC type name(type x, type y) {                                              \
        return (type){op(x.r0, y.r0), op(x.r1, y.r1), op(x.r2, y.r2), op(x.r3, y.r3)}; \
    }
/* One definition for four registers loaded from p at steps of `step` elements. */
#define LLMIR_V16_LOAD(name, element, step, op)                                       \
    LLMIR_VEC v16f name(const element* p) {                                           \
        return (v16f){op(p), op(p + (step)), op(p + 2 * (step)), op(p + 3 * (step))}; \
    }

LLMIR_VEC __m128 v16_abs_quarter(__m128 x) {
    return _mm_and_ps(x, _mm_castsi128_ps(_mm_set1_epi32(0x7fffffff)));
}
LLMIR_VEC __m128 v16_exponent_quarter(__m128 t) {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(t), 23));
}
LLMIR_V16_BINARY(v16_add, v16f, _mm_add_ps)
LLMIR_V16_BINARY(v16_sub, v16f, _mm_sub_ps)
LLMIR_V16_BINARY(v16_mul, v16f, _mm_mul_ps)
LLMIR_V16_BINARY(v16_div, v16f, _mm_div_ps)
LLMIR_V16_BINARY(v16_max, v16f, _mm_max_ps)
LLMIR_V16_BINARY(v16_min, v16f, _mm_min_ps)
LLMIR_V16_BINARY(v16i_add, v16i, _mm_add_epi32)
LLMIR_V16_UNARY(v16_sqrt, _mm_sqrt_ps)
LLMIR_V16_UNARY(v16_abs, v16_abs_quarter)
LLMIR_V16_UNARY(v16_exponent_bits, v16_exponent_quarter)

LLMIR_VEC v16f v16_zero(void) {
    const __m128 zero = _mm_setzero_ps();
    return (v16f){zero, zero, zero, zero};
}
LLMIR_VEC v16f v16_set1(float f) {
    const __m128 all = _mm_set1_ps(f);
    return (v16f){all, all, all, all};
}
LLMIR_V16_LOAD(v16_load, float, 4, _mm_loadu_ps)
LLMIR_VEC void v16_store(float* p, v16f x) {
    _mm_storeu_ps(p, x.r0);
    _mm_storeu_ps(p + 4, x.r1);
    _mm_storeu_ps(p + 8, x.r2);
    _mm_storeu_ps(p + 12, x.r3);
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
    return v16_add(v16_mul(x, y), z);
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    return (v16f){_mm_blendv_ps(b.r0, a.r0, _mm_cmplt_ps(x.r0, y.r0)),
                  _mm_blendv_ps(b.r1, a.r1, _mm_cmplt_ps(x.r1, y.r1)),
                  _mm_blendv_ps(b.r2, a.r2, _mm_cmplt_ps(x.r2, y.r2)),
                  _mm_blendv_ps(b.r3, a.r3, _mm_cmplt_ps(x.r3, y.r3))};
}

/* binary16 -> binary32: move exponent and mantissa into place, then rebias. Subnormals are made
 * normal by an exact subtraction; infinities and NaNs get the rest of the exponent. */
LLMIR_VEC __m128 v16_f16_quarter(const uint16_t* p) {
    const __m128i h = _mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i*)p));
    const __m128i exponent_mask = _mm_set1_epi32(0x7c00 << 13);
    const __m128i rebias = _mm_set1_epi32((127 - 15) << 23);
    const __m128i magnitude = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x7fff)), 13);
    const __m128i exponent = _mm_and_si128(magnitude, exponent_mask);
    const __m128i normal = _mm_add_epi32(magnitude, rebias);
    const __m128i special = _mm_cmpeq_epi32(exponent, exponent_mask);
    const __m128i is_nan = _mm_cmpgt_epi32(magnitude, exponent_mask);
    const __m128 tiny_bias = _mm_castsi128_ps(_mm_set1_epi32((127 - 14) << 23));
    const __m128 subnormal = _mm_sub_ps(
        _mm_castsi128_ps(_mm_add_epi32(magnitude, _mm_set1_epi32((127 - 14) << 23))), tiny_bias);
    __m128i bits = _mm_add_epi32(normal, _mm_and_si128(special, rebias));
    bits = _mm_or_si128(bits, _mm_and_si128(is_nan, _mm_set1_epi32(1 << 22))); /* quiet */
    bits = _mm_blendv_epi8(bits, _mm_castps_si128(subnormal),
                           _mm_cmpeq_epi32(exponent, _mm_setzero_si128()));
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    return _mm_castsi128_ps(_mm_or_si128(bits, sign));
}
LLMIR_V16_LOAD(v16_load_f16, uint16_t, 4, v16_f16_quarter)

/* binary32 -> binary16, nearest even, in the low 16 bits of each lane. Results below 2^-14 are
 * rounded by adding 0.5, whose unit in the last place is the smallest subnormal. */
LLMIR_VEC __m128i v16_to_f16_quarter(__m128 x) {
    const __m128i bits = _mm_castps_si128(x);
    const __m128i magnitude = _mm_and_si128(bits, _mm_set1_epi32(0x7fffffff));
    const __m128i half_bits = _mm_set1_epi32(126 << 23);
    const __m128 half = _mm_castsi128_ps(half_bits);
    const __m128i small =
        _mm_sub_epi32(_mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(magnitude), half)), half_bits);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(magnitude, 13), _mm_set1_epi32(1));
    const __m128i rounded = _mm_add_epi32(
        magnitude, _mm_add_epi32(odd, _mm_set1_epi32((int)(0xfffu - ((127u - 15u) << 23)))));
    const __m128i normal = _mm_srli_epi32(rounded, 13);
    const __m128i is_nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7f800000));
    const __m128i payload = _mm_and_si128(_mm_srli_epi32(magnitude, 13), _mm_set1_epi32(0x1ff));
    const __m128i nan = _mm_and_si128(is_nan, _mm_or_si128(payload, _mm_set1_epi32(0x200)));
    const __m128i special = _mm_or_si128(nan, _mm_set1_epi32(0x7c00));
    __m128i out = _mm_blendv_epi8(normal, small,
                                  _mm_cmpgt_epi32(_mm_set1_epi32((127 - 14) << 23), magnitude));
    out = _mm_blendv_epi8(out, special,
                          _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(((127 + 16) << 23) - 1)));
    return _mm_or_si128(out,
                        _mm_srli_epi32(_mm_andnot_si128(_mm_set1_epi32(0x7fffffff), bits), 16));
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    _mm_storeu_si128((__m128i*)p,
                     _mm_packus_epi32(v16_to_f16_quarter(x.r0), v16_to_f16_quarter(x.r1)));
    _mm_storeu_si128((__m128i*)(p + 8),
                     _mm_packus_epi32(v16_to_f16_quarter(x.r2), v16_to_f16_quarter(x.r3)));
}

LLMIR_VEC __m128 v16_bf16_quarter(const uint16_t* p) {
    const __m128i wide = _mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i*)p));
    return _mm_castsi128_ps(_mm_slli_epi32(wide, 16));
}
LLMIR_VEC __m128i v16_load_4_bytes(const void* p) {
    int32_t word;
    __builtin_memcpy(&word, p, 4);
    return _mm_cvtsi32_si128(word);
}
LLMIR_VEC __m128 v16_i8_quarter(const int8_t* p) {
    return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(v16_load_4_bytes(p)));
}
LLMIR_VEC __m128 v16_u8_quarter(const uint8_t* p) {
    return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(v16_load_4_bytes(p)));
}
LLMIR_V16_LOAD(v16_load_bf16, uint16_t, 4, v16_bf16_quarter)
LLMIR_V16_LOAD(v16_load_i8, int8_t, 4, v16_i8_quarter)
LLMIR_V16_LOAD(v16_load_u8, uint8_t, 4, v16_u8_quarter)

LLMIR_VEC v16i v16_round(v16f x) {
    return (v16i){_mm_cvtps_epi32(x.r0), _mm_cvtps_epi32(x.r1), _mm_cvtps_epi32(x.r2),
                  _mm_cvtps_epi32(x.r3)};
}

LLMIR_VEC float v16_sum(v16f x) {
    const __m128 by4 = _mm_add_ps(_mm_add_ps(x.r0, x.r2), _mm_add_ps(x.r1, x.r3));
    const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    const __m128 by4 = _mm_max_ps(_mm_max_ps(x.r0, x.r2), _mm_max_ps(x.r1, x.r3));
    const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

LLMIR_VEC v16i v16i_zero(void) {
    const __m128i zero = _mm_setzero_si128();
    return (v16i){zero, zero, zero, zero};
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    const __m128i by4 = _mm_add_epi32(_mm_add_epi32(x.r0, x.r2), _mm_add_epi32(x.r1, x.r3));
    const __m128i by2 = _mm_add_epi32(by4, _mm_shuffle_epi32(by4, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(by2, _mm_shuffle_epi32(by2, 0xb1)));
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    const __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(x.r0, x.r1), _mm_packs_epi32(x.r2, x.r3));
    _mm_storeu_si128((__m128i*)p, bytes);
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    _mm_storeu_si128((__m128i*)p, _mm_packs_epi32(x.r0, x.r1));
    _mm_storeu_si128((__m128i*)(p + 8), _mm_packs_epi32(x.r2, x.r3));
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    return (v16f){_mm_cvtepi32_ps(x.r0), _mm_cvtepi32_ps(x.r1), _mm_cvtepi32_ps(x.r2),
                  _mm_cvtepi32_ps(x.r3)};
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    const __m128i low = _mm_loadu_si128((const __m128i*)p);
    const __m128i high = _mm_loadu_si128((const __m128i*)(p + 16));
    return (v16p){_mm_cvtepi8_epi16(low), _mm_cvtepi8_epi16(_mm_srli_si128(low, 8)),
                  _mm_cvtepi8_epi16(high), _mm_cvtepi8_epi16(_mm_srli_si128(high, 8))};
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    const __m128i all = _mm_set1_epi32(pair);
    return (v16p){all, all, all, all};
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
    const v16i products = {_mm_madd_epi16(x.r0, y.r0), _mm_madd_epi16(x.r1, y.r1),
                           _mm_madd_epi16(x.r2, y.r2), _mm_madd_epi16(x.r3, y.r3)};
    return v16i_add(z, products);
}

#undef LLMIR_V16_UNARY
#undef LLMIR_V16_BINARY
#undef LLMIR_V16_LOAD

#endif /* LLMIR_CPU_V16F_SSE_H */
