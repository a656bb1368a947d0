/* core/base/allocator: the default allocator and the checked functions. */
#include "core/base/allocator.h"

#include <string.h>

#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/test_random.h"

static const llmir_allocator_t default_allocator = {NULL, NULL};

static int is_filled(const uint8_t* block, size_t bytes, uint8_t value) {
    for (size_t i = 0; i < bytes; ++i) {
        if (block[i] != value) {
            return 0;
        }
    }
    return 1;
}

static void test_allocator_default_every_alignment_is_kept_and_zeroed(void** state) {
    (void)state;
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        for (size_t bytes = 1; bytes < 5000; bytes = bytes * 3 + 1) {
            void* block = NULL;
            assert_status(llmir_allocate(&default_allocator, bytes, alignment, "block", &block,
                                         &assert_status_error),
                          LLMIR_STATUS_OK);
            assert_int_equal((uintptr_t)block % alignment, 0);
            assert_true(is_filled(block, bytes, 0));
            memset(block, 0xEE, bytes);
            llmir_free(&default_allocator, block, bytes, alignment);
        }
    }
}

/* Many live blocks that grow and shrink at random, so that realloc moves them to addresses with
 * another distance to the alignment. */
static void test_allocator_default_resize_keeps_contents(void** state) {
    (void)state;
    enum { BLOCKS = 64, STEPS = 4000 };
    static const size_t alignments[] = {1, 8, 16, 32, 64, 256, 4096};
    struct {
        void* data;
        size_t bytes;
        size_t alignment;
    } blocks[BLOCKS];
    memset(blocks, 0, sizeof blocks);
    test_random_t random;
    test_random_init(&random, 1);
    for (size_t i = 0; i < BLOCKS; ++i) {
        blocks[i].alignment = alignments[i % 7];
    }
    for (size_t step = 0; step < STEPS; ++step) {
        const size_t i = test_random_below(&random, BLOCKS);
        const size_t bytes = 1 + test_random_below(&random, step % 10 == 0 ? 200000 : 700);
        assert_status(llmir_reallocate(&default_allocator, &blocks[i].data, blocks[i].bytes, bytes,
                                       blocks[i].alignment, "block", &assert_status_error),
                      LLMIR_STATUS_OK);
        const size_t kept = bytes < blocks[i].bytes ? bytes : blocks[i].bytes;
        assert_int_equal((uintptr_t)blocks[i].data % blocks[i].alignment, 0);
        assert_true(is_filled(blocks[i].data, kept, (uint8_t)i));
        memset(blocks[i].data, (int)i, bytes);
        blocks[i].bytes = bytes;
    }
    for (size_t i = 0; i < BLOCKS; ++i) {
        llmir_free(&default_allocator, blocks[i].data, blocks[i].bytes, blocks[i].alignment);
    }
}

static void test_allocator_default_follows_the_contract_of_resize(void** state) {
    (void)state;
    const llmir_allocator_t heap = llmir_allocator_or_default(default_allocator);
    assert_non_null(heap.resize);
    assert_null(heap.resize(heap.self, NULL, 0, 0, 64)); /* freeing nothing */
    void* block = heap.resize(heap.self, NULL, 0, 100, 64);
    assert_non_null(block);
    assert_null(heap.resize(heap.self, NULL, 0, 100, 48)); /* no power of two */
    assert_null(heap.resize(heap.self, block, 100, SIZE_MAX - 16, 64));
    memset(block, 1, 100); /* still ours after the refusal */
    assert_null(heap.resize(heap.self, block, 100, 0, 64));
}

static void test_allocator_or_default_keeps_a_given_one(void** state) {
    (void)state;
    test_allocator_t counter = {0};
    const llmir_allocator_t given = test_allocator(&counter);
    const llmir_allocator_t kept = llmir_allocator_or_default(given);
    assert_ptr_equal(kept.self, given.self);
    assert_true(kept.resize == given.resize);
}

static void test_allocator_custom_blocks_are_zeroed_and_returned(void** state) {
    (void)state;
    test_allocator_t counter = {0};
    const llmir_allocator_t allocator = test_allocator(&counter);
    void* block = NULL;
    assert_status(llmir_allocate(&allocator, 200, 64, "block", &block, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(is_filled(block, 200, 0)); /* the allocator had filled it with a pattern */
    assert_status(llmir_reallocate(&allocator, &block, 200, 400, 64, "block", &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(is_filled(block, 200, 0));
    llmir_free(&allocator, block, 400, 64);
    llmir_free(&allocator, NULL, 7, 64);
    assert_int_equal(counter.peak_bytes, 400);
    test_allocator_check(&counter);
}

static void test_allocator_refusal_names_the_block(void** state) {
    (void)state;
    test_allocator_t counter = {.fail_at = 1, .fail_from_there = 1};
    const llmir_allocator_t allocator = test_allocator(&counter);
    int here = 0;
    void* block = &here;
    assert_status_message(
        llmir_allocate(&allocator, 4096, 64, "activations", &block, &assert_status_error),
        LLMIR_STATUS_OUT_OF_MEMORY, "activations: 4096 bytes");
    assert_null(block);
    block = NULL;
    assert_status_message(
        llmir_reallocate(&allocator, &block, 0, 8192, 64, "names", &assert_status_error),
        LLMIR_STATUS_OUT_OF_MEMORY, "names: 8192 bytes");
}

static void test_allocator_refused_resize_keeps_the_block(void** state) {
    (void)state;
    test_allocator_t counter = {.fail_at = 2};
    const llmir_allocator_t allocator = test_allocator(&counter);
    void* block = NULL;
    assert_status(llmir_allocate(&allocator, 10, 8, "block", &block, &assert_status_error),
                  LLMIR_STATUS_OK);
    void* before = block;
    assert_status(llmir_reallocate(&allocator, &block, 10, 20, 8, "block", &assert_status_error),
                  LLMIR_STATUS_OUT_OF_MEMORY);
    assert_ptr_equal(block, before);
    llmir_free(&allocator, block, 10, 8);
    test_allocator_check(&counter);
}

static void test_allocator_absurd_requests_fail_cleanly(void** state) {
    (void)state;
    void* block = NULL;
    assert_status(
        llmir_allocate(&default_allocator, SIZE_MAX - 8, 64, "block", &block, &assert_status_error),
        LLMIR_STATUS_OUT_OF_MEMORY);
    assert_status(llmir_allocate(&default_allocator, 0, 64, "block", &block, &assert_status_error),
                  LLMIR_STATUS_INTERNAL);
    assert_status(llmir_allocate(&default_allocator, 8, 24, "block", &block, &assert_status_error),
                  LLMIR_STATUS_INTERNAL);
    assert_null(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocator_default_every_alignment_is_kept_and_zeroed),
        cmocka_unit_test(test_allocator_default_resize_keeps_contents),
        cmocka_unit_test(test_allocator_default_follows_the_contract_of_resize),
        cmocka_unit_test(test_allocator_or_default_keeps_a_given_one),
        cmocka_unit_test(test_allocator_custom_blocks_are_zeroed_and_returned),
        cmocka_unit_test(test_allocator_refusal_names_the_block),
        cmocka_unit_test(test_allocator_refused_resize_keeps_the_block),
        cmocka_unit_test(test_allocator_absurd_requests_fail_cleanly),
    };
    return cmocka_run_group_tests_name("allocator", tests, NULL, NULL);
}
