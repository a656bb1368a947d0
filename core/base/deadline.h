/* Points in time as 32-bit ticks of a millisecond, so that any processor can exchange them between
 * threads. Ticks wrap after 49 days; two of them compare right if they are less than half of that
 * apart. */
#ifndef LLMIR_BASE_DEADLINE_H
#define LLMIR_BASE_DEADLINE_H

#include <stdint.h>

#include "core/base/compiler.h"

#define LLMIR_DEADLINE_NONE 0u
#define LLMIR_DEADLINE_NS_PER_TICK 1000000u
#define LLMIR_DEADLINE_MAX_TICKS 0x7fffffffu

/* The tick at `timeout_ns` after `now_ns`, rounded up; never LLMIR_DEADLINE_NONE. */
LLMIR_INLINE uint32_t llmir_deadline_after(uint64_t now_ns, uint64_t timeout_ns) {
    const uint64_t whole = timeout_ns / LLMIR_DEADLINE_NS_PER_TICK + 1u;
    const uint32_t ticks =
        whole < LLMIR_DEADLINE_MAX_TICKS ? (uint32_t)whole : LLMIR_DEADLINE_MAX_TICKS;
    const uint32_t tick = (uint32_t)(now_ns / LLMIR_DEADLINE_NS_PER_TICK) + ticks;
    return tick != LLMIR_DEADLINE_NONE ? tick : 1u;
}

/* Whether `deadline` (not LLMIR_DEADLINE_NONE) is reached at `now_ns`. */
LLMIR_INLINE int llmir_deadline_is_over(uint32_t deadline, uint64_t now_ns) {
    return (uint32_t)(now_ns / LLMIR_DEADLINE_NS_PER_TICK) - deadline <= LLMIR_DEADLINE_MAX_TICKS;
}

/* The earlier of two deadlines, either of which may be LLMIR_DEADLINE_NONE. */
LLMIR_INLINE uint32_t llmir_deadline_earlier(uint32_t a, uint32_t b) {
    if (a == LLMIR_DEADLINE_NONE || b == LLMIR_DEADLINE_NONE) {
        return a == LLMIR_DEADLINE_NONE ? b : a;
    }
    return b - a <= LLMIR_DEADLINE_MAX_TICKS ? a : b;
}

#endif /* LLMIR_BASE_DEADLINE_H */
