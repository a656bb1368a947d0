/* Checks of an image: text over the board, and how many of them failed. CMocka needs a system;
 * tests/firmware/check_firmware.py reads what is printed here. */
#ifndef LLMIR_TEST_FIRMWARE_TEST_H
#define LLMIR_TEST_FIRMWARE_TEST_H

#include <stdint.h>

#include "board.h"

void test_say(const char* text);
void test_say_number(uint32_t value);

/* One line: "ok NAME" or "FAILED NAME: DETAIL"; counts failures. */
void test_report(const char* name, int is_ok, const char* detail);

/* "N checks, M failed", and the exit status for board_exit. */
int test_finish(void);

#endif /* LLMIR_TEST_FIRMWARE_TEST_H */
