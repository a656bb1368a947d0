/* Builds the smallest ELF image that a CODE section may hold, byte by byte, for tests that then
 * damage it.
 *
 *   file    address   what
 *   0x0000  0x00000   R   headers; dynamic table at 0x400; relocations at 0x800
 *   0x1000  0x10000   RX  code
 *   0x2000  0x20000   RW  0x100 bytes of data, 0x2000 bytes in memory */
#ifndef LLMIR_TINY_ELF_H
#define LLMIR_TINY_ELF_H

#include <stddef.h>
#include <stdint.h>

#include "targets/cpu/cpu_elf.h"

#define TINY_ELF_BYTES 0x2100u
#define TINY_ELF_DYNAMIC 0x400u
#define TINY_ELF_RELOCATIONS 0x800u
#define TINY_ELF_CODE_OFFSET 0x1000u
#define TINY_ELF_CODE 0x10000u
#define TINY_ELF_DATA_OFFSET 0x2000u
#define TINY_ELF_DATA 0x20000u
#define TINY_ELF_DATA_BYTES 0x100u
#define TINY_ELF_DATA_MEMORY_BYTES 0x2000u
#define TINY_ELF_SEGMENTS 4u /* three to load and the dynamic table */

typedef struct tiny_elf {
    uint8_t bytes[TINY_ELF_BYTES];
    llmir_elf_abi_t abi;
    uint32_t relocation_count;
    uint32_t has_addends; /* RELA, else REL */
} tiny_elf_t;

/* An image without relocations; `code` of at most 0x1000 bytes. */
void tiny_elf_init(tiny_elf_t* elf,
                   const llmir_elf_abi_t* abi,
                   int has_addends,
                   const void* code,
                   size_t code_bytes);

/* Adds a relative relocation of the word at `target`, which becomes image + addend. */
void tiny_elf_relocate(tiny_elf_t* elf, uint32_t target, uint32_t addend);

/* Appends an entry to the dynamic table. */
void tiny_elf_add_dynamic(tiny_elf_t* elf, uint64_t tag, uint64_t value);

/* Little-endian numbers anywhere in a file. */
void tiny_elf_store(uint8_t* at, uint64_t value, uint32_t bytes);
uint64_t tiny_elf_load(const uint8_t* at, uint32_t bytes);

/* File offset of a field of program header `index`. */
typedef enum tiny_elf_field {
    TINY_ELF_TYPE,
    TINY_ELF_FLAGS,
    TINY_ELF_OFFSET,
    TINY_ELF_VADDR,
    TINY_ELF_FILESZ,
    TINY_ELF_MEMSZ,
} tiny_elf_field_t;
size_t tiny_elf_field_at(const tiny_elf_t* elf, uint32_t index, tiny_elf_field_t field);

#endif /* LLMIR_TINY_ELF_H */
