/* An allocator that counts, checks what it is given back, and fails on request: the n-th
 * allocation, or all beyond a budget. Freed and unused bytes are filled with a pattern. */
#ifndef LLMIR_TEST_ALLOCATOR_H
#define LLMIR_TEST_ALLOCATOR_H

#include <stddef.h>

#include "llmir.h"

typedef struct test_allocator {
    size_t allocation_count; /* blocks allocated or resized, refused ones included */
    size_t live_count;       /* blocks not yet freed */
    size_t live_bytes;
    size_t peak_bytes;
    size_t fail_at;      /* refuse this allocation, counted from 1; 0: none */
    size_t fault_count;  /* frees and resizes with a wrong size or alignment */
    int fail_from_there; /* refuse all later ones too */
} test_allocator_t;

/* The allocator over `state`, which must outlive what is allocated. One thread at a time. */
llmir_allocator_t test_allocator(test_allocator_t* state);

/* Fails the test unless everything was given back as it had been taken. */
void test_allocator_check(const test_allocator_t* state);

/* Runs `attempt` with the 1st, the 2nd, ... allocation refused, until it succeeds. `attempt` builds
 * and destroys what it tests; it returns the status of the building. Each failure must be
 * OUT_OF_MEMORY, with a message, and leave nothing behind. Returns the number of failures. */
size_t test_allocator_sweep(llmir_status_t (*attempt)(const llmir_allocator_t* allocator,
                                                      void* user,
                                                      llmir_error_t* error),
                            void* user);

#endif /* LLMIR_TEST_ALLOCATOR_H */
