/* binary16 and bfloat16 conversions against arithmetic on doubles: every half, and the floats
 * around every boundary between two of them. */
#include <math.h>
#include <string.h>

#include "quant/half.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The value of a finite binary16 by its definition. */
static double value_of_f16(uint32_t half) {
    const int exponent = (int)(half >> 10 & 31u);
    const double mantissa = half & 1023u;
    const double magnitude =
        exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024.0 + mantissa, exponent - 25);
    return half & 0x8000u ? -magnitude : magnitude;
}

static void test_half_f16_every_value_converts_exactly_both_ways(void** state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        const float value = llmir_f16_to_f32((uint16_t)half);
        if ((half & 0x7C00u) == 0x7C00u) {
            assert_int_equal((half & 0x3FFu) == 0, isinf(value) != 0);
            assert_int_equal((half & 0x3FFu) != 0, isnan(value) != 0);
            assert_int_equal(half >> 15, signbit(value) != 0);
        } else {
            assert_true((double)value == value_of_f16(half));
            assert_int_equal(half >> 15, signbit(value) != 0);
        }
        if (!isnan(value)) {
            assert_int_equal(llmir_f32_to_f16(value), half);
        } else {
            assert_int_equal(llmir_f32_to_f16(value), half | 0x200u);
        }
    }
}

/* Between two neighbours: the middle goes to the even one, the floats beside it to the nearer. */
static void test_half_f16_middle_between_neighbours_rounds_to_even(void** state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7BFFu; half++) {
        const float middle = (float)((value_of_f16(half) + value_of_f16(half + 1)) / 2);
        const uint16_t even = (uint16_t)(half % 2 == 0 ? half : half + 1);
        assert_int_equal(llmir_f32_to_f16(middle), even);
        assert_int_equal(llmir_f32_to_f16(-middle), even | 0x8000u);
        assert_int_equal(llmir_f32_to_f16(nextafterf(middle, 0.0f)), half);
        assert_int_equal(llmir_f32_to_f16(nextafterf(middle, INFINITY)), half + 1);
    }
}

static void test_half_f16_beyond_the_range_becomes_infinity(void** state) {
    (void)state;
    assert_int_equal(llmir_f32_to_f16(65519.996f), 0x7BFF);
    assert_int_equal(llmir_f32_to_f16(65520.0f), 0x7C00);
    assert_int_equal(llmir_f32_to_f16(-3e38f), 0xFC00);
    assert_int_equal(llmir_f32_to_f16(INFINITY), 0x7C00);
    assert_int_equal(llmir_f32_to_f16(1e-30f), 0);
    assert_int_equal(llmir_f32_to_f16(-1e-30f), 0x8000);
}

static void test_half_bf16_rounds_to_nearest_even(void** state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7F7Fu; half++) {
        const uint32_t bits = half << 16;
        assert_int_equal(llmir_f32_to_bf16(llmir_bf16_to_f32((uint16_t)half)), half);
        assert_int_equal(llmir_f32_to_bf16(float_of(bits + 0x8000u)), half + half % 2);
        assert_int_equal(llmir_f32_to_bf16(float_of(bits + 0x7FFFu)), half);
        assert_int_equal(llmir_f32_to_bf16(float_of(bits + 0x8001u)), half + 1);
        assert_int_equal(llmir_f32_to_bf16(float_of(bits | 0x80000000u)), half | 0x8000u);
    }
    assert_int_equal(llmir_f32_to_bf16(INFINITY), 0x7F80);
    assert_true(isnan(llmir_bf16_to_f32(llmir_f32_to_bf16(float_of(0x7F800001u)))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_f16_every_value_converts_exactly_both_ways),
        cmocka_unit_test(test_half_f16_middle_between_neighbours_rounds_to_even),
        cmocka_unit_test(test_half_f16_beyond_the_range_becomes_infinity),
        cmocka_unit_test(test_half_bf16_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}
