/* What the programs ask of the operating system, beyond C. One file per system implements it,
 * and the clock and memory of input.h: system_posix.c, system_windows.c, system_wasi.c. */
#ifndef LLMIR_EXAMPLES_SYSTEM_H
#define LLMIR_EXAMPLES_SYSTEM_H

#include <stdio.h>

/* Makes the standard streams carry bytes as they are, and the arguments UTF-8 that lives as long as
 * the program. Comes first in `main`. */
void system_begin(int* inout_argc, char*** inout_argv);

/* fopen with a path in UTF-8. */
FILE* system_open(const char* path, const char* mode);

/* The folder, made if need be, for what programs can make again: "llmir" in the user's cache
 * folder. Returns 0 if there is none. */
int system_cache_folder(char* out_path, size_t capacity);

/* Puts a file in the place of another one, at once. Returns 0 if it failed. */
int system_replace(const char* from, const char* to);

/* Whether somebody sits at both standard input and standard output. */
int system_is_terminal(void);

/* Calls `handler` at each Ctrl-C, from a signal handler or another thread; NULL: Ctrl-C ends the
 * program. A read that waits for input is interrupted. */
void system_on_interrupt(void (*handler)(void));

#endif /* LLMIR_EXAMPLES_SYSTEM_H */
