/* What every unit test includes: CMocka with its prerequisites, and our own assertions. CMocka
 * asserts jump, so they are for the test's own thread only. */
#ifndef LLMIR_TEST_H
#define LLMIR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "llmir.h"

/* As many threads as asked for, where there are threads. */
#if defined(__wasi__)
#define TEST_THREADS(count) ((count) > 0 ? 1u : 0u)
#else
#define TEST_THREADS(count) (count)
#endif

/* Emulators of other processors are up to a thousand times slower than this one, programs with
 * sanitizers a few times: there a share of the rounds of long tests, and every TEST_EVERY-th of
 * their cases, a different one in each loop. */
#ifndef TEST_EVERY
#define TEST_EVERY 1u
#endif
#define TEST_SHARE(rounds) (((rounds) + TEST_EVERY - 1u) / TEST_EVERY)

/* Whether the next case is among them. Not thread-safe: it counts. */
int test_takes_case(void);

/* Runs `expr`, which takes `&assert_status_error` as its last argument, and compares what it
 * returns with `expected`; a mismatch prints both texts and the message. A failure must also have
 * left its code in the error. Usage:
 *   assert_status(llmir_file_map(path, &mapping, &assert_status_error), LLMIR_STATUS_OK); */
#define assert_status(expr, expected)                                                              \
    do {                                                                                           \
        llmir_error_t assert_status_error = {0, {0}};                                              \
        const llmir_status_t assert_status_result = (expr);                                        \
        test_check_status(#expr, assert_status_result, (expected), &assert_status_error, __FILE__, \
                          __LINE__);                                                               \
    } while (0)

/* As assert_status, and the message contains `part`. */
#define assert_status_message(expr, expected, part)                                                \
    do {                                                                                           \
        llmir_error_t assert_status_error = {0, {0}};                                              \
        const llmir_status_t assert_status_result = (expr);                                        \
        test_check_status(#expr, assert_status_result, (expected), &assert_status_error, __FILE__, \
                          __LINE__);                                                               \
        test_check_message(#expr, &assert_status_error, (part), __FILE__, __LINE__);               \
    } while (0)

/* |actual - expected| <= atol + rtol * |expected| for all `count` elements; NaN equals only NaN.
 * Prints the first bad index, how many are bad and the largest difference. */
#define assert_close_f32(actual, expected, count, rtol, atol) \
    test_check_close_f32((actual), (expected), (count), (rtol), (atol), __FILE__, __LINE__)

void test_check_status(const char* text,
                       llmir_status_t actual,
                       llmir_status_t expected,
                       const llmir_error_t* error,
                       const char* file,
                       int line);
void test_check_message(
    const char* text, const llmir_error_t* error, const char* part, const char* file, int line);
void test_check_close_f32(const float* actual,
                          const float* expected,
                          size_t count,
                          float rtol,
                          float atol,
                          const char* file,
                          int line);

#endif /* LLMIR_TEST_H */
