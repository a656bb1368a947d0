/* Cubins of the stand-in for CUDA: ELF files of ptxas, which say for each kernel where its
 * parameters lie. What is read of them is not published; it is what ptxas 13.0 writes and nvdisasm
 * and cuobjdump print. */
#include "tests/support/fake_driver/fake_cubin.h"

#include <elf.h>
#include <string.h>

#define MACHINE_CUDA 190u
#define ABI_OF_SECOND_BYTE 8u /* from it on e_flags has the chip there, before in the first */

/* Attributes in .nv.info.<kernel>: format, attribute, and two bytes that are a value, or the number
 * of those that follow if the format is SIZED. */
enum {
    SIZED = 4,
    MAX_THREADS = 0x05,      /* u32 x, y, z */
    PARAMETER = 0x17,        /* u32 0; u16 index, offset; u32 bytes << 18 */
    PARAMETERS_BYTES = 0x19, /* the value */
};

int fake_cubin_is_one(const char* image) {
    return memcmp(image, ELFMAG, SELFMAG) == 0;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static Elf64_Shdr section_at(const char* image, const Elf64_Ehdr* header, uint32_t index) {
    Elf64_Shdr section;
    memcpy(&section, image + header->e_shoff + index * sizeof section, sizeof section);
    return section;
}

size_t fake_cubin_bytes(const char* image) {
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != MACHINE_CUDA) {
        fake_fault("a module that is no cubin of 64 bits");
        return 0;
    }
    uint64_t end = larger(header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr),
                          header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr));
    for (uint32_t i = 0; i < header.e_shnum; ++i) {
        const Elf64_Shdr section = section_at(image, &header, i);
        end =
            section.sh_type == SHT_NOBITS ? end : larger(end, section.sh_offset + section.sh_size);
    }
    return (size_t)end;
}

int fake_cubin_chip(const char* image) {
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof header);
    const int shift = header.e_ident[EI_ABIVERSION] >= ABI_OF_SECOND_BYTE ? 8 : 0;
    return (int)(header.e_flags >> shift & 0xffu);
}

/* The attributes of a kernel; 0 if it has none. */
static int find_attributes(const char* image, const char* kernel, Elf64_Shdr* out_section) {
    Elf64_Ehdr header;
    char wanted[64];
    memcpy(&header, image, sizeof header);
    (void)snprintf(wanted, sizeof wanted, ".nv.info.%s", kernel);
    const char* names = image + section_at(image, &header, header.e_shstrndx).sh_offset;
    for (uint32_t i = 0; i < header.e_shnum; ++i) {
        *out_section = section_at(image, &header, i);
        if (strcmp(names + out_section->sh_name, wanted) == 0) {
            return 1;
        }
    }
    return 0;
}

int fake_cubin_describe(const char* image, const char* kernel, uint32_t* out_threads_max) {
    Elf64_Shdr section;
    uint32_t count = 0;
    size_t all_bytes = 0;
    if (!find_attributes(image, kernel, &section)) {
        return FAKE_NOT_FOUND;
    }
    const char* end = image + section.sh_offset + section.sh_size;
    for (const char* at = image + section.sh_offset; at < end;) {
        const uint8_t format = (uint8_t)at[0];
        const uint8_t attribute = (uint8_t)at[1];
        uint16_t value;
        uint32_t words[3] = {0};
        memcpy(&value, at + 2, sizeof value);
        at += 4;
        if (format == SIZED) {
            memcpy(words, at, value < sizeof words ? value : sizeof words);
            at += value;
        }
        if (attribute == MAX_THREADS) {
            *out_threads_max = words[0];
        } else if (attribute == PARAMETERS_BYTES) {
            all_bytes = value;
        } else if (attribute == PARAMETER) {
            ++count;
            if (!fake_check_parameter(kernel, words[1] & 0xffffu, words[1] >> 16, words[2] >> 18)) {
                return FAKE_INVALID_MODULE;
            }
        }
    }
    if (all_bytes != sizeof(llmir_gpu_arguments_t)) {
        fake_fault("%s: %zu bytes of parameters, the host packs %zu", kernel, all_bytes,
                   sizeof(llmir_gpu_arguments_t));
        return FAKE_INVALID_MODULE;
    }
    return fake_check_parameter_count(kernel, count) ? 0 : FAKE_INVALID_MODULE;
}
