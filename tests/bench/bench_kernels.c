/* Speed of attention, norm, qkv and quantize for each ISA level of this processor, on one thread.
 *
 *   bench_kernels [LEVEL]     e.g. "bench_kernels 3" for the fourth table; default: all that run
 *
 * Times are the best of several runs, in thread CPU time where the system has it: other processes
 * disturb them less. GFLOPS count two operations per multiply-add of keys that are looked at. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "targets/cpu/kernels/kernel_table.h"
#include "targets/cpu/kernels/kv_cache.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double seconds(void) {
    struct timespec t;
#if defined(CLOCK_THREAD_CPUTIME_ID)
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
#else
    (void)timespec_get(&t, TIME_UTC);
#endif
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
/* Multiply-adds of 256 bits in twelve independent chains. */
__attribute__((target("avx2,fma"))) static double peak_gflops(void) {
    const __m256 factor = _mm256_set1_ps(0.999f);
    const __m256 term = _mm256_set1_ps(1e-5f);
    const long rounds = 4000000;
    double best = 0.0;
    for (int repeat = 0; repeat < 5; ++repeat) {
        __m256 chains[12];
        for (int i = 0; i < 12; ++i) {
            chains[i] = _mm256_set1_ps((float)i);
        }
        const double start = seconds();
        for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
            for (int i = 0; i < 12; ++i) {
                chains[i] = _mm256_fmadd_ps(chains[i], factor, term);
            }
        }
        const double speed = 12.0 * 16.0 * (double)rounds / (seconds() - start) * 1e-9;
        volatile float sink = 0.0f;
        for (int i = 0; i < 12; ++i) {
            sink = sink + _mm256_cvtss_f32(chains[i]);
        }
        best = speed > best ? speed : best;
    }
    return best;
}
#endif

static void* aligned(size_t bytes) {
    void* block = aligned_alloc(64, (bytes + 127u) / 64u * 64u);
    if (!block) {
        (void)fprintf(stderr, "bench_kernels: out of memory\n");
        exit(1);
    }
    memset(block, 0, bytes);
    return block;
}

static void fill(float* x, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        x[i] = (float)((i * 2654435761u >> 8) % 2000u) * 0.001f - 1.0f;
    }
}

static void run(const llmir_cpu_kernel_table_t* table,
                uint32_t kernel,
                const llmir_cpu_call_t* call,
                const void* params) {
    table->run[kernel](call, params, 0, llmir_cpu_kernel_tile_count(kernel, params, call->batch));
}

/* A cache with pages in random order, and one sequence with queries for its last tokens. */
typedef struct attention_shape {
    uint32_t q_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t depth;   /* positions before the first query */
    uint32_t tokens;  /* queries */
    uint32_t layers;  /* of the cache, run one after the other: many are not in any cache */
    uint32_t storage; /* llmir_kv_storage_t */
} attention_shape_t;

#define PAGE_TOKENS 16u
#define BUDGET_SECONDS 0.2 /* for each case, two runs at least */

