/* A batch with a paged cache for the kernel tests. */
#include "tests/support/kernels/kernel_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets/cpu/kernels/kv_cache.h"

/* Bytes in front of the layer, as if other layers were there. */
#define TEST_LAYER_OFFSET 1024u

void* test_aligned(size_t bytes) {
    void* block = aligned_alloc(64, (bytes + 127u) / 64u * 64u);
    if (!block) {
        print_error("out of memory: %zu bytes\n", bytes);
        abort();
    }
    memset(block, 0, bytes);
    return block;
}

void test_batch_init(test_batch_t* b,
                     test_random_t* random,
                     llmir_plan_kv_layer_t layer,
                     uint32_t page_tokens,
                     uint32_t kv_type) {
    memset(b, 0, sizeof *b);
    b->layer = layer;
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
    const uint64_t layer_bytes = llmir_kv_layer_bytes(&b->layer, b->batch.kv_type, page_tokens);
    b->page_count = pages * sequences;
    b->view = llmir_cpu_kv_layer(&b->layer, b->batch.kv_type, page_tokens);
    b->view.page_bytes = TEST_LAYER_OFFSET + layer_bytes;
    b->view.page_table_stride = pages;
    b->kv_bytes = b->view.page_bytes * b->page_count;
    b->kv = test_aligned(b->kv_bytes);
    b->view.pages = b->kv + TEST_LAYER_OFFSET;
    memset(b->kv, 0xff, b->kv_bytes); /* NaN in f16 and f32 */
    b->page_table = test_aligned(b->page_count * sizeof *b->page_table);
    b->view.page_table = b->page_table;
    for (uint32_t i = 0; i < b->page_count; ++i) {
        const uint32_t other = test_random_below(random, i + 1u);
        b->page_table[i] = b->page_table[other];
        b->page_table[other] = i;
    }
}

