/* Log-probabilities against the softmax in double precision of the C library, alone and in pieces
 * of a generation, and stop tokens, which came with them. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/logprobs.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define COUNT 777u
#define PROMPT 20u

/* log(softmax(logits)[id]) */
static double reference(const float* logits, uint32_t count, uint32_t id) {
    double largest = -INFINITY;
    double sum = 0;
    for (uint32_t i = 0; i < count; ++i) {
        largest = logits[i] > largest ? (double)logits[i] : largest;
    }
    for (uint32_t i = 0; i < count; ++i) {
        sum += exp((double)logits[i] - largest);
    }
    return (double)logits[id] - largest - log(sum);
}

static void check_close(float found, double expected) {
    if (!(fabs((double)found - expected) <= 3e-7 + 1e-6 * fabs(expected))) {
        fail_msg("log-probability %.9g, expected %.9g", (double)found, expected);
    }
}

/* The top ones are the largest logits, lower ids first among equals. */
static void check_top(const float* logits,
                      uint32_t count,
                      const llmir_token_logprob_t* top,
                      uint32_t top_count) {
    for (uint32_t n = 0; n < top_count; ++n) {
        const int32_t id = top[n].token;
        uint32_t before = 0;
        assert_in_range(id, 0, count - 1u);
        for (int32_t i = 0; i < (int32_t)count; ++i) {
            before += logits[i] > logits[id] || (logits[i] == logits[id] && i < id);
        }
        assert_int_equal(before, n);
        check_close(top[n].logprob, reference(logits, count, (uint32_t)id));
    }
}

static void test_logprobs_agree_with_softmax(void** state) {
    test_random_t random;
    (void)state;
    test_random_init(&random, 31);
    for (uint32_t round = 0; round < 300; ++round) {
        float logits[COUNT];
        const uint32_t count = 1 + test_random_below(&random, COUNT);
        const float scale = (float)(1u << test_random_below(&random, 8));
        llmir_logprobs_t found = {.wanted_count = test_random_below(&random, 21)};
        test_random_fill_f32(&random, logits, count, -scale, scale);
        for (uint32_t i = 0; round % 3 == 0 && i < count; ++i) {
            logits[i] = roundf(logits[i]); /* many equals */
        }
        const uint32_t id = test_random_below(&random, count);
        llmir_logprobs_find(logits, count, (int32_t)id, &found);
        check_close(found.logprob, reference(logits, count, id));
        assert_int_equal(found.top_count, found.wanted_count < count ? found.wanted_count : count);
        check_top(logits, count, found.top, found.top_count);
    }
}

static void test_logprobs_of_many_equals_are_exact(void** state) {
    static float logits[1u << 16];
    llmir_logprobs_t found = {0};
    (void)state;
    llmir_logprobs_find(logits, 1u << 16, 5, &found);
    assert_true(fabs((double)found.logprob + 16 * log(2)) < 1e-6);
    llmir_logprobs_find(logits, 1, 0, &found);
    assert_true(found.logprob == 0.0f);
}

static void test_logprobs_survive_nan_and_infinities(void** state) {
    const float cases[5][4] = {{NAN, 1, 2, NAN},
                               {NAN, NAN, NAN, NAN},
                               {-INFINITY, -INFINITY, -INFINITY, -INFINITY},
                               {INFINITY, 1, INFINITY, NAN},
                               {-INFINITY, FLT_MAX, -FLT_MAX, 0}};
    (void)state;
    for (int i = 0; i < 5; ++i) {
        for (int32_t id = 0; id < 4; ++id) {
            llmir_logprobs_t found = {.wanted_count = 3};
            llmir_logprobs_find(cases[i], 4, id, &found);
            assert_true(found.logprob <= 0.0f && found.logprob >= -FLT_MAX);
            for (uint32_t n = 0; n < found.top_count; ++n) {
                assert_true(found.top[n].logprob <= 0.0f && found.top[n].logprob >= -FLT_MAX);
                assert_true(n == 0 || found.top[n].logprob <= found.top[n - 1].logprob);
            }
        }
    }
}

static llmir_session_t* fed_session(tiny_loaded_t* loaded, const llmir_session_options_t* options) {
    int32_t ids[PROMPT];
    llmir_session_t* session = tiny_session(loaded, options);
    tiny_ids(1, 320, ids, PROMPT);
    assert_status(llmir_session_feed(session, ids, PROMPT, &assert_status_error), LLMIR_STATUS_OK);
    return session;
}

static llmir_piece_t next(llmir_session_t* session) {
    llmir_piece_t piece;
    assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
    return piece;
}