static void bench_attention(const llmir_cpu_kernel_table_t* table, const attention_shape_t* s) {
    const uint32_t positions = s->depth + s->tokens;
    const uint32_t pages = positions / PAGE_TOKENS + 1u;
    const llmir_plan_kv_layer_t planned = {.kv_heads = s->kv_heads, .head_dim = s->head_dim};
    const size_t layer_bytes = llmir_kv_layer_bytes(&planned, s->storage, PAGE_TOKENS);
    const size_t page_bytes = layer_bytes * s->layers;
    const uint32_t stride = (s->q_heads + 2u * s->kv_heads) * s->head_dim;
    uint16_t* kv = aligned(page_bytes * pages);
    uint32_t* page_table = aligned(pages * sizeof *page_table);
    int32_t* position = aligned(s->tokens * sizeof *position);
    uint32_t* sequence = aligned(s->tokens * sizeof *sequence);
    float* q = aligned((size_t)s->tokens * stride * 4u);
    float* out = aligned((size_t)s->tokens * stride * 4u);
    fill(q, (size_t)s->tokens * stride);
    for (size_t i = 0; i < page_bytes * pages / 2u; ++i) {
        kv[i] = (uint16_t)(0x3000u + (i * 2654435761u >> 12) % 0x0c00u); /* 0.125 .. 1 */
    }
    for (uint32_t i = 0; i < pages; ++i) {
        const uint32_t other = (i * 7919u + 13u) % (i + 1u);
        page_table[i] = page_table[other];
        page_table[other] = i;
    }
    for (uint32_t t = 0; t < s->tokens; ++t) {
        position[t] = (int32_t)(s->depth + t);
    }
    const llmir_cpu_batch_t batch = {
        .token_count = s->tokens,
        .sequence_count = 1,
        .page_tokens = PAGE_TOKENS,
        .kv_type = s->storage,
        .positions = position,
        .token_sequence = sequence,
    };
    const llmir_attention_params_t params = {
        s->q_heads, s->kv_heads, s->head_dim, 0, stride, s->q_heads * s->head_dim, 0.125f, 0.0f};
    double best = 1e30;
    const double end = seconds() + BUDGET_SECONDS;
    for (int repeat = 0; repeat < 2 || seconds() < end; ++repeat) {
        const double start = seconds();
        for (uint32_t l = 0; l < s->layers; ++l) {
            llmir_cpu_kv_layer_t layer = llmir_cpu_kv_layer(&planned, s->storage, PAGE_TOKENS);
            layer.pages = (uint8_t*)kv + layer_bytes * l;
            layer.page_bytes = page_bytes;
            layer.page_table = page_table;
            layer.page_table_stride = pages;
            const llmir_cpu_call_t call = {.batch = &batch, .operands = {q, &layer, out}};
            run(table, LLMIR_KERNEL_ATTENTION, &call, &params);
        }
        const double time = (seconds() - start) / s->layers;
        best = time < best ? time : best;
    }
    const double keys = (double)s->tokens * (s->depth + 0.5 * (s->tokens + 1u));
    static const char* const names[] = {"f16", "f32", "q8", "q4"};
    printf(
        "  attention %3s %2u/%u heads of %3u, %3u tokens at %4u, %2u layers: %9.1f us, %6.1f "
        "GFLOPS",
        names[s->storage], s->q_heads, s->kv_heads, s->head_dim, s->tokens, s->depth, s->layers,
        best * 1e6, 4.0 * keys * s->head_dim * s->q_heads / best * 1e-9);
    if (s->tokens == 1u) {
        printf(", %.1f GB/s", (double)layer_bytes * positions / PAGE_TOKENS / best * 1e-9);
    }
    printf("\n");
    free(kv);
    free(page_table);
    free(position);
    free(sequence);
    free(q);
    free(out);
}

/* Row kernels: the time of a row of `dim` elements. */
static void bench_rows(const llmir_cpu_kernel_table_t* table, uint32_t dim) {
    enum { ROWS = 64 };
    float* x = aligned((size_t)ROWS * dim * 8u);
    float* delta = aligned((size_t)ROWS * dim * 4u);
    float* weight = aligned(dim * 4u);
    uint8_t* out = aligned((size_t)ROWS * dim * 4u);
    fill(x, (size_t)ROWS * dim * 2u);
    fill(weight, dim);
    const llmir_cpu_batch_t batch = {.token_count = ROWS, .sequence_count = 1};
    const llmir_norm_params_t norm = {dim, LLMIR_NORM_ADD_DELTA, 1e-5f, 0.0f, LLMIR_ROW_Q8, 32, 0,
                                      0};
    const llmir_quantize_params_t quantize = {dim, 32, LLMIR_EXTENT_TOKENS, 0};
    const llmir_gate_params_t gate = {dim, LLMIR_GATE_SILU};
    const llmir_cpu_call_t norm_call = {.batch = &batch,
                                        .operands = {x, delta, NULL, weight, out},
                                        .row_bytes = {dim * 4u, dim * 4u, 0, 0, dim * 4u}};
    const llmir_cpu_call_t quantize_call = {
        .batch = &batch, .operands = {x, out}, .row_bytes = {dim * 4u, dim * 4u}};
    const llmir_cpu_call_t gate_call = {
        .batch = &batch, .operands = {x, out}, .row_bytes = {dim * 8u, dim * 4u}};
    const struct {
        const char* name;
        uint32_t kernel;
        const llmir_cpu_call_t* call;
        const void* params;
    } cases[] = {{"norm + add + q8", LLMIR_KERNEL_NORM, &norm_call, &norm},
                 {"quantize", LLMIR_KERNEL_QUANTIZE, &quantize_call, &quantize},
                 {"gate silu", LLMIR_KERNEL_GATE, &gate_call, &gate}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        double best = 1e30;
        for (int repeat = 0; repeat < 200; ++repeat) {
            const double start = seconds();
            run(table, cases[i].kernel, cases[i].call, cases[i].params);
            const double time = (seconds() - start) / ROWS;
            best = time < best ? time : best;
        }
        printf("  %-15s rows of %4u: %.3f us, %.1f GB/s\n", cases[i].name, dim, best * 1e6,
               4.0 * dim / best * 1e-9);
    }
    free(x);
    free(delta);
    free(weight);
    free(out);
}

