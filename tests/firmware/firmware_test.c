/* See firmware_test.h. */
#include "firmware_test.h"

#include <string.h>

static uint32_t checks, failures;

void test_say(const char* text) {
    board_write(text, strlen(text));
}

void test_say_number(uint32_t value) {
    char digits[11] = {0};
    size_t at = sizeof(digits) - 1u;
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    test_say(digits + at);
}

void test_report(const char* name, int is_ok, const char* detail) {
    ++checks;
    failures += !is_ok;
    test_say(is_ok ? "ok " : "FAILED ");
    test_say(name);
    if (detail[0] != 0) {
        test_say(": ");
        test_say(detail);
    }
    test_say("\n");
}

int test_finish(void) {
    test_say_number(checks);
    test_say(" checks, ");
    test_say_number(failures);
    test_say(" failed\n");
    return failures != 0;
}
