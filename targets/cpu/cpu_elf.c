/* Loading an ELF image. All numbers of the file are read as uint64_t and compared with limits far
 * below the range of size_t before anything is added to them, so no sum here can wrap.
 *
 * Reference: Tool Interface Standard ELF 1.2 (ELF32) and the System V gABI (ELF64). */
#include "targets/cpu/cpu_elf.h"

#include <string.h>

#include "core/base/size.h"

/* Where the two classes keep their fields, in bytes from the start of each structure. */
typedef struct elf_layout {
    uint32_t header_bytes, phoff, phentsize, phnum;
    uint32_t segment_bytes, flags, offset, vaddr, filesz, memsz;
} elf_layout_t;

static const elf_layout_t layout32 = {52, 28, 42, 44, 32, 24, 4, 8, 16, 20};
static const elf_layout_t layout64 = {64, 32, 54, 56, 56, 4, 8, 16, 32, 40};

enum { TYPE_AT = 16, MACHINE_AT = 18, ET_DYN = 3 };
enum { PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3, PT_TLS = 7 };
enum {
    DT_NULL = 0,
    DT_HASH = 4,
    DT_STRTAB = 5,
    DT_SYMTAB = 6,
    DT_RELA = 7,
    DT_RELASZ = 8,
    DT_RELAENT = 9,
    DT_STRSZ = 10,
    DT_SYMENT = 11,
    DT_SONAME = 14,
    DT_SYMBOLIC = 16,
    DT_REL = 17,
    DT_RELSZ = 18,
    DT_RELENT = 19,
    DT_FLAGS = 30,
    DT_TABLE_COUNT = 31, /* tags below are kept in a table */
    DT_GNU_HASH = 0x6FFFFEF5,
    DT_RELACOUNT = 0x6FFFFFF9,
    DT_RELCOUNT = 0x6FFFFFFA,
    DT_FLAGS_1 = 0x6FFFFFFB,
};
#define FORBIDDEN_FLAGS 0x14u /* DF_TEXTREL, DF_STATIC_TLS */

typedef struct elf_loader {
    const uint8_t* file;
    size_t file_bytes;
    const llmir_elf_abi_t* abi;
    const elf_layout_t* layout;
    llmir_elf_image_t* image;
    size_t page_bytes;
    size_t dynamic_address; /* of PT_DYNAMIC; dynamic_bytes is 0 if there is none */
    size_t dynamic_bytes;
    llmir_error_t* error;
} elf_loader_t;

const llmir_elf_abi_t* llmir_elf_native_abi(void) {
#if defined(__x86_64__) && !defined(__ILP32__)
    static const llmir_elf_abi_t abi = {8, 62, 8};
    return &abi;
#elif defined(__aarch64__) && !defined(__ILP32__) && !defined(__AARCH64EB__)
    static const llmir_elf_abi_t abi = {8, 183, 1027};
    return &abi;
#elif defined(__arm__) && !defined(__ARMEB__)
    static const llmir_elf_abi_t abi = {4, 40, 23};
    return &abi;
#elif defined(__riscv) && __riscv_xlen == 64
    static const llmir_elf_abi_t abi = {8, 243, 3};
    return &abi;
#elif defined(__riscv)
    static const llmir_elf_abi_t abi = {4, 243, 3};
    return &abi;
#else
    return NULL;
#endif
}

