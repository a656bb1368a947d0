/* system.h, and the clock and memory of input.h, on POSIX systems: streams, arguments and paths are
 * what they should be already. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
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
