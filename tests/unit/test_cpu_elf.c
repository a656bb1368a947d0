/* targets/cpu/cpu_elf: what is loaded lies right and is sealed; what is damaged is refused. */
#include "targets/cpu/cpu_elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/test_random.h"
#include "tests/support/tiny_elf.h"

static const llmir_elf_abi_t abi_x86_64 = {8, 62, 8};
static const llmir_elf_abi_t abi_aarch64 = {8, 183, 1027};
static const llmir_elf_abi_t abi_arm = {4, 40, 23};
static const llmir_elf_abi_t abi_riscv64 = {8, 243, 3};
static const llmir_elf_abi_t abi_riscv32 = {4, 243, 3};

static const uint8_t filler_code[64] = {0xC3};

/* Three relocations: two in the data, one in its zeroed part. */
static void build(tiny_elf_t* elf, const llmir_elf_abi_t* abi, int has_addends) {
    tiny_elf_init(elf, abi, has_addends, filler_code, sizeof filler_code);
    tiny_elf_relocate(elf, TINY_ELF_DATA, TINY_ELF_CODE);
    tiny_elf_relocate(elf, TINY_ELF_DATA + 0x40, TINY_ELF_DATA + 8);
    if (has_addends) {
        tiny_elf_relocate(elf, TINY_ELF_DATA + 0x1800, TINY_ELF_CODE + 4);
    }
}

static uint64_t word_at(const llmir_elf_image_t* image, size_t address, uint32_t bytes) {
    return tiny_elf_load(image->pages + address, bytes);
}

/* The address that a word holds, relative to the image; only its low half on 32-bit images. */
static uint64_t pointer_at(const llmir_elf_image_t* image, size_t address, uint32_t bytes) {
    const uint64_t base = (uint64_t)(uintptr_t)image->pages;
    const uint64_t mask = bytes == 8 ? UINT64_MAX : UINT32_MAX;
    return (word_at(image, address, bytes) - base) & mask;
}

