/* One model under several threads: each with sessions of its own, all with the text that they make
 * when alone. */
#include <string.h>

#include "platform/platform.h"
#include "tests/support/tiny_model.h"

#define THREADS 3u
#define STEPS 40u

typedef struct worker {
    llmir_model_t* model;
    llmir_grammar_t* grammar; /* NULL: none */
    uint64_t seed;
    int32_t ids[STEPS];
    llmir_status_t status;
} worker_t;

/* No assertions here: they are for the test's own thread. */
static llmir_status_t generate(worker_t* worker, llmir_error_t* error) {
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    llmir_session_t* session = NULL;
    int32_t prompt[30];
    sampler.temperature = 1;
    sampler.seed = worker->seed;
    options.sampler = &sampler;
    options.flags = LLMIR_SESSION_IGNORE_END;
    options.grammar = worker->grammar;
    tiny_ids(worker->seed, 320, prompt, 30);
    llmir_status_t status = llmir_session_create(worker->model, NULL, &options, &session, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_feed(session, prompt, 30, error);
    }
    for (uint32_t i = 0; i < STEPS && status == LLMIR_STATUS_OK; ++i) {
        llmir_piece_t piece;
        status = llmir_session_next(session, &piece, error);
        worker->ids[i] = piece.token;
    }
    llmir_session_destroy(session);
    return status;
}

static void work(void* user) {
    worker_t* worker = user;
    worker->status = generate(worker, NULL);
}

static void check_threads(const char* grammar_text) {
    tiny_options_t options = tiny_options_default();
    worker_t alone[THREADS] = {0};
    worker_t together[THREADS] = {0};
    llmir_thread_t threads[THREADS];
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_grammar_t* grammar = NULL;
    options.layout = LLMIR_LAYOUT_PANEL_U4;
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    runtime_options.thread_count = 2;
    assert_status(llmir_runtime_create(&runtime_options, &runtime, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model,
                                          &assert_status_error),
                  LLMIR_STATUS_OK);
    if (grammar_text != NULL) {
        assert_status(llmir_grammar_create(model, LLMIR_GRAMMAR_GBNF, grammar_text,
                                           strlen(grammar_text), &grammar, &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    for (uint32_t i = 0; i < THREADS; ++i) {
        alone[i] = together[i] = (worker_t){.model = model, .grammar = grammar, .seed = i + 1};
        assert_status(generate(&alone[i], &assert_status_error), LLMIR_STATUS_OK);
    }
    for (uint32_t i = 0; i < THREADS; ++i) {
        assert_status(llmir_thread_start(&threads[i], work, &together[i], &assert_status_error),
                      LLMIR_STATUS_OK);
    }
    for (uint32_t i = 0; i < THREADS; ++i) {
        llmir_thread_join(&threads[i]);
    }
    for (uint32_t i = 0; i < THREADS; ++i) {
        assert_int_equal(together[i].status, LLMIR_STATUS_OK);
        assert_memory_equal(together[i].ids, alone[i].ids, sizeof(alone[i].ids));
    }
    llmir_grammar_destroy(grammar);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
}

static void test_concurrent_sessions_of_one_model_do_not_disturb_each_other(void** state) {
    (void)state;
    check_threads(NULL);
}

/* They share the grammar's kept masks. */
static void test_concurrent_sessions_of_one_grammar_do_not_disturb_each_other(void** state) {
    (void)state;
    check_threads("root ::= ([a-z]{1,8} [ .,] | \"(\" root \")\")+");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrent_sessions_of_one_model_do_not_disturb_each_other),
        cmocka_unit_test(test_concurrent_sessions_of_one_grammar_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests_name("concurrent", tests, NULL, NULL);
}
