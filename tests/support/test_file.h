/* Files for tests, on every system that has files. All functions fail the test where the system
 * refuses. */
#ifndef LLMIR_TEST_FILE_H
#define LLMIR_TEST_FILE_H

#include <stddef.h>
#include <stdint.h>

#define TEST_FOLDER_BYTES 32u

/* Makes an empty folder in the working folder, and removes it. */
void test_folder_make(char out_folder[TEST_FOLDER_BYTES]);
void test_folder_remove(const char* folder);

/* Writes a file of two parts, either of which may be empty. */
void test_file_write(const char* path,
                     const void* first,
                     size_t first_bytes,
                     const void* second,
                     size_t second_bytes);

/* Leaves the first `bytes` bytes, at most a few MiB. */
void test_file_cut(const char* path, size_t bytes);
void test_file_remove(const char* path);

/* -1: there is no such file. */
int64_t test_file_bytes(const char* path);

/* What llmir_model_load_descriptor takes. */
int32_t test_descriptor_open(const char* path);
void test_descriptor_close(int32_t descriptor);

#endif /* LLMIR_TEST_FILE_H */
