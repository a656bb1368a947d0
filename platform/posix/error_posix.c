/* strerror_r has two signatures: POSIX returns a number, glibc under _GNU_SOURCE (the single-file
 * form needs it) returns the text, which may lie elsewhere. Both are taken. */
#define _POSIX_C_SOURCE 200809L

#include "platform/posix/error_posix.h"

#include <stdio.h>
#include <string.h>

static inline const char* text_of_number(int status, const char* buffer) {
    return status == 0 ? buffer : NULL;
}

static inline const char* text_of_text(const char* text, const char* buffer) {
    (void)buffer;
    return text;
}

#define TEXT_OF(result, buffer) \
    _Generic((result), int: text_of_number, default: text_of_text)(result, buffer)

const char* llmir_system_reason(int code, char out[LLMIR_REASON_BYTES]) {
    const char* text = TEXT_OF(strerror_r(code, out, LLMIR_REASON_BYTES), out);
    if (text == NULL) {
        (void)snprintf(out, LLMIR_REASON_BYTES, "error %d", code);
    } else if (text != out) {
        (void)snprintf(out, LLMIR_REASON_BYTES, "%s", text);
    }
    return out;
}
