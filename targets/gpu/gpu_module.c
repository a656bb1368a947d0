/* What may be given to a driver. cuModuleLoadData and hipModuleLoadData take no length: they go by
 * what a module says of itself, so a damaged one would have them read beyond the bundle. A module
 * that is to be text must be no file of another kind, which CUDA's driver would take as well. What
 * is inside of the parts is between the driver and llmirc.
 *
 * Reference: System V gABI, chapter 4 (ELF64). */
#include "targets/gpu/gpu_module.h"

#include <string.h>

#include "core/base/size.h"

#define HEADER_BYTES 64u
#define SHT_NOBITS 8u
#define NEVER UINT32_MAX

/* A table of parts of the file, and where header and entries keep what: in bytes. */
typedef struct elf_table {
    uint32_t table_at, entry_bytes_at, count_at; /* of the header */
    uint32_t entry_bytes;
    uint32_t type_at, offset_at, bytes_at, memory_bytes_at; /* of an entry */
    uint32_t empty_type;                                    /* has no bytes in the file */
} elf_table_t;

static const elf_table_t segments = {32, 54, 56, 56, 0, 8, 32, 40, NEVER};
static const elf_table_t sections = {40, 58, 60, 64, 4, 24, 32, 32, SHT_NOBITS};

static uint64_t load(const uint8_t* bytes, uint32_t count) {
    uint64_t value = 0;
    for (uint32_t i = count; i > 0; --i) {
        value = value << 8 | bytes[i - 1u];
    }
    return value;
}

static int table_fits(const uint8_t* file, size_t bytes, const elf_table_t* table) {
    const uint64_t offset = load(file + table->table_at, 8);
    const uint64_t count = load(file + table->count_at, 2);
    if (count != 0 && (load(file + table->entry_bytes_at, 2) != table->entry_bytes ||
                       !llmir_range_fits(offset, count * table->entry_bytes, bytes))) {
        return 0;
    }
    for (uint64_t i = 0; i < count; ++i) {
        const uint8_t* entry = file + offset + i * table->entry_bytes;
        const uint64_t part_bytes = load(entry + table->bytes_at, 8);
        if (load(entry + table->type_at, 4) != table->empty_type &&
            (!llmir_range_fits(load(entry + table->offset_at, 8), part_bytes, bytes) ||
             part_bytes > load(entry + table->memory_bytes_at, 8))) {
            return 0;
        }
    }
    return 1;
}

static int is_elf(const uint8_t* file, size_t bytes) {
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F', 2, 1}; /* 64 bits, little-endian */
    return bytes >= HEADER_BYTES && memcmp(file, magic, sizeof magic) == 0 &&
           table_fits(file, bytes, &segments) && table_fits(file, bytes, &sections);
}

static int is_ptx(const uint8_t* text, size_t bytes) {
    return bytes > 2u && memcmp(text, "//", 2) == 0 && memchr(text, 0, bytes) == text + bytes - 1u;
}

llmir_status_t llmir_gpu_module_check(
    const char* name, int is_text, const uint8_t* module, size_t bytes, llmir_error_t* error) {
    if (is_text ? is_ptx(module, bytes) : is_elf(module, bytes)) {
        return LLMIR_STATUS_OK;
    }
    return llmir_fail(error, LLMIR_STATUS_CORRUPT, "GPU image: %s of %zu bytes, expected %s", name,
                      bytes,
                      is_text ? "text that begins with // and ends in its only zero"
                              : "a 64-bit ELF file all of whose parts lie inside");
}
