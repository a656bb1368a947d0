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

/* What stands for a group beside its bytes. */
typedef struct group_numbers {
    float scale;
    float inverse;
    int32_t sum;
} group_numbers_t;

static float held(float inverse) {
    return inverse < FLT_MAX ? inverse : FLT_MAX;
}

static group_numbers_t quantize_group(const float* x, uint32_t count, int8_t* out_q) {
    float largest = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        const float magnitude = fabsf(x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    group_numbers_t numbers = {largest / 127.0f, held(largest > 0.0f ? 127.0f / largest : 0.0f), 0};
    for (uint32_t i = 0; i < count; i++) {
        out_q[i] = nearest_int8(x[i] * numbers.inverse);
        numbers.sum += out_q[i];
    }
    return numbers;
}

/* The low bytes of a group whose high bytes and numbers are known; these become the wide ones. */
static void quantize_rest(const float* x,
                          uint32_t count,
                          const int8_t* high,
                          int8_t* out_low,
                          group_numbers_t* inout_numbers) {
    const float inverse = held(inout_numbers->inverse * 256.0f);
    inout_numbers->sum *= 256;
    for (uint32_t i = 0; i < count; i++) {
        const float kept = (float)high[i] * inout_numbers->scale;
        const float rest = x[i] - kept;
        out_low[i] = nearest_int8(rest * inverse);
        inout_numbers->sum += out_low[i];
    }
    inout_numbers->scale *= 1.0f / 256.0f;
}

/* Stores scale and sum of group `g` of a row of `columns` bytes. */
static void store_numbers(
    const group_numbers_t* numbers, uint32_t columns, uint32_t group, size_t g, uint8_t* row) {
    memcpy(row + llmir_q8_scale_offset(columns) + 4 * g, &numbers->scale, sizeof numbers->scale);
    memcpy(row + llmir_q8_sum_offset(columns, group) + 4 * g, &numbers->sum, sizeof numbers->sum);
}

void llmir_q8_quantize_row(const float* values,
                           uint32_t columns,
                           uint32_t group,
                           uint8_t* out_row) {
    for (size_t g = 0; g < columns / group; g++) {
        const group_numbers_t numbers =
            quantize_group(values + g * group, group, (int8_t*)out_row + g * group);
        store_numbers(&numbers, columns, group, g, out_row);
    }
}

void llmir_q8_quantize_row_wide(const float* values,
                                uint32_t columns,
                                uint32_t group,
                                uint8_t* out_row) {
    for (size_t g = 0; g < columns / group; g++) {
        int8_t* high = (int8_t*)out_row + g * group;
        group_numbers_t numbers = quantize_group(values + g * group, group, high);
        quantize_rest(values + g * group, group, high, high + columns, &numbers);
        store_numbers(&numbers, 2 * columns, group, g, out_row);
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
