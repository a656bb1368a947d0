/* A system with one thread: locks have nothing to do, and a condition would never come true. An
 * interrupt may still set a cancel flag, so flags are read and written in one access. */
#include "platform/platform.h"

llmir_status_t llmir_thread_start(llmir_thread_t* thread,
                                  void (*main)(void* user),
                                  void* user,
                                  llmir_error_t* error) {
    (void)thread;
    (void)main;
    (void)user;
    return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "this system has no threads");
}

void llmir_thread_join(llmir_thread_t* thread) {
    (void)thread;
}

llmir_status_t llmir_mutex_init(llmir_mutex_t* mutex, llmir_error_t* error) {
    (void)error;
    *mutex = (llmir_mutex_t){{0}};
    return LLMIR_STATUS_OK;
}

void llmir_mutex_deinit(llmir_mutex_t* mutex) {
    (void)mutex;
}
void llmir_mutex_lock(llmir_mutex_t* mutex) {
    (void)mutex;
}
void llmir_mutex_unlock(llmir_mutex_t* mutex) {
    (void)mutex;
}

llmir_status_t llmir_condition_init(llmir_condition_t* condition, llmir_error_t* error) {
    (void)error;
    *condition = (llmir_condition_t){{0}};
    return LLMIR_STATUS_OK;
}

void llmir_condition_deinit(llmir_condition_t* condition) {
    (void)condition;
}

void llmir_condition_wait(llmir_condition_t* condition, llmir_mutex_t* mutex) {
    (void)condition;
    (void)mutex;
}

void llmir_condition_wait_for(llmir_condition_t* condition,
                              llmir_mutex_t* mutex,
                              uint64_t timeout_ns) {
    (void)condition;
    (void)mutex;
    (void)timeout_ns;
}

void llmir_condition_broadcast(llmir_condition_t* condition) {
    (void)condition;
}

void llmir_cpu_relax(void) {}

uint32_t llmir_cpu_count(void) {
    return 1;
}

uint64_t llmir_cpu_features(uint32_t word) {
    (void)word;
    return 0;
}

uint32_t llmir_atomic_load(const llmir_atomic_u32_t* atomic) {
    return atomic->value;
}

uint32_t llmir_atomic_load_acquire(const llmir_atomic_u32_t* atomic) {
    return atomic->value;
}

void llmir_atomic_store_release(llmir_atomic_u32_t* atomic, uint32_t value) {
    atomic->value = value;
}

uint32_t llmir_atomic_add(llmir_atomic_u32_t* atomic, uint32_t value) {
    const uint32_t before = atomic->value;
    atomic->value = before + value;
    return before;
}
