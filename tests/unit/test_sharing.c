/* Sessions of one pool that share pages: equal prefixes, forks, truncation. Whatever a session took
 * over, its logits are the bits of a session that computed everything alone. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define SESSIONS 4u
#define TOKENS 150u
#define VOCAB 320u

typedef struct sharing {
    tiny_loaded_t loaded;
    llmir_pool_t* pool;
    llmir_session_t* sessions[SESSIONS];
    llmir_session_t* alone; /* in a pool of its own: computes everything */
    int32_t ids[TOKENS];
} sharing_t;

static void begin(sharing_t* s, uint32_t context, uint32_t chunk) {
    tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_options_t alone = LLMIR_SESSION_OPTIONS_INIT;
    options.window = 24;
    memset(s, 0, sizeof(*s));
    tiny_ids(11, VOCAB, s->ids, TOKENS);
    tiny_load(&s->loaded, &options, 2);
    pool_options.session_count = SESSIONS;
    pool_options.context_tokens = context;
    pool_options.chunk_tokens = chunk;
    assert_status(llmir_pool_create(s->loaded.model, &pool_options, &s->pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (uint32_t i = 0; i < SESSIONS; ++i) {
        assert_status(llmir_session_create(s->loaded.model, s->pool, NULL, &s->sessions[i],
                                           &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    alone.flags = LLMIR_SESSION_NO_SHARING;
    s->alone = tiny_session(&s->loaded, &alone);
}

static void end(sharing_t* s) {
    for (uint32_t i = 0; i < SESSIONS; ++i) {
        llmir_session_destroy(s->sessions[i]);
    }
    llmir_session_destroy(s->alone);
    llmir_pool_destroy(s->pool);
    tiny_unload(&s->loaded);
}

static llmir_pool_stats_t stats_of(const sharing_t* s) {
    llmir_pool_stats_t stats = {.struct_size = sizeof(stats)};
    assert_status(llmir_pool_get_stats(s->pool, &stats, &assert_status_error), LLMIR_STATUS_OK);
    return stats;
}

static void feed(llmir_session_t* session, const int32_t* ids, size_t count) {
    assert_status(llmir_session_feed(session, ids, count, &assert_status_error), LLMIR_STATUS_OK);
}

/* The session's logits are those of `ids` computed alone. */
static void assert_as_alone(const sharing_t* s, llmir_session_t* session, const int32_t* ids) {
    llmir_session_reset(s->alone);
    feed(s->alone, ids, llmir_session_position(session));
    assert_memory_equal(llmir_session_logits(session), llmir_session_logits(s->alone),
                        VOCAB * sizeof(float));
}

static void test_sharing_equal_prefixes_are_computed_once(void** state) {
    static const uint32_t chunks[] = {5, 16, 33, 150};
    (void)state;
    for (size_t c = 0; c < 4; ++c) {
        sharing_t s;
        begin(&s, 600, chunks[c]);
        feed(s.sessions[0], s.ids, 100);
        assert_int_equal(stats_of(&s).computed_token_count, 100);
        assert_int_equal(llmir_session_cached(s.sessions[1], s.ids, 150), 96);
        assert_int_equal(llmir_session_cached(s.sessions[1], s.ids, 96), 80);
        feed(s.sessions[1], s.ids, 140);
        assert_int_equal(stats_of(&s).computed_token_count, 144);
        assert_int_equal(stats_of(&s).reused_token_count, 96);
        assert_as_alone(&s, s.sessions[1], s.ids);
        /* All of it is there: the last token is computed for its logits, with its page. */
        feed(s.sessions[2], s.ids, 128);
        assert_int_equal(stats_of(&s).reused_token_count, 96 + 112);
        assert_as_alone(&s, s.sessions[2], s.ids);
        /* Generation goes on the same way. */
        feed(s.sessions[0], s.ids + 100, 40);
        assert_as_alone(&s, s.sessions[0], s.ids);
        end(&s);
    }
}

/* Pages outlive the session that computed them. */
static void test_sharing_pages_of_a_destroyed_session_are_found(void** state) {
    sharing_t s;
    (void)state;
    begin(&s, 600, 64);
    feed(s.sessions[0], s.ids, 100);
    llmir_session_destroy(s.sessions[0]);
    assert_status(
        llmir_session_create(s.loaded.model, s.pool, NULL, &s.sessions[0], &assert_status_error),
        LLMIR_STATUS_OK);
    feed(s.sessions[0], s.ids, 100);
    assert_int_equal(stats_of(&s).computed_token_count, 104);
    assert_as_alone(&s, s.sessions[0], s.ids);
    end(&s);
}

static void test_sharing_reuse_takes_pages_for_a_batch(void** state) {
    sharing_t s;
    size_t taken = 0;
    (void)state;
    begin(&s, 600, 64);
    feed(s.sessions[0], s.ids, 100);
    assert_status(llmir_session_reuse(s.sessions[1], s.ids, 110, &taken, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(taken, 96);
    assert_int_equal(llmir_session_position(s.sessions[1]), 96);
    assert_null(llmir_session_logits(s.sessions[1]));
    const llmir_feed_t feeds[] = {{s.sessions[1], s.ids + 96, 14, NULL},
                                  {s.sessions[0], s.ids + 100, 30, NULL}};
    assert_status(llmir_pool_feed(s.pool, feeds, 2, &assert_status_error), LLMIR_STATUS_OK);
    assert_as_alone(&s, s.sessions[1], s.ids);
    assert_as_alone(&s, s.sessions[0], s.ids);
    assert_status(llmir_session_reuse(s.sessions[1], NULL, 5, &taken, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_reuse(s.sessions[1], s.ids, 5, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_int_equal(llmir_session_cached(NULL, s.ids, 5), 0);
    end(&s);
}

static void test_sharing_can_be_refused(void** state) {
    sharing_t s;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    (void)state;
    begin(&s, 600, 64);
    options.flags = LLMIR_SESSION_NO_SHARING;
    llmir_session_destroy(s.sessions[3]);
    assert_status(llmir_session_create(s.loaded.model, s.pool, &options, &s.sessions[3],
                                       &assert_status_error),
                  LLMIR_STATUS_OK);
    feed(s.sessions[3], s.ids, 100);
    feed(s.sessions[0], s.ids, 100);
    llmir_session_reset(s.sessions[3]);
    feed(s.sessions[3], s.ids, 100);
    assert_int_equal(stats_of(&s).reused_token_count, 0);
    assert_int_equal(llmir_session_cached(s.sessions[3], s.ids, 100), 0);
    end(&s);
}

static void test_sharing_forks_go_their_own_ways(void** state) {
    sharing_t s;
    int32_t other[TOKENS];
    llmir_session_t* fork = NULL;
    (void)state;
    begin(&s, 600, 64);
    feed(s.sessions[0], s.ids, 71);
    memcpy(other, s.ids, sizeof(other));
    tiny_ids(12, VOCAB, other + 71, TOKENS - 71);
    assert_status(llmir_session_fork(s.sessions[0], &fork, &assert_status_error),
                  LLMIR_STATUS_CAPACITY);
    assert_null(fork);
    llmir_session_destroy(s.sessions[1]);
    const llmir_pool_stats_t before = stats_of(&s);
    assert_status(llmir_session_fork(s.sessions[0], &s.sessions[1], &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(stats_of(&s).free_page_count, before.free_page_count);
    assert_int_equal(llmir_session_position(s.sessions[1]), 71);
    assert_as_alone(&s, s.sessions[1], s.ids);
    const llmir_feed_t feeds[] = {{s.sessions[1], other + 71, 20, NULL},
                                  {s.sessions[0], s.ids + 71, 30, NULL}};
    assert_status(llmir_pool_feed(s.pool, feeds, 2, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(stats_of(&s).copied_page_count, 1);
    assert_as_alone(&s, s.sessions[1], other);
    assert_as_alone(&s, s.sessions[0], s.ids);
    /* Back into the shared part, and on in another way. */
    assert_status(llmir_session_truncate(s.sessions[1], 40, &assert_status_error), LLMIR_STATUS_OK);
    feed(s.sessions[1], other + 90, 10);
    memmove(other + 40, other + 90, 10 * sizeof(*other));
    assert_as_alone(&s, s.sessions[1], other);
    assert_status(llmir_session_truncate(s.sessions[0], 70, &assert_status_error), LLMIR_STATUS_OK);
    feed(s.sessions[0], s.ids + 70, 1);
    assert_as_alone(&s, s.sessions[0], s.ids);
    assert_status(llmir_session_fork(NULL, &fork, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    end(&s);
}

/* A fork in the middle of a generation writes the same text as the session that it came from. */
static void test_sharing_fork_continues_the_generation(void** state) {
    sharing_t s;
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    (void)state;
    begin(&s, 600, 64);
    sampler.temperature = 1;
    sampler.seed = 7;
    sampler.repetition_penalty = 1.2f;
    assert_status(llmir_session_set_sampler(s.sessions[0], &sampler, &assert_status_error),
                  LLMIR_STATUS_OK);
    feed(s.sessions[0], s.ids, 30);
    llmir_session_destroy(s.sessions[2]);
    for (int i = 0; i < 40; ++i) {
        llmir_piece_t a, b;
        if (i == 10) {
            assert_status(llmir_session_fork(s.sessions[0], &s.sessions[2], &assert_status_error),
                          LLMIR_STATUS_OK);
        }
        assert_status(llmir_session_next(s.sessions[0], &a, &assert_status_error), LLMIR_STATUS_OK);
        if (i >= 10) {
            assert_status(llmir_session_next(s.sessions[2], &b, &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_int_equal(a.token, b.token);
            assert_int_equal(a.finish, b.finish);
            assert_int_equal(a.text_bytes, b.text_bytes);
            assert_memory_equal(a.text, b.text, a.text_bytes);
        }
        if (a.finish != LLMIR_FINISH_NONE) {
            break;
        }
    }
    if (s.sessions[2] == NULL) {
        fail_msg("the generation ended before the fork; choose another seed");
    }
    end(&s);
}

/* Random feeding, forking and truncation in a pool that is too small for it: sessions meet, part
 * and evict each other's pages. */
static void test_sharing_random_use_gives_the_bits_of_sessions_alone(void** state) {
    sharing_t s;
    test_random_t random;
    int32_t expected[SESSIONS][TOKENS];
    uint32_t checked = 0;
    (void)state;
    test_random_init(&random, 21);
    begin(&s, 260, 48);
    for (int round = 0; round < 400; ++round) {
        const uint32_t i = test_random_below(&random, SESSIONS);
        llmir_session_t* session = s.sessions[i];
        const uint32_t from = llmir_session_position(session);
        const uint32_t count = 1u + test_random_below(&random, 40);
        const uint32_t action = test_random_below(&random, 6);
        if (action < 4 && from + count <= TOKENS) {
            /* One of two ways on at each position. */
            const int32_t shift = test_random_below(&random, 8) == 0;
            for (uint32_t k = 0; k < count; ++k) {
                expected[i][from + k] = s.ids[from + k] ^ shift;
            }
            const llmir_status_t status =
                llmir_session_feed(session, expected[i] + from, count, NULL);
            if (status == LLMIR_STATUS_OK) {
                assert_as_alone(&s, session, expected[i]);
                ++checked;
            } else {
                assert_int_equal(status, LLMIR_STATUS_CAPACITY);
                assert_int_equal(llmir_session_position(session), from);
            }
        } else if (action == 4) {
            const uint32_t cut = round % 2 ? test_random_below(&random, from + 1) : 0;
            assert_status(llmir_session_truncate(session, cut, &assert_status_error),
                          LLMIR_STATUS_OK);
        } else if (action == 5) {
            const uint32_t other = (i + 1u) % SESSIONS;
            llmir_session_destroy(s.sessions[other]);
            assert_status(llmir_session_fork(session, &s.sessions[other], &assert_status_error),
                          LLMIR_STATUS_OK);
            memcpy(expected[other], expected[i], sizeof(expected[i]));
        }
    }
    const llmir_pool_stats_t stats = stats_of(&s);
    print_message("%u feeds, %llu tokens reused, %llu pages evicted, %llu copied\n", checked,
                  (unsigned long long)stats.reused_token_count,
                  (unsigned long long)stats.evicted_page_count,
                  (unsigned long long)stats.copied_page_count);
    assert_true(checked > 100);
    assert_true(stats.reused_token_count > 100);
    assert_true(stats.evicted_page_count > 20);
    assert_true(stats.copied_page_count > 20);
    for (uint32_t i = 0; i < SESSIONS; ++i) {
        llmir_session_reset(s.sessions[i]);
    }
    assert_int_equal(stats_of(&s).free_page_count + stats_of(&s).cached_page_count,
                     stats.page_count);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing_equal_prefixes_are_computed_once),
        cmocka_unit_test(test_sharing_pages_of_a_destroyed_session_are_found),
        cmocka_unit_test(test_sharing_reuse_takes_pages_for_a_batch),
        cmocka_unit_test(test_sharing_can_be_refused),
        cmocka_unit_test(test_sharing_forks_go_their_own_ways),
        cmocka_unit_test(test_sharing_fork_continues_the_generation),
        cmocka_unit_test(test_sharing_random_use_gives_the_bits_of_sessions_alone),
    };
    return cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
}
