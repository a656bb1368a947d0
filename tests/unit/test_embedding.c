/* What an application injects and demands: executor, trace, deadlines, several runtimes at once. */
#include <stdlib.h>
#include <string.h>

#include "core/base/deadline.h"
#include "platform/platform.h"
#include "tests/support/tiny_model.h"

#if defined(_OPENMP)
#include "llmir_openmp.h"
#endif

#define TOKENS 90u
#define VOCAB 320u

/* ---- Executors ---- */

typedef struct executor_case {
    uint32_t concurrency;
    uint32_t run_count;  /* calls of run */
    uint32_t task_count; /* tasks of the last one */
    int drops;           /* runs no task at all */
} executor_case_t;

static uint32_t case_concurrency(void* self) {
    return ((executor_case_t*)self)->concurrency;
}

/* One task after the other on the calling thread. */
static void run_in_turn(void* self, llmir_task_fn task, void* task_user, uint32_t count) {
    executor_case_t* c = self;
    ++c->run_count;
    c->task_count = count;
    for (uint32_t i = 0; i < count && !c->drops; ++i) {
        task(task_user, i);
    }
}

typedef struct task_thread {
    llmir_thread_t thread;
    llmir_task_fn task;
    void* user;
    uint32_t index;
} task_thread_t;

static void run_task_thread(void* user) {
    const task_thread_t* thread = user;
    thread->task(thread->user, thread->index);
}

/* A new thread for each task. */
static void run_on_threads(void* self, llmir_task_fn task, void* task_user, uint32_t count) {
    executor_case_t* c = self;
    task_thread_t threads[8];
    ++c->run_count;
    c->task_count = count;
    for (uint32_t i = 0; i < count && i < 8; ++i) {
        threads[i] = (task_thread_t){.task = task, .user = task_user, .index = i};
        if (llmir_thread_start(&threads[i].thread, run_task_thread, &threads[i], NULL) !=
            LLMIR_STATUS_OK) {
            abort();
        }
    }
    for (uint32_t i = 0; i < count && i < 8; ++i) {
        llmir_thread_join(&threads[i].thread);
    }
}

