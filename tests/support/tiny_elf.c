/* See tiny_elf.h. Written from the ELF specification, not from the loader under test. */
#include "tests/support/tiny_elf.h"

#include <string.h>

void tiny_elf_store(uint8_t* at, uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; ++i) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t tiny_elf_load(const uint8_t* at, uint32_t bytes) {
    uint64_t value = 0;
    for (uint32_t i = bytes; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

size_t tiny_elf_field_at(const tiny_elf_t* elf, uint32_t index, tiny_elf_field_t field) {
    static const size_t at64[] = {0, 4, 8, 16, 32, 40};
    static const size_t at32[] = {0, 24, 4, 8, 16, 20};
    return elf->abi.word_bytes == 8 ? 64 + index * 56 + at64[field] : 52 + index * 32 + at32[field];
}

static void set_segment(tiny_elf_t* elf, uint32_t index, const uint64_t values[6]) {
    const uint32_t word = elf->abi.word_bytes;
    for (uint32_t field = TINY_ELF_TYPE; field <= TINY_ELF_MEMSZ; ++field) {
        tiny_elf_store(elf->bytes + tiny_elf_field_at(elf, index, (tiny_elf_field_t)field),
                       values[field], field <= TINY_ELF_FLAGS ? 4 : word);
    }
}

static void set_header(tiny_elf_t* elf) {
    const int is_64 = elf->abi.word_bytes == 8;
    uint8_t* b = elf->bytes;
    memcpy(b,
           "\x7F"
           "ELF",
           4);
    b[4] = is_64 ? 2 : 1;         /* class */
    b[5] = 1;                     /* little-endian */
    b[6] = 1;                     /* version */
    tiny_elf_store(b + 16, 3, 2); /* ET_DYN */
    tiny_elf_store(b + 18, elf->abi.machine, 2);
    tiny_elf_store(b + 20, 1, 4);
    tiny_elf_store(b + (is_64 ? 32 : 28), is_64 ? 64 : 52, elf->abi.word_bytes); /* phoff */
    tiny_elf_store(b + (is_64 ? 52 : 40), is_64 ? 64 : 52, 2);                   /* ehsize */
    tiny_elf_store(b + (is_64 ? 54 : 42), is_64 ? 56 : 32, 2);                   /* phentsize */
    tiny_elf_store(b + (is_64 ? 56 : 44), TINY_ELF_SEGMENTS, 2);                 /* phnum */
}

void tiny_elf_init(tiny_elf_t* elf,
                   const llmir_elf_abi_t* abi,
                   int has_addends,
                   const void* code,
                   size_t code_bytes) {
    memset(elf, 0, sizeof *elf);
    elf->abi = *abi;
    elf->has_addends = (uint32_t)has_addends;
    set_header(elf);
    set_segment(elf, 0, (const uint64_t[]){1, 4, 0, 0, 0x1000, 0x1000});
    set_segment(
        elf, 1,
        (const uint64_t[]){1, 5, TINY_ELF_CODE_OFFSET, TINY_ELF_CODE, code_bytes, code_bytes});
    set_segment(elf, 2,
                (const uint64_t[]){1, 6, TINY_ELF_DATA_OFFSET, TINY_ELF_DATA, TINY_ELF_DATA_BYTES,
                                   TINY_ELF_DATA_MEMORY_BYTES});
    set_segment(elf, 3, (const uint64_t[]){2, 4, TINY_ELF_DYNAMIC, TINY_ELF_DYNAMIC, 0x200, 0x200});
    memcpy(elf->bytes + TINY_ELF_CODE_OFFSET, code, code_bytes);
    for (uint32_t i = 0; i < TINY_ELF_DATA_BYTES; ++i) {
        elf->bytes[TINY_ELF_DATA_OFFSET + i] = (uint8_t)i;
    }
}

void tiny_elf_add_dynamic(tiny_elf_t* elf, uint64_t tag, uint64_t value) {
    const uint32_t word = elf->abi.word_bytes;
    uint8_t* entry = elf->bytes + TINY_ELF_DYNAMIC;
    while (tiny_elf_load(entry, word) != 0) {
        entry += 2 * word;
    }
    tiny_elf_store(entry, tag, word);
    tiny_elf_store(entry + word, value, word);
}

static void set_dynamic(tiny_elf_t* elf, uint64_t tag, uint64_t value) {
    const uint32_t word = elf->abi.word_bytes;
    for (uint8_t* entry = elf->bytes + TINY_ELF_DYNAMIC; tiny_elf_load(entry, word) != 0;
         entry += 2 * word) {
        if (tiny_elf_load(entry, word) == tag) {
            tiny_elf_store(entry + word, value, word);
            return;
        }
    }
    tiny_elf_add_dynamic(elf, tag, value);
}

void tiny_elf_relocate(tiny_elf_t* elf, uint32_t target, uint32_t addend) {
    const uint32_t word = elf->abi.word_bytes;
    const uint32_t entry_bytes = word * (elf->has_addends ? 3 : 2);
    uint8_t* entry =
        elf->bytes + TINY_ELF_RELOCATIONS + (size_t)entry_bytes * elf->relocation_count++;
    tiny_elf_store(entry, target, word);
    tiny_elf_store(entry + word, elf->abi.relative, word);
    if (elf->has_addends) {
        tiny_elf_store(entry + 2 * word, addend, word);
    } else {
        tiny_elf_store(elf->bytes + TINY_ELF_DATA_OFFSET + (target - TINY_ELF_DATA), addend, word);
    }
    /* DT_RELA, DT_RELASZ, DT_RELAENT or DT_REL, DT_RELSZ, DT_RELENT */
    set_dynamic(elf, elf->has_addends ? 7 : 17, TINY_ELF_RELOCATIONS);
    set_dynamic(elf, elf->has_addends ? 8 : 18, (uint64_t)entry_bytes * elf->relocation_count);
    set_dynamic(elf, elf->has_addends ? 9 : 19, entry_bytes);
}
