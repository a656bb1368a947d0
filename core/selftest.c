/* Whether a device computes what the processor computes: one small batch on both. */
#include "core/selftest.h"

#include <math.h>
#include <string.h>

#include "core/base/size.h"
#include "core/kept_selftest.h"
#include "core/plan.h"
#include "core/split.h"

#define TOKENS 5u
/* Root mean square of the differences over that of the logits. Quantized activations that fall to
 * the other side of a tie make a few thousandths; a wrong kernel makes about 1.4. */
#define MOST_DIFFERENCE 0.05

/* The batch and its buffers on one device. */
typedef struct selftest {
    const llmir_model_t* model;
    llmir_batch_t batch;
    int32_t tokens[TOKENS];
    int32_t positions[TOKENS];
    uint32_t sequences[TOKENS];
    uint32_t output_rows[1];
    uint32_t page_table[1];
    uint64_t* slot_offsets;      /* [slot_count] */
    llmir_kv_place_t* kv_places; /* [kv_layer_count], of one page */
    uint64_t kv_bytes;
    uint64_t batch_offset;
    uint64_t activation_bytes;
    float* logits[2]; /* [vocab_count], of the device and of the processor */
    void* block;
    size_t block_bytes;
} selftest_t;

static llmir_status_t prepare(selftest_t* test, llmir_error_t* error) {
    const llmir_model_t* model = test->model;
    const uint32_t vocab = model->record->vocab_count;
    const uint32_t slots = model->plan.record->slot_count;
    const size_t places = (size_t)model->plan.record->kv_layer_count * sizeof(llmir_kv_place_t);
    const size_t offsets = (size_t)slots * sizeof(uint64_t);
    test->block_bytes = places + offsets + 2u * (size_t)vocab * sizeof(float);
    LLMIR_TRY(llmir_allocate(&model->runtime->allocator, test->block_bytes, 64, "self-test",
                             &test->block, error));
    test->kv_places = test->block;
    test->slot_offsets = (void*)((uint8_t*)test->block + places);
    test->logits[0] = (void*)((uint8_t*)test->block + places + offsets);
    test->logits[1] = test->logits[0] + vocab;
    for (uint32_t i = 0; i < TOKENS; ++i) {
        test->tokens[i] = (int32_t)((i * 7919u + 13u) % vocab);
        test->positions[i] = (int32_t)i;
    }
    test->output_rows[0] = TOKENS - 1u;
    test->batch = (llmir_batch_t){
        .token_count = TOKENS,
        .sequence_count = 1,
        .output_count = 1,
        .page_table_stride = 1,
        .tokens = test->tokens,
        .positions = test->positions,
        .token_sequence = test->sequences,
        .output_rows = test->output_rows,
        .page_table = test->page_table,
    };
    test->kv_bytes = llmir_plan_place_kv(&model->plan, 0, 1, 0, test->kv_places);
    for (uint32_t i = 0; i < slots; ++i) {
        const uint64_t tokens = TOKENS * (uint64_t)model->plan.slots[i].token_row_bytes;
        const uint64_t outputs = model->plan.slots[i].output_row_bytes;
        test->slot_offsets[i] = test->activation_bytes;
        test->activation_bytes += ((tokens > outputs ? tokens : outputs) + 63u) & ~(uint64_t)63u;
    }
    test->batch_offset = test->activation_bytes;
    test->activation_bytes += llmir_batch_arrays(TOKENS, 1, 1, 1, 0).bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_with(const selftest_t* test,
                               const llmir_stage_t* stages,
                               const llmir_stage_memory_t* memory,
                               uint32_t stage_count,
                               float* out_logits,
                               llmir_error_t* error) {
    const llmir_plan_view_t* plan = &test->model->plan;
    const uint32_t slot = plan->buffers[plan->record->logits_buffer].slot;
    const llmir_stage_pass_t pass = {.batch = &test->batch};
    llmir_buffer_t* activations = memory[stage_count - 1u].activations;
    LLMIR_TRY(llmir_stages_run(stages, memory, stage_count, &pass, error));
    return activations->device->target->buffer_read(
        activations, (size_t)test->slot_offsets[slot], out_logits,
        test->model->record->vocab_count * sizeof(float), error);
}

static llmir_status_t make_memory(const selftest_t* test,
                                  const llmir_stage_t* stage,
                                  llmir_stage_memory_t* memory,
                                  llmir_error_t* error) {
    const llmir_target_t* target = stage->device->target;
    memory->slot_offsets = test->slot_offsets;
    memory->batch_offset = test->batch_offset;
    memory->kv_places = test->kv_places;
    LLMIR_TRY(target->buffer_create(stage->device, (size_t)test->activation_bytes,
                                    &memory->activations, error));
    return target->buffer_create(stage->device, test->kv_bytes != 0 ? (size_t)test->kv_bytes : 64u,
                                 &memory->kv, error);
}

static llmir_status_t run_on(const selftest_t* test,
                             const llmir_stage_t* stages,
                             uint32_t stage_count,
                             float* out_logits,
                             llmir_error_t* error) {
    llmir_stage_memory_t memory[LLMIR_MAX_STAGES] = {{0}};
    llmir_status_t status = LLMIR_STATUS_OK;
    for (uint32_t i = 0; i < stage_count && status == LLMIR_STATUS_OK; ++i) {
        status = make_memory(test, &stages[i], &memory[i], error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = run_with(test, stages, memory, stage_count, out_logits, error);
    }
    for (uint32_t i = 0; i < stage_count; ++i) {
        llmir_stage_memory_free(&memory[i]);
    }
    return status;
}

/* The same on the processor, whose program is made for it. */
static llmir_status_t run_reference(const selftest_t* test,
                                    const uint8_t* plan_hash,
                                    llmir_error_t* error) {
    llmir_stage_t stage = {.plan = test->model->plan};
    const llmir_program_options_t options = {.plan = &stage.plan, .plan_hash = plan_hash};
    LLMIR_TRY(llmir_split_processor(test->model->runtime, &stage.device, error));
    const llmir_target_t* target = stage.device->target;
    LLMIR_TRY(target->program_load(stage.device, &options, &stage.program, error));
    const llmir_status_t status = run_on(test, &stage, 1, test->logits[1], error);
    target->program_unload(stage.program);
    return status;
}

static llmir_status_t compare(const selftest_t* test, llmir_error_t* error) {
    double squares = 0.0;
    double differences = 0.0;
    for (uint32_t i = 0; i < test->model->record->vocab_count; ++i) {
        const double expected = test->logits[1][i];
        const double difference = test->logits[0][i] - expected;
        squares += expected * expected;
        differences += difference * difference;
    }
    const double share = sqrt(differences / squares);
    if (!(share <= MOST_DIFFERENCE)) { /* also if it is no number */
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "%s: the self-test failed: logits differ from the processor's by %.3g of "
                          "their size, expected at most %.3g",
                          test->model->stages[test->model->main_stage].caps.name, share,
                          MOST_DIFFERENCE);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_selftest_run(const llmir_model_t* model,
                                  const uint8_t* plan_hash,
                                  llmir_error_t* error) {
    selftest_t test;
    llmir_kept_selftest_t kept;
    const int can_keep = llmir_kept_selftest_open(model, &kept);
    if (can_keep && llmir_kept_selftest_passed(&kept)) {
        return LLMIR_STATUS_OK;
    }
    memset(&test, 0, sizeof test);
    test.model = model;
    llmir_status_t status = prepare(&test, error);
    if (status == LLMIR_STATUS_OK) {
        status = run_on(&test, model->stages, model->stage_count, test.logits[0], error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = run_reference(&test, plan_hash, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = compare(&test, error);
    }
    if (status == LLMIR_STATUS_OK && can_keep) {
        llmir_kept_selftest_keep(&kept);
    }
    if (test.block != NULL) {
        llmir_free(&model->runtime->allocator, test.block, test.block_bytes, 64);
    }
    return status;
}