static void check_loads(const llmir_elf_abi_t* abi, int has_addends) {
    tiny_elf_t elf;
    build(&elf, abi, has_addends);
    llmir_elf_image_t image;
    assert_status(llmir_elf_load(elf.bytes, sizeof elf.bytes, abi, &image, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(image.segment_count, 3);
    assert_memory_equal(image.pages + TINY_ELF_CODE, filler_code, sizeof filler_code);
    assert_int_equal(pointer_at(&image, TINY_ELF_DATA, abi->word_bytes), TINY_ELF_CODE);
    assert_int_equal(pointer_at(&image, TINY_ELF_DATA + 0x40, abi->word_bytes), TINY_ELF_DATA + 8);
    assert_int_equal(image.pages[TINY_ELF_DATA + 0x20], 0x20);
    assert_int_equal(word_at(&image, TINY_ELF_DATA + TINY_ELF_DATA_BYTES, 8), 0);
    if (has_addends) {
        assert_int_equal(pointer_at(&image, TINY_ELF_DATA + 0x1800, abi->word_bytes),
                         TINY_ELF_CODE + 4);
    }
    assert_true(llmir_elf_has_code(&image, TINY_ELF_CODE));
    assert_true(llmir_elf_has_code(&image, TINY_ELF_CODE + sizeof filler_code - 1));
    assert_false(llmir_elf_has_code(&image, TINY_ELF_CODE + sizeof filler_code));
    assert_false(llmir_elf_has_code(&image, TINY_ELF_CODE - 1));
    assert_false(llmir_elf_has_code(&image, TINY_ELF_DATA));
    assert_false(llmir_elf_has_code(&image, SIZE_MAX));
    llmir_elf_unload(&image);
    assert_null(image.pages);
    llmir_elf_unload(&image);
}

static void test_cpu_elf_every_architecture_is_laid_out_and_relocated(void** state) {
    (void)state;
    check_loads(&abi_x86_64, 1);
    check_loads(&abi_aarch64, 1);
    check_loads(&abi_riscv64, 1);
    check_loads(&abi_riscv32, 1);
    check_loads(&abi_arm, 0);
    check_loads(&abi_x86_64, 0);
}

static void test_cpu_elf_native_abi_is_one_of_the_known(void** state) {
    (void)state;
    const llmir_elf_abi_t* abi = llmir_elf_native_abi();
    if (abi != NULL) {
        assert_int_equal(abi->word_bytes, sizeof(void*));
    }
}

/* Access of the page at `address`, as "r-x", from the list of this process's mappings. */
static int read_access(const void* address, char out[4]) {
    FILE* maps = fopen("/proc/self/maps", "r");
    if (maps == NULL) {
        return 0;
    }
    char line[512];
    int is_found = 0;
    while (!is_found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long begin, end;
        char access[5];
        if (sscanf(line, "%llx-%llx %4s", &begin, &end, access) == 3 &&
            (uintptr_t)address >= begin && (uintptr_t)address < end) {
            memcpy(out, access, 3);
            out[3] = 0;
            is_found = 1;
        }
    }
    (void)fclose(maps);
    return is_found;
}

/* Whether the list of mappings tells pages apart: an emulator's gives neighbours the access of the
 * first. */
static int are_mappings_told(void) {
    const size_t bytes = llmir_page_bytes();
    void* page = NULL;
    char access[4];
    assert_status(llmir_pages_reserve(2 * bytes, &page, &assert_status_error), LLMIR_STATUS_OK);
    uint8_t* second = (uint8_t*)page + bytes;
    assert_status(llmir_pages_protect(page, bytes, LLMIR_PAGE_READ, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_pages_protect(second, bytes, LLMIR_PAGE_READ_EXECUTE, &assert_status_error),
                  LLMIR_STATUS_OK);
    const int are_told = read_access(second, access) && access[2] == 'x';
    llmir_pages_release(page, 2 * bytes);
    return are_told;
}

static void test_cpu_elf_pages_are_sealed(void** state) {
    (void)state;
    if (!are_mappings_told()) {
        print_message("skipped: no list of mappings, or an emulator's\n");
        skip();
    }
    tiny_elf_t elf;
    build(&elf, &abi_x86_64, 1);
    llmir_elf_image_t image;
    assert_status(
        llmir_elf_load(elf.bytes, sizeof elf.bytes, &abi_x86_64, &image, &assert_status_error),
        LLMIR_STATUS_OK);
    static const struct {
        size_t address;
        const char* access;
    } expected[] = {
        {0, "r--"},
        {TINY_ELF_CODE - 1, "r--"}, /* the gap between segments */
        {TINY_ELF_CODE, "r-x"},
        {TINY_ELF_DATA - 1, "r--"},
        {TINY_ELF_DATA, "rw-"},
        {TINY_ELF_DATA + TINY_ELF_DATA_MEMORY_BYTES - 1, "rw-"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; ++i) {
        char access[4] = "";
        assert_true(read_access(image.pages + expected[i].address, access));
        assert_string_equal(access, expected[i].access);
    }
    llmir_elf_unload(&image);
}

/* ---- Refusals ---- */

typedef struct refusal {
    const char* message; /* part of it */
    void (*damage)(tiny_elf_t* elf);
} refusal_t;

static void set_field(tiny_elf_t* elf, uint32_t segment, tiny_elf_field_t field, uint64_t value) {
    tiny_elf_store(elf->bytes + tiny_elf_field_at(elf, segment, field), value,
                   field <= TINY_ELF_FLAGS ? 4 : elf->abi.word_bytes);
}

static void set_relocation(tiny_elf_t* elf, uint32_t index, uint32_t word, uint64_t value) {
    tiny_elf_store(elf->bytes + TINY_ELF_RELOCATIONS + 24 * index + 8 * word, value, 8);
}

static void no_magic(tiny_elf_t* elf) {
    elf->bytes[1] = 'e';
}
static void other_class(tiny_elf_t* elf) {
    elf->bytes[4] = 1;
}
static void big_endian(tiny_elf_t* elf) {
    elf->bytes[5] = 2;
}
static void other_machine(tiny_elf_t* elf) {
    elf->bytes[18] = 183;
}
static void executable(tiny_elf_t* elf) {
    elf->bytes[16] = 2;
}
static void odd_headers(tiny_elf_t* elf) {
    elf->bytes[54] = 57;
}
static void headers_outside(tiny_elf_t* elf) {
    tiny_elf_store(elf->bytes + 32, 0x2030, 8);
}
static void headers_wrap(tiny_elf_t* elf) {
    tiny_elf_store(elf->bytes + 32, UINT64_MAX - 8, 8);
}
static void no_headers(tiny_elf_t* elf) {
    tiny_elf_store(elf->bytes + 56, 0, 2);
}
static void write_execute(tiny_elf_t* elf) {
    set_field(elf, 1, TINY_ELF_FLAGS, 7);
}
static void file_outside(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_OFFSET, 0x2001);
}
static void file_wraps(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_OFFSET, UINT64_MAX);
}
static void less_memory(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_MEMSZ, 0xFF);
}
static void far_away(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_VADDR, 0x4000000);
}
static void address_wraps(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_VADDR, UINT64_MAX - 5);
}
static void huge_memory(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_MEMSZ, UINT64_MAX);
}
static void overlap(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_VADDR, TINY_ELF_CODE);
}
static void shared_page(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_VADDR, TINY_ELF_CODE + 64);
}
static void descending(tiny_elf_t* elf) {
    set_field(elf, 2, TINY_ELF_VADDR, 0x8000);
}
static void interpreter(tiny_elf_t* elf) {
    set_field(elf, 3, TINY_ELF_TYPE, 3);
}
static void local_storage(tiny_elf_t* elf) {
    set_field(elf, 3, TINY_ELF_TYPE, 7);
}
static void two_dynamic(tiny_elf_t* elf) {
    set_field(elf, 0, TINY_ELF_TYPE, 2);
}
static void dynamic_in_gap(tiny_elf_t* elf) {
    set_field(elf, 3, TINY_ELF_VADDR, 0x9000);
}
static void dynamic_wraps(tiny_elf_t* elf) {
    set_field(elf, 3, TINY_ELF_VADDR, UINT64_MAX);
}
static void dynamic_long(tiny_elf_t* elf) {
    set_field(elf, 3, TINY_ELF_MEMSZ, 0xC01);
}
static void needed(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 1, 5);
}
static void lazy(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 23, 0x800);
}
static void init(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 12, TINY_ELF_CODE);
}
static void fini(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 13, TINY_ELF_CODE);
}
static void init_array(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 25, TINY_ELF_DATA);
}
static void fini_array(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 26, TINY_ELF_DATA);
}
static void text_relocations(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 22, 0);
}
static void text_flag(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 30, 4);
}
static void static_tls_flag(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 30, 0x10);
}
static void packed_relocations(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 36, 0x800);
}
static void android_relocations(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 0x60000011, 0x800);
}
static void other_type(tiny_elf_t* elf) {
    set_relocation(elf, 1, 1, 6);
}
static void with_symbol(tiny_elf_t* elf) {
    set_relocation(elf, 1, 1, (UINT64_C(1) << 32) | 8);
}
static void into_code(tiny_elf_t* elf) {
    set_relocation(elf, 1, 0, TINY_ELF_CODE);
}
static void into_gap(tiny_elf_t* elf) {
    set_relocation(elf, 1, 0, 0x8000);
}
static void over_the_end(tiny_elf_t* elf) {
    set_relocation(elf, 1, 0, 0x22000 - 7);
}
static void target_wraps(tiny_elf_t* elf) {
    set_relocation(elf, 1, 0, UINT64_MAX - 3);
}
static void value_outside(tiny_elf_t* elf) {
    set_relocation(elf, 1, 2, 0x100000);
}
static void value_negative(tiny_elf_t* elf) {
    set_relocation(elf, 1, 2, UINT64_MAX - 100);
}
static void table_odd(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 8, 25);
}
static void table_outside(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 8, 0x18 * 0x100);
}
static void table_wraps(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 7, UINT64_MAX - 10);
}
static void table_entry_size(tiny_elf_t* elf) {
    tiny_elf_add_dynamic(elf, 9, 16);
}

