/* See test.h. */
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

static const char* message_of(const llmir_error_t* error) {
    return error->message[0] == 0 ? "(no message)" : error->message;
}

int test_takes_case(void) {
    static unsigned cases;
    return cases++ % TEST_EVERY == 0;
}

void test_check_status(const char* text,
                       llmir_status_t actual,
                       llmir_status_t expected,
                       const llmir_error_t* error,
                       const char* file,
                       int line) {
    if (actual != expected) {
        print_error("%s\n  returned %d: %s\n  expected %d: %s\n  message: %s\n", text, (int)actual,
                    llmir_status_text(actual), (int)expected, llmir_status_text(expected),
                    message_of(error));
        _fail(file, line);
    }
    /* A caller that does not pass the error on leaves it untouched: code 0, no message. */
    const int is_untouched = error->code == 0 && error->message[0] == 0;
    if (!is_untouched && error->code != (int32_t)actual) {
        print_error("%s\n  returned %d, but the error says %d: %s\n", text, (int)actual,
                    (int)error->code, message_of(error));
        _fail(file, line);
    }
}

void test_check_message(
    const char* text, const llmir_error_t* error, const char* part, const char* file, int line) {
    if (strstr(error->message, part) == NULL) {
        print_error("%s\n  message: %s\n  expected to contain: %s\n", text, message_of(error),
                    part);
        _fail(file, line);
    }
}

static int is_close(float actual, float expected, float rtol, float atol) {
    if (isnan(actual) || isnan(expected)) {
        return isnan(actual) && isnan(expected);
    }
    if (isinf(actual) || isinf(expected)) {
        return actual == expected;
    }
    return fabsf(actual - expected) <= atol + rtol * fabsf(expected);
}

void test_check_close_f32(const float* actual,
                          const float* expected,
                          size_t count,
                          float rtol,
                          float atol,
                          const char* file,
                          int line) {
    size_t bad_count = 0, first_bad = 0;
    float worst = 0.0f;
    for (size_t i = 0; i < count; ++i) {
        if (is_close(actual[i], expected[i], rtol, atol)) {
            continue;
        }
        if (bad_count++ == 0) {
            first_bad = i;
        }
        worst = fmaxf(worst, fabsf(actual[i] - expected[i]));
    }
    if (bad_count > 0) {
        print_error(
            "element %zu of %zu is %.9g, expected %.9g (rtol %g, atol %g); "
            "%zu elements differ, at most by %g\n",
            first_bad, count, (double)actual[first_bad], (double)expected[first_bad], (double)rtol,
            (double)atol, bad_count, (double)worst);
        _fail(file, line);
    }
}
