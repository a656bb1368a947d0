/* What a target made of a case, against what the processor made of it. */
#include "tests/conformance/case_compare.h"

#include <math.h>
#include <string.h>

#include "quant/activation.h"
#include "quant/half.h"
#include "quant/kv_layout.h"

/* Largest differences of floats: |found - expected| <= share * |expected| + of_largest * the
 * largest |expected| of the buffer. Integer parts are exact; sums of products are made in another
 * order. */
static const struct {
    uint32_t kernel;
    double share, of_largest;
} bounds[] = {
    {LLMIR_KERNEL_EMBED, 2e-7, 2e-7},     {LLMIR_KERNEL_ROPE_TABLE, 0, 1e-6},
    {LLMIR_KERNEL_NORM, 2e-6, 1e-7},      {LLMIR_KERNEL_QUANTIZE, 0, 0},
    {LLMIR_KERNEL_LINEAR, 1e-5, 2e-6},    {LLMIR_KERNEL_QKV, 2e-6, 1e-6},
    {LLMIR_KERNEL_ATTENTION, 1e-5, 5e-6}, {LLMIR_KERNEL_GATE, 2e-6, 1e-7},
};

/* ---- Floats ---- */

static double share_of(const kernel_case_t* c, int of_largest) {
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; ++i) {
        if (bounds[i].kernel == c->header->kernel) {
            return of_largest ? bounds[i].of_largest : bounds[i].share;
        }
    }
    fail();
    return 0.0;
}

static void assert_floats(const kernel_case_t* c,
                          const float* found,
                          const float* expected,
                          size_t count) {
    double largest = 0.0;
    for (size_t i = 0; i < count; ++i) {
        largest = fabs((double)expected[i]) > largest ? fabs((double)expected[i]) : largest;
    }
    const double floor = share_of(c, 1) * largest;
    for (size_t i = 0; i < count; ++i) {
        const double difference = fabs((double)found[i] - (double)expected[i]);
        if (!(difference <= share_of(c, 0) * fabs((double)expected[i]) + floor)) {
            fail_msg("%s: element %zu is %.9g, expected %.9g", c->header->name, i, (double)found[i],
                     (double)expected[i]);
        }
    }
}

static void assert_halves(const kernel_case_t* c,
                          const uint8_t* found,
                          const uint8_t* expected,
                          size_t bytes) {
    for (size_t i = 0; i + 2u <= bytes; i += 2) {
        uint16_t f, e;
        memcpy(&f, found + i, 2);
        memcpy(&e, expected + i, 2);
        const double difference = fabs((double)llmir_f16_to_f32(f) - (double)llmir_f16_to_f32(e));
        if (!(difference <= 0x1p-10 * fabs((double)llmir_f16_to_f32(e)) + 0x1p-20)) {
            fail_msg("%s: half %zu of the cache is %#x, expected %#x", c->header->name, i / 2u, f,
                     e);
        }
    }
}

/* ---- Integers of the cache, and the queries that go with them ---- */

/* Integers that fall to the other side of a tie are one step away. */
static void assert_step(const kernel_case_t* c, size_t place, int32_t found, int32_t expected) {
    if (found > expected + 1 || found < expected - 1) {
        fail_msg("%s: integer %zu is %d, expected %d", c->header->name, place, found, expected);
    }
}

static void assert_bytes(const kernel_case_t* c,
                         const uint8_t* found,
                         const uint8_t* expected,
                         size_t count) {
    for (size_t i = 0; i < count; ++i) {
        assert_step(c, i, (int8_t)found[i], (int8_t)expected[i]);
    }
}

static void assert_nibbles(const kernel_case_t* c,
                           const uint8_t* found,
                           const uint8_t* expected,
                           size_t count) {
    for (size_t i = 0; i < count; ++i) {
        assert_step(c, 2u * i, found[i] & 15, expected[i] & 15);
        assert_step(c, 2u * i + 1u, found[i] >> 4, expected[i] >> 4);
    }
}

/* Sixteen positions of a head: integers, and their scales behind them. */
static void assert_kv_group(const kernel_case_t* c,
                            const uint8_t* found,
                            const uint8_t* expected,
                            int is_value) {
    const uint32_t storage = c->header->kv_type;
    const uint32_t dim = c->header->head_dim;
    const uint32_t integers =
        is_value ? llmir_kv_value_scales(storage, dim) : llmir_kv_key_scales(storage, dim);
    const uint32_t bytes = is_value ? llmir_kv_value_group_bytes(storage, dim)
                                    : llmir_kv_key_group_bytes(storage, dim);
    if (is_value && storage == LLMIR_KV_STORAGE_Q4) {
        assert_nibbles(c, found, expected, integers);
    } else {
        assert_bytes(c, found, expected, integers);
    }
    assert_halves(c, found + integers, expected + integers, bytes - integers);
}

static void assert_integer_cache(const kernel_case_t* c, const uint8_t* found) {
    const case_header_t* h = c->header;
    const llmir_plan_kv_layer_t layer = {h->kv_heads, h->head_dim, h->window, 0, 0};
    const size_t groups = (size_t)h->kv_heads * (h->page_tokens / LLMIR_KV_GROUP);
    const size_t values = (size_t)llmir_kv_values_offset(&layer, h->kv_type, h->page_tokens);
    for (size_t page = 0; page < (size_t)h->kv_bytes; page += (size_t)h->page_bytes) {
        for (size_t g = 0; g < groups; ++g) {
            const size_t key = page + g * llmir_kv_key_group_bytes(h->kv_type, h->head_dim);
            const size_t value =
                page + values + g * llmir_kv_value_group_bytes(h->kv_type, h->head_dim);
            assert_kv_group(c, found + key, c->expected_kv + key, 0);
            assert_kv_group(c, found + value, c->expected_kv + value, 1);
        }
    }
}