static uint64_t load_bytes(const uint8_t* bytes, uint32_t count) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; ++i) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void store_bytes(uint8_t* bytes, uint64_t value, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static llmir_status_t fail_corrupt(const elf_loader_t* loader, const char* what) {
    return llmir_fail(loader->error, LLMIR_STATUS_CORRUPT, "ELF image: %s", what);
}

/* ---- Headers ---- */

static llmir_status_t check_header(const elf_loader_t* loader) {
    static const uint8_t magic[] = {0x7F, 'E', 'L', 'F'};
    const uint8_t* file = loader->file;
    if (loader->file_bytes < loader->layout->header_bytes ||
        memcmp(file, magic, sizeof magic) != 0) {
        return fail_corrupt(loader, "no ELF header");
    }
    const uint8_t elf_class = loader->abi->word_bytes == 8 ? 2 : 1;
    const uint64_t machine = load_bytes(file + MACHINE_AT, 2);
    if (file[4] != elf_class || file[5] != 1 || machine != loader->abi->machine) {
        return llmir_fail(loader->error, LLMIR_STATUS_UNSUPPORTED,
                          "ELF image: for machine %u with %u-bit words, this is machine %u with "
                          "%u-bit words",
                          (unsigned)machine, file[4] * 32u, loader->abi->machine,
                          loader->abi->word_bytes * 8);
    }
    if (load_bytes(file + TYPE_AT, 2) != ET_DYN) {
        return fail_corrupt(loader, "not a shared object");
    }
    if (load_bytes(file + loader->layout->phentsize, 2) != loader->layout->segment_bytes) {
        return fail_corrupt(loader, "program headers of an unknown size");
    }
    return LLMIR_STATUS_OK;
}

/* First byte behind a segment's last page. */
static size_t end_of_pages(const elf_loader_t* loader, const llmir_elf_segment_t* segment) {
    const size_t end = segment->address + segment->memory_bytes;
    return (end + loader->page_bytes - 1) & ~(loader->page_bytes - 1);
}

static llmir_status_t add_segment(elf_loader_t* loader, const uint8_t* header) {
    const elf_layout_t* at = loader->layout;
    const uint32_t word = loader->abi->word_bytes;
    const uint64_t offset = load_bytes(header + at->offset, word);
    const uint64_t address = load_bytes(header + at->vaddr, word);
    const uint64_t file_bytes = load_bytes(header + at->filesz, word);
    const uint64_t memory_bytes = load_bytes(header + at->memsz, word);
    const uint32_t flags = (uint32_t)load_bytes(header + at->flags, 4);
    llmir_elf_image_t* image = loader->image;

    if (memory_bytes == 0) {
        return LLMIR_STATUS_OK;
    }
    if (!llmir_range_fits(offset, file_bytes, loader->file_bytes) || file_bytes > memory_bytes) {
        return fail_corrupt(loader, "a segment reaches beyond the file");
    }
    if (address > LLMIR_ELF_MAX_BYTES || memory_bytes > LLMIR_ELF_MAX_BYTES - address) {
        return fail_corrupt(loader, "a segment lies beyond the largest image");
    }
    if ((flags & LLMIR_ELF_WRITE) != 0 && (flags & LLMIR_ELF_EXECUTE) != 0) {
        return fail_corrupt(loader, "a segment is writable and executable");
    }
    if (image->segment_count == LLMIR_ELF_MAX_SEGMENTS) {
        return fail_corrupt(loader, "too many segments");
    }
    const size_t first_page = (size_t)address & ~(loader->page_bytes - 1);
    if (image->segment_count > 0 &&
        first_page < end_of_pages(loader, &image->segments[image->segment_count - 1])) {
        return fail_corrupt(loader, "segments overlap, share a page or descend");
    }
    image->segments[image->segment_count++] = (llmir_elf_segment_t){
        (size_t)address, (size_t)offset, (size_t)file_bytes, (size_t)memory_bytes, flags};
    return LLMIR_STATUS_OK;
}

static llmir_status_t note_dynamic(elf_loader_t* loader, const uint8_t* header) {
    const uint32_t word = loader->abi->word_bytes;
    const uint64_t address = load_bytes(header + loader->layout->vaddr, word);
    const uint64_t bytes = load_bytes(header + loader->layout->memsz, word);
    if (loader->dynamic_bytes != 0) {
        return fail_corrupt(loader, "two dynamic tables");
    }
    if (!llmir_range_fits(address, bytes, LLMIR_ELF_MAX_BYTES)) {
        return fail_corrupt(loader, "the dynamic table lies outside of the image");
    }
    loader->dynamic_address = (size_t)address;
    loader->dynamic_bytes = (size_t)bytes;
    return LLMIR_STATUS_OK;
}

static llmir_status_t read_segments(elf_loader_t* loader) {
    const elf_layout_t* at = loader->layout;
    const uint64_t table = load_bytes(loader->file + at->phoff, loader->abi->word_bytes);
    const uint64_t count = load_bytes(loader->file + at->phnum, 2);
    if (!llmir_range_fits(table, count * at->segment_bytes, loader->file_bytes)) {
        return fail_corrupt(loader, "the program headers reach beyond the file");
    }
    for (uint64_t i = 0; i < count; ++i) {
        const uint8_t* header = loader->file + table + i * at->segment_bytes;
        switch (load_bytes(header, 4)) {
            case PT_LOAD:
                LLMIR_TRY(add_segment(loader, header));
                break;
            case PT_DYNAMIC:
                LLMIR_TRY(note_dynamic(loader, header));
                break;
            case PT_INTERP:
            case PT_TLS:
                return fail_corrupt(loader, "it asks for an interpreter or thread-local storage");
            default: /* notes, unwind tables, stack flags: nothing to load */
                break;
        }
    }
    return loader->image->segment_count > 0 ? LLMIR_STATUS_OK : fail_corrupt(loader, "no segments");
}

/* ---- Memory ---- */

static llmir_status_t copy_segments(elf_loader_t* loader) {
    llmir_elf_image_t* image = loader->image;
    const size_t bytes = end_of_pages(loader, &image->segments[image->segment_count - 1]);
    void* pages = NULL;
    LLMIR_TRY(llmir_pages_reserve(bytes, &pages, loader->error));
    image->pages = pages;
    image->bytes = bytes;
    for (uint32_t i = 0; i < image->segment_count; ++i) {
        const llmir_elf_segment_t* segment = &image->segments[i];
        memcpy(image->pages + segment->address, loader->file + segment->file_offset,
               segment->file_bytes);
    }
    return LLMIR_STATUS_OK;
}

static const llmir_elf_segment_t* find_segment(const llmir_elf_image_t* image,
                                               uint64_t address,
                                               uint64_t bytes) {
    for (uint32_t i = 0; i < image->segment_count; ++i) {
        const llmir_elf_segment_t* segment = &image->segments[i];
        if (address >= segment->address &&
            llmir_range_fits(address - segment->address, bytes, segment->memory_bytes)) {
            return segment;
        }
    }
    return NULL;
}

/* ---- Relocations ---- */

/* Reads the dynamic table into `values`, by tag. Only tags that need no action of a loader beyond
 * relative relocations are accepted: no imports, no initialisers, no lazy binding. */
static llmir_status_t read_dynamic(const elf_loader_t* loader, uint64_t values[DT_TABLE_COUNT]) {
    static const uint8_t is_harmless[DT_TABLE_COUNT] = {
        [DT_HASH] = 1,    [DT_STRTAB] = 1, [DT_SYMTAB] = 1, [DT_RELA] = 1,   [DT_RELASZ] = 1,
        [DT_RELAENT] = 1, [DT_STRSZ] = 1,  [DT_SYMENT] = 1, [DT_SONAME] = 1, [DT_SYMBOLIC] = 1,
        [DT_REL] = 1,     [DT_RELSZ] = 1,  [DT_RELENT] = 1, [DT_FLAGS] = 1};
    const uint32_t word = loader->abi->word_bytes;
    if (loader->dynamic_bytes > 0 &&
        find_segment(loader->image, loader->dynamic_address, loader->dynamic_bytes) == NULL) {
        return fail_corrupt(loader, "the dynamic table lies outside of the segments");
    }
    for (size_t at = 0; at + 2 * word <= loader->dynamic_bytes; at += 2 * word) {
        const uint8_t* entry = loader->image->pages + loader->dynamic_address + at;
        const uint64_t tag = load_bytes(entry, word);
        const uint64_t value = load_bytes(entry + word, word);
        if (tag == DT_NULL) {
            break;
        }
        if (tag < DT_TABLE_COUNT && is_harmless[tag]) {
            values[tag] = value;
        } else if (tag != DT_GNU_HASH && tag != DT_RELACOUNT && tag != DT_RELCOUNT &&
                   tag != DT_FLAGS_1) {
            return llmir_fail(loader->error, LLMIR_STATUS_CORRUPT,
                              "ELF image: dynamic tag 0x%llx is not for self-contained code",
                              (unsigned long long)tag);
        }
    }
    if ((values[DT_FLAGS] & FORBIDDEN_FLAGS) != 0) {
        return fail_corrupt(loader, "it asks for text relocations or thread-local storage");
    }
    return LLMIR_STATUS_OK;
}

/* Adds the image's address to one word. `has_addend`: the value comes from the relocation, else
 * from the word itself. */
static llmir_status_t relocate(const elf_loader_t* loader, const uint8_t* entry, int has_addend) {
    const llmir_elf_image_t* image = loader->image;
    const uint32_t word = loader->abi->word_bytes;
    const uint64_t target = load_bytes(entry, word);
    const uint64_t info = load_bytes(entry + word, word);
    const uint64_t type = word == 8 ? info & UINT32_MAX : info & 0xFF;
    const uint64_t symbol = word == 8 ? info >> 32 : info >> 8;
    if (type != loader->abi->relative || symbol != 0) {
        return llmir_fail(loader->error, LLMIR_STATUS_CORRUPT,
                          "ELF image: relocation %u of symbol %u, expected relative ones only",
                          (unsigned)type, (unsigned)symbol);
    }
    const llmir_elf_segment_t* segment = find_segment(image, target, word);
    if (segment == NULL || (segment->flags & LLMIR_ELF_EXECUTE) != 0) {
        return fail_corrupt(loader, "a relocation lies outside of the data");
    }
    uint8_t* place = image->pages + target;
    const uint64_t value = load_bytes(has_addend ? entry + 2 * word : place, word);
    if (value > image->bytes) {
        return fail_corrupt(loader, "a relocation points outside of the image");
    }
    store_bytes(place, (uint64_t)(uintptr_t)image->pages + value, word);
    return LLMIR_STATUS_OK;
}

static llmir_status_t relocate_table(const elf_loader_t* loader,
                                     uint64_t address,
                                     uint64_t bytes,
                                     uint64_t given_entry_bytes,
                                     int has_addend) {
    const uint32_t word = loader->abi->word_bytes == 8 ? 8 : 4;
    const uint32_t entry_bytes = word * (has_addend ? 3 : 2);
    if (bytes == 0) {
        return LLMIR_STATUS_OK;
    }
    if (given_entry_bytes != entry_bytes || bytes % entry_bytes != 0 ||
        find_segment(loader->image, address, bytes) == NULL) {
        return fail_corrupt(loader, "the relocations are not a table inside of a segment");
    }
    for (size_t at = 0; at < bytes; at += entry_bytes) {
        /* A copy: the table itself may be what a relocation changes. */
        uint8_t entry[3 * 8];
        memcpy(entry, loader->image->pages + address + at, entry_bytes);
        LLMIR_TRY(relocate(loader, entry, has_addend));
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t relocate_image(const elf_loader_t* loader) {
    uint64_t values[DT_TABLE_COUNT] = {0};
    LLMIR_TRY(read_dynamic(loader, values));
    LLMIR_TRY(relocate_table(loader, values[DT_RELA], values[DT_RELASZ], values[DT_RELAENT], 1));
    return relocate_table(loader, values[DT_REL], values[DT_RELSZ], values[DT_RELENT], 0);
}

/* Seals the image: read-only, but for segments that ask for one of writing and executing. */
static llmir_status_t protect_segments(const elf_loader_t* loader) {
    const llmir_elf_image_t* image = loader->image;
    LLMIR_TRY(llmir_pages_protect(image->pages, image->bytes, LLMIR_PAGE_READ, loader->error));
    for (uint32_t i = 0; i < image->segment_count; ++i) {
        const llmir_elf_segment_t* segment = &image->segments[i];
        const size_t begin = segment->address & ~(loader->page_bytes - 1);
        const size_t bytes = end_of_pages(loader, segment) - begin;
        if ((segment->flags & LLMIR_ELF_EXECUTE) != 0) {
            LLMIR_TRY(llmir_pages_protect(image->pages + begin, bytes, LLMIR_PAGE_READ_EXECUTE,
                                          loader->error));
        } else if ((segment->flags & LLMIR_ELF_WRITE) != 0) {
            LLMIR_TRY(llmir_pages_protect(image->pages + begin, bytes, LLMIR_PAGE_READ_WRITE,
                                          loader->error));
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t load_image(elf_loader_t* loader) {
    LLMIR_TRY(check_header(loader));
    LLMIR_TRY(read_segments(loader));
    LLMIR_TRY(copy_segments(loader));
    LLMIR_TRY(relocate_image(loader));
    return protect_segments(loader);
}

llmir_status_t llmir_elf_load(const uint8_t* file,
                              size_t file_bytes,
                              const llmir_elf_abi_t* abi,
                              llmir_elf_image_t* out_image,
                              llmir_error_t* error) {
    memset(out_image, 0, sizeof *out_image);
    if (abi == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "ELF image: code cannot be loaded on this processor");
    }
    elf_loader_t loader = {
        .file = file,
        .file_bytes = file_bytes,
        .abi = abi,
        .layout = abi->word_bytes == 8 ? &layout64 : &layout32,
        .image = out_image,
        .page_bytes = llmir_page_bytes(),
        .error = error,
    };
    const llmir_status_t status = load_image(&loader);
    if (status != LLMIR_STATUS_OK) {
        llmir_elf_unload(out_image);
    }
    return status;
}

void llmir_elf_unload(llmir_elf_image_t* image) {
    llmir_pages_release(image->pages, image->bytes);
    memset(image, 0, sizeof *image);
}

int llmir_elf_has_code(const llmir_elf_image_t* image, size_t address) {
    for (uint32_t i = 0; i < image->segment_count; ++i) {
        const llmir_elf_segment_t* segment = &image->segments[i];
        if ((segment->flags & LLMIR_ELF_EXECUTE) != 0 && address >= segment->address &&
            address - segment->address < segment->file_bytes) {
            return 1;
        }
    }
    return 0;
}
