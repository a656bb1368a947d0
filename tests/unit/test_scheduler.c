/* The scheduler, stepped by the test: whatever runs beside a request, loses its pages or is
 * cancelled, each output is that of the request alone, and everything is given back. */
#include <string.h>

#include "tests/support/tiny_requests.h"

#define REQUESTS 200u
#define FEWER 60u
static llmir_request_info_t info_of(const llmir_request_t* request) {
    llmir_request_info_t info = {.struct_size = sizeof(info)};
    assert_status(llmir_request_get_info(request, &info, &assert_status_error), LLMIR_STATUS_OK);
    return info;
}

static int32_t step(tiny_scheduler_t* f) {
    int32_t has_work = 0;
    assert_status(llmir_scheduler_step(f->scheduler, &has_work, &assert_status_error),
                  LLMIR_STATUS_OK);
    return has_work;
}

static llmir_request_t* submit(tiny_scheduler_t* f, const llmir_request_options_t* options) {
    llmir_request_t* request = NULL;
    assert_status(llmir_scheduler_submit(f->scheduler, options, &request, &assert_status_error),
                  LLMIR_STATUS_OK);
    return request;
}

/* Takes all pieces that are there; returns the status that ended it, OK if it goes on. */
static llmir_status_t drain(llmir_request_t* request, tiny_answer_t* answer) {
    llmir_piece_t piece = {.token = 0};
    for (;;) {
        const llmir_status_t status = llmir_request_next(request, 0, &piece, NULL);
        if (status != LLMIR_STATUS_OK ||
            (piece.token < 0 && piece.finish == LLMIR_FINISH_NONE && piece.text_bytes == 0)) {
            return status;
        }
        assert_true(tiny_answer_append(answer, &piece));
        if (piece.finish != LLMIR_FINISH_NONE) {
            return LLMIR_STATUS_OK;
        }
    }
}

static void assert_all_given_back(const tiny_scheduler_t* f) {
    const llmir_scheduler_stats_t stats = tiny_scheduler_stats(f);
    assert_int_equal(stats.alive_count, 0);
    assert_int_equal(stats.running_count, 0);
    assert_int_equal(stats.queued_count, 0);
    assert_int_equal(stats.free_page_count, stats.page_count);
}

/* ---- Many requests ---- */

typedef struct crowd {
    tiny_request_t requests[REQUESTS];
    llmir_request_t* handles[REQUESTS];
    tiny_answer_t answers[REQUESTS];
    uint32_t fates[REQUESTS]; /* 0: is cancelled after some tokens, 1: is destroyed then */
    uint32_t count;
    uint32_t submitted;
    uint32_t ended;
    uint32_t whole;
} crowd_t;

/* One round of what applications do: submit, step, read, cancel, go away. */
static void play(tiny_scheduler_t* f, crowd_t* crowd, test_random_t* random) {
    while (crowd->submitted < crowd->count && test_random_below(random, 3) != 0) {
        const uint32_t i = crowd->submitted;
        const llmir_request_options_t options = tiny_request_options(&crowd->requests[i]);
        if (llmir_scheduler_submit(f->scheduler, &options, &crowd->handles[i], NULL) !=
            LLMIR_STATUS_OK) {
            break; /* the queue is full */
        }
        crowd->fates[i] = test_random_below(random, 10);
        crowd->submitted += 1u;
    }
    (void)step(f);
    for (uint32_t i = 0; i < crowd->submitted; ++i) {
        llmir_request_t* request = crowd->handles[i];
        if (request == NULL || test_random_below(random, 3) == 0) {
            continue; /* some do not read for a while */
        }
        const int has_enough = crowd->answers[i].token_count > i % 4u;
        if (crowd->fates[i] == 0 && has_enough) {
            llmir_request_cancel(request);
        }
        const llmir_status_t status = drain(request, &crowd->answers[i]);
        const int is_whole = crowd->answers[i].finish != LLMIR_FINISH_NONE;
        const int goes_away = crowd->fates[i] == 1 && has_enough;
        if (is_whole || status != LLMIR_STATUS_OK || goes_away) {
            llmir_request_destroy(request);
            crowd->handles[i] = NULL;
            crowd->ended += 1u;
            crowd->whole += is_whole ? 1u : 0u;
            assert_true(
                tiny_answer_equals(&crowd->answers[i], &crowd->requests[i].alone, !is_whole));
        }
    }
}

