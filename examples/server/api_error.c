/* Error objects of the interface. */
#include "server/api_error.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The interface's word for a status. */
static const char* type_of(unsigned status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 429:
            return "rate_limit_error";
        default:
            return status < 500 ? "invalid_request_error" : "server_error";
    }
}

int api_fail(api_error_t* error, unsigned status, const char* param, const char* format, ...) {
    va_list arguments;
    *error = (api_error_t){.status = status, .type = type_of(status)};
    (void)snprintf(error->param, sizeof(error->param), "%s", param);
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return 0;
}

int api_fail_status(api_error_t* error, const llmir_error_t* cause, const char* param) {
    unsigned status = 500;
    const char* code = NULL;
    switch (cause->code) {
        case LLMIR_STATUS_INVALID_ARGUMENT:
        case LLMIR_STATUS_UNSUPPORTED:
            status = 400;
            break;
        case LLMIR_STATUS_CAPACITY:
            status = 400;
            code = "context_length_exceeded";
            break;
        case LLMIR_STATUS_CANCELLED:
            status = 503;
            break;
        case LLMIR_STATUS_DEADLINE:
            status = 504;
            code = "timeout";
            break;
        default:
            break;
    }
    (void)api_fail(error, status, param, "%s", cause->message);
    error->code = code;
    return 0;
}

char* api_error_text(const api_error_t* error) {
    json_t* object = json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", error->message,
                               "type", error->type, "param",
                               error->param[0] != '\0' ? error->param : NULL, "code", error->code);
    if (object == NULL) { /* the message was cut inside a character */
        object = json_pack("{s:{s:s, s:s, s:n, s:n}}", "error", "message", "the request is wrong",
                           "type", error->type, "param", "code");
    }
    char* text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}
