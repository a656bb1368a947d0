/* The machine's limits, measured: how fast memory can be read, and how many int8 multiply-adds fit
 * into a second. A share of these is what a speed can honestly be called. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "common/input.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define READ_BYTES ((size_t)512 << 20) /* all threads together: beyond any cache */
#define PASSES 6
#define AHEAD_BYTES ((size_t)8 << 10) /* in two of three passes: once and twice as much */
#define MAX_THREADS 64u

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t* barrier;
    const uint64_t* words;
    size_t word_count;
    uint64_t sink; /* keeps the work from being optimised away */
    double ops;
    double best_read_ms, best_ops_ms;
} worker_t;

/* Reads with lines asked for `ahead` bytes before they are needed: a core that only waits for what
 * it loads does not see far enough ahead to use all of the memory's speed. */
static uint64_t read_plain(const uint64_t* words, size_t count, size_t ahead) {
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 8 <= count; i += 8) {
        __builtin_prefetch((const char*)(words + i) + ahead);
        for (size_t j = 0; j < 8; ++j) {
            sums[j] += words[i + j];
        }
    }
    return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint64_t* words,
                                                               size_t count,
                                                               size_t ahead) {
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i + 8 <= count; i += 8) {
        __builtin_prefetch((const char*)(words + i) + ahead);
        sum = _mm512_add_epi64(sum, _mm512_loadu_si512(words + i));
    }
    return (uint64_t)_mm512_reduce_add_epi64(sum);
}
#endif

static uint64_t read_all(const uint64_t* words, size_t count, size_t ahead) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return read_avx512(words, count, ahead);
    }
#endif
    return read_plain(words, count, ahead);
}

#define OPS_ROUNDS 2000000u
#define OPS_CHAINS 12u /* Intel's vpdpbusd takes five cycles, two begin in each */

#if defined(__x86_64__)
/* vpmaddubsw into 16-bit sums: 32 products and as many additions an instruction. */
__attribute__((target("avx2"))) static uint64_t multiply_add_avx2(double* out_ops) {
    __m256i sums[OPS_CHAINS], x = _mm256_set1_epi8(3);
    for (size_t j = 0; j < OPS_CHAINS; ++j) {
        sums[j] = _mm256_set1_epi16((short)j);
    }
    for (uint32_t i = 0; i < OPS_ROUNDS; ++i) {
        for (size_t j = 0; j < OPS_CHAINS; ++j) {
            sums[j] = _mm256_add_epi16(sums[j], _mm256_maddubs_epi16(x, sums[j]));
        }
    }
    uint64_t lanes[4];
    for (size_t j = 1; j < OPS_CHAINS; ++j) {
        sums[0] = _mm256_xor_si256(sums[0], sums[j]);
    }
    _mm256_storeu_si256((__m256i*)lanes, sums[0]);
    *out_ops = 64.0 * OPS_CHAINS * OPS_ROUNDS;
    return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
}

/* vpdpbusd: 64 products and as many additions an instruction. */
__attribute__((target("avx512f,avx512vnni"))) static uint64_t multiply_add_vnni(double* out_ops) {
    __m512i sums[OPS_CHAINS], x = _mm512_set1_epi32(0x03030303);
    for (size_t j = 0; j < OPS_CHAINS; ++j) {
        sums[j] = _mm512_set1_epi32((int)j);
    }
    for (uint32_t i = 0; i < OPS_ROUNDS; ++i) {
        for (size_t j = 0; j < OPS_CHAINS; ++j) {
            sums[j] = _mm512_dpbusd_epi32(sums[j], x, x);
        }
    }
    for (size_t j = 1; j < OPS_CHAINS; ++j) {
        sums[0] = _mm512_xor_si512(sums[0], sums[j]);
    }
    *out_ops = 128.0 * OPS_CHAINS * OPS_ROUNDS;
    return (uint64_t)_mm512_reduce_add_epi32(sums[0]);
}

static uint64_t multiply_add(double* out_ops) {
    if (__builtin_cpu_supports("avx512vnni")) {
        return multiply_add_vnni(out_ops);
    }
    if (__builtin_cpu_supports("avx2")) {
        return multiply_add_avx2(out_ops);
    }
    *out_ops = 0;
    return 0;
}
#else
static uint64_t multiply_add(double* out_ops) {
    *out_ops = 0;
    return 0;
}
#endif

static void* work(void* user) {
    worker_t* worker = user;
    for (int pass = 0; pass < PASSES; ++pass) {
        pthread_barrier_wait(worker->barrier);
        double start = input_now_ms();
        worker->sink +=
            read_all(worker->words, worker->word_count, (size_t)(pass % 3) * AHEAD_BYTES);
        pthread_barrier_wait(worker->barrier);
        double elapsed = input_now_ms() - start;
        worker->best_read_ms =
            pass == 0 || elapsed < worker->best_read_ms ? elapsed : worker->best_read_ms;
        pthread_barrier_wait(worker->barrier);
        start = input_now_ms();
        worker->sink += multiply_add(&worker->ops);
        pthread_barrier_wait(worker->barrier);
        elapsed = input_now_ms() - start;
        worker->best_ops_ms =
            pass == 0 || elapsed < worker->best_ops_ms ? elapsed : worker->best_ops_ms;
    }
    return NULL;
}

void bench_measure_roofline(uint32_t threads, bench_roofline_t* out) {
    worker_t workers[MAX_THREADS];
    pthread_barrier_t barrier;
    const uint32_t count = threads == 0 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    uint64_t* words = malloc(READ_BYTES);
    memset(out, 0, sizeof(*out));
    memset(workers, 0, sizeof(workers));
    if (words == NULL || pthread_barrier_init(&barrier, NULL, count) != 0) {
        free(words);
        return;
    }
    memset(words, 1, READ_BYTES);
    uint32_t started = 1;
    for (uint32_t i = 0; i < count; ++i) {
        workers[i].barrier = &barrier;
        workers[i].word_count = READ_BYTES / sizeof(*words) / count;
        workers[i].words = words + i * workers[i].word_count;
    }
    for (; started < count &&
           pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0;
         ++started) {
    }
    if (started == count) {
        work(&workers[0]);
        out->read_bytes_per_second = (double)READ_BYTES / (workers[0].best_read_ms * 1e-3);
        out->int8_ops_per_second = workers[0].ops * count / (workers[0].best_ops_ms * 1e-3);
    }
    for (uint32_t i = 1; i < started; ++i) {
        if (started < count) {
            pthread_cancel(workers[i].thread);
        }
        pthread_join(workers[i].thread, NULL);
    }
    pthread_barrier_destroy(&barrier);
    free(words);
}
