/* The AVX-512 intrinsics of the kernels, each as two AVX2 halves: so that the code of level
 * x86-64-v4 runs, with the same bits, on machines that have no AVX-512. Included before a kernel
 * source (-include) that is compiled for x86-64-v3; it then takes its AVX-512 path. A new intrinsic
 * in a kernel needs a line here. */
#ifndef LLMIR_TEST_EMULATED_AVX512_H
#define LLMIR_TEST_EMULATED_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef struct emulated_m512 {
    __m256 lo, hi;
} emulated_m512_t;
typedef struct emulated_m512i {
    __m256i lo, hi;
} emulated_m512i_t;
typedef struct emulated_m512d {
    __m256d lo, hi;
} emulated_m512d_t;

#define EMULATED static inline __attribute__((always_inline, unused))

/* Functions of one, two or three vectors that work on halves. */
#define EMULATED_1(name, result, type, op)   \
    EMULATED result name(type a) {           \
        return (result){op(a.lo), op(a.hi)}; \
    }
#define EMULATED_2(name, type, op)                     \
    EMULATED type name(type a, type b) {               \
        return (type){op(a.lo, b.lo), op(a.hi, b.hi)}; \
    }
/* A shift by a count, and a conversion of 128 bits of p to 256. */
#define EMULATED_SHIFT(name, op)                                       \
    EMULATED emulated_m512i_t name(emulated_m512i_t a, uint32_t n) {   \
        return (emulated_m512i_t){op(a.lo, (int)n), op(a.hi, (int)n)}; \
    }

EMULATED_2(emulated_add_ps, emulated_m512_t, _mm256_add_ps)
EMULATED_2(emulated_sub_ps, emulated_m512_t, _mm256_sub_ps)
EMULATED_2(emulated_mul_ps, emulated_m512_t, _mm256_mul_ps)
EMULATED_2(emulated_div_ps, emulated_m512_t, _mm256_div_ps)
EMULATED_2(emulated_max_ps, emulated_m512_t, _mm256_max_ps)
EMULATED_2(emulated_min_ps, emulated_m512_t, _mm256_min_ps)
EMULATED_2(emulated_add_epi32, emulated_m512i_t, _mm256_add_epi32)
EMULATED_2(emulated_sub_epi32, emulated_m512i_t, _mm256_sub_epi32)
EMULATED_2(emulated_mullo_epi32, emulated_m512i_t, _mm256_mullo_epi32)
EMULATED_2(emulated_add_epi16, emulated_m512i_t, _mm256_add_epi16)
EMULATED_2(emulated_madd_epi16, emulated_m512i_t, _mm256_madd_epi16)
EMULATED_2(emulated_maddubs_epi16, emulated_m512i_t, _mm256_maddubs_epi16)
EMULATED_2(emulated_unpacklo_epi8, emulated_m512i_t, _mm256_unpacklo_epi8)
EMULATED_2(emulated_unpackhi_epi8, emulated_m512i_t, _mm256_unpackhi_epi8)
EMULATED_2(emulated_and_si512, emulated_m512i_t, _mm256_and_si256)
EMULATED_2(emulated_or_si512, emulated_m512i_t, _mm256_or_si256)
EMULATED_2(emulated_xor_si512, emulated_m512i_t, _mm256_xor_si256)
EMULATED_1(emulated_sqrt_ps, emulated_m512_t, emulated_m512_t, _mm256_sqrt_ps)
EMULATED_1(emulated_castps_si512, emulated_m512i_t, emulated_m512_t, _mm256_castps_si256)
EMULATED_1(emulated_castsi512_ps, emulated_m512_t, emulated_m512i_t, _mm256_castsi256_ps)
EMULATED_1(emulated_castps_pd, emulated_m512d_t, emulated_m512_t, _mm256_castps_pd)
EMULATED_1(emulated_cvtepi32_ps, emulated_m512_t, emulated_m512i_t, _mm256_cvtepi32_ps)
EMULATED_1(emulated_cvtps_epi32, emulated_m512i_t, emulated_m512_t, _mm256_cvtps_epi32)
EMULATED_SHIFT(emulated_slli_epi32, _mm256_slli_epi32)
EMULATED_SHIFT(emulated_srli_epi32, _mm256_srli_epi32)
EMULATED_SHIFT(emulated_srai_epi32, _mm256_srai_epi32)
EMULATED_SHIFT(emulated_slli_epi16, _mm256_slli_epi16)
EMULATED_SHIFT(emulated_srli_epi16, _mm256_srli_epi16)

