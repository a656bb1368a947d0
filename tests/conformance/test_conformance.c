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
#include "tests/conformance/case_compare.h"
#include "tests/conformance/case_plan.h"
#include "tests/conformance/damaged_code.h"
#include "tests/support/test.h"

/* ---- Running ---- */

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
                           const case_memory_t* memory,
                           uint8_t* out_activations) {
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
            memcpy(out_activations + offset, found, h->operands[i].bytes);
        }
    }
    assert_status(target->buffer_read(memory->kv, KV_OFFSET, found, (size_t)h->kv_bytes,
                                      &assert_status_error),
                  LLMIR_STATUS_OK);
    compare_cache(c, found);
    free(found);
}

static void run_with(const target_fixture_t* fixture,
                     const kernel_case_t* c,
                     one_plan_t* plan,
                     llmir_program_t* program,
                     uint8_t* out_activations) {
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
    compare_memory(fixture, c, plan, &memory, out_activations);
    target->buffer_destroy(memory.kv);
    target->buffer_destroy(memory.activations);
}

/* A copy of a code section without functions that work in parts; NULL, if there are none. */
static uint8_t* without_parts(const uint8_t* code, size_t bytes) {
    const llmir_code_record_t* record = (const void*)code;
    uint8_t* copy = aligned_alloc(64, (bytes + 63u) / 64u * 64u);
    int has_parts = 0;
    assert_non_null(copy);
    memcpy(copy, code, bytes);
    const llmir_gpu_image_t* image = (const void*)(copy + record->image_offset);
    llmir_gpu_function_t* functions = (void*)(copy + record->image_offset + image->function_offset);
    for (uint32_t i = 0; i < image->function_count; ++i) {
        has_parts |= functions[i].split != 0;
        functions[i].split = 0;
    }
    if (!has_parts) {
        free(copy);
        return NULL;
    }
    return copy;
}

/* Runs the code of a case; what it wrote goes to out_activations. */
static void run_code(const target_fixture_t* fixture,
                     const kernel_case_t* c,
                     uint32_t index,
                     const uint8_t* code,
                     uint8_t* out_activations) {
    static const uint8_t hash[LLMIR_BUNDLE_HASH_BYTES];
    llmir_program_t* program = NULL;
    one_plan_t plan;
    make_plan(c, &plan);
    const llmir_program_options_t options = {.plan = &plan.view,
                                             .code = code,
                                             .code_bytes = c->header->codes[index].bytes,
                                             .code_level = c->header->codes[index].level,
                                             .plan_hash = hash};
    assert_status(
        fixture->target->program_load(fixture->device, &options, &program, &assert_status_error),
        LLMIR_STATUS_OK);
    run_with(fixture, c, &plan, program, out_activations);
    fixture->target->program_unload(program);
}

static int has_matrices(const case_code_t* code) {
    return code->target == LLMIR_SECTION_TARGET_VULKAN &&
           code->level >= LLMIR_VULKAN_LEVEL_MATRIX(0);
}

/* Runs a code. What can work in parts gives the same bits without; `scratch` is for these. */
static void run_both(const target_fixture_t* fixture,
                     const kernel_case_t* c,
                     uint32_t index,
                     size_t bytes,
                     uint8_t* out_activations,
                     uint8_t* scratch) {
    uint8_t* whole = without_parts(c->codes[index], c->header->codes[index].bytes);
    run_code(fixture, c, index, c->codes[index], out_activations);
    if (whole != NULL) {
        run_code(fixture, c, index, whole, scratch);
        assert_memory_equal(out_activations, scratch, bytes);
    }
    free(whole);
}

/* Every level of the code that the device can run; returns how many have cooperative matrices,
 * which give the bits of the level before that has none. */
static unsigned run_case(const target_fixture_t* fixture, const kernel_case_t* c) {
    llmir_device_caps_t caps;
    one_plan_t plan;
    unsigned matrices = 0;
    make_plan(c, &plan);
    const size_t bytes = (size_t)plan.activation_bytes;
    uint8_t* found = calloc(3, bytes + 1u);
    assert_non_null(found);
    fixture->target->device_caps(fixture->device, &caps);
    for (uint32_t i = 0; i < c->header->code_count; ++i) {
        const case_code_t* code = &c->header->codes[i];
        if (runs_code(&caps, code) && has_matrices(code)) {
            run_both(fixture, c, i, bytes, found + bytes, found + 2u * bytes);
            assert_memory_equal(found, found + bytes, bytes);
            ++matrices;
        } else if (runs_code(&caps, code)) {
            run_both(fixture, c, i, bytes, found, found + 2u * bytes);
        }
    }
    free(found);
    return matrices;
}

static void test_conformance_kernels_compute_what_the_processor_computes(void** state) {
    const target_fixture_t* fixture = *state;
    unsigned count = 0;
    unsigned matrices = 0;
    kernel_case_t c;
    if (fixture->device == NULL) {
        skip();
    }
    while (read_case(fixture->folder, count, &c)) {
        matrices += run_case(fixture, &c);
        free(c.bytes);
        ++count;
    }
    print_message("%u cases, %u with cooperative matrices%s\n", count, matrices,
                  matrices == 0 ? ": the device has none in a shape that code is for" : "");
    /* All of them, or every so many (llmir-kernel-cases). */
    const char* every = getenv("LLMIR_CASES_EVERY");
    assert_true(count * (every != NULL ? (unsigned)atoi(every) : 1u) > 100);
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
    const llmir_kv_place_t no_place = {0, 0, 0};
    const llmir_batch_t batch = {.token_count = 1,
                                 .sequence_count = 1,
                                 .output_count = LOGIT_ROWS,
                                 .page_table_stride = 1,
                                 .tokens = zeros,
                                 .positions = zeros,
                                 .token_sequence = rows,
                                 .output_rows = rows,
                                 .page_table = rows,
                                 .kv_places = &no_place};
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
        if (runs_code(&caps, &c.header->codes[i])) {
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
        cmocka_unit_test_prestate(test_conformance_modules_are_unpacked, &fixture),
        cmocka_unit_test_prestate(test_conformance_modules_end_where_they_say, &fixture),
    };
    const int failed = cmocka_run_group_tests_name("conformance", tests, NULL, NULL);
    if (fixture.device != NULL) {
        fixture.target->device_destroy(fixture.device);
    }
    return failed;
}
