/* targets/cpu/cpu_pool: every tile once, steps in order, cancellation, threads that come late. */
#include "targets/cpu/cpu_pool.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/test_random.h"

#define MAX_STEPS 200u
#define MAX_TILES 500u

/* Of a job; tile_hits are plain bytes on purpose: two threads on one tile are a race. */
typedef struct record {
    llmir_cpu_step_t* steps;
    uint8_t (*tile_hits)[MAX_TILES];
    llmir_atomic_u32_t tiles_done; /* of all steps */
    llmir_atomic_u32_t order_faults;
    llmir_atomic_u32_t cancel;
    uint32_t tiles_before[MAX_STEPS]; /* of the steps before */
    uint32_t cancel_in_step;
    uint32_t spins; /* work of a tile */
} record_t;

static record_t* create_record(void) {
    record_t* record = calloc(1, sizeof *record);
    record->steps = aligned_alloc(64, MAX_STEPS * sizeof *record->steps);
    record->tile_hits = calloc(MAX_STEPS, sizeof *record->tile_hits);
    record->cancel_in_step = UINT32_MAX;
    memset(record->steps, 0xCC, MAX_STEPS * sizeof *record->steps); /* the pool resets them */
    return record;
}

static void destroy_record(record_t* record) {
    free(record->steps);
    free(record->tile_hits);
    free(record);
}

static void hit_tiles(void* user, uint32_t step, uint32_t begin, uint32_t end) {
    record_t* record = user;
    /* All tiles of the steps before must be done, and none of the steps behind. */
    const uint32_t done = llmir_atomic_load(&record->tiles_done);
    if (done < record->tiles_before[step] ||
        done >= record->tiles_before[step] + record->steps[step].tile_count) {
        (void)llmir_atomic_add(&record->order_faults, 1);
    }
    if (step == record->cancel_in_step) {
        llmir_atomic_store_release(&record->cancel, 1);
    }
    for (uint32_t i = begin; i < end; ++i) {
        record->tile_hits[step][i]++;
        for (volatile uint32_t k = 0; k < record->spins; ++k) {
        }
    }
    (void)llmir_atomic_add(&record->tiles_done, end - begin);
}

static llmir_cpu_job_t make_job(record_t* record, uint32_t step_count) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < step_count; ++i) {
        record->tiles_before[i] = before;
        before += record->steps[i].tile_count;
        memset(record->tile_hits[i], 0, sizeof record->tile_hits[i]);
    }
    record->tiles_done.value = 0;
    record->cancel.value = 0;
    return (llmir_cpu_job_t){step_count, record->steps, hit_tiles, record, &record->cancel};
}

/* Each tile of steps [0, step_count) was computed `expected` times. */
static void assert_hits(const record_t* record, uint32_t step_count, uint8_t expected) {
    for (uint32_t s = 0; s < step_count; ++s) {
        for (uint32_t i = 0; i < record->steps[s].tile_count; ++i) {
            assert_int_equal(record->tile_hits[s][i], expected);
        }
    }
}

static llmir_cpu_pool_t* create_pool(uint32_t thread_count, uint32_t core_count) {
    const llmir_allocator_t allocator = {NULL, NULL};
    llmir_cpu_pool_t* pool = NULL;
    assert_status(llmir_cpu_pool_create(&allocator, thread_count, core_count, NULL, &pool,
                                        &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(llmir_cpu_pool_thread_count(pool), thread_count);
    return pool;
}

static void run_random_jobs(uint32_t thread_count, uint32_t core_count, uint32_t job_count) {
    llmir_cpu_pool_t* pool = create_pool(thread_count, core_count);
    record_t* record = create_record();
    test_random_t random;
    test_random_init(&random, 100 + thread_count);
    for (uint32_t run = 0; run < job_count; ++run) {
        const uint32_t step_count = test_random_below(&random, MAX_STEPS + 1);
        const uint32_t most = 1 + test_random_below(&random, MAX_TILES);
        for (uint32_t i = 0; i < step_count; ++i) {
            record->steps[i].tile_count = test_random_below(&random, most + 1);
        }
        record->spins = test_random_below(&random, 4) == 0 ? 200 : 0;
        const llmir_cpu_job_t job = make_job(record, step_count);
        assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_OK);
        assert_hits(record, step_count, 1);
        assert_int_equal(record->order_faults.value, 0);
    }
    destroy_record(record);
    llmir_cpu_pool_destroy(pool);
}

static void test_cpu_pool_one_thread_computes_every_tile_once(void** state) {
    (void)state;
    run_random_jobs(1, 1, 50);
}

static void test_cpu_pool_two_threads_compute_every_tile_once(void** state) {
    (void)state;
    run_random_jobs(2, 2, 50);
}

static void test_cpu_pool_three_threads_compute_every_tile_once(void** state) {
    (void)state;
    run_random_jobs(3, 2, 50);
}

/* Spins as if there were cores enough, and then as a crowded machine does. */
static void test_cpu_pool_seven_threads_compute_every_tile_once(void** state) {
    (void)state;
    run_random_jobs(7, 7, 20);
    run_random_jobs(7, 2, 50);
}

static void test_cpu_pool_many_small_jobs_with_pauses_finish(void** state) {
    (void)state;
    llmir_cpu_pool_t* pool = create_pool(3, 3);
    record_t* record = create_record();
    test_random_t random;
    test_random_init(&random, 3);
    for (uint32_t run = 0; run < 3000; ++run) {
        record->steps[0].tile_count = test_random_below(&random, 4);
        record->steps[1].tile_count = test_random_below(&random, 4);
        const llmir_cpu_job_t job = make_job(record, 2);
        assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_OK);
        assert_hits(record, 2, 1);
        /* Sometimes the threads have gone to sleep before the next job, sometimes just not. */
        const uint64_t until = llmir_clock_ns() + test_random_below(&random, 30000);
        while (llmir_clock_ns() < until) {
            llmir_cpu_relax();
        }
    }
    assert_int_equal(record->order_faults.value, 0);
    destroy_record(record);
    llmir_cpu_pool_destroy(pool);
}

