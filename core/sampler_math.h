/* Arithmetic of sampler and log-probabilities: every machine gets the same bits, because nothing of
 * the C library's takes part. */
#ifndef LLMIR_SAMPLER_MATH_H
#define LLMIR_SAMPLER_MATH_H

#include <float.h>
#include <stdint.h>

#include "core/sampler.h"

/* A finite logit; every comparison is false for NaN. */
static inline float llmir_finite(float logit) {
    if (!(logit > -FLT_MAX)) {
        return -FLT_MAX;
    }
    return logit < FLT_MAX ? logit : FLT_MAX;
}

#define LLMIR_EXP_BLOCK 8u

/* exp(x) of -87 < x <= 0, within 2e-7 of it in proportion; 0 of what is less, and of NaN. */
float llmir_exp(float x);

/* Replaces each value by its llmir_exp. */
void llmir_exp_block(float values[LLMIR_EXP_BLOCK]);

/* Replaces values by weights, exp((value - largest) * scale); returns their sum in order.
 *   scale  finite and positive; then weights are right for any of them. */
double llmir_weigh(llmir_candidate_t* items, uint32_t count, float largest, float scale);

/* The largest of `count` logits, as llmir_finite has them. */
float llmir_largest(const float* logits, uint32_t count);

/* Natural logarithm of x >= 1, to about 1e-15. */
double llmir_log(double x);

#endif /* LLMIR_SAMPLER_MATH_H */
