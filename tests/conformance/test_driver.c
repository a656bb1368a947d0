/* The host code of CUDA, HIP or Vulkan on a stand-in driver: every call of the driver fails once,
 * models come and go, what is cancelled stops, and a lost device takes nothing else with it.
 *
 *   test_driver TARGET LIBRARY BUNDLE     LIBRARY is the stand-in, which is found by its name on
 *                                         LD_LIBRARY_PATH too, with FAKE_DRIVER_KERNELS set */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "llmir_bundle.h"
#include "platform/platform.h"
#include "tests/conformance/kept_entries.h"
#include "tests/support/fake_driver/fake_driver.h"
#include "tests/support/test.h"
#include "tests/support/test_allocator.h"

#define PROMPT_TOKENS 20u
#define ANSWER_TOKENS 4u
#define LONG_TOKENS 400u
#define LOADS 100
#define LAYERS 2u /* of the bundle */

typedef struct driver_fixture {
    const char* target;
    const char* bundle;
    fake_control_t* control;
    int out_of_memory, lost, lost_context; /* codes of the driver */
    llmir_cache_t cache;
    uint32_t layers; /* of two, on the device; 0: everything */
} driver_fixture_t;

static int is_vulkan(const driver_fixture_t* fixture) {
    return strcmp(fixture->target, "vulkan") == 0;
}

/* ---- One run of a model ---- */

typedef struct loaded {
    llmir_runtime_t* runtime;
    llmir_model_t* model;
    llmir_session_t* session;
} loaded_t;

