/* targets/cpu/cpu_buffer, through targets/target.h. */
#include <stdlib.h>

#include "targets/cpu/cpu_target.h"
#include "tests/support/test.h"

static int setup(void** state) {
    const llmir_device_options_t options = {.thread_count = 1};
    llmir_device_t* device = NULL;
    const llmir_status_t status = llmir_target_cpu.device_create(&options, &device, NULL);
    *state = device;
    return status == LLMIR_STATUS_OK ? 0 : -1;
}

static int teardown(void** state) {
    llmir_target_cpu.device_destroy(*state);
    return 0;
}

static void test_cpu_buffer_is_aligned_zeroed_and_checked(void** state) {
    llmir_device_t* device = *state;
    const llmir_target_t* target = &llmir_target_cpu;
    llmir_buffer_t* buffer = NULL;
    assert_status(target->buffer_create(device, 1000, &buffer, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(buffer->bytes, 1000);
    uint8_t* memory = target->buffer_map(buffer);
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (size_t i = 0; i < 1000; ++i) {
        assert_int_equal(memory[i], 0);
    }
    uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8}, back[8];
    assert_status(target->buffer_write(buffer, 992, data, 8, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(target->buffer_read(buffer, 992, back, 8, &assert_status_error), LLMIR_STATUS_OK);
    assert_memory_equal(data, back, 8);
    assert_status(target->buffer_write(buffer, 993, data, 8, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(target->buffer_read(buffer, SIZE_MAX, back, 8, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(target->buffer_read(buffer, 1000, NULL, 0, &assert_status_error),
                  LLMIR_STATUS_OK);
    target->buffer_unmap(buffer);
    target->buffer_destroy(buffer);
}

static void test_cpu_buffer_absurd_size_fails(void** state) {
    llmir_device_t* device = *state;
    llmir_buffer_t* buffer = NULL;
    assert_status(
        llmir_target_cpu.buffer_create(device, SIZE_MAX - 10, &buffer, &assert_status_error),
        LLMIR_STATUS_CAPACITY);
    assert_null(buffer);
}

static void test_cpu_buffer_imported_memory_is_used_in_place(void** state) {
    llmir_device_t* device = *state;
    const llmir_target_t* target = &llmir_target_cpu;
    _Alignas(64) static uint8_t memory[128];
    llmir_buffer_t* buffer = NULL;
    assert_status(target->buffer_import(device, memory, 128, &buffer, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_ptr_equal(target->buffer_map(buffer), memory);
    assert_status(target->buffer_write(buffer, 5, "x", 1, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(memory[5], 'x');
    target->buffer_destroy(buffer);
    assert_int_equal(memory[5], 'x');
    assert_status(target->buffer_import(device, memory + 4, 8, &buffer, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_null(buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_buffer_is_aligned_zeroed_and_checked),
        cmocka_unit_test(test_cpu_buffer_absurd_size_fails),
        cmocka_unit_test(test_cpu_buffer_imported_memory_is_used_in_place),
    };
    return cmocka_run_group_tests_name("cpu_buffer", tests, setup, teardown);
}