static const refusal_t refusals[] = {
    {"no ELF header", no_magic},
    {"for machine 62 with 32-bit words", other_class},
    {"for machine", big_endian},
    {"for machine 183", other_machine},
    {"not a shared object", executable},
    {"unknown size", odd_headers},
    {"headers reach beyond", headers_outside},
    {"headers reach beyond", headers_wrap},
    {"no segments", no_headers},
    {"writable and executable", write_execute},
    {"beyond the file", file_outside},
    {"beyond the file", file_wraps},
    {"beyond the file", less_memory},
    {"beyond the largest image", far_away},
    {"beyond the largest image", address_wraps},
    {"beyond the largest image", huge_memory},
    {"overlap", overlap},
    {"share a page", shared_page},
    {"descend", descending},
    {"interpreter", interpreter},
    {"thread-local", local_storage},
    {"two dynamic tables", two_dynamic},
    {"dynamic table lies outside", dynamic_in_gap},
    {"dynamic table lies outside", dynamic_wraps},
    {"dynamic table lies outside", dynamic_long},
    {"dynamic tag 0x1 ", needed},
    {"dynamic tag 0x17 ", lazy},
    {"dynamic tag 0xc ", init},
    {"dynamic tag 0xd ", fini},
    {"dynamic tag 0x19 ", init_array},
    {"dynamic tag 0x1a ", fini_array},
    {"dynamic tag 0x16 ", text_relocations},
    {"text relocations", text_flag},
    {"thread-local", static_tls_flag},
    {"dynamic tag 0x24 ", packed_relocations},
    {"dynamic tag 0x60000011 ", android_relocations},
    {"relocation 6 of symbol 0", other_type},
    {"relocation 8 of symbol 1", with_symbol},
    {"outside of the data", into_code},
    {"outside of the data", into_gap},
    {"outside of the data", over_the_end},
    {"outside of the data", target_wraps},
    {"points outside", value_outside},
    {"points outside", value_negative},
    {"not a table", table_odd},
    {"not a table", table_outside},
    {"not a table", table_wraps},
    {"not a table", table_entry_size},
};

