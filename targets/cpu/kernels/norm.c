/* [x += delta or its norm]; out = rms_norm(x) * weight, as f32 or Q8 rows.
 *
 * Two passes over a row. The first makes the new x, stores it and sums its squares in 16 lanes; the
 * second scales. With `gather` x is not stored, so the second pass makes it again. */
#include "quant/quant_layout.h"
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/q8_rows.h"
#include "targets/cpu/kernels/rms.h"
#include "targets/cpu/kernels/tiles.h"

void LLMIR_KERNEL_NAME(norm)(const llmir_cpu_call_t* call,
                             const void* params,
                             uint32_t tile_begin,
                             uint32_t tile_end);

typedef struct norm_row {
    float* x;
    const float* delta;        /* NULL: nothing to add */
    const float* delta_weight; /* NULL: delta is added as it is */
    float delta_inverse;
    uint32_t dim;
} norm_row_t;

/* Elements i .. i + 15 of x + delta; those past the end are 0. */
LLMIR_VEC v16f norm_input(const norm_row_t* row, uint32_t i) {
    const uint32_t left = row->dim - i;
    const v16f x = v16_load_upto(row->x + i, left);
    if (!row->delta) {
        return x;
    }
    v16f delta = v16_load_upto(row->delta + i, left);
    if (row->delta_weight) {
        delta = v16_mul(v16_mul(delta, v16_set1(row->delta_inverse)),
                        v16_load_upto(row->delta_weight + i, left));
    }
    return v16_add(x, delta);
}

/* First pass: the factor of the norm. */
LLMIR_VEC float norm_accumulate(const norm_row_t* row, float epsilon, int store) {
    v16f sums = v16_zero();
    for (uint32_t i = 0; i < row->dim; i += LLMIR_LANES) {
        const v16f v = norm_input(row, i);
        if (store) {
            v16_store_upto(row->x + i, v, row->dim - i);
        }
        sums = v16_fma(v, v, sums);
    }
    return llmir_rms_inverse(sums, row->dim, epsilon);
}

LLMIR_VEC v16f norm_output(const norm_row_t* row, const float* weight, v16f inverse, uint32_t i) {
    return v16_mul(v16_mul(norm_input(row, i), inverse), v16_load_upto(weight + i, row->dim - i));
}

LLMIR_OUTLINE void norm_store_f32(const norm_row_t* row,
                                  const float* weight,
                                  float inverse,
                                  float* out) {
    for (uint32_t i = 0; i < row->dim; i += LLMIR_LANES) {
        v16_store_upto(out + i, norm_output(row, weight, v16_set1(inverse), i), row->dim - i);
    }
}

LLMIR_OUTLINE void norm_store_q8(const norm_row_t* row,
                                 const float* weight,
                                 float inverse,
                                 uint8_t* out,
                                 uint32_t group,
                                 int wide) {
    const uint32_t group_count = row->dim / group;
    const llmir_q8_row_t q8 = llmir_q8_row(out, wide ? 2 * row->dim : row->dim, group);
    float values[LLMIR_MAX_GROUP];
    for (uint32_t g = 0; g < group_count; ++g) {
        for (uint32_t i = 0; i < group; i += LLMIR_LANES) {
            v16_store(values + i, norm_output(row, weight, v16_set1(inverse), g * group + i));
        }
        if (wide) {
            llmir_q8_group_store_wide(q8, g, row->dim, values, group);
        } else {
            (void)llmir_q8_group_store(q8, g, values, group);
        }
    }
}

/* What the first pass reads for token row `token`. */
LLMIR_VEC norm_row_t norm_row_at(const llmir_cpu_call_t* call,
                                 const llmir_norm_params_t* p,
                                 uint32_t token) {
    norm_row_t row = {
        .x = (float*)((uint8_t*)call->operands[0] + (size_t)token * call->row_bytes[0]),
        .dim = p->dim,
    };
    if (p->flags & LLMIR_NORM_ADD_DELTA) {
        row.delta =
            (const float*)((const uint8_t*)call->operands[1] + (size_t)token * call->row_bytes[1]);
        if (p->flags & LLMIR_NORM_DELTA_NORM) {
            row.delta_weight = (const float*)call->operands[2];
            row.delta_inverse = llmir_rms_inverse_row(row.delta, p->dim, p->delta_epsilon);
        }
    }
    return row;
}

void LLMIR_KERNEL_NAME(norm)(const llmir_cpu_call_t* call,
                             const void* params,
                             uint32_t tile_begin,
                             uint32_t tile_end) {
    const llmir_norm_params_t* p = (const llmir_norm_params_t*)params;
    const llmir_cpu_batch_t* batch = call->batch;
    const llmir_tile_rows_t rows =
        llmir_tile_rows(tile_begin, tile_end, LLMIR_NORM_TILE_ROWS,
                        p->gather ? batch->output_count : batch->token_count);
    const float* weight = (const float*)call->operands[3];
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
        norm_row_t row = norm_row_at(call, p, p->gather ? batch->output_rows[r] : r);
        const int store = row.delta && !p->gather;
        const float inverse = norm_accumulate(&row, p->epsilon, store);
        if (p->flags & LLMIR_NORM_NO_OUTPUT) {
            continue;
        }
        if (store) {
            row.delta = NULL; /* already in x */
        }
        uint8_t* out = (uint8_t*)call->operands[4] + (size_t)r * call->row_bytes[4];
        if (p->out_format == LLMIR_ROW_Q8) {
            norm_store_q8(&row, weight, inverse, out, p->group, (p->flags & LLMIR_NORM_WIDE) != 0);
        } else {
            norm_store_f32(&row, weight, inverse, (float*)out);
        }
    }
}
