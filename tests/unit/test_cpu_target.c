/* targets/cpu through targets/target.h: devices, buffers, programs, submissions. The kernels here
 * are small ones of this file in place of the real tables: the test is about what they are given.
 *
 *   dispatch  kernel     operands                       computes
 *   0         EMBED      tensor 0, buffer 0             b0[t] = tensor[0] + token[t]
 *   1         GATE       buffer 0, buffer 1             b1[t] = b0[t] + 1
 *   2         QKV        buffer 1, -, -, -, KV layer 1  kv[position] = b1[t] * 10, in layer 1
 *   3         QUANTIZE   buffer 1, buffer 2             b2[r] = b1[output_rows[r]] * 2 */
#include <stdlib.h>
#include <string.h>

#include "targets/cpu/cpu_device.h"
#include "targets/cpu/cpu_level.h"
#include "targets/cpu/cpu_target.h"
#include "targets/cpu/kernels/fingerprint.h"
#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/tiny_elf.h"

#define MAX_TOKENS 64u
#define ROW_BYTES 64u
#define SLOTS 3u
#define ACTIVATION_BYTES (SLOTS * MAX_TOKENS * ROW_BYTES)
#define KV_BYTES 4096u
/* Layers of 16 positions of 8 f16; the second is not where the first one ends. */
static const llmir_kv_place_t kv_places[2] = {{0, 512, 512}, {1088, 512, 512}};

/* ---- Kernels ---- */

static float* row_of(const llmir_cpu_call_t* call, uint32_t operand, uint32_t row) {
    return (float*)(void*)((uint8_t*)call->operands[operand] +
                           (size_t)row * call->row_bytes[operand]);
}

#define FAKE_ARGUMENTS const llmir_cpu_call_t *call, const void *params, uint32_t b, uint32_t e

static void LLMIR_KERNEL_CALL run_embed(FAKE_ARGUMENTS) {
    const llmir_embed_params_t* p = params;
    const float* tensor = call->operands[0];
    for (uint32_t t = b; t < e; ++t) {
        *row_of(call, 1, t) = p->scale * (tensor[0] + (float)call->batch->tokens[t]);
    }
}

static void LLMIR_KERNEL_CALL run_gate(FAKE_ARGUMENTS) {
    (void)params;
    for (uint32_t t = b; t < e; ++t) {
        *row_of(call, 1, t) = *row_of(call, 0, t) + 1.0f;
    }
}

static void LLMIR_KERNEL_CALL run_qkv(FAKE_ARGUMENTS) {
    (void)params;
    const llmir_cpu_kv_layer_t* layer = call->operands[4];
    float* kv = (float*)(void*)layer->pages;
    for (uint32_t t = b; t < e; ++t) {
        kv[call->batch->positions[t]] = *row_of(call, 0, t) * 10.0f;
    }
}

static void LLMIR_KERNEL_CALL run_quantize(FAKE_ARGUMENTS) {
    (void)params;
    for (uint32_t r = b; r < e; ++r) {
        *row_of(call, 1, r) = *row_of(call, 0, call->batch->output_rows[r]) * 2.0f;
    }
}

#define FAKE_TABLE(name, number)                                                            \
    static const llmir_cpu_kernel_table_t name = {.level = (number),                        \
                                                  .run = {[LLMIR_KERNEL_EMBED] = run_embed, \
                                                          [LLMIR_KERNEL_GATE] = run_gate,   \
                                                          [LLMIR_KERNEL_QKV] = run_qkv,     \
                                                          [LLMIR_KERNEL_QUANTIZE] = run_quantize}}
FAKE_TABLE(portable_table, LLMIR_CPU_LEVEL_NONE);
FAKE_TABLE(unknown_table, 0xF00); /* of no processor */

const llmir_cpu_kernel_table_t* const llmir_cpu_kernel_tables[] = {&portable_table, &unknown_table};
const uint32_t llmir_cpu_kernel_table_count = 2;

uint32_t llmir_cpu_kernel_tile_count(uint32_t kernel,
                                     const void* params,
                                     const llmir_cpu_batch_t* batch) {
    (void)params;
    return kernel == LLMIR_KERNEL_QUANTIZE ? batch->output_count : batch->token_count;
}

/* ---- The plan and a batch ---- */

