/* targets/cpu/cpu_code: which CODE sections are taken, and what is said about the others. */
#include "targets/cpu/cpu_code.h"

#include <stdlib.h>
#include <string.h>

#include "targets/cpu/cpu_level.h"
#include "targets/cpu/kernels/fingerprint.h"
#include "targets/cpu/kernels/kernel_table.h"
#include "tests/support/test.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_elf.h"

#define VARIANTS 3u
#define ENTRIES_AT 72u
#define IMAGE_AT 128u
#define SECTION_BYTES (IMAGE_AT + TINY_ELF_BYTES)

/* The fingerprint of a library that cuts its work as this one, but for gates of many tokens. */
static uint32_t other_tile_count(uint32_t kernel,
                                 const void* params,
                                 const llmir_cpu_batch_t* batch) {
    const uint32_t tiles = llmir_cpu_kernel_tile_count(kernel, params, batch);
    return kernel == LLMIR_KERNEL_GATE && batch->token_count > 1000 ? tiles + 1 : tiles;
}
#define llmir_cpu_kernel_tile_count other_tile_count
#define llmir_kernel_fingerprint other_fingerprint
uint32_t other_fingerprint(void);
#include "targets/cpu/kernels/fingerprint.c"
#undef llmir_cpu_kernel_tile_count
#undef llmir_kernel_fingerprint

/* A section for this processor, with the entries 0, the first and the last byte of the code. */
typedef struct fixture {
    _Alignas(64) uint8_t section[SECTION_BYTES];
    uint8_t plan_hash[LLMIR_BUNDLE_HASH_BYTES];
    llmir_plan_record_t plan_record;
    llmir_plan_view_t plan;
    llmir_program_options_t options;
} fixture_t;

static const uint8_t code[16] = {0xC3};

static void store_record(fixture_t* fixture, const llmir_code_record_t* record) {
    memcpy(fixture->section, record, sizeof *record);
}

static llmir_code_record_t load_record(const fixture_t* fixture) {
    llmir_code_record_t record;
    memcpy(&record, fixture->section, sizeof record);
    return record;
}

static int setup(void** state) {
    const llmir_elf_abi_t* abi = llmir_elf_native_abi();
    if (abi == NULL) {
        return -1;
    }
    fixture_t* fixture = aligned_alloc(64, (sizeof *fixture + 63) / 64 * 64);
    memset(fixture, 0, sizeof *fixture);
    tiny_elf_t elf;
    tiny_elf_init(&elf, abi, abi->machine != 40, code, sizeof code);
    memcpy(fixture->section + IMAGE_AT, elf.bytes, TINY_ELF_BYTES);
    memset(fixture->plan_hash, 0x77, sizeof fixture->plan_hash);
    llmir_code_record_t record = {
        .record_bytes = sizeof record,
        .kernel_abi_version = LLMIR_KERNEL_ABI_VERSION,
        .entry_count = VARIANTS,
        .entry_offset = ENTRIES_AT,
        .image_offset = IMAGE_AT,
        .image_bytes = TINY_ELF_BYTES,
        .kernel_fingerprint = llmir_kernel_fingerprint(),
    };
    memset(record.plan_hash, 0x77, sizeof record.plan_hash);
    store_record(fixture, &record);
    tiny_elf_store(fixture->section + ENTRIES_AT + 4, TINY_ELF_CODE, 4);
    tiny_elf_store(fixture->section + ENTRIES_AT + 8, TINY_ELF_CODE + sizeof code - 1, 4);
    fixture->plan_record.variant_count = VARIANTS;
    fixture->plan.record = &fixture->plan_record;
    fixture->options = (llmir_program_options_t){
        .plan = &fixture->plan,
        .code = fixture->section,
        .code_bytes = SECTION_BYTES,
        .code_level = LLMIR_CPU_LEVEL_NONE,
        .plan_hash = fixture->plan_hash,
    };
    *state = fixture;
    return 0;
}

static int teardown(void** state) {
    free(*state);
    return 0;
}

