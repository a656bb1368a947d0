/* Page accounting: what is reserved comes back, nothing is given twice. */
#include <string.h>

#include "core/kv_pages.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"

#define PAGES 8u
#define PAGE_TOKENS 4u

typedef struct pages_case {
    llmir_kv_pages_t pages;
    uint32_t free_pages[PAGES];
    int32_t ids[PAGES * PAGE_TOKENS];
    uint32_t rows[3][PAGES];
    llmir_kv_page_state_t states[PAGES];
    uint32_t buckets[PAGES];
    llmir_page_table_t tables[3];
} pages_case_t;

static void begin(pages_case_t* c) {
    memset(c, 0, sizeof(*c));
    c->pages = (llmir_kv_pages_t){.page_count = PAGES,
                                  .page_tokens = PAGE_TOKENS,
                                  .bucket_count = PAGES,
                                  .free_pages = c->free_pages,
                                  .token_ids = c->ids,
                                  .states = c->states,
                                  .buckets = c->buckets};
    for (int i = 0; i < 3; ++i) {
        c->tables[i].pages = c->rows[i];
    }
    llmir_kv_pages_init(&c->pages);
}

/* Every page is free once, cached once, or referenced as often as tables hold it. */
static void check_pages(const pages_case_t* c) {
    uint32_t held[PAGES] = {0};
    uint32_t idle[PAGES] = {0};
    uint32_t cached = 0;
    uint32_t published = 0;
    for (uint32_t i = 0; i < c->pages.free_count; ++i) {
        ++idle[c->free_pages[i]];
    }
    for (uint32_t p = c->pages.oldest; p != LLMIR_KV_NO_PAGE; p = c->states[p].newer) {
        ++idle[p];
        ++cached;
        assert_true(c->states[p].is_published);
    }
    for (int t = 0; t < 3; ++t) {
        for (uint32_t i = 0; i < llmir_kv_pages_for(&c->pages, c->tables[t].token_count); ++i) {
            ++held[c->rows[t][i]];
        }
    }
    for (uint32_t i = 0; i < PAGES; ++i) {
        assert_int_equal(c->states[i].references, held[i]);
        assert_int_equal(idle[i], held[i] == 0);
        published += c->states[i].is_published;
    }
    for (uint32_t b = 0; b < PAGES; ++b) {
        for (uint32_t p = c->buckets[b]; p != LLMIR_KV_NO_PAGE; p = c->states[p].next) {
            --published;
        }
    }
    assert_int_equal(published, 0);
    assert_int_equal(cached, c->pages.cached_count);
}

/* Grows a table whose new tokens are `first`, `first` + 1, ... and publishes what is full. */
static int append(pages_case_t* c, int table, uint32_t count, int32_t first) {
    llmir_page_table_t* t = &c->tables[table];
    const uint32_t from = t->token_count;
    llmir_kv_copy_t copy;
    if (!llmir_kv_pages_grow(&c->pages, t, from + count, &copy)) {
        return 0;
    }
    for (uint32_t i = 0; i < count; ++i) {
        *llmir_kv_pages_token(&c->pages, t, from + i) = first + (int32_t)i;
    }
    llmir_kv_pages_publish(&c->pages, t, from);
    check_pages(c);
    return 1;
}

static void test_kv_pages_grow_past_pages_fails_and_changes_nothing(void** state) {
    pages_case_t c;
    llmir_kv_copy_t copy;
    (void)state;
    begin(&c);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[0], 29, &copy));
    assert_false(llmir_kv_pages_grow(&c.pages, &c.tables[1], 1, &copy));
    assert_int_equal(c.tables[1].token_count, 0);
    llmir_kv_pages_shrink(&c.pages, &c.tables[0], 28);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[1], 4, &copy));
    assert_false(llmir_kv_pages_grow(&c.pages, &c.tables[1], 5, &copy));
    check_pages(&c);
}

static void test_kv_pages_match_finds_full_pages_of_the_same_sequence(void** state) {
    pages_case_t c;
    static const int32_t same[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const int32_t shifted[] = {5, 6, 7, 8};
    (void)state;
    begin(&c);
    assert_true(append(&c, 0, 10, 1));
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[1], same, 10, 0), 8);
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[1], same, 7, 0), 4);
    /* The second page's tokens after none: another sequence. */
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[1], shifted, 4, 0), 0);
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[1], same, 10, 1), 8);
    assert_int_equal(c.rows[1][1], c.rows[0][1]);
    check_pages(&c);
    llmir_kv_pages_shrink(&c.pages, &c.tables[0], 0);
    llmir_kv_pages_shrink(&c.pages, &c.tables[1], 0);
    assert_int_equal(c.pages.cached_count, 2);
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[2], same, 10, 1), 8);
    assert_int_equal(c.pages.cached_count, 0);
    check_pages(&c);
}

/* Two tables that compute the same end up with one set of pages. */
static void test_kv_pages_publish_merges_equal_pages(void** state) {
    pages_case_t c;
    (void)state;
    begin(&c);
    assert_true(append(&c, 0, 9, 1));
    assert_true(append(&c, 1, 9, 1));
    assert_int_equal(c.rows[0][0], c.rows[1][0]);
    assert_int_equal(c.rows[0][1], c.rows[1][1]);
    assert_int_not_equal(c.rows[0][2], c.rows[1][2]);
    assert_int_equal(c.pages.free_count, PAGES - 4);
}