void test_batch_deinit(test_batch_t* b) {
    free(b->kv);
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

static int is_integer(const test_batch_t* b) {
    return b->batch.kv_type == LLMIR_KV_Q8 || b->batch.kv_type == LLMIR_KV_Q4;
}

/* Nibbles: the values of q4. */
static int is_nibbles(const test_batch_t* b, int is_value) {
    return b->batch.kv_type == LLMIR_KV_Q4 && is_value;
}

/* Elements that share a scale, and how many scales a head has. */
static size_t scale_elements(const test_batch_t* b, int is_value) {
    return is_nibbles(b, is_value) ? 32u : b->layer.head_dim;
}

static size_t scale_count(const test_batch_t* b, int is_value) {
    const size_t elements = scale_elements(b, is_value);
    return is_integer(b) ? (b->layer.head_dim + elements - 1u) / elements : 0u;
}

/* Elements of a head with its padding. */
static size_t columns_of(const test_batch_t* b, int is_value) {
    const size_t dim = b->layer.head_dim;
    if (!is_value || !is_integer(b)) {
        return dim;
    }
    return b->batch.kv_type == LLMIR_KV_Q8 ? (dim + 15u) / 16u * 16u : (dim + 31u) / 32u * 32u;
}

/* Half bytes of an element. */
static size_t element_nibbles(const test_batch_t* b, int is_value) {
    static const size_t nibbles[] = {4, 8, 2, 2};
    return is_nibbles(b, is_value) ? 1u : nibbles[b->batch.kv_type];
}

static size_t group_bytes(const test_batch_t* b, int is_value) {
    return columns_of(b, is_value) * 16u * element_nibbles(b, is_value) / 2u +
           scale_count(b, is_value) * 32u;
}

static uint8_t* group_of(const test_batch_t* b, test_cell_t cell) {
    const uint32_t tokens = b->batch.page_tokens;
    const size_t page =
        b->page_table[cell.sequence * b->view.page_table_stride + cell.position / tokens];
    const size_t groups = tokens / 16u;
    const size_t group = cell.head * groups + cell.position % tokens / 16u;
    uint8_t* layer = b->kv + page * b->view.page_bytes + TEST_LAYER_OFFSET;
    const size_t keys = b->layer.kv_heads * groups * group_bytes(b, 0);
    return layer + (cell.is_value ? keys : 0u) + group * group_bytes(b, cell.is_value);
}

/* Where element d begins, in half bytes of its group. */
static size_t element_nibble(const test_batch_t* b, test_cell_t cell, uint32_t d) {
    const size_t lane = cell.position % 16u;
    if (is_nibbles(b, cell.is_value)) {
        return (lane * columns_of(b, 1) / 2u + d / 32u * 16u + d % 16u) * 2u + d / 16u % 2u;
    }
    const size_t key = is_integer(b) ? (d / 2u * 16u + lane) * 2u + d % 2u : d * 16u + lane;
    return (cell.is_value ? lane * columns_of(b, 1) + d : key) * element_nibbles(b, cell.is_value);
}

static uint8_t* element_of(const test_batch_t* b, test_cell_t cell, uint32_t d) {
    return group_of(b, cell) + element_nibble(b, cell, d) / 2u;
}

static uint8_t* scale_of(const test_batch_t* b, test_cell_t cell, uint32_t d) {
    const size_t scales = group_bytes(b, cell.is_value) - scale_count(b, cell.is_value) * 32u;
    return group_of(b, cell) + scales + d / scale_elements(b, cell.is_value) * 32u +
           cell.position % 16u * 2u;
}

double test_cache_scale(const test_batch_t* b, test_cell_t cell, uint32_t d) {
    uint16_t bits;
    memcpy(&bits, scale_of(b, cell, d), 2);
    return test_f16_value(bits);
}

uint32_t test_cache_scale_elements(const test_batch_t* b, int is_value) {
    return is_integer(b) ? (uint32_t)scale_elements(b, is_value) : 0u;
}

double test_cache_get(const test_batch_t* b, test_cell_t cell, uint32_t d) {
    const uint8_t* element = element_of(b, cell, d);
    float value;
    uint16_t bits;
    if (is_nibbles(b, cell.is_value)) {
        return ((*element >> element_nibble(b, cell, d) % 2u * 4u & 15) - 8) *
               test_cache_scale(b, cell, d);
    }
    if (is_integer(b)) {
        return (int8_t)*element * test_cache_scale(b, cell, d);
    }
    if (b->batch.kv_type == LLMIR_KV_F32) {
        memcpy(&value, element, 4);
        return value;
    }
    memcpy(&bits, element, 2);
    return test_f16_value(bits);
}

static double largest_of(const float* x, size_t count) {
    double largest = 0.0;
    for (size_t i = 0; i < count; ++i) {
        const double magnitude = fabs((double)x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

/* Scales that leave some room, so that they are not the kernels'. */
static void put_scales(test_batch_t* b, test_cell_t cell, const float* x) {
    const size_t dim = b->layer.head_dim;
    const size_t shared = scale_elements(b, cell.is_value);
    const double steps = is_nibbles(b, cell.is_value) ? 7.25 : 126.5;
    for (size_t d = 0; d < dim; d += shared) {
        const size_t n = dim - d < shared ? dim - d : shared;
        const uint16_t bits = test_f16_nearest(largest_of(x + d, n) / steps);
        memcpy(scale_of(b, cell, (uint32_t)d), &bits, 2);
    }
}

void test_cache_put(test_batch_t* b, test_cell_t cell, const float* x) {
    if (is_integer(b)) {
        put_scales(b, cell, x);
    }
    for (uint32_t d = 0; d < b->layer.head_dim; ++d) {
        uint8_t* element = element_of(b, cell, d);
        const uint16_t half = test_f16_nearest(x[d]);
        const int q = is_integer(b) ? (int)nearbyint(x[d] / test_cache_scale(b, cell, d)) : 0;
        const int shift = (int)(element_nibble(b, cell, d) % 2u * 4u);
        if (is_nibbles(b, cell.is_value)) {
            *element = (uint8_t)((*element & ~(15 << shift)) | (q + 8) << shift);
        } else if (is_integer(b)) {
            *element = (uint8_t)(int8_t)q;
        } else if (b->batch.kv_type == LLMIR_KV_F32) {
            memcpy(element, &x[d], 4);
        } else {
            memcpy(element, &half, 2);
        }
    }
}

void test_cache_erase(test_batch_t* b, test_cell_t cell) {
    for (uint32_t d = 0; d < columns_of(b, cell.is_value); ++d) {
        memset(element_of(b, cell, d), 0xff, (element_nibbles(b, cell.is_value) + 1u) / 2u);
    }
    for (uint32_t d = 0; d < b->layer.head_dim && is_integer(b); ++d) {
        memset(scale_of(b, cell, d), 0xff, 2);
    }
}

void test_turn(const test_batch_t* b, double* x) {
    double turned[512];
    if (!is_integer(b)) {
        return;
    }
    for (uint32_t begin = 0, n = 512; begin < b->layer.head_dim; begin += n) {
        while (n > b->layer.head_dim - begin) {
            n /= 2u;
        }
        for (uint32_t i = 0; i < n; ++i) {
            turned[i] = 0.0;
            for (uint32_t j = 0; j < n; ++j) {
                int minus = 0;
                for (uint32_t bits = i & j; bits != 0; bits >>= 1) {
                    minus ^= (int)(bits & 1u);
                }
                turned[i] += minus ? -x[begin + j] : x[begin + j];
            }
        }
        for (uint32_t i = 0; i < n; ++i) {
            x[begin + i] = turned[i] / sqrt(n);
        }
    }
}

void test_query_put(const test_batch_t* b, const float* x, float* out) {
    const uint32_t dim = b->layer.head_dim;
    if (!is_integer(b)) {
        memcpy(out, x, dim * sizeof *x);
        return;
    }
    const float scale = (float)(largest_of(x, dim) / 32766.0);
    for (uint32_t d = 0; d < dim; ++d) {
        const int16_t q = (int16_t)nearbyint(x[d] / (double)scale);
        memcpy((uint8_t*)out + 2u * d, &q, 2);
    }
    memcpy((uint8_t*)out + 2u * dim, &scale, 4);
}

double test_query_get(const test_batch_t* b, const float* query, uint32_t d) {
    int16_t q;
    float scale;
    if (!is_integer(b)) {
        return query[d];
    }
    memcpy(&q, (const uint8_t*)query + 2u * d, 2);
    memcpy(&scale, (const uint8_t*)query + 2u * b->layer.head_dim, 4);
    return (double)q * scale;
}
