/* Executes kernels: the threads of a workgroup are coroutines, which change at barriers. They are
 * made once, by makecontext, and change by _longjmp, which needs no help of the system. */
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/support/fake_driver/fake_execute.h"

#define STACK_BYTES ((size_t)256 << 10)
#define MOST_THREADS 1024u

typedef struct executor {
    const fake_launch_t* launch;
    size_t group_x, group_y;
    uint32_t current;
    jmp_buf scheduler_place;
    jmp_buf* places; /* [MOST_THREADS], where coroutines go on */
    unsigned char* is_done;
    uint8_t* stacks;
    uint32_t coroutine_count; /* made so far */
} executor_t;

static executor_t executor; /* the driver's functions have one caller at a time */

static void run_thread(executor_t* e, uint32_t thread, void (*barrier)(void*)) {
    uint32_t* const* bindings = e->launch->bindings;
    e->launch->run(bindings[0], bindings[1], bindings[2], bindings[3], bindings[4], bindings[5],
                   bindings[6], e->launch->words, thread, e->group_x, e->group_y, barrier, e);
}

/* From a coroutine to the scheduler. */
static void leave_coroutine(executor_t* e) {
    if (_setjmp(e->places[e->current]) == 0) {
        _longjmp(e->scheduler_place, 1);
    }
}

static void at_barrier(void* user) {
    leave_coroutine(user);
}

/* One thread after the other, of this workgroup and those that follow. */
static void coroutine(void) {
    for (;;) {
        leave_coroutine(&executor);
        const uint32_t thread = executor.current;
        run_thread(&executor, thread, at_barrier);
        executor.is_done[thread] = 1;
    }
}

static void enter_coroutine(executor_t* e, uint32_t thread) {
    e->current = thread;
    if (_setjmp(e->scheduler_place) == 0) {
        _longjmp(e->places[thread], 1);
    }
}

/* Makes coroutines up to `count`; each has come to the top of its loop. */
static void make_coroutines(executor_t* e, uint32_t count) {
    for (; e->coroutine_count < count; ++e->coroutine_count) {
        ucontext_t context;
        e->current = e->coroutine_count;
        (void)getcontext(&context);
        context.uc_stack.ss_sp = e->stacks + e->coroutine_count * STACK_BYTES;
        context.uc_stack.ss_size = STACK_BYTES;
        context.uc_link = NULL;
        makecontext(&context, coroutine, 0);
        if (_setjmp(e->scheduler_place) == 0) {
            (void)setcontext(&context);
        }
    }
}

static int prepare(executor_t* e) {
    if (e->places == NULL) {
        e->places = calloc(MOST_THREADS, sizeof *e->places);
        e->is_done = calloc(MOST_THREADS, 1);
        void* stacks = mmap(NULL, MOST_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        e->stacks = stacks != MAP_FAILED ? stacks : NULL;
    }
    return e->places != NULL && e->is_done != NULL && e->stacks != NULL;
}

__attribute__((destructor)) static void end_executor(void) {
    free(executor.places);
    free(executor.is_done);
    if (executor.stacks != NULL) {
        (void)munmap(executor.stacks, MOST_THREADS * STACK_BYTES);
    }
}

/* Round after round, each thread up to its next barrier. Returns how many wait where others are
 * done.
 */
static uint32_t run_group(executor_t* e) {
    const uint32_t count = e->launch->threads;
    make_coroutines(e, count);
    for (uint32_t i = 0; i < count; ++i) {
        e->is_done[i] = 0;
    }
    for (;;) {
        uint32_t done = 0;
        for (uint32_t i = 0; i < count; ++i) {
            enter_coroutine(e, i);
            done += e->is_done[i];
        }
        if (done == count) {
            return 0;
        }
        if (done != 0) {
            return count - done;
        }
    }
}

uint32_t fake_execute_groups(const fake_launch_t* launch) {
    executor_t* e = &executor;
    if (!prepare(e)) {
        abort();
    }
    e->launch = launch;
    for (e->group_y = 0; e->group_y < launch->grid_y; ++e->group_y) {
        for (e->group_x = 0; e->group_x < launch->grid_x; ++e->group_x) {
            if (launch->is_wrong && (e->group_x & 1u) != 0) {
                continue;
            }
            if (launch->has_barrier) {
                const uint32_t waiting = run_group(e);
                if (waiting != 0) {
                    return waiting;
                }
                continue;
            }
            for (uint32_t i = 0; i < launch->threads; ++i) {
                run_thread(e, i, NULL);
            }
        }
    }
    return 0;
}
