/* Kept apart because strerror_r has two signatures; without _GNU_SOURCE every system gives the one
 * that returns an int. */
#define _POSIX_C_SOURCE 200809L

#include "platform/posix/error_posix.h"

#include <stdio.h>
#include <string.h>

const char* llmir_system_reason(int code, char out[LLMIR_REASON_BYTES]) {
    if (strerror_r(code, out, LLMIR_REASON_BYTES) != 0) {
        (void)snprintf(out, LLMIR_REASON_BYTES, "error %d", code);
    }
    return out;
}
