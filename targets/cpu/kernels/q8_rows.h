/* Quantizing one group of a Q8 row (quant/activation.h), shared by the kernels that produce such
 * rows. The same bits on every ISA, with or without FMA. */
#ifndef LLMIR_CPU_Q8_ROWS_H
#define LLMIR_CPU_Q8_ROWS_H

#include "quant/activation.h"
#include "targets/cpu/kernels/vec16.h"

/* The three parts of one row. */
typedef struct llmir_q8_row {
    int8_t* q;    /* [columns] */
    float* scale; /* [columns / group] */
    int32_t* sum; /* [columns / group] */
} llmir_q8_row_t;

LLMIR_VEC llmir_q8_row_t llmir_q8_row(uint8_t* row, uint32_t columns, uint32_t group) {
    return (llmir_q8_row_t){(int8_t*)row, (float*)(row + llmir_q8_scale_offset(columns)),
                            (int32_t*)(row + llmir_q8_sum_offset(columns, group))};
}

/* x * inverse as integers in -127 .. 127. The clamps change no finite value of a narrow row; they
 * give infinities and NaNs defined results. */
LLMIR_VEC v16i llmir_q8_round(v16f x, v16f inverse) {
    const v16f raised = v16_max(v16_mul(x, inverse), v16_set1(-127.0f));
    return v16_round(v16_min(raised, v16_set1(127.0f)));
}

LLMIR_VEC float llmir_q8_held(float inverse) {
    return inverse < 0x1.fffffep+127f ? inverse : 0x1.fffffep+127f;
}

/* Writes group `index` of the row from x[group] and returns the inverse; `group` is a multiple of
 * 16. */
LLMIR_VEC float llmir_q8_group_store(llmir_q8_row_t row,
                                     uint32_t index,
                                     const float* x,
                                     uint32_t group) {
    v16f largest = v16_zero();
    for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
        largest = v16_max(v16_abs(v16_load(x + i)), largest);
    }
    const float max = v16_max_lanes(largest);
    const float inverse = llmir_q8_held(max > 0.0f ? 127.0f / max : 0.0f);
    v16i sum = v16i_zero();
    for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
        const v16i q = llmir_q8_round(v16_load(x + i), v16_set1(inverse));
        v16i_store_i8(row.q + index * group + i, q);
        sum = v16i_add(sum, q);
    }
    row.scale[index] = max / 127.0f;
    row.sum[index] = v16i_sum(sum);
    return inverse;
}

/* The same for a wide row of `columns` values. */
LLMIR_VEC void llmir_q8_group_store_wide(
    llmir_q8_row_t row, uint32_t index, uint32_t columns, const float* x, uint32_t group) {
    const float inverse = llmir_q8_held(llmir_q8_group_store(row, index, x, group) * 256.0f);
    const float scale = row.scale[index];
    int8_t* q = row.q + index * group;
    v16i sum = v16i_zero();
    for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
        const v16f kept = v16_mul(v16_load_i8(q + i), v16_set1(scale));
        const v16i low = llmir_q8_round(v16_sub(v16_load(x + i), kept), v16_set1(inverse));
        v16i_store_i8(q + columns + i, low);
        sum = v16i_add(sum, low);
    }
    row.scale[index] = scale * (1.0f / 256.0f);
    row.sum[index] = row.sum[index] * 256 + v16i_sum(sum);
}

#endif /* LLMIR_CPU_Q8_ROWS_H */
