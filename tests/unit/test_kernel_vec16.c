/* v16f: every operation against scalar arithmetic, and the same bits at every level. */
#include <math.h>
#include <string.h>

#include "tests/support/kernels/kernel_fixture.h"

static float f32_from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* Bit patterns of all kinds: uniform ones, small numbers, exact ties and special values. */
static void fill_patterns(test_random_t* random, float* out, uint32_t count) {
    static const float special[] = {0.0f,      -0.0f,    1.0f,   -1.0f,     INFINITY, -INFINITY,
                                    0x1p-149f, 0x1p127f, 65504,  65520,     0x1p-24f, 0x1p-25f,
                                    88.72283f, -86.643f, -87.5f, 0x1.8p22f, 127.5f,   -126.5f};
    for (uint32_t i = 0; i < count; ++i) {
        switch (test_random_below(random, 4)) {
            case 0:
                do {
                    out[i] = f32_from_bits((uint32_t)test_random_u64(random));
                } while (isnan(out[i]));
                break;
            case 1:
                out[i] = special[test_random_below(random, sizeof special / sizeof *special)];
                break;
            default:
                out[i] = test_random_f32(random, -100.0f, 100.0f);
        }
    }
}

static double reference(uint32_t op, double x, double y, double z) {
    switch (op) {
        case TEST_PROBE_MAX:
            return x > y ? x : y;
        case TEST_PROBE_MIN:
            return x < y ? x : y;
        case TEST_PROBE_ABS:
            return fabs(x);
        case TEST_PROBE_SELECT_LT:
            return x < y ? y : z;
        default:
            return NAN;
    }
}

/* One operation in f32, which C defines exactly. */
static float exact_f32(uint32_t op, int fused, float x, float y, float z) {
    switch (op) {
        case TEST_PROBE_ADD:
            return x + y;
        case TEST_PROBE_SUB:
            return x - y;
        case TEST_PROBE_MUL:
            return x * y;
        case TEST_PROBE_DIV:
            return x / y;
        case TEST_PROBE_SQRT:
            return sqrtf(x);
        case TEST_PROBE_FMA: {
            const float product = x * y;
            return fused ? fmaf(x, y, z) : product + z;
        }
        default:
            return (float)reference(op, x, y, z);
    }
}

static int same_or_nan(float a, float b) {
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, 4) == 0;
}

/* The smallest normal number may be a rounded subnormal one. */
static int is_tiny(float x) {
    return x != 0.0f && fabsf(x) <= 0x1p-126f;
}

/* Whether the level may give anything: see is_flushed. */
static int may_be_flushed(const test_kernel_level_t* level, float x, float result) {
    return level->is_flushed && (is_tiny(x) || is_tiny(result));
}

static void test_vec16_arithmetic_is_correctly_rounded(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 1);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t round = 0; round < 2000; ++round) {
        float x[16];
        float y[16];
        float z[16];
        fill_patterns(&random, x, 16);
        fill_patterns(&random, y, 16);
        fill_patterns(&random, z, 16);
        for (uint32_t l = 0; l < count; ++l) {
            for (uint32_t op = TEST_PROBE_ADD; op <= TEST_PROBE_SELECT_LT; ++op) {
                float out[16];
                levels[l].probe(op, 16, x, y, z, out);
                for (uint32_t i = 0; i < 16; ++i) {
                    const float expected = exact_f32(op, levels[l].is_fused, x[i], y[i], z[i]);
                    const int is_free = may_be_flushed(&levels[l], x[i], expected) ||
                                        may_be_flushed(&levels[l], y[i], z[i]);
                    if (!is_free && !same_or_nan(out[i], expected)) {
                        fail_msg("%s: operation %u of %a, %a, %a: %a, expected %a", levels[l].name,
                                 (unsigned)op, x[i], y[i], z[i], out[i], expected);
                    }
                }
            }
        }
    }
}