static void test_cpu_code_fitting_section_is_loaded(void** state) {
    const fixture_t* fixture = *state;
    llmir_cpu_code_t loaded;
    assert_status(llmir_cpu_code_load(&fixture->options, LLMIR_CPU_LEVEL_NONE, 0, &loaded,
                                      &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_true(llmir_cpu_code_kernel(&loaded, 0) == NULL); /* left to the built-in kernel */
    const uintptr_t image = (uintptr_t)loaded.image.pages;
    assert_int_equal((uintptr_t)llmir_cpu_code_kernel(&loaded, 1), image + TINY_ELF_CODE);
    assert_int_equal((uintptr_t)llmir_cpu_code_kernel(&loaded, 2), image + TINY_ELF_CODE + 15);
    assert_true(llmir_cpu_code_kernel(&loaded, 3) == NULL);
    llmir_cpu_code_unload(&loaded);
    assert_true(llmir_cpu_code_kernel(&loaded, 1) == NULL);
    llmir_cpu_code_unload(&loaded);
}

static void assert_refused(const fixture_t* fixture,
                           uint32_t built_in_level,
                           uint32_t level_max,
                           llmir_status_t status,
                           const char* reason) {
    llmir_cpu_code_t loaded;
    assert_status_message(llmir_cpu_code_load(&fixture->options, built_in_level, level_max, &loaded,
                                              &assert_status_error),
                          status, reason);
    assert_null(loaded.image.pages);
    assert_int_equal(loaded.entry_count, 0);
}

static void test_cpu_code_absent_section_says_so(void** state) {
    fixture_t* fixture = *state;
    fixture->options.code = NULL;
    assert_refused(fixture, 0, 0, LLMIR_STATUS_UNSUPPORTED, "has no code for this processor");
}

static void test_cpu_code_level_must_fit_the_processor_and_the_limits(void** state) {
    fixture_t* fixture = *state;
    fixture->options.code_level = 0x999;
    assert_refused(fixture, 0, 0, LLMIR_STATUS_UNSUPPORTED, "which this processor lacks");
    fixture->options.code_level = LLMIR_CPU_LEVEL_NONE;
    assert_refused(fixture, LLMIR_CPU_LEVEL_X86_64_V3, 0, LLMIR_STATUS_UNSUPPORTED,
                   "for portable, the built-in kernels are better (x86-64-v3)");
    const uint32_t best = llmir_cpu_level_choose(0)->level;
    if (best == LLMIR_CPU_LEVEL_NONE) {
        skip();
    }
    fixture->options.code_level = best;
    assert_refused(fixture, 0, best - 1, LLMIR_STATUS_UNSUPPORTED, "the runtime is limited to");
}

typedef struct refusal {
    llmir_status_t status;
    const char* reason;
    void (*damage)(llmir_code_record_t* record);
} refusal_t;

static void short_record(llmir_code_record_t* record) {
    record->record_bytes = 63;
}
static void long_record(llmir_code_record_t* record) {
    record->record_bytes = UINT32_MAX;
}
static void other_abi(llmir_code_record_t* record) {
    record->kernel_abi_version++;
}
static void old_abi(llmir_code_record_t* record) {
    record->kernel_abi_version = 3;
    record->record_bytes = LLMIR_CODE_RECORD_BYTES_MIN;
}
static void no_fingerprint(llmir_code_record_t* record) {
    record->record_bytes = LLMIR_CODE_RECORD_BYTES_MIN;
}
static void other_tiling(llmir_code_record_t* record) {
    record->kernel_fingerprint ^= 1;
}
static void other_plan(llmir_code_record_t* record) {
    record->plan_hash[31] ^= 1;
}
static void fewer_entries(llmir_code_record_t* record) {
    record->entry_count--;
}
static void many_entries(llmir_code_record_t* record) {
    record->entry_count = UINT32_MAX;
}
static void entries_outside(llmir_code_record_t* record) {
    record->entry_offset = UINT32_MAX - 3;
}
static void image_outside(llmir_code_record_t* record) {
    record->image_offset++;
}
static void image_wraps(llmir_code_record_t* record) {
    record->image_offset = UINT64_MAX;
}
static void image_long(llmir_code_record_t* record) {
    record->image_bytes = UINT64_MAX;
}
static void image_empty(llmir_code_record_t* record) {
    record->image_bytes = 0;
}
static void entries_elsewhere(llmir_code_record_t* record) {
    record->entry_offset = IMAGE_AT;
}

static void test_cpu_code_damaged_records_are_refused(void** state) {
    fixture_t* fixture = *state;
    static const refusal_t refusals[] = {
        {LLMIR_STATUS_CORRUPT, "record of 63 bytes", short_record},
        {LLMIR_STATUS_CORRUPT, "record of 4294967295 bytes", long_record},
        {LLMIR_STATUS_UNSUPPORTED, "kernel ABI 5, this runtime has 4", other_abi},
        {LLMIR_STATUS_UNSUPPORTED, "kernel ABI 3, this runtime has 4", old_abi},
        {LLMIR_STATUS_CORRUPT, "record of 64 bytes, expected 72 or more", no_fingerprint},
        {LLMIR_STATUS_UNSUPPORTED, "cuts its work otherwise", other_tiling},
        {LLMIR_STATUS_UNSUPPORTED, "another plan", other_plan},
        {LLMIR_STATUS_CORRUPT, "2 entries, expected 3", fewer_entries},
        {LLMIR_STATUS_CORRUPT, "4294967295 entries, expected 3", many_entries},
        {LLMIR_STATUS_CORRUPT, "reach beyond", entries_outside},
        {LLMIR_STATUS_CORRUPT, "reach beyond", image_outside},
        {LLMIR_STATUS_CORRUPT, "reach beyond", image_wraps},
        {LLMIR_STATUS_CORRUPT, "reach beyond", image_long},
        {LLMIR_STATUS_CORRUPT, "no ELF header", image_empty},
        {LLMIR_STATUS_CORRUPT, "outside of the executable segments", entries_elsewhere},
    };
    const llmir_code_record_t good = load_record(fixture);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; ++i) {
        llmir_code_record_t record = good;
        refusals[i].damage(&record);
        store_record(fixture, &record);
        assert_refused(fixture, 0, 0, refusals[i].status, refusals[i].reason);
    }
}

static void test_cpu_code_entries_outside_of_code_are_refused(void** state) {
    fixture_t* fixture = *state;
    static const uint32_t addresses[] = {1, TINY_ELF_CODE - 1, TINY_ELF_CODE + sizeof code,
                                         TINY_ELF_DATA, UINT32_MAX};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; ++i) {
        tiny_elf_store(fixture->section + ENTRIES_AT, addresses[i], 4);
        assert_refused(fixture, 0, 0, LLMIR_STATUS_CORRUPT, "outside of the executable segments");
    }
}

