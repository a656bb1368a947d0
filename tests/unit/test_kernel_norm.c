/* RMS norm with all its flags, quantization of rows, and the stand-alone gate. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quant/activation.h"
#include "quant/quant_layout.h"
#include "tests/support/kernels/kernel_fixture.h"

#define ROWS 11u
#define MAX_DIM 2304u

/* One row's worth of everything, ROWS times. */
typedef struct norm_fixture {
    llmir_cpu_batch_t batch;
    uint32_t output_rows[ROWS];
    float before[ROWS][MAX_DIM];
    float x[ROWS][MAX_DIM];
    float delta[ROWS][MAX_DIM];
    float delta_weight[MAX_DIM];
    float weight[MAX_DIM];
    uint8_t out[ROWS][MAX_DIM * 4u];
} norm_fixture_t;

static void fixture_fill(norm_fixture_t* f, test_random_t* random) {
    f->batch =
        (llmir_cpu_batch_t){.token_count = ROWS, .output_count = 3, .output_rows = f->output_rows};
    f->output_rows[0] = 1;
    f->output_rows[1] = 4;
    f->output_rows[2] = 10;
    test_random_fill_f32(random, f->before[0], ROWS * MAX_DIM, -2.0f, 2.0f);
    test_random_fill_f32(random, f->delta[0], ROWS * MAX_DIM, -0.5f, 0.5f);
    test_random_fill_f32(random, f->weight, MAX_DIM, -1.0f, 2.0f);
    test_random_fill_f32(random, f->delta_weight, MAX_DIM, -1.0f, 2.0f);
}

static void run_norm(norm_fixture_t* f,
                     const test_kernel_level_t* level,
                     const llmir_norm_params_t* p,
                     int reversed) {
    memcpy(f->x, f->before, sizeof f->x);
    memset(f->out, 0xee, sizeof f->out);
    const int has_delta = (p->flags & LLMIR_NORM_ADD_DELTA) != 0;
    const int has_output = (p->flags & LLMIR_NORM_NO_OUTPUT) == 0;
    const llmir_cpu_call_t call = {
        .batch = &f->batch,
        .operands = {f->x, has_delta ? f->delta : NULL,
                     p->flags & LLMIR_NORM_DELTA_NORM ? f->delta_weight : NULL,
                     has_output ? f->weight : NULL, has_output ? f->out : NULL},
        .row_bytes = {sizeof f->x[0], sizeof f->delta[0], 0, 0, sizeof f->out[0]},
    };
    test_kernel_run(level, LLMIR_KERNEL_NORM, &call, p, reversed);
}

static double rms_inverse(const double* x, uint32_t dim, double epsilon) {
    double squares = 0.0;
    for (uint32_t i = 0; i < dim; ++i) {
        squares += x[i] * x[i];
    }
    return 1.0 / sqrt(squares / dim + epsilon);
}

/* The new x of a row, in double. */
static void reference_x(const norm_fixture_t* f,
                        const llmir_norm_params_t* p,
                        uint32_t row,
                        double* x) {
    double delta[MAX_DIM];
    for (uint32_t i = 0; i < p->dim; ++i) {
        x[i] = f->before[row][i];
        delta[i] = f->delta[row][i];
    }
    if (!(p->flags & LLMIR_NORM_ADD_DELTA)) {
        return;
    }
    const double inverse = rms_inverse(delta, p->dim, p->delta_epsilon);
    for (uint32_t i = 0; i < p->dim; ++i) {
        x[i] +=
            p->flags & LLMIR_NORM_DELTA_NORM ? delta[i] * inverse * f->delta_weight[i] : delta[i];
    }
}

