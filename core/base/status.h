/* Making and passing on errors. A failing function fills the caller's error once, where the fault
 * is known best. */
#ifndef LLMIR_BASE_STATUS_H
#define LLMIR_BASE_STATUS_H

#include "core/base/compiler.h"
#include "llmir.h"

/* Writes code and message into `error` (NULL allowed) and returns the code: `return
 * llmir_fail(error, ...)`. */
llmir_status_t llmir_fail(llmir_error_t* error, llmir_status_t code, const char* format, ...)
    LLMIR_PRINTF(3, 4);

#if defined(__clang_analyzer__)
/* Shows an analyser, which does not see the function, that a failure never returns OK. */
/* NOLINTNEXTLINE(readability-identifier-naming) */
#define llmir_fail(error, code, ...) ((void)llmir_fail((error), (code), __VA_ARGS__), (code))
#endif

/* Passes a failure of `expr` on to the caller. */
#define LLMIR_TRY(expr)                                            \
    do {                                                           \
        const llmir_status_t llmir_try_status = (expr);            \
        if (LLMIR_UNLIKELY(llmir_try_status != LLMIR_STATUS_OK)) { \
            return llmir_try_status;                               \
        }                                                          \
    } while (0)

#endif /* LLMIR_BASE_STATUS_H */
