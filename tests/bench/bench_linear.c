/* Speed of the matrix product on one thread: every integer layout (and F16) over the shapes of
 * SmolLM2-135M and Llama-3.2-1B, for 1, 8 and 512 tokens.
 *
 *   bench_linear [LEVEL [MILLISECONDS [ROWS COLUMNS]]]     e.g. bench_linear x86-64-v3 200
 *
 * GOPS counts a multiply-add as two. GB/s counts the bytes of the weights; "cold" reads another
 * copy of the weights each time, 64 MiB in all, as the layers of a model do. The best of all runs
 * in MILLISECONDS counts: on a shared machine the others measure the neighbours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "quant/activation.h"
#include "targets/cpu/cpu_level.h"
#include "targets/cpu/kernels/linear_tiles.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#define COLD_BYTES (64u << 20)
#define MAX_TOKENS 512u
#define MAX_PARTS 256u

typedef struct bench {
    const llmir_cpu_kernel_table_t* table;
    uint64_t budget_ns;
    double peak_gops;
} bench_t;

typedef struct bench_layout {
    uint32_t layout;
    uint32_t group; /* columns that share a scale; 0: floats */
    const char* name;
} bench_layout_t;

typedef struct product {
    llmir_linear_params_t params;
    llmir_cpu_batch_t batch;
    llmir_cpu_call_t call;
    uint8_t* weights; /* `copies` matrices, one after the other */
    size_t weight_bytes;
    uint32_t copies;
} product_t;

/* ---- The limit of the integer units */

#if defined(__x86_64__) && defined(__GNUC__)
#define PEAK_STEPS 20000

__attribute__((target("avx2"))) static double peak_of_maddubs(void) {
    __m256i a = _mm256_set1_epi8(3);
    __m256i s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a;
    const uint64_t begin = llmir_clock_ns();
    for (int i = 0; i < PEAK_STEPS; i++) {
        __asm__ volatile(
            "vpmaddubsw %0, %8, %0\n\tvpmaddubsw %1, %8, %1\n\tvpmaddubsw %2, %8, %2\n\t"
            "vpmaddubsw %3, %8, %3\n\tvpmaddubsw %4, %8, %4\n\tvpmaddubsw %5, %8, %5\n\t"
            "vpmaddubsw %6, %8, %6\n\tvpmaddubsw %7, %8, %7"
            : "+x"(s0), "+x"(s1), "+x"(s2), "+x"(s3), "+x"(s4), "+x"(s5), "+x"(s6), "+x"(s7)
            : "x"(a));
    }
    return 8.0 * 64.0 * PEAK_STEPS / (double)(llmir_clock_ns() - begin);
}

__attribute__((target("avx512f,avx512vnni"))) static double peak_of_vnni(void) {
    __m512i a = _mm512_set1_epi8(3);
    __m512i s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a;
    __m512i s10 = a, s11 = a; /* Intel's take five cycles and begin two a cycle */
    const uint64_t begin = llmir_clock_ns();
    for (int i = 0; i < PEAK_STEPS; i++) {
        __asm__ volatile(
            "vpdpbusd %12, %12, %0\n\tvpdpbusd %12, %12, %1\n\tvpdpbusd %12, %12, %2\n\t"
            "vpdpbusd %12, %12, %3\n\tvpdpbusd %12, %12, %4\n\tvpdpbusd %12, %12, %5\n\t"
            "vpdpbusd %12, %12, %6\n\tvpdpbusd %12, %12, %7\n\tvpdpbusd %12, %12, %8\n\t"
            "vpdpbusd %12, %12, %9\n\tvpdpbusd %12, %12, %10\n\tvpdpbusd %12, %12, %11"
            : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6), "+v"(s7),
              "+v"(s8), "+v"(s9), "+v"(s10), "+v"(s11)
            : "v"(a));
    }
    return 12.0 * 128.0 * PEAK_STEPS / (double)(llmir_clock_ns() - begin);
}

/* Billion int8 operations a second that the processor could do; 0 if not known for the level. */
static double measure_peak(const bench_t* bench) {
    double best = 0.0;
    for (int round = 0; round < 500; round++) {
        double peak = 0.0;
        if (bench->table->level == LLMIR_CPU_LEVEL_X86_64_V3) {
            peak = peak_of_maddubs();
        } else if (bench->table->level == LLMIR_CPU_LEVEL_X86_64_V4_VNNI) {
            peak = peak_of_vnni();
        }
        best = peak > best ? peak : best;
    }
    return best;
}
#else
static double measure_peak(const bench_t* bench) {
    (void)bench;
    return 0.0;
}
#endif

