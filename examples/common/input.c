/* Reading input, time and memory, with POSIX calls. */
#include "common/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

char* input_read_stream(FILE* stream, size_t* out_bytes) {
    size_t capacity = 1u << 16, used = 0;
    char* text = malloc(capacity);
    while (text != NULL) {
        used += fread(text + used, 1, capacity - used - 1, stream);
        if (used + 1 < capacity) {
            break;
        }
        char* grown = realloc(text, 2 * capacity);
        if (grown == NULL) {
            free(text);
            return NULL;
        }
        text = grown;
        capacity *= 2;
    }
    if (text == NULL || ferror(stream)) {
        free(text);
        return NULL;
    }
    text[used] = '\0';
    *out_bytes = used;
    return text;
}

char* input_read_file(const char* path, size_t* out_bytes) {
    if (strcmp(path, "-") == 0) {
        return input_read_stream(stdin, out_bytes);
    }
    FILE* stream = fopen(path, "rb");
    if (stream == NULL) {
        return NULL;
    }
    char* text = input_read_stream(stream, out_bytes);
    const int reason = errno;
    fclose(stream);
    errno = reason;
    return text;
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