/* A row of int8, or a wide one of high and low bytes. */
static void check_q8_row(
    const uint8_t* row, const double* want, uint32_t dim, uint32_t group, int wide) {
    const int8_t* q = (const int8_t*)row;
    const uint32_t columns = wide ? 2 * dim : dim;
    const float* scale = (const float*)(row + llmir_q8_scale_offset(columns));
    const int32_t* sums = (const int32_t*)(row + llmir_q8_sum_offset(columns, group));
    for (uint32_t g = 0; g < dim / group; ++g) {
        double max = 0.0;
        int32_t sum = 0;
        for (uint32_t i = g * group; i < (g + 1u) * group; ++i) {
            max = fabs(want[i]) > max ? fabs(want[i]) : max;
            const int32_t value = wide ? 256 * q[i] + q[dim + i] : q[i];
            const double step = scale[g] * (wide ? 1.501 : 0.501);
            sum += value;
            assert_true(fabs(value * (double)scale[g] - want[i]) <= step + 1e-6);
        }
        assert_true(fabs(scale[g] * (wide ? 256.0 : 1.0) - max / 127.0) <= 1e-6 * max);
        assert_int_equal(sums[g], sum);
    }
}

static void check_norm(const norm_fixture_t* f, const llmir_norm_params_t* p) {
    const uint32_t rows = p->gather ? f->batch.output_count : ROWS;
    const int stores_x = (p->flags & LLMIR_NORM_ADD_DELTA) && !p->gather;
    double x[MAX_DIM];
    for (uint32_t r = 0; r < ROWS; ++r) {
        reference_x(f, p, r, x);
        for (uint32_t i = 0; i < MAX_DIM; ++i) {
            const double want = stores_x && i < p->dim ? x[i] : f->before[r][i];
            assert_true(fabs(f->x[r][i] - want) <= 3e-6);
        }
    }
    for (uint32_t r = 0; r < rows && !(p->flags & LLMIR_NORM_NO_OUTPUT); ++r) {
        reference_x(f, p, p->gather ? f->output_rows[r] : r, x);
        const double inverse = rms_inverse(x, p->dim, p->epsilon);
        for (uint32_t i = 0; i < p->dim; ++i) {
            x[i] *= inverse * f->weight[i];
        }
        if (p->out_format == LLMIR_ROW_Q8) {
            check_q8_row(f->out[r], x, p->dim, p->group, (p->flags & LLMIR_NORM_WIDE) != 0);
            continue;
        }
        const float* out = (const float*)f->out[r];
        for (uint32_t i = 0; i < p->dim; ++i) {
            assert_true(fabs(out[i] - x[i]) <= 4e-6);
        }
        for (uint32_t i = p->dim * 4u; i < sizeof f->out[0]; ++i) {
            assert_int_equal(f->out[r][i], 0xee);
        }
    }
}

static void test_norm_flags_dims_and_formats_match_the_reference(void** state) {
    (void)state;
    static norm_fixture_t f;
    static norm_fixture_t expected[2];
    static const uint32_t dims[] = {576, 2304, 128, 512, 1, 8, 100};
    test_random_t random;
    test_random_init(&random, 31);
    fixture_fill(&f, &random);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t d = 0; d < sizeof dims / sizeof *dims; ++d) {
        for (uint32_t flags = 0; flags < 16; ++flags) {
            for (uint32_t mode = 0; mode < 10; ++mode) {
                const uint32_t group = 32u << mode / 2u; /* 512: f32 output */
                const llmir_norm_params_t p = {
                    .dim = dims[d],
                    .flags = flags,
                    .epsilon = 1e-5f,
                    .delta_epsilon = 1e-6f,
                    .out_format = group <= LLMIR_MAX_GROUP ? LLMIR_ROW_Q8 : LLMIR_ROW_F32,
                    .group = group <= LLMIR_MAX_GROUP ? group : 0,
                    .gather = mode % 2u,
                };
                if (p.group ? p.dim % p.group != 0 : (flags & LLMIR_NORM_WIDE) != 0) {
                    continue;
                }
                for (uint32_t l = 0; l < count; ++l) {
                    run_norm(&f, &levels[l], &p, l % 2u == 0);
                    if (l < 2u) {
                        check_norm(&f, &p);
                        expected[levels[l].is_fused] = f;
                    }
                    const norm_fixture_t* want = &expected[levels[l].is_fused];
                    test_assert_same_bits("x", &levels[l], f.x, want->x, sizeof f.x);
                    test_assert_same_bits("norm", &levels[l], f.out, want->out, sizeof f.out);
                }
            }
        }
    }
}