static void test_cpu_elf_unfit_images_are_refused_with_a_reason(void** state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; ++i) {
        tiny_elf_t elf;
        build(&elf, &abi_x86_64, 1);
        refusals[i].damage(&elf);
        llmir_elf_image_t image;
        llmir_error_t error = {0, {0}};
        const llmir_status_t status =
            llmir_elf_load(elf.bytes, sizeof elf.bytes, &abi_x86_64, &image, &error);
        if (status == LLMIR_STATUS_OK || strstr(error.message, refusals[i].message) == NULL) {
            print_error("case %zu: expected '%s', found '%s'\n", i, refusals[i].message,
                        status == LLMIR_STATUS_OK ? "success" : error.message);
            fail();
        }
        assert_null(image.pages);
        assert_int_equal(image.bytes, 0);
    }
}

static void test_cpu_elf_too_many_segments_are_refused(void** state) {
    (void)state;
    tiny_elf_t elf;
    build(&elf, &abi_x86_64, 1);
    /* Headers of one-byte segments, a page apart, where the code was. */
    tiny_elf_store(elf.bytes + 32, TINY_ELF_CODE_OFFSET, 8);
    tiny_elf_store(elf.bytes + 56, LLMIR_ELF_MAX_SEGMENTS + 1, 2);
    for (uint32_t i = 0; i <= LLMIR_ELF_MAX_SEGMENTS; ++i) {
        uint8_t* header = elf.bytes + TINY_ELF_CODE_OFFSET + 56 * i;
        memset(header, 0, 56);
        tiny_elf_store(header, 1, 4);
        tiny_elf_store(header + 4, 4, 4);
        tiny_elf_store(header + 16, UINT64_C(0x10000) * i, 8);
        tiny_elf_store(header + 32, 1, 8);
        tiny_elf_store(header + 40, 1, 8);
    }
    llmir_elf_image_t image;
    assert_status_message(
        llmir_elf_load(elf.bytes, sizeof elf.bytes, &abi_x86_64, &image, &assert_status_error),
        LLMIR_STATUS_CORRUPT, "too many segments");
    tiny_elf_store(elf.bytes + 56, LLMIR_ELF_MAX_SEGMENTS, 2);
    assert_status(
        llmir_elf_load(elf.bytes, sizeof elf.bytes, &abi_x86_64, &image, &assert_status_error),
        LLMIR_STATUS_OK);
    llmir_elf_unload(&image);
}