/* A row of the projections: each query is int16 [head_dim] and its scale, all else is as it was. */
static void assert_integer_queries(const kernel_case_t* c,
                                   const uint8_t* found,
                                   const uint8_t* expected,
                                   uint32_t row_bytes) {
    const llmir_qkv_params_t* p = (const void*)c->params;
    size_t at = 0;
    for (uint32_t head = 0; head < p->q_heads; ++head, at = head * p->head_dim * 4u) {
        float scale, wanted;
        for (uint32_t i = 0; i < p->head_dim; ++i) {
            int16_t f, e;
            memcpy(&f, found + at + i * 2u, 2);
            memcpy(&e, expected + at + i * 2u, 2);
            assert_step(c, i, f, e);
        }
        at += p->head_dim * 2u;
        memcpy(&scale, found + at, 4);
        memcpy(&wanted, expected + at, 4);
        assert_true(fabsf(scale - wanted) <= 2e-6f * fabsf(wanted));
        at += 4;
        assert_memory_equal(found + at, expected + at, p->head_dim * 2u - 4u);
    }
    assert_memory_equal(found + at, expected + at, row_bytes - at);
}

typedef struct q8_shape {
    uint32_t columns, group, wide;
} q8_shape_t;

/* Whether a buffer holds quantized rows. */
static int q8_shape_of(const kernel_case_t* c, uint32_t operand, q8_shape_t* out) {
    const llmir_norm_params_t* norm = (const void*)c->params;
    const llmir_quantize_params_t* quantize = (const void*)c->params;
    if (c->header->kernel == LLMIR_KERNEL_NORM && operand == 4 &&
        norm->out_format == LLMIR_ROW_Q8) {
        *out = (q8_shape_t){norm->dim, norm->group, (norm->flags & LLMIR_NORM_WIDE) != 0};
        return 1;
    }
    if (c->header->kernel == LLMIR_KERNEL_QUANTIZE && operand == 1) {
        *out = (q8_shape_t){quantize->dim, quantize->group, quantize->wide};
        return 1;
    }
    return 0;
}

/* A value that falls to the other side of a tie is one step away; sums agree with the values. */
static void assert_q8_row(const kernel_case_t* c,
                          const q8_shape_t* shape,
                          const uint8_t* found,
                          const uint8_t* expected) {
    const uint32_t columns = shape->wide ? 2u * shape->columns : shape->columns;
    const int32_t steps = shape->wide ? 2 : 1;
    for (uint32_t g = 0; g < shape->columns / shape->group; ++g) {
        int32_t sum = 0;
        int32_t stored;
        float scale, wanted;
        for (uint32_t i = g * shape->group; i < (g + 1u) * shape->group; ++i) {
            int32_t f = (int8_t)found[i];
            int32_t e = (int8_t)expected[i];
            if (shape->wide) {
                f = f * 256 + (int8_t)found[shape->columns + i];
                e = e * 256 + (int8_t)expected[shape->columns + i];
            }
            if (f > e + steps || f < e - steps) {
                fail_msg("%s: value %u is %d, expected %d", c->header->name, i, f, e);
            }
            sum += f;
        }
        memcpy(&scale, found + llmir_q8_scale_offset(columns) + g * 4u, 4);
        memcpy(&wanted, expected + llmir_q8_scale_offset(columns) + g * 4u, 4);
        memcpy(&stored, found + llmir_q8_sum_offset(columns, shape->group) + g * 4u, 4);
        assert_true(fabsf(scale - wanted) <= 2e-6f * fabsf(wanted));
        assert_int_equal(stored, sum);
    }
}

void compare_buffer(const kernel_case_t* c, uint32_t operand, const uint8_t* found) {
    const case_operand_t* description = &c->header->operands[operand];
    const uint8_t* expected = c->expected[operand];
    q8_shape_t shape;
    if (memcmp(found, expected, description->bytes) == 0) {
        return;
    }
    if (c->header->kernel == LLMIR_KERNEL_QKV && llmir_kv_is_integer(c->header->kv_type)) {
        for (size_t at = 0; at < description->bytes; at += description->row_bytes) {
            assert_integer_queries(c, found + at, expected + at, description->row_bytes);
        }
        return;
    }
    if (q8_shape_of(c, operand, &shape)) {
        const llmir_norm_params_t* norm = (const void*)c->params;
        const int gathers = c->header->kernel == LLMIR_KERNEL_NORM && norm->gather;
        const uint32_t rows = gathers ? c->header->output_count : c->header->token_count;
        for (uint32_t row = 0; row < rows; ++row) {
            const size_t at = (size_t)row * description->row_bytes;
            assert_q8_row(c, &shape, found + at, expected + at);
        }
        return;
    }
    assert_floats(c, (const float*)(const void*)found, (const float*)(const void*)expected,
                  description->bytes / 4u);
}

void compare_cache(const kernel_case_t* c, const uint8_t* found) {
    const case_header_t* h = c->header;
    if (h->kv_type == LLMIR_KV_STORAGE_F32) {
        assert_floats(c, (const float*)(const void*)found,
                      (const float*)(const void*)c->expected_kv, (size_t)h->kv_bytes / 4u);
    } else if (h->kv_heads != 0 && llmir_kv_is_integer(h->kv_type)) {
        assert_integer_cache(c, found);
    } else {
        assert_halves(c, found, c->expected_kv, (size_t)h->kv_bytes);
    }
}
