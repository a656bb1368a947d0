/* platform: threads, locks, atomics, clock and processors. */
#define _GNU_SOURCE

#include <string.h>
#include <time.h>

#if defined(__linux__)
#include <sched.h>
#include <signal.h>
#endif

#include "platform/platform.h"
#include "tests/support/test.h"

enum { THREADS = 4, ROUNDS = 20000 };

typedef struct shared {
    llmir_mutex_t mutex;
    llmir_condition_t condition;
    uint64_t guarded; /* under mutex */
    int is_open;      /* under mutex */
    llmir_atomic_u32_t counter;
    llmir_atomic_u32_t flag;
    uint32_t payload; /* published by flag */
} shared_t;

static void init_shared(shared_t* shared) {
    memset(shared, 0, sizeof *shared);
    assert_status(llmir_mutex_init(&shared->mutex, &assert_status_error), LLMIR_STATUS_OK);
    assert_status(llmir_condition_init(&shared->condition, &assert_status_error), LLMIR_STATUS_OK);
}

static void deinit_shared(shared_t* shared) {
    llmir_condition_deinit(&shared->condition);
    llmir_mutex_deinit(&shared->mutex);
}

static void run_threads(shared_t* shared, void (*main)(void* user), llmir_thread_t* threads) {
    for (size_t i = 0; i < THREADS; ++i) {
        assert_status(llmir_thread_start(&threads[i], main, shared, &assert_status_error),
                      LLMIR_STATUS_OK);
    }
}

static void join_threads(llmir_thread_t* threads) {
    for (size_t i = 0; i < THREADS; ++i) {
        llmir_thread_join(&threads[i]);
    }
}

static void count_rounds(void* user) {
    shared_t* shared = user;
    for (size_t i = 0; i < ROUNDS; ++i) {
        (void)llmir_atomic_add(&shared->counter, 1);
        llmir_mutex_lock(&shared->mutex);
        shared->guarded++;
        llmir_mutex_unlock(&shared->mutex);
    }
}

static void test_platform_threads_lose_no_increment(void** state) {
    (void)state;
    shared_t shared;
    llmir_thread_t threads[THREADS];
    init_shared(&shared);
    run_threads(&shared, count_rounds, threads);
    join_threads(threads);
    assert_int_equal(llmir_atomic_load(&shared.counter), THREADS * ROUNDS);
    assert_int_equal(shared.guarded, THREADS * ROUNDS);
    deinit_shared(&shared);
}

static void wait_until_open(void* user) {
    shared_t* shared = user;
    llmir_mutex_lock(&shared->mutex);
    while (!shared->is_open) {
        llmir_condition_wait(&shared->condition, &shared->mutex);
    }
    shared->guarded++;
    llmir_mutex_unlock(&shared->mutex);
}

static void test_platform_condition_broadcast_wakes_all(void** state) {
    (void)state;
    shared_t shared;
    llmir_thread_t threads[THREADS];
    init_shared(&shared);
    run_threads(&shared, wait_until_open, threads);
    llmir_mutex_lock(&shared.mutex);
    shared.is_open = 1;
    llmir_mutex_unlock(&shared.mutex);
    llmir_condition_broadcast(&shared.condition);
    join_threads(threads);
    assert_int_equal(shared.guarded, THREADS);
    deinit_shared(&shared);
}

static void publish(void* user) {
    shared_t* shared = user;
    shared->payload = 77;
    llmir_atomic_store_release(&shared->flag, 1);
}

static void test_platform_release_publishes_to_acquire(void** state) {
    (void)state;
    shared_t shared;
    llmir_thread_t thread;
    init_shared(&shared);
    assert_status(llmir_thread_start(&thread, publish, &shared, &assert_status_error),
                  LLMIR_STATUS_OK);
    while (llmir_atomic_load_acquire(&shared.flag) == 0) {
        llmir_cpu_relax();
    }
    assert_int_equal(shared.payload, 77);
    llmir_thread_join(&thread);
    deinit_shared(&shared);
}

#if defined(__linux__)
static void note_blocked_signals(void* user) {
    shared_t* shared = user;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    shared->payload =
        (uint32_t)(sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGSEGV) == 0);
}

static void test_platform_threads_leave_signals_to_the_application(void** state) {
    (void)state;
    shared_t shared;
    llmir_thread_t thread;
    init_shared(&shared);
    assert_status(llmir_thread_start(&thread, note_blocked_signals, &shared, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_thread_join(&thread);
    assert_int_equal(shared.payload, 1);
    sigset_t blocked;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGINT), 0); /* the caller's own are as before */
    deinit_shared(&shared);
}
#endif

static void test_platform_atomic_add_returns_the_value_before(void** state) {
    (void)state;
    llmir_atomic_u32_t atomic = {UINT32_MAX};
    assert_int_equal(llmir_atomic_add(&atomic, 3), UINT32_MAX);
    assert_int_equal(llmir_atomic_load(&atomic), 2);
    llmir_atomic_store_release(&atomic, 9);
    assert_int_equal(llmir_atomic_load_acquire(&atomic), 9);
}

static void test_platform_clock_goes_forward(void** state) {
    (void)state;
    const uint64_t before = llmir_clock_ns();
    const time_t second = time(NULL);
    uint64_t last = before;
    while (time(NULL) <= second + 1) { /* of two clocks, one counts in seconds */
        const uint64_t now = llmir_clock_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_in_range(last - before, 900000000u, 10000000000u);
}

#if defined(__linux__)
static void test_platform_cpu_count_respects_affinity(void** state) {
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    const uint32_t count = llmir_cpu_count();
    assert_in_range(count, 1, CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(llmir_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(llmir_cpu_count(), count);
}
#endif

static void test_platform_cpu_count_is_sensible(void** state) {
    (void)state;
    assert_in_range(llmir_cpu_count(), 1, 8192);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_platform_threads_lose_no_increment),
        cmocka_unit_test(test_platform_condition_broadcast_wakes_all),
        cmocka_unit_test(test_platform_release_publishes_to_acquire),
#if defined(__linux__)
        cmocka_unit_test(test_platform_threads_leave_signals_to_the_application),
        cmocka_unit_test(test_platform_cpu_count_respects_affinity),
#endif
        cmocka_unit_test(test_platform_cpu_count_is_sensible),
        cmocka_unit_test(test_platform_atomic_add_returns_the_value_before),
        cmocka_unit_test(test_platform_clock_goes_forward),
    };
    return cmocka_run_group_tests_name("platform_thread", tests, NULL, NULL);
}
