/* Exponential of a block of eight and logarithm. The loops over a block have a constant length, so
 * that compilers turn them into vector instructions; these give the same bits as scalar ones,
 * because nothing is contracted. */
#include "core/sampler_math.h"

#include <string.h>

/* 2^n times a polynomial of the remainder r, |r| <= ln(2) / 2 (Cody and Waite 1980): ln(2) is
 * taken off in two parts, of which the first is exact in the product with n. The polynomial is the
 * Taylor series; what is cut off is below r^8 / 40320 = 5e-9. */
void llmir_exp_block(float values[LLMIR_EXP_BLOCK]) {
    float r[LLMIR_EXP_BLOCK];
    int32_t bits[LLMIR_EXP_BLOCK];
    float keep[LLMIR_EXP_BLOCK];
    for (uint32_t i = 0; i < LLMIR_EXP_BLOCK; ++i) {
        keep[i] = values[i] > -87.0f ? 1.0f : 0.0f;
        r[i] = values[i] > -87.0f ? values[i] : -87.0f;
    }
    for (uint32_t i = 0; i < LLMIR_EXP_BLOCK; ++i) {
        const int32_t n = (int32_t)(r[i] * 1.44269504f - 0.5f);
        bits[i] = (int32_t)((uint32_t)(n + 127) << 23);
        r[i] = (r[i] - (float)n * 0x1.63p-1f) - (float)n * -0x1.bd0106p-13f;
    }
    for (uint32_t i = 0; i < LLMIR_EXP_BLOCK; ++i) {
        float scale;
        float sum = 1.0f / 5040.0f;
        sum = sum * r[i] + 1.0f / 720.0f;
        sum = sum * r[i] + 1.0f / 120.0f;
        sum = sum * r[i] + 1.0f / 24.0f;
        sum = sum * r[i] + 1.0f / 6.0f;
        sum = sum * r[i] + 0.5f;
        sum = sum * r[i] + 1.0f;
        sum = sum * r[i] + 1.0f;
        memcpy(&scale, &bits[i], sizeof(scale));
        values[i] = sum * scale * keep[i];
    }
}

float llmir_exp(float x) {
    float block[LLMIR_EXP_BLOCK] = {x};
    llmir_exp_block(block);
    return block[0];
}

/* What is cut at -88 has the weight 0. */
static float exponent_of(llmir_candidate_t item, float largest, float scale) {
    const float exponent = (item.value - largest) * scale;
    return exponent > -88.0f ? exponent : -88.0f;
}

double llmir_weigh(llmir_candidate_t* items, uint32_t count, float largest, float scale) {
    float block[LLMIR_EXP_BLOCK];
    double sum = 0.0;
    uint32_t i = 0;
    for (; i + LLMIR_EXP_BLOCK <= count; i += LLMIR_EXP_BLOCK) {
        for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
            block[j] = exponent_of(items[i + j], largest, scale);
        }
        llmir_exp_block(block);
        for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
            items[i + j].value = block[j];
            sum += (double)block[j];
        }
    }
    for (; i < count; ++i) {
        items[i].value = llmir_exp(exponent_of(items[i], largest, scale));
        sum += (double)items[i].value;
    }
    return sum;
}

float llmir_largest(const float* logits, uint32_t count) {
    float lanes[LLMIR_EXP_BLOCK];
    uint32_t i = 0;
    for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
        lanes[j] = -FLT_MAX;
    }
    for (; i + LLMIR_EXP_BLOCK <= count; i += LLMIR_EXP_BLOCK) {
        for (uint32_t j = 0; j < LLMIR_EXP_BLOCK; ++j) {
            lanes[j] = logits[i + j] > lanes[j] ? logits[i + j] : lanes[j];
        }
    }
    for (; i < count; ++i) {
        lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
    }
    for (uint32_t j = 1; j < LLMIR_EXP_BLOCK; ++j) {
        lanes[0] = lanes[j] > lanes[0] ? lanes[j] : lanes[0];
    }
    return llmir_finite(lanes[0]);
}

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)], and log(m) = 2 artanh((m - 1) / (m + 1)), a series of
 * odd powers of at most 0.172. */
double llmir_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int32_t e = (int32_t)(bits >> 52) - 1023;
    double m;
    bits = (bits & 0x000fffffffffffffull) | 0x3ff0000000000000ull;
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e += 1;
    }
    const double t = (m - 1.0) / (m + 1.0);
    double sum = 0.0;
    for (int32_t i = 19; i >= 1; i -= 2) {
        sum = sum * (t * t) + 1.0 / i;
    }
    return e * 0.6931471805599453 + 2.0 * t * sum;
}
