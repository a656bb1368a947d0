/* Reading whole files, and the resident memory of this process. */
#ifndef LLMIR_EXAMPLES_INPUT_H
#define LLMIR_EXAMPLES_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Reads a stream to its end into heap memory, terminated after *out_bytes bytes; free() it. NULL:
 * out of memory or read error. */
char* input_read_stream(FILE* stream, size_t* out_bytes);

/* The same for a path; "-" is standard input. NULL with errno set on failure. */
char* input_read_file(const char* path, size_t* out_bytes);

/* Largest resident set of this process so far, in bytes. */
uint64_t input_peak_rss_bytes(void);

/* Monotonic milliseconds. */
double input_now_ms(void);

#endif /* LLMIR_EXAMPLES_INPUT_H */
