/* The monotonic clock of WASI. */
#define _POSIX_C_SOURCE 200809L

#include <time.h>

#include "platform/platform.h"

uint64_t llmir_clock_ns(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
