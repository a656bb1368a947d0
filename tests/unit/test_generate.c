/* Generation: sampling, stop strings, text and every way to finish. */
#include <stdlib.h>
#include <string.h>

#include "core/text_stream.h"
#include "tests/support/tiny_model.h"

#define PROMPT 20u

typedef struct generated {
    char text[4096];
    size_t bytes;
    int32_t tokens[400];
    size_t count;
    int32_t finish;
} generated_t;

/* Calls next until a finish or `limit` pieces. */
static void generate(llmir_session_t* session, size_t limit, generated_t* out) {
    memset(out, 0, sizeof(*out));
    while (out->count < limit && out->finish == LLMIR_FINISH_NONE) {
        llmir_piece_t piece;
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        assert_non_null(piece.text);
        assert_true(llmir_utf8_is_valid(piece.text, piece.text_bytes));
        assert_true(out->bytes + piece.text_bytes < sizeof(out->text));
        memcpy(out->text + out->bytes, piece.text, piece.text_bytes);
        out->bytes += piece.text_bytes;
        out->tokens[out->count++] = piece.token;
        out->finish = piece.finish;
    }
    out->text[out->bytes] = '\0';
}

static llmir_session_t* fed_session(tiny_loaded_t* loaded,
                                    const llmir_session_options_t* options,
                                    uint64_t seed) {
    int32_t ids[PROMPT];
    llmir_session_t* session = tiny_session(loaded, options);
    tiny_ids(seed, 320, ids, PROMPT);
    assert_status(llmir_session_feed(session, ids, PROMPT, &assert_status_error), LLMIR_STATUS_OK);
    return session;
}

static llmir_sampler_options_t warm(uint64_t seed) {
    llmir_sampler_options_t options = LLMIR_SAMPLER_OPTIONS_INIT;
    options.temperature = 1.2f;
    options.seed = seed;
    return options;
}

/* Greedy generation is feeding one's own largest logit. */
static void test_generate_greedy_equals_feeding_by_hand(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t made;
    (void)state;
    tiny_load(&loaded, &options, 2);
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* a = fed_session(&loaded, &session_options, 1);
    llmir_session_t* b = fed_session(&loaded, &session_options, 1);
    generate(a, 60, &made);
    assert_int_equal(llmir_session_position(a), PROMPT + 60);
    for (size_t i = 0; i < 60; ++i) {
        const float* logits = llmir_session_logits(b);
        int32_t best = 0;
        for (int32_t id = 1; id < (int32_t)options.vocab; ++id) {
            best = logits[id] > logits[best] ? id : best;
        }
        assert_int_equal(best, made.tokens[i]);
        assert_status(llmir_session_feed(b, &best, 1, &assert_status_error), LLMIR_STATUS_OK);
    }
    assert_memory_equal(llmir_session_logits(a), llmir_session_logits(b),
                        options.vocab * sizeof(float));
    llmir_session_destroy(a);
    llmir_session_destroy(b);
    tiny_unload(&loaded);
}