static void test_vec16_partial_operations_touch_only_their_lanes(void** state) {
    (void)state;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t l = 0; l < count; ++l) {
        for (uint32_t n = 1; n < 16; ++n) {
            float x[16];
            float y[16];
            float out[17];
            for (uint32_t i = 0; i < 16; ++i) {
                x[i] = i < n ? (float)i : NAN;
                y[i] = i < n ? 100.0f : NAN;
            }
            for (uint32_t i = 0; i < 17; ++i) {
                out[i] = -7.0f;
            }
            levels[l].probe(TEST_PROBE_ADD, n, x, y, y, out);
            for (uint32_t i = 0; i < 17; ++i) {
                assert_true(out[i] == (i < n ? 100.0f + (float)i : -7.0f));
            }
            uint16_t halves[16];
            uint16_t stored[16];
            float wide[16];
            for (uint32_t i = 0; i < 16; ++i) {
                halves[i] = i < n ? (uint16_t)(0x3c00u + i) : 0x7e00u;
                stored[i] = 0x1234u;
            }
            levels[l].probe(TEST_PROBE_LOAD_F16, n, halves, NULL, NULL, wide);
            levels[l].probe(TEST_PROBE_STORE_F16, n, wide, NULL, NULL, stored);
            for (uint32_t i = 0; i < 16; ++i) {
                assert_true(wide[i] == (i < n ? (float)test_f16_value(halves[i]) : 0.0f));
                assert_int_equal(stored[i], i < n ? halves[i] : 0x1234u);
            }
        }
    }
}

/* Distance of `actual` from the exact result in units of the last place of that. */
static double ulps(float actual, double exact) {
    const float nearest = (float)exact;
    if (isinf(nearest) || nearest == 0.0f) {
        return actual == nearest ? 0.0 : INFINITY;
    }
    return fabs(actual - exact) / ldexp(1.0, ilogbf(nearest) - 23);
}

static void check_exp(const test_kernel_level_t* level, const float* x, double limit) {
    float out[16];
    level->probe(TEST_PROBE_EXP, 16, x, NULL, NULL, out);
    for (uint32_t i = 0; i < 16; ++i) {
        const double exact = exp((double)x[i]);
        if (isnan(x[i])) {
            assert_true(isnan(out[i]));
        } else if (exact < 0x1.0001p-125) {
            assert_true(out[i] == 0.0f || (exact > 0x1.fffep-126 && ulps(out[i], exact) <= limit));
        } else if (!(ulps(out[i], exact) <= limit)) {
            fail_msg("%s: exp(%a) = %a, off by %g ulp", level->name, x[i], out[i],
                     ulps(out[i], exact));
        }
    }
    float clipped[16];
    float same[16];
    for (uint32_t i = 0; i < 16; ++i) {
        clipped[i] = x[i] > 0.0f ? -x[i] : x[i];
    }
    level->probe(TEST_PROBE_EXP, 16, clipped, NULL, NULL, out);
    level->probe(TEST_PROBE_EXP_NONPOSITIVE, 16, clipped, NULL, NULL, same);
    for (uint32_t i = 0; i < 16; ++i) {
        assert_true(same_or_nan(out[i], same[i]));
    }
}

static void test_vec16_exp_is_within_two_ulp(void** state) {
    (void)state;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t l = 0; l < count; ++l) {
        const double limit = levels[l].is_fused ? 1.0 : 2.0;
        const float edges[16] = {-INFINITY, INFINITY,      0.0f,       -0.0f,  NAN,     88.722839f,
                                 88.72284f, -86.64339f,    -86.64340f, 1e-40f, -1e-40f, 1e38f,
                                 -1e38f,    0x1.62e43p-1f, 104.0f,     -104.0f};
        check_exp(&levels[l], edges, limit);
        /* A prime step over all bit patterns: every exponent and both signs. */
        for (uint64_t bits = 0; bits < (1ull << 32); bits += 16u * 20011u) {
            float x[16];
            for (uint32_t i = 0; i < 16; ++i) {
                x[i] = f32_from_bits((uint32_t)(bits + i * 20011u));
            }
            check_exp(&levels[l], x, limit);
        }
    }
}

static double smooth_reference(uint32_t op, double x) {
    switch (op) {
        case TEST_PROBE_SIGMOID:
            return 1.0 / (1.0 + exp(-x));
        case TEST_PROBE_TANH:
            return tanh(x);
        case TEST_PROBE_SILU:
            return x / (1.0 + exp(-x));
        default:
            return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    }
}

