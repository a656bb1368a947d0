/* Errors as the OpenAI interface reports them: an HTTP status and an object that says what was
 * found, what was expected, and in which parameter. */
#ifndef LLMIR_SERVER_API_ERROR_H
#define LLMIR_SERVER_API_ERROR_H

#include "llmir.h"

typedef struct api_error {
    unsigned status;   /* of HTTP; 0: no error */
    const char* type;  /* "invalid_request_error", ... */
    const char* code;  /* or NULL */
    char param[64];    /* the parameter at fault, or "" */
    char message[512]; /* UTF-8 */
} api_error_t;

/* Fills the error; returns 0, so that a parser can say `return api_fail(...)`. */
int api_fail(api_error_t* error, unsigned status, const char* param, const char* format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a status of the library. */
int api_fail_status(api_error_t* error, const llmir_error_t* cause, const char* param);

/* {"error": {...}} in heap memory, free() it; NULL: out of memory. */
char* api_error_text(const api_error_t* error);

#endif /* LLMIR_SERVER_API_ERROR_H */