typedef struct fixture {
    test_allocator_t counter;
    llmir_device_t* device;
    llmir_program_t* program;
    llmir_buffer_t* activations;
    llmir_buffer_t* kv;
    float weights[16];
    llmir_embed_params_t embed_params;
    llmir_plan_record_t record;
    llmir_plan_variant_t variants[4];
    llmir_plan_dispatch_t dispatches[4];
    llmir_plan_buffer_t buffers[3];
    llmir_plan_slot_t slots[SLOTS];
    llmir_plan_kv_layer_t kv_layers[2];
    llmir_tensor_view_t tensors[1];
    llmir_plan_view_t plan;
    uint8_t plan_hash[LLMIR_BUNDLE_HASH_BYTES];
    int32_t tokens[MAX_TOKENS];
    int32_t positions[MAX_TOKENS];
    uint32_t output_rows[MAX_TOKENS];
    uint64_t slot_offsets[SLOTS];
    llmir_atomic_u32_t cancel;
    llmir_batch_t batch;
    llmir_submission_t submission;
} fixture_t;

static void fill_plan(fixture_t* f) {
    static const uint32_t kernels[] = {LLMIR_KERNEL_EMBED, LLMIR_KERNEL_GATE, LLMIR_KERNEL_QKV,
                                       LLMIR_KERNEL_QUANTIZE};
    static const llmir_plan_operand_t operands[4][LLMIR_PLAN_MAX_OPERANDS] = {
        {{LLMIR_OPERAND_TENSOR, 0}, {LLMIR_OPERAND_BUFFER, 0}},
        {{LLMIR_OPERAND_BUFFER, 0}, {LLMIR_OPERAND_BUFFER, 1}},
        {{LLMIR_OPERAND_BUFFER, 1}, {0, 0}, {0, 0}, {0, 0}, {LLMIR_OPERAND_KV, 1}},
        {{LLMIR_OPERAND_BUFFER, 1}, {LLMIR_OPERAND_BUFFER, 2}},
    };
    for (uint32_t i = 0; i < 4; ++i) {
        f->variants[i].kernel = kernels[i];
        f->dispatches[i].variant = i;
        memcpy(f->dispatches[i].operands, operands[i], sizeof operands[i]);
    }
    for (uint32_t i = 0; i < 3; ++i) {
        f->buffers[i] = (llmir_plan_buffer_t){.slot = 2 - i, .columns = 1, .row_bytes = ROW_BYTES};
        f->slots[i] =
            (llmir_plan_slot_t){.token_row_bytes = ROW_BYTES, .output_row_bytes = ROW_BYTES};
    }
    f->kv_layers[0] = f->kv_layers[1] = (llmir_plan_kv_layer_t){.kv_heads = 1, .head_dim = 8};
    f->weights[0] = 100.0f;
    f->embed_params.scale = 1.0f;
    f->tensors[0].data = (const uint8_t*)f->weights;
    f->record = (llmir_plan_record_t){.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION,
                                      .variant_count = 4,
                                      .dispatch_count = 4,
                                      .buffer_count = 3,
                                      .slot_count = SLOTS,
                                      .kv_layer_count = 2,
                                      .page_tokens = 16,
                                      .tensor_count = 1};
    f->plan = (llmir_plan_view_t){.record = &f->record,
                                  .section = (const uint8_t*)&f->embed_params,
                                  .variants = f->variants,
                                  .dispatches = f->dispatches,
                                  .buffers = f->buffers,
                                  .slots = f->slots,
                                  .kv_layers = f->kv_layers,
                                  .tensors = f->tensors};
}

static void fill_batch(fixture_t* f, uint32_t token_count, uint32_t output_count) {
    for (uint32_t i = 0; i < token_count; ++i) {
        f->tokens[i] = (int32_t)(7 * i);
        f->positions[i] = (int32_t)i;
    }
    for (uint32_t i = 0; i < output_count; ++i) {
        f->output_rows[i] = token_count - output_count + i;
    }
    f->batch = (llmir_batch_t){.token_count = token_count,
                               .sequence_count = 1,
                               .output_count = output_count,
                               .tokens = f->tokens,
                               .positions = f->positions,
                               .output_rows = f->output_rows,
                               .kv_places = kv_places};
    for (uint32_t i = 0; i < SLOTS; ++i) {
        f->slot_offsets[i] = (uint64_t)i * MAX_TOKENS * ROW_BYTES;
    }
    f->submission = (llmir_submission_t){.program = f->program,
                                         .batch = &f->batch,
                                         .activations = f->activations,
                                         .slot_offsets = f->slot_offsets,
                                         .kv = f->kv,
                                         .cancel = &f->cancel};
}

