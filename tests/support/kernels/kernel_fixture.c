/* A batch with a paged cache for the kernel tests. */
#include "tests/support/kernels/kernel_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements in front of the layer, as if other layers were there. */
#define TEST_LAYER_OFFSET 512u

void* test_aligned(size_t bytes) {
    void* block = aligned_alloc(64, (bytes + 127u) / 64u * 64u);
    if (!block) {
        print_error("out of memory: %zu bytes\n", bytes);
        abort();
    }
    memset(block, 0, bytes);
    return block;
}

static size_t element_bytes(const test_batch_t* b) {
    return b->batch.kv_type == LLMIR_KV_F32 ? 4u : 2u;
}

void test_batch_init(test_batch_t* b,
                     test_random_t* random,
                     llmir_plan_kv_layer_t layer,
                     uint32_t page_tokens,
                     uint32_t kv_type) {
    memset(b, 0, sizeof *b);
    b->layer = layer;
    b->layer.element_offset = TEST_LAYER_OFFSET;
    b->batch = (llmir_cpu_batch_t){
        .page_tokens = page_tokens,
        .kv_type = kv_type,
        .tokens = b->tokens,
        .positions = b->positions,
        .token_sequence = b->token_sequence,
        .output_rows = b->output_rows,
    };
    for (uint32_t i = 0; i < TEST_BATCH_MAX_TOKENS; ++i) {
        b->tokens[i] = (int32_t)test_random_below(random, 1000);
    }
}

void test_batch_allocate_cache(test_batch_t* b,
                               test_random_t* random,
                               uint32_t sequences,
                               uint32_t context) {
    const uint32_t page_tokens = b->batch.page_tokens;
    const uint32_t pages = (context + page_tokens - 1u) / page_tokens;
    const size_t elements = 2u * (size_t)b->layer.kv_heads * page_tokens * b->layer.head_dim;
    b->page_count = pages * sequences;
    b->batch.page_bytes = ((TEST_LAYER_OFFSET + elements) * element_bytes(b) + 63u) / 64u * 64u;
    b->batch.page_table_stride = pages;
    b->batch.kv = test_aligned(b->batch.page_bytes * b->page_count);
    memset(b->batch.kv, 0xff, b->batch.page_bytes * b->page_count); /* NaN in f16 and f32 */
    b->page_table = test_aligned(b->page_count * sizeof *b->page_table);
    b->batch.page_table = b->page_table;
    for (uint32_t i = 0; i < b->page_count; ++i) {
        const uint32_t other = test_random_below(random, i + 1u);
        b->page_table[i] = b->page_table[other];
        b->page_table[other] = i;
    }
}

void test_batch_deinit(test_batch_t* b) {
    free(b->batch.kv);
    free(b->page_table);
}

void test_batch_clear(test_batch_t* b) {
    b->batch.token_count = 0;
    b->batch.sequence_count = 0;
}

void test_batch_add(test_batch_t* b, uint32_t sequence, uint32_t begin, uint32_t end) {
    b->batch.sequence_count++;
    for (uint32_t position = begin; position < end; ++position) {
        const uint32_t t = b->batch.token_count++;
        assert_true(t < TEST_BATCH_MAX_TOKENS);
        b->positions[t] = (int32_t)position;
        b->token_sequence[t] = sequence;
    }
}

void test_kernel_run(const test_kernel_level_t* level,
                     uint32_t kernel,
                     const llmir_cpu_call_t* call,
                     const void* params,
                     int reversed) {
    const uint32_t tiles = llmir_cpu_kernel_tile_count(kernel, params, call->batch);
    if (!reversed) {
        level->table->run[kernel](call, params, 0, tiles);
        return;
    }
    for (uint32_t tile = tiles; tile > 0; --tile) {
        level->table->run[kernel](call, params, tile - 1u, tile);
    }
}

void test_assert_same_bits(const char* what,
                           const test_kernel_level_t* level,
                           const void* actual,
                           const void* expected,
                           size_t bytes) {
    const uint8_t* a = actual;
    const uint8_t* e = expected;
    for (size_t i = 0; i < bytes; ++i) {
        if (a[i] != e[i]) {
            const size_t word = i / 4u * 4u;
            uint32_t got = 0;
            uint32_t want = 0;
            memcpy(&got, a + word, bytes - word < 4u ? bytes - word : 4u);
            memcpy(&want, e + word, bytes - word < 4u ? bytes - word : 4u);
            fail_msg("%s: level %s: byte %zu of %zu: word %08x, expected %08x", what, level->name,
                     i, bytes, (unsigned)got, (unsigned)want);
        }
    }
}

double test_f16_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) {
        return mantissa ? NAN : sign * INFINITY;
    }
    return exponent ? sign * ldexp(1024 + mantissa, exponent - 25) : sign * ldexp(mantissa, -24);
}

uint16_t test_f16_nearest(double value) {
    const uint16_t sign = signbit(value) ? 0x8000u : 0u;
    const double magnitude = fabs(value);
    if (isnan(value)) {
        return 0x7e00u;
    }
    if (magnitude >= 65520.0) { /* half way between the largest f16 and 2^16 */
        return sign | 0x7c00u;
    }
    if (magnitude == 0.0) {
        return sign;
    }
    int exponent;
    frexp(magnitude, &exponent); /* magnitude = m * 2^exponent, m in [0.5, 1) */
    const int unit = exponent - 11 > -24 ? exponent - 11 : -24;
    const int steps = (int)nearbyint(ldexp(magnitude, -unit));
    /* `steps` counts units; the bit pattern counts them from zero on, 1024 to each power of two. */
    return (uint16_t)(sign | (steps + (unit + 24) * 1024));
}

static size_t page_element(const test_batch_t* b, uint32_t sequence, uint32_t position) {
    const uint32_t page =
        b->page_table[sequence * b->batch.page_table_stride + position / b->batch.page_tokens];
    return page * (b->batch.page_bytes / element_bytes(b)) + b->layer.element_offset;
}

size_t test_key_index(
    const test_batch_t* b, uint32_t sequence, uint32_t head, uint32_t position, uint32_t d) {
    const uint32_t token = position % b->batch.page_tokens;
    const size_t groups = b->batch.page_tokens / 16u;
    const size_t group = head * groups + token / 16u;
    return page_element(b, sequence, position) + (group * b->layer.head_dim + d) * 16u +
           token % 16u;
}

size_t test_value_index(
    const test_batch_t* b, uint32_t sequence, uint32_t head, uint32_t position, uint32_t d) {
    const size_t keys = (size_t)b->layer.kv_heads * b->batch.page_tokens * b->layer.head_dim;
    const size_t row = (size_t)head * b->batch.page_tokens + position % b->batch.page_tokens;
    return page_element(b, sequence, position) + keys + row * b->layer.head_dim + d;
}

double test_cache_value(const test_batch_t* b, size_t index) {
    if (b->batch.kv_type == LLMIR_KV_F32) {
        float value;
        memcpy(&value, b->batch.kv + index * 4u, 4);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, b->batch.kv + index * 2u, 2);
    return test_f16_value(bits);
}

void test_cache_set(test_batch_t* b, size_t index, float value) {
    if (b->batch.kv_type == LLMIR_KV_F32) {
        memcpy(b->batch.kv + index * 4u, &value, 4);
        return;
    }
    const uint16_t bits = test_f16_nearest(value);
    memcpy(b->batch.kv + index * 2u, &bits, 2);
}
