/* What a step of the thread pool costs beyond its work.
 *
 *   bench_cpu_pool [THREADS]     default: one per core
 *
 * "meet": every thread takes one tile and waits in it for the others, so that a step cannot do
 * without any of them: claiming, meeting and the barrier between two steps together.
 * "empty": tiles without work; whoever comes takes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets/cpu/cpu_pool.h"

#define STEPS 2000u
#define RUNS 201u

typedef struct meeting {
    llmir_atomic_u32_t count;
    uint32_t padding[15]; /* a cache line each */
} meeting_t;

typedef struct bench {
    _Alignas(64) llmir_cpu_step_t steps[STEPS];
    meeting_t meetings[STEPS];
    uint32_t thread_count;
} bench_t;

static void meet(void* user, uint32_t step, uint32_t begin, uint32_t end) {
    bench_t* bench = user;
    llmir_atomic_u32_t* count = &bench->meetings[step].count;
    (void)llmir_atomic_add(count, end - begin);
    while (llmir_atomic_load_acquire(count) < bench->thread_count) {
        llmir_cpu_relax();
    }
}

static void do_nothing(void* user, uint32_t step, uint32_t begin, uint32_t end) {
    (void)user;
    (void)step;
    (void)begin;
    (void)end;
}

static int compare(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

/* Nanoseconds a step, of all runs, ascending. */
static void measure(llmir_cpu_pool_t* pool, const llmir_cpu_job_t* job, double out[RUNS]) {
    bench_t* bench = job->user;
    for (uint32_t run = 0; run < RUNS; ++run) {
        memset(bench->meetings, 0, sizeof bench->meetings);
        const uint64_t start = llmir_clock_ns();
        (void)llmir_cpu_pool_run(pool, job, NULL);
        out[run] = (double)(llmir_clock_ns() - start) / STEPS;
    }
    qsort(out, RUNS, sizeof out[0], compare);
}

static void report(llmir_cpu_pool_t* pool, bench_t* bench, uint32_t tiles, int meeting) {
    double times[RUNS];
    for (uint32_t i = 0; i < STEPS; ++i) {
        bench->steps[i].tile_count = tiles;
    }
    const llmir_cpu_job_t job = {STEPS, bench->steps, meeting ? meet : do_nothing, bench, NULL};
    measure(pool, &job, times);
    (void)printf("%-5s %4u tiles: %7.0f ns a step (median; 10 %%: %.0f, 90 %%: %.0f)\n",
                 meeting ? "meet" : "empty", tiles, times[RUNS / 2], times[RUNS / 10],
                 times[RUNS * 9 / 10]);
}

int main(int argc, char** argv) {
    static bench_t bench;
    const llmir_allocator_t allocator = {NULL, NULL};
    const uint32_t cores = llmir_cpu_count();
    const uint32_t threads = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : cores;
    llmir_cpu_pool_t* pool = NULL;
    llmir_error_t error;
    if (llmir_cpu_pool_create(&allocator, threads, cores, NULL, &pool, &error) != LLMIR_STATUS_OK) {
        (void)fprintf(stderr, "bench_cpu_pool: error: %s\n", error.message);
        return 1;
    }
    bench.thread_count = threads;
    (void)printf("%u threads, %u cores\n", threads, cores);
    if (threads <= cores) { /* else those who meet keep the others from coming */
        report(pool, &bench, threads, 1);
    }
    for (uint32_t tiles = 1; tiles <= 256; tiles *= 4) {
        report(pool, &bench, tiles, 0);
    }
    llmir_cpu_pool_destroy(pool);
    return 0;
}
