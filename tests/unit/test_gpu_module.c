/* targets/gpu/gpu_module: only what a driver can read without going beyond it is given to one. */
#include "targets/gpu/gpu_module.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

enum {
    SEGMENT_AT = 64,
    SECTION_AT = SEGMENT_AT + 56,
    DATA_AT = SECTION_AT + 2 * 64,
    ALL = DATA_AT + 16
};

static void put(uint8_t* at, uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; ++i) {
        at[i] = (uint8_t)(value >> (8u * i));
    }
}

/* One segment and one section with the same sixteen bytes, and a section without any. */
static void make_elf(uint8_t file[ALL]) {
    memset(file, 0, ALL);
    memcpy(file,
           "\x7f"
           "ELF\2\1\1",
           7);
    put(file + 32, SEGMENT_AT, 8);
    put(file + 40, SECTION_AT, 8);
    put(file + 54, 56, 2);
    put(file + 56, 1, 2);
    put(file + 58, 64, 2);
    put(file + 60, 2, 2);
    put(file + SEGMENT_AT + 8, DATA_AT, 8);
    put(file + SEGMENT_AT + 32, 16, 8);
    put(file + SEGMENT_AT + 40, 4096, 8);
    put(file + SECTION_AT + 4, 1, 4);
    put(file + SECTION_AT + 24, DATA_AT, 8);
    put(file + SECTION_AT + 32, 16, 8);
    put(file + SECTION_AT + 64 + 4, 8, 4); /* SHT_NOBITS */
    put(file + SECTION_AT + 64 + 24, 1u << 20, 8);
    put(file + SECTION_AT + 64 + 32, 1u << 20, 8);
}

/* From a copy of exactly that size, so that sanitizers see what is read behind it. */
static llmir_status_t check(int is_text, const void* module, size_t bytes, llmir_error_t* error) {
    uint8_t* copy = malloc(bytes != 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, module, bytes);
    const llmir_status_t status =
        llmir_gpu_module_check(is_text ? "PTX" : "HSACO", is_text, copy, bytes, error);
    free(copy);
    return status;
}

static void test_gpu_module_elf_whose_parts_lie_inside(void** state) {
    uint8_t file[ALL];
    (void)state;
    make_elf(file);
    assert_status(check(0, file, ALL, &assert_status_error), LLMIR_STATUS_OK);
    for (size_t bytes = 0; bytes < ALL; ++bytes) {
        assert_status(check(0, file, bytes, &assert_status_error), LLMIR_STATUS_CORRUPT);
    }
}

static void test_gpu_module_damaged_elf_is_refused(void** state) {
    static const struct {
        uint32_t at, bytes;
        uint64_t value;
    } changes[] = {
        {0, 1, 'E'},
        {4, 1, 1}, /* 32 bits */
        {5, 1, 2}, /* big-endian */
        {32, 8, UINT64_MAX - 8},
        {32, 8, ALL},
        {40, 8, ALL - 64},
        {54, 2, 32},
        {56, 2, 0xffff},
        {58, 2, 0},
        {60, 2, 0xffff},
        {SEGMENT_AT + 8, 8, ALL - 15},
        {SEGMENT_AT + 8, 8, UINT64_MAX},
        {SEGMENT_AT + 32, 8, 17},
        {SEGMENT_AT + 40, 8, 15}, /* less in memory than in the file */
        {SECTION_AT + 24, 8, ALL - 15},
        {SECTION_AT + 32, 8, UINT64_MAX - DATA_AT + 1},
        {SECTION_AT + 64 + 4, 4, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; ++i) {
        uint8_t file[ALL];
        llmir_error_t error = {0};
        make_elf(file);
        put(file + changes[i].at, changes[i].value, changes[i].bytes);
        assert_status(check(0, file, ALL, &error), LLMIR_STATUS_CORRUPT);
        assert_non_null(strstr(error.message, "HSACO of "));
    }
}

static void test_gpu_module_text_is_no_other_file(void** state) {
    uint8_t file[ALL];
    llmir_error_t error = {0};
    (void)state;
    assert_status(check(1, "// f", 5, &error), LLMIR_STATUS_OK);
    assert_status(check(1, "// f", 4, &error), LLMIR_STATUS_CORRUPT);
    assert_status(check(1, "//\0f", 5, &error), LLMIR_STATUS_CORRUPT);
    assert_status(check(1, "f //", 5, &error), LLMIR_STATUS_CORRUPT);
    assert_status(check(1, "", 0, &error), LLMIR_STATUS_CORRUPT);
    assert_non_null(strstr(error.message, "PTX of 0 bytes"));
    make_elf(file);
    assert_status(check(1, file, ALL, &error), LLMIR_STATUS_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpu_module_elf_whose_parts_lie_inside),
        cmocka_unit_test(test_gpu_module_damaged_elf_is_refused),
        cmocka_unit_test(test_gpu_module_text_is_no_other_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
