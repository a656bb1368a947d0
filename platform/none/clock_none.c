/* A system without a clock: deadlines never pass. */
#include "platform/platform.h"

/* In one file all is static; and what is weak in the object files of Windows does not keep a linker
 * from taking another out of an archive. */
#if defined(__GNUC__) && !defined(LLMIR_INTERNAL) && !defined(_WIN32)
#define LLMIR_WEAK __attribute__((weak))
#else
#define LLMIR_WEAK
#endif

/* Firmware that has a clock defines this function itself, for deadlines and traces. */
LLMIR_WEAK uint64_t llmir_clock_ns(void) {
    return 0;
}
