/* tests/support: the tools of the other tests. */
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

#include "core/base/allocator.h"
#include "tests/support/test_allocator.h"
#include "tests/support/test_random.h"

static llmir_status_t return_status(llmir_status_t status, llmir_error_t* error) {
    return status == LLMIR_STATUS_OK ? status : llmir_fail(error, status, "made to fail");
}

static void test_support_assert_status_accepts_the_expected_code(void** state) {
    (void)state;
    assert_status(return_status(LLMIR_STATUS_OK, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(return_status(LLMIR_STATUS_IO, &assert_status_error), LLMIR_STATUS_IO);
    assert_status_message(return_status(LLMIR_STATUS_IO, &assert_status_error), LLMIR_STATUS_IO,
                          "made to");
}

static void test_support_close_accepts_within_tolerance(void** state) {
    (void)state;
    const float expected[] = {1.0f, 100.0f, 0.0f, NAN, INFINITY};
    const float actual[] = {1.01f, 101.0f, 0.001f, NAN, INFINITY};
    assert_close_f32(actual, expected, 5, 0.0101f, 0.0011f);
}

static void test_support_random_same_seed_same_numbers(void** state) {
    (void)state;
    test_random_t a, b;
    test_random_init(&a, 5);
    test_random_init(&b, 5);
    for (size_t i = 0; i < 100; ++i) {
        assert_true(test_random_u64(&a) == test_random_u64(&b));
    }
}

static void test_support_random_values_stay_in_range(void** state) {
    (void)state;
    test_random_t random;
    test_random_init(&random, 6);
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < 10000; ++i) {
        assert_true(test_random_below(&random, 7) < 7);
        const float value = test_random_f32(&random, -2.0f, 3.0f);
        assert_true(value >= -2.0f && value < 3.0f);
        const double normal = (double)test_random_normal(&random);
        sum += normal;
        squares += normal * normal;
    }
    assert_true(fabs(sum / 10000) < 0.05);
    assert_true(fabs(squares / 10000 - 1.0) < 0.1);
}

static llmir_status_t allocate_three(const llmir_allocator_t* allocator,
                                     void* user,
                                     llmir_error_t* error) {
    (void)user;
    void* blocks[3] = {NULL, NULL, NULL};
    llmir_status_t status = LLMIR_STATUS_OK;
    for (size_t i = 0; i < 3 && status == LLMIR_STATUS_OK; ++i) {
        status = llmir_allocate(allocator, 10 + i, 64, "block", &blocks[i], error);
    }
    for (size_t i = 0; i < 3; ++i) {
        llmir_free(allocator, blocks[i], 10 + i, 64);
    }
    return status;
}

static void test_support_sweep_refuses_each_allocation_once(void** state) {
    (void)state;
    assert_int_equal(test_allocator_sweep(allocate_three, NULL), 3);
}

static void test_support_allocator_notices_wrong_sizes(void** state) {
    (void)state;
    test_allocator_t counter = {0};
    const llmir_allocator_t allocator = test_allocator(&counter);
    void* block = allocator.resize(allocator.self, NULL, 0, 64, 32);
    assert_int_equal((uintptr_t)block % 32, 0);
    (void)allocator.resize(allocator.self, block, 63, 0, 32);
    assert_int_equal(counter.fault_count, 1);
    assert_int_equal(counter.live_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_support_assert_status_accepts_the_expected_code),
        cmocka_unit_test(test_support_close_accepts_within_tolerance),
        cmocka_unit_test(test_support_random_same_seed_same_numbers),
        cmocka_unit_test(test_support_random_values_stay_in_range),
        cmocka_unit_test(test_support_sweep_refuses_each_allocation_once),
        cmocka_unit_test(test_support_allocator_notices_wrong_sizes),
    };
    return cmocka_run_group_tests_name("support", tests, NULL, NULL);
}