/* Loads a tiny model on a runtime with these options, feeds, and copies the logits. */
static void logits_with(llmir_runtime_options_t options, float* out_logits) {
    tiny_options_t tiny = tiny_options_default();
    tiny_bundle_t bundle;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    int32_t ids[TOKENS];
    tiny.layout = LLMIR_LAYOUT_PANEL_S8;
    bundle = tiny_bundle_build(&tiny);
    tiny_ids(3, VOCAB, ids, TOKENS);
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                          &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(model, NULL, NULL, &session, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(session, ids, 60, &assert_status_error), LLMIR_STATUS_OK);
    for (uint32_t i = 60; i < TOKENS; ++i) {
        assert_status(llmir_session_feed(session, ids + i, 1, &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    memcpy(out_logits, llmir_session_logits(session), VOCAB * sizeof(float));
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
}

static void test_embedding_executors_give_the_same_bits(void** state) {
    float expected[VOCAB], got[VOCAB];
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    (void)state;
    options.thread_count = 1;
    logits_with(options, expected);
    for (int kind = 0; kind < 3; ++kind) {
        executor_case_t c = {.concurrency = 3, .drops = kind == 2};
        options = (llmir_runtime_options_t)LLMIR_RUNTIME_OPTIONS_INIT;
        options.executor =
            (llmir_executor_t){&c, case_concurrency, kind == 1 ? run_on_threads : run_in_turn};
        logits_with(options, got);
        assert_memory_equal(expected, got, sizeof(got));
        assert_int_equal(c.run_count, 1 + TOKENS - 60);
        assert_int_equal(c.task_count, 3);
    }
#if defined(_OPENMP)
    options.executor = llmir_openmp_executor();
    options.thread_count = 2;
    logits_with(options, got);
    assert_memory_equal(expected, got, sizeof(got));
#endif
}

static void test_embedding_executor_makes_no_threads(void** state) {
    executor_case_t c = {.concurrency = 5};
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    (void)state;
    options.executor = (llmir_executor_t){&c, case_concurrency, run_in_turn};
    assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_runtime_thread_count(runtime), 5);
    llmir_runtime_destroy(runtime);
    options.executor.concurrency = NULL;
    assert_status_message(llmir_runtime_create(&options, &runtime, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "one of its two callbacks");
    assert_null(runtime);
}

/* ---- Cache ---- */

static size_t get_nothing(void* self, const char* key, void* out_data, size_t capacity) {
    (void)self, (void)key, (void)out_data, (void)capacity;
    return 0;
}

static void test_embedding_cache_has_both_callbacks_or_neither(void** state) {
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    (void)state;
    options.cache.get = get_nothing;
    assert_status_message(llmir_runtime_create(&options, &runtime, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "the cache has one of its two callbacks");
    assert_null(runtime);
}

/* ---- Trace ---- */

#define MAX_EVENTS 256u

typedef struct trace_log {
    llmir_trace_event_t events[MAX_EVENTS];
    uint32_t count;
    llmir_session_t* cancelled; /* cancelled at the event `cancel_at` */
    uint32_t cancel_at;
} trace_log_t;

static void log_event(const llmir_trace_event_t* event, void* user) {
    trace_log_t* log = user;
    if (log->count < MAX_EVENTS) {
        log->events[log->count] = *event;
    }
    ++log->count;
    if (log->cancelled != NULL && log->count == log->cancel_at) {
        llmir_session_cancel(log->cancelled);
    }
}

/* Spans begin and end in turn, inside their pass, in the order of the plan and of time. */
static void check_spans(const trace_log_t* log, uint32_t token_count) {
    const llmir_trace_event_t* events = log->events;
    assert_true(log->count <= MAX_EVENTS);
    assert_string_equal(events[0].name, "pass");
    assert_string_equal(events[log->count - 1].name, "pass");
    assert_int_equal(events[0].phase, LLMIR_TRACE_BEGIN);
    assert_int_equal(events[log->count - 1].phase, LLMIR_TRACE_END);
    for (uint32_t i = 0; i < log->count; ++i) {
        assert_int_equal(events[i].struct_size, sizeof(events[i]));
        assert_int_equal(events[i].token_count, token_count);
        assert_int_equal(events[i].sequence_count, 1);
        assert_true(i == 0 || events[i].time_ns >= events[i - 1].time_ns);
    }
    for (uint32_t i = 1; i + 1 < log->count; i += 2) {
        assert_int_equal(events[i].phase, LLMIR_TRACE_BEGIN);
        assert_int_equal(events[i + 1].phase, LLMIR_TRACE_END);
        assert_int_equal(events[i].dispatch, events[i + 1].dispatch);
        assert_true(i == 1 || events[i].dispatch > events[i - 2].dispatch);
        assert_string_equal(events[i].name, events[i + 1].name);
    }
}

static uint32_t count_named(const trace_log_t* log, const char* name) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->count; ++i) {
        count += strcmp(log->events[i].name, name) == 0;
    }
    return count;
}

static void test_embedding_trace_has_a_span_for_each_dispatch(void** state) {
    const tiny_options_t tiny = tiny_options_default();
    int32_t ids[TOKENS];
    (void)state;
    tiny_ids(3, VOCAB, ids, TOKENS);
    for (uint32_t threads = 1; threads <= 4; ++threads) {
        tiny_bundle_t bundle = tiny_bundle_build(&tiny);
        llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
        trace_log_t* log = calloc(1, sizeof(*log));
        llmir_runtime_t* runtime = NULL;
        llmir_model_t* model = NULL;
        llmir_session_t* session = NULL;
        assert_non_null(log);
        options.thread_count = threads;
        options.trace = log_event;
        options.trace_user = log;
        assert_status(llmir_runtime_create(&options, &runtime, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                              &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_create(model, NULL, NULL, &session, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_feed(session, ids, 50, &assert_status_error), LLMIR_STATUS_OK);
        check_spans(log, 50);
        assert_int_equal(count_named(log, "attention"), 2 * tiny.layers);
        assert_int_equal(count_named(log, "embed"), 2);
        assert_int_equal(count_named(log, "linear"), 2 * (4 * tiny.layers + 1));
        assert_int_equal(log->events[1].layer, LLMIR_TRACE_NO_LAYER);
        const uint32_t whole = log->count;
        /* Cancelled in the middle: what began ends. */
        log->count = 0;
        log->cancelled = session;
        log->cancel_at = whole / 2;
        assert_status(llmir_session_feed(session, ids, 20, &assert_status_error),
                      LLMIR_STATUS_CANCELLED);
        check_spans(log, 20);
        assert_true(log->count < whole);
        llmir_session_destroy(session);
        llmir_model_destroy(model);
        llmir_runtime_destroy(runtime);
        tiny_bundle_free(&bundle);
        free(log);
    }
}

/* ---- Deadlines ---- */

static void test_embedding_ticks_wrap(void** state) {
    const uint64_t ms = LLMIR_DEADLINE_NS_PER_TICK;
    const uint64_t wrap = (1ull << 32) * ms;
    (void)state;
    for (uint64_t now = wrap - 4 * ms; now < wrap + 4 * ms; now += ms / 2) {
        const uint32_t soon = llmir_deadline_after(now, 3 * ms);
        const uint32_t late = llmir_deadline_after(now, UINT64_MAX);
        assert_int_not_equal(soon, LLMIR_DEADLINE_NONE);
        assert_false(llmir_deadline_is_over(soon, now));
        assert_false(llmir_deadline_is_over(soon, now + 2 * ms));
        assert_true(llmir_deadline_is_over(soon, now + 5 * ms));
        assert_false(llmir_deadline_is_over(late, now + 1000000 * ms));
        assert_int_equal(llmir_deadline_earlier(soon, late), soon);
        assert_int_equal(llmir_deadline_earlier(late, soon), soon);
        assert_int_equal(llmir_deadline_earlier(LLMIR_DEADLINE_NONE, soon), soon);
        assert_int_equal(llmir_deadline_earlier(soon, LLMIR_DEADLINE_NONE), soon);
    }
}

static void wait_ms(uint64_t ms) {
    const uint64_t end = llmir_clock_ns() + ms * 1000000u;
    while (llmir_clock_ns() < end) {
        llmir_cpu_relax();
    }
}

static void test_embedding_deadline_stops_feed_and_next(void** state) {
    const tiny_options_t tiny = tiny_options_default();
    tiny_loaded_t loaded;
    llmir_piece_t piece;
    int32_t ids[TOKENS];
    (void)state;
    tiny_ids(3, VOCAB, ids, TOKENS);
    tiny_load(&loaded, &tiny, 2);
    llmir_session_t* session = tiny_session(&loaded, NULL);
    llmir_session_t* other = tiny_session(&loaded, NULL);
    llmir_session_set_deadline(session, 1);
    wait_ms(4);
    assert_status(llmir_session_feed(session, ids, 5, &assert_status_error), LLMIR_STATUS_DEADLINE);
    assert_int_equal(llmir_session_position(session), 0);
    assert_status(llmir_session_feed(other, ids, 5, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_set_deadline(session, 0);
    assert_status(llmir_session_feed(session, ids, 5, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_set_deadline(session, 1);
    wait_ms(4);
    assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_DEADLINE);
    assert_int_equal(piece.token, -1);
    llmir_session_set_deadline(session, 60000000000u);
    assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_set_deadline(NULL, 5);
    llmir_session_destroy(session);
    llmir_session_destroy(other);
    tiny_unload(&loaded);
}

static void test_embedding_earliest_deadline_stops_a_batch(void** state) {
    const tiny_options_t tiny = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_t* sessions[2];
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    int32_t ids[TOKENS];
    (void)state;
    tiny_ids(3, VOCAB, ids, TOKENS);
    tiny_load(&loaded, &tiny, 2);
    pool_options.session_count = 2;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (int i = 0; i < 2; ++i) {
        assert_status(
            llmir_session_create(loaded.model, pool, NULL, &sessions[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    const llmir_feed_t feeds[2] = {{sessions[0], ids, 10, NULL}, {sessions[1], ids, 5, NULL}};
    llmir_session_set_deadline(sessions[0], 60000000000u);
    llmir_session_set_deadline(sessions[1], 1);
    wait_ms(4);
    assert_status(llmir_pool_feed(pool, feeds, 2, &assert_status_error), LLMIR_STATUS_DEADLINE);
    assert_int_equal(llmir_session_position(sessions[0]), 0);
    llmir_session_set_deadline(sessions[1], 0);
    assert_status(llmir_pool_feed(pool, feeds, 2, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_destroy(sessions[0]);
    llmir_session_destroy(sessions[1]);
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

typedef struct setter {
    llmir_session_t* session;
    llmir_atomic_u32_t begun;
    uint64_t done_ns;
} setter_t;

static void set_deadline_later(void* user) {
    setter_t* setter = user;
    while (llmir_atomic_load_acquire(&setter->begun) == 0) {
        llmir_cpu_relax();
    }
    wait_ms(5);
    llmir_session_set_deadline(setter->session, 1);
    setter->done_ns = llmir_clock_ns();
}

/* A pass of a second and more stops soon after another thread has set a deadline, though each of
 * its dispatches takes long. The limit is far above what is promised: the machine may be busy. */
static void test_embedding_deadline_set_by_another_thread_stops_a_long_pass(void** state) {
    tiny_options_t tiny = tiny_options_default();
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    enum { COUNT = 2000 };
    tiny_loaded_t loaded;
    llmir_thread_t thread;
    int32_t* ids = malloc(COUNT * sizeof(*ids));
    (void)state;
    assert_non_null(ids);
    tiny.context = COUNT;
    tiny.ffn = 4096;
    tiny.dim = 256;
    tiny.layers = 8;
    tiny_ids(3, VOCAB, ids, COUNT);
    tiny_load(&loaded, &tiny, 2);
    options.chunk_tokens = COUNT;
    llmir_session_t* session = tiny_session(&loaded, &options);
    setter_t setter = {.session = session};
    assert_status(llmir_thread_start(&thread, set_deadline_later, &setter, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_atomic_store_release(&setter.begun, 1);
    assert_status(llmir_session_feed(session, ids, COUNT, &assert_status_error),
                  LLMIR_STATUS_DEADLINE);
    const uint64_t end = llmir_clock_ns();
    llmir_thread_join(&thread);
    const uint64_t late_ms = end > setter.done_ns ? (end - setter.done_ns) / 1000000u : 0;
    print_message("stopped %llu ms after the deadline was set\n", (unsigned long long)late_ms);
    assert_true(late_ms < 500);
    assert_int_equal(llmir_session_position(session), 0);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
    free(ids);
}

/* ---- Many at once ---- */

typedef struct runtime_thread {
    llmir_thread_t thread;
    const tiny_bundle_t* bundle;
    float logits[VOCAB];
    uint32_t failed;
} runtime_thread_t;

/* Two models on a runtime of its own, feeding in turn. CMocka asserts do not work here. */
static void run_runtime(void* user) {
    runtime_thread_t* t = user;
    llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* models[2] = {NULL, NULL};
    llmir_session_t* sessions[2] = {NULL, NULL};
    int32_t ids[TOKENS];
    tiny_ids(3, VOCAB, ids, TOKENS);
    options.thread_count = 2;
    llmir_status_t status = llmir_runtime_create(&options, &runtime, NULL);
    for (int i = 0; i < 2 && status == LLMIR_STATUS_OK; ++i) {
        status = llmir_model_load_memory(runtime, t->bundle->data, t->bundle->bytes, NULL,
                                         &models[i], NULL);
        if (status == LLMIR_STATUS_OK) {
            status = llmir_session_create(models[i], NULL, NULL, &sessions[i], NULL);
        }
    }
    for (uint32_t k = 0; k < TOKENS && status == LLMIR_STATUS_OK; k += 10) {
        for (int i = 0; i < 2 && status == LLMIR_STATUS_OK; ++i) {
            status = llmir_session_feed(sessions[i], ids + k, 10, NULL);
        }
    }
    t->failed = status != LLMIR_STATUS_OK ||
                memcmp(llmir_session_logits(sessions[0]), llmir_session_logits(sessions[1]),
                       sizeof(t->logits)) != 0;
    if (!t->failed) {
        memcpy(t->logits, llmir_session_logits(sessions[0]), sizeof(t->logits));
    }
    for (int i = 0; i < 2; ++i) {
        llmir_session_destroy(sessions[i]);
        llmir_model_destroy(models[i]);
    }
    llmir_runtime_destroy(runtime);
}

static void test_embedding_runtimes_and_models_do_not_meet(void** state) {
    enum { THREADS = 4 };
    const tiny_options_t tiny = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&tiny);
    static runtime_thread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; ++i) {
        threads[i].bundle = &bundle;
        assert_status(
            llmir_thread_start(&threads[i].thread, run_runtime, &threads[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    for (int i = 0; i < THREADS; ++i) {
        llmir_thread_join(&threads[i].thread);
    }
    for (int i = 0; i < THREADS; ++i) {
        assert_false(threads[i].failed);
        assert_memory_equal(threads[i].logits, threads[0].logits, sizeof(threads[0].logits));
    }
    tiny_bundle_free(&bundle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedding_executors_give_the_same_bits),
        cmocka_unit_test(test_embedding_executor_makes_no_threads),
        cmocka_unit_test(test_embedding_cache_has_both_callbacks_or_neither),
        cmocka_unit_test(test_embedding_trace_has_a_span_for_each_dispatch),
        cmocka_unit_test(test_embedding_ticks_wrap),
        cmocka_unit_test(test_embedding_deadline_stops_feed_and_next),
        cmocka_unit_test(test_embedding_earliest_deadline_stops_a_batch),
        cmocka_unit_test(test_embedding_deadline_set_by_another_thread_stops_a_long_pass),
        cmocka_unit_test(test_embedding_runtimes_and_models_do_not_meet),
    };
    return cmocka_run_group_tests_name("embedding", tests, NULL, NULL);
}
