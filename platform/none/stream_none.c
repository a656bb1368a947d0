/* A system without files: sessions are saved through the application's callbacks. */
#include "platform/platform.h"

static llmir_status_t fail_without_files(llmir_error_t* error) {
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                      "this system has no files: save through callbacks");
}

llmir_status_t llmir_file_create(const char* path, llmir_file_t* out_file, llmir_error_t* error) {
    *out_file = (llmir_file_t){.path = path, .descriptor = -1};
    return fail_without_files(error);
}

llmir_status_t llmir_file_open(const char* path, llmir_file_t* out_file, llmir_error_t* error) {
    *out_file = (llmir_file_t){.path = path, .descriptor = -1};
    return fail_without_files(error);
}

llmir_status_t llmir_file_write(llmir_file_t* file,
                                const void* data,
                                size_t bytes,
                                llmir_error_t* error) {
    (void)file;
    (void)data;
    (void)bytes;
    return fail_without_files(error);
}

llmir_status_t llmir_file_read(llmir_file_t* file, void* data, size_t bytes, llmir_error_t* error) {
    (void)file;
    (void)data;
    (void)bytes;
    return fail_without_files(error);
}

llmir_status_t llmir_file_commit(llmir_file_t* file, llmir_error_t* error) {
    (void)file;
    return fail_without_files(error);
}

void llmir_file_discard(llmir_file_t* file) {
    (void)file;
}