static void test_cpu_pool_job_without_tiles_is_done_at_once(void** state) {
    (void)state;
    llmir_cpu_pool_t* pool = create_pool(2, 2);
    record_t* record = create_record();
    const llmir_cpu_job_t empty = make_job(record, 0);
    assert_status(llmir_cpu_pool_run(pool, &empty, &assert_status_error), LLMIR_STATUS_OK);
    for (uint32_t i = 0; i < 5; ++i) {
        record->steps[i].tile_count = 0;
    }
    const llmir_cpu_job_t job = make_job(record, 5);
    assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(record->tiles_done.value, 0);
    destroy_record(record);
    llmir_cpu_pool_destroy(pool);
}

static void test_cpu_pool_cancel_stops_before_the_next_step(void** state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 3; ++threads) {
        llmir_cpu_pool_t* pool = create_pool(threads, 2);
        record_t* record = create_record();
        for (uint32_t i = 0; i < 10; ++i) {
            record->steps[i].tile_count = 50;
        }
        record->cancel_in_step = 4;
        const llmir_cpu_job_t job = make_job(record, 10);
        assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_CANCELLED);
        assert_hits(record, 5, 1);
        assert_int_equal(record->tiles_done.value, 5 * 50);
        /* The pool works on, and a cancel that comes during the last step is too late. */
        record->cancel_in_step = 9;
        const llmir_cpu_job_t again = make_job(record, 10);
        assert_status(llmir_cpu_pool_run(pool, &again, &assert_status_error), LLMIR_STATUS_OK);
        assert_hits(record, 10, 1);
        destroy_record(record);
        llmir_cpu_pool_destroy(pool);
    }
}

static void test_cpu_pool_cancel_before_the_job_computes_nothing(void** state) {
    (void)state;
    llmir_cpu_pool_t* pool = create_pool(2, 2);
    record_t* record = create_record();
    record->steps[0].tile_count = 50;
    const llmir_cpu_job_t job = make_job(record, 1);
    record->cancel.value = 1;
    assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_CANCELLED);
    assert_int_equal(record->tiles_done.value, 0);
    destroy_record(record);
    llmir_cpu_pool_destroy(pool);
}

/* Waits in its tile until all tiles of the step are taken: with as many tiles as threads, every
 * thread must come. */
static void meet(void* user, uint32_t step, uint32_t begin, uint32_t end) {
    record_t* record = user;
    const uint32_t goal = (step + 1) * record->steps[step].tile_count;
    (void)llmir_atomic_add(&record->tiles_done, end - begin);
    while (llmir_atomic_load_acquire(&record->tiles_done) < goal) {
        llmir_cpu_relax();
    }
}

static void test_cpu_pool_all_threads_take_part(void** state) {
    (void)state;
    enum { THREADS = 3, STEPS = 50 };
    llmir_cpu_pool_t* pool = create_pool(THREADS, THREADS);
    record_t* record = create_record();
    for (uint32_t i = 0; i < STEPS; ++i) {
        record->steps[i].tile_count = THREADS;
    }
    llmir_cpu_job_t job = make_job(record, STEPS);
    job.run = meet;
    assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_OK);
    assert_int_equal(record->tiles_done.value, THREADS * STEPS);
    destroy_record(record);
    llmir_cpu_pool_destroy(pool);
}

/* Tile counts around and far beyond the number of threads, summed by tiles. */
static void sum_tiles(void* user, uint32_t step, uint32_t begin, uint32_t end) {
    (void)step;
    (void)llmir_atomic_add(user, end - begin);
}

