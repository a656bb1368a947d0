/* Threads, locks, time and atomics over pthreads and the compiler's builtins. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "platform/platform.h"
#include "platform/posix/error_posix.h"

/* Kernels keep up to 100 KiB of temporaries; some C libraries' default would be too small for that
 * and for sanitizers, others reserve more than small devices have. */
#define STACK_BYTES ((size_t)1 << 20)

typedef struct posix_thread {
    pthread_t handle;
    void (*main)(void* user);
    void* user;
} posix_thread_t;

_Static_assert(sizeof(posix_thread_t) <= sizeof(llmir_thread_t), "thread storage");
_Static_assert(sizeof(pthread_mutex_t) <= sizeof(llmir_mutex_t), "mutex storage");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(llmir_condition_t), "condition storage");

static posix_thread_t* thread_of(llmir_thread_t* thread) {
    return (posix_thread_t*)(void*)thread->storage;
}

static pthread_mutex_t* mutex_of(llmir_mutex_t* mutex) {
    return (pthread_mutex_t*)(void*)mutex->storage;
}

static pthread_cond_t* condition_of(llmir_condition_t* condition) {
    return (pthread_cond_t*)(void*)condition->storage;
}

static llmir_status_t fail_with_reason(llmir_error_t* error, const char* what, int code) {
    char reason[LLMIR_REASON_BYTES];
    return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY, "cannot create a %s: %s", what,
                      llmir_system_reason(code, reason));
}

static void* run_thread(void* user) {
    posix_thread_t* thread = user;
    thread->main(thread->user);
    return NULL;
}

/* Signals meant for the process belong to the application's threads; those that a fault raises stay
 * with the thread at fault. */
static void fill_blocked_signals(sigset_t* out) {
    static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    (void)sigfillset(out);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; ++i) {
        (void)sigdelset(out, faults[i]);
    }
}

llmir_status_t llmir_thread_start(llmir_thread_t* thread,
                                  void (*main)(void* user),
                                  void* user,
                                  llmir_error_t* error) {
    posix_thread_t* posix = thread_of(thread);
    posix->main = main;
    posix->user = user;
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0) {
        return fail_with_reason(error, "thread", code);
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES); /* refused: the default serves */
    sigset_t blocked, before;
    fill_blocked_signals(&blocked);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    code = pthread_create(&posix->handle, &attributes, run_thread, posix);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return code == 0 ? LLMIR_STATUS_OK : fail_with_reason(error, "thread", code);
}

void llmir_thread_join(llmir_thread_t* thread) {
    (void)pthread_join(thread_of(thread)->handle, NULL);
}

llmir_status_t llmir_mutex_init(llmir_mutex_t* mutex, llmir_error_t* error) {
    const int code = pthread_mutex_init(mutex_of(mutex), NULL);
    return code == 0 ? LLMIR_STATUS_OK : fail_with_reason(error, "mutex", code);
}

void llmir_mutex_deinit(llmir_mutex_t* mutex) {
    (void)pthread_mutex_destroy(mutex_of(mutex));
}
void llmir_mutex_lock(llmir_mutex_t* mutex) {
    (void)pthread_mutex_lock(mutex_of(mutex));
}
void llmir_mutex_unlock(llmir_mutex_t* mutex) {
    (void)pthread_mutex_unlock(mutex_of(mutex));
}

/* Timed waits count by the clock that nobody sets. */
llmir_status_t llmir_condition_init(llmir_condition_t* condition, llmir_error_t* error) {
    pthread_condattr_t attributes;
    int code = pthread_condattr_init(&attributes);
    if (code == 0) {
        code = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (code == 0) {
            code = pthread_cond_init(condition_of(condition), &attributes);
        }
        (void)pthread_condattr_destroy(&attributes);
    }
    return code == 0 ? LLMIR_STATUS_OK : fail_with_reason(error, "condition", code);
}

void llmir_condition_deinit(llmir_condition_t* condition) {
    (void)pthread_cond_destroy(condition_of(condition));
}

void llmir_condition_wait(llmir_condition_t* condition, llmir_mutex_t* mutex) {
    (void)pthread_cond_wait(condition_of(condition), mutex_of(mutex));
}

void llmir_condition_wait_for(llmir_condition_t* condition,
                              llmir_mutex_t* mutex,
                              uint64_t timeout_ns) {
    struct timespec until;
    const uint64_t day_ns = (uint64_t)86400 * 1000000000u; /* returning early is allowed */
    const uint64_t end = llmir_clock_ns() + (timeout_ns < day_ns ? timeout_ns : day_ns);
    until.tv_sec = (time_t)(end / 1000000000u);
    until.tv_nsec = (long)(end % 1000000000u);
    (void)pthread_cond_timedwait(condition_of(condition), mutex_of(mutex), &until);
}

void llmir_condition_broadcast(llmir_condition_t* condition) {
    (void)pthread_cond_broadcast(condition_of(condition));
}

void llmir_cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#elif defined(__riscv)
    __asm__ volatile(".word 0x0100000f"); /* pause, a hint that older cores ignore */
#endif
}

uint64_t llmir_clock_ns(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t llmir_atomic_load(const llmir_atomic_u32_t* atomic) {
    return __atomic_load_n(&atomic->value, __ATOMIC_SEQ_CST);
}

uint32_t llmir_atomic_load_acquire(const llmir_atomic_u32_t* atomic) {
    return __atomic_load_n(&atomic->value, __ATOMIC_ACQUIRE);
}

void llmir_atomic_store_release(llmir_atomic_u32_t* atomic, uint32_t value) {
    __atomic_store_n(&atomic->value, value, __ATOMIC_RELEASE);
}

uint32_t llmir_atomic_add(llmir_atomic_u32_t* atomic, uint32_t value) {
    return __atomic_fetch_add(&atomic->value, value, __ATOMIC_SEQ_CST);
}
