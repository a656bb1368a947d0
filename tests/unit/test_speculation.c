/* Speculation: whatever is guessed, by look-up or by a draft, and whatever is done to a session
 * between its tokens, it says the same, with the same bits, as one that guesses nothing. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define VOCAB 320u
#define STEPS 400u

/* Leaves two words, so that what is said repeats itself. */
static const llmir_logit_bias_t two_words[] = {{TINY_FIRST_WORD, 1000.0f},
                                               {TINY_FIRST_WORD + 1, 1000.0f}};

typedef struct pair {
    tiny_loaded_t loaded;
    tiny_loaded_t draft_loaded;
    llmir_pool_t* pools[2]; /* without speculation, and with it */
    llmir_session_t* sessions[2];
    llmir_session_t* draft;
    llmir_grammar_t* grammar;
} pair_t;

typedef struct pair_options {
    uint32_t speculation;
    uint64_t draft_seed; /* that of the model itself: all its guesses are right */
    uint32_t window;
    uint32_t context;
    uint32_t overflow;
    float temperature;
    const char* grammar;
} pair_options_t;

static void begin(pair_t* p, const pair_options_t* options) {
    tiny_options_t model = tiny_options_default();
    memset(p, 0, sizeof(*p));
    model.window = options->window;
    tiny_load(&p->loaded, &model, 2);
    if (options->speculation == LLMIR_SPECULATION_DRAFT) {
        model.seed = options->draft_seed;
        tiny_load(&p->draft_loaded, &model, 1);
        p->draft = tiny_session(&p->draft_loaded, NULL);
    }
    if (options->grammar != NULL) {
        assert_status(
            llmir_grammar_create(p->loaded.model, LLMIR_GRAMMAR_GBNF, options->grammar,
                                 strlen(options->grammar), &p->grammar, &assert_status_error),
            LLMIR_STATUS_OK);
    }
    for (uint32_t i = 0; i < 2; ++i) {
        llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
        llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
        llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
        pool.session_count = 3;
        pool.context_tokens = options->context;
        pool.chunk_tokens = 24;
        pool.guess_tokens = i == 0 ? 0u : 6u;
        assert_status(llmir_pool_create(p->loaded.model, &pool, &p->pools[i], &assert_status_error),
                      LLMIR_STATUS_OK);
        sampler.temperature = options->temperature;
        sampler.repetition_penalty = options->temperature > 0 ? 1.1f : 0.0f;
        sampler.seed = 9;
        sampler.logit_bias = two_words;
        sampler.logit_bias_count = options->grammar == NULL && p->draft == NULL ? 2u : 0u;
        session.sampler = &sampler;
        session.flags = LLMIR_SESSION_IGNORE_END | LLMIR_SESSION_LOGPROBS;
        session.top_logprobs = 2;
        session.overflow = options->overflow;
        session.sink_tokens = options->overflow == LLMIR_OVERFLOW_ROLL ? 4u : 0u;
        session.grammar = p->grammar;
        session.speculation = i == 0 ? (uint32_t)LLMIR_SPECULATION_NONE : options->speculation;
        session.draft = i == 0 ? NULL : p->draft;
        assert_status(llmir_session_create(p->loaded.model, p->pools[i], &session, &p->sessions[i],
                                           &assert_status_error),
                      LLMIR_STATUS_OK);
    }
}

static void end(pair_t* p) {
    for (uint32_t i = 0; i < 2; ++i) {
        llmir_session_destroy(p->sessions[i]);
        llmir_pool_destroy(p->pools[i]);
    }
    llmir_grammar_destroy(p->grammar);
    if (p->draft != NULL) {
        llmir_session_destroy(p->draft);
        tiny_unload(&p->draft_loaded);
    }
    tiny_unload(&p->loaded);
}

static llmir_pool_stats_t stats_of(const pair_t* p) {
    llmir_pool_stats_t stats = {.struct_size = sizeof(stats)};
    assert_status(llmir_pool_get_stats(p->pools[1], &stats, &assert_status_error), LLMIR_STATUS_OK);
    return stats;
}

static void assert_same(llmir_session_t* const sessions[2]) {
    const float* plain = llmir_session_logits(sessions[0]);
    const float* guessed = llmir_session_logits(sessions[1]);
    assert_int_equal(llmir_session_position(sessions[0]), llmir_session_position(sessions[1]));
    assert_int_equal(plain == NULL, guessed == NULL);
    if (plain != NULL) {
        assert_memory_equal(plain, guessed, VOCAB * sizeof(float));
    }
}

