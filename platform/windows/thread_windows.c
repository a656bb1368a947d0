/* Threads, slim locks, condition variables, time and atomics. */
#include "platform/windows/error_windows.h"

/* As on other systems: kernels keep up to 100 KiB of temporaries. It is reserved, and grows page by
 * page as code touches it. */
#define STACK_BYTES ((SIZE_T)1 << 20)

typedef struct windows_thread {
    HANDLE handle;
    void (*main)(void* user);
    void* user;
} windows_thread_t;

_Static_assert(sizeof(windows_thread_t) <= sizeof(llmir_thread_t), "thread storage");
_Static_assert(sizeof(SRWLOCK) <= sizeof(llmir_mutex_t), "mutex storage");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(llmir_condition_t), "condition storage");

static SRWLOCK* lock_of(llmir_mutex_t* mutex) {
    return (SRWLOCK*)(void*)mutex->storage;
}

static CONDITION_VARIABLE* variable_of(llmir_condition_t* condition) {
    return (CONDITION_VARIABLE*)(void*)condition->storage;
}

static DWORD WINAPI run_thread(void* user) {
    windows_thread_t* thread = user;
    thread->main(thread->user);
    return 0;
}

llmir_status_t llmir_thread_start(llmir_thread_t* thread,
                                  void (*main)(void* user),
                                  void* user,
                                  llmir_error_t* error) {
    windows_thread_t* windows = (windows_thread_t*)(void*)thread->storage;
    windows->main = main;
    windows->user = user;
    windows->handle = CreateThread(NULL, STACK_BYTES, run_thread, windows,
                                   STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (windows->handle == NULL) {
        char reason[LLMIR_REASON_BYTES];
        return llmir_fail(error, LLMIR_STATUS_OUT_OF_MEMORY, "cannot create a thread: %s",
                          llmir_system_reason(GetLastError(), reason));
    }
    return LLMIR_STATUS_OK;
}

void llmir_thread_join(llmir_thread_t* thread) {
    windows_thread_t* windows = (windows_thread_t*)(void*)thread->storage;
    (void)WaitForSingleObject(windows->handle, INFINITE);
    (void)CloseHandle(windows->handle);
}

llmir_status_t llmir_mutex_init(llmir_mutex_t* mutex, llmir_error_t* error) {
    (void)error; /* a slim lock needs no memory of the system */
    InitializeSRWLock(lock_of(mutex));
    return LLMIR_STATUS_OK;
}

void llmir_mutex_deinit(llmir_mutex_t* mutex) {
    (void)mutex;
}
void llmir_mutex_lock(llmir_mutex_t* mutex) {
    AcquireSRWLockExclusive(lock_of(mutex));
}
void llmir_mutex_unlock(llmir_mutex_t* mutex) {
    ReleaseSRWLockExclusive(lock_of(mutex));
}

llmir_status_t llmir_condition_init(llmir_condition_t* condition, llmir_error_t* error) {
    (void)error;
    InitializeConditionVariable(variable_of(condition));
    return LLMIR_STATUS_OK;
}

void llmir_condition_deinit(llmir_condition_t* condition) {
    (void)condition;
}

void llmir_condition_wait(llmir_condition_t* condition, llmir_mutex_t* mutex) {
    (void)SleepConditionVariableSRW(variable_of(condition), lock_of(mutex), INFINITE, 0);
}

void llmir_condition_wait_for(llmir_condition_t* condition,
                              llmir_mutex_t* mutex,
                              uint64_t timeout_ns) {
    const uint64_t day_ms = 86400000u; /* returning early is allowed */
    const uint64_t ms = timeout_ns / 1000000u + (timeout_ns % 1000000u != 0);
    (void)SleepConditionVariableSRW(variable_of(condition), lock_of(mutex),
                                    (DWORD)(ms < day_ms ? ms : day_ms), 0);
}

void llmir_condition_broadcast(llmir_condition_t* condition) {
    WakeAllConditionVariable(variable_of(condition));
}

void llmir_cpu_relax(void) {
    YieldProcessor();
}

uint64_t llmir_clock_ns(void) {
    LARGE_INTEGER frequency, count;
    if (!QueryPerformanceFrequency(&frequency) || !QueryPerformanceCounter(&count)) {
        return 0;
    }
    const uint64_t ticks = (uint64_t)count.QuadPart, rate = (uint64_t)frequency.QuadPart;
    return ticks / rate * 1000000000u + ticks % rate * 1000000000u / rate;
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
