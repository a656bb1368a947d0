/* Long use: what is taken comes back, and a prefix is computed once however many ask for it. */
#include <string.h>

#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define VOCAB 320u
#define REQUESTS 16u
#define PREFIX 1000u
#define SUFFIX 20u

static void test_endurance_thousand_loads_return_every_byte(void** state) {
    const tiny_options_t options = tiny_options_default();
    test_allocator_t counter = {0};
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    int32_t ids[20];
    size_t peak = 0;
    (void)state;
    tiny_ids(1, VOCAB, ids, 20);
    runtime_options.allocator = test_allocator(&counter);
    runtime_options.thread_count = TEST_THREADS(2);
    for (uint32_t i = 0; i < TEST_SHARE(1000u); ++i) {
        llmir_runtime_t* runtime = NULL;
        llmir_model_t* model = NULL;
        llmir_session_t* session = NULL;
        llmir_piece_t piece;
        assert_status(llmir_runtime_create(&runtime_options, &runtime, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_create(model, NULL, NULL, &session, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_feed(session, ids, 20, &assert_status_error), LLMIR_STATUS_OK);
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        llmir_session_destroy(session);
        llmir_model_destroy(model);
        llmir_runtime_destroy(runtime);
        test_allocator_check(&counter);
        assert_true(i == 0 || counter.peak_bytes == peak);
        peak = counter.peak_bytes;
    }
    tiny_bundle_free(&bundle);
}

static llmir_pool_stats_t stats_of(const llmir_pool_t* pool) {
    llmir_pool_stats_t stats = {.struct_size = sizeof(stats)};
    assert_status(llmir_pool_get_stats(pool, &stats, &assert_status_error), LLMIR_STATUS_OK);
    return stats;
}

/* 1,000 tokens that 16 requests have in common: the first computes them, the others what is left
 * behind the last full page. */
static void check_prefix(uint32_t window, uint32_t kv_type) {
    tiny_options_t tiny = tiny_options_default();
    llmir_pool_options_t options = LLMIR_POOL_OPTIONS_INIT;
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    llmir_session_t* sessions[REQUESTS];
    int32_t ids[PREFIX + SUFFIX];
    tiny.window = window;
    tiny.context = 1100;
    tiny_load(&loaded, &tiny, 2);
    options.session_count = REQUESTS;
    options.context_tokens = REQUESTS * 1100;
    options.chunk_tokens = 128;
    options.kv_type = kv_type;
    assert_status(llmir_pool_create(loaded.model, &options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    const uint32_t shared = PREFIX / tiny.page_tokens * tiny.page_tokens;
    tiny_ids(2, VOCAB, ids, PREFIX);
    for (uint32_t i = 0; i < REQUESTS; ++i) {
        assert_status(
            llmir_session_create(loaded.model, pool, NULL, &sessions[i], &assert_status_error),
            LLMIR_STATUS_OK);
        tiny_ids(100 + i, VOCAB, ids + PREFIX, SUFFIX);
        assert_status(llmir_session_feed(sessions[i], ids, PREFIX + SUFFIX, &assert_status_error),
                      LLMIR_STATUS_OK);
        const llmir_pool_stats_t stats = stats_of(pool);
        assert_int_equal(stats.computed_token_count,
                         PREFIX + SUFFIX + i * (PREFIX + SUFFIX - shared));
        assert_int_equal(stats.reused_token_count, (uint64_t)i * shared);
    }
    for (uint32_t i = 0; i < REQUESTS; ++i) {
        llmir_session_destroy(sessions[i]);
    }
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

static void test_endurance_shared_prefix_is_computed_once(void** state) {
    (void)state;
    check_prefix(0, LLMIR_KV_F16);
    check_prefix(100, LLMIR_KV_F16);
    check_prefix(100, LLMIR_KV_Q8);
}

/* Requests come and go for 200,000 tokens (fewer under an emulator); in the end all pages are the
 * pool's, and nothing was allocated meanwhile. */
static void test_endurance_token_traffic_does_not_grow(void** state) {
    tiny_options_t tiny = tiny_options_default();
    llmir_pool_options_t options = LLMIR_POOL_OPTIONS_INIT;
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    llmir_session_t* sessions[4] = {NULL};
    int32_t ids[300];
    test_random_t random;
    (void)state;
    test_random_init(&random, 91);
    tiny.window = 40;
    tiny_load(&loaded, &tiny, 2);
    options.session_count = 4;
    options.context_tokens = 4 * 300;
    options.chunk_tokens = 64;
    assert_status(llmir_pool_create(loaded.model, &options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    const size_t allocations = loaded.allocator.allocation_count;
    for (uint64_t fed = 0; fed < TEST_SHARE(200000u);) {
        llmir_session_t** session = &sessions[test_random_below(&random, 4)];
        const uint32_t count = 1 + test_random_below(&random, 299);
        llmir_session_destroy(*session);
        assert_status(llmir_session_create(loaded.model, pool, NULL, session, &assert_status_error),
                      LLMIR_STATUS_OK);
        tiny_ids(test_random_below(&random, 50), VOCAB, ids, 300);
        assert_status(llmir_session_feed(*session, ids, count, &assert_status_error),
                      LLMIR_STATUS_OK);
        fed += count;
    }
    for (int i = 0; i < 4; ++i) {
        llmir_session_destroy(sessions[i]);
    }
    const llmir_pool_stats_t stats = stats_of(pool);
    assert_int_equal(stats.free_page_count + stats.cached_page_count, stats.page_count);
    assert_int_equal(stats.free_window_page_count + stats.cached_window_page_count,
                     stats.window_page_count);
    assert_int_equal(loaded.allocator.allocation_count, allocations);
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endurance_thousand_loads_return_every_byte),
        cmocka_unit_test(test_endurance_shared_prefix_is_computed_once),
        cmocka_unit_test(test_endurance_token_traffic_does_not_grow),
    };
    return cmocka_run_group_tests_name("endurance", tests, NULL, NULL);
}