/* One token of each; returns the finish. */
static int32_t next(llmir_session_t* const sessions[2]) {
    llmir_piece_t pieces[2];
    for (uint32_t i = 0; i < 2; ++i) {
        assert_status(llmir_session_next(sessions[i], &pieces[i], &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    assert_int_equal(pieces[0].token, pieces[1].token);
    assert_int_equal(pieces[0].finish, pieces[1].finish);
    assert_int_equal(pieces[0].text_bytes, pieces[1].text_bytes);
    assert_memory_equal(pieces[0].text, pieces[1].text, pieces[0].text_bytes);
    assert_memory_equal(&pieces[0].logprob, &pieces[1].logprob, sizeof(pieces[0].logprob));
    assert_int_equal(pieces[0].top_count, pieces[1].top_count);
    assert_memory_equal(pieces[0].top, pieces[1].top, pieces[0].top_count * sizeof(*pieces[0].top));
    assert_same(sessions);
    return pieces[0].finish;
}

static void feed(llmir_session_t* const sessions[2], const int32_t* ids, size_t count) {
    for (uint32_t i = 0; i < 2; ++i) {
        assert_status(llmir_session_feed(sessions[i], ids, count, &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    assert_same(sessions);
}

/* A prompt that repeats itself, which is what a look-up hopes for. */
static void repeating_ids(uint64_t seed, int32_t* ids, size_t count) {
    tiny_ids(seed, VOCAB, ids, count);
    for (size_t i = 12; i < count; ++i) {
        ids[i] = ids[i - 12u];
    }
}

/* Goes back and forks while guesses lie behind the position. */
static void disturb(pair_t* p, test_random_t* random, int forks_too) {
    llmir_session_t* forks[2];
    const uint32_t position = llmir_session_position(p->sessions[0]);
    int32_t ids[8];
    const uint32_t kind = test_random_below(random, 40);
    if (kind == 0 && position > 40) {
        const uint32_t back = test_random_below(random, 20);
        tiny_ids(test_random_u64(random), VOCAB, ids, 8);
        for (uint32_t i = 0; i < 2; ++i) {
            assert_status(
                llmir_session_truncate(p->sessions[i], position - back, &assert_status_error),
                LLMIR_STATUS_OK);
        }
        feed(p->sessions, ids, 1u + test_random_below(random, 8));
    } else if (kind == 1 && forks_too) {
        for (uint32_t i = 0; i < 2; ++i) {
            assert_status(llmir_session_fork(p->sessions[i], &forks[i], &assert_status_error),
                          LLMIR_STATUS_OK);
        }
        for (uint32_t i = 0; i < 6 && next(forks) == LLMIR_FINISH_NONE; ++i) {
        }
        /* The parent's guesses are as good as before. */
        (void)next(p->sessions);
        llmir_session_destroy(forks[0]);
        llmir_session_destroy(forks[1]);
    }
}

static llmir_pool_stats_t check(const pair_options_t* options) {
    pair_t p;
    test_random_t random;
    int32_t ids[60];
    begin(&p, options);
    test_random_init(&random, 77);
    repeating_ids(5, ids, 60);
    feed(p.sessions, ids, 60);
    for (uint32_t i = 0; i < STEPS; ++i) {
        if (options->grammar == NULL) {
            disturb(&p, &random, options->overflow != LLMIR_OVERFLOW_ROLL);
        }
        if (next(p.sessions) != LLMIR_FINISH_NONE) {
            for (uint32_t k = 0; k < 2; ++k) {
                llmir_session_reset(p.sessions[k]);
            }
            repeating_ids(100u + i, ids, 60);
            feed(p.sessions, ids, 60);
        }
    }
    const llmir_pool_stats_t stats = stats_of(&p);
    end(&p);
    return stats;
}

static void test_speculation_look_up_changes_nothing(void** state) {
    (void)state;
    for (uint32_t window = 0; window <= 24; window += 24) {
        for (int sampled = 0; sampled < 2; ++sampled) {
            const pair_options_t options = {.speculation = LLMIR_SPECULATION_LOOKUP,
                                            .window = window,
                                            .context = 900,
                                            .temperature = sampled ? 0.7f : 0.0f};
            const llmir_pool_stats_t stats = check(&options);
            assert_true(stats.guessed_token_count > 0);
            assert_true(stats.accepted_token_count <= stats.guessed_token_count);
            assert_true(stats.accepted_token_count > STEPS / 10u);
        }
    }
}

static void test_speculation_rolling_session_says_the_same(void** state) {
    const pair_options_t options = {
        .speculation = LLMIR_SPECULATION_LOOKUP, .context = 100, .overflow = LLMIR_OVERFLOW_ROLL};
    (void)state;
    assert_true(check(&options).accepted_token_count > 0);
}

static void test_speculation_follows_a_grammar(void** state) {
    const pair_options_t options = {.speculation = LLMIR_SPECULATION_LOOKUP,
                                    .context = 900,
                                    .temperature = 1.0f,
                                    .grammar = "root ::= (\"[ab]\" | \"[cd]\"){40}"};
    (void)state;
    assert_true(check(&options).accepted_token_count > 0);
}

/* A draft that is the model itself is always right; another one hardly ever. */
static void test_speculation_draft_changes_nothing(void** state) {
    const uint64_t own_seed = tiny_options_default().seed;
    (void)state;
    pair_options_t options = {
        .speculation = LLMIR_SPECULATION_DRAFT, .draft_seed = own_seed, .context = 900};
    llmir_pool_stats_t stats = check(&options);
    assert_true(stats.accepted_token_count > STEPS / 2u);
    assert_true(stats.accepted_token_count * 10u > stats.guessed_token_count * 7u);
    options.draft_seed = own_seed + 1u;
    options.temperature = 1.0f;
    options.window = 24;
    stats = check(&options);
    /* Guesses that are wrong become few. */
    assert_true(stats.guessed_token_count > 0);
    assert_true(stats.guessed_token_count < STEPS / 2u);
}

/* Saved between guesses, a session goes on as if there were none. */
static llmir_status_t write_bytes(const void* data, size_t bytes, void* user) {
    uint8_t** end = user;
    memcpy(*end, data, bytes);
    *end += bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t read_bytes(void* data, size_t bytes, void* user) {
    uint8_t** at = user;
    memcpy(data, *at, bytes);
    *at += bytes;
    return LLMIR_STATUS_OK;
}

static void test_speculation_saved_session_goes_on(void** state) {
    const pair_options_t options = {.speculation = LLMIR_SPECULATION_LOOKUP, .context = 500};
    pair_t p;
    int32_t ids[60];
    (void)state;
    begin(&p, &options);
    repeating_ids(5, ids, 60);
    feed(p.sessions, ids, 60);
    for (uint32_t round = 0; round < 6; ++round) {
        for (uint32_t i = 0; i < 9; ++i) {
            (void)next(p.sessions);
        }
        uint8_t* saved = malloc((size_t)llmir_session_saved_bytes(p.sessions[1]));
        uint8_t* at = saved;
        assert_non_null(saved);
        assert_status(llmir_session_save(p.sessions[1], write_bytes, &at, &assert_status_error),
                      LLMIR_STATUS_OK);
        at = saved;
        assert_status(llmir_session_restore(p.sessions[1], read_bytes, &at, &assert_status_error),
                      LLMIR_STATUS_OK);
        free(saved);
        assert_same(p.sessions);
    }
    end(&p);
}

static void test_speculation_cancelled_session_goes_on(void** state) {
    const pair_options_t options = {
        .speculation = LLMIR_SPECULATION_DRAFT, .draft_seed = 3, .context = 500};
    llmir_piece_t piece;
    pair_t p;
    int32_t ids[60];
    (void)state;
    begin(&p, &options);
    repeating_ids(6, ids, 60);
    feed(p.sessions, ids, 60);
    for (uint32_t i = 0; i < 20; ++i) {
        llmir_session_cancel(p.sessions[1]);
        assert_status(llmir_session_next(p.sessions[1], &piece, &assert_status_error),
                      LLMIR_STATUS_CANCELLED);
        llmir_session_clear_cancel(p.sessions[1]);
        (void)next(p.sessions);
    }
    end(&p);
}

static void test_speculation_wrong_options_are_refused(void** state) {
    const tiny_options_t model = tiny_options_default();
    tiny_options_t other = model;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded[2];
    (void)state;
    other.vocab = 400;
    tiny_load(&loaded[0], &model, 1);
    tiny_load(&loaded[1], &other, 1);
    llmir_session_t* draft = tiny_session(&loaded[1], NULL);
    options.speculation = 3;
    assert_status(
        llmir_session_create(loaded[0].model, NULL, &options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    options.speculation = LLMIR_SPECULATION_DRAFT;
    assert_status(
        llmir_session_create(loaded[0].model, NULL, &options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    options.draft = draft;
    assert_status_message(
        llmir_session_create(loaded[0].model, NULL, &options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT, "400 tokens, expected 320");
    assert_status(llmir_pool_create(loaded[0].model, NULL, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    options.speculation = LLMIR_SPECULATION_LOOKUP;
    assert_status_message(
        llmir_session_create(loaded[0].model, pool, &options, &session, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT, "guess_tokens");
    llmir_pool_destroy(pool);
    pool_options.guess_tokens = LLMIR_MAX_GUESS_TOKENS + 1u;
    assert_status(llmir_pool_create(loaded[0].model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    llmir_session_destroy(draft);
    tiny_unload(&loaded[0]);
    tiny_unload(&loaded[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speculation_look_up_changes_nothing),
        cmocka_unit_test(test_speculation_rolling_session_says_the_same),
        cmocka_unit_test(test_speculation_follows_a_grammar),
        cmocka_unit_test(test_speculation_draft_changes_nothing),
        cmocka_unit_test(test_speculation_saved_session_goes_on),
        cmocka_unit_test(test_speculation_cancelled_session_goes_on),
        cmocka_unit_test(test_speculation_wrong_options_are_refused),
    };
    return cmocka_run_group_tests_name("speculation", tests, NULL, NULL);
}
