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

/* Writes group `index` of the row from x[group]; `group` is a multiple of 16. The clamps change no
 * finite value; they give infinities and NaNs defined results. */
LLMIR_VEC void llmir_q8_group_store(llmir_q8_row_t row,
                                    uint32_t index,
                                    const float* x,
                                    uint32_t group) {
    v16f largest = v16_zero();
    for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
        largest = v16_max(v16_abs(v16_load(x + i)), largest);
    }
    const float max = v16_max_lanes(largest);
    const float wanted = max > 0.0f ? 127.0f / max : 0.0f;
    const v16f inverse = v16_set1(wanted < 0x1.fffffep+127f ? wanted : 0x1.fffffep+127f);
    const v16f low = v16_set1(-127.0f);
    const v16f high = v16_set1(127.0f);
    v16i sum = v16i_zero();
    for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
        const v16f scaled = v16_mul(v16_load(x + i), inverse);
        const v16i q = v16_round(v16_min(v16_max(scaled, low), high));
        v16i_store_i8(row.q + index * group + i, q);
        sum = v16i_add(sum, q);
    }
    row.scale[index] = max / 127.0f;
    row.sum[index] = v16i_sum(sum);
}

/* Writes groups `index` and group_count + `index` of a wide row, which has 2 * group_count. */
LLMIR_VEC void llmir_q8_group_store_wide(
    llmir_q8_row_t row, uint32_t index, uint32_t group_count, const float* x, uint32_t group) {
    float rest[LLMIR_Q8_MAX_GROUP];
    llmir_q8_group_store(row, index, x, group);
    const v16f scale = v16_set1(row.scale[index]);
    for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
        const v16f kept = v16_mul(v16_load_i8(row.q + index * group + i), scale);
        v16_store(rest + i, v16_sub(v16_load(x + i), kept));
    }
    llmir_q8_group_store(row, group_count + index, rest, group);
}

#endif /* LLMIR_CPU_Q8_ROWS_H */
