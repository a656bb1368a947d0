/* Files for tests. Standard C where it suffices; folders and descriptors are each system's own. */
#define _POSIX_C_SOURCE 200809L
#include "tests/support/test_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(_WIN32)
#include <windows.h>
#endif

#include "tests/support/test.h"

void test_folder_make(char out_folder[TEST_FOLDER_BYTES]) {
    for (unsigned i = 0; i < 1000; ++i) {
        (void)snprintf(out_folder, TEST_FOLDER_BYTES, "test_folder_%u", i);
#if defined(_WIN32)
        const int made = mkdir(out_folder);
#else
        const int made = mkdir(out_folder, 0700);
#endif
        if (made == 0) {
            return;
        }
        assert_int_equal(errno, EEXIST);
    }
    fail_msg("a thousand folders are here already");
}

void test_folder_remove(const char* folder) {
    assert_int_equal(rmdir(folder), 0);
}

void test_file_write(const char* path,
                     const void* first,
                     size_t first_bytes,
                     const void* second,
                     size_t second_bytes) {
    FILE* file = fopen(path, "wb");
    if (file == NULL) {
        fail_msg("cannot write %s", path);
        return;
    }
    const size_t written = (first_bytes == 0 ? 0 : fwrite(first, 1, first_bytes, file)) +
                           (second_bytes == 0 ? 0 : fwrite(second, 1, second_bytes, file));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(written, first_bytes + second_bytes);
}

void test_file_cut(const char* path, size_t bytes) {
    char* data = malloc(bytes + 1);
    FILE* file = fopen(path, "rb");
    assert_non_null(data);
    assert_non_null(file);
    assert_int_equal(fread(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    test_file_write(path, data, bytes, NULL, 0);
    free(data);
}

void test_file_remove(const char* path) {
    assert_int_equal(remove(path), 0);
}

int64_t test_file_bytes(const char* path) {
    FILE* file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long bytes = ftell(file);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

#if defined(_WIN32)
int32_t test_descriptor_open(const char* path) {
    const HANDLE file =
        CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    assert_true(file != INVALID_HANDLE_VALUE);
    return (int32_t)(intptr_t)file;
}

void test_descriptor_close(int32_t descriptor) {
    assert_true(CloseHandle((HANDLE)(intptr_t)descriptor));
}
#else
int32_t test_descriptor_open(const char* path) {
    const int descriptor = open(path, O_RDONLY);
    assert_true(descriptor >= 0);
    return descriptor;
}

void test_descriptor_close(int32_t descriptor) {
    assert_int_equal(close(descriptor), 0);
}
#endif
