/* Layers with a window keep their window alone: less memory, the same bits as with all positions
 * kept, whatever is done to the sessions. */
#include <stdlib.h>
#include <string.h>

#include "core/session.h"
#include "quant/kv_layout.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define VOCAB 320u
#define CONTEXT 700u
#define SESSIONS 3u
#define WINDOW 24u
#define PAGE 16u
#define SLACK LLMIR_KV_WINDOW_SLACK

typedef struct windows_case {
    tiny_loaded_t loaded;
    llmir_pool_t* pools[2]; /* windows alone; everything */
    llmir_session_t* sessions[2][SESSIONS];
} windows_case_t;

static llmir_pool_options_t options_of(uint32_t kv_type, uint32_t flags) {
    llmir_pool_options_t options = LLMIR_POOL_OPTIONS_INIT;
    options.context_tokens = CONTEXT * SESSIONS;
    options.session_count = SESSIONS;
    options.chunk_tokens = 40;
    options.kv_type = kv_type;
    options.flags = flags;
    return options;
}

static llmir_session_t* make_session(const windows_case_t* c, int pool, uint32_t overflow) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    options.overflow = overflow;
    options.sink_tokens = overflow == LLMIR_OVERFLOW_ROLL ? 5 : 0;
    options.flags = LLMIR_SESSION_IGNORE_END;
    assert_status(llmir_session_create(c->loaded.model, c->pools[pool], &options, &session,
                                       &assert_status_error),
                  LLMIR_STATUS_OK);
    return session;
}

static void begin(windows_case_t* c, uint32_t kv_type, uint32_t overflow) {
    tiny_options_t tiny = tiny_options_default();
    memset(c, 0, sizeof(*c));
    tiny.window = WINDOW;
    tiny.layers = 3;
    tiny.context = CONTEXT;
    tiny_load(&c->loaded, &tiny, 2);
    for (int i = 0; i < 2; ++i) {
        const llmir_pool_options_t options =
            options_of(kv_type, i == 0 ? 0 : LLMIR_POOL_WHOLE_WINDOWS);
        assert_status(
            llmir_pool_create(c->loaded.model, &options, &c->pools[i], &assert_status_error),
            LLMIR_STATUS_OK);
        for (uint32_t s = 0; s < SESSIONS; ++s) {
            c->sessions[i][s] = make_session(c, i, overflow);
        }
    }
}

static llmir_pool_stats_t stats_of(const windows_case_t* c, int pool) {
    llmir_pool_stats_t stats = {.struct_size = sizeof(stats)};
    assert_status(llmir_pool_get_stats(c->pools[pool], &stats, &assert_status_error),
                  LLMIR_STATUS_OK);
    return stats;
}

static void end(windows_case_t* c) {
    for (int i = 0; i < 2; ++i) {
        for (uint32_t s = 0; s < SESSIONS; ++s) {
            llmir_session_destroy(c->sessions[i][s]);
        }
        const llmir_pool_stats_t stats = stats_of(c, i);
        assert_int_equal(stats.free_page_count + stats.cached_page_count, stats.page_count);
        assert_int_equal(stats.free_window_page_count + stats.cached_window_page_count,
                         stats.window_page_count);
        llmir_pool_destroy(c->pools[i]);
    }
    tiny_unload(&c->loaded);
}

static void feed_one(windows_case_t* c, int pool, uint32_t s, const int32_t* ids, size_t count) {
    assert_status(llmir_session_feed(c->sessions[pool][s], ids, count, &assert_status_error),
                  LLMIR_STATUS_OK);
}

/* Feeds the same to both and compares. */
static void feed(windows_case_t* c, uint32_t s, const int32_t* ids, size_t count) {
    feed_one(c, 0, s, ids, count);
    feed_one(c, 1, s, ids, count);
    assert_int_equal(llmir_session_position(c->sessions[0][s]),
                     llmir_session_position(c->sessions[1][s]));
    assert_memory_equal(llmir_session_logits(c->sessions[0][s]),
                        llmir_session_logits(c->sessions[1][s]), VOCAB * sizeof(float));
}

