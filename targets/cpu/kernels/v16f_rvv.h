/* v16f with the RISC-V vector extension, in the vector types of clang: a vector of 64 bytes is a
 * group of four registers of 128 bits, and sixteen lanes of a group wherever registers are longer,
 * so one code runs on all. There is no conversion of f16 in RV64GCV; it goes through integers. See
 * vec16.h for what each primitive does. */
#ifndef LLMIR_CPU_V16F_RVV_H
#define LLMIR_CPU_V16F_RVV_H

#include <stdint.h>

#define LLMIR_V16_RVV 1

typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef float v8f __attribute__((vector_size(32)));
typedef float v4f __attribute__((vector_size(16)));
typedef int16_t v16w __attribute__((vector_size(32)));
typedef uint16_t v16h __attribute__((vector_size(32)));
typedef int8_t v16b __attribute__((vector_size(16)));
typedef uint8_t v16ub __attribute__((vector_size(16)));
typedef int8_t v32b __attribute__((vector_size(32)));

/* Pairs, the first and the second elements apart. */
typedef struct v16p {
    v16w even;
    v16w odd;
} v16p;

#define LLMIR_V16_REGISTERS 4 /* v16f values that registers can hold beside masks and the like */

LLMIR_VEC v16f v16_set1(float f) {
    return (v16f){f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f};
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
    return x + y;
}
LLMIR_VEC v16f v16_sub(v16f x, v16f y) {
    return x - y;
}
LLMIR_VEC v16f v16_mul(v16f x, v16f y) {
    return x * y;
}
LLMIR_VEC v16f v16_div(v16f x, v16f y) {
    return x / y;
}
LLMIR_VEC v16f v16_fma(v16f x, v16f y, v16f z) {
    return __builtin_elementwise_fma(x, y, z);
}
/* m ? a : b, m all ones or all zeros in each lane; compilers see a merge in it. */
LLMIR_VEC v16f v16_choose(v16i m, v16f a, v16f b) {
    return (v16f)((m & (v16i)a) | (~m & (v16i)b));
}
LLMIR_VEC v16f v16_max(v16f x, v16f y) {
    return v16_choose(x > y, x, y);
}
LLMIR_VEC v16f v16_min(v16f x, v16f y) {
    return v16_choose(x < y, x, y);
}
LLMIR_VEC v16f v16_sqrt(v16f x) {
    return __builtin_elementwise_sqrt(x);
}
LLMIR_VEC v16f v16_abs(v16f x) {
    return __builtin_elementwise_abs(x);
}
LLMIR_VEC v16f v16_select_lt(v16f x, v16f y, v16f a, v16f b) {
    return v16_choose(x < y, a, b);
}

/* binary16 -> binary32: exponent and mantissa move into place, and a product with 2^112, exact for
 * subnormal numbers too, rebiases. Infinities and NaNs get the rest of the exponent. */
LLMIR_VEC v16f v16_from_f16(v16h half) {
    const v16u h = __builtin_convertvector(half, v16u);
    const v16i magnitude = (v16i)((h & 0x7fffu) << 13);
    const v16i sign = (v16i)((h & 0x8000u) << 16);
    const v16i finite = (v16i)((v16f)magnitude * 0x1p112f);
    const v16i quiet = (magnitude > 0x0f800000) & 0x00400000;
    const v16i special = magnitude | 0x7f800000 | quiet;
    const v16i is_special = magnitude >= 0x0f800000;
    return (v16f)((is_special & special) | (~is_special & finite) | sign);
}
LLMIR_VEC v16f v16_load_f16(const uint16_t* p) {
    v16h half;
    __builtin_memcpy(&half, p, sizeof half);
    return v16_from_f16(half);
}
/* binary32 -> binary16, as llmir_f32_to_f16. Results below 2^-14 are rounded by adding 0.5, whose
 * unit in the last place is the smallest subnormal. */