static llmir_program_options_t program_options(const fixture_t* f) {
    return (llmir_program_options_t){.plan = &f->plan, .plan_hash = f->plan_hash};
}

static llmir_status_t open_fixture(fixture_t* f,
                                   const llmir_allocator_t* allocator,
                                   uint32_t thread_count,
                                   llmir_error_t* error) {
    const llmir_target_t* target = &llmir_target_cpu;
    const llmir_device_options_t options = {.allocator = *allocator, .thread_count = thread_count};
    const llmir_program_options_t program = program_options(f);
    LLMIR_TRY(target->device_create(&options, &f->device, error));
    LLMIR_TRY(target->buffer_create(f->device, ACTIVATION_BYTES, &f->activations, error));
    LLMIR_TRY(target->buffer_create(f->device, KV_BYTES, &f->kv, error));
    return target->program_load(f->device, &program, &f->program, error);
}

static void close_fixture(fixture_t* f) {
    llmir_target_cpu.program_unload(f->program);
    llmir_target_cpu.buffer_destroy(f->kv);
    llmir_target_cpu.buffer_destroy(f->activations);
    llmir_target_cpu.device_destroy(f->device);
    f->program = NULL;
    f->kv = f->activations = NULL;
    f->device = NULL;
}

static int setup_threads(void** state, uint32_t thread_count) {
    fixture_t* f = calloc(1, sizeof *f);
    fill_plan(f);
    const llmir_allocator_t allocator = test_allocator(&f->counter);
    *state = f;
    return open_fixture(f, &allocator, thread_count, NULL) == LLMIR_STATUS_OK ? 0 : -1;
}

static int setup(void** state) {
    return setup_threads(state, 2);
}

static int teardown(void** state) {
    fixture_t* f = *state;
    close_fixture(f);
    test_allocator_check(&f->counter);
    free(f);
    return 0;
}

static float value_at(llmir_buffer_t* buffer, size_t offset) {
    float value = 0.0f;
    assert_status(
        llmir_target_cpu.buffer_read(buffer, offset, &value, sizeof value, &assert_status_error),
        LLMIR_STATUS_OK);
    return value;
}

static void assert_results(const fixture_t* f) {
    for (uint32_t t = 0; t < f->batch.token_count; ++t) {
        const float x = 101.0f + 7.0f * (float)t;
        const size_t row = (size_t)t * ROW_BYTES;
        assert_true(value_at(f->activations, (size_t)f->slot_offsets[1] + row) == x);
        assert_true(value_at(f->kv, kv_places[1].offset + t * sizeof(float)) == 10.0f * x);
    }
    for (uint32_t r = 0; r < f->batch.output_count; ++r) {
        const float x = 101.0f + 7.0f * (float)f->output_rows[r];
        const size_t row = (size_t)r * ROW_BYTES;
        assert_true(value_at(f->activations, (size_t)f->slot_offsets[0] + row) == 2.0f * x);
    }
}

/* ---- Target and device ---- */

static void test_cpu_target_table_is_complete(void** state) {
    (void)state;
    const llmir_target_t* target = &llmir_target_cpu;
    assert_int_equal(target->struct_size, sizeof(llmir_target_t));
    assert_int_equal(target->abi_version, LLMIR_TARGET_ABI_VERSION);
    assert_string_equal(target->name, "cpu");
    /* The functions follow the name; none may be NULL. */
    const size_t first = offsetof(llmir_target_t, probe);
    for (size_t at = first; at < sizeof *target; at += sizeof(void (*)(void))) {
        void (*function)(void);
        memcpy(&function, (const uint8_t*)target + at, sizeof function);
        assert_true(function != NULL);
    }
    const llmir_device_options_t options = {.thread_count = 0};
    assert_status(target->probe(&options, &assert_status_error), LLMIR_STATUS_OK);
}

static void test_cpu_target_caps_tell_threads_and_level(void** state) {
    const fixture_t* f = *state;
    llmir_device_caps_t caps;
    llmir_target_cpu.device_caps(f->device, &caps);
    assert_string_equal(caps.name, "cpu");
    assert_int_equal(caps.section_target, LLMIR_SECTION_TARGET_CPU);
    assert_int_equal(caps.level, llmir_cpu_level_best(0)); /* what code in bundles may be for */
    assert_int_equal(caps.thread_count, 2);
    assert_int_equal(caps.can_import, 1);
    assert_ptr_equal(f->device->target, &llmir_target_cpu);
}