static void test_vec16_smooth_functions_are_close(void** state) {
    (void)state;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t l = 0; l < count; ++l) {
        for (uint32_t op = TEST_PROBE_SIGMOID; op <= TEST_PROBE_GELU; ++op) {
            for (int step = -2400; step < 2400; step += 16) {
                float x[16];
                float out[16];
                for (int i = 0; i < 16; ++i) {
                    x[i] = (float)(step + i) * 0.0625f;
                }
                levels[l].probe(op, 16, x, NULL, NULL, out);
                for (int i = 0; i < 16; ++i) {
                    const double want = smooth_reference(op, x[i]);
                    /* tanh is exact to 2^-22 absolutely; the tail of GELU suffers from the rounding
                     * of its large argument; the others are relatively exact down to 2^-118. */
                    const double slack = op == TEST_PROBE_TANH   ? 0x1p-22
                                         : op == TEST_PROBE_GELU ? fabs(want) * 4e-6 + 1e-7
                                                                 : fabs(want) * 1e-6;
                    assert_true(fabs(out[i] - want) <= slack + 0x1p-118);
                }
            }
        }
    }
}

static void test_vec16_f16_loads_every_value_exactly(void** state) {
    (void)state;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t l = 0; l < count; ++l) {
        for (uint32_t base = 0; base < 65536; base += 16) {
            uint16_t halves[16];
            float out[16];
            uint16_t back[16];
            for (uint32_t i = 0; i < 16; ++i) {
                halves[i] = (uint16_t)(base + i);
            }
            levels[l].probe(TEST_PROBE_LOAD_F16, 16, halves, NULL, NULL, out);
            levels[l].probe(TEST_PROBE_STORE_F16, 16, out, NULL, NULL, back);
            for (uint32_t i = 0; i < 16; ++i) {
                const double want = test_f16_value(halves[i]);
                assert_true(same_or_nan(out[i], (float)want));
                if (isnan(want) && levels[l].is_flushed) {
                    assert_int_equal(back[i] & 0x7e00u, 0x7e00u);
                } else {
                    assert_int_equal(back[i], isnan(want) ? halves[i] | 0x200u : halves[i]);
                }
            }
        }
    }
}

static void test_vec16_f16_stores_the_nearest(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 2);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t round = 0; round < 20000; ++round) {
        float x[16];
        fill_patterns(&random, x, 16);
        for (uint32_t i = 0; i < 8; ++i) { /* ties and their neighbours */
            const uint16_t h = (uint16_t)test_random_below(&random, 0x7bff);
            const double tie = (test_f16_value(h) + test_f16_value((uint16_t)(h + 1u))) / 2.0;
            x[i] = nextafterf((float)tie, round % 3 == 0 ? INFINITY : (float)tie);
        }
        for (uint32_t l = 0; l < count; ++l) {
            uint16_t out[16];
            levels[l].probe(TEST_PROBE_STORE_F16, 16, x, NULL, NULL, out);
            for (uint32_t i = 0; i < 16; ++i) {
                if (out[i] != test_f16_nearest(x[i])) {
                    fail_msg("%s: f16 of %a is %04x, expected %04x", levels[l].name, x[i], out[i],
                             test_f16_nearest(x[i]));
                }
            }
        }
    }
}