/* Of the raw logits, whatever the sampler does with them; without allocating. */
static void test_logprobs_of_pieces_are_of_raw_logits(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    tiny_loaded_t loaded;
    float logits[320];
    (void)state;
    tiny_load(&loaded, &options, 1);
    assert_int_equal(options.vocab, 320);
    sampler.temperature = 1.5f;
    sampler.repetition_penalty = 1.3f;
    sampler.top_p = 0.9f;
    session_options.sampler = &sampler;
    session_options.flags = LLMIR_SESSION_LOGPROBS | LLMIR_SESSION_IGNORE_END;
    session_options.top_logprobs = 20;
    llmir_session_t* session = fed_session(&loaded, &session_options);
    const size_t allocations = loaded.allocator.allocation_count;
    for (int i = 0; i < 40; ++i) {
        memcpy(logits, llmir_session_logits(session), sizeof(logits));
        const llmir_piece_t piece = next(session);
        check_close(piece.logprob, reference(logits, 320, (uint32_t)piece.token));
        assert_int_equal(piece.top_count, 20);
        check_top(logits, 320, piece.top, 20);
    }
    assert_int_equal(loaded.allocator.allocation_count, allocations);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_logprobs_are_zero_unless_asked_for(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    llmir_session_t* session = fed_session(&loaded, &session_options);
    llmir_piece_t piece = next(session);
    assert_true(piece.logprob == 0.0f && piece.top_count == 0 && piece.top == NULL);
    llmir_session_destroy(session);
    session_options.flags = LLMIR_SESSION_LOGPROBS;
    session = fed_session(&loaded, &session_options);
    piece = next(session);
    assert_true(piece.logprob < 0.0f && piece.top_count == 0);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

/* A call that is stopped after it has sampled tells the same when it goes on; so does a fork. */
static void test_logprobs_are_kept_over_full_context_and_fork(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    int32_t ids[PROMPT];
    tiny_loaded_t loaded;
    llmir_pool_t* pool = NULL;
    llmir_session_t* session = NULL;
    llmir_session_t* child = NULL;
    llmir_piece_t piece;
    (void)state;
    tiny_load(&loaded, &options, 1);
    pool_options.session_count = 2;
    pool_options.context_tokens = 3 * PROMPT; /* five pages */
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    session_options.flags = LLMIR_SESSION_LOGPROBS | LLMIR_SESSION_IGNORE_END;
    session_options.top_logprobs = 3;
    session_options.overflow = LLMIR_OVERFLOW_ERROR;
    assert_status(
        llmir_session_create(loaded.model, pool, &session_options, &session, &assert_status_error),
        LLMIR_STATUS_OK);
    tiny_ids(1, 320, ids, PROMPT);
    assert_status(llmir_session_feed(session, ids, PROMPT, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_cancel(session);
    assert_status(llmir_session_next(session, &piece, &assert_status_error),
                  LLMIR_STATUS_CANCELLED);
    llmir_session_clear_cancel(session);
    assert_status(llmir_session_fork(session, &child, &assert_status_error), LLMIR_STATUS_OK);
    (void)next(session);
    llmir_piece_t a = next(session);
    (void)next(child);
    llmir_piece_t b = next(child);
    assert_int_equal(a.token, b.token);
    assert_true(a.logprob == b.logprob);
    assert_true(a.top != b.top);
    assert_memory_equal(a.top, b.top, 3 * sizeof(*a.top));
    /* Until the pages are used up: the token waits, and its log-probability is told afterwards. */
    assert_status(llmir_session_feed(child, ids, PROMPT, &assert_status_error), LLMIR_STATUS_OK);
    llmir_status_t status = LLMIR_STATUS_OK;
    while ((status = llmir_session_next(session, &piece, NULL)) == LLMIR_STATUS_OK) {
    }
    assert_int_equal(status, LLMIR_STATUS_CAPACITY);
    assert_true(llmir_session_position(session) < 3 * PROMPT);
    float logits[320];
    memcpy(logits, llmir_session_logits(session), sizeof(logits));
    llmir_session_destroy(child);
    piece = next(session);
    check_close(piece.logprob, reference(logits, 320, (uint32_t)piece.token));
    check_top(logits, 320, piece.top, piece.top_count);
    llmir_session_destroy(session);
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

/* A stop token ends the text before it, with any sampler, with and without a tokenizer. */
static void test_stop_tokens_end_the_generation(void** state) {
    for (int with_tokenizer = 0; with_tokenizer < 2; ++with_tokenizer) {
        tiny_options_t options = tiny_options_default();
        llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
        tiny_loaded_t loaded;
        int32_t made[12];
        int32_t stops[3] = {0, 1, 0};
        char text[512];
        char expected[512];
        size_t bytes = 0;
        size_t expected_bytes = 0;
        (void)state;
        options.tokenizer = with_tokenizer;
        tiny_load(&loaded, &options, 1);
        session_options.flags = LLMIR_SESSION_IGNORE_END | LLMIR_SESSION_LOGPROBS;
        llmir_session_t* session = fed_session(&loaded, &session_options);
        for (int i = 0; i < 12; ++i) {
            const llmir_piece_t piece = next(session);
            made[i] = piece.token;
            memcpy(expected + expected_bytes, piece.text, piece.text_bytes);
            expected_bytes += piece.text_bytes;
        }
        llmir_session_destroy(session);
        int first = 0; /* the first place of the token that comes last */
        while (made[first] != made[11]) {
            ++first;
        }
        stops[2] = made[11];
        session_options.stop_tokens = stops;
        session_options.stop_token_count = 3;
        session = fed_session(&loaded, &session_options);
        stops[2] = 0; /* they have been copied */
        llmir_piece_t piece = {0};
        int count = 0;
        do {
            piece = next(session);
            assert_true(bytes + piece.text_bytes < sizeof(text));
            memcpy(text + bytes, piece.text, piece.text_bytes);
            bytes += piece.text_bytes;
            ++count;
        } while (piece.finish == LLMIR_FINISH_NONE);
        assert_int_equal(piece.finish, LLMIR_FINISH_STOP);
        assert_int_equal(piece.token, made[11]);
        assert_true(piece.logprob < 0.0f);
        assert_int_equal(count, first + 1);
        assert_int_equal(llmir_session_position(session), PROMPT + (uint32_t)first);
        assert_true(bytes <= expected_bytes && (with_tokenizer || bytes == 0));
        assert_memory_equal(text, expected, bytes);
        llmir_session_destroy(session);
        tiny_unload(&loaded);
    }
}

/* A request of a scheduler says what a session does, log-probabilities and all. */
static void test_logprobs_of_requests_are_those_of_sessions(void** state) {
    const tiny_options_t options = tiny_options_default();
    const int32_t stop = 6;
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_scheduler_options_t scheduler_options = LLMIR_SCHEDULER_OPTIONS_INIT;
    llmir_request_options_t request_options = LLMIR_REQUEST_OPTIONS_INIT;
    int32_t ids[PROMPT];
    tiny_loaded_t loaded;
    llmir_scheduler_t* scheduler = NULL;
    llmir_request_t* request = NULL;
    llmir_piece_t piece = {0};
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.flags = LLMIR_SESSION_LOGPROBS | LLMIR_SESSION_IGNORE_END;
    session_options.top_logprobs = 4;
    session_options.max_tokens = 40;
    session_options.stop_tokens = &stop;
    session_options.stop_token_count = 1;
    llmir_session_t* session = fed_session(&loaded, &session_options);
    tiny_ids(1, 320, ids, PROMPT);
    assert_status(
        llmir_scheduler_create(loaded.model, &scheduler_options, &scheduler, &assert_status_error),
        LLMIR_STATUS_OK);
    request_options.tokens = ids;
    request_options.token_count = PROMPT;
    request_options.session = &session_options;
    assert_status(
        llmir_scheduler_submit(scheduler, &request_options, &request, &assert_status_error),
        LLMIR_STATUS_OK);
    while (piece.finish == LLMIR_FINISH_NONE) {
        assert_status(llmir_scheduler_step(scheduler, NULL, &assert_status_error), LLMIR_STATUS_OK);
        assert_status(llmir_request_next(request, 0, &piece, &assert_status_error),
                      LLMIR_STATUS_OK);
        if (piece.token < 0) {
            continue; /* none yet */
        }
        const llmir_piece_t alone = next(session);
        assert_int_equal(piece.token, alone.token);
        assert_int_equal(piece.finish, alone.finish);
        assert_true(piece.logprob == alone.logprob && piece.logprob < 0.0f);
        assert_int_equal(piece.top_count, 4);
        assert_memory_equal(piece.top, alone.top, 4 * sizeof(*piece.top));
    }
    llmir_request_destroy(request);
    llmir_scheduler_destroy(scheduler);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_session_refuses_bad_logprobs_and_stop_tokens(void** state) {
    const tiny_options_t options = tiny_options_default();
    const int32_t ids[2][2] = {{5, 320}, {-1, 5}};
    const llmir_session_options_t bad[] = {
        {.top_logprobs = 1},
        {.flags = LLMIR_SESSION_LOGPROBS, .top_logprobs = 21},
        {.stop_token_count = 1},
        {.stop_tokens = ids[0], .stop_token_count = 2},
        {.stop_tokens = ids[1], .stop_token_count = 2},
        {.stop_tokens = ids[0], .stop_token_count = 17},
        {.flags = LLMIR_SESSION_LOGPROBS << 1},
    };
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        llmir_session_options_t session_options = bad[i];
        llmir_session_t* session = NULL;
        session_options.struct_size = sizeof(session_options);
        assert_status(llmir_session_create(loaded.model, NULL, &session_options, &session,
                                           &assert_status_error),
                      LLMIR_STATUS_INVALID_ARGUMENT);
        assert_null(session);
    }
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logprobs_agree_with_softmax),
        cmocka_unit_test(test_logprobs_of_many_equals_are_exact),
        cmocka_unit_test(test_logprobs_survive_nan_and_infinities),
        cmocka_unit_test(test_logprobs_of_pieces_are_of_raw_logits),
        cmocka_unit_test(test_logprobs_are_zero_unless_asked_for),
        cmocka_unit_test(test_logprobs_are_kept_over_full_context_and_fork),
        cmocka_unit_test(test_logprobs_of_requests_are_those_of_sessions),
        cmocka_unit_test(test_stop_tokens_end_the_generation),
        cmocka_unit_test(test_session_refuses_bad_logprobs_and_stop_tokens),
    };
    return cmocka_run_group_tests_name("logprobs", tests, NULL, NULL);
}
