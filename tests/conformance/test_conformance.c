/* Every kernel on a target, through target.h, against what the processor's kernel made of the same
 * inputs (case_file.h).
 *
 *   test_conformance TARGET FOLDER     a target without a device is skipped */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/size.h"
#include "core/target_registry.h"
#include "platform/platform.h"
#include "quant/activation.h"
#include "quant/half.h"
#include "quant/kv_layout.h"
#include "tests/conformance/kernel_case.h"
#include "tests/support/test.h"

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

/* ---- A plan of one dispatch ---- */

typedef struct one_plan {
    llmir_plan_record_t record;
    llmir_plan_variant_t variant;
    llmir_plan_dispatch_t dispatch;
    llmir_plan_buffer_t buffers[LLMIR_PLAN_MAX_OPERANDS];
    llmir_plan_slot_t slots[LLMIR_PLAN_MAX_OPERANDS];
    llmir_plan_kv_layer_t layer;
    llmir_tensor_record_t records[LLMIR_PLAN_MAX_OPERANDS];
    llmir_tensor_view_t tensors[LLMIR_PLAN_MAX_OPERANDS];
    llmir_plan_view_t view;
    uint64_t slot_offsets[LLMIR_PLAN_MAX_OPERANDS];
    uint64_t activation_bytes;
} one_plan_t;

static void add_operand(const kernel_case_t* c, uint32_t index, one_plan_t* plan) {
    const case_operand_t* operand = &c->header->operands[index];
    llmir_plan_operand_t* place = &plan->dispatch.operands[index];
    place->space = operand->space;
    if (operand->space == LLMIR_OPERAND_BUFFER) {
        const uint32_t slot = place->index = plan->record.buffer_count++;
        plan->record.slot_count = plan->record.buffer_count;
        plan->buffers[slot].slot = slot;
        plan->buffers[slot].row_bytes = operand->row_bytes;
        plan->slot_offsets[slot] = plan->activation_bytes;
        plan->activation_bytes += (operand->bytes + 63u) / 64u * 64u;
    } else if (operand->space == LLMIR_OPERAND_TENSOR) {
        const uint32_t tensor = place->index = plan->record.tensor_count++;
        llmir_tensor_record_t* record = &plan->records[tensor];
        record->data_bytes = operand->bytes;
        record->shape[0] = operand->rows;
        record->shape[1] = operand->columns;
        record->rank = 2;
        record->layout = operand->layout;
        record->group = operand->group;
        plan->tensors[tensor] = (llmir_tensor_view_t){record, c->operands[index]};
    }
}

static void make_plan(const kernel_case_t* c, one_plan_t* plan) {
    const case_header_t* h = c->header;
    memset(plan, 0, sizeof *plan);
    plan->record.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION;
    plan->record.variant_count = 1;
    plan->record.dispatch_count = 1;
    plan->record.page_tokens = h->page_tokens;
    plan->record.kv_layer_count = h->kv_heads != 0;
    plan->variant.kernel = h->kernel;
    plan->variant.params.bytes = h->params_bytes;
    plan->layer = (llmir_plan_kv_layer_t){h->kv_heads, h->head_dim, h->window, 0, 0};
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        add_operand(c, i, plan);
    }
    plan->view = (llmir_plan_view_t){&plan->record, c->params,   &plan->variant, &plan->dispatch,
                                     plan->buffers, plan->slots, &plan->layer,   plan->tensors};
}

/* ---- Comparing ---- */

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

