/* bench_roofline.c where there are no threads: no limits are told, and no shares of them. */
#include <string.h>

#include "bench/bench.h"

void bench_measure_roofline(uint32_t threads, bench_roofline_t* out) {
    (void)threads;
    memset(out, 0, sizeof(*out));
}