/* ---- Products */

/* Bits that make normal numbers of moderate size, read as binary16 or binary32. */
static void* make_random(size_t bytes, uint32_t mask, uint32_t set) {
    uint32_t* memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) {
        return NULL;
    }
    uint32_t state = 1;
    for (size_t i = 0; i < (bytes + 3) / 4; i++) {
        state = state * 1664525u + 1013904223u;
        memory[i] = ((state ^ state >> 15) & mask) | set;
    }
    return memory;
}

/* Q8 rows whose sums are those of their bytes. */
static void set_sums(const product_t* product) {
    const llmir_linear_params_t* p = &product->params;
    for (uint32_t t = 0; t < MAX_TOKENS; t++) {
        uint8_t* row = (uint8_t*)product->call.operands[0] + (size_t)t * product->call.row_bytes[0];
        int32_t* sums = (int32_t*)(row + llmir_q8_sum_offset(p->columns, p->group));
        memset(sums, 0, p->columns / p->group * sizeof *sums);
        for (uint32_t i = 0; i < p->columns; i++) {
            sums[i / p->group] += (int8_t)row[i];
        }
    }
}

static int make_product(product_t* product,
                        const bench_layout_t* weights,
                        uint32_t rows,
                        uint32_t columns) {
    const uint32_t layout = weights->layout;
    memset(product, 0, sizeof *product);
    llmir_linear_params_t* p = &product->params;
    const int is_integer = llmir_layout_is_integer(layout);
    p->rows = rows;
    p->columns = columns;
    p->layout = layout;
    p->group = weights->group;
    p->out_stride = rows;
    product->weight_bytes = (size_t)llmir_layout_bytes(layout, p->group, rows, columns);
    product->copies = (uint32_t)(1 + COLD_BYTES / product->weight_bytes);
    product->weights =
        make_random(product->weight_bytes * product->copies, 0x8FFF8FFFu, 0x20002000u);
    product->call.row_bytes[0] =
        is_integer ? llmir_q8_row_bytes(columns, p->group) : llmir_align64(columns * 4);
    product->call.row_bytes[3] = rows * 4;
    product->call.operands[0] =
        make_random((size_t)MAX_TOKENS * product->call.row_bytes[0], 0x3F7F3F7Fu, 0x38003800u);
    product->call.operands[3] = calloc(MAX_TOKENS, (size_t)rows * 4);
    product->call.batch = &product->batch;
    if (product->call.operands[0] != NULL && is_integer) {
        set_sums(product);
    }
    return product->weights && product->call.operands[0] && product->call.operands[3];
}

static void free_product(product_t* product) {
    free(product->weights);
    free(product->call.operands[0]);
    free(product->call.operands[3]);
}

/* Nanoseconds of one product. Its tiles are timed in MAX_PARTS parts, and the best time of each
 * part within the budget counts: a long run is never undisturbed as a whole. */
static double measure(const bench_t* bench, product_t* product, uint32_t tokens, int cold) {
    const llmir_cpu_kernel_fn run = bench->table->run[LLMIR_KERNEL_LINEAR];
    const uint64_t end = llmir_clock_ns() + bench->budget_ns;
    product->batch.token_count = tokens;
    const uint32_t tiles = llmir_linear_tile_count(&product->params, tokens);
    const uint32_t megabytes = (uint32_t)(product->weight_bytes >> 20);
    const uint32_t most = tokens > 1 || megabytes >= MAX_PARTS ? MAX_PARTS : megabytes + 1;
    const uint32_t parts = tiles < most ? tiles : most;
    uint64_t best[MAX_PARTS];
    memset(best, 0xFF, sizeof best);
    uint32_t copy = 0;
    for (uint32_t rounds = 0; rounds < 3 || llmir_clock_ns() < end; rounds++) {
        product->call.operands[1] = product->weights + copy * product->weight_bytes;
        copy = cold ? (copy + 1) % product->copies : 0;
        for (uint32_t part = 0; part < parts; part++) {
            const uint64_t begin = llmir_clock_ns();
            run(&product->call, &product->params, (uint32_t)((uint64_t)tiles * part / parts),
                (uint32_t)((uint64_t)tiles * (part + 1) / parts));
            const uint64_t taken = llmir_clock_ns() - begin;
            best[part] = taken < best[part] ? taken : best[part];
        }
    }
    uint64_t sum = 0;
    for (uint32_t part = 0; part < parts; part++) {
        sum += best[part];
    }
    return (double)sum;
}

