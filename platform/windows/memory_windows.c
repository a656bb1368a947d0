/* Pages for code from a bundle: writable first, then read-only or executable, never both. */
#include "platform/windows/error_windows.h"

size_t llmir_page_bytes(void) {
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    return system.dwPageSize;
}

static llmir_status_t fail_with_reason(llmir_error_t* error,
                                       llmir_status_t status,
                                       const char* what) {
    char reason[LLMIR_REASON_BYTES];
    return llmir_fail(error, status, "%s: %s", what, llmir_system_reason(GetLastError(), reason));
}

llmir_status_t llmir_pages_reserve(size_t bytes, void** out_pages, llmir_error_t* error) {
    *out_pages = VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    return *out_pages != NULL
               ? LLMIR_STATUS_OK
               : fail_with_reason(error, LLMIR_STATUS_OUT_OF_MEMORY, "pages for code");
}

llmir_status_t llmir_pages_protect(void* pages,
                                   size_t bytes,
                                   llmir_page_access_t access,
                                   llmir_error_t* error) {
    const DWORD protection = access == LLMIR_PAGE_READ_EXECUTE ? PAGE_EXECUTE_READ
                             : access == LLMIR_PAGE_READ_WRITE ? PAGE_READWRITE
                                                               : PAGE_READONLY;
    DWORD before;
    if (!VirtualProtect(pages, bytes, protection, &before)) {
        /* Processes that forbid code of their own making answer here. */
        return fail_with_reason(error, LLMIR_STATUS_UNSUPPORTED, "cannot protect pages of code");
    }
    if (access == LLMIR_PAGE_READ_EXECUTE) {
        (void)FlushInstructionCache(GetCurrentProcess(), pages, bytes);
    }
    return LLMIR_STATUS_OK;
}

void llmir_pages_release(void* pages, size_t bytes) {
    (void)bytes; /* the whole reservation goes at once */
    if (pages != NULL) {
        (void)VirtualFree(pages, 0, MEM_RELEASE);
    }
}
