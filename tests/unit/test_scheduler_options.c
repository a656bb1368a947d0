/* What the scheduler refuses, and the memory that it takes. */
#include <string.h>

#include "tests/support/tiny_requests.h"

static llmir_status_t attempt_create(const llmir_allocator_t* allocator,
                                     void* user,
                                     llmir_error_t* error) {
    const tiny_bundle_t* bundle = user;
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_scheduler_t* scheduler = NULL;
    runtime_options.allocator = *allocator;
    runtime_options.thread_count = 1;
    llmir_status_t status = llmir_runtime_create(&runtime_options, &runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status = llmir_model_load_memory(runtime, bundle->data, bundle->bytes, NULL, &model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_scheduler_create(model, NULL, &scheduler, error);
    }
    llmir_scheduler_destroy(scheduler);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return status;
}

static void test_scheduler_refused_memory_leaks_nothing(void** state) {
    const tiny_options_t options = tiny_options_default();
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    (void)state;
    assert_true(test_allocator_sweep(attempt_create, &bundle) >= 2);
    tiny_bundle_free(&bundle);
}

static void test_scheduler_takes_the_memory_it_announced(void** state) {
    const llmir_scheduler_options_t options = tiny_scheduler_options();
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    tiny_scheduler_t f;
    (void)state;
    tiny_scheduler_begin(&f, &options);
    assert_status(
        llmir_scheduler_memory_plan(f.loaded.model, &options, &plan, &assert_status_error),
        LLMIR_STATUS_OK);
    const size_t with = f.loaded.allocator.live_bytes;
    llmir_scheduler_destroy(f.scheduler);
    f.scheduler = NULL;
    assert_int_equal(with - f.loaded.allocator.live_bytes, plan.arena_bytes);
    assert_int_equal(plan.arena_bytes, plan.kv_bytes + plan.activation_bytes + plan.state_bytes);
    tiny_scheduler_end(&f);
}

static void test_scheduler_wrong_options_are_refused(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    llmir_scheduler_t* scheduler = NULL;
    llmir_memory_plan_t plan = {.struct_size = sizeof(plan)};
    tiny_scheduler_t f;
    (void)state;
    tiny_scheduler_begin(&f, &options);
    options.flags = 1u << 30;
    assert_status(
        llmir_scheduler_create(f.loaded.model, &options, &scheduler, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    options.flags = 0;
    options.swap_bytes = 1;
    assert_status(
        llmir_scheduler_memory_plan(f.loaded.model, &options, &plan, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    options.swap_bytes = 0;
    options.session_count = UINT32_MAX;
    assert_status(
        llmir_scheduler_create(f.loaded.model, &options, &scheduler, &assert_status_error),
        LLMIR_STATUS_INVALID_ARGUMENT);
    assert_null(scheduler);
    assert_status(llmir_scheduler_create(NULL, NULL, &scheduler, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_scheduler_step(NULL, NULL, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    tiny_scheduler_end(&f);
}

static void assert_refused(tiny_scheduler_t* f,
                           const llmir_request_options_t* options,
                           llmir_status_t expected) {
    llmir_request_t* request = NULL;
    assert_status(llmir_scheduler_submit(f->scheduler, options, &request, &assert_status_error),
                  expected);
    assert_null(request);
}

static void test_scheduler_wrong_requests_are_refused(void** state) {
    llmir_scheduler_options_t options = tiny_scheduler_options();
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    llmir_request_options_t request = LLMIR_REQUEST_OPTIONS_INIT;
    llmir_request_t* alive[3];
    int32_t ids[TINY_SCHEDULER_CONTEXT + 1u];
    tiny_scheduler_t f;
    (void)state;
    options.request_count = 3;
    tiny_scheduler_begin(&f, &options);
    tiny_ids(1, 320, ids, TINY_SCHEDULER_CONTEXT + 1u);
    assert_refused(&f, &request, LLMIR_STATUS_INVALID_ARGUMENT);
    request.tokens = ids;
    request.token_count = TINY_SCHEDULER_CONTEXT + 1u;
    assert_refused(&f, &request, LLMIR_STATUS_CAPACITY);
    request.token_count = 5;
    request.priority = 1001;
    assert_refused(&f, &request, LLMIR_STATUS_INVALID_ARGUMENT);
    request.priority = 0;
    request.session = &session;
    session.overflow = LLMIR_OVERFLOW_ROLL;
    assert_refused(&f, &request, LLMIR_STATUS_UNSUPPORTED);
    session.overflow = LLMIR_OVERFLOW_STOP;
    session.flags = 1u << 31;
    assert_refused(&f, &request, LLMIR_STATUS_INVALID_ARGUMENT);
    session.flags = 0;
    ids[4] = 320;
    assert_refused(&f, &request, LLMIR_STATUS_INVALID_ARGUMENT);
    ids[4] = 5;
    for (uint32_t i = 0; i < 3; ++i) {
        assert_status(
            llmir_scheduler_submit(f.scheduler, &request, &alive[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    assert_refused(&f, &request, LLMIR_STATUS_CAPACITY);
    assert_int_equal(tiny_scheduler_stats(&f).refused_count, 1);
    for (uint32_t i = 0; i < 3; ++i) {
        llmir_request_destroy(alive[i]);
    }
    assert_status(llmir_scheduler_step(f.scheduler, NULL, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_scheduler_submit(f.scheduler, &request, &alive[0], &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_request_destroy(alive[0]);
    tiny_scheduler_end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scheduler_refused_memory_leaks_nothing),
        cmocka_unit_test(test_scheduler_takes_the_memory_it_announced),
        cmocka_unit_test(test_scheduler_wrong_options_are_refused),
        cmocka_unit_test(test_scheduler_wrong_requests_are_refused),
    };
    return cmocka_run_group_tests_name("scheduler_options", tests, NULL, NULL);
}