EMULATED emulated_m512_t emulated_set1_ps(float f) {
    return (emulated_m512_t){_mm256_set1_ps(f), _mm256_set1_ps(f)};
}
EMULATED emulated_m512_t emulated_setzero_ps(void) {
    return emulated_set1_ps(0.0f);
}
EMULATED emulated_m512i_t emulated_set1_epi32(int i) {
    return (emulated_m512i_t){_mm256_set1_epi32(i), _mm256_set1_epi32(i)};
}
EMULATED emulated_m512i_t emulated_set1_epi16(short i) {
    return (emulated_m512i_t){_mm256_set1_epi16(i), _mm256_set1_epi16(i)};
}
EMULATED emulated_m512i_t emulated_set1_epi8(char i) {
    return (emulated_m512i_t){_mm256_set1_epi8(i), _mm256_set1_epi8(i)};
}
EMULATED emulated_m512i_t emulated_setzero_si512(void) {
    return emulated_set1_epi32(0);
}
EMULATED emulated_m512_t emulated_loadu_ps(const void* p) {
    emulated_m512_t r;
    memcpy(&r, p, sizeof r);
    return r;
}
EMULATED void emulated_storeu_ps(void* p, emulated_m512_t a) {
    memcpy(p, &a, sizeof a);
}
EMULATED emulated_m512i_t emulated_loadu_si512(const void* p) {
    emulated_m512i_t r;
    memcpy(&r, p, sizeof r);
    return r;
}
EMULATED void emulated_storeu_si512(void* p, emulated_m512i_t a) {
    memcpy(p, &a, sizeof a);
}
EMULATED emulated_m512_t emulated_fmadd_ps(emulated_m512_t a,
                                           emulated_m512_t b,
                                           emulated_m512_t c) {
    return (emulated_m512_t){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

/* a < b, the only comparison that the kernels make. */
EMULATED __mmask16 emulated_less_mask(emulated_m512_t a, emulated_m512_t b) {
    const int lo = _mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ));
    const int hi = _mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ));
    return (__mmask16)(lo | hi << 8);
}
EMULATED emulated_m512_t emulated_mask_blend_ps(__mmask16 mask,
                                                emulated_m512_t a,
                                                emulated_m512_t b) {
    float from[2][16];
    emulated_storeu_ps(from[0], a);
    emulated_storeu_ps(from[1], b);
    for (int i = 0; i < 16; ++i) {
        from[0][i] = from[mask >> i & 1][i];
    }
    return emulated_loadu_ps(from[0]);
}