static void test_cpu_elf_without_native_abi_is_unsupported(void** state) {
    (void)state;
    llmir_elf_image_t image;
    assert_status(llmir_elf_load((const uint8_t*)"", 0, NULL, &image, &assert_status_error),
                  LLMIR_STATUS_UNSUPPORTED);
}

/* ---- Sweeps: whatever the bytes, no crash, and what is loaded keeps the rules ---- */

/* Loads a copy of exactly `bytes` bytes, so that a sanitizer sees any read beyond. */
static int try_load(const uint8_t* file, size_t bytes, const llmir_elf_abi_t* abi) {
    uint8_t* copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(copy, file, bytes);
    llmir_elf_image_t image;
    llmir_error_t error = {0, {0}};
    const llmir_status_t status = llmir_elf_load(copy, bytes, abi, &image, &error);
    free(copy);
    if (status != LLMIR_STATUS_OK) {
        assert_int_equal(error.code, status);
        assert_int_not_equal(error.message[0], 0);
        assert_null(image.pages);
        return 0;
    }
    assert_true(image.segment_count > 0 && image.bytes <= LLMIR_ELF_MAX_BYTES + 0x10000);
    for (uint32_t i = 0; i < image.segment_count; ++i) {
        const llmir_elf_segment_t* segment = &image.segments[i];
        assert_true(segment->address + segment->memory_bytes <= image.bytes);
        assert_true((segment->flags & (LLMIR_ELF_WRITE | LLMIR_ELF_EXECUTE)) !=
                    (LLMIR_ELF_WRITE | LLMIR_ELF_EXECUTE));
        for (size_t k = 0; k < segment->memory_bytes; k += 4096) {
            (void)*(volatile uint8_t*)(image.pages + segment->address + k);
        }
    }
    llmir_elf_unload(&image);
    return 1;
}

static void test_cpu_elf_every_truncation_is_refused(void** state) {
    (void)state;
    static const llmir_elf_abi_t* const abis[] = {&abi_x86_64, &abi_riscv32};
    for (size_t a = 0; a < 2; ++a) {
        tiny_elf_t elf;
        build(&elf, abis[a], 1);
        assert_true(try_load(elf.bytes, TINY_ELF_BYTES, abis[a]));
        for (size_t bytes = 0; bytes < TINY_ELF_BYTES; ++bytes) {
            assert_false(try_load(elf.bytes, bytes, abis[a]));
        }
    }
}

