/* Memory: announced exactly, taken once, given back whole, and refused without a trace. */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include <stdlib.h>
#include <string.h>

#include "core/model.h"
#include "tests/support/tiny_model.h"

static llmir_memory_plan_t plan_of(const tiny_loaded_t* loaded,
                                   const llmir_pool_options_t* options) {
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    assert_status(llmir_model_memory_plan(loaded->model, options, &plan, &assert_status_error),
                  LLMIR_STATUS_OK);
    return plan;
}

static void test_pool_takes_exactly_what_was_announced(void** state) {
    static const llmir_pool_options_t cases[] = {
        {.context_tokens = 1},
        {.context_tokens = 100, .session_count = 3},
        {.context_tokens = 333, .session_count = 5, .chunk_tokens = 17, .output_rows = 9},
        {.kv_type = LLMIR_KV_F32, .chunk_tokens = 1},
        {.kv_type = LLMIR_KV_Q8, .context_tokens = 100},
        {.kv_type = LLMIR_KV_Q4, .context_tokens = 100},
        {.session_count = 16, .chunk_tokens = 512},
        {0},
    };
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        llmir_pool_options_t pool_options = cases[i];
        llmir_pool_t* pool = NULL;
        pool_options.struct_size = sizeof(pool_options);
        const llmir_memory_plan_t plan = plan_of(&loaded, &pool_options);
        const size_t before = loaded.allocator.live_bytes;
        loaded.allocator.peak_bytes = before;
        assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(loaded.allocator.live_bytes - before, plan.arena_bytes);
        assert_int_equal(loaded.allocator.peak_bytes - before, plan.arena_bytes);
        assert_int_equal(plan.kv_bytes + plan.activation_bytes + plan.state_bytes,
                         plan.arena_bytes);
        llmir_pool_destroy(pool);
        assert_int_equal(loaded.allocator.live_bytes, before);
    }
    tiny_unload(&loaded);
}

/* 2 layers of keys and values, 2 heads of 16, 2 or 4 bytes: 256 or 512 bytes a token. With int8, 8
 * heads of 16 bytes and a scale of 2: 144 bytes. With int4, values are padded to 32 elements, which
 * makes as much. */
static void test_pool_pages_have_the_size_of_their_tokens(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    pool_options.context_tokens = 160;
    assert_int_equal(plan_of(&loaded, &pool_options).kv_bytes, 160 * 256);
    pool_options.kv_type = LLMIR_KV_F32;
    assert_int_equal(plan_of(&loaded, &pool_options).kv_bytes, 160 * 512);
    pool_options.kv_type = LLMIR_KV_Q8;
    assert_int_equal(plan_of(&loaded, &pool_options).kv_bytes, 160 * 144);
    pool_options.kv_type = LLMIR_KV_Q4;
    assert_int_equal(plan_of(&loaded, &pool_options).kv_bytes, 160 * 144);
    pool_options.kv_type = LLMIR_KV_F32;
    pool_options.context_tokens = 1;
    assert_int_equal(plan_of(&loaded, &pool_options).kv_bytes, 16 * 512);
    /* Beyond what one session can use. */
    pool_options.context_tokens = 100000;
    assert_int_equal(plan_of(&loaded, &pool_options).kv_bytes, options.context * 512);
    tiny_unload(&loaded);
}

