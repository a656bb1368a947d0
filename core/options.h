/* Reading and writing structs that cross the ABI: they begin with `uint32_t struct_size` and only
 * grow at their end. What the caller's struct lacks reads as 0. */
#ifndef LLMIR_OPTIONS_H
#define LLMIR_OPTIONS_H

#include <string.h>

#include "core/base/status.h"

/* Copies the caller's struct `source` (NULL: all defaults) into ours of `bytes` bytes. `what` names
 * it. */
static inline llmir_status_t llmir_options_read(
    void* out, size_t bytes, const void* source, const char* what, llmir_error_t* error) {
    uint32_t source_bytes = 0;
    memset(out, 0, bytes);
    if (source == NULL) {
        return LLMIR_STATUS_OK;
    }
    memcpy(&source_bytes, source, sizeof(source_bytes));
    if (source_bytes < sizeof(source_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "%s: struct_size is %u; use the _INIT macro", what, source_bytes);
    }
    memcpy(out, source, source_bytes < bytes ? source_bytes : bytes);
    return LLMIR_STATUS_OK;
}

/* Copies ours into the caller's struct, as much as it holds; its struct_size stays. */
static inline llmir_status_t llmir_options_write(
    void* target, const void* source, size_t bytes, const char* what, llmir_error_t* error) {
    uint32_t target_bytes = 0;
    if (target != NULL) {
        memcpy(&target_bytes, target, sizeof(target_bytes));
    }
    if (target_bytes < sizeof(target_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "%s: NULL or struct_size not set by the caller", what);
    }
    memcpy((char*)target + sizeof(target_bytes), (const char*)source + sizeof(target_bytes),
           (target_bytes < bytes ? target_bytes : bytes) - sizeof(target_bytes));
    return LLMIR_STATUS_OK;
}

#endif /* LLMIR_OPTIONS_H */
