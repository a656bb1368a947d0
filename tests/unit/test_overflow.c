/* A session whose context is full: it stops, says so, or rolls. */
#include <stdlib.h>
#include <string.h>

#include "core/session.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define VOCAB 320u
#define CONTEXT 61u
#define TOKENS 500u

typedef struct overflow_case {
    tiny_loaded_t loaded;
    llmir_session_t* fresh; /* never rolls; computes what the others should have */
    int32_t ids[TOKENS];
} overflow_case_t;

static void begin(overflow_case_t* c) {
    tiny_options_t tiny = tiny_options_default();
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    tiny.window = 24;
    tiny_ids(31, VOCAB, c->ids, TOKENS);
    tiny_load(&c->loaded, &tiny, 2);
    options.flags = LLMIR_SESSION_NO_SHARING;
    c->fresh = tiny_session(&c->loaded, &options);
}

static void end(overflow_case_t* c) {
    llmir_session_destroy(c->fresh);
    tiny_unload(&c->loaded);
}

static llmir_session_t* make(overflow_case_t* c, uint32_t overflow, uint32_t sinks) {
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    options.context_tokens = CONTEXT;
    options.overflow = overflow;
    options.sink_tokens = sinks;
    options.flags = LLMIR_SESSION_IGNORE_END;
    options.chunk_tokens = 19;
    return tiny_session(&c->loaded, &options);
}

/* What is kept of `count` tokens, told one by one as the header says it. */
static size_t kept_of(const int32_t* ids, size_t count, uint32_t sinks, int32_t* out) {
    size_t held = 0;
    for (size_t i = 0; i < count; ++i) {
        if (held == CONTEXT) {
            const size_t newer = (CONTEXT - sinks) / 2u;
            memmove(out + sinks, out + CONTEXT - newer, newer * sizeof(*out));
            held = sinks + newer;
        }
        out[held++] = ids[i];
    }
    return held;
}

/* The session is as one that was fed the kept part of the first `count` tokens alone. */
static void assert_holds(overflow_case_t* c,
                         llmir_session_t* session,
                         size_t count,
                         uint32_t sinks) {
    int32_t kept[CONTEXT];
    const size_t held = kept_of(c->ids, count, sinks, kept);
    assert_int_equal(llmir_session_position(session), held);
    llmir_session_reset(c->fresh);
    assert_status(llmir_session_feed(c->fresh, kept, held, &assert_status_error), LLMIR_STATUS_OK);
    assert_memory_equal(llmir_session_logits(session), llmir_session_logits(c->fresh),
                        VOCAB * sizeof(float));
}

