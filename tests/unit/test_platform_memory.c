/* platform: files, mappings and pages. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/platform.h"
#include "tests/support/test.h"
#include "tests/support/test_file.h"

#define FILE_BYTES 10000u

/* The systems' own texts; those of Windows come in many languages. */
#if defined(_WIN32)
#define NO_SUCH_FILE ""
#define BAD_DESCRIPTOR ""
#else
#define NO_SUCH_FILE "No such file or directory"
#define BAD_DESCRIPTOR "Bad file descriptor"
#endif

typedef struct fixture {
    char folder[TEST_FOLDER_BYTES];
    char path[128]; /* FILE_BYTES bytes, byte i is 13 i */
} fixture_t;

static uint8_t content(size_t i) {
    return (uint8_t)(13 * i);
}

static int setup(void** state) {
    fixture_t* fixture = calloc(1, sizeof *fixture);
    uint8_t bytes[FILE_BYTES];
    for (size_t i = 0; i < FILE_BYTES; ++i) {
        bytes[i] = content(i);
    }
    test_folder_make(fixture->folder);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/file", fixture->folder);
    test_file_write(fixture->path, bytes, FILE_BYTES, NULL, 0);
    *state = fixture;
    return 0;
}

static int teardown(void** state) {
    fixture_t* fixture = *state;
    test_file_remove(fixture->path);
    test_folder_remove(fixture->folder);
    free(fixture);
    return 0;
}

static void test_platform_file_map_shows_the_whole_file(void** state) {
    const fixture_t* fixture = *state;
    llmir_mapping_t mapping;
    assert_status(llmir_file_map(fixture->path, &mapping, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(mapping.bytes, FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; ++i) {
        assert_int_equal(mapping.data[i], content(i));
    }
    llmir_unmap(&mapping);
    assert_null(mapping.data);
    llmir_unmap(&mapping); /* zeroed: allowed */
}

static void test_platform_file_map_missing_file_is_named(void** state) {
    (void)state;
    llmir_mapping_t mapping;
    assert_status_message(llmir_file_map("no/such/model.llmir", &mapping, &assert_status_error),
                          LLMIR_STATUS_NOT_FOUND,
                          "file 'no/such/model.llmir': cannot open: " NO_SUCH_FILE);
    assert_null(mapping.data);
}

static void test_platform_file_map_directory_fails(void** state) {
    const fixture_t* fixture = *state;
    llmir_mapping_t mapping;
    assert_status_message(llmir_file_map(fixture->folder, &mapping, &assert_status_error),
                          LLMIR_STATUS_IO, "is a directory");
}

static void test_platform_file_map_empty_file_fails(void** state) {
    const fixture_t* fixture = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/empty", fixture->folder);
    test_file_write(path, NULL, 0, NULL, 0);
    llmir_mapping_t mapping;
    assert_status_message(llmir_file_map(path, &mapping, &assert_status_error), LLMIR_STATUS_IO,
                          "is empty");
    test_file_remove(path);
}

#if defined(__unix__)
/* Opening a pipe for reading would wait for a writer. */
static void test_platform_file_map_pipe_fails_at_once(void** state) {
    const fixture_t* fixture = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/pipe", fixture->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    llmir_mapping_t mapping;
    assert_status_message(llmir_file_map(path, &mapping, &assert_status_error), LLMIR_STATUS_IO,
                          "is not a regular file");
    test_file_remove(path);
}
#endif

static void test_platform_file_map_long_path_keeps_its_end(void** state) {
    (void)state;
    char path[600];
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 12, "/last.llmir", 12);
    llmir_mapping_t mapping;
    llmir_error_t error = {0, {0}};
    assert_int_not_equal(llmir_file_map(path, &mapping, &error), LLMIR_STATUS_OK);
    assert_non_null(strstr(error.message, "/last.llmir': cannot open: "));
    assert_non_null(strstr(error.message, "file '...d"));
}

static void test_platform_descriptor_map_any_offset_works(void** state) {
    const fixture_t* fixture = *state;
    const int32_t descriptor = test_descriptor_open(fixture->path);
    static const uint64_t offsets[] = {0, 1, 64, 4095, 4096, 4097, 9999};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; ++i) {
        llmir_mapping_t mapping;
        const uint64_t bytes = FILE_BYTES - offsets[i];
        assert_status(
            llmir_descriptor_map(descriptor, offsets[i], bytes, &mapping, &assert_status_error),
            LLMIR_STATUS_OK);
        assert_int_equal(mapping.bytes, bytes);
        assert_int_equal(mapping.data[0], content((size_t)offsets[i]));
        assert_int_equal(mapping.data[bytes - 1], content(FILE_BYTES - 1));
        llmir_unmap(&mapping);
    }
    test_descriptor_close(descriptor);
}

