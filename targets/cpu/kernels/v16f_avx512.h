/* v16f with AVX-512 F, BW, DQ and VL: one register. See vec16.h for what each primitive does. */
#ifndef LLMIR_CPU_V16F_AVX512_H
#define LLMIR_CPU_V16F_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512 v16f;
typedef __m512i v16i;
typedef __m512i v16p;

#define LLMIR_V16_REGISTERS 32 /* v16f values that registers can hold */

LLMIR_VEC v16f v16_zero(void) {
    return _mm512_setzero_ps();
}
LLMIR_VEC v16f v16_set1(float f) {
    return _mm512_set1_ps(f);
}
LLMIR_VEC v16f v16_load(const float* p) {
    return _mm512_loadu_ps(p);
}
LLMIR_VEC void v16_store(float* p, v16f x) {
    _mm512_storeu_ps(p, x);
}
LLMIR_VEC v16f v16_add(v16f x, v16f y) {
    return _mm512_add_ps(x, y);
}
LLMIR_VEC v16f v16_sub(v16f x, v16f y) {
    return _mm512_sub_ps(x, y);
}
LLMIR_VEC v16f v16_mul(v16f x, v16f y) {
    return _mm512_mul_ps(x, y);
}
LLMIR_VEC v16f v16_div(v16f x, v16f y) {
    return _mm512_div_ps(x, y);
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
    return _mm512_fmadd_ps(x, y, z);
}
LLMIR_VEC v16f v16_max(v16f x, v16f y) {
    return _mm512_max_ps(x, y);
}
LLMIR_VEC v16f v16_min(v16f x, v16f y) {
    return _mm512_min_ps(x, y);
}
LLMIR_VEC v16f v16_sqrt(v16f x) {
    return _mm512_sqrt_ps(x);
}
LLMIR_VEC v16f v16_abs(v16f x) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)));
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
}

LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    _mm256_storeu_si256((__m256i*)p,
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
LLMIR_VEC v16f v16_load_bf16(const uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
LLMIR_VEC v16f v16_load_i8(const int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)));
}
LLMIR_VEC v16f v16_load_u8(const uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)));
}

LLMIR_VEC v16i v16_round(v16f x) {
    return _mm512_cvtps_epi32(x);
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23));
}

/* The upper half comes through a 64-bit view: the f32 form needs no DQ, but compilers differ. */
LLMIR_VEC __m256 v16_upper_half(v16f x) {
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
}
LLMIR_VEC float v16_sum(v16f x) {
    const __m256 by8 = _mm256_add_ps(_mm512_castps512_ps256(x), v16_upper_half(x));
    const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    const __m256 by8 = _mm256_max_ps(_mm512_castps512_ps256(x), v16_upper_half(x));
    const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

LLMIR_VEC v16i v16i_zero(void) {
    return _mm512_setzero_si512();
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    return _mm512_add_epi32(x, y);
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    const __m256i by8 =
        _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    const __m128i by4 =
        _mm_add_epi32(_mm256_castsi256_si128(by8), _mm256_extracti128_si256(by8, 1));
    const __m128i by2 = _mm_add_epi32(by4, _mm_shuffle_epi32(by4, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(by2, _mm_shuffle_epi32(by2, 0xb1)));
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(x));
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(x));
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    return _mm512_cvtepi32_ps(x);
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)p));
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(z, x, y);
#else
    return _mm512_add_epi32(z, _mm512_madd_epi16(x, y));
#endif
}
LLMIR_VEC v16f v16_swap(v16f x, const int step) {
    return step == 1   ? _mm512_permute_ps(x, 0xb1)
           : step == 2 ? _mm512_permute_ps(x, 0x4e)
           : step == 4 ? _mm512_shuffle_f32x4(x, x, 0xb1)
                       : _mm512_shuffle_f32x4(x, x, 0x4e);
}

#endif /* LLMIR_CPU_V16F_AVX512_H */