EMULATED emulated_m512_t emulated_cvtph_ps(__m256i h) {
    return (emulated_m512_t){_mm256_cvtph_ps(_mm256_castsi256_si128(h)),
                             _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1))};
}
/* To nearest even, the only rounding that the kernels ask for. */
EMULATED __m256i emulated_cvtps_ph(emulated_m512_t a) {
    return _mm256_set_m128i(_mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT),
                            _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
}
EMULATED emulated_m512i_t emulated_cvtepu16_epi32(__m256i a) {
    return (emulated_m512i_t){_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)),
                              _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))};
}
EMULATED emulated_m512i_t emulated_cvtepi8_epi32(__m128i a) {
    return (emulated_m512i_t){_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8))};
}
EMULATED emulated_m512i_t emulated_cvtepu8_epi32(__m128i a) {
    return (emulated_m512i_t){_mm256_cvtepu8_epi32(a), _mm256_cvtepu8_epi32(_mm_srli_si128(a, 8))};
}
EMULATED emulated_m512i_t emulated_cvtepi8_epi16(__m256i a) {
    return (emulated_m512i_t){_mm256_cvtepi8_epi16(_mm256_castsi256_si128(a)),
                              _mm256_cvtepi8_epi16(_mm256_extracti128_si256(a, 1))};
}
EMULATED __m256i emulated_cvtepi32_epi16(emulated_m512i_t a) {
    int32_t wide[16];
    int16_t narrow[16];
    emulated_storeu_si512(wide, a);
    for (int i = 0; i < 16; ++i) {
        narrow[i] = (int16_t)(wide[i] & 0xffff);
    }
    return _mm256_loadu_si256((const __m256i*)narrow);
}
EMULATED __m128i emulated_cvtepi32_epi8(emulated_m512i_t a) {
    int32_t wide[16];
    int8_t narrow[16];
    emulated_storeu_si512(wide, a);
    for (int i = 0; i < 16; ++i) {
        narrow[i] = (int8_t)(wide[i] & 0xff);
    }
    return _mm_loadu_si128((const __m128i*)narrow);
}

/* Adds four products u8 * s8 to each lane: exact, because pairs of 16-bit products are added in 32
 * bits. */
