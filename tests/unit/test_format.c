/* core/base/format against snprintf: every conversion that the library's messages use. */
#include "core/base/format.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/test_random.h"

/* The same arguments for both; what fits must be equal, and so must where it is cut. */
#define CHECK_FORMAT(...)                                                         \
    do {                                                                          \
        char expected[300], found[300];                                           \
        for (volatile size_t capacity = 1; capacity < 40; ++capacity) {           \
            const int length = snprintf(expected, capacity, __VA_ARGS__);         \
            const int is_whole = llmir_format(found, capacity, __VA_ARGS__);      \
            assert_string_equal(found, expected);                                 \
            assert_int_equal(is_whole, length >= 0 && (size_t)length < capacity); \
        }                                                                         \
    } while (0)

static void test_format_integers_are_those_of_snprintf(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 1);
    for (uint32_t i = 0; i < 2000; ++i) {
        const uint32_t shift = test_random_below(&random, 64);
        const uint64_t wide = test_random_u64(&random) >> shift;
        const unsigned value = (unsigned)wide;
        CHECK_FORMAT("%u %d %x", value, (int)value, value);
        CHECK_FORMAT("%llu|%llx|%lld", (unsigned long long)wide, (unsigned long long)wide,
                     (long long)wide);
        CHECK_FORMAT("%zu %lu %ld", (size_t)wide, (unsigned long)wide, (long)wide);
        CHECK_FORMAT("%#x %02x %08x %5u %05d", value, value & 255u, value, value, (int)value);
    }
    CHECK_FORMAT("%d %d %u %#x", INT32_MIN, 0, UINT32_MAX, 0u);
    CHECK_FORMAT("%lld %llu", (long long)INT64_MIN, (unsigned long long)UINT64_MAX);
}

static void test_format_text_and_pointers_are_those_of_snprintf(void** state) {
    (void)state;
    int there = 0;
    CHECK_FORMAT("tensor '%s': %c%c 100%%", "blk.3.attn_q", 'o', 'k');
    CHECK_FORMAT("%.3s|%.0s|%.100s", "abcdef", "abc", "short");
    CHECK_FORMAT("%.*s|%.*s", 2, "abcdef", -1, "all of it");
    /* C libraries differ in how they write pointers. */
    char number[32], pointer[32];
    (void)snprintf(number, sizeof number, "%#llx", (unsigned long long)(uintptr_t)&there);
    assert_true(llmir_format(pointer, sizeof pointer, "%p", (void*)&there));
    assert_string_equal(pointer, number);
    CHECK_FORMAT("no conversion");
}

static void test_format_floats_are_short(void** state) {
    (void)state;
    char text[64];
    assert_true(llmir_format(text, sizeof text, "%g %g %g %g", 0.5, -1.25, 3.0, 0.95));
    assert_string_equal(text, "0.5 -1.25 3 0.95");
    assert_true(llmir_format(text, sizeof text, "%g %g", 123456.0, 0.9999999));
    assert_string_equal(text, "123456 1");
    assert_true(llmir_format(text, sizeof text, "%g", 1e30)); /* but for some last digits */
    assert_true(strncmp(text, "1", 1) == 0 && strstr(text, "e+30") != NULL);
    const double infinite = 1e300 * 1e300;
    assert_true(
        llmir_format(text, sizeof text, "%g %g %g", infinite, -infinite, infinite - infinite));
    assert_true(strncmp(text, "inf -inf ", 9) == 0 && strstr(text, "nan") != NULL);
}

static void test_format_unknown_conversion_ends_the_text(void** state) {
    (void)state;
    char text[64];
    const char* volatile format = "one %q two"; /* hidden from the compiler's check */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#endif
    assert_false(llmir_format(text, sizeof text, format));
    assert_string_equal(text, "one ");
    format = "ends in %";
    assert_false(llmir_format(text, sizeof text, format));
    assert_string_equal(text, "ends in ");
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_integers_are_those_of_snprintf),
        cmocka_unit_test(test_format_text_and_pointers_are_those_of_snprintf),
        cmocka_unit_test(test_format_floats_are_short),
        cmocka_unit_test(test_format_unknown_conversion_ends_the_text),
    };
    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