/* Exactly sized copies, so that a sanitizer sees any read beyond. */
static void test_cpu_code_every_truncation_is_refused(void** state) {
    fixture_t* fixture = *state;
    for (size_t bytes = 1; bytes < SECTION_BYTES; ++bytes) {
        uint8_t* copy = malloc(bytes);
        memcpy(copy, fixture->section, bytes);
        fixture->options.code = copy;
        fixture->options.code_bytes = bytes;
        llmir_cpu_code_t loaded;
        assert_status(llmir_cpu_code_load(&fixture->options, 0, 0, &loaded, &assert_status_error),
                      LLMIR_STATUS_CORRUPT);
        free(copy);
    }
}

static void test_cpu_code_flipped_bits_of_the_record_are_survived(void** state) {
    fixture_t* fixture = *state;
    for (size_t bit = 0; bit < IMAGE_AT * 8; ++bit) {
        fixture->section[bit / 8] ^= (uint8_t)(1u << bit % 8);
        llmir_cpu_code_t loaded;
        if (llmir_cpu_code_load(&fixture->options, 0, 0, &loaded, NULL) == LLMIR_STATUS_OK) {
            for (uint32_t i = 0; i < VARIANTS; ++i) {
                const llmir_cpu_kernel_fn kernel = llmir_cpu_code_kernel(&loaded, i);
                const uintptr_t address = (uintptr_t)kernel - (uintptr_t)loaded.image.pages;
                assert_true(kernel == NULL || llmir_elf_has_code(&loaded.image, address));
            }
            llmir_cpu_code_unload(&loaded);
        }
        fixture->section[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Whoever changes a tiling or a layout raises LLMIR_KERNEL_ABI_VERSION, and then this line: code of
 * older bundles would be asked for tiles that it does not have. */
static void test_cpu_code_fingerprint_belongs_to_the_kernel_abi(void** state) {
    (void)state;
    assert_int_equal(LLMIR_KERNEL_ABI_VERSION, 4);
    assert_int_equal(llmir_kernel_fingerprint(), 0xd7f50693u);
    assert_int_not_equal(other_fingerprint(), 0xd7f50693u);
}

#define CODE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CODE_TEST(test_cpu_code_fitting_section_is_loaded),
        CODE_TEST(test_cpu_code_absent_section_says_so),
        CODE_TEST(test_cpu_code_level_must_fit_the_processor_and_the_limits),
        CODE_TEST(test_cpu_code_damaged_records_are_refused),
        CODE_TEST(test_cpu_code_entries_outside_of_code_are_refused),
        CODE_TEST(test_cpu_code_every_truncation_is_refused),
        cmocka_unit_test(test_cpu_code_fingerprint_belongs_to_the_kernel_abi),
        CODE_TEST(test_cpu_code_flipped_bits_of_the_record_are_survived),
    };
    return cmocka_run_group_tests_name("cpu_code", tests, NULL, NULL);
}
