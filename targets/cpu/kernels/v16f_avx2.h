/* v16f with AVX2, FMA and F16C: lanes 0-7 and 8-15. See vec16.h for what each primitive does. */
#ifndef LLMIR_CPU_V16F_AVX2_H
#define LLMIR_CPU_V16F_AVX2_H

#include <immintrin.h>
#include <stdint.h>

typedef struct v16f {
    __m256 a; /* lanes 0 .. 7 */
    __m256 b; /* lanes 8 .. 15 */
} v16f;
typedef struct v16i {
    __m256i a;
    __m256i b;
} v16i;
typedef v16i v16p;

#define LLMIR_V16_REGISTERS 8 /* v16f values that registers can hold */

#define LLMIR_V16_UNARY(name, op)        \
    LLMIR_VEC v16f name(v16f x) {        \
        return (v16f){op(x.a), op(x.b)}; \
    }
#define LLMIR_V16_BINARY(name, op)                 \
    LLMIR_VEC v16f name(v16f x, v16f y) {          \
        return (v16f){op(x.a, y.a), op(x.b, y.b)}; \
    }
LLMIR_V16_BINARY(v16_add, _mm256_add_ps)
LLMIR_V16_BINARY(v16_sub, _mm256_sub_ps)
LLMIR_V16_BINARY(v16_mul, _mm256_mul_ps)
LLMIR_V16_BINARY(v16_div, _mm256_div_ps)
LLMIR_V16_BINARY(v16_max, _mm256_max_ps)
LLMIR_V16_BINARY(v16_min, _mm256_min_ps)
LLMIR_V16_UNARY(v16_sqrt, _mm256_sqrt_ps)
#undef LLMIR_V16_UNARY
#undef LLMIR_V16_BINARY

LLMIR_VEC v16f v16_zero(void) {
    return (v16f){_mm256_setzero_ps(), _mm256_setzero_ps()};
}
LLMIR_VEC v16f v16_set1(float f) {
    const __m256 all = _mm256_set1_ps(f);
    return (v16f){all, all};
}
LLMIR_VEC v16f v16_load(const float* p) {
    return (v16f){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
LLMIR_VEC void v16_store(float* p, v16f x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
    return (v16f){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
LLMIR_VEC v16f v16_abs(v16f x) {
    const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    return (v16f){_mm256_and_ps(x.a, mask), _mm256_and_ps(x.b, mask)};
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    return (v16f){_mm256_blendv_ps(b.a, a.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
                  _mm256_blendv_ps(b.b, a.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
}

LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    return (v16f){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)),
                  _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(p + 8)))};
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i*)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}
LLMIR_VEC __m256 v16_bf16_half(const uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
LLMIR_VEC v16f v16_load_bf16(const uint16_t* p) {
    return (v16f){v16_bf16_half(p), v16_bf16_half(p + 8)};
}
LLMIR_VEC v16f v16_load_i8(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128((const __m128i*)p);
    return (v16f){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                  _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
LLMIR_VEC v16f v16_load_u8(const uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128((const __m128i*)p);
    return (v16f){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                  _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

LLMIR_VEC v16i v16_round(v16f x) {
    return (v16i){_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    return (v16f){_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t.a), 23)),
                  _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t.b), 23))};
}

LLMIR_VEC float v16_sum(v16f x) {
    const __m256 by8 = _mm256_add_ps(x.a, x.b);
    const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    const __m256 by8 = _mm256_max_ps(x.a, x.b);
    const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

LLMIR_VEC v16i v16i_zero(void) {
    return (v16i){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    return (v16i){_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    const __m256i by8 = _mm256_add_epi32(x.a, x.b);
    const __m128i by4 =
        _mm_add_epi32(_mm256_castsi256_si128(by8), _mm256_extracti128_si256(by8, 1));
    const __m128i by2 = _mm_add_epi32(by4, _mm_shuffle_epi32(by4, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(by2, _mm_shuffle_epi32(by2, 0xb1)));
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    /* 16-bit packing works in 128-bit halves; the permutation puts them back in order. */
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i*)p, bytes);
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    _mm256_storeu_si256((__m256i*)p, _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8));
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    return (v16f){_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    return (v16p){_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p)),
                  _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(p + 16)))};
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int32_t pair;
    __builtin_memcpy(&pair, p, 4);
    const __m256i all = _mm256_set1_epi32(pair);
    return (v16p){all, all};
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
    return (v16i){_mm256_add_epi32(z.a, _mm256_madd_epi16(x.a, y.a)),
                  _mm256_add_epi32(z.b, _mm256_madd_epi16(x.b, y.b))};
}
LLMIR_VEC v16f v16_swap(v16f x, const int step) {
    switch (step) {
        case 1:
            return (v16f){_mm256_permute_ps(x.a, 0xb1), _mm256_permute_ps(x.b, 0xb1)};
        case 2:
            return (v16f){_mm256_permute_ps(x.a, 0x4e), _mm256_permute_ps(x.b, 0x4e)};
        case 4:
            return (v16f){_mm256_permute2f128_ps(x.a, x.a, 1), _mm256_permute2f128_ps(x.b, x.b, 1)};
        default:
            return (v16f){x.b, x.a};
    }
}

#endif /* LLMIR_CPU_V16F_AVX2_H */
