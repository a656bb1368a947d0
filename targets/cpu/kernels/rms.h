/* The factor of an RMS norm, shared by the kernels that normalise. */
#ifndef LLMIR_CPU_RMS_H
#define LLMIR_CPU_RMS_H

#include "targets/cpu/kernels/vec16.h"

/* 1 / sqrt(mean + epsilon) from the lanes' sums of squares of `count` elements. */
LLMIR_VEC float llmir_rms_inverse(v16f square_sums, uint32_t count, float epsilon) {
    const float mean = v16_sum(square_sums) / (float)count;
    return 1.0f / __builtin_sqrtf(mean + epsilon);
}

/* The same of a row in memory. */
LLMIR_VEC float llmir_rms_inverse_row(const float* x, uint32_t count, float epsilon) {
    v16f sums = v16_zero();
    for (uint32_t i = 0; i < count; i += LLMIR_LANES) {
        const v16f v = v16_load_upto(x + i, count - i);
        sums = v16_fma(v, v, sums);
    }
    return llmir_rms_inverse(sums, count, epsilon);
}

#endif /* LLMIR_CPU_RMS_H */