static void run_shape(const bench_t* bench,
                      const bench_layout_t* layout,
                      uint32_t rows,
                      uint32_t columns) {
    product_t product;
    if (layout->group != 0 && columns % layout->group != 0) {
        return; /* no such matrix */
    }
    if (!make_product(&product, layout, rows, columns)) {
        (void)printf("%6u x %5u: not enough memory\n", rows, columns);
        free_product(&product);
        return;
    }
    const uint32_t tokens[] = {1, 8, 512};
    const double cold_ns = measure(bench, &product, 1, 1);
    (void)printf("%6u x %5u |", rows, columns);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        const double ns = measure(bench, &product, tokens[i], 0);
        const double gops = 2.0 * rows * columns * tokens[i] / ns;
        if (tokens[i] == 1) {
            (void)printf(" %6.1f GB/s, cold %5.1f |", (double)product.weight_bytes / ns,
                         (double)product.weight_bytes / cold_ns);
        } else {
            (void)printf(" %6.1f GOPS", gops);
            if (bench->peak_gops > 0.0) {
                (void)printf(" %3.0f %%", 100.0 * gops / bench->peak_gops);
            }
            (void)printf(" |");
        }
    }
    (void)printf("\n");
    (void)fflush(stdout);
    free_product(&product);
}

int main(int argc, char** argv) {
    static const bench_layout_t layouts[] = {{LLMIR_LAYOUT_PANEL_S4, 32, "S4, groups of 32"},
                                             {LLMIR_LAYOUT_PANEL_U4, 32, "U4, groups of 32"},
                                             {LLMIR_LAYOUT_PANEL_S8, 32, "S8, groups of 32"},
                                             {LLMIR_LAYOUT_PANEL_S4, 128, "S4, groups of 128"},
                                             {LLMIR_LAYOUT_PANEL_U4, 128, "U4, groups of 128"},
                                             {LLMIR_LAYOUT_PANEL_S8, 128, "S8, groups of 128"},
                                             {LLMIR_LAYOUT_PANEL_S4, 256, "S4, groups of 256"},
                                             {LLMIR_LAYOUT_PANEL_U4, 256, "U4, groups of 256"},
                                             {LLMIR_LAYOUT_PANEL_S8, 256, "S8, groups of 256"},
                                             {LLMIR_LAYOUT_PANEL_F16, 0, "F16"}};
    static const uint32_t shapes[][2] = {{576, 576},   {1536, 576},  {576, 1536}, {2048, 2048},
                                         {8192, 2048}, {2048, 8192}, {49152, 576}};
    bench_t bench = {llmir_cpu_level_choose(0), 200u * 1000000u, 0.0};
    for (uint32_t i = 0; argc > 1 && i < llmir_cpu_kernel_table_count; i++) {
        const llmir_cpu_kernel_table_t* table = llmir_cpu_kernel_tables[i];
        if (strcmp(llmir_cpu_level_name(table->level), argv[1]) == 0 &&
            llmir_cpu_level_is_supported(table->level)) {
            bench.table = table;
        }
    }
    if (argc > 2) {
        bench.budget_ns = (uint64_t)strtoul(argv[2], NULL, 10) * 1000000u;
    }
    bench.peak_gops = measure_peak(&bench);
    (void)printf("level %s, one thread, int8 peak %.0f GOPS\n",
                 llmir_cpu_level_name(bench.table->level), bench.peak_gops);
    for (size_t l = 0; l < sizeof layouts / sizeof layouts[0]; l++) {
        (void)printf("%s\n  rows x columns |  1 token               |  8 tokens |  512 tokens\n",
                     layouts[l].name);
        if (argc > 4) {
            run_shape(&bench, &layouts[l], (uint32_t)strtoul(argv[3], NULL, 10),
                      (uint32_t)strtoul(argv[4], NULL, 10));
        }
        for (size_t s = 0; argc <= 4 && s < sizeof shapes / sizeof shapes[0]; s++) {
            run_shape(&bench, &layouts[l], shapes[s][0], shapes[s][1]);
        }
    }
    return 0;
}