/* The formula of quant/activation.h in scalar arithmetic: equal bits at all levels. */
static void reference_q8_row(const float* x, const llmir_quantize_params_t* p, uint8_t* row) {
    const uint32_t group = p->group;
    const uint32_t columns = p->wide ? 2 * p->dim : p->dim;
    for (uint32_t g = 0; g < p->dim / group; ++g) {
        float max = 0.0f;
        int32_t sum = 0;
        for (uint32_t i = g * group; i < (g + 1u) * group; ++i) {
            max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
        }
        const float inverse = max > 0.0f ? fminf(127.0f / max, FLT_MAX) : 0.0f;
        float scale = max / 127.0f;
        for (uint32_t i = g * group; i < (g + 1u) * group; ++i) {
            const int32_t q = (int32_t)nearbyintf(x[i] * inverse);
            ((int8_t*)row)[i] = (int8_t)q;
            sum += p->wide ? 256 * q : q;
            if (p->wide) {
                const float kept = (float)q * scale;
                const float rest = (x[i] - kept) * fminf(inverse * 256.0f, FLT_MAX);
                const int32_t low = (int32_t)nearbyintf(fminf(fmaxf(rest, -127.0f), 127.0f));
                ((int8_t*)row)[p->dim + i] = (int8_t)low;
                sum += low;
            }
        }
        scale = p->wide ? scale / 256.0f : scale;
        memcpy(row + llmir_q8_scale_offset(columns) + g * 4u, &scale, 4);
        memcpy(row + llmir_q8_sum_offset(columns, group) + g * 4u, &sum, 4);
    }
}

static void run_quantize(const test_kernel_level_t* level,
                         const llmir_quantize_params_t* p,
                         const float* in,
                         uint8_t* out,
                         uint32_t rows) {
    const llmir_cpu_batch_t batch = {
        .token_count = p->extent == LLMIR_EXTENT_TOKENS ? rows : 100,
        .output_count = p->extent == LLMIR_EXTENT_OUTPUTS ? rows : 100,
    };
    const uint32_t out_bytes = llmir_q8_row_bytes(p->wide ? 2 * p->dim : p->dim, p->group);
    const llmir_cpu_call_t call = {.batch = &batch,
                                   .operands = {(void*)(uintptr_t)in, out},
                                   .row_bytes = {p->dim * 4u, out_bytes}};
    test_kernel_run(level, LLMIR_KERNEL_QUANTIZE, &call, p, rows % 2u);
}

static void test_quantize_gives_the_bits_of_the_formula(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 32);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    int small = -120; /* exponent of numbers of which some are subnormal */
    for (uint32_t l = 0; l < count; ++l) {
        small = levels[l].is_flushed ? -60 : small;
    }
    for (uint32_t round = 0; round < 60; ++round) {
        const uint32_t group = 32u << round % 4u;
        const llmir_quantize_params_t p = {.dim = group * (1u + round % 5u),
                                           .group = group,
                                           .extent = round % 2u,
                                           .wide = round / 2u % 2u};
        const uint32_t rows = 1u + round % 7u;
        const size_t row_bytes = llmir_q8_row_bytes(p.wide ? 2 * p.dim : p.dim, group);
        const size_t bytes = rows * row_bytes;
        float* in = test_aligned((size_t)rows * p.dim * 4u);
        uint8_t* want = test_aligned(bytes);
        memset(want, 0, bytes);
        uint8_t* out = test_aligned(bytes);
        for (uint32_t i = 0; i < rows * p.dim; ++i) {
            const int kind = (int)(i / group % 4u);
            in[i] = kind == 0   ? test_random_normal(&random)
                    : kind == 1 ? 0.0f
                    : kind == 2 ? ldexpf(test_random_f32(&random, -1, 1), small - (int)round % 29)
                                : (float)((int)test_random_below(&random, 255) - 127) * 0.5f;
        }
        for (uint32_t r = 0; r < rows; ++r) {
            reference_q8_row(in + (size_t)r * p.dim, &p, want + r * row_bytes);
        }
        for (uint32_t l = 0; l < count; ++l) {
            memset(out, 0, bytes);
            run_quantize(&levels[l], &p, in, out, rows);
            test_assert_same_bits("q8", &levels[l], out, want, bytes);
        }
        free(in);
        free(want);
        free(out);
    }
}