static void test_overflow_roll_is_a_fresh_session_of_the_kept_tokens(void** state) {
    static const uint32_t sink_counts[] = {0, 1, 5, 16, 30};
    overflow_case_t c;
    test_random_t random;
    (void)state;
    test_random_init(&random, 3);
    begin(&c);
    for (size_t s = 0; s < 5; ++s) {
        llmir_session_t* session = make(&c, LLMIR_OVERFLOW_ROLL, sink_counts[s]);
        for (size_t fed = 0; fed < TOKENS;) {
            const size_t left = TOKENS - fed;
            size_t count = 1u + test_random_below(&random, fed % 3u ? 40u : 200u);
            count = count < left ? count : left;
            assert_status(llmir_session_feed(session, c.ids + fed, count, &assert_status_error),
                          LLMIR_STATUS_OK);
            fed += count;
            assert_holds(&c, session, fed, sink_counts[s]);
        }
        /* All at once. */
        llmir_session_reset(session);
        assert_status(llmir_session_feed(session, c.ids, TOKENS, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_holds(&c, session, TOKENS, sink_counts[s]);
        llmir_session_destroy(session);
    }
    end(&c);
}

static void test_overflow_roll_generates_without_end(void** state) {
    overflow_case_t c;
    llmir_piece_t piece;
    (void)state;
    begin(&c);
    llmir_session_t* session = make(&c, LLMIR_OVERFLOW_ROLL, 4);
    assert_status(llmir_session_feed(session, c.ids, 20, &assert_status_error), LLMIR_STATUS_OK);
    const size_t allocations = c.loaded.allocator.allocation_count;
    for (uint32_t i = 0; i < 3 * CONTEXT; ++i) {
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        assert_int_equal(piece.finish, LLMIR_FINISH_NONE);
        c.ids[20 + i] = piece.token;
    }
    assert_holds(&c, session, 20 + 3 * CONTEXT, 4);
    assert_int_equal(c.loaded.allocator.allocation_count, allocations);
    llmir_session_destroy(session);
    end(&c);
}

static void test_overflow_stop_and_error(void** state) {
    overflow_case_t c;
    llmir_piece_t piece;
    (void)state;
    begin(&c);
    for (uint32_t overflow = LLMIR_OVERFLOW_STOP; overflow <= LLMIR_OVERFLOW_ERROR; ++overflow) {
        llmir_session_t* session = make(&c, overflow, 0);
        assert_status(llmir_session_feed(session, c.ids, CONTEXT + 1, &assert_status_error),
                      LLMIR_STATUS_CAPACITY);
        assert_status(llmir_session_feed(session, c.ids, CONTEXT, &assert_status_error),
                      LLMIR_STATUS_OK);
        if (overflow == LLMIR_OVERFLOW_STOP) {
            assert_status(llmir_session_next(session, &piece, &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_int_equal(piece.finish, LLMIR_FINISH_CONTEXT);
        } else {
            assert_status_message(llmir_session_next(session, &piece, &assert_status_error),
                                  LLMIR_STATUS_CAPACITY, "position 61");
            assert_status_message(llmir_session_next(session, &piece, &assert_status_error),
                                  LLMIR_STATUS_CAPACITY, "position 61");
            assert_int_equal(llmir_session_position(session), CONTEXT);
        }
        llmir_session_destroy(session);
    }
    end(&c);
}

/* Stops the work of its session at a random dispatch, through the trace. */
typedef struct stopper {
    llmir_session_t* session;
    uint32_t left;
} stopper_t;

static void stop_at_event(const llmir_trace_event_t* event, void* user) {
    stopper_t* stopper = user;
    (void)event;
    if (stopper->session != NULL && stopper->left-- == 0) {
        llmir_session_cancel(stopper->session);
        stopper->session = NULL;
    }
}

/* Cancelled in the middle of a roll the session is as before, whatever is done with it next. */
static void test_overflow_cancelled_roll_changes_nothing(void** state) {
    overflow_case_t c;
    stopper_t stopper = {NULL, 0};
    test_random_t random;
    uint32_t rolls_stopped = 0;
    (void)state;
    test_random_init(&random, 12);
    begin(&c);
    c.loaded.runtime->trace = stop_at_event;
    c.loaded.runtime->trace_user = &stopper;
    llmir_session_t* session = make(&c, LLMIR_OVERFLOW_ROLL, 5);
    for (int round = 0; round < 120; ++round) {
        const size_t first = 40u + test_random_below(&random, 22);
        llmir_session_reset(session);
        assert_status(llmir_session_feed(session, c.ids, first, &assert_status_error),
                      LLMIR_STATUS_OK);
        stopper = (stopper_t){session, test_random_below(&random, 200)};
        const llmir_status_t status = llmir_session_feed(session, c.ids + first, 50, NULL);
        stopper.session = NULL;
        llmir_session_clear_cancel(session);
        if (status == LLMIR_STATUS_OK) {
            assert_holds(&c, session, first + 50, 5);
            continue;
        }
        assert_int_equal(status, LLMIR_STATUS_CANCELLED);
        rolls_stopped += session->uncomputed != 0;
        assert_holds(&c, session, first, 5);
        switch (round % 3) {
            case 0: /* on as planned */
                assert_status(llmir_session_feed(session, c.ids + first, 50, &assert_status_error),
                              LLMIR_STATUS_OK);
                assert_holds(&c, session, first + 50, 5);
                break;
            case 1: { /* back a little, and on */
                assert_status(llmir_session_truncate(session, 30, &assert_status_error),
                              LLMIR_STATUS_OK);
                assert_status(llmir_session_feed(session, c.ids + 30, 3, &assert_status_error),
                              LLMIR_STATUS_OK);
                assert_holds(&c, session, 33, 5);
                break;
            }
            default: { /* generates as the fresh one does */
                llmir_piece_t a, b;
                assert_status(llmir_session_next(session, &a, &assert_status_error),
                              LLMIR_STATUS_OK);
                assert_status(llmir_session_next(c.fresh, &b, &assert_status_error),
                              LLMIR_STATUS_OK);
                assert_int_equal(a.token, b.token);
                break;
            }
        }
    }
    assert_true(rolls_stopped > 10);
    llmir_session_destroy(session);
    end(&c);
}

static void test_overflow_options_are_checked(void** state) {
    overflow_case_t c;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    (void)state;
    begin(&c);
    options.overflow = 3;
    assert_status_message(
        llmir_session_create(c.loaded.model, NULL, &options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT, "overflow 3");
    options.overflow = LLMIR_OVERFLOW_ROLL;
    options.context_tokens = CONTEXT;
    options.sink_tokens = 31;
    assert_status_message(
        llmir_session_create(c.loaded.model, NULL, &options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT, "sink_tokens 31");
    assert_null(session);
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_roll_is_a_fresh_session_of_the_kept_tokens),
        cmocka_unit_test(test_overflow_roll_generates_without_end),
        cmocka_unit_test(test_overflow_stop_and_error),
        cmocka_unit_test(test_overflow_cancelled_roll_changes_nothing),
        cmocka_unit_test(test_overflow_options_are_checked),
    };
    return cmocka_run_group_tests_name("overflow", tests, NULL, NULL);
}
