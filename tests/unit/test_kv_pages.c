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
    llmir_page_table_t tables[3];
} pages_case_t;

static void begin(pages_case_t* c, uint32_t token_capacity) {
    memset(c, 0, sizeof(*c));
    c->pages = (llmir_kv_pages_t){.page_count = PAGES,
                                  .page_tokens = PAGE_TOKENS,
                                  .token_capacity = token_capacity,
                                  .free_pages = c->free_pages,
                                  .token_ids = c->ids};
    for (int i = 0; i < 3; ++i) {
        c->tables[i].pages = c->rows[i];
    }
    llmir_kv_pages_init(&c->pages);
}

/* Every page is free once or held once. */
static void check_pages(const pages_case_t* c) {
    uint32_t seen[PAGES] = {0};
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < c->pages.free_count; ++i) {
        ++seen[c->free_pages[i]];
    }
    for (int t = 0; t < 3; ++t) {
        tokens += c->tables[t].token_count;
        for (uint32_t i = 0; i < llmir_kv_pages_for(&c->pages, c->tables[t].token_count); ++i) {
            ++seen[c->rows[t][i]];
        }
    }
    for (uint32_t i = 0; i < PAGES; ++i) {
        assert_int_equal(seen[i], 1);
    }
    assert_int_equal(tokens, c->pages.token_count);
}

static void test_kv_pages_grow_past_capacity_fails_and_changes_nothing(void** state) {
    pages_case_t c;
    (void)state;
    begin(&c, 10);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[0], 7));
    assert_false(llmir_kv_pages_grow(&c.pages, &c.tables[1], 4));
    assert_int_equal(c.pages.token_count, 7);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[1], 3));
    check_pages(&c);
}

static void test_kv_pages_grow_past_pages_fails(void** state) {
    pages_case_t c;
    (void)state;
    begin(&c, 1000);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[0], 29));
    assert_false(llmir_kv_pages_grow(&c.pages, &c.tables[1], 1));
    llmir_kv_pages_shrink(&c.pages, &c.tables[0], 28);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[1], 4));
    check_pages(&c);
}

static void test_kv_pages_random_use_loses_nothing(void** state) {
    pages_case_t c;
    test_random_t random;
    (void)state;
    test_random_init(&random, 5);
    begin(&c, 25);
    for (int i = 0; i < 20000; ++i) {
        llmir_page_table_t* table = &c.tables[test_random_below(&random, 3)];
        if (test_random_below(&random, 2)) {
            (void)llmir_kv_pages_grow(&c.pages, table,
                                      table->token_count + test_random_below(&random, 6));
        } else {
            llmir_kv_pages_shrink(&c.pages, table,
                                  test_random_below(&random, table->token_count + 1));
        }
        check_pages(&c);
    }
}

static void test_kv_pages_token_ids_follow_positions(void** state) {
    pages_case_t c;
    (void)state;
    begin(&c, 32);
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[1], 5));
    assert_true(llmir_kv_pages_grow(&c.pages, &c.tables[0], 9));
    for (uint32_t i = 0; i < 9; ++i) {
        *llmir_kv_pages_token(&c.pages, &c.tables[0], i) = (int32_t)(100 + i);
    }
    for (uint32_t i = 0; i < 5; ++i) {
        *llmir_kv_pages_token(&c.pages, &c.tables[1], i) = (int32_t)(200 + i);
    }
    for (uint32_t i = 0; i < 9; ++i) {
        assert_int_equal(*llmir_kv_pages_token(&c.pages, &c.tables[0], i), 100 + i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_pages_grow_past_capacity_fails_and_changes_nothing),
        cmocka_unit_test(test_kv_pages_grow_past_pages_fails),
        cmocka_unit_test(test_kv_pages_random_use_loses_nothing),
        cmocka_unit_test(test_kv_pages_token_ids_follow_positions),
    };
    return cmocka_run_group_tests_name("kv_pages", tests, NULL, NULL);
}
