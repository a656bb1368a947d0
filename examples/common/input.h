/* Reading files and lines; the resident memory and the clock of this process. */
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

/* Reads one line without its end into heap memory; free() it. NULL: the end of the stream, an error
 * or an interrupt (ferror), or no memory. */
char* input_read_line(FILE* stream);

/* Largest resident set of this process so far, in bytes; 0: unknown. */
uint64_t input_peak_rss_bytes(void);

/* Monotonic milliseconds. */
double input_now_ms(void);

#endif /* LLMIR_EXAMPLES_INPUT_H */