static void test_platform_descriptor_map_outside_the_file_fails(void** state) {
    const fixture_t* fixture = *state;
    const int32_t descriptor = test_descriptor_open(fixture->path);
    static const struct {
        uint64_t offset, bytes;
    } ranges[] = {
        {0, FILE_BYTES + 1},      {1, FILE_BYTES},  {FILE_BYTES, 1}, {UINT64_MAX, 1},
        {UINT64_MAX, UINT64_MAX}, {64, UINT64_MAX}, {0, 0},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; ++i) {
        llmir_mapping_t mapping;
        assert_status(llmir_descriptor_map(descriptor, ranges[i].offset, ranges[i].bytes, &mapping,
                                           &assert_status_error),
                      LLMIR_STATUS_IO);
        assert_null(mapping.data);
    }
    test_descriptor_close(descriptor);
    llmir_mapping_t mapping;
    assert_status_message(llmir_descriptor_map(-1, 0, 1, &mapping, &assert_status_error),
                          LLMIR_STATUS_IO, "descriptor -1: cannot examine: " BAD_DESCRIPTOR);
}

static void test_platform_pages_run_code_after_sealing(void** state) {
    (void)state;
    const size_t bytes = llmir_page_bytes();
    assert_true(bytes >= 4096 && (bytes & (bytes - 1)) == 0);
    void* pages = NULL;
#if defined(__wasi__)
    assert_status(llmir_pages_reserve(bytes, &pages, &assert_status_error),
                  LLMIR_STATUS_UNSUPPORTED);
    return;
#endif
    assert_status(llmir_pages_reserve(bytes, &pages, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal((uintptr_t)pages % bytes, 0);
    assert_int_equal(((uint8_t*)pages)[bytes - 1], 0);
#if defined(__x86_64__)
    static const uint8_t code[] = {0xB8, 0x2A, 0, 0, 0, 0xC3}; /* mov eax, 42; ret */
#elif defined(__aarch64__)
    static const uint8_t code[] = {0x40, 0x05, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6};
#else
    static const uint8_t code[] = {0};
#endif
    /* Not at the very start: clang's function sanitizer reads the bytes before a function. */
    uint8_t* begin = (uint8_t*)pages + 64;
    memcpy(begin, code, sizeof code);
    assert_status(llmir_pages_protect(pages, bytes, LLMIR_PAGE_READ_EXECUTE, &assert_status_error),
                  LLMIR_STATUS_OK);
    if (sizeof code > 1) {
        int (*answer)(void);
        memcpy(&answer, &begin, sizeof answer);
        assert_int_equal(answer(), 42);
    }
    llmir_pages_release(pages, bytes);
    llmir_pages_release(NULL, bytes);
}

static void test_platform_pages_absurd_size_fails(void** state) {
    (void)state;
    void* pages = NULL;
#if !defined(__wasi__)
    assert_status_message(
        llmir_pages_reserve(SIZE_MAX - llmir_page_bytes() + 1, &pages, &assert_status_error),
        LLMIR_STATUS_OUT_OF_MEMORY, "pages for code: ");
#endif
    assert_null(pages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform_file_map_shows_the_whole_file),
        cmocka_unit_test(test_platform_file_map_missing_file_is_named),
        cmocka_unit_test(test_platform_file_map_directory_fails),
        cmocka_unit_test(test_platform_file_map_empty_file_fails),
#if defined(__unix__)
        cmocka_unit_test(test_platform_file_map_pipe_fails_at_once),
#endif
        cmocka_unit_test(test_platform_file_map_long_path_keeps_its_end),
        cmocka_unit_test(test_platform_descriptor_map_any_offset_works),
        cmocka_unit_test(test_platform_descriptor_map_outside_the_file_fails),
        cmocka_unit_test(test_platform_pages_run_code_after_sealing),
        cmocka_unit_test(test_platform_pages_absurd_size_fails),
    };
    return cmocka_run_group_tests_name("platform_memory", tests, setup, teardown);
}
