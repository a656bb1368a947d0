/* Anonymous pages for code from a bundle: writable first, then read-only or executable, never
 * both. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#define _DARWIN_C_SOURCE

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/platform.h"
#include "platform/posix/error_posix.h"

size_t llmir_page_bytes(void) {
    const long bytes = sysconf(_SC_PAGESIZE);
    return bytes > 0 ? (size_t)bytes : 4096;
}

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       llmir_status_t status,
                                       const char* what) {
    char reason[LLMIR_REASON_BYTES];
    return llmir_fail(error, status, "%s: %s", what, llmir_system_reason(errno, reason));
}

llmir_status_t llmir_pages_reserve(size_t bytes, void** out_pages, llmir_error_t* error) {
    *out_pages = NULL;
    void* pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return fail_with_reason(error, LLMIR_STATUS_OUT_OF_MEMORY, "pages for code");
    }
    *out_pages = pages;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_pages_protect(void* pages,
                                   size_t bytes,
                                   llmir_page_access_t access,
                                   llmir_error_t* error) {
    int protection = PROT_READ;
    if (access == LLMIR_PAGE_READ_WRITE) {
        protection = PROT_READ | PROT_WRITE;
    } else if (access == LLMIR_PAGE_READ_EXECUTE) {
        protection = PROT_READ | PROT_EXEC;
        __builtin___clear_cache((char*)pages, (char*)pages + bytes);
    }
    if (mprotect(pages, bytes, protection) != 0) {
        /* Systems that forbid loading code answer here. */
        return fail_with_reason(error, LLMIR_STATUS_UNSUPPORTED, "cannot protect pages of code");
    }
    return LLMIR_STATUS_OK;
}

void llmir_pages_release(void* pages, size_t bytes) {
    if (pages != NULL) {
        (void)munmap(pages, bytes);
    }
}