static void truncate_both(windows_case_t* c, uint32_t s, uint32_t position) {
    for (int i = 0; i < 2; ++i) {
        assert_status(llmir_session_truncate(c->sessions[i][s], position, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(llmir_session_position(c->sessions[i][s]), position);
    }
}

static void test_windows_long_contexts_give_the_same_bits(void** state) {
    int32_t ids[CONTEXT];
    (void)state;
    tiny_ids(3, VOCAB, ids, CONTEXT);
    for (uint32_t kv_type = 0; kv_type < LLMIR_KV_STORAGE_COUNT; ++kv_type) {
        windows_case_t c;
        begin(&c, kv_type, LLMIR_OVERFLOW_STOP);
        feed(&c, 0, ids, 300);
        for (uint32_t i = 300; i < 360; ++i) {
            feed(&c, 0, ids + i, 1);
        }
        feed(&c, 0, ids + 360, CONTEXT - 360);
        feed(&c, 1, ids, 350); /* begins with pages of the first */
        end(&c);
    }
}

/* Three layers of two heads of 16: keys and values of f16 are 128 bytes a token and layer. The
 * second has a window, which takes (24 + 16 + 64) / 16 + 3 pages a session, and 40 / 16 + 1. */
static void test_windows_memory_is_announced_and_does_not_grow(void** state) {
    static const uint32_t contexts[] = {CONTEXT, 4000};
    (void)state;
    for (int i = 0; i < 2; ++i) {
        tiny_options_t tiny = tiny_options_default();
        llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
        tiny_loaded_t loaded;
        tiny.window = WINDOW;
        tiny.layers = 3;
        tiny.context = contexts[i];
        tiny_load(&loaded, &tiny, 1);
        llmir_pool_options_t options = options_of(LLMIR_KV_F16, 0);
        options.context_tokens = contexts[i] / PAGE * PAGE;
        options.session_count = 1;
        const uint64_t pages = options.context_tokens / PAGE;
        assert_status(llmir_model_memory_plan(loaded.model, &options, &plan, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(plan.kv_bytes, (pages * 2 + (9 + 3)) * PAGE * 128);
        options.flags = LLMIR_POOL_WHOLE_WINDOWS;
        assert_status(llmir_model_memory_plan(loaded.model, &options, &plan, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(plan.kv_bytes, pages * 3 * PAGE * 128);
        options.flags = 2;
        assert_status(llmir_model_memory_plan(loaded.model, &options, &plan, &assert_status_error),
                      LLMIR_STATUS_INVALID_ARGUMENT);
        tiny_unload(&loaded);
    }
}

/* A session holds no more than its window, the slack and what pages round up. */
static void test_windows_long_contexts_hold_few_pages(void** state) {
    int32_t ids[CONTEXT];
    windows_case_t c;
    (void)state;
    tiny_ids(4, VOCAB, ids, CONTEXT);
    begin(&c, LLMIR_KV_F16, LLMIR_OVERFLOW_STOP);
    for (uint32_t i = 0; i < CONTEXT; i += 10) {
        feed_one(&c, 0, 0, ids + i, 10);
        const llmir_pool_stats_t stats = stats_of(&c, 0);
        assert_in_range(
            stats.window_page_count - stats.free_window_page_count - stats.cached_window_page_count,
            0, (WINDOW + PAGE + SLACK) / PAGE + 2);
    }
    end(&c);
}

static void test_windows_going_back_a_little_costs_nothing(void** state) {
    int32_t ids[CONTEXT];
    windows_case_t c;
    (void)state;
    tiny_ids(5, VOCAB, ids, CONTEXT);
    begin(&c, LLMIR_KV_F16, LLMIR_OVERFLOW_STOP);
    feed(&c, 0, ids, 500);
    for (uint32_t back = 1; back <= SLACK; back += 7) {
        const uint64_t computed = stats_of(&c, 0).computed_token_count;
        truncate_both(&c, 0, 500 - back);
        feed(&c, 0, ids + 10, back);
        assert_int_equal(stats_of(&c, 0).computed_token_count, computed + back);
    }
    end(&c);
}

/* Pages that went back to the pool are taken again as long as they are there; then the tokens are
 * computed again. */
static void test_windows_going_back_far_gives_the_same_bits(void** state) {
    int32_t ids[CONTEXT];
    windows_case_t c;
    (void)state;
    tiny_ids(6, VOCAB, ids, CONTEXT);
    begin(&c, LLMIR_KV_F16, LLMIR_OVERFLOW_STOP);
    feed(&c, 0, ids, 330);
    uint64_t computed = stats_of(&c, 0).computed_token_count;
    truncate_both(&c, 0, 203); /* its window's pages are cached */
    feed(&c, 0, ids + 7, 1);
    assert_int_equal(stats_of(&c, 0).computed_token_count, computed + 1);
    feed(&c, 0, ids + 50, 400); /* and now they are given up */
    truncate_both(&c, 0, 103);
    truncate_both(&c, 0, 101);
    computed = stats_of(&c, 0).computed_token_count;
    feed(&c, 0, ids + 9, 1);
    assert_true(stats_of(&c, 0).computed_token_count > computed + 1);
    feed(&c, 0, ids + 10, 100);
    end(&c);
}

/* Saves a session of each pool and restores it in its place. */
typedef struct memory_file {
    uint8_t* data;
    size_t bytes;
    size_t read;
} memory_file_t;

static llmir_status_t write_memory(const void* data, size_t bytes, void* user) {
    memory_file_t* file = user;
    file->data = realloc(file->data, file->bytes + bytes);
    memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t read_memory(void* data, size_t bytes, void* user) {
    memory_file_t* file = user;
    if (bytes > file->bytes - file->read) {
        return LLMIR_STATUS_IO;
    }
    memcpy(data, file->data + file->read, bytes);
    file->read += bytes;
    return LLMIR_STATUS_OK;
}

static void save_and_restore(windows_case_t* c, uint32_t s) {
    size_t bytes[2];
    for (int i = 0; i < 2; ++i) {
        llmir_session_t* session = c->sessions[i][s];
        memory_file_t file = {0};
        const uint64_t announced = llmir_session_saved_bytes(session);
        assert_status(llmir_session_save(session, write_memory, &file, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_int_equal(file.bytes, announced);
        assert_status(llmir_session_restore(session, read_memory, &file, &assert_status_error),
                      LLMIR_STATUS_OK);
        bytes[i] = file.bytes;
        free(file.data);
    }
    assert_true(bytes[0] <= bytes[1]);
}

static void fork_over(windows_case_t* c, uint32_t from, uint32_t to) {
    for (int i = 0; i < 2 && from != to; ++i) {
        llmir_session_destroy(c->sessions[i][to]);
        assert_status(
            llmir_session_fork(c->sessions[i][from], &c->sessions[i][to], &assert_status_error),
            LLMIR_STATUS_OK);
    }
}

/* A feed that is stopped on its way leaves the session as before. */
static void stop_a_feed(windows_case_t* c, uint32_t s, const int32_t* ids, size_t count) {
    const uint32_t position = llmir_session_position(c->sessions[0][s]);
    llmir_session_set_deadline(c->sessions[0][s], 1);
    (void)!llmir_session_feed(c->sessions[0][s], ids, count, NULL);
    llmir_session_set_deadline(c->sessions[0][s], 0);
    if (llmir_session_position(c->sessions[0][s]) != position) {
        feed_one(c, 1, s, ids, count); /* it was faster than the deadline */
    }
}

static void random_step(windows_case_t* c, test_random_t* random, uint32_t overflow) {
    const uint32_t s = test_random_below(random, SESSIONS);
    const uint32_t position = llmir_session_position(c->sessions[0][s]);
    int32_t ids[200];
    /* Few beginnings, so that sessions meet. */
    tiny_ids(1 + test_random_below(random, 2), VOCAB, ids, 200);
    const uint32_t count = 1 + test_random_below(random, test_random_below(random, 2) ? 4 : 199);
    const int fits = overflow == LLMIR_OVERFLOW_ROLL || position + count <= CONTEXT;
    switch (test_random_below(random, 8)) {
        case 0:
            truncate_both(c, s, test_random_below(random, position + 1));
            break;
        case 1:
            truncate_both(c, s, position - test_random_below(random, position < 70 ? 1 : 70));
            break;
        case 2:
            fork_over(c, s, test_random_below(random, SESSIONS));
            break;
        case 3:
            save_and_restore(c, s);
            break;
        case 4:
            if (fits) {
                stop_a_feed(c, s, ids, count);
            }
            break;
        default:
            if (fits) {
                feed(c, s, ids, count);
            } else {
                llmir_session_reset(c->sessions[0][s]);
                llmir_session_reset(c->sessions[1][s]);
            }
            break;
    }
}

static void test_windows_random_use_gives_the_same_bits(void** state) {
    static const uint32_t overflows[] = {LLMIR_OVERFLOW_STOP, LLMIR_OVERFLOW_ROLL};
    test_random_t random;
    (void)state;
    test_random_init(&random, 44);
    for (uint32_t kv_type = 0; kv_type < LLMIR_KV_STORAGE_COUNT; ++kv_type) {
        for (int o = 0; o < 2; ++o) {
            windows_case_t c;
            begin(&c, kv_type, overflows[o]);
            for (int i = 0; i < 120; ++i) {
                random_step(&c, &random, overflows[o]);
            }
            end(&c);
        }
    }
}

/* Several sessions in one pass, at their limit of pages. */
static void test_windows_passes_over_sessions_always_have_room(void** state) {
    int32_t ids[CONTEXT];
    windows_case_t c;
    (void)state;
    tiny_ids(7, VOCAB, ids, CONTEXT);
    begin(&c, LLMIR_KV_F16, LLMIR_OVERFLOW_STOP);
    for (uint32_t at = 0; at + 40 <= CONTEXT; at += 20) {
        for (int i = 0; i < 2; ++i) {
            const llmir_feed_t feeds[SESSIONS] = {{c.sessions[i][0], ids + at, 13, NULL},
                                                  {c.sessions[i][1], ids + at + 3, 20, NULL},
                                                  {c.sessions[i][2], ids + at + 9, 7, NULL}};
            assert_status(llmir_pool_feed(c.pools[i], feeds, SESSIONS, &assert_status_error),
                          LLMIR_STATUS_OK);
        }
        for (uint32_t s = 0; s < SESSIONS; ++s) {
            assert_memory_equal(llmir_session_logits(c.sessions[0][s]),
                                llmir_session_logits(c.sessions[1][s]), VOCAB * sizeof(float));
        }
    }
    end(&c);
}

/* ---- Refused allocations ---- */

/* A model with windows, a pool that keeps them apart, a session that has passed its window. */
static llmir_status_t attempt(const llmir_allocator_t* allocator,
                              void* user,
                              llmir_error_t* error) {
    const tiny_bundle_t* bundle = user;
    const llmir_pool_options_t pool_options = options_of(LLMIR_KV_Q8, 0);
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_pool_t* pool = NULL;
    llmir_session_t* session = NULL;
    llmir_session_t* child = NULL;
    int32_t ids[4 * WINDOW];
    options.allocator = *allocator;
    options.thread_count = TEST_THREADS(2);
    tiny_ids(1, VOCAB, ids, 4 * WINDOW);
    llmir_status_t status = llmir_runtime_create(&options, &runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_memory(runtime, bundle->data, bundle->bytes, NULL, &model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_pool_create(model, &pool_options, &pool, error);
    }
    if (status == LLMIR_STATUS_OK) {
        assert_true(pool->layout.window_page_count != 0);
        assert_status(llmir_session_create(model, pool, NULL, &session, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_feed(session, ids, 4 * WINDOW, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_fork(session, &child, &assert_status_error), LLMIR_STATUS_OK);
    } else {
        assert_null(pool);
    }
    llmir_session_destroy(child);
    llmir_session_destroy(session);
    llmir_pool_destroy(pool);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return status;
}

static void test_windows_every_refused_allocation_is_reported(void** state) {
    tiny_options_t options = tiny_options_default();
    (void)state;
    options.window = WINDOW;
    options.layers = 3;
    options.context = CONTEXT;
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    assert_true(test_allocator_sweep(attempt, &bundle) >= 6);
    tiny_bundle_free(&bundle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_long_contexts_give_the_same_bits),
        cmocka_unit_test(test_windows_memory_is_announced_and_does_not_grow),
        cmocka_unit_test(test_windows_long_contexts_hold_few_pages),
        cmocka_unit_test(test_windows_going_back_a_little_costs_nothing),
        cmocka_unit_test(test_windows_going_back_far_gives_the_same_bits),
        cmocka_unit_test(test_windows_random_use_gives_the_same_bits),
        cmocka_unit_test(test_windows_passes_over_sessions_always_have_room),
        cmocka_unit_test(test_windows_every_refused_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
