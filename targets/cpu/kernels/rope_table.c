/* Cosines and sines of the batch's positions, made once per pass and read by every layer.
 *
 * The angle is a double, because position * frequency in f32 would lose the fraction at long
 * contexts. Sine and cosine are Taylor polynomials on [-pi/4, pi/4] in double: no libm, and the
 * same bits everywhere, because nothing but +, - and * is used. */
#include "targets/cpu/kernels/kernel.h"
#include "targets/cpu/kernels/tiles.h"
#include "targets/cpu/kernels/vec16.h"

void LLMIR_KERNEL_NAME(rope_table)(const llmir_cpu_call_t* call,
                                   const void* params,
                                   uint32_t tile_begin,
                                   uint32_t tile_end);

typedef struct rope_angle {
    double reduced;    /* in [-pi/4, pi/4], a little more after rounding */
    uint64_t quadrant; /* angle = reduced + quadrant * pi/2; the low two bits count */
} rope_angle_t;

/* pi/2 is taken in three parts; the first two have 22 bits, so that their products with quadrants
 * below 2^31 are exact. Adding 1.5 * 2^52 rounds to an integer. */
LLMIR_VEC rope_angle_t rope_reduce(double angle) {
    const double shifted = angle * 0x1.45f306dc9c883p-1 + 0x1.8p52; /* 2 / pi */
    const double k = shifted - 0x1.8p52;
    uint64_t quadrant;
    __builtin_memcpy(&quadrant, &shifted, 8);
    double r = angle - k * 0x1.921fbp+0;
    r = r - k * 0x1.5110bp-22;
    r = r - k * 0x1.18469898cc517p-44;
    return (rope_angle_t){r, quadrant};
}

/* Horner's scheme in x = r^2; the first omitted term is below 2^-54 on the interval. */
#define ROPE_TERMS 7
static const double rope_sin_terms[ROPE_TERMS] = {
    -0x1.ae7f3e733b81fp-41, /* -1/15! */
    0x1.6124613a86d09p-33,  /* +1/13! */
    -0x1.ae64567f544e4p-26, /* -1/11! */
    0x1.71de3a556c734p-19,  /* +1/9! */
    -0x1.a01a01a01a01ap-13, /* -1/7! */
    0x1.1111111111111p-7,   /* +1/5! */
    -0x1.5555555555555p-3,  /* -1/3! */
};
static const double rope_cos_terms[ROPE_TERMS + 1] = {
    0x1.ae7f3e733b81fp-45,  /* +1/16! */
    -0x1.93974a8c07c9dp-37, /* -1/14! */
    0x1.1eed8eff8d898p-29,  /* +1/12! */
    -0x1.27e4fb7789f5cp-22, /* -1/10! */
    0x1.a01a01a01a01ap-16,  /* +1/8! */
    -0x1.6c16c16c16c17p-10, /* -1/6! */
    0x1.5555555555555p-5,   /* +1/4! */
    -0.5,
};

LLMIR_VEC double rope_polynomial(double x, const double* terms, int count) {
    double sum = terms[0];
    for (int i = 1; i < count; ++i) {
        sum = sum * x + terms[i];
    }
    return sum;
}

LLMIR_VEC double rope_sin(double r) {
    const double x = r * r;
    return r + r * (x * rope_polynomial(x, rope_sin_terms, ROPE_TERMS));
}

LLMIR_VEC double rope_cos(double r) {
    const double x = r * r;
    return 1.0 + x * rope_polynomial(x, rope_cos_terms, ROPE_TERMS + 1);
}

static void rope_row(float* out,
                     const float* frequency,
                     const llmir_rope_table_params_t* p,
                     int32_t position) {
    const uint32_t pairs = p->pair_count;
    for (uint32_t i = 0; i < pairs; ++i) {
        const rope_angle_t angle = rope_reduce((double)position * (double)frequency[i]);
        const double sine = rope_sin(angle.reduced);
        const double cosine = rope_cos(angle.reduced);
        /* A turn by a quadrant: (c, s) -> (-s, c). */
        const double c = angle.quadrant & 1u ? sine : cosine;
        const double s = angle.quadrant & 1u ? cosine : sine;
        const int negative_c = ((angle.quadrant + 1u) & 2u) != 0;
        const int negative_s = (angle.quadrant & 2u) != 0;
        out[i] = (float)(negative_c ? -c : c) * p->attention_factor;
        out[pairs + i] = (float)(negative_s ? -s : s) * p->attention_factor;
    }
}

void LLMIR_KERNEL_NAME(rope_table)(const llmir_cpu_call_t* call,
                                   const void* params,
                                   uint32_t tile_begin,
                                   uint32_t tile_end) {
    const llmir_rope_table_params_t* p = (const llmir_rope_table_params_t*)params;
    const llmir_cpu_batch_t* batch = call->batch;
    const llmir_tile_rows_t rows =
        llmir_tile_rows(tile_begin, tile_end, LLMIR_TOKEN_TILE_ROWS, batch->token_count);
    for (uint32_t t = rows.begin; t < rows.end; ++t) {
        float* out = (float*)((uint8_t*)call->operands[1] + (size_t)t * call->row_bytes[1]);
        rope_row(out, (const float*)call->operands[0], p, batch->positions[t]);
    }
}