static crowd_t crowd; /* large */
static const llmir_logit_bias_t two_words[] = {{TINY_FIRST_WORD, 1000.0f},
                                               {TINY_FIRST_WORD + 1, 1000.0f}};

static llmir_scheduler_stats_t run_crowd(const llmir_scheduler_options_t* options, uint32_t count) {
    tiny_scheduler_t f;
    test_random_t random;
    test_random_init(&random, 41);
    tiny_scheduler_begin(&f, options);
    memset(&crowd, 0, sizeof(crowd));
    crowd.count = count;
    for (uint32_t i = 0; i < count; ++i) {
        tiny_request_draw(&random, &crowd.requests[i]);
        if (options->guess_tokens != 0) { /* then what is said repeats itself */
            crowd.requests[i].sampler.logit_bias = two_words;
            crowd.requests[i].sampler.logit_bias_count = 2;
        }
        tiny_request_run_alone(&f.loaded, &crowd.requests[i],
                               options->context_tokens < TINY_SCHEDULER_CONTEXT
                                   ? options->context_tokens
                                   : TINY_SCHEDULER_CONTEXT);
        if (options->guess_tokens != 0 && i % 4u != 0) {
            crowd.requests[i].session.speculation = LLMIR_SPECULATION_LOOKUP;
        }
    }
    const size_t allocations = f.loaded.allocator.allocation_count;
    while (crowd.ended < count) {
        play(&f, &crowd, &random);
    }
    assert_int_equal(f.loaded.allocator.allocation_count, allocations);
    (void)step(&f);
    assert_all_given_back(&f);
    const llmir_scheduler_stats_t stats = tiny_scheduler_stats(&f);
    assert_true(crowd.whole > count / 2 && crowd.whole < count);
    assert_int_equal(stats.submitted_count, count);
    assert_int_equal(stats.finished_count + stats.failed_count, count);
    tiny_scheduler_end(&f);
    return stats;
}

static void test_scheduler_200_requests_say_what_they_say_alone(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    (void)state;
    options.request_count = 32;
    const llmir_scheduler_stats_t stats = run_crowd(&options, REQUESTS);
    assert_true(stats.batched_sequence_count > 3 * stats.pass_count);
    assert_true(stats.reused_token_count > 0);
    assert_true(stats.first_token_ns[0] <= stats.first_token_ns[2]);
    assert_true(stats.tokens_per_second > 0);
}

/* With pages for little more than one request, most lose theirs again and again. */
static void test_scheduler_without_pages_computes_again(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    (void)state;
    options.context_tokens = 160;
    const llmir_scheduler_stats_t stats = run_crowd(&options, FEWER);
    assert_true(stats.preempted_count > 0);
    assert_int_equal(stats.swapped_count, 0);
}

static void test_scheduler_swaps_what_loses_its_pages(void** state) {
    static _Alignas(64) uint8_t swap[1 << 20];
    llmir_scheduler_options_t options = tiny_scheduler_options();
    (void)state;
    options.context_tokens = 160;
    options.swap = swap;
    options.swap_bytes = sizeof(swap);
    const llmir_scheduler_stats_t stats = run_crowd(&options, FEWER);
    assert_true(stats.swapped_count > 0);
    options.swap_bytes = 40000; /* room for some of them */
    assert_true(run_crowd(&options, FEWER).swapped_count > 0);
}

static void test_scheduler_one_session_serves_all(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    (void)state;
    options.session_count = 1;
    options.chunk_tokens = 1;
    const llmir_scheduler_stats_t stats = run_crowd(&options, FEWER);
    assert_int_equal(stats.batched_sequence_count, stats.pass_count);
}

