/* Start-up code and board functions for Cortex-M4, M7 and M55: the vector table, the reset handler,
 * SysTick as a clock, and text over semihosting, which QEMU and debug probes understand. On a board
 * without a probe, board_write goes to a UART instead.
 *
 * Registers: Armv7-M and Armv8-M Architecture Reference Manuals, chapter B3 and B11; semihosting:
 * Arm's "Semihosting for AArch32 and AArch64". */
#include "board.h"

int main(void);

/* From the linker script. */
extern uint32_t llmir_data_source[], llmir_data_begin[], llmir_data_end[];
extern uint32_t llmir_bss_begin[], llmir_bss_end[];
extern uint32_t llmir_stack_begin[], llmir_stack_end[];

#define REGISTER(address) (*(volatile uint32_t*)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define INTERRUPT_CONTROL REGISTER(0xE000ED04u) /* ICSR */
#define COPROCESSOR_ACCESS REGISTER(0xE000ED88u)

#define SYSTICK_TICKS (1u << 24)
#if !defined(BOARD_CLOCK_HZ)
#define BOARD_CLOCK_HZ 25000000u
#endif

#define STACK_PATTERN 0xA5A5A5A5u

/* ---- Semihosting ---- */

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20 };
#define STOPPED_APPLICATION_EXIT 0x20026u

static int32_t semihost(uint32_t operation, const void* argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void* r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

void board_write(const char* text, size_t bytes) {
    char part[65];
    while (bytes > 0) {
        size_t count = 0;
        while (count < sizeof(part) - 1 && count < bytes) {
            part[count] = text[count];
            ++count;
        }
        part[count] = 0;
        (void)semihost(SYS_WRITE0, part);
        text += count;
        bytes -= count;
    }
}

_Noreturn void board_exit(int status) {
    const uint32_t block[2] = {STOPPED_APPLICATION_EXIT, (uint32_t)status};
    (void)semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

/* ---- Clock ---- */

static volatile uint32_t systick_wraps;

static void systick_handler(void) {
    ++systick_wraps;
}

uint64_t board_clock_ns(void) {
    uint32_t wraps, value, pending;
    do {
        wraps = systick_wraps;
        value = SYSTICK_VALUE;
        pending = INTERRUPT_CONTROL >> 26 & 1u; /* wrapped, and the handler has not run */
    } while (wraps != systick_wraps);
    if (pending != 0) {
        value = SYSTICK_VALUE;
    }
    const uint64_t ticks =
        (uint64_t)(wraps + pending) * SYSTICK_TICKS + (SYSTICK_TICKS - 1u - value);
    return ticks * (1000000000u / BOARD_CLOCK_HZ);
}

/* The library's clock (platform/none has none of its own): deadlines and traces use it. */
uint64_t llmir_clock_ns(void);
uint64_t llmir_clock_ns(void) {
    return board_clock_ns();
}

/* ---- Stack ---- */

size_t board_stack_used(void) {
    const uint32_t* word = llmir_stack_begin;
    while (word < llmir_stack_end && *word == STACK_PATTERN) {
        ++word;
    }
    return (size_t)(llmir_stack_end - word) * 4u;
}

size_t board_stack_bytes(void) {
    return (size_t)(llmir_stack_end - llmir_stack_begin) * 4u;
}

/* ---- Start ---- */

static _Noreturn void fault_handler(void) {
    static const char message[] = "fault: an exception that has no handler\n";
    board_write(message, sizeof(message) - 1u);
    board_exit(3);
}

/* Runs before memory is ready, so the loops must stay loops. */
__attribute__((noreturn, optimize("no-tree-loop-distribute-patterns"))) static void reset_handler(
    void) {
    COPROCESSOR_ACCESS |= 0xFu << 20; /* the floating-point unit, and Helium */
    __asm__ volatile("dsb\n isb" ::: "memory");
    const uint32_t* from = llmir_data_source;
    for (uint32_t* to = llmir_data_begin; to < llmir_data_end; ++to) {
        *to = *from++;
    }
    for (uint32_t* to = llmir_bss_begin; to < llmir_bss_end; ++to) {
        *to = 0;
    }
    uint32_t here; /* what lies below is free */
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (volatile uint32_t* word = llmir_stack_begin; word < (uint32_t*)(uintptr_t)here - 8;
         ++word) {
        *word = STACK_PATTERN;
    }
#if __ARM_ARCH >= 8
    __asm__ volatile("msr msplim, %0" ::"r"(llmir_stack_begin)); /* an overflow is a fault */
#endif
    SYSTICK_RELOAD = SYSTICK_TICKS - 1u;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7; /* on, with interrupt, processor clock */
    board_exit(main());
}

typedef union vector {
    void (*handler)(void);
    uint32_t* stack;
} vector_t;

/* The first sixteen vectors: the stack, reset, faults, ..., SysTick. The example uses no interrupt.
 */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    {.stack = llmir_stack_end},
    {reset_handler},
    {fault_handler}, /* NMI */
    {fault_handler}, /* HardFault */
    {fault_handler}, /* MemManage */
    {fault_handler}, /* BusFault */
    {fault_handler}, /* UsageFault */
    {fault_handler},
    {0},
    {0},
    {0},
    {fault_handler}, /* SVCall */
    {fault_handler}, /* debug monitor */
    {0},
    {fault_handler}, /* PendSV */
    {systick_handler},
};