/* The positions of a pool can be spread over its sessions in any way. */
static void test_pool_positions_can_be_spread_freely(void** state) {
    enum { SESSIONS = 5, CONTEXT = 83 };
    static const uint32_t spread[][SESSIONS] = {
        {79, 1, 1, 1, 1}, {17, 17, 17, 17, 15}, {33, 17, 1, 1, 31}, {16, 16, 16, 16, 19}};
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_options_t alone = LLMIR_SESSION_OPTIONS_INIT;
    llmir_pool_stats_t stats = {.struct_size = sizeof(stats)};
    llmir_session_t* sessions[SESSIONS];
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    int32_t ids[CONTEXT];
    (void)state;
    tiny_ids(1, options.vocab, ids, CONTEXT);
    tiny_load(&loaded, &options, 1);
    pool_options.session_count = SESSIONS;
    pool_options.context_tokens = CONTEXT;
    alone.flags = LLMIR_SESSION_NO_SHARING;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (int i = 0; i < SESSIONS; ++i) {
        assert_status(
            llmir_session_create(loaded.model, pool, &alone, &sessions[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    for (size_t s = 0; s < sizeof(spread) / sizeof(spread[0]); ++s) {
        for (int i = 0; i < SESSIONS; ++i) {
            assert_status(llmir_session_feed(sessions[i], ids, spread[s][i], &assert_status_error),
                          LLMIR_STATUS_OK);
        }
        for (int i = 0; i < SESSIONS; ++i) {
            llmir_session_reset(sessions[i]);
        }
        assert_status(llmir_pool_get_stats(pool, &stats, &assert_status_error), LLMIR_STATUS_OK);
        assert_int_equal(stats.free_page_count, stats.page_count);
        assert_int_equal(stats.computed_token_count, (s + 1) * CONTEXT);
    }
    for (int i = 0; i < SESSIONS; ++i) {
        llmir_session_destroy(sessions[i]);
    }
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

static void test_pool_refuses_bad_options(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    llmir_pool_t* pool = (llmir_pool_t*)&plan;
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    pool_options.kv_type = 99;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_null(pool);
    pool_options.kv_type = 0;
    pool_options.chunk_tokens = 1u << 21;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    pool_options.struct_size = 0;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_pool_create(NULL, NULL, &pool, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_pool_create(loaded.model, NULL, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    plan.struct_size = 0;
    assert_status(llmir_model_memory_plan(loaded.model, NULL, &plan, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    tiny_unload(&loaded);
}

/* The largest numbers that the options can hold: an answer or CAPACITY, never a wrapped size. */
static void test_pool_huge_options_do_not_wrap(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    pool_options.context_tokens = UINT32_MAX;
    pool_options.session_count = UINT32_MAX;
    pool_options.chunk_tokens = 1u << 20;
    pool_options.output_rows = UINT32_MAX;
    const llmir_status_t status = llmir_model_memory_plan(loaded.model, &pool_options, &plan, NULL);
    if (status == LLMIR_STATUS_OK) {
        assert_true(plan.arena_bytes > (1ull << 40));
    } else {
        assert_int_equal(status, LLMIR_STATUS_CAPACITY);
    }
    tiny_unload(&loaded);
}

/* Old callers know fewer fields: what their struct lacks is 0 and is not written. */
static void test_pool_reads_and_writes_short_structs(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_memory_plan_t whole = {.struct_size = sizeof(whole)};
    llmir_memory_plan_t part = {.struct_size = 16, .kv_bytes = 77};
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    pool_options.struct_size = 8; /* context_tokens alone */
    pool_options.context_tokens = 32;
    pool_options.kv_type = 99; /* not part of the struct as declared */
    assert_status(
        llmir_model_memory_plan(loaded.model, &pool_options, &whole, &assert_status_error),
        LLMIR_STATUS_OK);
    assert_int_equal(whole.kv_bytes, 32 * 256);
    assert_status(llmir_model_memory_plan(loaded.model, &pool_options, &part, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(part.weights_bytes, whole.weights_bytes);
    assert_int_equal(part.kv_bytes, 77);
    assert_int_equal(part.struct_size, 16);
    tiny_unload(&loaded);
}

/* After creation nothing is allocated: not by feeding, sampling, streaming, truncating. */
static void test_pool_is_the_last_allocation(void** state) {
    static const char* const stops[] = {"never seen", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"};
    const tiny_options_t options = tiny_options_default();
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    int32_t ids[100];
    (void)state;
    tiny_ids(1, options.vocab, ids, 100);
    tiny_load(&loaded, &options, 3);
    sampler.temperature = 1;
    sampler.top_p = 0.9f;
    sampler.repetition_penalty = 1.1f;
    session_options.sampler = &sampler;
    session_options.stop_strings = stops;
    session_options.stop_count = 2;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* session = tiny_session(&loaded, &session_options);
    const size_t count = loaded.allocator.allocation_count;
    loaded.allocator.fail_at = count + 1;
    loaded.allocator.fail_from_there = 1;
    for (int round = 0; round < 3; ++round) {
        assert_status(llmir_session_feed(session, ids, 100, &assert_status_error), LLMIR_STATUS_OK);
        for (int i = 0; i < 30; ++i) {
            llmir_piece_t piece;
            assert_status(llmir_session_next(session, &piece, &assert_status_error),
                          LLMIR_STATUS_OK);
        }
        sampler.top_k = 20;
        assert_status(llmir_session_set_sampler(session, &sampler, &assert_status_error),
                      LLMIR_STATUS_OK);
        if (round == 1) {
            llmir_session_reset(session);
        } else {
            assert_status(llmir_session_truncate(session, 50, &assert_status_error),
                          LLMIR_STATUS_OK);
        }
    }
    assert_int_equal(loaded.allocator.allocation_count, count);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

/* ---- Refused allocations ---- */

static llmir_status_t attempt_all(const llmir_allocator_t* allocator,
                                  void* user,
                                  llmir_error_t* error) {
    const tiny_bundle_t* bundle = user;
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    options.allocator = *allocator;
    options.thread_count = TEST_THREADS(2);
    llmir_status_t status = llmir_runtime_create(&options, &runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_memory(runtime, bundle->data, bundle->bytes, NULL, &model, error);
    } else {
        assert_null(runtime);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_create(model, NULL, NULL, &session, error);
    } else {
        assert_null(model);
    }
    if (status != LLMIR_STATUS_OK) {
        assert_null(session);
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return status;
}

static void test_pool_every_refused_allocation_is_reported(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    (void)state;
    assert_true(test_allocator_sweep(attempt_all, &bundle) >= 6);
    tiny_bundle_free(&bundle);
}

/* ---- Memory that was used before: pages begin as NaN ---- */

static void* poison_resize(
    void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    (void)self;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    void* made = NULL;
    if (block != NULL || posix_memalign(&made, alignment < 16 ? 16 : alignment, new_size) != 0) {
        return NULL; /* nothing here asks for another size */
    }
    memset(made, 0xff, new_size);
    return made;
}

static void test_pool_never_reads_pages_before_writing(void** state) {
    tiny_options_t options = tiny_options_default();
    const llmir_allocator_t poison = {NULL, poison_resize};
    float expected[320];
    int32_t ids[70];
    (void)state;
    options.window = 20;
    tiny_ids(2, options.vocab, ids, 70);
    for (int round = 0; round < 2; ++round) {
        tiny_bundle_t bundle = tiny_bundle_build(&options);
        llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
        llmir_runtime_t* runtime = NULL;
        llmir_model_t* model = NULL;
        llmir_session_t* session = NULL;
        runtime_options.thread_count = 1;
        if (round == 1) {
            runtime_options.allocator = poison;
        }
        assert_status(llmir_runtime_create(&runtime_options, &runtime, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_create(model, NULL, NULL, &session, &assert_status_error),
                      LLMIR_STATUS_OK);
        for (size_t i = 0; i < 70; i += 7) {
            assert_status(llmir_session_feed(session, ids + i, 7, &assert_status_error),
                          LLMIR_STATUS_OK);
        }
        if (round == 0) {
            memcpy(expected, llmir_session_logits(session), sizeof(expected));
        } else {
            assert_memory_equal(expected, llmir_session_logits(session), sizeof(expected));
        }
        llmir_session_destroy(session);
        llmir_model_destroy(model);
        llmir_runtime_destroy(runtime);
        tiny_bundle_free(&bundle);
    }
}

/* A device that cannot use the application's memory: activations and pages are its own buffers, the
 * results the same. */
static void test_pool_on_a_device_with_memory_of_its_own(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    float expected[320];
    int32_t ids[100];
    tiny_loaded_t loaded;
    (void)state;
    tiny_ids(3, options.vocab, ids, 100);
    tiny_load(&loaded, &options, 1);
    for (int own = 0; own < 2; ++own) {
        loaded.model->stages[0].caps.can_import = own ? 0u : 1u;
        const size_t before = loaded.allocator.live_bytes;
        llmir_session_t* session = tiny_session(&loaded, NULL);
        assert_status(llmir_model_memory_plan(loaded.model, NULL, &plan, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(loaded.allocator.live_bytes - before, plan.arena_bytes);
        assert_status(llmir_session_feed(session, ids, 100, &assert_status_error), LLMIR_STATUS_OK);
        if (own) {
            assert_memory_equal(expected, llmir_session_logits(session), sizeof(expected));
        } else {
            memcpy(expected, llmir_session_logits(session), sizeof(expected));
        }
        llmir_session_destroy(session);
    }
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_takes_exactly_what_was_announced),
        cmocka_unit_test(test_pool_pages_have_the_size_of_their_tokens),
        cmocka_unit_test(test_pool_positions_can_be_spread_freely),
        cmocka_unit_test(test_pool_refuses_bad_options),
        cmocka_unit_test(test_pool_huge_options_do_not_wrap),
        cmocka_unit_test(test_pool_reads_and_writes_short_structs),
        cmocka_unit_test(test_pool_is_the_last_allocation),
        cmocka_unit_test(test_pool_every_refused_allocation_is_reported),
        cmocka_unit_test(test_pool_never_reads_pages_before_writing),
        cmocka_unit_test(test_pool_on_a_device_with_memory_of_its_own),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
