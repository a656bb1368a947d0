/* Cancelling, from this thread and from others: what runs stops, and nothing has changed. */
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "tests/support/tiny_model.h"

#define TOKENS 400u

static void test_cancel_before_feed_and_next(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    llmir_piece_t piece;
    int32_t ids[10];
    (void)state;
    tiny_ids(1, options.vocab, ids, 10);
    tiny_load(&loaded, &options, 2);
    llmir_session_t* session = tiny_session(&loaded, NULL);
    llmir_session_cancel(session);
    assert_status(llmir_session_feed(session, ids, 10, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    assert_int_equal(llmir_session_position(session), 0);
    llmir_session_clear_cancel(session);
    assert_status(llmir_session_feed(session, ids, 10, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_cancel(session);
    assert_status(llmir_session_next(session, &piece, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    assert_int_equal(piece.token, -1);
    assert_int_equal(llmir_session_position(session), 10);
    llmir_session_clear_cancel(session);
    assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_position(session), 11);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

/* One cancelled session stops the pass of all; one outside of the pass stops nothing. */
static void test_cancel_of_one_stops_a_shared_pass(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_t* sessions[3];
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    int32_t ids[10];
    (void)state;
    tiny_ids(1, options.vocab, ids, 10);
    tiny_load(&loaded, &options, 2);
    pool_options.session_count = 3;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (int i = 0; i < 3; ++i) {
        assert_status(
            llmir_session_create(loaded.model, pool, NULL, &sessions[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    const llmir_feed_t feeds[2] = {{sessions[0], ids, 10, NULL}, {sessions[1], ids, 5, NULL}};
    llmir_session_cancel(sessions[1]);
    assert_status(llmir_pool_feed(pool, feeds, 2, &assert_status_error), LLMIR_STATUS_CANCELLED);
    assert_int_equal(llmir_session_position(sessions[0]), 0);
    assert_int_equal(llmir_session_position(sessions[1]), 0);
    llmir_session_clear_cancel(sessions[1]);
    llmir_session_cancel(sessions[2]);
    assert_status(llmir_pool_feed(pool, feeds, 2, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_position(sessions[0]), 10);
    assert_int_equal(llmir_session_position(sessions[1]), 5);
    for (int i = 0; i < 3; ++i) {
        llmir_session_destroy(sessions[i]);
    }
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

/* ---- From another thread ---- */

typedef struct canceller {
    llmir_session_t* session;
    llmir_atomic_u32_t begun;
    uint64_t delay_ns;
} canceller_t;

static void cancel_later(void* user) {
    canceller_t* canceller = user;
    while (llmir_atomic_load_acquire(&canceller->begun) == 0) {
        llmir_cpu_relax();
    }
    const uint64_t end = llmir_clock_ns() + canceller->delay_ns;
    while (llmir_clock_ns() < end) {
        llmir_cpu_relax();
    }
    llmir_session_cancel(canceller->session);
}

/* Cancelled at many moments: each time the session is as before, and feeding again gives the bits
 * of a session that was never disturbed. */
static void test_cancel_from_another_thread_leaves_session_as_before(void** state) {
    tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    int32_t ids[TOKENS];
    float* before = malloc(options.vocab * sizeof(float));
    int cancelled = 0;
    (void)state;
    options.layers = 6;
    tiny_ids(2, options.vocab, ids, TOKENS);
    tiny_load(&loaded, &options, 2);
    session_options.chunk_tokens = 16;
    llmir_session_t* quiet = tiny_session(&loaded, &session_options);
    llmir_session_t* session = tiny_session(&loaded, &session_options);
    assert_status(llmir_session_feed(quiet, ids, 20, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(session, ids, 20, &assert_status_error), LLMIR_STATUS_OK);
    memcpy(before, llmir_session_logits(session), options.vocab * sizeof(float));
    const uint64_t start = llmir_clock_ns();
    assert_status(llmir_session_feed(quiet, ids + 20, TOKENS - 20, &assert_status_error),
                  LLMIR_STATUS_OK);
    const uint64_t whole_ns = llmir_clock_ns() - start;
    for (uint64_t i = 0; i < 30; ++i) {
        canceller_t canceller = {.session = session, .delay_ns = whole_ns * i / 40};
        llmir_thread_t thread;
        assert_status(llmir_thread_start(&thread, cancel_later, &canceller, &assert_status_error),
                      LLMIR_STATUS_OK);
        llmir_atomic_store_release(&canceller.begun, 1);
        const llmir_status_t status = llmir_session_feed(session, ids + 20, TOKENS - 20, NULL);
        llmir_thread_join(&thread);
        llmir_session_clear_cancel(session);
        if (status == LLMIR_STATUS_CANCELLED) {
            ++cancelled;
            assert_int_equal(llmir_session_position(session), 20);
            assert_memory_equal(before, llmir_session_logits(session),
                                options.vocab * sizeof(float));
        } else {
            assert_int_equal(status, LLMIR_STATUS_OK);
            assert_int_equal(llmir_session_position(session), TOKENS);
            assert_status(llmir_session_truncate(session, 20, &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_status(llmir_session_truncate(session, 19, &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_status(llmir_session_feed(session, ids + 19, 1, &assert_status_error),
                          LLMIR_STATUS_OK);
        }
    }
    assert_true(cancelled > 0);
    assert_status(llmir_session_feed(session, ids + 20, TOKENS - 20, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_memory_equal(llmir_session_logits(quiet), llmir_session_logits(session),
                        options.vocab * sizeof(float));
    llmir_session_destroy(session);
    llmir_session_destroy(quiet);
    free(before);
    tiny_unload(&loaded);
}

/* A cancelled generation goes on with the token it had sampled: the text is the same. */
static void test_cancel_during_generation_loses_nothing(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    char texts[2][4096] = {{0}, {0}};
    int32_t ids[10];
    int cancelled = 0;
    (void)state;
    tiny_ids(3, options.vocab, ids, 10);
    tiny_load(&loaded, &options, 2);
    sampler.temperature = 1;
    sampler.seed = 9;
    session_options.sampler = &sampler;
    session_options.max_tokens = 300;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    for (int disturbed = 0; disturbed < 2; ++disturbed) {
        llmir_session_t* session = tiny_session(&loaded, &session_options);
        llmir_piece_t piece = {.finish = LLMIR_FINISH_NONE};
        size_t bytes = 0;
        assert_status(llmir_session_feed(session, ids, 10, &assert_status_error), LLMIR_STATUS_OK);
        while (piece.finish == LLMIR_FINISH_NONE) {
            canceller_t canceller = {.session = session, .delay_ns = 1000 * (bytes * 7 % 120)};
            llmir_thread_t thread;
            if (disturbed) {
                assert_status(
                    llmir_thread_start(&thread, cancel_later, &canceller, &assert_status_error),
                    LLMIR_STATUS_OK);
                llmir_atomic_store_release(&canceller.begun, 1);
            }
            const llmir_status_t status = llmir_session_next(session, &piece, NULL);
            if (disturbed) {
                llmir_thread_join(&thread);
                llmir_session_clear_cancel(session);
            }
            if (status == LLMIR_STATUS_CANCELLED) {
                ++cancelled;
                assert_int_equal(piece.text_bytes, 0);
                assert_status(llmir_session_next(session, &piece, &assert_status_error),
                              LLMIR_STATUS_OK);
            }
            memcpy(texts[disturbed] + bytes, piece.text, piece.text_bytes);
            bytes += piece.text_bytes;
        }
        assert_int_equal(llmir_session_position(session), 310);
        llmir_session_destroy(session);
    }
    print_message("cancelled %d times\n", cancelled);
    assert_string_equal(texts[0], texts[1]);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_before_feed_and_next),
        cmocka_unit_test(test_cancel_of_one_stops_a_shared_pass),
        cmocka_unit_test(test_cancel_from_another_thread_leaves_session_as_before),
        cmocka_unit_test(test_cancel_during_generation_loses_nothing),
    };
    return cmocka_run_group_tests_name("cancel", tests, NULL, NULL);
}