EMULATED __m256i emulated_dpbusd_half(__m256i sum, __m256i u, __m256i s) {
    const __m256i u_even = _mm256_and_si256(u, _mm256_set1_epi16(0xff));
    const __m256i s_even = _mm256_srai_epi16(_mm256_slli_epi16(s, 8), 8);
    const __m256i even = _mm256_madd_epi16(u_even, s_even);
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(s, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
EMULATED emulated_m512i_t emulated_dpbusd_epi32(emulated_m512i_t sum,
                                                emulated_m512i_t u,
                                                emulated_m512i_t s) {
    return (emulated_m512i_t){emulated_dpbusd_half(sum.lo, u.lo, s.lo),
                              emulated_dpbusd_half(sum.hi, u.hi, s.hi)};
}

/* Swaps of neighbours, the only shuffles that the kernels make. */
EMULATED emulated_m512_t emulated_permute_ps(emulated_m512_t a, const int order) {
    return order == 0xb1
               ? (emulated_m512_t){_mm256_permute_ps(a.lo, 0xb1), _mm256_permute_ps(a.hi, 0xb1)}
               : (emulated_m512_t){_mm256_permute_ps(a.lo, 0x4e), _mm256_permute_ps(a.hi, 0x4e)};
}
EMULATED emulated_m512_t emulated_shuffle_f32x4(emulated_m512_t a, const int order) {
    return order == 0xb1 ? (emulated_m512_t){_mm256_permute2f128_ps(a.lo, a.lo, 1),
                                             _mm256_permute2f128_ps(a.hi, a.hi, 1)}
                         : (emulated_m512_t){a.hi, a.lo};
}
EMULATED emulated_m512i_t emulated_dpwssd_epi32(emulated_m512i_t sum,
                                                emulated_m512i_t a,
                                                emulated_m512i_t b) {
    return emulated_add_epi32(sum, emulated_madd_epi16(a, b));
}

/* NOLINTBEGIN(readability-identifier-naming): names of the compiler */
#define __m512 emulated_m512_t
#define __m512i emulated_m512i_t
#define __m512d emulated_m512d_t

#define _mm512_add_ps emulated_add_ps
#define _mm512_sub_ps emulated_sub_ps
#define _mm512_mul_ps emulated_mul_ps
#define _mm512_div_ps emulated_div_ps
#define _mm512_max_ps emulated_max_ps
#define _mm512_min_ps emulated_min_ps
#define _mm512_add_epi32 emulated_add_epi32
#define _mm512_sub_epi32 emulated_sub_epi32
#define _mm512_mullo_epi32 emulated_mullo_epi32
#define _mm512_add_epi16 emulated_add_epi16
#define _mm512_madd_epi16 emulated_madd_epi16
#define _mm512_maddubs_epi16 emulated_maddubs_epi16
#define _mm512_unpacklo_epi8 emulated_unpacklo_epi8
#define _mm512_unpackhi_epi8 emulated_unpackhi_epi8
#define _mm512_and_si512 emulated_and_si512
#define _mm512_or_si512 emulated_or_si512
#define _mm512_xor_si512 emulated_xor_si512
#define _mm512_sqrt_ps emulated_sqrt_ps
#define _mm512_castps_si512 emulated_castps_si512
#define _mm512_castsi512_ps emulated_castsi512_ps
#define _mm512_castps_pd emulated_castps_pd
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_slli_epi32 emulated_slli_epi32
#define _mm512_srli_epi32 emulated_srli_epi32
#define _mm512_srai_epi32 emulated_srai_epi32
#define _mm512_slli_epi16 emulated_slli_epi16
#define _mm512_srli_epi16 emulated_srli_epi16
#define _mm512_set1_ps emulated_set1_ps
#define _mm512_setzero_ps emulated_setzero_ps
#define _mm512_set1_epi32 emulated_set1_epi32
#define _mm512_set1_epi16 emulated_set1_epi16
#define _mm512_set1_epi8 emulated_set1_epi8
#define _mm512_setzero_si512 emulated_setzero_si512
#define _mm512_loadu_ps emulated_loadu_ps
#define _mm512_storeu_ps emulated_storeu_ps
#define _mm512_loadu_si512 emulated_loadu_si512
#define _mm512_storeu_si512 emulated_storeu_si512
#define _mm512_fmadd_ps emulated_fmadd_ps
#define _mm512_mask_blend_ps emulated_mask_blend_ps
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_cvtepi32_epi8 emulated_cvtepi32_epi8
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_cvtepi8_epi16 emulated_cvtepi8_epi16
#define _mm512_dpbusd_epi32 emulated_dpbusd_epi32
#define _mm512_dpwssd_epi32 emulated_dpwssd_epi32
/* Some compilers have these as macros. */
#undef _mm512_cmp_ps_mask
#undef _mm512_cvtps_ph
#undef _mm512_permute_ps
#undef _mm512_shuffle_f32x4
#undef _mm512_extractf64x4_pd
#undef _mm512_extracti64x4_epi64
#define _mm512_load_ps emulated_loadu_ps
#define _mm512_store_ps emulated_storeu_ps
#define _mm512_load_si512 emulated_loadu_si512
#define _mm512_store_si512 emulated_storeu_si512
#define _mm512_cmp_ps_mask(a, b, predicate) \
    ((void)sizeof(char[(predicate) == _CMP_LT_OQ ? 1 : -1]), emulated_less_mask(a, b))
#define _mm512_cvtps_ph(a, rounding) \
    ((void)sizeof(char[(rounding) & _MM_FROUND_NO_EXC ? 1 : -1]), emulated_cvtps_ph(a))
#define _mm512_permute_ps(a, order) \
    ((void)sizeof(char[(order) == 0xb1 || (order) == 0x4e ? 1 : -1]), emulated_permute_ps(a, order))
#define _mm512_shuffle_f32x4(a, b, order)                             \
    ((void)sizeof(char[(order) == 0xb1 || (order) == 0x4e ? 1 : -1]), \
     emulated_shuffle_f32x4(a, order))
#define _mm512_castps512_ps256(a) ((a).lo)
#define _mm512_castsi512_si256(a) ((a).lo)
#define _mm512_extractf64x4_pd(a, index) ((index) ? (a).hi : (a).lo)
#define _mm512_extracti64x4_epi64(a, index) ((index) ? (a).hi : (a).lo)

/* What the compiler would define for the level. */
#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512CD__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#define __AVX512VNNI__ 1

/* NOLINTEND(readability-identifier-naming) */

#endif /* LLMIR_TEST_EMULATED_AVX512_H */