static void test_cpu_pool_largest_tile_counts_are_covered(void** state) {
    (void)state;
    static const uint32_t counts[] = {UINT32_MAX, UINT32_MAX - 1, 0x80000000u, 65537, 7, 1};
    for (uint32_t threads = 1; threads <= 7; threads += 3) {
        llmir_cpu_pool_t* pool = create_pool(threads, 2);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; ++i) {
            _Alignas(64) llmir_cpu_step_t step = {.tile_count = counts[i]};
            llmir_atomic_u32_t sum = {0};
            const llmir_cpu_job_t job = {1, &step, sum_tiles, &sum, NULL};
            assert_status(llmir_cpu_pool_run(pool, &job, &assert_status_error), LLMIR_STATUS_OK);
            assert_int_equal(sum.value, counts[i]);
        }
        llmir_cpu_pool_destroy(pool);
    }
}

static void test_cpu_pool_create_refuses_absurd_thread_counts(void** state) {
    (void)state;
    const llmir_allocator_t allocator = {NULL, NULL};
    llmir_cpu_pool_t* pool = NULL;
    assert_status(llmir_cpu_pool_create(&allocator, 0, 1, NULL, &pool, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_cpu_pool_create(&allocator, LLMIR_CPU_MAX_THREADS + 1, 1, NULL, &pool,
                                        &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_null(pool);
    llmir_cpu_pool_destroy(NULL);
}

/* ---- Failures: the linker sends llmir_thread_start of the pool here ---- */

static uint32_t threads_until_failure = UINT32_MAX;

llmir_status_t __real_llmir_thread_start(llmir_thread_t* thread,
                                         void (*main)(void* user),
                                         void* user,
                                         llmir_error_t* error);
llmir_status_t __wrap_llmir_thread_start(llmir_thread_t* thread,
                                         void (*main)(void* user),
                                         void* user,
                                         llmir_error_t* error);

llmir_status_t __wrap_llmir_thread_start(llmir_thread_t* thread,
                                         void (*main)(void* user),
                                         void* user,
                                         llmir_error_t* error) {
    if (threads_until_failure == 0) {
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY, "cannot create a thread: refused");
    }
    --threads_until_failure;
    return __real_llmir_thread_start(thread, main, user, error);
}

static void test_cpu_pool_create_failing_midway_ends_its_threads(void** state) {
    (void)state;
    for (uint32_t started = 0; started < 4; ++started) {
        test_allocator_t counter = {0};
        const llmir_allocator_t allocator = test_allocator(&counter);
        llmir_cpu_pool_t* pool = NULL;
        threads_until_failure = started;
        assert_status_message(
            llmir_cpu_pool_create(&allocator, 5, 2, NULL, &pool, &assert_status_error),
            LLMIR_STATUS_OUT_OF_MEMORY, "cannot create a thread");
        threads_until_failure = UINT32_MAX;
        assert_null(pool);
        test_allocator_check(&counter);
    }
}

static llmir_status_t create_and_destroy(const llmir_allocator_t* allocator,
                                         void* user,
                                         llmir_error_t* error) {
    (void)user;
    llmir_cpu_pool_t* pool = NULL;
    LLMIR_TRY(llmir_cpu_pool_create(allocator, 3, 2, NULL, &pool, error));
    llmir_cpu_pool_destroy(pool);
    return LLMIR_STATUS_OK;
}

static void test_cpu_pool_create_survives_refused_memory(void** state) {
    (void)state;
    assert_int_equal(test_allocator_sweep(create_and_destroy, NULL), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_pool_one_thread_computes_every_tile_once),
        cmocka_unit_test(test_cpu_pool_two_threads_compute_every_tile_once),
        cmocka_unit_test(test_cpu_pool_three_threads_compute_every_tile_once),
        cmocka_unit_test(test_cpu_pool_seven_threads_compute_every_tile_once),
        cmocka_unit_test(test_cpu_pool_many_small_jobs_with_pauses_finish),
        cmocka_unit_test(test_cpu_pool_job_without_tiles_is_done_at_once),
        cmocka_unit_test(test_cpu_pool_cancel_stops_before_the_next_step),
        cmocka_unit_test(test_cpu_pool_cancel_before_the_job_computes_nothing),
        cmocka_unit_test(test_cpu_pool_all_threads_take_part),
        cmocka_unit_test(test_cpu_pool_largest_tile_counts_are_covered),
        cmocka_unit_test(test_cpu_pool_create_refuses_absurd_thread_counts),
        cmocka_unit_test(test_cpu_pool_create_failing_midway_ends_its_threads),
        cmocka_unit_test(test_cpu_pool_create_survives_refused_memory),
    };
    return cmocka_run_group_tests_name("cpu_pool", tests, NULL, NULL);
}