static void test_quantize_infinities_and_nans_are_the_same_everywhere(void** state) {
    (void)state;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    const llmir_quantize_params_t p = {.dim = 64, .group = 32};
    float in[64];
    for (uint32_t i = 0; i < 64; ++i) {
        in[i] = (float)i;
    }
    in[3] = INFINITY;
    in[5] = -INFINITY;
    in[40] = NAN;
    _Alignas(64) uint8_t first[256];
    for (uint32_t l = 0; l < count; ++l) {
        _Alignas(64) uint8_t out[256] = {0};
        assert_int_equal(llmir_q8_row_bytes(64, 32), 192);
        run_quantize(&levels[l], &p, in, out, 1);
        if (l == 0) {
            memcpy(first, out, sizeof out);
        }
        test_assert_same_bits("q8", &levels[l], out, first, 192);
    }
}

static void test_gate_kernel_matches_the_reference(void** state) {
    (void)state;
    static const uint32_t dims[] = {1536, 100, 7};
    test_random_t random;
    test_random_init(&random, 33);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    const llmir_cpu_batch_t batch = {.token_count = ROWS};
    for (uint32_t d = 0; d < 3; ++d) {
        for (uint32_t gate = LLMIR_GATE_NONE; gate <= LLMIR_GATE_GELU_TANH; ++gate) {
            const llmir_gate_params_t p = {.dim = dims[d], .gate = gate};
            const size_t in_count = (size_t)ROWS * 2u * p.dim;
            float* in = test_aligned(in_count * 4u);
            float* out = test_aligned(in_count * 2u);
            float* expected[2] = {test_aligned(in_count * 2u), test_aligned(in_count * 2u)};
            test_random_fill_f32(&random, in, in_count, -6.0f, 6.0f);
            const llmir_cpu_call_t call = {
                .batch = &batch, .operands = {in, out}, .row_bytes = {p.dim * 8u, p.dim * 4u}};
            for (uint32_t l = 0; l < count; ++l) {
                test_kernel_run(&levels[l], LLMIR_KERNEL_GATE, &call, &p, l % 2u == 0);
                if (l < 2) {
                    memcpy(expected[levels[l].is_fused], out, in_count * 2u);
                }
                test_assert_same_bits("gate", &levels[l], out, expected[levels[l].is_fused],
                                      in_count * 2u);
            }
            for (size_t i = 0; i < in_count / 2u; ++i) {
                const size_t at = i / p.dim * 2u * p.dim + i % p.dim;
                const double z = in[at];
                const double gelu =
                    0.5 * z * (1.0 + tanh(0.7978845608028654 * (z + 0.044715 * z * z * z)));
                const double g = gate == LLMIR_GATE_NONE   ? z
                                 : gate == LLMIR_GATE_SILU ? z / (1.0 + exp(-z))
                                                           : gelu;
                assert_true(fabs(out[i] - g * in[at + p.dim]) <= 6e-6);
            }
            free(in);
            free(out);
            free(expected[0]);
            free(expected[1]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_flags_dims_and_formats_match_the_reference),
        cmocka_unit_test(test_quantize_gives_the_bits_of_the_formula),
        cmocka_unit_test(test_quantize_infinities_and_nans_are_the_same_everywhere),
        cmocka_unit_test(test_gate_kernel_matches_the_reference),
    };
    return cmocka_run_group_tests_name("kernel_norm", tests, NULL, NULL);
}
