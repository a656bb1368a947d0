/* The ABI of llmir.h as it was released: programs built against it must find every field where it
 * was, every number the same and every function. Option structs may have grown at their end; frozen
 * ones may not. abi_table.inc is the promise: its lines are added to, never changed. */
#include <stddef.h>
#include <stdio.h>

#include "tests/support/test.h"

typedef struct abi_entry {
    const char* name;
    size_t wide;   /* with pointers of 64 bits */
    size_t narrow; /* of 32 bits */
    size_t actual;
} abi_entry_t;

#define NO_ENTRY(...)

static const abi_entry_t frozen_sizes[] = {
#define ABI_FROZEN(type, wide, narrow) {#type, wide, narrow, sizeof(type)},
#define ABI_GROWS NO_ENTRY
#define ABI_FIELD NO_ENTRY
#define ABI_VALUE NO_ENTRY
#define ABI_FUNCTION NO_ENTRY
#include "tests/unit/abi_table.inc"
#undef ABI_FROZEN
#undef ABI_GROWS
};

static const abi_entry_t least_sizes[] = {
#define ABI_FROZEN NO_ENTRY
#define ABI_GROWS(type, wide, narrow) {#type, wide, narrow, sizeof(type)},
#include "tests/unit/abi_table.inc"
#undef ABI_GROWS
#undef ABI_FIELD
};

static const abi_entry_t offsets[] = {
#define ABI_GROWS NO_ENTRY
#define ABI_FIELD(type, field, wide, narrow) \
    {#type "." #field, wide, narrow, offsetof(type, field)},
#include "tests/unit/abi_table.inc"
#undef ABI_FIELD
#undef ABI_VALUE
};

static const abi_entry_t values[] = {
#define ABI_FIELD NO_ENTRY
#define ABI_VALUE(name, value) {#name, value, value, (size_t)(name)},
#include "tests/unit/abi_table.inc"
#undef ABI_VALUE
#undef ABI_FUNCTION
};

typedef void (*abi_function_t)(void);
static const abi_function_t functions[] = {
#define ABI_VALUE NO_ENTRY
#define ABI_FUNCTION(name) (abi_function_t)(name),
#include "tests/unit/abi_table.inc"
};

/* i386 aligns 64-bit fields to 4 bytes; the table has no column for it. */
typedef struct alignment_probe {
    char c;
    uint64_t wide;
} alignment_probe_t;

#define CHECK(entries, is_least) check((entries), sizeof(entries) / sizeof((entries)[0]), is_least)

static void check(const abi_entry_t* entries, size_t count, int is_least) {
    size_t wrong = 0;
    if (offsetof(alignment_probe_t, wide) != sizeof(uint64_t)) {
        skip();
    }
    for (size_t i = 0; i < count; ++i) {
        const abi_entry_t* e = &entries[i];
        const size_t expected = sizeof(void*) == 8 ? e->wide : e->narrow;
        if (is_least ? e->actual < expected : e->actual != expected) {
            printf("%s is %zu, was released as %zu\n", e->name, e->actual, expected);
            ++wrong;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_abi_frozen_structs_are_as_released(void** state) {
    (void)state;
    CHECK(frozen_sizes, 0);
}

static void test_abi_structs_only_grow(void** state) {
    (void)state;
    CHECK(least_sizes, 1);
}

static void test_abi_fields_are_where_they_were(void** state) {
    (void)state;
    CHECK(offsets, 0);
}

static void test_abi_numbers_are_what_they_were(void** state) {
    (void)state;
    CHECK(values, 0);
}

static void test_abi_functions_are_there(void** state) {
    (void)state;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); ++i) {
        assert_true(functions[i] != NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_abi_frozen_structs_are_as_released),
        cmocka_unit_test(test_abi_structs_only_grow),
        cmocka_unit_test(test_abi_fields_are_where_they_were),
        cmocka_unit_test(test_abi_numbers_are_what_they_were),
        cmocka_unit_test(test_abi_functions_are_there),
    };
    return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}
