/* targets/cpu/cpu_level: names, detection, choice. */
#include "targets/cpu/cpu_level.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static const uint32_t all_levels[] = {
    LLMIR_CPU_LEVEL_NONE,           LLMIR_CPU_LEVEL_X86_64_V2,  LLMIR_CPU_LEVEL_X86_64_V3,
    LLMIR_CPU_LEVEL_X86_64_V4_VNNI, LLMIR_CPU_LEVEL_AARCH64,    LLMIR_CPU_LEVEL_AARCH64_DOTPROD,
    LLMIR_CPU_LEVEL_AARCH64_I8MM,   LLMIR_CPU_LEVEL_ARMV7_NEON, LLMIR_CPU_LEVEL_RV64GCV,
};
#define LEVEL_COUNT (sizeof all_levels / sizeof all_levels[0])

static void test_cpu_level_names_are_distinct(void** state) {
    (void)state;
    for (size_t i = 0; i < LEVEL_COUNT; ++i) {
        assert_string_not_equal(llmir_cpu_level_name(all_levels[i]), "unknown");
        for (size_t k = 0; k < i; ++k) {
            assert_string_not_equal(llmir_cpu_level_name(all_levels[i]),
                                    llmir_cpu_level_name(all_levels[k]));
        }
    }
    assert_string_equal(llmir_cpu_level_name(0x999), "unknown");
}

static void test_cpu_level_portable_is_supported_and_unknown_is_not(void** state) {
    (void)state;
    assert_true(llmir_cpu_level_is_supported(LLMIR_CPU_LEVEL_NONE));
    assert_false(llmir_cpu_level_is_supported(0x999));
    assert_false(llmir_cpu_level_is_supported(UINT32_MAX));
}

/* One processor has the levels of one architecture, and with a level those below. */
static void test_cpu_level_support_is_downward_closed(void** state) {
    (void)state;
    uint32_t architecture = 0;
    for (size_t i = 1; i < LEVEL_COUNT; ++i) {
        if (!llmir_cpu_level_is_supported(all_levels[i])) {
            continue;
        }
        assert_true(architecture == 0 || architecture == all_levels[i] >> 8);
        architecture = all_levels[i] >> 8;
        if (all_levels[i - 1] >> 8 == architecture) {
            assert_true(llmir_cpu_level_is_supported(all_levels[i - 1]));
        }
    }
}

/* The system's own opinion. */
static void test_cpu_level_v3_agrees_with_the_system(void** state) {
    (void)state;
    FILE* file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    int has_flags = 0, has_v3 = 0, has_v4 = 0;
    while (file != NULL && !has_flags && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "flags", 5) == 0) {
            has_flags = 1;
            has_v3 = strstr(line, " avx2 ") != NULL && strstr(line, " fma ") != NULL &&
                     strstr(line, " f16c ") != NULL && strstr(line, " bmi2 ") != NULL;
            has_v4 = has_v3 && strstr(line, " avx512vl ") != NULL &&
                     strstr(line, " avx512bw ") != NULL && strstr(line, " avx512_vnni ") != NULL;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
#if !defined(__x86_64__)
    has_flags = 0;
#endif
    if (!has_flags) {
        skip();
    }
    assert_int_equal(llmir_cpu_level_is_supported(LLMIR_CPU_LEVEL_X86_64_V3), has_v3);
    assert_int_equal(llmir_cpu_level_is_supported(LLMIR_CPU_LEVEL_X86_64_V4_VNNI), has_v4);
}

static void test_cpu_level_tables_ascend_from_the_portable_one(void** state) {
    (void)state;
    assert_true(llmir_cpu_kernel_table_count >= 1);
    assert_int_equal(llmir_cpu_kernel_tables[0]->level, LLMIR_CPU_LEVEL_NONE);
    for (uint32_t i = 1; i < llmir_cpu_kernel_table_count; ++i) {
        assert_true(llmir_cpu_kernel_tables[i]->level > llmir_cpu_kernel_tables[i - 1]->level);
    }
}

static void test_cpu_level_choose_takes_the_best_within_the_limit(void** state) {
    (void)state;
    assert_int_equal(llmir_cpu_level_choose(1)->level, LLMIR_CPU_LEVEL_NONE);
    uint32_t best = LLMIR_CPU_LEVEL_NONE;
    for (uint32_t i = 0; i < llmir_cpu_kernel_table_count; ++i) {
        const uint32_t level = llmir_cpu_kernel_tables[i]->level;
        if (level != LLMIR_CPU_LEVEL_NONE && llmir_cpu_level_is_supported(level)) {
            best = level;
            assert_int_equal(llmir_cpu_level_choose(level)->level, level);
            assert_true(llmir_cpu_level_choose(level - 1)->level < level);
        }
    }
    assert_int_equal(llmir_cpu_level_choose(0)->level, best);
    assert_true(llmir_cpu_level_best(0) >= best); /* a compiler may lack kernels, not a level */
    assert_true(llmir_cpu_level_is_supported(llmir_cpu_level_best(0)));
    assert_int_equal(llmir_cpu_level_best(1), LLMIR_CPU_LEVEL_NONE);
    assert_int_equal(llmir_cpu_level_choose(UINT32_MAX)->level, best);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_level_names_are_distinct),
        cmocka_unit_test(test_cpu_level_portable_is_supported_and_unknown_is_not),
        cmocka_unit_test(test_cpu_level_support_is_downward_closed),
        cmocka_unit_test(test_cpu_level_v3_agrees_with_the_system),
        cmocka_unit_test(test_cpu_level_tables_ascend_from_the_portable_one),
        cmocka_unit_test(test_cpu_level_choose_takes_the_best_within_the_limit),
    };
    return cmocka_run_group_tests_name("cpu_level", tests, NULL, NULL);
}
