/* What the Windows files share: the system's text for an error, paths in UTF-16, and handles in 32
 * bits. Windows keeps handles that processes of 32 and of 64 bits can share within 32 significant
 * bits, so the descriptors of platform.h are handles here, not numbers of a C library: those
 * cannot be checked without ending the process. */
#ifndef LLMIR_ERROR_WINDOWS_H
#define LLMIR_ERROR_WINDOWS_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include "platform/platform.h"

#define LLMIR_REASON_BYTES 96
#define LLMIR_WIDE_PATH_CHARS LLMIR_FILE_PATH_BYTES

/* Writes the system's text for a code of GetLastError as UTF-8; returns `out`. Threads: any. */
const char* llmir_system_reason(DWORD code, char out[LLMIR_REASON_BYTES]);

/* NOT_FOUND, OUT_OF_MEMORY or IO. */
llmir_status_t llmir_system_status(DWORD code);

/* UTF-8 to UTF-16; 0 if the path is too long or no UTF-8. */
int llmir_wide_path(const char* path, wchar_t out[LLMIR_WIDE_PATH_CHARS]);

static inline HANDLE llmir_handle_of(int32_t descriptor) {
    return (HANDLE)(intptr_t)descriptor;
}

static inline int32_t llmir_descriptor_of(HANDLE handle) {
    return (int32_t)(intptr_t)handle;
}

#endif /* LLMIR_ERROR_WINDOWS_H */
