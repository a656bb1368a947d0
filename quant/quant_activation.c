/* Reference quantization of activations. */
#include "quant/quant_activation.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Nearest integer in -127 .. 127, ties to even; -127 for NaN. */
static int8_t nearest_int8(float x) {
    const float raised = x > -127.0f ? x : -127.0f;
    return (int8_t)nearbyintf(raised < 127.0f ? raised : 127.0f);
}

/* Quantizes one group and stores its scale and sum. */
static void quantize_group(
    const float* x, uint32_t count, int8_t* out_q, float* out_scale, int32_t* out_sum) {
    float largest = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        const float magnitude = fabsf(x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    const float wanted = largest > 0.0f ? 127.0f / largest : 0.0f;
    const float inverse = wanted < FLT_MAX ? wanted : FLT_MAX;
    *out_scale = largest / 127.0f;
    *out_sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        out_q[i] = nearest_int8(x[i] * inverse);
        *out_sum += out_q[i];
    }
}

/* Quantizes x[group] into group `g` of a row of `columns` and returns the scale. */
static float store_group(
    const float* x, uint32_t columns, uint32_t group, uint32_t g, uint8_t* out_row) {
    float scale;
    int32_t sum;
    quantize_group(x, group, (int8_t*)out_row + (size_t)g * group, &scale, &sum);
    memcpy(out_row + llmir_q8_scale_offset(columns) + 4 * (size_t)g, &scale, sizeof scale);
    memcpy(out_row + llmir_q8_sum_offset(columns, group) + 4 * (size_t)g, &sum, sizeof sum);
    return scale;
}

void llmir_q8_quantize_row(const float* values,
                           uint32_t columns,
                           uint32_t group,
                           uint8_t* out_row) {
    for (uint32_t g = 0; g < columns / group; g++) {
        (void)store_group(values + (size_t)g * group, columns, group, g, out_row);
    }
}

void llmir_q8_quantize_row_wide(const float* values,
                                uint32_t columns,
                                uint32_t group,
                                uint8_t* out_row) {
    const uint32_t group_count = columns / group;
    float rest[LLMIR_Q8_MAX_GROUP];
    for (uint32_t g = 0; g < group_count; g++) {
        const float* x = values + (size_t)g * group;
        const int8_t* q = (const int8_t*)out_row + (size_t)g * group;
        const float scale = store_group(x, 2 * columns, group, g, out_row);
        for (uint32_t i = 0; i < group; i++) {
            const float product = (float)q[i] * scale;
            rest[i] = x[i] - product;
        }
        (void)store_group(rest, 2 * columns, group, group_count + g, out_row);
    }
}

void llmir_q8_dequantize_row(const uint8_t* row,
                             uint32_t columns,
                             uint32_t group,
                             float* out_values) {
    const uint8_t* scales = row + llmir_q8_scale_offset(columns);
    for (uint32_t i = 0; i < columns; i++) {
        float scale;
        memcpy(&scale, scales + 4 * (size_t)(i / group), sizeof scale);
        out_values[i] = (float)(int8_t)row[i] * scale;
    }
}