static void test_cpu_target_thread_count_zero_means_one_per_core(void** state) {
    (void)state;
    const llmir_device_options_t options = {.thread_count = 0};
    llmir_device_t* device = NULL;
    assert_status(llmir_target_cpu.device_create(&options, &device, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_device_caps_t caps;
    llmir_target_cpu.device_caps(device, &caps);
    assert_int_equal(caps.thread_count, llmir_cpu_count());
    llmir_target_cpu.device_destroy(device);
}

static void test_cpu_target_absurd_thread_count_is_refused(void** state) {
    (void)state;
    const llmir_device_options_t options = {.thread_count = UINT32_MAX};
    llmir_device_t* device = NULL;
    assert_status_message(llmir_target_cpu.device_create(&options, &device, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "threads");
    assert_null(device);
}

static void test_cpu_target_destroying_nothing_is_allowed(void** state) {
    (void)state;
    llmir_target_cpu.device_destroy(NULL);
    llmir_target_cpu.buffer_destroy(NULL);
    llmir_target_cpu.program_unload(NULL);
}

/* ---- Submissions ---- */

static void test_cpu_target_submit_computes_the_plan(void** state) {
    fixture_t* f = *state;
    static const uint32_t shapes[][2] = {{1, 1}, {64, 3}, {64, 64}, {5, 0}, {2, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
        fill_batch(f, shapes[i][0], shapes[i][1]);
        uint64_t fence = 0;
        assert_status(
            llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
            LLMIR_STATUS_OK);
        assert_int_equal(fence, i + 1);
        assert_status(llmir_target_cpu.wait(f->device, fence, UINT64_MAX, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_results(f);
    }
}

static void test_cpu_target_submit_follows_moved_slots(void** state) {
    fixture_t* f = *state;
    uint64_t fence;
    fill_batch(f, 8, 2);
    f->slot_offsets[0] = 2 * 8 * ROW_BYTES;
    f->slot_offsets[1] = 0;
    f->slot_offsets[2] = 8 * ROW_BYTES;
    assert_status(llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_results(f);
}

static void test_cpu_target_submit_checks_slots(void** state) {
    fixture_t* f = *state;
    uint64_t fence = 7;
    static const uint64_t offsets[] = {ACTIVATION_BYTES - 64, ACTIVATION_BYTES, 32,
                                       UINT64_MAX - 63};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; ++i) {
        fill_batch(f, 8, 2);
        f->slot_offsets[1] = offsets[i];
        assert_status_message(
            llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
            LLMIR_STATUS_INVALID_ARGUMENT, "slot 1: 512 bytes");
        assert_int_equal(fence, 0);
    }
}

static void test_cpu_target_submit_cancelled_computes_nothing(void** state) {
    fixture_t* f = *state;
    uint64_t fence;
    fill_batch(f, 8, 2);
    f->cancel.value = 1;
    assert_status(llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    assert_true(value_at(f->activations, (size_t)f->slot_offsets[2]) == 0.0f);
    f->cancel.value = 0;
    assert_status(llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_results(f);
}

static void test_cpu_target_wait_for_a_fence_of_the_future_fails(void** state) {
    const fixture_t* f = *state;
    assert_status(llmir_target_cpu.wait(f->device, 0, 0, &assert_status_error), LLMIR_STATUS_OK);
    assert_status_message(llmir_target_cpu.wait(f->device, 3, 0, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "fence 3");
}

/* Submits over its own activations and cache; `failures` counts, because CMocka's assertions are
 * for the main thread. */
typedef struct submitter {
    fixture_t* shared;
    llmir_submission_t submission;
    uint32_t failures;
} submitter_t;

static void submit_many(void* user) {
    submitter_t* s = user;
    for (uint32_t i = 0; i < 200; ++i) {
        uint64_t fence;
        const llmir_status_t status =
            llmir_target_cpu.submit(s->shared->device, &s->submission, &fence, NULL);
        float value = 0.0f;
        const size_t last = (size_t)(s->shared->batch.token_count - 1) * ROW_BYTES;
        (void)llmir_target_cpu.buffer_read(s->submission.activations,
                                           (size_t)s->shared->slot_offsets[1] + last, &value,
                                           sizeof value, NULL);
        s->failures += status != LLMIR_STATUS_OK || value != 101.0f + 7.0f * 63.0f;
        (void)llmir_target_cpu.buffer_write(
            s->submission.activations, (size_t)s->shared->slot_offsets[1] + last, "zero", 4, NULL);
    }
}

static void test_cpu_target_threads_may_share_a_program(void** state) {
    fixture_t* f = *state;
    enum { SUBMITTERS = 3 };
    submitter_t submitters[SUBMITTERS];
    llmir_thread_t threads[SUBMITTERS];
    fill_batch(f, 64, 2);
    for (uint32_t i = 0; i < SUBMITTERS; ++i) {
        submitters[i] = (submitter_t){f, f->submission, 0};
        assert_status(llmir_target_cpu.buffer_create(f->device, ACTIVATION_BYTES,
                                                     &submitters[i].submission.activations,
                                                     &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_target_cpu.buffer_create(
                          f->device, KV_BYTES, &submitters[i].submission.kv, &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    for (uint32_t i = 0; i < SUBMITTERS; ++i) {
        assert_status(
            llmir_thread_start(&threads[i], submit_many, &submitters[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    for (uint32_t i = 0; i < SUBMITTERS; ++i) {
        llmir_thread_join(&threads[i]);
        assert_int_equal(submitters[i].failures, 0);
        llmir_target_cpu.buffer_destroy(submitters[i].submission.activations);
        llmir_target_cpu.buffer_destroy(submitters[i].submission.kv);
    }
}

/* ---- Programs ---- */

static void test_cpu_target_program_without_code_says_why(void** state) {
    const fixture_t* f = *state;
    const char *code, *reason;
    llmir_target_cpu.program_code(f->program, &code, &reason);
    assert_string_equal(code, "built-in portable");
    assert_string_equal(reason, "the bundle has no code for this processor");
}

static void test_cpu_target_unknown_kernel_is_unsupported(void** state) {
    fixture_t* f = *state;
    static const uint32_t kernels[] = {0, LLMIR_KERNEL_NORM, LLMIR_KERNEL_COUNT, UINT32_MAX};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; ++i) {
        f->variants[2].kernel = kernels[i];
        const llmir_program_options_t options = program_options(f);
        llmir_program_t* program = NULL;
        assert_status_message(
            llmir_target_cpu.program_load(f->device, &options, &program, &assert_status_error),
            LLMIR_STATUS_UNSUPPORTED, "dispatch 2: this runtime has no kernel");
        assert_null(program);
    }
}

/* A CODE section whose one entry replaces the kernel of dispatch 1: it returns at once. */
typedef struct code_section {
    llmir_code_record_t record;
    uint32_t entries[4];
    uint32_t padding[10];
    uint8_t image[TINY_ELF_BYTES];
} code_section_t;

static void build_code(code_section_t* section, const fixture_t* f) {
    const llmir_elf_abi_t* abi = llmir_elf_native_abi();
#if defined(__x86_64__)
    static const uint8_t code[] = {0xC3};
#elif defined(__aarch64__)
    static const uint8_t code[] = {0xC0, 0x03, 0x5F, 0xD6};
#elif defined(__riscv)
    static const uint8_t code[] = {0x82, 0x80};
#else
    static const uint8_t code[] = {0x1E, 0xFF, 0x2F, 0xE1};
#endif
    tiny_elf_t elf;
    tiny_elf_init(&elf, abi, 1, code, sizeof code);
    memset(section, 0, sizeof *section);
    memcpy(section->image, elf.bytes, sizeof section->image);
    section->record = (llmir_code_record_t){
        .record_bytes = sizeof section->record,
        .kernel_abi_version = LLMIR_KERNEL_ABI_VERSION,
        .entry_count = f->record.variant_count,
        .entry_offset = offsetof(code_section_t, entries),
        .image_offset = offsetof(code_section_t, image),
        .image_bytes = sizeof section->image,
        .kernel_fingerprint = llmir_kernel_fingerprint(),
    };
    section->entries[1] = TINY_ELF_CODE;
}

static void test_cpu_target_fitting_code_replaces_kernels(void** state) {
    fixture_t* f = *state;
    if (llmir_elf_native_abi() == NULL) {
        skip();
    }
    static _Alignas(64) code_section_t section;
    build_code(&section, f);
    llmir_program_options_t options = program_options(f);
    options.code = (const uint8_t*)&section;
    options.code_bytes = sizeof section;
    options.code_level = LLMIR_CPU_LEVEL_NONE;
    llmir_target_cpu.program_unload(f->program);
    f->program = NULL;
    assert_status(
        llmir_target_cpu.program_load(f->device, &options, &f->program, &assert_status_error),
        LLMIR_STATUS_OK);
    const char *code, *reason;
    llmir_target_cpu.program_code(f->program, &code, &reason);
    assert_string_equal(code, "bundle portable");
    assert_string_equal(reason, "");

    uint64_t fence;
    fill_batch(f, 2, 1);
    assert_status(llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(value_at(f->activations, (size_t)f->slot_offsets[2]) == 100.0f); /* built in */
    assert_true(value_at(f->activations, (size_t)f->slot_offsets[1]) == 0.0f);   /* replaced */
}

static void test_cpu_target_unfit_code_falls_back_to_built_in(void** state) {
    fixture_t* f = *state;
    static _Alignas(64) code_section_t section;
    if (llmir_elf_native_abi() == NULL) {
        skip();
    }
    build_code(&section, f);
    section.record.plan_hash[0] = 1;
    llmir_program_options_t options = program_options(f);
    options.code = (const uint8_t*)&section;
    options.code_bytes = sizeof section;
    llmir_target_cpu.program_unload(f->program);
    f->program = NULL;
    assert_status(
        llmir_target_cpu.program_load(f->device, &options, &f->program, &assert_status_error),
        LLMIR_STATUS_OK);
    const char *code, *reason;
    llmir_target_cpu.program_code(f->program, &code, &reason);
    assert_string_equal(code, "built-in portable");
    assert_string_equal(reason, "the bundle's code was made for another plan");
    uint64_t fence;
    fill_batch(f, 4, 1);
    assert_status(llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_results(f);
}

/* ---- Memory ---- */

static llmir_status_t open_and_close(const llmir_allocator_t* allocator,
                                     void* user,
                                     llmir_error_t* error) {
    fixture_t* f = user;
    const llmir_status_t status = open_fixture(f, allocator, 3, error);
    close_fixture(f);
    return status;
}

static void test_cpu_target_refused_memory_leaves_nothing_behind(void** state) {
    (void)state;
    fixture_t* f = calloc(1, sizeof *f);
    fill_plan(f);
    /* Device, pool, two buffers, program. */
    assert_int_equal(test_allocator_sweep(open_and_close, f), 5);
    free(f);
}

static void test_cpu_target_submit_allocates_nothing(void** state) {
    fixture_t* f = *state;
    uint64_t fence;
    fill_batch(f, 64, 64);
    const size_t before = f->counter.allocation_count;
    assert_status(llmir_target_cpu.submit(f->device, &f->submission, &fence, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(f->counter.allocation_count, before);
}

#define TARGET_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_target_table_is_complete),
        TARGET_TEST(test_cpu_target_caps_tell_threads_and_level),
        cmocka_unit_test(test_cpu_target_thread_count_zero_means_one_per_core),
        cmocka_unit_test(test_cpu_target_absurd_thread_count_is_refused),
        cmocka_unit_test(test_cpu_target_destroying_nothing_is_allowed),
        TARGET_TEST(test_cpu_target_submit_computes_the_plan),
        TARGET_TEST(test_cpu_target_submit_follows_moved_slots),
        TARGET_TEST(test_cpu_target_submit_checks_slots),
        TARGET_TEST(test_cpu_target_submit_cancelled_computes_nothing),
        TARGET_TEST(test_cpu_target_wait_for_a_fence_of_the_future_fails),
        TARGET_TEST(test_cpu_target_threads_may_share_a_program),
        TARGET_TEST(test_cpu_target_program_without_code_says_why),
        TARGET_TEST(test_cpu_target_unknown_kernel_is_unsupported),
        TARGET_TEST(test_cpu_target_fitting_code_replaces_kernels),
        TARGET_TEST(test_cpu_target_unfit_code_falls_back_to_built_in),
        cmocka_unit_test(test_cpu_target_refused_memory_leaves_nothing_behind),
        TARGET_TEST(test_cpu_target_submit_allocates_nothing),
    };
    return cmocka_run_group_tests_name("cpu_target", tests, NULL, NULL);
}
