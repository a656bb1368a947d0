/* A system without page protection: code from a bundle is never run. */
#include "platform/platform.h"

size_t llmir_page_bytes(void) {
    return 4096;
}

llmir_status_t llmir_pages_reserve(size_t bytes, void** out_pages, llmir_error_t* error) {
    (void)bytes;
    *out_pages = NULL;
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "this system cannot protect pages of code");
}

llmir_status_t llmir_pages_protect(void* pages,
                                   size_t bytes,
                                   llmir_page_access_t access,
                                   llmir_error_t* error) {
    (void)pages;
    (void)bytes;
    (void)access;
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "this system cannot protect pages of code");
}

void llmir_pages_release(void* pages, size_t bytes) {
    (void)pages;
    (void)bytes;
}
