/* A system without files: bundles come from memory. */
#include "platform/platform.h"

static llmir_status_t fail_without_files(llmir_mapping_t* out_mapping, llmir_error_t* error) {
    *out_mapping = (llmir_mapping_t){0};
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                      "this system has no files: load the bundle from memory");
}

llmir_status_t llmir_file_map(const char* path,
                              llmir_mapping_t* out_mapping,
                              llmir_error_t* error) {
    (void)path;
    return fail_without_files(out_mapping, error);
}

llmir_status_t llmir_descriptor_map(int32_t descriptor,
                                    uint64_t offset,
                                    uint64_t bytes,
                                    llmir_mapping_t* out_mapping,
                                    llmir_error_t* error) {
    (void)descriptor;
    (void)offset;
    (void)bytes;
    return fail_without_files(out_mapping, error);
}

void llmir_unmap(llmir_mapping_t* mapping) {
    *mapping = (llmir_mapping_t){0};
}
