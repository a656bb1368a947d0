/* What the example needs of a board: a place to write text to, a clock, and how deep the stack
 * went. */
#ifndef LLMIR_FIRMWARE_BOARD_H
#define LLMIR_FIRMWARE_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Writes text without a terminator. */
void board_write(const char* text, size_t bytes);

/* Ends the program; under an emulator the status becomes its exit status. */
_Noreturn void board_exit(int status);

/* Nanoseconds since the start. */
uint64_t board_clock_ns(void);

/* Bytes of stack that were ever in use, and all there are. */
size_t board_stack_used(void);
size_t board_stack_bytes(void);

#endif /* LLMIR_FIRMWARE_BOARD_H */
