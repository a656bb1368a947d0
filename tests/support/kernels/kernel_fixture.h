/* A batch with a paged cache, and running a kernel over it in every way that must not matter. */
#ifndef LLMIR_TEST_KERNEL_FIXTURE_H
#define LLMIR_TEST_KERNEL_FIXTURE_H

#include "tests/support/kernels/kernel_levels.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define TEST_BATCH_MAX_TOKENS 640u
#define TEST_BATCH_MAX_SEQUENCES 8u

typedef struct test_batch {
    llmir_cpu_batch_t batch;
    llmir_plan_kv_layer_t layer; /* the only layer of the cache, behind some other bytes */
    llmir_cpu_kv_layer_t view;   /* what kernels get of it */
    uint8_t* kv;
    size_t kv_bytes;
    uint32_t page_count;
    int32_t tokens[TEST_BATCH_MAX_TOKENS];
    int32_t positions[TEST_BATCH_MAX_TOKENS];
    uint32_t token_sequence[TEST_BATCH_MAX_TOKENS];
    uint32_t output_rows[TEST_BATCH_MAX_TOKENS];
    uint32_t* page_table;
} test_batch_t;

/* 64-byte aligned, never NULL; freed with free(). */
void* test_aligned(size_t bytes);

/* A cache for `sequences` sequences of up to `context` positions in pages that lie in random order.
 * All of it is NaN, so that reading what was not written shows. */
void test_batch_init(test_batch_t* b,
                     test_random_t* random,
                     llmir_plan_kv_layer_t layer,
                     uint32_t page_tokens,
                     uint32_t kv_type);
void test_batch_allocate_cache(test_batch_t* b,
                               test_random_t* random,
                               uint32_t sequences,
                               uint32_t context);
void test_batch_deinit(test_batch_t* b);

/* Forgets the tokens; then adds positions [begin, end) of `sequence`. */
void test_batch_clear(test_batch_t* b);
void test_batch_add(test_batch_t* b, uint32_t sequence, uint32_t begin, uint32_t end);

/* Runs all tiles of `kernel`: in one call, or one by one in reverse order. */
void test_kernel_run(const test_kernel_level_t* level,
                     uint32_t kernel,
                     const llmir_cpu_call_t* call,
                     const void* params,
                     int reversed);

/* Fails with the level's name and the first difference unless the bytes are equal. */
void test_assert_same_bits(const char* what,
                           const test_kernel_level_t* level,
                           const void* actual,
                           const void* expected,
                           size_t bytes);

/* binary16, by arithmetic on doubles: independent of the kernels' conversions. */
double test_f16_value(uint16_t bits);
uint16_t test_f16_nearest(double value);

/* A key or a value of one head at one position. Where its parts lie follows the drawing in
 * quant/kv_layout.h, not its code. */
typedef struct test_cell {
    uint32_t sequence;
    uint32_t head;
    uint32_t position;
    int is_value;
} test_cell_t;

/* Element d as the cache has it; the whole cell stored from floats, by arithmetic on doubles; its
 * bytes made 0xff again. */
double test_cache_get(const test_batch_t* b, test_cell_t cell, uint32_t d);
void test_cache_put(test_batch_t* b, test_cell_t cell, const float* x);
void test_cache_erase(test_batch_t* b, test_cell_t cell);

/* The scale of element d of an integer cell, and how many elements share one; 0: no integers. */
double test_cache_scale(const test_batch_t* b, test_cell_t cell, uint32_t d);
uint32_t test_cache_scale_elements(const test_batch_t* b, int is_value);

/* x of a head turned by the Hadamard matrix if the cache stores turned heads; by the matrix. */
void test_turn(const test_batch_t* b, double* x);

/* A query head in the form that attention takes, and its elements. */
void test_query_put(const test_batch_t* b, const float* x, float* out);
double test_query_get(const test_batch_t* b, const float* query, uint32_t d);

#endif /* LLMIR_TEST_KERNEL_FIXTURE_H */