static int runs_here(uint32_t level) {
#if defined(__x86_64__)
    return level == LLMIR_CPU_LEVEL_NONE ||
           (level == LLMIR_CPU_LEVEL_X86_64_V2 && __builtin_cpu_supports("sse4.2")) ||
           (level == LLMIR_CPU_LEVEL_X86_64_V3 && __builtin_cpu_supports("avx2")) ||
           (level == LLMIR_CPU_LEVEL_X86_64_V4_VNNI && __builtin_cpu_supports("avx512vnni"));
#else
    return level == LLMIR_CPU_LEVEL_NONE;
#endif
}

int main(int argc, char** argv) {
    enum { F16 = LLMIR_KV_STORAGE_F16, Q8 = LLMIR_KV_STORAGE_Q8, Q4 = LLMIR_KV_STORAGE_Q4 };
    static const attention_shape_t shapes[] = {
        {9, 3, 64, 0, 512, 1, F16},    {9, 3, 64, 0, 512, 1, Q8},    {9, 3, 64, 0, 512, 1, Q4},
        {32, 8, 64, 0, 512, 1, F16},   {32, 8, 64, 0, 512, 1, Q8},   {32, 8, 64, 0, 512, 1, Q4},
        {4, 1, 256, 0, 512, 1, F16},   {4, 1, 256, 0, 512, 1, Q8},   {4, 1, 256, 0, 512, 1, Q4},
        {9, 3, 64, 1536, 512, 1, F16}, /* the end of a prompt of 2048 */
        {9, 3, 64, 2048, 1, 1, F16},   {9, 3, 64, 2048, 1, 1, Q8},   {9, 3, 64, 2048, 1, 1, Q4},
        {9, 3, 64, 2048, 1, 30, F16},  {9, 3, 64, 2048, 1, 30, Q8},  {9, 3, 64, 2048, 1, 30, Q4},
        {32, 8, 64, 2048, 1, 16, F16}, {32, 8, 64, 2048, 1, 16, Q8}, {32, 8, 64, 2048, 1, 16, Q4},
        {32, 8, 128, 2048, 1, 8, F16}, {32, 8, 128, 2048, 1, 8, Q8}, {32, 8, 128, 2048, 1, 8, Q4},
        {16, 8, 128, 2048, 1, 8, F16}, {16, 8, 128, 2048, 1, 8, Q8}, {16, 8, 128, 2048, 1, 8, Q4},
    };
#if defined(__x86_64__)
    if (__builtin_cpu_supports("fma")) {
        printf("peak of 256-bit multiply-adds: %.1f GFLOPS\n", peak_gflops());
    }
#endif
    for (uint32_t i = 0; i < llmir_cpu_kernel_table_count; ++i) {
        const llmir_cpu_kernel_table_t* table = llmir_cpu_kernel_tables[i];
        if (!runs_here(table->level) || (argc > 1 && strtoul(argv[1], NULL, 10) != i)) {
            continue;
        }
        printf("level %#x\n", (unsigned)table->level);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
            bench_attention(table, &shapes[s]);
        }
        bench_rows(table, 576);
        bench_rows(table, 2048);
    }
    return 0;
}
