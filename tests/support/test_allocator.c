/* Each block is preceded by a header that remembers how it was asked for. */
#include "tests/support/test_allocator.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

#define FILL_NEW 0xA5
#define FILL_FREED 0x5A
#define SWEEP_LIMIT 10000u

typedef struct block_header {
    void* original;
    size_t size;
    size_t alignment;
} block_header_t;

static block_header_t header_of(const void* block) {
    block_header_t header;
    memcpy(&header, (const uint8_t*)block - sizeof header, sizeof header);
    return header;
}

static void* new_block(size_t size, size_t alignment) {
    uint8_t* original = malloc(sizeof(block_header_t) + alignment + size);
    if (original == NULL) {
        return NULL;
    }
    const uintptr_t first = (uintptr_t)original + sizeof(block_header_t);
    const uintptr_t aligned = (first + alignment - 1) & ~((uintptr_t)alignment - 1);
    uint8_t* block = original + (aligned - (uintptr_t)original);
    const block_header_t header = {original, size, alignment};
    memcpy(block - sizeof header, &header, sizeof header);
    memset(block, FILL_NEW, size);
    return block;
}

static void release(test_allocator_t* state, void* block) {
    const block_header_t header = header_of(block);
    state->live_count--;
    state->live_bytes -= header.size;
    memset(block, FILL_FREED, header.size);
    free(header.original);
}

static int is_refused(test_allocator_t* state) {
    const size_t number = ++state->allocation_count;
    return state->fail_at != 0 &&
           (number == state->fail_at || (state->fail_from_there && number > state->fail_at));
}

static void* resize(void* self, void* block, size_t old_size, size_t new_size, size_t alignment) {
    test_allocator_t* state = self;
    if (block != NULL) {
        const block_header_t header = header_of(block);
        state->fault_count += header.size != old_size || header.alignment != alignment;
        old_size = header.size;
    }
    if (new_size == 0) {
        if (block != NULL) {
            release(state, block);
        }
        return NULL;
    }
    if (is_refused(state)) {
        return NULL;
    }
    void* moved = new_block(new_size, alignment);
    if (moved == NULL) {
        return NULL;
    }
    state->live_count++;
    state->live_bytes += new_size;
    if (block != NULL) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        release(state, block);
    }
    if (state->live_bytes > state->peak_bytes) {
        state->peak_bytes = state->live_bytes;
    }
    return moved;
}

llmir_allocator_t test_allocator(test_allocator_t* state) {
    return (llmir_allocator_t){state, resize};
}

void test_allocator_check(const test_allocator_t* state) {
    if (state->live_count != 0 || state->live_bytes != 0 || state->fault_count != 0) {
        print_error("%zu blocks (%zu bytes) were not freed; %zu had a wrong size or alignment\n",
                    state->live_count, state->live_bytes, state->fault_count);
        fail();
    }
}

size_t test_allocator_sweep(llmir_status_t (*attempt)(const llmir_allocator_t* allocator,
                                                      void* user,
                                                      llmir_error_t* error),
                            void* user) {
    for (size_t n = 1; n <= SWEEP_LIMIT; ++n) {
        test_allocator_t state = {.fail_at = n};
        const llmir_allocator_t allocator = test_allocator(&state);
        llmir_error_t error = {0, {0}};
        const llmir_status_t status = attempt(&allocator, user, &error);
        test_allocator_check(&state);
        if (state.allocation_count < n) {
            test_check_status("attempt", status, LLMIR_STATUS_OK, &error, __FILE__, __LINE__);
            return n - 1;
        }
        /* A refusal may also be survived by doing without. */
        if (status != LLMIR_STATUS_OK) {
            test_check_status("attempt", status, LLMIR_STATUS_OUT_OF_MEMORY, &error, __FILE__,
                              __LINE__);
            assert_int_not_equal(error.message[0], 0);
        }
    }
    fail_msg("still failing after %u refusals", SWEEP_LIMIT);
    return 0;
}