static void test_scheduler_guesses_change_nothing(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    (void)state;
    options.guess_tokens = 6;
    assert_true(run_crowd(&options, FEWER).accepted_token_count > 0);
    options.context_tokens = 160; /* pages are short, too */
    assert_true(run_crowd(&options, FEWER).guessed_token_count > 0);
}

/* ---- Prefixes ---- */

static void test_scheduler_shared_prefix_is_computed_once(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    tiny_scheduler_t f;
    int32_t ids[400];
    llmir_request_t* requests[16];
    (void)state;
    options.session_count = 16;
    tiny_scheduler_begin(&f, &options);
    tiny_ids(5, 320, ids, 400);
    for (uint32_t i = 0; i < 16; ++i) {
        llmir_request_options_t request = LLMIR_REQUEST_OPTIONS_INIT;
        llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
        session.max_tokens = 3;
        session.flags = LLMIR_SESSION_IGNORE_END;
        request.tokens = ids;
        request.token_count = 390 + (i % 2u);
        request.session = &session;
        requests[i] = submit(&f, &request);
    }
    while (step(&f)) {
    }
    /* 24 full pages of 16 tokens; each computes its last 6 or 7 and two of its answer. */
    assert_int_equal(tiny_scheduler_stats(&f).computed_token_count, 384 + 8 * 6 + 8 * 7 + 16 * 2);
    assert_int_equal(info_of(requests[15]).reused_token_count, 384);
    for (uint32_t i = 0; i < 16; ++i) {
        assert_int_equal(info_of(requests[i]).state, LLMIR_REQUEST_FINISHED);
        llmir_request_destroy(requests[i]);
    }
    assert_all_given_back(&f);
    tiny_scheduler_end(&f);
}

/* ---- Order ---- */

static llmir_request_t* submit_simple(tiny_scheduler_t* f,
                                      int32_t priority,
                                      uint32_t prompt_count) {
    llmir_request_options_t request = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    int32_t ids[500];
    static uint64_t seed = 1000;
    tiny_ids(++seed, 320, ids, prompt_count);
    session.max_tokens = 10;
    session.flags = LLMIR_SESSION_IGNORE_END;
    request.tokens = ids;
    request.token_count = prompt_count;
    request.priority = priority;
    request.session = &session;
    return submit(f, &request);
}

static void test_scheduler_priority_takes_the_session(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    tiny_scheduler_t f;
    (void)state;
    options.session_count = 1;
    tiny_scheduler_begin(&f, &options);
    llmir_request_t* low = submit_simple(&f, 0, 20);
    (void)step(&f);
    (void)step(&f);
    llmir_request_t* high = submit_simple(&f, 1, 20);
    while (info_of(high).state != LLMIR_REQUEST_FINISHED) {
        (void)step(&f);
    }
    assert_true(info_of(low).generated_token_count < 10);
    assert_int_equal(info_of(low).preempted_count, 1);
    while (step(&f)) {
    }
    assert_int_equal(info_of(low).state, LLMIR_REQUEST_FINISHED);
    assert_int_equal(info_of(low).status, LLMIR_STATUS_OK);
    assert_int_equal(info_of(low).generated_token_count, 10);
    assert_true(info_of(low).total_ns >= info_of(low).first_token_ns);
    llmir_request_destroy(low);
    llmir_request_destroy(high);
    tiny_scheduler_end(&f);
}

/* A low request is answered although higher ones never end. */
static void test_scheduler_no_request_starves(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    tiny_scheduler_t f;
    llmir_request_t* high[2] = {NULL, NULL};
    uint32_t steps = 0;
    (void)state;
    options.session_count = 1;
    tiny_scheduler_begin(&f, &options);
    llmir_request_t* low = submit_simple(&f, 0, 20);
    while (info_of(low).state != LLMIR_REQUEST_FINISHED) {
        for (uint32_t i = 0; i < 2; ++i) {
            if (high[i] == NULL || info_of(high[i]).state == LLMIR_REQUEST_FINISHED) {
                llmir_request_destroy(high[i]);
                high[i] = submit_simple(&f, 2, 20);
            }
        }
        (void)step(&f);
        assert_true(++steps < 3 * 2 * LLMIR_SCHEDULER_PRIORITY_PASSES);
    }
    assert_true(steps > LLMIR_SCHEDULER_PRIORITY_PASSES); /* it did wait */
    llmir_request_destroy(high[0]);
    llmir_request_destroy(high[1]);
    llmir_request_destroy(low);
    tiny_scheduler_end(&f);
}

