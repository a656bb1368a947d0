/* Reading whole files. */
#include "common/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/system.h"

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
    FILE* stream = system_open(path, "rb");
    if (stream == NULL) {
        return NULL;
    }
    char* text = input_read_stream(stream, out_bytes);
    const int reason = errno;
    fclose(stream);
    errno = reason;
    return text;
}

/* Appends a character; 0: no memory, and the text is gone. */
static int append(char** text, size_t used, size_t* capacity, char character) {
    if (used + 1 >= *capacity) {
        *capacity = 2 * *capacity + 64;
        char* grown = realloc(*text, *capacity);
        if (grown == NULL) {
            free(*text);
            *text = NULL;
            return 0;
        }
        *text = grown;
    }
    (*text)[used] = character;
    return 1;
}

char* input_read_line(FILE* stream) {
    char* text = NULL;
    size_t used = 0, capacity = 0;
    int character;
    while ((character = fgetc(stream)) != EOF && character != '\n') {
        if (!append(&text, used++, &capacity, (char)character)) {
            return NULL;
        }
    }
    if (character == EOF && (used == 0 || ferror(stream))) {
        free(text);
        return NULL;
    }
    if (!append(&text, used, &capacity, '\0')) {
        return NULL;
    }
    while (used > 0 && text[used - 1] == '\r') {
        text[--used] = '\0';
    }
    return text;
}