/* The text is that of the tokens, replaced where it is no UTF-8. */
static void test_generate_text_is_that_of_the_tokens(void** state) {
    const tiny_options_t options = tiny_options_default();
    const llmir_sampler_options_t sampler = warm(5);
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_stop_set_t none = {0};
    llmir_text_stream_t stream;
    char buffer[4096];
    char bytes[4096];
    size_t count = 0;
    size_t text_bytes = 0;
    tiny_loaded_t loaded;
    generated_t made;
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.sampler = &sampler;
    session_options.max_tokens = 200;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* session = fed_session(&loaded, &session_options, 2);
    generate(session, 400, &made);
    assert_int_equal(made.finish, LLMIR_FINISH_LIMIT);
    assert_int_equal(made.count, 200);
    for (size_t i = 0; i < made.count; ++i) {
        made.tokens[i] = made.tokens[i] < TINY_FIRST_WORD + TINY_WORD_COUNT ? made.tokens[i] : 1;
    }
    assert_status(llmir_model_detokenize(loaded.model, made.tokens, made.count, 0, bytes,
                                         sizeof(bytes), &count, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_text_stream_init(&stream, &none, buffer, sizeof(buffer));
    (void)llmir_text_stream_push(&stream, (const uint8_t*)bytes, count);
    llmir_text_stream_flush(&stream);
    const char* text = llmir_text_stream_take(&stream, &text_bytes);
    assert_int_equal(text_bytes, made.bytes);
    assert_memory_equal(text, made.text, text_bytes);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_generate_equal_seeds_give_equal_tokens(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t made[3];
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    for (int i = 0; i < 3; ++i) {
        const llmir_sampler_options_t sampler = warm(i == 2 ? 8 : 7);
        session_options.sampler = &sampler;
        llmir_session_t* session = fed_session(&loaded, &session_options, 3);
        generate(session, 50, &made[i]);
        llmir_session_destroy(session);
    }
    assert_memory_equal(made[0].tokens, made[1].tokens, sizeof(made[0].tokens));
    assert_true(memcmp(made[0].tokens, made[2].tokens, sizeof(made[0].tokens)) != 0);
    tiny_unload(&loaded);
}

/* Any part of what would be generated, as a stop string, ends the text right before it. */
static void test_generate_stops_before_stop_string(void** state) {
    const tiny_options_t options = tiny_options_default();
    const llmir_sampler_options_t sampler = warm(11);
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t whole;
    generated_t cut;
    int stopped = 0;
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.sampler = &sampler;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* session = fed_session(&loaded, &session_options, 4);
    generate(session, 150, &whole);
    llmir_session_destroy(session);
    for (size_t begin = 0; begin + 5 < whole.bytes; begin += 3) {
        char stop[8] = {0};
        const char* stops[3] = {"not in the text", stop, "neither is this"};
        memcpy(stop, whole.text + begin, 5);
        if (strlen(stop) != 5 || !llmir_utf8_is_valid(stop, 5)) {
            continue;
        }
        session_options.stop_strings = stops;
        session_options.stop_count = 3;
        session = fed_session(&loaded, &session_options, 4);
        generate(session, 150, &cut);
        const size_t expected = (size_t)(strstr(whole.text, stop) - whole.text);
        assert_int_equal(cut.finish, LLMIR_FINISH_STOP);
        assert_int_equal(cut.bytes, expected);
        assert_memory_equal(cut.text, whole.text, expected);
        /* Finished: only a feed goes on. */
        llmir_piece_t piece;
        assert_status(llmir_session_next(session, &piece, &assert_status_error),
                      LLMIR_STATUS_INVALID_ARGUMENT);
        assert_status(llmir_session_feed(session, whole.tokens, 1, &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_status(llmir_session_next(session, &piece, &assert_status_error), LLMIR_STATUS_OK);
        llmir_session_destroy(session);
        ++stopped;
    }
    assert_true(stopped >= 5);
    tiny_unload(&loaded);
}

/* The end token is reported, has no text and is not fed. */
static void test_generate_ends_at_end_token(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    int ends = 0;
    (void)state;
    tiny_load(&loaded, &options, 1);
    for (uint64_t seed = 0; seed < 40; ++seed) {
        llmir_sampler_options_t sampler = warm(seed);
        generated_t made;
        sampler.temperature = 3; /* nearly uniform: one token in 320 is the end */
        session_options.sampler = &sampler;
        llmir_session_t* session = fed_session(&loaded, &session_options, 5);
        generate(session, 200, &made);
        for (size_t i = 0; i + 1 < made.count; ++i) {
            assert_int_not_equal(made.tokens[i], TINY_END);
        }
        if (made.finish == LLMIR_FINISH_END) {
            assert_int_equal(made.tokens[made.count - 1], TINY_END);
            assert_int_equal(llmir_session_position(session), PROMPT + made.count - 1);
            assert_null(strstr(made.text, "<end>"));
            ++ends;
        }
        llmir_session_destroy(session);
    }
    assert_true(ends > 3);
    tiny_unload(&loaded);
}

static void test_generate_limit_counts_from_each_feed(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    const int32_t more[1] = {40};
    tiny_loaded_t loaded;
    generated_t made;
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.max_tokens = 7;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* session = fed_session(&loaded, &session_options, 6);
    for (uint32_t turn = 0; turn < 3; ++turn) {
        generate(session, 100, &made);
        assert_int_equal(made.count, 7);
        assert_int_equal(made.finish, LLMIR_FINISH_LIMIT);
        assert_int_equal(llmir_session_position(session), PROMPT + 7 * (turn + 1) + turn);
        assert_status(llmir_session_feed(session, more, 1, &assert_status_error), LLMIR_STATUS_OK);
    }
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_generate_full_context_finishes_with_last_token(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t made;
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.context_tokens = PROMPT + 5;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* session = fed_session(&loaded, &session_options, 7);
    generate(session, 100, &made);
    assert_int_equal(made.finish, LLMIR_FINISH_CONTEXT);
    assert_int_equal(made.count, 6); /* five that fit and one that is only text */
    assert_true(made.tokens[5] >= 0);
    assert_int_equal(llmir_session_position(session), PROMPT + 5);
    llmir_session_destroy(session);
    session_options.context_tokens = 1;
    session = tiny_session(&loaded, &session_options);
    assert_status(llmir_session_feed(session, made.tokens, 1, &assert_status_error),
                  LLMIR_STATUS_OK);
    generate(session, 100, &made);
    assert_int_equal(made.count, 1);
    assert_int_equal(made.finish, LLMIR_FINISH_CONTEXT);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_generate_without_logits_fails(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    llmir_piece_t piece;
    (void)state;
    tiny_load(&loaded, &options, 1);
    llmir_session_t* session = tiny_session(&loaded, NULL);
    assert_status(llmir_session_next(session, &piece, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_int_equal(piece.token, -1);
    assert_int_equal(piece.text_bytes, 0);
    assert_status(llmir_session_next(session, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_next(NULL, &piece, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

/* The penalty sees tokens of the prompt and of the answer, also over page borders. */
static void test_generate_penalty_avoids_repetition(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    tiny_loaded_t loaded;
    generated_t made;
    (void)state;
    tiny_load(&loaded, &options, 1);
    sampler.repetition_penalty = 1e30f;
    sampler.repetition_window = 100;
    session_options.sampler = &sampler;
    session_options.flags = LLMIR_SESSION_IGNORE_END;
    llmir_session_t* session = fed_session(&loaded, &session_options, 8);
    generate(session, 70, &made);
    for (size_t i = 0; i < 70; ++i) {
        for (size_t j = 0; j < i; ++j) {
            assert_int_not_equal(made.tokens[i], made.tokens[j]);
        }
    }
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_generate_without_tokenizer_gives_ids(void** state) {
    tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    generated_t made;
    size_t count = 0;
    (void)state;
    options.tokenizer = 0;
    tiny_load(&loaded, &options, 1);
    llmir_session_t* session = fed_session(&loaded, NULL, 9);
    generate(session, 10, &made);
    assert_int_equal(made.count, 10);
    assert_int_equal(made.bytes, 0);
    assert_status(
        llmir_model_tokenize(loaded.model, "a", 1, 0, NULL, 0, &count, &assert_status_error),
        LLMIR_STATUS_UNSUPPORTED);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate_greedy_equals_feeding_by_hand),
        cmocka_unit_test(test_generate_text_is_that_of_the_tokens),
        cmocka_unit_test(test_generate_equal_seeds_give_equal_tokens),
        cmocka_unit_test(test_generate_stops_before_stop_string),
        cmocka_unit_test(test_generate_ends_at_end_token),
        cmocka_unit_test(test_generate_limit_counts_from_each_feed),
        cmocka_unit_test(test_generate_full_context_finishes_with_last_token),
        cmocka_unit_test(test_generate_without_logits_fails),
        cmocka_unit_test(test_generate_penalty_avoids_repetition),
        cmocka_unit_test(test_generate_without_tokenizer_gives_ids),
    };
    return cmocka_run_group_tests_name("generate", tests, NULL, NULL);
}
