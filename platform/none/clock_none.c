/* A system without a clock: deadlines never pass. */
#include "platform/platform.h"

#if defined(__GNUC__) && !defined(LLMIR_INTERNAL)
#define LLMIR_WEAK __attribute__((weak))
#else
#define LLMIR_WEAK /* in one file all is static */
#endif

/* Firmware that has a clock defines this function itself, for deadlines and traces. */
LLMIR_WEAK uint64_t llmir_clock_ns(void) {
    return 0;
}
