/* Just enough JSON output for --json. */
#ifndef LLMIR_EXAMPLES_JSON_H
#define LLMIR_EXAMPLES_JSON_H

#include <stddef.h>
#include <stdio.h>

/* Writes `text` as a JSON string with its quotes; bytes that are not valid UTF-8 become U+FFFD. */
void json_write_string(FILE* stream, const char* text, size_t bytes);

#endif /* LLMIR_EXAMPLES_JSON_H */
