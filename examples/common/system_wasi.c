/* system.h, and the clock and memory of input.h, under WASI: no signals, and all the memory that
 * was ever asked for is the process's. */
#include <time.h>
#include <unistd.h>

#include "common/input.h"
#include "common/system.h"

#define PAGE_BYTES 65536u

void system_begin(int* inout_argc, char*** inout_argv) {
    (void)inout_argc, (void)inout_argv;
}

FILE* system_open(const char* path, const char* mode) {
    return fopen(path, mode);
}

int system_cache_folder(char* out_path, size_t capacity) {
    (void)out_path, (void)capacity;
    return 0;
}

int system_replace(const char* from, const char* to) {
    return rename(from, to) == 0;
}

int system_is_terminal(void) {
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void system_on_interrupt(void (*handler)(void)) {
    (void)handler;
}

uint64_t input_peak_rss_bytes(void) {
    return (uint64_t)__builtin_wasm_memory_size(0) * PAGE_BYTES; /* it never shrinks */
}

double input_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}