/* Nobody reads the first requests: they stop, and keep neither sessions nor the test busy. */
static void test_scheduler_unread_requests_keep_no_one_waiting(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    llmir_request_options_t request = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    llmir_request_t* unread[2];
    tiny_answer_t answer = {0};
    tiny_scheduler_t f;
    int32_t ids[30];
    (void)state;
    options.session_count = 2;
    tiny_scheduler_begin(&f, &options);
    tiny_ids(9, 320, ids, 30);
    session.flags = LLMIR_SESSION_IGNORE_END;
    session.max_tokens = 40;
    request.tokens = ids;
    request.token_count = 30;
    request.session = &session;
    unread[0] = submit(&f, &request);
    unread[1] = submit(&f, &request);
    while (step(&f)) {
    }
    assert_int_equal(info_of(unread[0]).generated_token_count, 16);
    llmir_request_t* last = submit_simple(&f, -5, 40);
    while (step(&f)) {
    }
    assert_int_equal(info_of(last).state, LLMIR_REQUEST_FINISHED);
    while (answer.finish == LLMIR_FINISH_NONE) {
        assert_int_equal(drain(unread[1], &answer), LLMIR_STATUS_OK);
        (void)step(&f);
    }
    assert_int_equal(answer.token_count, 40);
    llmir_request_destroy(unread[0]);
    llmir_request_destroy(unread[1]);
    llmir_request_destroy(last);
    (void)step(&f);
    assert_all_given_back(&f);
    tiny_scheduler_end(&f);
}

/* ---- Ends ---- */