static llmir_status_t load(const driver_fixture_t* fixture,
                           const char* device,
                           const llmir_allocator_t* allocator,
                           loaded_t* out,
                           llmir_error_t* error) {
    llmir_runtime_options_t runtime = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model = LLMIR_MODEL_OPTIONS_INIT;
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    memset(out, 0, sizeof *out);
    runtime.thread_count = 1;
    runtime.cache = fixture->cache;
    if (allocator != NULL) {
        runtime.allocator = *allocator;
    }
    model.device = device;
    model.device_layers = device == fixture->target ? fixture->layers : 0u;
    session.flags = LLMIR_SESSION_IGNORE_END;
    session.context_tokens = 512;
    llmir_status_t status = llmir_runtime_create(&runtime, &out->runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_file(out->runtime, fixture->bundle, &model, &out->model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_session_create(out->model, NULL, &session, &out->session, error);
    }
    return status;
}

static void unload(loaded_t* loaded) {
    llmir_session_destroy(loaded->session);
    llmir_model_destroy(loaded->model);
    llmir_runtime_destroy(loaded->runtime);
    memset(loaded, 0, sizeof *loaded);
}

static llmir_status_t answer(loaded_t* loaded, int32_t* out_tokens, llmir_error_t* error) {
    int32_t prompt[PROMPT_TOKENS];
    for (uint32_t i = 0; i < PROMPT_TOKENS; ++i) {
        prompt[i] = (int32_t)(i * 7u % 200u);
    }
    llmir_status_t status = llmir_session_feed(loaded->session, prompt, PROMPT_TOKENS, error);
    for (uint32_t i = 0; status == LLMIR_STATUS_OK && i < ANSWER_TOKENS; ++i) {
        llmir_piece_t piece;
        status = llmir_session_next(loaded->session, &piece, error);
        out_tokens[i] = piece.token;
    }
    return status;
}

static llmir_status_t run_once(const driver_fixture_t* fixture,
                               const llmir_allocator_t* allocator,
                               int32_t* out_tokens,
                               llmir_error_t* error) {
    loaded_t loaded;
    llmir_status_t status = load(fixture, fixture->target, allocator, &loaded, error);
    if (status == LLMIR_STATUS_OK) {
        status = answer(&loaded, out_tokens, error);
    }
    unload(&loaded);
    return status;
}

static void expected_tokens(const driver_fixture_t* fixture, int32_t* out_tokens) {
    loaded_t loaded;
    assert_status(load(fixture, "cpu", NULL, &loaded, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(answer(&loaded, out_tokens, &assert_status_error), LLMIR_STATUS_OK);
    unload(&loaded);
}

static void assert_clean(const fake_control_t* control) {
    assert_int_equal(control->faults, 0);
    assert_int_equal(control->live_objects, 0);
    assert_int_equal(control->live_bytes, 0);
}

/* ---- Tests ---- */

static void test_driver_gives_the_tokens_of_the_processor(void** state) {
    const driver_fixture_t* fixture = *state;
    int32_t expected[ANSWER_TOKENS];
    int32_t found[ANSWER_TOKENS];
    const uint64_t graphs = fixture->control->graph_launches;
    expected_tokens(fixture, expected);
    assert_status(run_once(fixture, NULL, found, &assert_status_error), LLMIR_STATUS_OK);
    assert_memory_equal(found, expected, sizeof found);
    /* Every token of the answer is a graph, and the self-test one more. */
    assert_true(is_vulkan(fixture) || fixture->control->graph_launches - graphs >= ANSWER_TOKENS);
    assert_clean(fixture->control);
}

/* The n-th call fails, for every n: an error with a text, or the same tokens; nothing is left. */
static void sweep(const driver_fixture_t* fixture, int code) {
    fake_control_t* control = fixture->control;
    int32_t expected[ANSWER_TOKENS];
    unsigned failures = 0;
    expected_tokens(fixture, expected);
    for (uint64_t n = 1;; ++n) {
        test_allocator_t counting = {0};
        const llmir_allocator_t allocator = test_allocator(&counting);
        llmir_error_t error = {0, {0}};
        driver_fixture_t own = *fixture;
        kept_t kept = {0};
        own.cache = (llmir_cache_t){&kept, get_entry, put_entry};
        int32_t found[ANSWER_TOKENS];
        const uint64_t before = control->calls;
        control->fail_code = code;
        control->fail_at = before + n;
        const llmir_status_t status = run_once(&own, &allocator, found, &error);
        control->fail_at = 0;
        if (status == LLMIR_STATUS_OK) {
            assert_memory_equal(found, expected, sizeof found);
        } else {
            ++failures;
            assert_true(status == LLMIR_STATUS_OUT_OF_MEMORY ||
                        status == LLMIR_STATUS_DEVICE_LOST || status == LLMIR_STATUS_UNSUPPORTED);
            assert_int_equal(error.code, status);
            assert_true(error.message[0] != '\0');
        }
        if (control->faults + control->live_objects + control->live_bytes != 0) {
            print_message("call %u of %u failed with %d\n", (unsigned)n,
                          (unsigned)(control->calls - before), code);
        }
        assert_clean(control);
        test_allocator_check(&counting);
        if (control->calls - before < n) {
            print_message("%u calls, %u failures\n", (unsigned)n - 1u, failures);
            assert_true(failures > 100);
            return;
        }
    }
}

static void test_driver_out_of_memory_at_any_call_leaves_nothing(void** state) {
    sweep(*state, ((const driver_fixture_t*)*state)->out_of_memory);
}

static void test_driver_device_lost_at_any_call_leaves_nothing(void** state) {
    sweep(*state, ((const driver_fixture_t*)*state)->lost);
}

static void test_driver_hundred_loads_return_all_memory(void** state) {
    const driver_fixture_t* fixture = *state;
    loaded_t keeper; /* holds the device open, so that its memory can be seen */
    assert_status(load(fixture, fixture->target, NULL, &keeper, &assert_status_error),
                  LLMIR_STATUS_OK);
    const uint64_t bytes = fixture->control->live_bytes;
    const uint64_t objects = fixture->control->live_objects;
    assert_true(bytes > 0);
    for (int i = 0; i < LOADS; ++i) {
        llmir_model_options_t options = LLMIR_MODEL_OPTIONS_INIT;
        llmir_model_t* model = NULL;
        options.device = fixture->target;
        assert_status(llmir_model_load_file(keeper.runtime, fixture->bundle, &options, &model,
                                            &assert_status_error),
                      LLMIR_STATUS_OK);
        assert_true(fixture->control->live_bytes > bytes);
        llmir_model_destroy(model);
        assert_int_equal(fixture->control->live_bytes, bytes);
        assert_int_equal(fixture->control->live_objects, objects);
    }
    unload(&keeper);
    assert_clean(fixture->control);
}

/* ---- Cancelling ---- */

typedef struct stopper {
    const fake_control_t* control;
    llmir_session_t* session;
    uint64_t launches; /* kernels after which it cancels */
} stopper_t;

static void cancel_later(void* user) {
    stopper_t* stopper = user;
    while (*(const volatile uint64_t*)&stopper->control->launches < stopper->launches) {
        llmir_cpu_relax();
    }
    llmir_session_cancel(stopper->session);
}

static void long_prompt(int32_t* out_ids) {
    for (uint32_t i = 0; i < LONG_TOKENS; ++i) {
        out_ids[i] = (int32_t)(i * 13u % 200u);
    }
}

static void test_driver_cancel_in_the_middle_of_a_long_prompt(void** state) {
    const driver_fixture_t* fixture = *state;
    int32_t ids[LONG_TOKENS];
    loaded_t loaded;
    llmir_thread_t thread;
    long_prompt(ids);
    assert_status(load(fixture, fixture->target, NULL, &loaded, &assert_status_error),
                  LLMIR_STATUS_OK);
    const uint64_t before = fixture->control->launches;
    stopper_t stopper = {fixture->control, loaded.session, before + 5u};
    assert_status(llmir_thread_start(&thread, cancel_later, &stopper, &assert_status_error),
                  LLMIR_STATUS_OK);
    const llmir_status_t status = llmir_session_feed(loaded.session, ids, LONG_TOKENS, NULL);
    const uint64_t ran = fixture->control->launches - before;
    llmir_thread_join(&thread);
    assert_int_equal(status, LLMIR_STATUS_CANCELLED);
    assert_int_equal(llmir_session_position(loaded.session), 0);
    llmir_session_clear_cancel(loaded.session);
    assert_status(llmir_session_feed(loaded.session, ids, LONG_TOKENS, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(ran < fixture->control->launches - before - ran);
    unload(&loaded);
    assert_clean(fixture->control);
}

static void test_driver_deadline_in_the_middle_of_a_long_prompt(void** state) {
    const driver_fixture_t* fixture = *state;
    int32_t ids[LONG_TOKENS];
    loaded_t loaded;
    long_prompt(ids);
    assert_status(load(fixture, fixture->target, NULL, &loaded, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_session_set_deadline(loaded.session, 2000000);
    assert_status(llmir_session_feed(loaded.session, ids, LONG_TOKENS, &assert_status_error),
                  LLMIR_STATUS_DEADLINE);
    llmir_session_set_deadline(loaded.session, 0);
    assert_status(llmir_session_feed(loaded.session, ids, LONG_TOKENS, &assert_status_error),
                  LLMIR_STATUS_OK);
    unload(&loaded);
    assert_clean(fixture->control);
}

/* A device that is lost fails what runs on it from then on; the processor's sessions go on. */
static void test_driver_lost_device_takes_nothing_else_with_it(void** state) {
    const driver_fixture_t* fixture = *state;
    int32_t expected[ANSWER_TOKENS];
    int32_t found[ANSWER_TOKENS];
    loaded_t gpu, cpu;
    llmir_piece_t piece;
    expected_tokens(fixture, expected);
    assert_status(load(fixture, fixture->target, NULL, &gpu, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(load(fixture, "cpu", NULL, &cpu, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(answer(&gpu, found, &assert_status_error), LLMIR_STATUS_OK);
    fixture->control->fail_code = fixture->lost_context;
    fixture->control->fail_at = fixture->control->calls + 3u;
    assert_status(llmir_session_next(gpu.session, &piece, &assert_status_error),
                  LLMIR_STATUS_DEVICE_LOST);
    assert_status_message(llmir_session_next(gpu.session, &piece, &assert_status_error),
                          LLMIR_STATUS_DEVICE_LOST, "before");
    fixture->control->fail_at = 0;
    assert_status(answer(&cpu, found, &assert_status_error), LLMIR_STATUS_OK);
    assert_memory_equal(found, expected, sizeof found);
    unload(&gpu);
    assert_status(run_once(fixture, NULL, found, &assert_status_error), LLMIR_STATUS_OK);
    assert_memory_equal(found, expected, sizeof found);
    unload(&cpu);
    assert_clean(fixture->control);
}

/* ---- One of two layers on the device, the other on the processor ---- */

static void test_driver_split_failing_at_any_call_leaves_nothing(void** state) {
    driver_fixture_t own = *(const driver_fixture_t*)*state;
    own.layers = 1;
    sweep(&own, own.lost);
}

static void test_driver_split_sessions_are_lost_with_their_device(void** state) {
    driver_fixture_t own = *(const driver_fixture_t*)*state;
    void* own_state = &own;
    own.layers = 1;
    test_driver_lost_device_takes_nothing_else_with_it(&own_state);
}

/* ---- What is kept from one start to the next ---- */

/* What a start does: pipelines compiled, kernels executed beyond the answer's, entries put. */
typedef struct start {
    uint64_t compiled, launches;
    unsigned puts;
} start_t;

static start_t start_with(const driver_fixture_t* fixture, kept_t* kept) {
    int32_t expected[ANSWER_TOKENS];
    int32_t found[ANSWER_TOKENS];
    driver_fixture_t own = *fixture;
    const fake_control_t before = *fixture->control;
    const unsigned puts = kept->puts;
    own.cache = (llmir_cache_t){kept, get_entry, put_entry};
    expected_tokens(fixture, expected);
    assert_status(run_once(&own, NULL, found, &assert_status_error), LLMIR_STATUS_OK);
    assert_memory_equal(found, expected, sizeof found);
    assert_clean(fixture->control);
    return (start_t){fixture->control->compiled - before.compiled,
                     fixture->control->launches - before.launches, kept->puts - puts};
}

static void test_driver_second_start_compiles_and_tests_nothing(void** state) {
    const driver_fixture_t* fixture = *state;
    kept_t kept = {0};
    const start_t first = start_with(fixture, &kept);
    const start_t second = start_with(fixture, &kept);
    assert_true(second.launches < first.launches); /* no self-test */
    assert_int_equal(second.puts, 0);
    assert_int_equal(second.compiled, 0);
    assert_int_equal(first.puts, is_vulkan(fixture) ? 2 : 1);
    assert_true(first.compiled > 0 || !is_vulkan(fixture));
}

/* Every byte of an entry matters, and its length: one that is not good is replaced. */
static void test_driver_damaged_entries_are_refused_and_replaced(void** state) {
    const driver_fixture_t* fixture = *state;
    kept_t kept = {0};
    const start_t first = start_with(fixture, &kept);
    const kept_t good = kept;
    for (uint32_t i = 0; i < first.puts; ++i) {
        kept_entry_t* entry = &kept.entries[i];
        const size_t bytes = entry->bytes;
        const size_t places[] = {0, 9, bytes / 2u, bytes - 1u};
        for (size_t k = 0; k < 6; ++k) {
            if (k < 4) {
                entry->data[places[k]] ^= 1u;
            } else {
                entry->bytes = k == 4 ? bytes - 1u : 5u;
            }
            const start_t start = start_with(fixture, &kept);
            assert_int_equal(start.puts, 1);
            if (strncmp(entry->key, "selftest", 8) == 0) {
                assert_int_equal(start.launches, first.launches);
            } else {
                assert_int_equal(start.compiled, first.compiled);
            }
            assert_memory_equal(&kept.entries, &good.entries, sizeof kept.entries);
        }
    }
}

static void test_driver_entries_of_another_driver_are_replaced(void** state) {
    const driver_fixture_t* fixture = *state;
    kept_t kept = {0};
    if (!is_vulkan(fixture)) {
        skip();
    }
    const start_t first = start_with(fixture, &kept);
    ++fixture->control->revision;
    const start_t other = start_with(fixture, &kept);
    assert_int_equal(other.compiled, first.compiled);
    assert_int_equal(other.launches, first.launches);
    assert_int_equal(other.puts, 2);
    assert_int_equal(start_with(fixture, &kept).compiled, 0);
}

/* ---- Logits that stay on the device ---- */

static int32_t largest_of(const float* logits, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; ++i) {
        best = logits[i] > logits[best] ? i : best;
    }
    return (int32_t)best;
}

static void test_driver_greedy_token_moves_four_bytes(void** state) {
    const driver_fixture_t* fixture = *state;
    const fake_control_t* control = fixture->control;
    llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    llmir_model_info_t info = {.struct_size = sizeof info};
    int32_t tokens[ANSWER_TOKENS];
    loaded_t loaded;
    llmir_piece_t piece;
    if (is_vulkan(fixture)) {
        skip(); /* reads mapped memory, which nobody counts */
    }
    assert_status(load(fixture, fixture->target, NULL, &loaded, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_get_info(loaded.model, &info, &assert_status_error), LLMIR_STATUS_OK);
    const uint64_t row_bytes = info.vocab_count * 4u;
    uint64_t before = control->read_bytes;
    assert_status(answer(&loaded, tokens, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(control->read_bytes - before, (ANSWER_TOKENS + 1u) * 4u);
    /* Whoever looks at the logits gets them, once. */
    before = control->read_bytes;
    const float* logits = llmir_session_logits(loaded.session);
    assert_ptr_equal(llmir_session_logits(loaded.session), logits);
    assert_int_equal(control->read_bytes - before, row_bytes);
    const int32_t next = largest_of(logits, info.vocab_count);
    assert_status(llmir_session_next(loaded.session, &piece, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(piece.token, next);
    /* Other samplers need them: those that are there now, and those of the token. */
    sampler.temperature = 1.0f;
    assert_status(llmir_session_set_sampler(loaded.session, &sampler, &assert_status_error),
                  LLMIR_STATUS_OK);
    before = control->read_bytes;
    assert_status(llmir_session_next(loaded.session, &piece, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(control->read_bytes - before, 2u * row_bytes);
    unload(&loaded);
    assert_clean(control);
}

/* Sessions of one pool write their logits to the same place. */
static void test_driver_logits_outlive_the_pass_of_another_session(void** state) {
    static float expected[4096];
    const driver_fixture_t* fixture = *state;
    static const int32_t first[] = {1, 2, 3}, second[] = {4, 5, 6, 7};
    llmir_pool_options_t options = LLMIR_POOL_OPTIONS_INIT;
    llmir_model_info_t info = {.struct_size = sizeof info};
    llmir_pool_t* pool = NULL;
    llmir_session_t* sessions[2];
    llmir_piece_t piece;
    loaded_t loaded;
    options.session_count = 2;
    options.context_tokens = 256;
    assert_status(load(fixture, fixture->target, NULL, &loaded, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_get_info(loaded.model, &info, &assert_status_error), LLMIR_STATUS_OK);
    assert_in_range(info.vocab_count, 1, 4096);
    assert_status(llmir_pool_create(loaded.model, &options, &pool, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (int i = 0; i < 2; ++i) {
        assert_status(
            llmir_session_create(loaded.model, pool, NULL, &sessions[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    assert_status(llmir_session_feed(sessions[0], first, 3, &assert_status_error), LLMIR_STATUS_OK);
    memcpy(expected, llmir_session_logits(sessions[0]), info.vocab_count * sizeof *expected);
    llmir_session_reset(sessions[0]);
    assert_status(llmir_session_feed(sessions[0], first, 3, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(sessions[1], second, 4, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_memory_equal(llmir_session_logits(sessions[0]), expected,
                        info.vocab_count * sizeof *expected);
    assert_status(llmir_session_next(sessions[0], &piece, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(piece.token, largest_of(expected, info.vocab_count));
    llmir_session_destroy(sessions[0]);
    llmir_session_destroy(sessions[1]);
    llmir_pool_destroy(pool);
    unload(&loaded);
    assert_clean(fixture->control);
}

/* A pass that was stopped has written over the logits; the token that they meant is known. */
static void test_driver_stopped_pass_keeps_the_token(void** state) {
    const driver_fixture_t* fixture = *state;
    llmir_model_info_t info = {.struct_size = sizeof info};
    int32_t ids[LONG_TOKENS];
    llmir_thread_t thread;
    llmir_piece_t piece;
    loaded_t loaded;
    long_prompt(ids);
    assert_status(load(fixture, fixture->target, NULL, &loaded, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_session_feed(loaded.session, ids, 5, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_model_get_info(loaded.model, &info, &assert_status_error), LLMIR_STATUS_OK);
    const int32_t expected = largest_of(llmir_session_logits(loaded.session), info.vocab_count);
    llmir_session_reset(loaded.session);
    assert_status(llmir_session_feed(loaded.session, ids, 5, &assert_status_error),
                  LLMIR_STATUS_OK);
    stopper_t stopper = {fixture->control, loaded.session, fixture->control->launches + 5u};
    assert_status(llmir_thread_start(&thread, cancel_later, &stopper, &assert_status_error),
                  LLMIR_STATUS_OK);
    const llmir_status_t status = llmir_session_feed(loaded.session, ids, LONG_TOKENS, NULL);
    llmir_thread_join(&thread);
    assert_int_equal(status, LLMIR_STATUS_CANCELLED);
    llmir_session_clear_cancel(loaded.session);
    assert_status(llmir_session_next(loaded.session, &piece, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(piece.token, expected);
    assert_non_null(llmir_session_logits(loaded.session));
    unload(&loaded);
    assert_clean(fixture->control);
}

/* ---- Contexts in parts ---- */

static uint64_t launches_of_token(const driver_fixture_t* fixture, loaded_t* loaded) {
    const uint64_t before = fixture->control->launches;
    llmir_piece_t piece;
    assert_status(llmir_session_next(loaded->session, &piece, &assert_status_error),
                  LLMIR_STATUS_OK);
    return fixture->control->launches - before;
}

static void test_driver_long_contexts_are_worked_on_in_parts(void** state) {
    const driver_fixture_t* fixture = *state;
    int32_t ids[LONG_TOKENS];
    loaded_t loaded;
    long_prompt(ids);
    assert_status(load(fixture, fixture->target, NULL, &loaded, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(
        llmir_session_feed(loaded.session, ids, LLMIR_GPU_PIECE_KEYS - 1u, &assert_status_error),
        LLMIR_STATUS_OK);
    /* The first one still sees one piece; each layer has one launch more for the second. */
    const uint64_t whole = launches_of_token(fixture, &loaded);
    assert_int_equal(launches_of_token(fixture, &loaded), whole + LAYERS);
    unload(&loaded);
    assert_clean(fixture->control);
}

int main(int argc, char** argv) {
    driver_fixture_t fixture = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: test_driver TARGET LIBRARY BUNDLE\n");
        return 2;
    }
    /* Kept open, so that the counts outlive devices. */
    void* library = dlopen(argv[2], RTLD_NOW);
    fake_driver_control_fn control = NULL;
    if (library != NULL) {
        *(void**)&control = dlsym(library, "fake_driver_control");
    }
    if (control == NULL) {
        fprintf(stderr, "test_driver: %s is no stand-in driver\n", argv[2]);
        return 2;
    }
    fixture = (driver_fixture_t){.target = argv[1],
                                 .bundle = argv[3],
                                 .control = control(),
                                 .out_of_memory = 2,
                                 .lost = 700,
                                 .lost_context = 719};
    if (is_vulkan(&fixture)) { /* VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_DEVICE_LOST */
        fixture.out_of_memory = -2;
        fixture.lost = fixture.lost_context = -4;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_driver_gives_the_tokens_of_the_processor, &fixture),
        cmocka_unit_test_prestate(test_driver_out_of_memory_at_any_call_leaves_nothing, &fixture),
        cmocka_unit_test_prestate(test_driver_device_lost_at_any_call_leaves_nothing, &fixture),
        cmocka_unit_test_prestate(test_driver_split_failing_at_any_call_leaves_nothing, &fixture),
        cmocka_unit_test_prestate(test_driver_split_sessions_are_lost_with_their_device, &fixture),
        cmocka_unit_test_prestate(test_driver_hundred_loads_return_all_memory, &fixture),
        cmocka_unit_test_prestate(test_driver_cancel_in_the_middle_of_a_long_prompt, &fixture),
        cmocka_unit_test_prestate(test_driver_deadline_in_the_middle_of_a_long_prompt, &fixture),
        cmocka_unit_test_prestate(test_driver_lost_device_takes_nothing_else_with_it, &fixture),
        cmocka_unit_test_prestate(test_driver_second_start_compiles_and_tests_nothing, &fixture),
        cmocka_unit_test_prestate(test_driver_damaged_entries_are_refused_and_replaced, &fixture),
        cmocka_unit_test_prestate(test_driver_entries_of_another_driver_are_replaced, &fixture),
        cmocka_unit_test_prestate(test_driver_greedy_token_moves_four_bytes, &fixture),
        cmocka_unit_test_prestate(test_driver_logits_outlive_the_pass_of_another_session, &fixture),
        cmocka_unit_test_prestate(test_driver_stopped_pass_keeps_the_token, &fixture),
        cmocka_unit_test_prestate(test_driver_long_contexts_are_worked_on_in_parts, &fixture),
    };
    return cmocka_run_group_tests_name(fixture.target, tests, NULL, NULL);
}
