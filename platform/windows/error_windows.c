/* Texts of errors, and paths, as Windows wants them. */
#include "platform/windows/error_windows.h"

#include <stdio.h>

const char* llmir_system_reason(DWORD code, char out[LLMIR_REASON_BYTES]) {
    wchar_t wide[LLMIR_REASON_BYTES];
    DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                                  code, 0, wide, LLMIR_REASON_BYTES, NULL);
    while (length > 0 && (wide[length - 1] <= L' ' || wide[length - 1] == L'.')) {
        --length; /* the text is a line with a full stop */
    }
    const int bytes = length == 0 ? 0
                                  : WideCharToMultiByte(CP_UTF8, 0, wide, (int)length, out,
                                                        LLMIR_REASON_BYTES - 1, NULL, NULL);
    if (bytes > 0) {
        out[bytes] = '\0';
    } else {
        (void)snprintf(out, LLMIR_REASON_BYTES, "error %lu", (unsigned long)code);
    }
    return out;
}

llmir_status_t llmir_system_status(DWORD code) {
    switch (code) {
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_BAD_PATHNAME:
        case ERROR_DIRECTORY:
        case ERROR_INVALID_DRIVE:
            return LLMIR_STATUS_NOT_FOUND;
        case ERROR_NOT_ENOUGH_MEMORY:
        case ERROR_OUTOFMEMORY:
        case ERROR_COMMITMENT_LIMIT:
            return LLMIR_STATUS_OUT_OF_MEMORY;
        default:
            return LLMIR_STATUS_IO;
    }
}

int llmir_wide_path(const char* path, wchar_t out[LLMIR_WIDE_PATH_CHARS]) {
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out,
                               LLMIR_WIDE_PATH_CHARS) > 0;
}