static void compare_buffer(const kernel_case_t* c, uint32_t operand, const uint8_t* found) {
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

/* ---- Running ---- */

typedef struct target_fixture {
    const llmir_target_t* target;
    llmir_device_t* device;
    const char* folder;
} target_fixture_t;

/* Where its keys and values begin. */
#define KV_OFFSET 320u

/* The device's memory of a case. */
typedef struct case_memory {
    llmir_buffer_t* activations;
    llmir_buffer_t* kv;
} case_memory_t;

static void fill_memory(const target_fixture_t* fixture,
                        const kernel_case_t* c,
                        const one_plan_t* plan,
                        case_memory_t* out) {
    const llmir_target_t* target = fixture->target;
    const case_header_t* h = c->header;
    const llmir_batch_arrays_t arrays =
        llmir_batch_arrays(h->token_count, h->output_count, h->sequence_count, h->table_stride, 0);
    assert_status(
        target->buffer_create(fixture->device, (size_t)(plan->activation_bytes + arrays.bytes),
                              &out->activations, &assert_status_error),
        LLMIR_STATUS_OK);
    assert_status(target->buffer_create(fixture->device, KV_OFFSET + (size_t)h->kv_bytes, &out->kv,
                                        &assert_status_error),
                  LLMIR_STATUS_OK);
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        if (h->operands[i].space == LLMIR_OPERAND_BUFFER) {
            const uint64_t offset = plan->slot_offsets[plan->dispatch.operands[i].index];
            assert_status(target->buffer_write(out->activations, (size_t)offset, c->operands[i],
                                               h->operands[i].bytes, &assert_status_error),
                          LLMIR_STATUS_OK);
        }
    }
    assert_status(
        target->buffer_write(out->kv, KV_OFFSET, c->kv, (size_t)h->kv_bytes, &assert_status_error),
        LLMIR_STATUS_OK);
}

static void compare_memory(const target_fixture_t* fixture,
                           const kernel_case_t* c,
                           const one_plan_t* plan,
                           const case_memory_t* memory) {
    const llmir_target_t* target = fixture->target;
    const case_header_t* h = c->header;
    uint8_t* found = malloc((size_t)(plan->activation_bytes + h->kv_bytes));
    assert_non_null(found);
    for (uint32_t i = 0; i < LLMIR_PLAN_MAX_OPERANDS; ++i) {
        if (h->operands[i].space == LLMIR_OPERAND_BUFFER) {
            const uint64_t offset = plan->slot_offsets[plan->dispatch.operands[i].index];
            assert_status(target->buffer_read(memory->activations, (size_t)offset, found,
                                              h->operands[i].bytes, &assert_status_error),
                          LLMIR_STATUS_OK);
            compare_buffer(c, i, found);
        }
    }
    assert_status(target->buffer_read(memory->kv, KV_OFFSET, found, (size_t)h->kv_bytes,
                                      &assert_status_error),
                  LLMIR_STATUS_OK);
    if (h->kv_type == LLMIR_KV_STORAGE_F32) {
        assert_floats(c, (const float*)(const void*)found,
                      (const float*)(const void*)c->expected_kv, (size_t)h->kv_bytes / 4u);
    } else if (h->kv_heads != 0 && llmir_kv_is_integer(h->kv_type)) {
        assert_integer_cache(c, found);
    } else {
        assert_halves(c, found, c->expected_kv, (size_t)h->kv_bytes);
    }
    free(found);
}

