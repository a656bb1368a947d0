/* Feeding: the same bits however a sequence is computed, and sessions that failures do not change.
 */
#include <stdlib.h>
#include <string.h>

#include "quant/kv_layout.h"
#include "tests/support/tiny_model.h"

#define TOKENS 120u

static const uint32_t layouts[] = {LLMIR_LAYOUT_PANEL_F32, LLMIR_LAYOUT_PANEL_U4,
                                   LLMIR_LAYOUT_PANEL_S8};

static tiny_options_t options_for(uint32_t layout) {
    tiny_options_t options = tiny_options_default();
    options.layout = layout;
    options.window = 24;
    options.bias = layout != LLMIR_LAYOUT_PANEL_S8;
    options.head_norm = layout == LLMIR_LAYOUT_PANEL_S8;
    options.delta_norm = layout == LLMIR_LAYOUT_PANEL_U4;
    options.split_gate = layout == LLMIR_LAYOUT_PANEL_U4;
    return options;
}

/* Logits after `count` tokens fed in passes of `chunk`; heap memory. */
static float* logits_of(
    tiny_loaded_t* loaded, const int32_t* ids, size_t count, uint32_t chunk, uint32_t kv_type) {
    const uint32_t vocab = tiny_options_default().vocab;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    float* copy = malloc(vocab * sizeof(float));
    options.chunk_tokens = chunk;
    options.kv_type = kv_type;
    llmir_session_t* session = tiny_session(loaded, &options);
    assert_status(llmir_session_feed(session, ids, count, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_position(session), count);
    memcpy(copy, llmir_session_logits(session), vocab * sizeof(float));
    llmir_session_destroy(session);
    return copy;
}

static void assert_same_bits(const float* a, const float* b) {
    assert_memory_equal(a, b, tiny_options_default().vocab * sizeof(float));
}

static void test_feed_chunks_give_same_bits(void** state) {
    static const uint32_t chunks[] = {1, 3, 16, 100};
    (void)state;
    for (size_t l = 0; l < 3; ++l) {
        for (uint32_t kv_type = 0; kv_type < LLMIR_KV_STORAGE_COUNT; ++kv_type) {
            const tiny_options_t options = options_for(layouts[l]);
            tiny_loaded_t loaded;
            int32_t ids[TOKENS];
            tiny_ids(3, options.vocab, ids, TOKENS);
            tiny_load(&loaded, &options, 2);
            float* whole = logits_of(&loaded, ids, TOKENS, TOKENS, kv_type);
            for (size_t c = 0; c < 4; ++c) {
                float* chunked = logits_of(&loaded, ids, TOKENS, chunks[c], kv_type);
                assert_same_bits(whole, chunked);
                free(chunked);
            }
            free(whole);
            tiny_unload(&loaded);
        }
    }
}

static void test_feed_threads_give_same_bits(void** state) {
    static const uint32_t threads[] = {2, 3, 7};
    (void)state;
    for (size_t l = 0; l < 3; ++l) {
        const tiny_options_t options = options_for(layouts[l]);
        tiny_loaded_t loaded;
        int32_t ids[TOKENS];
        tiny_ids(4, options.vocab, ids, TOKENS);
        tiny_load(&loaded, &options, 1);
        float* one = logits_of(&loaded, ids, TOKENS, 50, 0);
        tiny_unload(&loaded);
        for (size_t t = 0; t < 3; ++t) {
            tiny_load(&loaded, &options, threads[t]);
            float* several = logits_of(&loaded, ids, TOKENS, 50, 0);
            assert_same_bits(one, several);
            free(several);
            tiny_unload(&loaded);
        }
        free(one);
    }
}

static void test_feed_different_tokens_give_different_logits(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_loaded_t loaded;
    int32_t ids[TOKENS];
    (void)state;
    tiny_ids(4, options.vocab, ids, TOKENS);
    tiny_load(&loaded, &options, 1);
    float* a = logits_of(&loaded, ids, TOKENS, 0, 0);
    ids[0] = ids[0] == 9 ? 10 : 9;
    float* b = logits_of(&loaded, ids, TOKENS, 0, 0);
    float* f32_kv = logits_of(&loaded, ids, TOKENS, 0, LLMIR_KV_F32);
    assert_true(memcmp(a, b, options.vocab * sizeof(float)) != 0);
    assert_true(memcmp(b, f32_kv, options.vocab * sizeof(float)) != 0);
    assert_close_f32(f32_kv, b, options.vocab, 0.05f, 0.05f);
    free(a);
    free(b);
    free(f32_kv);
    tiny_unload(&loaded);
}

/* Three sessions in passes together: every logit of the first as when it is alone. */
static void test_feed_beside_others_gives_same_bits(void** state) {
    (void)state;
    for (size_t l = 0; l < 3; ++l) {
        const tiny_options_t options = options_for(layouts[l]);
        const size_t row = options.vocab * sizeof(float);
        llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
        llmir_session_t* sessions[3];
        llmir_pool_t* pool = NULL;
        tiny_loaded_t loaded;
        int32_t ids[3][TOKENS];
        float* all = malloc(40 * row);
        float* alone = NULL;
        tiny_load(&loaded, &options, 2);
        pool_options.session_count = 3;
        pool_options.context_tokens = 3 * TOKENS;
        pool_options.chunk_tokens = 100;
        pool_options.output_rows = 50;
        assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                      LLMIR_STATUS_OK);
        for (int i = 0; i < 3; ++i) {
            tiny_ids(20 + (uint64_t)i, options.vocab, ids[i], TOKENS);
            assert_status(
                llmir_session_create(loaded.model, pool, NULL, &sessions[i], &assert_status_error),
                LLMIR_STATUS_OK);
        }
        size_t done = 0;
        for (size_t take = 1; done < 100; take = take * 3 % 38 + 1) {
            const llmir_feed_t feeds[3] = {{sessions[1], ids[1] + done, take % 7 + 1, NULL},
                                           {sessions[0], ids[0] + done, take, all},
                                           {sessions[2], ids[2] + done, 1, NULL}};
            assert_status(llmir_session_truncate(sessions[1], 0, &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_status(llmir_pool_feed(pool, feeds, 3, &assert_status_error), LLMIR_STATUS_OK);
            for (size_t i = 0; i < take; ++i) {
                alone = logits_of(&loaded, ids[0], done + i + 1, 0, 0);
                assert_memory_equal(alone, all + i * options.vocab, row);
                free(alone);
            }
            done += take;
            alone = logits_of(&loaded, ids[0], done, 0, 0);
            assert_same_bits(alone, llmir_session_logits(sessions[0]));
            free(alone);
        }
        for (int i = 0; i < 3; ++i) {
            llmir_session_destroy(sessions[i]);
        }
        llmir_pool_destroy(pool);
        free(all);
        tiny_unload(&loaded);
    }
}

static void test_feed_after_truncate_and_reset_gives_same_bits(void** state) {
    const tiny_options_t options = options_for(LLMIR_LAYOUT_PANEL_F32);
    tiny_loaded_t loaded;
    int32_t ids[TOKENS];
    int32_t other[TOKENS];
    (void)state;
    tiny_ids(5, options.vocab, ids, TOKENS);
    tiny_ids(6, options.vocab, other, TOKENS);
    memcpy(other, ids, 37 * sizeof(int32_t));
    tiny_load(&loaded, &options, 2);
    float* expected = logits_of(&loaded, ids, TOKENS, 0, 0);
    llmir_session_t* session = tiny_session(&loaded, NULL);
    assert_status(llmir_session_feed(session, other, TOKENS, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_truncate(session, 37, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(llmir_session_position(session), 37);
    assert_null(llmir_session_logits(session));
    assert_status(llmir_session_feed(session, ids + 37, TOKENS - 37, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_same_bits(expected, llmir_session_logits(session));
    llmir_session_reset(session);
    assert_int_equal(llmir_session_position(session), 0);
    assert_null(llmir_session_logits(session));
    assert_status(llmir_session_feed(session, ids, TOKENS, &assert_status_error), LLMIR_STATUS_OK);
    assert_same_bits(expected, llmir_session_logits(session));
    assert_status(llmir_session_truncate(session, TOKENS + 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    llmir_session_destroy(session);
    free(expected);
    tiny_unload(&loaded);
}

/* A session of one position takes one token, and a refused feed leaves it as it was. */
static void test_feed_context_of_one_takes_one_token(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    const int32_t ids[2] = {5, 6};
    tiny_loaded_t loaded;
    (void)state;
    tiny_load(&loaded, &options, 1);
    session_options.context_tokens = 1;
    llmir_session_t* session = tiny_session(&loaded, &session_options);
    assert_status_message(llmir_session_feed(session, ids, 2, &assert_status_error),
                          LLMIR_STATUS_CAPACITY, "2 tokens");
    assert_int_equal(llmir_session_position(session), 0);
    assert_null(llmir_session_logits(session));
    assert_status(llmir_session_feed(session, ids, 1, &assert_status_error), LLMIR_STATUS_OK);
    float* expected = logits_of(&loaded, ids, 1, 0, 0);
    assert_same_bits(expected, llmir_session_logits(session));
    assert_status(llmir_session_feed(session, ids + 1, 1, &assert_status_error),
                  LLMIR_STATUS_CAPACITY);
    assert_same_bits(expected, llmir_session_logits(session));
    assert_int_equal(llmir_session_position(session), 1);
    free(expected);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

static void test_feed_past_model_context_fails(void** state) {
    tiny_options_t options = tiny_options_default();
    int32_t ids[41];
    tiny_loaded_t loaded;
    (void)state;
    options.context = 40;
    tiny_ids(8, options.vocab, ids, 41);
    tiny_load(&loaded, &options, 1);
    llmir_session_t* session = tiny_session(&loaded, NULL);
    assert_status(llmir_session_feed(session, ids, 41, &assert_status_error),
                  LLMIR_STATUS_CAPACITY);
    assert_status(llmir_session_feed(session, ids, 40, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(session, ids, 1, &assert_status_error), LLMIR_STATUS_CAPACITY);
    llmir_session_destroy(session);
    tiny_unload(&loaded);
}

/* What one session gives back another can use. 100 positions in two sessions: eight pages. */
static void test_feed_sessions_share_the_pools_pages(void** state) {
    const tiny_options_t options = tiny_options_default();
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_options_t alone = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* a = NULL;
    llmir_session_t* b = NULL;
    llmir_session_t* c = NULL;
    llmir_pool_t* pool = NULL;
    tiny_loaded_t loaded;
    int32_t ids[100];
    (void)state;
    tiny_ids(9, options.vocab, ids, 100);
    tiny_load(&loaded, &options, 1);
    pool_options.session_count = 2;
    pool_options.context_tokens = 100;
    alone.flags = LLMIR_SESSION_NO_SHARING;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, &alone, &a, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, &alone, &b, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, NULL, &c, &assert_status_error),
                  LLMIR_STATUS_CAPACITY);
    assert_null(c);
    assert_status(llmir_session_feed(a, ids, 17, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(b, ids, 97, &assert_status_error), LLMIR_STATUS_CAPACITY);
    assert_status(llmir_session_feed(b, ids, 96, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(a, ids, 16, &assert_status_error), LLMIR_STATUS_CAPACITY);
    assert_status(llmir_session_feed(a, ids, 15, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_destroy(a);
    assert_status(llmir_session_feed(b, ids, 5, &assert_status_error), LLMIR_STATUS_CAPACITY);
    assert_status(llmir_session_feed(b, ids, 4, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, NULL, &c, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_session_destroy(b);
    llmir_session_destroy(c);
    llmir_pool_destroy(pool);
    tiny_unload(&loaded);
}

static void test_feed_refuses_bad_arguments(void** state) {
    const tiny_options_t options = tiny_options_default();
    const int32_t bad[2] = {5, 320};
    const int32_t negative[1] = {-1};
    int32_t good[70];
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    llmir_session_t* a = NULL;
    llmir_session_t* b = NULL;
    llmir_pool_t* pool = NULL;
    float* all = malloc(70 * options.vocab * sizeof(float));
    tiny_loaded_t loaded;
    (void)state;
    tiny_ids(1, options.vocab, good, 70);
    tiny_load(&loaded, &options, 1);
    pool_options.session_count = 2;
    assert_status(llmir_pool_create(loaded.model, &pool_options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, NULL, &a, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_create(loaded.model, pool, NULL, &b, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_session_t* foreign = tiny_session(&loaded, NULL);
    assert_status_message(llmir_session_feed(a, bad, 2, &assert_status_error),
                          LLMIR_STATUS_INVALID_ARGUMENT, "token 1 is 320");
    assert_status(llmir_session_feed(a, negative, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_feed(a, good, 0, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_feed(a, NULL, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_session_feed(NULL, good, 1, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    const llmir_feed_t cases[][2] = {
        {{a, good, 1, NULL}, {a, good, 1, NULL}},       /* twice */
        {{a, good, 1, NULL}, {foreign, good, 1, NULL}}, /* of another pool */
        {{a, good, 1, NULL}, {NULL, good, 1, NULL}},
        {{a, good, 40, NULL}, {b, good, 25, NULL}}, /* more than chunk_tokens */
        {{a, good, 1, NULL}, {b, good, 2, all}},    /* more than output_rows */
        {{a, good, 1, NULL}, {b, bad, 2, NULL}},
        {{a, good, 1, NULL}, {b, good, SIZE_MAX, NULL}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        assert_status(llmir_pool_feed(pool, cases[i], 2, &assert_status_error),
                      LLMIR_STATUS_INVALID_ARGUMENT);
        assert_int_equal(llmir_session_position(a), 0);
        assert_null(llmir_session_logits(a));
    }
    const llmir_feed_t fits[2] = {{a, good, 1, all}, {b, good, 63, NULL}};
    assert_status(llmir_pool_feed(pool, fits, 2, &assert_status_error), LLMIR_STATUS_OK);
    llmir_session_destroy(foreign);
    llmir_session_destroy(a);
    llmir_session_destroy(b);
    llmir_pool_destroy(pool);
    free(all);
    tiny_unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_chunks_give_same_bits),
        cmocka_unit_test(test_feed_threads_give_same_bits),
        cmocka_unit_test(test_feed_different_tokens_give_different_logits),
        cmocka_unit_test(test_feed_beside_others_gives_same_bits),
        cmocka_unit_test(test_feed_after_truncate_and_reset_gives_same_bits),
        cmocka_unit_test(test_feed_context_of_one_takes_one_token),
        cmocka_unit_test(test_feed_past_model_context_fails),
        cmocka_unit_test(test_feed_sessions_share_the_pools_pages),
        cmocka_unit_test(test_feed_refuses_bad_arguments),
    };
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
