/* Round to nearest with scale search; quant_rtn.h says what is promised. */
#include "quant/quant_rtn.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

#include "quant/quant_layout.h"

#define F16_MAX 65504.0f
#define LANES 8u
#define SEARCH_STEPS 8 /* candidates on either side of the plain scale */

/* One way to quantize a group: w = d * (q - offset) + m. */
typedef struct candidate {
    float q[LLMIR_MAX_GROUP]; /* integers */
    uint16_t d;
    uint16_t m;
    float error; /* sum of squared differences; negative: nothing tried yet */
} candidate_t;

static float make_finite(float x) {
    if (isnan(x)) {
        return 0.0f;
    }
    return fminf(fmaxf(x, -FLT_MAX), FLT_MAX);
}

/* Nearest integer, ties to even, of |x| < 2^22: adding 1.5 * 2^23 leaves no fraction bits. A libm
 * call here would cost more than everything else in this file. */
static float nearest(float x) {
    const float shift = 12582912.0f;
    return (x + shift) - shift;
}

static float clamp(float x, float low, float high) {
    const float raised = x > low ? x : low;
    return raised < high ? raised : high;
}

static uint16_t to_f16_finite(float x) {
    return llmir_f32_to_f16(clamp(x, -F16_MAX, F16_MAX));
}

/* Rounds the scale (and minimum) to binary16, quantizes with what they became, and keeps the result
 * in `best` if its error is smaller. Stored integers are q = round((x - m) / d) + offset. The sum
 * has LANES parts so that compilers can use vectors without changing the result. */
static void try_scale(
    const float* x, uint32_t count, float scale, float min, float offset, candidate_t* best) {
    candidate_t next;
    next.d = to_f16_finite(scale);
    next.m = to_f16_finite(min);
    const float d = llmir_f16_to_f32(next.d);
    const float m = llmir_f16_to_f32(next.m);
    const float inverse = d == 0.0f ? 0.0f : 1.0f / d; /* finite: |d| is at least 2^-24 */
    float errors[LANES] = {0};
    for (uint32_t i = 0; i < count; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const float value = x[i + lane];
            const float q = nearest(clamp((value - m) * inverse + offset, 0.0f, 15.0f));
            const float difference = (value - m) - d * (q - offset);
            next.q[i + lane] = q;
            errors[lane] += difference * difference;
        }
    }
    next.error = 0.0f;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        next.error += errors[lane];
    }
    if (best->error < 0.0f || next.error < best->error) {
        *best = next;
    }
}

/* The scale that fits the integers of `from` best: sum x v / sum v^2 with v = q - 8. */
static float refit_scale(const float* x, uint32_t count, const candidate_t* from) {
    double xv = 0.0;
    double vv = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        const double v = from->q[i] - 8.0f;
        xv += x[i] * v;
        vv += v * v;
    }
    return vv > 0.0 ? (float)(xv / vv) : 0.0f;
}

static void quantize_s4(const float* x, uint32_t count, candidate_t* best) {
    float extreme = 0.0f; /* the value of largest magnitude, with its sign */
    for (uint32_t i = 0; i < count; i++) {
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    }
    best->error = -1.0f;
    /* -8 is the integer that reaches furthest: the extreme goes there, or a little past either
     * end of the range. */
    for (int step = -SEARCH_STEPS; step <= SEARCH_STEPS; step++) {
        try_scale(x, count, extreme / (-8.0f + 0.125f * (float)step), 0.0f, 8.0f, best);
    }
    for (int round = 0; round < 2; round++) {
        try_scale(x, count, refit_scale(x, count, best), 0.0f, 8.0f, best);
    }
}

/* Scale and minimum by linear regression of x on the integers of `from`. */
static void refit_range(
    const float* x, uint32_t count, const candidate_t* from, float* out_scale, float* out_min) {
    double sum_q = 0.0;
    double sum_x = 0.0;
    double sum_qq = 0.0;
    double sum_qx = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        const double q = from->q[i];
        sum_q += q;
        sum_x += x[i];
        sum_qq += q * q;
        sum_qx += q * x[i];
    }
    const double determinant = count * sum_qq - sum_q * sum_q;
    const double scale = determinant > 0.0 ? (count * sum_qx - sum_q * sum_x) / determinant : 0.0;
    *out_scale = (float)scale;
    *out_min = (float)((sum_x - scale * sum_q) / count);
}

static void quantize_u4(const float* x, uint32_t count, candidate_t* best) {
    float low = FLT_MAX;
    float high = -FLT_MAX;
    for (uint32_t i = 0; i < count; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    best->error = -1.0f;
    /* Halves first: high - low may pass the range of binary32. */
    const float step_full = (0.5f * high - 0.5f * low) / 7.5f;
    for (int step = -2; step <= SEARCH_STEPS; step++) {
        /* Shrinks (or widens) the range symmetrically about its middle. */
        const float cut = 0.2f * (float)step;
        const float scale = (0.5f * high - 0.5f * low) / (7.5f + cut);
        const float min = low + 0.5f * 15.0f * (step_full - scale);
        try_scale(x, count, scale, min, 0.0f, best);
    }
    for (int round = 0; round < 3; round++) {
        float scale;
        float min;
        refit_range(x, count, best, &scale, &min);
        try_scale(x, count, scale, min, 0.0f, best);
    }
}

static void quantize_s8(const float* x, uint32_t count, int8_t* out_q, uint16_t* out_scale) {
    float largest = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        largest = fmaxf(largest, fabsf(x[i]));
    }
    *out_scale = to_f16_finite(largest / 127.0f);
    const float d = llmir_f16_to_f32(*out_scale);
    const float inverse = d == 0.0f ? 0.0f : 1.0f / d;
    for (uint32_t i = 0; i < count; i++) {
        out_q[i] = (int8_t)nearest(clamp(x[i] * inverse, -127.0f, 127.0f));
    }
}

void llmir_rtn_quantize_row(uint32_t layout,
                            uint32_t group,
                            uint32_t columns,
                            const float* values,
                            const llmir_quantized_row_t* out_row) {
    for (uint32_t g = 0; g < columns / group; g++) {
        float x[LLMIR_MAX_GROUP] = {0};
        int8_t* q = out_row->q + (size_t)g * group;
        for (uint32_t i = 0; i < group; i++) {
            x[i] = make_finite(values[(size_t)g * group + i]);
        }
        if (layout == LLMIR_LAYOUT_PANEL_S8) {
            quantize_s8(x, group, q, &out_row->scales[g]);
            continue;
        }
        candidate_t best;
        if (layout == LLMIR_LAYOUT_PANEL_U4) {
            quantize_u4(x, group, &best);
            out_row->mins[g] = best.m;
        } else {
            quantize_s4(x, group, &best);
        }
        out_row->scales[g] = best.d;
        for (uint32_t i = 0; i < group; i++) {
            q[i] = (int8_t)best.q[i];
        }
    }
}
