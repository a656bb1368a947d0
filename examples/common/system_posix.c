/* system.h, and the clock and memory of input.h, on POSIX systems: streams, arguments and paths are
 * what they should be already. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/input.h"
#include "common/system.h"

static void (*volatile interrupt_handler)(void);

void system_begin(int* inout_argc, char*** inout_argv) {
    (void)inout_argc, (void)inout_argv;
}

FILE* system_open(const char* path, const char* mode) {
    return fopen(path, mode);
}

/* As the XDG Base Directory Specification has it. */
int system_cache_folder(char* out_path, size_t capacity) {
    const char* folder = getenv("XDG_CACHE_HOME");
    const char* more = "";
    if (folder == NULL || folder[0] != '/') {
        folder = getenv("HOME");
        more = "/.cache";
    }
    if (folder == NULL || folder[0] != '/') {
        return 0;
    }
    int length = snprintf(out_path, capacity, "%s%s", folder, more);
    if (length < 0 || (size_t)length >= capacity) {
        return 0;
    }
    (void)mkdir(out_path, 0700);
    length = snprintf(out_path, capacity, "%s%s/llmir", folder, more);
    return length > 0 && (size_t)length < capacity &&
           (mkdir(out_path, 0700) == 0 || errno == EEXIST);
}

int system_replace(const char* from, const char* to) {
    return rename(from, to) == 0;
}

int system_is_terminal(void) {
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static void on_interrupt(int signal_number) {
    (void)signal_number;
    if (interrupt_handler != NULL) {
        interrupt_handler();
    }
}

void system_on_interrupt(void (*handler)(void)) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    interrupt_handler = handler;
    action.sa_handler = handler != NULL ? on_interrupt : SIG_DFL;
    sigaction(SIGINT, &action, NULL); /* without SA_RESTART: reads are interrupted */
}

uint64_t input_peak_rss_bytes(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (uint64_t)usage.ru_maxrss * 1024u;
}

double input_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}