static void test_cpu_elf_every_flipped_bit_of_the_tables_is_survived(void** state) {
    (void)state;
    static const llmir_elf_abi_t* const abis[] = {&abi_x86_64, &abi_arm};
    for (size_t a = 0; a < 2; ++a) {
        tiny_elf_t elf;
        build(&elf, abis[a], a == 0);
        for (size_t at = 0; at < TINY_ELF_RELOCATIONS + 0x80; ++at) {
            if (at >= 0x200 && at < TINY_ELF_DYNAMIC) {
                continue; /* nothing there */
            }
            for (uint32_t bit = 0; bit < 8; ++bit) {
                elf.bytes[at] ^= (uint8_t)(1u << bit);
                (void)try_load(elf.bytes, TINY_ELF_BYTES, abis[a]);
                elf.bytes[at] ^= (uint8_t)(1u << bit);
            }
        }
    }
}

static void test_cpu_elf_random_damage_is_survived(void** state) {
    (void)state;
    static const size_t ranges[][2] = {
        {0, 0x130}, {TINY_ELF_DYNAMIC, 0x80}, {TINY_ELF_RELOCATIONS, 0x60}};
    static const uint8_t nasty[] = {0x00, 0xFF, 0x7F, 0x80, 0x01, 0x08};
    test_random_t random;
    test_random_init(&random, 4);
    tiny_elf_t good;
    build(&good, &abi_x86_64, 1);
    for (uint32_t run = 0; run < 20000; ++run) {
        tiny_elf_t elf = good;
        const uint32_t damages = 1 + test_random_below(&random, 12);
        for (uint32_t i = 0; i < damages; ++i) {
            const size_t* range = ranges[test_random_below(&random, 3)];
            const uint32_t choice = test_random_below(&random, 12);
            elf.bytes[range[0] + test_random_below(&random, (uint32_t)range[1])] =
                choice < 6 ? nasty[choice] : (uint8_t)test_random_u64(&random);
        }
        /* Keep the first checks from catching everything. */
        if (run % 4 != 0) {
            memcpy(elf.bytes, good.bytes, 64);
        }
        (void)try_load(elf.bytes, TINY_ELF_BYTES, &abi_x86_64);
    }
}

/* ---- An image made by clang and lld, as the compiler makes them ---- */

#if defined(LLMIR_TEST_ELF_PATH)
static void test_cpu_elf_image_of_the_real_tools_runs(void** state) {
    (void)state;
    FILE* file = fopen(LLMIR_TEST_ELF_PATH, "rb");
    assert_non_null(file);
    static uint8_t bytes[1 << 20];
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    llmir_elf_image_t image;
    assert_status(
        llmir_elf_load(bytes, length, llmir_elf_native_abi(), &image, &assert_status_error),
        LLMIR_STATUS_OK);
    /* e_entry holds the address of a function that reads a relocated table of pointers. */
    const uint64_t entry = tiny_elf_load(bytes + 24, (uint32_t)sizeof(void*));
    assert_true(llmir_elf_has_code(&image, (size_t)entry));
    int (*answer)(int) = (int (*)(int))((uintptr_t)image.pages + (uintptr_t)entry);
    assert_int_equal(answer(0), 40);
    assert_int_equal(answer(1), 41);
    assert_int_equal(answer(2), 42);
    llmir_elf_unload(&image);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_elf_every_architecture_is_laid_out_and_relocated),
        cmocka_unit_test(test_cpu_elf_native_abi_is_one_of_the_known),
        cmocka_unit_test(test_cpu_elf_pages_are_sealed),
        cmocka_unit_test(test_cpu_elf_unfit_images_are_refused_with_a_reason),
        cmocka_unit_test(test_cpu_elf_too_many_segments_are_refused),
        cmocka_unit_test(test_cpu_elf_without_native_abi_is_unsupported),
        cmocka_unit_test(test_cpu_elf_every_truncation_is_refused),
        cmocka_unit_test(test_cpu_elf_every_flipped_bit_of_the_tables_is_survived),
        cmocka_unit_test(test_cpu_elf_random_damage_is_survived),
#if defined(LLMIR_TEST_ELF_PATH)
        cmocka_unit_test(test_cpu_elf_image_of_the_real_tools_runs),
#endif
    };
    return cmocka_run_group_tests_name("cpu_elf", tests, NULL, NULL);
}
