/* binary16 and bfloat16 as their bits, converted exactly to and with round to nearest even from
 * binary32.
 *
 * Header-only and free of libc, so that freestanding kernels and the C++ compiler use the same
 * code. Infinities are kept, NaNs become quiet, values beyond the range become infinities. */
#ifndef LLMIR_QUANT_HALF_H
#define LLMIR_QUANT_HALF_H

#include <stdint.h>

typedef union llmir_f32_bits {
    float value;
    uint32_t bits;
} llmir_f32_bits_t;

static inline float llmir_f16_to_f32(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7FFFu;
    llmir_f32_bits_t out;
    if (magnitude >= 0x7C00u) { /* infinity or NaN; the quiet bit is set for a NaN */
        out.bits = sign | 0x7F800000u | (magnitude & 0x3FFu) << 13;
        out.bits |= magnitude > 0x7C00u ? 0x00400000u : 0u;
    } else if (magnitude >= 0x0400u) { /* rebias the exponent from 15 to 127 */
        out.bits = sign | ((magnitude << 13) + (112u << 23));
    } else { /* subnormal: magnitude * 2^-24 is exact */
        out.value = (float)magnitude * (1.0f / 16777216.0f);
        out.bits |= sign;
    }
    return out.value;
}

static inline uint16_t llmir_f32_to_f16(float value) {
    llmir_f32_bits_t in;
    in.value = value;
    const uint16_t sign = (uint16_t)(in.bits >> 16 & 0x8000u);
    const uint32_t magnitude = in.bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) {
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
    }
    if (magnitude >= 0x477FF000u) { /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: let the addition round at 2^-24 */
        llmir_f32_bits_t sum;
        sum.bits = magnitude;
        sum.value += 0.5f;
        return (uint16_t)(sign | (sum.bits - 0x3F000000u));
    }
    const uint32_t odd = magnitude >> 13 & 1u; /* ties go to the even mantissa */
    return (uint16_t)(sign | ((magnitude - (112u << 23) + 0xFFFu + odd) >> 13));
}

static inline float llmir_bf16_to_f32(uint16_t half) {
    llmir_f32_bits_t out;
    out.bits = (uint32_t)half << 16;
    return out.value;
}

static inline uint16_t llmir_f32_to_bf16(float value) {
    llmir_f32_bits_t in;
    in.value = value;
    if ((in.bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return (uint16_t)(in.bits >> 16 | 0x40u);
    }
    return (uint16_t)((in.bits + 0x7FFFu + (in.bits >> 16 & 1u)) >> 16);
}

#endif /* LLMIR_QUANT_HALF_H */