static void test_kv_pages_fork_copies_the_page_that_is_written(void** state) {
    pages_case_t c;
    llmir_kv_copy_t copy;
    (void)state;
    begin(&c);
    assert_true(append(&c, 0, 6, 1));
    llmir_kv_pages_fork(&c.pages, &c.tables[0], &c.tables[1]);
    check_pages(&c);
    assert_int_equal(c.pages.free_count, PAGES - 2);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[1], 7, &copy));
    assert_int_equal(copy.from, c.rows[0][1]);
    assert_int_equal(copy.to, c.rows[1][1]);
    assert_int_equal(*llmir_kv_pages_token(&c.pages, &c.tables[1], 5), 6);
    /* The other one is alone with its page now. */
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[0], 7, &copy));
    assert_int_equal(copy.from, LLMIR_KV_NO_PAGE);
    check_pages(&c);
}

/* Truncated inside a published page: who writes behind the cut must not change what others find. */
static void test_kv_pages_truncated_page_leaves_the_index_when_written(void** state) {
    pages_case_t c;
    static const int32_t same[] = {1, 2, 3, 4, 5};
    (void)state;
    begin(&c);
    assert_true(append(&c, 0, 4, 1));
    llmir_kv_pages_shrink(&c.pages, &c.tables[0], 2);
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[1], same, 5, 0), 4);
    assert_true(append(&c, 0, 1, 99));
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[1], same, 5, 0), 0);
}

static void test_kv_pages_longest_unused_page_is_evicted_first(void** state) {
    pages_case_t c;
    static const int32_t old[] = {100, 101, 102, 103};
    static const int32_t recent[] = {200, 201, 202, 203};
    (void)state;
    begin(&c);
    assert_true(append(&c, 0, 4, 100));
    llmir_kv_pages_shrink(&c.pages, &c.tables[0], 0);
    assert_true(append(&c, 0, 4, 200));
    llmir_kv_pages_shrink(&c.pages, &c.tables[0], 0);
    assert_true(append(&c, 1, 4 * (PAGES - 1), 300));
    assert_int_equal(c.pages.evicted_count, 1);
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[0], old, 4, 0), 0);
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[0], recent, 4, 0), 4);
    assert_true(append(&c, 1, 4, 400));
    assert_int_equal(llmir_kv_pages_match(&c.pages, &c.tables[0], recent, 4, 0), 0);
    assert_false(append(&c, 1, 1, 500));
}

/* A model of what each table must hold, beside the real thing. Few distinct tokens, so that
 * sequences meet often. */
static void test_kv_pages_random_use_loses_nothing(void** state) {
    enum { MOST = PAGES * PAGE_TOKENS };
    pages_case_t c;
    test_random_t random;
    int32_t expected[3][MOST];
    uint32_t matches = 0;
    (void)state;
    test_random_init(&random, 5);
    begin(&c);
    for (int i = 0; i < 20000; ++i) {
        const uint32_t t = test_random_below(&random, 3);
        llmir_page_table_t* table = &c.tables[t];
        const uint32_t from = table->token_count;
        const uint32_t action = test_random_below(&random, 8);
        int32_t* ids = expected[t] + from;
        const uint32_t count = test_random_below(&random, 13);
        if (action < 4 && from + count <= MOST) {
            llmir_kv_copy_t copy;
            for (uint32_t k = 0; k < count; ++k) {
                ids[k] = (int32_t)test_random_below(&random, 2);
            }
            const uint32_t taken = llmir_kv_pages_match(&c.pages, table, ids, count, 1);
            matches += taken != 0;
            if (!llmir_kv_pages_grow(&c.pages, table, from + count, &copy)) {
                llmir_kv_pages_shrink(&c.pages, table, from);
            } else {
                for (uint32_t k = taken; k < count; ++k) {
                    *llmir_kv_pages_token(&c.pages, table, from + k) = ids[k];
                }
                llmir_kv_pages_publish(&c.pages, table, from + taken);
            }
        } else if (action < 7) {
            llmir_kv_pages_shrink(&c.pages, table, test_random_below(&random, from + 1));
        } else if (c.tables[(t + 1) % 3].token_count == 0) {
            memcpy(expected[(t + 1) % 3], expected[t], sizeof(expected[t]));
            llmir_kv_pages_fork(&c.pages, table, &c.tables[(t + 1) % 3]);
        }
        check_pages(&c);
        for (uint32_t k = 0; k < 3; ++k) {
            for (uint32_t p = 0; p < c.tables[k].token_count; ++p) {
                assert_int_equal(*llmir_kv_pages_token(&c.pages, &c.tables[k], p), expected[k][p]);
            }
        }
    }
    assert_true(matches > 20);
    assert_true(c.pages.evicted_count > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_pages_grow_past_pages_fails_and_changes_nothing),
        cmocka_unit_test(test_kv_pages_match_finds_full_pages_of_the_same_sequence),
        cmocka_unit_test(test_kv_pages_publish_merges_equal_pages),
        cmocka_unit_test(test_kv_pages_fork_copies_the_page_that_is_written),
        cmocka_unit_test(test_kv_pages_truncated_page_leaves_the_index_when_written),
        cmocka_unit_test(test_kv_pages_longest_unused_page_is_evicted_first),
        cmocka_unit_test(test_kv_pages_random_use_loses_nothing),
    };
    return cmocka_run_group_tests_name("kv_pages", tests, NULL, NULL);
}