static void test_scheduler_cancelled_and_late_requests_end(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    llmir_request_options_t late = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_piece_t piece;
    tiny_scheduler_t f;
    int32_t ids[3] = {TINY_FIRST_BYTE, TINY_FIRST_BYTE + 1, TINY_FIRST_BYTE + 2};
    (void)state;
    tiny_scheduler_begin(&f, &options);
    llmir_request_t* queued = submit_simple(&f, 0, 20);
    llmir_request_cancel(queued);
    llmir_request_t* running = submit_simple(&f, 0, 20);
    (void)step(&f);
    assert_int_equal(info_of(running).state, LLMIR_REQUEST_RUNNING);
    llmir_request_cancel(running);
    late.tokens = ids;
    late.token_count = 3;
    late.timeout_ns = 1;
    llmir_request_t* third = submit(&f, &late);
    while (step(&f)) {
    }
    assert_status(llmir_request_next(queued, 0, &piece, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    assert_status(llmir_request_next(running, 0, &piece, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    assert_status_message(llmir_request_next(third, 1000, &piece, &assert_status_error),
                          LLMIR_STATUS_DEADLINE, "time is over");
    assert_int_equal(info_of(third).status, LLMIR_STATUS_DEADLINE);
    assert_int_equal(tiny_scheduler_stats(&f).failed_count, 3);
    llmir_request_destroy(queued);
    llmir_request_destroy(running);
    llmir_request_destroy(third);
    llmir_request_destroy(NULL);
    llmir_request_cancel(NULL);
    assert_all_given_back(&f);
    tiny_scheduler_end(&f);
}

static void test_scheduler_full_context_finishes(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    tiny_request_t request;
    tiny_answer_t answer = {0};
    test_random_t random;
    tiny_scheduler_t f;
    (void)state;
    options.context_tokens = 100;
    tiny_scheduler_begin(&f, &options);
    test_random_init(&random, 5);
    tiny_request_draw(&random, &request);
    request.prompt_count = 90;
    tiny_ids(77, 320, request.prompt, 90);
    request.stop = NULL;
    request.session.flags = LLMIR_SESSION_IGNORE_END;
    request.session.max_tokens = 0;
    tiny_request_run_alone(&f.loaded, &request, 100);
    const llmir_request_options_t submitted = tiny_request_options(&request);
    llmir_request_t* handle = submit(&f, &submitted);
    while (step(&f)) {
        assert_int_equal(drain(handle, &answer), LLMIR_STATUS_OK);
    }
    assert_int_equal(drain(handle, &answer), LLMIR_STATUS_OK);
    assert_int_equal(drain(handle, &answer), LLMIR_STATUS_INVALID_ARGUMENT);
    assert_int_equal(answer.finish, LLMIR_FINISH_CONTEXT);
    assert_true(tiny_answer_equals(&answer, &request.alone, 0));
    llmir_request_destroy(handle);
    tiny_scheduler_end(&f);
}

/* A grammar's place is kept when its request loses its session. */
static void test_scheduler_grammar_survives_preemption(void** state) {
    static const char text[] = "root ::= \"[\" [a-z]{12} \",\" [0-9]{8} \"]\"";
    llmir_scheduler_options_t options = tiny_scheduler_options();
    llmir_grammar_t* grammar = NULL;
    tiny_request_t request;
    tiny_answer_t answer = {0};
    test_random_t random;
    tiny_scheduler_t f;
    (void)state;
    options.session_count = 1;
    tiny_scheduler_begin(&f, &options);
    assert_status(llmir_grammar_create(f.loaded.model, LLMIR_GRAMMAR_GBNF, text, strlen(text),
                                       &grammar, &assert_status_error),
                  LLMIR_STATUS_OK);
    test_random_init(&random, 6);
    tiny_request_draw(&random, &request);
    request.priority = 0;
    request.stop = NULL;
    request.session.grammar = grammar;
    request.session.max_tokens = TINY_REQUEST_TOKENS;
    tiny_request_run_alone(&f.loaded, &request, TINY_SCHEDULER_CONTEXT);
    const llmir_request_options_t submitted = tiny_request_options(&request);
    llmir_request_t* handle = submit(&f, &submitted);
    for (uint32_t i = 0; answer.finish == LLMIR_FINISH_NONE; ++i) {
        (void)step(&f);
        assert_int_equal(drain(handle, &answer), LLMIR_STATUS_OK);
        if (i % 6u == 3u) {
            llmir_request_destroy(submit_simple(&f, 3, 10));
            llmir_request_t* other = submit_simple(&f, 3, 10);
            while (info_of(other).state != LLMIR_REQUEST_FINISHED) {
                (void)step(&f);
            }
            llmir_request_destroy(other);
        }
    }
    assert_true(info_of(handle).preempted_count > 1);
    assert_true(tiny_answer_equals(&answer, &request.alone, 0));
    assert_int_equal(answer.text_bytes, 23);
    llmir_request_destroy(handle);
    llmir_grammar_destroy(grammar);
    tiny_scheduler_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduler_200_requests_say_what_they_say_alone),
        cmocka_unit_test(test_scheduler_without_pages_computes_again),
        cmocka_unit_test(test_scheduler_swaps_what_loses_its_pages),
        cmocka_unit_test(test_scheduler_one_session_serves_all),
        cmocka_unit_test(test_scheduler_guesses_change_nothing),
        cmocka_unit_test(test_scheduler_shared_prefix_is_computed_once),
        cmocka_unit_test(test_scheduler_priority_takes_the_session),
        cmocka_unit_test(test_scheduler_no_request_starves),
        cmocka_unit_test(test_scheduler_unread_requests_keep_no_one_waiting),
        cmocka_unit_test(test_scheduler_cancelled_and_late_requests_end),
        cmocka_unit_test(test_scheduler_full_context_finishes),
        cmocka_unit_test(test_scheduler_grammar_survives_preemption),
    };
    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