static void run_with(const target_fixture_t* fixture,
                     const kernel_case_t* c,
                     one_plan_t* plan,
                     llmir_program_t* program) {
    const llmir_target_t* target = fixture->target;
    const case_header_t* h = c->header;
    case_memory_t memory = {NULL, NULL};
    uint64_t fence = 0;
    /* Not where bindings may begin. */
    const llmir_kv_place_t place = {KV_OFFSET, h->page_bytes, h->kv_bytes};
    const llmir_batch_t batch = {
        .token_count = h->token_count,
        .sequence_count = h->sequence_count,
        .output_count = h->output_count,
        .kv_type = h->kv_type,
        .page_table_stride = h->table_stride,
        .tokens = c->tokens,
        .positions = c->positions,
        .token_sequence = c->sequences,
        .output_rows = c->output_rows,
        .page_table = c->page_table,
        .kv_places = &place,
    };
    fill_memory(fixture, c, plan, &memory);
    const llmir_submission_t submission = {.program = program,
                                           .batch = &batch,
                                           .activations = memory.activations,
                                           .slot_offsets = plan->slot_offsets,
                                           .batch_offset = plan->activation_bytes,
                                           .kv = memory.kv};
    assert_status(target->submit(fixture->device, &submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(target->wait(fixture->device, fence, UINT64_MAX, &assert_status_error),
                  LLMIR_STATUS_OK);
    compare_memory(fixture, c, plan, &memory);
    target->buffer_destroy(memory.kv);
    target->buffer_destroy(memory.activations);
}

/* Every level of the code that the device can run. */
static void run_case(const target_fixture_t* fixture, const kernel_case_t* c) {
    static const uint8_t hash[LLMIR_BUNDLE_HASH_BYTES];
    llmir_device_caps_t caps;
    one_plan_t plan;
    make_plan(c, &plan);
    fixture->target->device_caps(fixture->device, &caps);
    for (uint32_t i = 0; i < c->header->code_count; ++i) {
        llmir_program_t* program = NULL;
        const llmir_program_options_t options = {.plan = &plan.view,
                                                 .code = c->codes[i],
                                                 .code_bytes = c->header->codes[i].bytes,
                                                 .code_level = c->header->codes[i].level,
                                                 .plan_hash = hash};
        if (c->header->codes[i].target != caps.section_target || options.code_level > caps.level) {
            continue;
        }
        assert_status(fixture->target->program_load(fixture->device, &options, &program,
                                                    &assert_status_error),
                      LLMIR_STATUS_OK);
        run_with(fixture, c, &plan, program);
        fixture->target->program_unload(program);
    }
}

static void test_conformance_kernels_compute_what_the_processor_computes(void** state) {
    const target_fixture_t* fixture = *state;
    unsigned count = 0;
    kernel_case_t c;
    if (fixture->device == NULL) {
        skip();
    }
    while (read_case(fixture->folder, count, &c)) {
        run_case(fixture, &c);
        free(c.bytes);
        ++count;
    }
    print_message("%u cases\n", count);
    assert_true(count > 100);
}

/* ---- The largest logits ---- */

#define LOGIT_ROWS 5u
#define LOGITS 1003u /* more than a workgroup has threads, and no multiple of them */

/* Rows whose largest logits are hard to find; returns where they are. */
static void fill_logits(float logits[LOGIT_ROWS][LOGITS], uint32_t out_places[LOGIT_ROWS]) {
    for (uint32_t i = 0; i < LOGITS; ++i) {
        logits[0][i] = (float)(i * 7919u % 101u); /* 100 stands at several places */
        logits[1][i] = NAN;
        logits[2][i] = i % 3u == 0 ? NAN : -INFINITY;
        logits[3][i] = i == 300 || i == 900 ? INFINITY : (float)i;
        logits[4][i] = -1.0f - (float)(LOGITS - i);
    }
    logits[2][700] = -3e38f;
    logits[3][500] = 0x1.fffffep+127f; /* as large as infinity, but later */
    out_places[0] = 0;
    while (logits[0][out_places[0]] != 100.0f) {
        ++out_places[0];
    }
    out_places[1] = 0;
    out_places[2] = 700;
    out_places[3] = 300;
    out_places[4] = LOGITS - 1u;
}

static void find_largest(const target_fixture_t* fixture,
                         const kernel_case_t* c,
                         uint32_t code,
                         const float* logits,
                         uint32_t* out_found) {
    static const uint8_t hash[LLMIR_BUNDLE_HASH_BYTES];
    static const int32_t zeros[LOGIT_ROWS];
    static const uint32_t rows[LOGIT_ROWS];
    const llmir_target_t* target = fixture->target;
    const llmir_batch_arrays_t arrays = llmir_batch_arrays(1, LOGIT_ROWS, 1, 1, 0);
    const uint64_t offset = (LOGIT_ROWS * LOGITS * 4u + 63u) / 64u * 64u;
    llmir_buffer_t* memory = NULL;
    llmir_program_t* program = NULL;
    uint64_t fence = 0;
    one_plan_t plan;
    make_plan(c, &plan);
    plan.record.dispatch_count = plan.record.tensor_count = plan.record.kv_layer_count = 0;
    plan.record.slot_count = 1;
    plan.buffers[0] = (llmir_plan_buffer_t){.columns = LOGITS, .row_bytes = LOGITS * 4u};
    plan.slot_offsets[0] = 0;
    const llmir_program_options_t options = {.plan = &plan.view,
                                             .code = c->codes[code],
                                             .code_bytes = c->header->codes[code].bytes,
                                             .code_level = c->header->codes[code].level,
                                             .plan_hash = hash};
    const llmir_batch_t batch = {.token_count = 1,
                                 .sequence_count = 1,
                                 .output_count = LOGIT_ROWS,
                                 .page_table_stride = 1,
                                 .tokens = zeros,
                                 .positions = zeros,
                                 .token_sequence = rows,
                                 .output_rows = rows,
                                 .page_table = rows};
    assert_status(target->program_load(fixture->device, &options, &program, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(target->buffer_create(fixture->device, (size_t)(offset + arrays.bytes), &memory,
                                        &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(target->buffer_write(memory, 0, logits, LOGIT_ROWS * LOGITS * sizeof *logits,
                                       &assert_status_error),
                  LLMIR_STATUS_OK);
    const llmir_submission_t submission = {.program = program,
                                           .batch = &batch,
                                           .activations = memory,
                                           .slot_offsets = plan.slot_offsets,
                                           .batch_offset = offset,
                                           .kv = memory,
                                           .largest = out_found};
    assert_status(target->submit(fixture->device, &submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(target->wait(fixture->device, fence, UINT64_MAX, &assert_status_error),
                  LLMIR_STATUS_OK);
    target->buffer_destroy(memory);
    target->program_unload(program);
}

/* A plan without a dispatch: what is found is what was written. */
static void test_conformance_largest_logits_are_the_first_ones(void** state) {
    static float logits[LOGIT_ROWS][LOGITS];
    const target_fixture_t* fixture = *state;
    uint32_t places[LOGIT_ROWS];
    uint32_t found[LOGIT_ROWS] = {0};
    llmir_device_caps_t caps;
    kernel_case_t c;
    if (fixture->device == NULL) {
        skip();
    }
    fill_logits(logits, places);
    assert_true(read_case(fixture->folder, 0, &c));
    fixture->target->device_caps(fixture->device, &caps);
    for (uint32_t i = 0; i < c.header->code_count; ++i) {
        if (c.header->codes[i].target == caps.section_target &&
            c.header->codes[i].level <= caps.level) {
            memset(found, 0xff, sizeof found);
            find_largest(fixture, &c, i, &logits[0][0], found);
            assert_memory_equal(found, places, sizeof found);
        }
    }
    free(c.bytes);
}

int main(int argc, char** argv) {
    target_fixture_t fixture = {0};
    const llmir_device_options_t options = {.thread_count = 1};
    llmir_error_t error = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: test_conformance TARGET FOLDER\n");
        return 2;
    }
    fixture.folder = argv[2];
    for (uint32_t i = 0; i < llmir_target_registry_count; ++i) {
        if (strcmp(llmir_target_registry[i]->name, argv[1]) == 0) {
            fixture.target = llmir_target_registry[i];
        }
    }
    if (fixture.target != NULL &&
        fixture.target->device_create(&options, &fixture.device, &error) != LLMIR_STATUS_OK) {
        print_message("no device: %s\n", error.message);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_conformance_kernels_compute_what_the_processor_computes,
                                  &fixture),
        cmocka_unit_test_prestate(test_conformance_largest_logits_are_the_first_ones, &fixture),
    };
    const int failed = cmocka_run_group_tests_name("conformance", tests, NULL, NULL);
    if (fixture.device != NULL) {
        fixture.target->device_destroy(fixture.device);
    }
    return failed;
}