static void test_vec16_integers_convert(void** state) {
    (void)state;
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t l = 0; l < count; ++l) {
        for (int base = -128; base < 128; base += 16) {
            int8_t bytes[16];
            uint8_t unsigned_bytes[16];
            float from_i8[16];
            float from_u8[16];
            struct {
                int8_t q[16];
                int32_t sum;
            } rounded;
            int32_t sum = 0;
            for (int i = 0; i < 16; ++i) {
                bytes[i] = (int8_t)(base + i);
                unsigned_bytes[i] = (uint8_t)(base + i + 128);
                sum += base + i;
            }
            levels[l].probe(TEST_PROBE_LOAD_I8, 16, bytes, NULL, NULL, from_i8);
            levels[l].probe(TEST_PROBE_LOAD_U8, 16, unsigned_bytes, NULL, NULL, from_u8);
            levels[l].probe(TEST_PROBE_ROUND_I8, 16, from_i8, NULL, NULL, &rounded);
            assert_int_equal(rounded.sum, sum);
            for (int i = 0; i < 16; ++i) {
                assert_true(from_i8[i] == (float)bytes[i]);
                assert_true(from_u8[i] == (float)unsigned_bytes[i]);
                assert_int_equal(rounded.q[i], bytes[i]);
            }
        }
        const float halves[16] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f,  -2.5f,   0.49f,    0.51f,
                                  3.5f, 4.5f, 0,    -0.0f, 126.5f, -126.5f, 99.4999f, -99.5001f};
        const int8_t want[16] = {0, 2, 2, 0, -2, -2, 0, 1, 4, 4, 0, 0, 126, -126, 99, -100};
        int8_t out[20];
        levels[l].probe(TEST_PROBE_ROUND_I8, 16, halves, NULL, NULL, out);
        assert_memory_equal(out, want, 16);
    }
}

static void test_vec16_bf16_and_reductions_follow_their_definition(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 3);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t round = 0; round < 500; ++round) {
        float x[16];
        test_random_fill_f32(&random, x, 16, -3.0f, 3.0f);
        float tree[16];
        memcpy(tree, x, sizeof tree);
        float max = x[0];
        for (uint32_t half = 8; half > 0; half /= 2) {
            for (uint32_t i = 0; i < half; ++i) {
                tree[i] += tree[i + half];
            }
        }
        uint16_t bf16[16];
        for (uint32_t i = 0; i < 16; ++i) {
            max = x[i] > max ? x[i] : max;
            bf16[i] = (uint16_t)test_random_below(&random, 0x7f80);
        }
        for (uint32_t l = 0; l < count; ++l) {
            float out[16];
            levels[l].probe(TEST_PROBE_SUM, 16, x, NULL, NULL, out);
            assert_memory_equal(out, tree, 4);
            levels[l].probe(TEST_PROBE_MAX_LANES, 16, x, NULL, NULL, out);
            assert_memory_equal(out, &max, 4);
            levels[l].probe(TEST_PROBE_LOAD_BF16, 16, bf16, NULL, NULL, out);
            for (uint32_t i = 0; i < 16; ++i) {
                assert_true(out[i] == f32_from_bits((uint32_t)bf16[i] << 16));
            }
        }
    }
}

static void test_vec16_levels_agree_bit_by_bit(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 4);
    const test_kernel_level_t* levels;
    const uint32_t count = test_kernel_levels(&levels);
    for (uint32_t round = 0; round < 5000; ++round) {
        float x[16];
        fill_patterns(&random, x, 16);
        for (uint32_t op = TEST_PROBE_EXP; op <= TEST_PROBE_GELU; ++op) {
            float expected[2][16]; /* without and with fused multiply-add */
            levels[0].probe(op, 16, x, NULL, NULL, expected[1]);
            levels[1].probe(op, 16, x, NULL, NULL, expected[0]);
            for (uint32_t l = 2; l < count; ++l) {
                float out[16];
                levels[l].probe(op, 16, x, NULL, NULL, out);
                for (uint32_t i = 0; i < 16; ++i) {
                    const float want = expected[levels[l].is_fused][i];
                    assert_true(may_be_flushed(&levels[l], x[i], want) ||
                                same_or_nan(out[i], want));
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vec16_arithmetic_is_correctly_rounded),
        cmocka_unit_test(test_vec16_partial_operations_touch_only_their_lanes),
        cmocka_unit_test(test_vec16_exp_is_within_two_ulp),
        cmocka_unit_test(test_vec16_smooth_functions_are_close),
        cmocka_unit_test(test_vec16_f16_loads_every_value_exactly),
        cmocka_unit_test(test_vec16_f16_stores_the_nearest),
        cmocka_unit_test(test_vec16_integers_convert),
        cmocka_unit_test(test_vec16_bf16_and_reductions_follow_their_definition),
        cmocka_unit_test(test_vec16_levels_agree_bit_by_bit),
    };
    return cmocka_run_group_tests_name("kernel_vec16", tests, NULL, NULL);
}