LLMIR_VEC v16h v16_to_f16(v16f x) {
    const v16i bits = (v16i)x;
    const v16i magnitude = bits & 0x7fffffff;
    const v16i tiny = (v16i)((v16f)magnitude + 0.5f) - 0x3f000000;
    const v16i odd = (magnitude >> 13) & 1;
    const v16i normal = (magnitude - (112 << 23) + 0xfff + odd) >> 13;
    const v16i nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    const v16i is_tiny = magnitude < 0x38800000;
    const v16i is_large = magnitude >= 0x477ff000;
    const v16i is_nan = magnitude > 0x7f800000;
    v16i out = (is_tiny & tiny) | (~is_tiny & normal);
    out = (is_large & 0x7c00) | (~is_large & out);
    out = (is_nan & nan) | (~is_nan & out);
    return __builtin_convertvector((v16u)(out | ((bits >> 16) & 0x8000)), v16h);
}
LLMIR_VEC void v16_store_f16(uint16_t* p, v16f x) {
    const v16h half = v16_to_f16(x);
    __builtin_memcpy(p, &half, sizeof half);
}
LLMIR_VEC v16f v16_load_bf16(const uint16_t* p) {
    v16h half;
    __builtin_memcpy(&half, p, sizeof half);
    return (v16f)(__builtin_convertvector(half, v16u) << 16);
}
LLMIR_VEC v16f v16_load_i8(const int8_t* p) {
    v16b bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, v16w), v16f);
}
LLMIR_VEC v16f v16_load_u8(const uint8_t* p) {
    v16ub bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, v16h), v16f);
}

/* Adding 1.5 * 2^23 leaves the rounded integer in the low bits. */
LLMIR_VEC v16i v16_round(v16f x) {
    return (v16i)(x + 0x1.8p23f) - 0x4b400000;
}
LLMIR_VEC v16f v16_exponent_bits(v16f t) {
    return (v16f)((v16i)t << 23);
}

LLMIR_VEC v8f v16_low_half(v16f x) {
    return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
}
LLMIR_VEC v8f v16_high_half(v16f x) {
    return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
}
LLMIR_VEC float v16_sum(v16f x) {
    const v8f by8 = v16_low_half(x) + v16_high_half(x);
    const v4f by4 = __builtin_shufflevector(by8, by8, 0, 1, 2, 3) +
                    __builtin_shufflevector(by8, by8, 4, 5, 6, 7);
    return (by4[0] + by4[2]) + (by4[1] + by4[3]);
}
LLMIR_VEC float v16_max_lanes(v16f x) {
    const v16f by8 = v16_max(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, -1, -1,
                                                        -1, -1, -1, -1, -1, -1));
    const v16f by4 = v16_max(by8, __builtin_shufflevector(by8, by8, 4, 5, 6, 7, -1, -1, -1, -1, -1,
                                                          -1, -1, -1, -1, -1, -1, -1));
    const float a = by4[0] > by4[2] ? by4[0] : by4[2];
    const float b = by4[1] > by4[3] ? by4[1] : by4[3];
    return a > b ? a : b;
}

LLMIR_VEC v16i v16i_zero(void) {
    return (v16i){0};
}
LLMIR_VEC v16i v16i_add(v16i x, v16i y) {
    return x + y;
}
LLMIR_VEC int32_t v16i_sum(v16i x) {
    return __builtin_reduce_add(x);
}
LLMIR_VEC void v16i_store_i8(int8_t* p, v16i x) {
    const v16b bytes = __builtin_convertvector(x, v16b);
    __builtin_memcpy(p, &bytes, sizeof bytes);
}
LLMIR_VEC void v16i_store_i16(int16_t* p, v16i x) {
    const v16w words = __builtin_convertvector(x, v16w);
    __builtin_memcpy(p, &words, sizeof words);
}
LLMIR_VEC v16f v16i_to_f32(v16i x) {
    return __builtin_convertvector(x, v16f);
}

LLMIR_VEC v16p v16p_load_i8(const int8_t* p) {
    v32b x;
    __builtin_memcpy(&x, p, sizeof x);
    const v16b even =
        __builtin_shufflevector(x, x, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const v16b odd =
        __builtin_shufflevector(x, x, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return (v16p){__builtin_convertvector(even, v16w), __builtin_convertvector(odd, v16w)};
}
LLMIR_VEC v16w v16w_set1(int16_t i) {
    return (v16w){i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i};
}
LLMIR_VEC v16p v16p_set1(const uint8_t* p) {
    int16_t pair[2];
    __builtin_memcpy(pair, p, 4);
    return (v16p){v16w_set1(pair[0]), v16w_set1(pair[1])};
}
LLMIR_VEC v16i v16p_dot(v16p x, v16p y, v16i z) {
    z += __builtin_convertvector(x.even, v16i) * __builtin_convertvector(y.even, v16i);
    return z + __builtin_convertvector(x.odd, v16i) * __builtin_convertvector(y.odd, v16i);
}

#endif /* LLMIR_CPU_V16F_RVV_H */
