/* A model that is split between two devices, here twice the processor: the same bits as in one
 * piece, whatever is done with sessions; memory as announced; as many layers as a budget allows. */
#include <stdlib.h>
#include <string.h>

#include "core/model.h"
#include "core/pool_layout.h"
#include "quant/kv_layout.h"
#include "tests/support/tiny_model.h"

#define LAYERS 4u
#define VOCAB 320u
#define TOKENS 90u
#define SAVED_BYTES (1u << 19)

static tiny_options_t four_layers(void) {
    tiny_options_t options = tiny_options_default();
    options.layers = LAYERS;
    options.context = 128;
    return options;
}

/* A runtime and, if that is asked for, the model with `layers` of its layers on "the device". */
static void load(tiny_loaded_t* loaded, const tiny_options_t* options, uint32_t layers) {
    llmir_runtime_options_t runtime = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model = LLMIR_MODEL_OPTIONS_INIT;
    memset(loaded, 0, sizeof(*loaded));
    loaded->bundle = tiny_bundle_build(options);
    runtime.allocator = test_allocator(&loaded->allocator);
    runtime.thread_count = TEST_THREADS(2);
    model.device = "cpu";
    model.device_layers = layers;
    assert_status(llmir_runtime_create(&runtime, &loaded->runtime, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(
        llmir_model_load_memory(loaded->runtime, loaded->bundle.data, loaded->bundle.bytes, &model,
                                &loaded->model, &assert_status_error),
        LLMIR_STATUS_OK);
}

static llmir_session_t* session_of(llmir_model_t* model, llmir_pool_t* pool) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    options.flags = LLMIR_SESSION_IGNORE_END;
    assert_status(llmir_session_create(model, pool, &options, &session, &assert_status_error),
                  LLMIR_STATUS_OK);
    return session;
}

static void feed(llmir_session_t* session, const int32_t* ids, size_t count) {
    assert_status(llmir_session_feed(session, ids, count, &assert_status_error), LLMIR_STATUS_OK);
}

static void assert_logits(const llmir_session_t* session, const float* expected) {
    assert_memory_equal(llmir_session_logits(session), expected, VOCAB * sizeof(float));
}

/* ---- The same bits ---- */

/* What a model of one piece computes. */
typedef struct expected {
    float prompt[VOCAB];
    float next[VOCAB];    /* after one more token */
    float changed[VOCAB]; /* after going back to position 40 and on with other tokens */
    float fork[VOCAB];
} expected_t;

static void compute(llmir_model_t* model, const int32_t* ids, expected_t* out) {
    llmir_pool_options_t options = LLMIR_POOL_OPTIONS_INIT;
    llmir_pool_t* pool = NULL;
    llmir_session_t* fork = NULL;
    options.session_count = 2;
    options.context_tokens = 256;
    options.chunk_tokens = 33;
    assert_status(llmir_pool_create(model, &options, &pool, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_t* session = session_of(model, pool);
    feed(session, ids, TOKENS);
    memcpy(out->prompt, llmir_session_logits(session), sizeof(out->prompt));
    feed(session, &ids[3], 1);
    memcpy(out->next, llmir_session_logits(session), sizeof(out->next));
    assert_status(llmir_session_fork(session, &fork, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_truncate(session, 40, &assert_status_error), LLMIR_STATUS_OK);
    feed(session, &ids[7], 50);
    memcpy(out->changed, llmir_session_logits(session), sizeof(out->changed));
    feed(fork, &ids[11], 2);
    memcpy(out->fork, llmir_session_logits(fork), sizeof(out->fork));
    llmir_session_destroy(fork);
    llmir_session_destroy(session);
    llmir_pool_destroy(pool);
}

static void assert_same_at_every_border(const tiny_options_t* options) {
    int32_t ids[TOKENS];
    expected_t expected, found;
    tiny_loaded_t loaded;
    tiny_ids(5, options->vocab, ids, TOKENS);
    load(&loaded, options, 0);
    assert_int_equal(loaded.model->stage_count, 1);
    compute(loaded.model, ids, &expected);
    tiny_unload(&loaded);
    for (uint32_t layers = 1; layers <= LAYERS + 1u; ++layers) {
        load(&loaded, options, layers);
        assert_int_equal(loaded.model->stage_count, layers <= LAYERS ? 3 : 1);
        compute(loaded.model, ids, &found);
        assert_memory_equal(&found, &expected, sizeof(found));
        tiny_unload(&loaded);
    }
}

static void test_split_at_every_layer_gives_the_same_bits(void** state) {
    const tiny_options_t options = four_layers();
    (void)state;
    assert_same_at_every_border(&options);
}

/* Rows that one layer leaves for the next to add, norms of heads, biases, layers with windows. */
static void test_split_of_other_models_gives_the_same_bits(void** state) {
    tiny_options_t options = four_layers();
    (void)state;
    options.layout = LLMIR_LAYOUT_PANEL_S4;
    options.group = 32;
    options.delta_norm = 1;
    options.head_norm = 1;
    options.bias = 1;
    assert_same_at_every_border(&options);
    options.window = 24;
    options.split_gate = 1;
    assert_same_at_every_border(&options);
}

/* Several sessions in one pass, one of them with a prefix that the others have. */
static void test_split_sessions_share_passes_and_pages(void** state) {
    const tiny_options_t options = four_layers();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_pool_stats_t stats = {.struct_size = sizeof(stats)};
    float expected[3][VOCAB];
    int32_t ids[TOKENS];
    (void)state;
    tiny_ids(6, options.vocab, ids, TOKENS);
    pool_options.session_count = 3;
    for (uint32_t layers = 0; layers < LAYERS; layers += 2) {
        llmir_session_t* sessions[3];
        llmir_pool_t* pool = NULL;
        tiny_loaded_t loaded;
        load(&loaded, &options, layers);
        assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                      LLMIR_STATUS_OK);
        for (uint32_t i = 0; i < 3; ++i) {
            sessions[i] = session_of(loaded.model, pool);
            feed(sessions[i], ids, 40);
        }
        assert_status(llmir_pool_get_stats(pool, &stats, &assert_status_error), LLMIR_STATUS_OK);
        assert_int_equal(stats.reused_token_count, 2 * 32);
        const llmir_feed_t feeds[3] = {{sessions[0], &ids[40], 9, NULL},
                                       {sessions[1], &ids[50], 1, NULL},
                                       {sessions[2], &ids[51], 16, NULL}};
        assert_status(llmir_pool_feed(pool, feeds, 3, &assert_status_error), LLMIR_STATUS_OK);
        for (uint32_t i = 0; i < 3; ++i) {
            if (layers == 0) {
                memcpy(expected[i], llmir_session_logits(sessions[i]), sizeof(expected[i]));
            } else {
                assert_logits(sessions[i], expected[i]);
            }
            llmir_session_destroy(sessions[i]);
        }
        llmir_pool_destroy(pool);
        tiny_unload(&loaded);
    }
}

/* ---- Saved sessions ---- */

typedef struct saved {
    uint8_t data[SAVED_BYTES];
    size_t bytes;
    size_t at;
} saved_t;

static llmir_status_t saved_write(const void* data, size_t bytes, void* user) {
    saved_t* saved = user;
    assert_true(bytes <= SAVED_BYTES - saved->bytes);
    memcpy(saved->data + saved->bytes, data, bytes);
    saved->bytes += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t saved_read(void* data, size_t bytes, void* user) {
    saved_t* saved = user;
    assert_true(bytes <= saved->bytes - saved->at);
    memcpy(data, saved->data + saved->at, bytes);
    saved->at += bytes;
    return LLMIR_STATUS_OK;
}

/* Bytes that are saved do not tell how a model was split, so that any split restores them. */
static void test_split_sessions_are_restored_on_any_split(void** state) {
    tiny_options_t options = four_layers();
    saved_t* saved = malloc(2 * sizeof(*saved));
    float expected[VOCAB];
    int32_t ids[TOKENS];
    (void)state;
    assert_non_null(saved);
    options.window = 24;
    tiny_ids(7, options.vocab, ids, TOKENS);
    for (uint32_t layers = 0; layers <= LAYERS; ++layers) {
        saved_t* own = &saved[layers != 0];
        tiny_loaded_t loaded;
        load(&loaded, &options, layers);
        llmir_session_t* session = session_of(loaded.model, NULL);
        own->bytes = 0;
        feed(session, ids, 70);
        assert_status(llmir_session_save(session, saved_write, own, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(own->bytes, saved[0].bytes);
        assert_memory_equal(own->data, saved[0].data, own->bytes);
        llmir_session_reset(session);
        saved[0].at = 0;
        assert_status(llmir_session_restore(session, saved_read, saved, &assert_status_error),
                      LLMIR_STATUS_OK);
        feed(session, &ids[70], 20);
        if (layers == 0) {
            memcpy(expected, llmir_session_logits(session), sizeof(expected));
        }
        assert_logits(session, expected);
        llmir_session_destroy(session);
        tiny_unload(&loaded);
    }
    free(saved);
}

/* ---- Memory ---- */

static void test_split_takes_exactly_what_was_announced(void** state) {
    tiny_options_t options = four_layers();
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    llmir_memory_plan_t whole = {.struct_size = sizeof(whole)};
    int32_t ids[TOKENS];
    (void)state;
    options.window = 24;
    tiny_ids(8, options.vocab, ids, TOKENS);
    for (uint32_t layers = 0; layers <= LAYERS; ++layers) {
        tiny_loaded_t loaded;
        load(&loaded, &options, layers);
        assert_status(llmir_model_memory_plan(loaded.model, NULL, layers == 0 ? &whole : &plan,
                                              &assert_status_error),
                      LLMIR_STATUS_OK);
        const size_t before = loaded.allocator.live_bytes;
        llmir_session_t* session = session_of(loaded.model, NULL);
        const size_t count = loaded.allocator.allocation_count;
        const llmir_memory_plan_t* announced = layers == 0 ? &whole : &plan;
        assert_int_equal(loaded.allocator.live_bytes - before, announced->arena_bytes);
        assert_int_equal(announced->kv_bytes + announced->activation_bytes + announced->state_bytes,
                         announced->arena_bytes);
        assert_int_equal(announced->device_bytes, 0); /* it is all the processor's */
        /* Each layer's keys and values are in one place; the embedding's stage has none, for which
         * 64 bytes stand. With layers for nobody, the last stage has none either. */
        if (layers != 0) {
            assert_int_equal(plan.kv_bytes, whole.kv_bytes + (layers == LAYERS ? 128 : 64));
        }
        feed(session, ids, TOKENS);
        assert_int_equal(loaded.allocator.allocation_count, count);
        llmir_session_destroy(session);
        tiny_unload(&loaded);
    }
}

/* Weights of layers [0, count), each from a multiple of 256 bytes, as the plan's dispatches name
 * them. */
static uint64_t layer_weights(const llmir_plan_view_t* plan, uint32_t count) {
    uint64_t bytes = 0;
    for (uint32_t t = 0; t < plan->record->tensor_count; ++t) {
        int is_used = 0;
        for (uint32_t i = 0; i < plan->record->dispatch_count; ++i) {
            const llmir_plan_dispatch_t* dispatch = &plan->dispatches[i];
            for (uint32_t k = 0; dispatch->layer < count && k < LLMIR_PLAN_MAX_OPERANDS; ++k) {
                is_used |= dispatch->operands[k].space == LLMIR_OPERAND_TENSOR &&
                           dispatch->operands[k].index == t;
            }
        }
        bytes += is_used ? (plan->tensors[t].record->data_bytes + 255u) / 256u * 256u : 0u;
    }
    return bytes;
}

static llmir_device_report_t report_of(const llmir_model_t* model, const char* target) {
    llmir_device_report_t report = {.struct_size = sizeof(report)};
    for (uint32_t i = 0;; ++i) {
        assert_status(llmir_model_device_report(model, i, &report, &assert_status_error),
                      LLMIR_STATUS_OK);
        if (strcmp(report.target, target) == 0) {
            return report;
        }
    }
}

/* A budget that suffices for some layers gets exactly these, one byte less gets one layer less. */
static void test_split_by_memory_takes_as_many_layers_as_fit(void** state) {
    const tiny_options_t options = four_layers();
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
    tiny_loaded_t loaded;
    (void)state;
    pool.context_tokens = 64;
    model_options.device = "cpu,cpu";
    model_options.pool = &pool;
    load(&loaded, &options, LAYERS);
    for (uint32_t layers = 1; layers <= LAYERS; ++layers) {
        llmir_model_t* model = NULL;
        llmir_pool_layout_t layout;
        const uint64_t kv = 64u * 128u * layers; /* 2 heads of 16 keys and values in f16 */
        assert_status(llmir_pool_layout_make(loaded.model, &pool, &layout, &assert_status_error),
                      LLMIR_STATUS_OK);
        const uint64_t bytes =
            layer_weights(&loaded.model->plan, layers) + kv + layout.stages[1].activations.bytes;
        for (uint32_t less = 0; less < (layers > 1 ? 2u : 1u); ++less) {
            model_options.device_bytes = bytes - less;
            assert_status(
                llmir_model_load_memory(loaded.runtime, loaded.bundle.data, loaded.bundle.bytes,
                                        &model_options, &model, &assert_status_error),
                LLMIR_STATUS_OK);
            assert_int_equal(model->layer_count, layers - less);
            assert_int_equal(model->stage_count, 3);
            assert_non_null(strstr(report_of(model, "cpu").reason, " of 4 layers: "));
            assert_int_equal(report_of(model, "cpu").layer_count, LAYERS);
            llmir_model_destroy(model);
        }
    }
    tiny_unload(&loaded);
}

static void test_split_by_memory_with_room_for_all_or_none(void** state) {
    const tiny_options_t options = four_layers();
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    llmir_model_t* model = NULL;
    tiny_loaded_t loaded;
    (void)state;
    model_options.device = "cpu,cpu";
    load(&loaded, &options, 0);
    model_options.device_bytes = (uint64_t)1 << 30;
    assert_status(llmir_model_load_memory(loaded.runtime, loaded.bundle.data, loaded.bundle.bytes,
                                          &model_options, &model, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(model->stage_count, 1);
    assert_string_equal(report_of(model, "cpu").reason, "");
    llmir_model_destroy(model);
    model_options.device_bytes = 1000;
    assert_status_message(
        llmir_model_load_memory(loaded.runtime, loaded.bundle.data, loaded.bundle.bytes,
                                &model_options, &model, &assert_status_error),
        LLMIR_STATUS_CAPACITY, "weights, keys and values take");
    assert_null(model);
    tiny_unload(&loaded);
}

static void test_split_report_tells_of_layers(void** state) {
    const tiny_options_t options = four_layers();
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    tiny_loaded_t loaded;
    (void)state;
    load(&loaded, &options, 3);
    assert_status(llmir_model_get_info(loaded.model, &info, &assert_status_error), LLMIR_STATUS_OK);
    assert_string_equal(info.device, "cpu (3 of 4 layers), cpu");
    assert_string_equal(report_of(loaded.model, "cpu").reason, "3 of 4 layers, as asked for");
    assert_int_equal(report_of(loaded.model, "cpu").is_taken, 1);
    assert_int_equal(report_of(loaded.model, "cpu").status, LLMIR_STATUS_OK);
    tiny_unload(&loaded);
}

/* ---- Failures ---- */

static llmir_status_t load_and_feed(const llmir_allocator_t* allocator,
                                    void* user,
                                    llmir_error_t* error) {
    const tiny_bundle_t* bundle = user;
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    const int32_t ids[3] = {5, 6, 7};
    runtime_options.allocator = *allocator;
    runtime_options.thread_count = 1;
    model_options.device = "cpu";
    model_options.device_layers = 2;
    llmir_status_t status = llmir_runtime_create(&runtime_options, &runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_memory(runtime, bundle->data, bundle->bytes, &model_options,
                                         &model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_create(model, NULL, NULL, &session, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_feed(session, ids, 3, error);
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return status;
}

static void test_split_with_any_allocation_refused_leaves_nothing(void** state) {
    const tiny_options_t options = four_layers();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    (void)state;
    assert_true(test_allocator_sweep(load_and_feed, &bundle) > 8);
    tiny_bundle_free(&bundle);
}

/* Layers that share keys and values cannot be separated: the plan of another front end might. */
static void test_split_of_layers_with_one_cache_is_refused(void** state) {
    const tiny_options_t options = four_layers();
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    llmir_model_t* model = NULL;
    tiny_loaded_t loaded;
    (void)state;
    load(&loaded, &options, 0);
    const llmir_bundle_section_t* section = tiny_bundle_section(&loaded.bundle, LLMIR_SECTION_PLAN);
    uint8_t* data = loaded.bundle.data + section->offset;
    const llmir_plan_record_t* record = (const void*)data;
    llmir_plan_dispatch_t* dispatches = (void*)(data + record->dispatch_offset);
    for (uint32_t i = 0; i < record->dispatch_count; ++i) {
        for (uint32_t k = 0; k < LLMIR_PLAN_MAX_OPERANDS; ++k) {
            if (dispatches[i].operands[k].space == LLMIR_OPERAND_KV && dispatches[i].layer == 3) {
                dispatches[i].operands[k].index = 1;
            }
        }
    }
    llmir_model_destroy(loaded.model);
    tiny_bundle_rehash(&loaded.bundle);
    model_options.device = "cpu";
    for (uint32_t layers = 1; layers <= LAYERS; ++layers) {
        model_options.device_layers = layers;
        assert_status(
            llmir_model_load_memory(loaded.runtime, loaded.bundle.data, loaded.bundle.bytes,
                                    &model_options, &model, &assert_status_error),
            layers == 2 || layers == 3 ? LLMIR_STATUS_UNSUPPORTED : LLMIR_STATUS_OK);
        llmir_model_destroy(model);
    }
    loaded.model = NULL;
    tiny_unload(&loaded);
}

static void test_split_stops_when_it_is_told_to(void** state) {
    const tiny_options_t options = four_layers();
    float expected[VOCAB];
    int32_t ids[TOKENS];
    tiny_loaded_t loaded;
    (void)state;
    tiny_ids(9, options.vocab, ids, TOKENS);
    load(&loaded, &options, 2);
    llmir_session_t* session = session_of(loaded.model, NULL);
    feed(session, ids, TOKENS);
    memcpy(expected, llmir_session_logits(session), sizeof(expected));
    llmir_session_reset(session);
    llmir_session_cancel(session);
    assert_status(llmir_session_feed(session, ids, TOKENS, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    llmir_session_clear_cancel(session);
    assert_int_equal(llmir_session_position(session), 0);
    feed(session, ids, TOKENS);
    assert_logits(session, expected);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

/* ---- Tracing ---- */

typedef struct spans {
    uint32_t next; /* dispatch that must begin next */
    uint32_t pass; /* how many "pass" said that there are */
    uint32_t wrong;
} spans_t;

static void count_span(const llmir_trace_event_t* event, void* user) {
    spans_t* spans = user;
    if (strcmp(event->name, "pass") == 0) {
        spans->pass = event->dispatch;
    } else if (event->phase == LLMIR_TRACE_BEGIN) {
        spans->wrong += event->dispatch != spans->next;
        spans->next = event->dispatch + 1u;
    } else {
        spans->wrong += event->dispatch + 1u != spans->next;
    }
}

/* Spans count the dispatches of the whole plan, through all stages. */
static void test_split_traces_the_whole_plan(void** state) {
    const tiny_options_t options = four_layers();
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    spans_t spans = {0};
    const int32_t ids[3] = {5, 6, 7};
    (void)state;
    runtime_options.thread_count = 1;
    runtime_options.trace = count_span;
    runtime_options.trace_user = &spans;
    model_options.device = "cpu";
    model_options.device_layers = 2;
    assert_status(llmir_runtime_create(&runtime_options, &runtime, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, &model_options,
                                          &model, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_session_t* session = session_of(model, NULL);
    feed(session, ids, 3);
    assert_int_equal(spans.wrong, 0);
    assert_int_equal(spans.next, spans.pass);
    assert_int_equal(spans.pass, model->plan.record->dispatch_count);
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_at_every_layer_gives_the_same_bits),
        cmocka_unit_test(test_split_of_other_models_gives_the_same_bits),
        cmocka_unit_test(test_split_sessions_share_passes_and_pages),
        cmocka_unit_test(test_split_sessions_are_restored_on_any_split),
        cmocka_unit_test(test_split_takes_exactly_what_was_announced),
        cmocka_unit_test(test_split_by_memory_takes_as_many_layers_as_fit),
        cmocka_unit_test(test_split_by_memory_with_room_for_all_or_none),
        cmocka_unit_test(test_split_report_tells_of_layers),
        cmocka_unit_test(test_split_with_any_allocation_refused_leaves_nothing),
        cmocka_unit_test(test_split_of_layers_with_one_cache_is_refused),
        cmocka_unit_test(test_split_stops_when_it_is_told_to),
        cmocka_unit_test(test_split_traces_the_whole_plan),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
