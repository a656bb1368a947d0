/* The scheduler with a thread of its own: requests from several threads at once, and readers that
 * wait. Every output is that of the request alone. */
#include <string.h>

#include "platform/platform.h"
#include "tests/support/tiny_requests.h"

#define THREADS 4u
#define EACH 50u
#define CONTEXT 512u

typedef struct client {
    llmir_scheduler_t* scheduler;
    tiny_request_t requests[EACH];
    uint64_t seed;
    uint32_t whole;
    uint32_t cancelled;
    uint32_t wrong;
} client_t;

/* Submits, again while the scheduler is full; cancels every tenth in the middle. No assertions
 * here: they are for the test's own thread. */
static void serve(client_t* client, uint32_t index, test_random_t* random) {
    tiny_request_t* request = &client->requests[index];
    const llmir_request_options_t options = tiny_request_options(request);
    llmir_request_t* handle = NULL;
    tiny_answer_t answer;
    llmir_status_t status = LLMIR_STATUS_OK;
    memset(&answer, 0, sizeof(answer));
    while (llmir_scheduler_submit(client->scheduler, &options, &handle, NULL) ==
           LLMIR_STATUS_CAPACITY) {
        llmir_cpu_relax();
    }
    const uint32_t stop_after = index % 10u == 9u ? test_random_below(random, 4) : UINT32_MAX;
    while (status == LLMIR_STATUS_OK && answer.finish == LLMIR_FINISH_NONE) {
        llmir_piece_t piece;
        if (answer.token_count >= stop_after) {
            llmir_request_cancel(handle);
        }
        status = llmir_request_next(handle, UINT64_MAX, &piece, NULL);
        if (status == LLMIR_STATUS_OK && !tiny_answer_append(&answer, &piece)) {
            client->wrong += 1u;
            break;
        }
    }
    const int is_whole = answer.finish != LLMIR_FINISH_NONE;
    client->whole += is_whole ? 1u : 0u;
    client->cancelled += status == LLMIR_STATUS_CANCELLED ? 1u : 0u;
    client->wrong += tiny_answer_equals(&answer, &request->alone, !is_whole) ? 0u : 1u;
    llmir_request_destroy(handle);
}

static void run_client(void* user) {
    client_t* client = user;
    test_random_t random;
    test_random_init(&random, client->seed);
    for (uint32_t i = 0; i < EACH; ++i) {
        serve(client, i, &random);
    }
}

static client_t clients[THREADS]; /* large */

static void test_scheduler_serves_several_threads(void** state) {
    static _Alignas(64) uint8_t swap[1 << 18];
    const tiny_options_t model = tiny_options_default();
    llmir_scheduler_options_t options = LLMIR_SCHEDULER_OPTIONS_INIT;
    llmir_scheduler_stats_t stats = {.struct_size = sizeof(stats)};
    llmir_scheduler_t* scheduler = NULL;
    llmir_thread_t threads[THREADS];
    test_random_t random;
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &model, 2);
    test_random_init(&random, 12);
    options.flags = LLMIR_SCHEDULER_THREAD;
    options.context_tokens = 300;
    options.session_count = 6;
    options.request_count = 5;
    options.chunk_tokens = 40;
    options.swap = swap;
    options.swap_bytes = sizeof(swap);
    assert_status(llmir_scheduler_create(loaded.model, &options, &scheduler, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_scheduler_step(scheduler, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    for (uint32_t t = 0; t < THREADS; ++t) {
        clients[t].scheduler = scheduler;
        clients[t].seed = 100u + t;
        for (uint32_t i = 0; i < EACH; ++i) {
            tiny_request_draw(&random, &clients[t].requests[i]);
            tiny_request_run_alone(&loaded, &clients[t].requests[i], 300);
        }
    }
    for (uint32_t t = 0; t < THREADS; ++t) {
        assert_status(
            llmir_thread_start(&threads[t], run_client, &clients[t], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    uint32_t whole = 0;
    for (uint32_t t = 0; t < THREADS; ++t) {
        llmir_thread_join(&threads[t]);
        whole += clients[t].whole;
        assert_int_equal(clients[t].wrong, 0);
        assert_int_equal(clients[t].whole + clients[t].cancelled, EACH);
    }
    assert_status(llmir_scheduler_get_stats(scheduler, &stats, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(stats.finished_count, whole);
    assert_true(whole >= THREADS * EACH * 9u / 10u);
    assert_int_equal(stats.finished_count + stats.failed_count, THREADS * EACH);
    llmir_scheduler_destroy(scheduler);
    tiny_unload(&loaded);
}

/* The thread sleeps until something comes, keeps deadlines of requests that nobody reads, and stops
 * in the middle of its work. */
static void test_scheduler_thread_keeps_deadlines_and_stops(void** state) {
    const tiny_options_t model = tiny_options_default();
    llmir_scheduler_options_t options = LLMIR_SCHEDULER_OPTIONS_INIT;
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    llmir_request_options_t request = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_request_info_t info = {.struct_size = sizeof(info)};
    llmir_scheduler_t* scheduler = NULL;
    llmir_request_t* unread = NULL;
    llmir_request_t* other = NULL;
    llmir_piece_t piece = {.token = 0};
    tiny_loaded_t loaded;
    int32_t ids[200];
    (void)state;
    tiny_load(&loaded, &model, 1);
    tiny_ids(4, 320, ids, 200);
    options.flags = LLMIR_SCHEDULER_THREAD;
    assert_status(llmir_scheduler_create(loaded.model, &options, &scheduler, &assert_status_error),
                  LLMIR_STATUS_OK);
    session.flags = LLMIR_SESSION_IGNORE_END;
    request.session = &session;
    request.tokens = ids;
    request.token_count = 200;
    request.timeout_ns = 300000000u;
    assert_status(llmir_scheduler_submit(scheduler, &request, &unread, &assert_status_error),
                  LLMIR_STATUS_OK);
    const uint64_t start_ns = llmir_clock_ns();
    do {
        assert_status(llmir_request_get_info(unread, &info, &assert_status_error), LLMIR_STATUS_OK);
    } while (info.state != LLMIR_REQUEST_FINISHED && llmir_clock_ns() - start_ns < 20000000000u);
    assert_int_equal(info.status, LLMIR_STATUS_DEADLINE);
    /* What it said before is there; then the reason why it ended. */
    llmir_status_t status = LLMIR_STATUS_OK;
    uint32_t count = 0;
    while (status == LLMIR_STATUS_OK) {
        status = llmir_request_next(unread, UINT64_MAX, &piece, NULL);
        count += piece.token >= 0;
    }
    assert_int_equal(status, LLMIR_STATUS_DEADLINE);
    assert_int_equal(count, info.generated_token_count);
    request.timeout_ns = 0;
    assert_status(llmir_scheduler_submit(scheduler, &request, &other, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_request_next(other, UINT64_MAX, &piece, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(piece.token >= 0);
    llmir_scheduler_destroy(scheduler);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduler_serves_several_threads),
        cmocka_unit_test(test_scheduler_thread_keeps_deadlines_and_stops),
    };
    return cmocka_run_group_tests_name("scheduler_threads", tests, NULL, NULL);
}
