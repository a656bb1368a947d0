/* Opening a bundle. The checks go from the outside in: nothing is read before its place is known to
 * lie in the file, and nothing of the section table is believed before the root hash fits. */
#include "core/bundle.h"

#include <string.h>

#include "core/base/blake2b.h"
#include "core/base/size.h"

#define ROOT_HASH_OFFSET offsetof(llmir_bundle_header_t, root_hash)

_Static_assert(LLMIR_BUNDLE_HASH_BYTES == 32, "section hashes are BLAKE2b-256");

const char* llmir_section_kind_name(uint32_t kind) {
    static const char* const names[] = {
        [LLMIR_SECTION_MODEL] = "MODEL",         [LLMIR_SECTION_TOKENIZER] = "TOKENIZER",
        [LLMIR_SECTION_CHAT] = "CHAT",           [LLMIR_SECTION_WEIGHTS] = "WEIGHTS",
        [LLMIR_SECTION_PLAN] = "PLAN",           [LLMIR_SECTION_CODE] = "CODE",
        [LLMIR_SECTION_SELFTEST] = "SELFTEST",   [LLMIR_SECTION_REPORT] = "REPORT",
        [LLMIR_SECTION_SIGNATURE] = "SIGNATURE",
    };
    return kind >= LLMIR_SECTION_MODEL && kind <= LLMIR_SECTION_SIGNATURE ? names[kind] : "unknown";
}

static llmir_status_t check_version(const llmir_bundle_header_t* header, llmir_error_t* error) {
    const uint32_t needed = (uint32_t)header->reader_major << 16 | header->reader_minor;
    const uint32_t own = LLMIR_BUNDLE_FORMAT_MAJOR << 16 | LLMIR_BUNDLE_FORMAT_MINOR;
    if (header->format_major == 0 || header->reader_major == 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "header: format version 0");
    }
    if (needed > own) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "header: the bundle needs a reader of format %u.%u, this library reads "
                          "up to %u.%u",
                          header->reader_major, header->reader_minor, LLMIR_BUNDLE_FORMAT_MAJOR,
                          LLMIR_BUNDLE_FORMAT_MINOR);
    }
    return LLMIR_STATUS_OK;
}

/* Sizes and places of header and table. */
static llmir_status_t check_header(const llmir_bundle_header_t* header,
                                   size_t bytes,
                                   llmir_error_t* error) {
    const uint64_t table_bytes = (uint64_t)header->section_count * sizeof(llmir_bundle_section_t);
    if (header->file_bytes != bytes) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "header: %llu bytes, expected %llu",
                          (unsigned long long)bytes, (unsigned long long)header->file_bytes);
    }
    if (header->header_bytes < sizeof(*header) || header->header_bytes > bytes) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "header: %u bytes long, expected %zu to %zu",
                          header->header_bytes, sizeof(*header), bytes);
    }
    if (header->section_count > LLMIR_BUNDLE_MAX_SECTIONS) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "header: %u sections, at most %u",
                          header->section_count, LLMIR_BUNDLE_MAX_SECTIONS);
    }
    if (header->section_table_offset < header->header_bytes ||
        header->section_table_offset % _Alignof(llmir_bundle_section_t) != 0 ||
        !llmir_range_fits(header->section_table_offset, table_bytes, bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "header: section table at %llu + %llu of %llu bytes",
                          (unsigned long long)header->section_table_offset,
                          (unsigned long long)table_bytes, (unsigned long long)bytes);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t check_root_hash(const llmir_bundle_t* bundle, llmir_error_t* error) {
    static const uint8_t zeros[LLMIR_BUNDLE_HASH_BYTES];
    const size_t after = ROOT_HASH_OFFSET + LLMIR_BUNDLE_HASH_BYTES;
    uint8_t hash[LLMIR_BUNDLE_HASH_BYTES];
    llmir_blake2b_t state;
    llmir_blake2b_init(&state);
    llmir_blake2b_update(&state, bundle->data, ROOT_HASH_OFFSET);
    llmir_blake2b_update(&state, zeros, sizeof(zeros));
    llmir_blake2b_update(&state, bundle->data + after, bundle->header->header_bytes - after);
    llmir_blake2b_update(&state, bundle->sections,
                         bundle->header->section_count * sizeof(llmir_bundle_section_t));
    llmir_blake2b_final(&state, hash);
    if (memcmp(hash, bundle->header->root_hash, sizeof(hash)) != 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "header: the root hash does not fit header and section table");
    }
    return LLMIR_STATUS_OK;
}

/* Whether two ranges share a byte; empty ranges share none. Neither wraps. */
static int overlaps(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
    return a_bytes != 0 && b_bytes != 0 && a < b + b_bytes && b < a + a_bytes;
}

static llmir_status_t check_section(const llmir_bundle_t* bundle,
                                    uint32_t index,
                                    llmir_error_t* error) {
    const llmir_bundle_section_t* section = &bundle->sections[index];
    const char* name = llmir_section_kind_name(section->kind);
    const uint64_t alignment = section->kind == LLMIR_SECTION_WEIGHTS
                                   ? LLMIR_BUNDLE_WEIGHTS_ALIGNMENT
                                   : LLMIR_BUNDLE_SECTION_ALIGNMENT;
    const uint64_t table = bundle->header->section_table_offset;
    const uint64_t table_bytes =
        (uint64_t)bundle->header->section_count * sizeof(llmir_bundle_section_t);
    if (!llmir_range_fits(section->offset, section->bytes, bundle->bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "section %u (%s): at %llu + %llu, the file has %llu bytes", index, name,
                          (unsigned long long)section->offset, (unsigned long long)section->bytes,
                          (unsigned long long)bundle->bytes);
    }
    if (section->offset % alignment != 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "section %u (%s): offset %llu is not a multiple of %llu", index, name,
                          (unsigned long long)section->offset, (unsigned long long)alignment);
    }
    if (overlaps(section->offset, section->bytes, 0, bundle->header->header_bytes) ||
        overlaps(section->offset, section->bytes, table, table_bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "section %u (%s): overlaps the header or the section table", index, name);
    }
    for (uint32_t i = 0; i < index; ++i) {
        const llmir_bundle_section_t* other = &bundle->sections[i];
        if (overlaps(section->offset, section->bytes, other->offset, other->bytes)) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "section %u (%s): overlaps section %u (%s)", index, name, i,
                              llmir_section_kind_name(other->kind));
        }
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_bundle_open(const void* data,
                                 size_t bytes,
                                 llmir_bundle_t* out_bundle,
                                 llmir_error_t* error) {
    llmir_bundle_t bundle = {.data = data, .bytes = bytes, .header = data};
    memset(out_bundle, 0, sizeof(*out_bundle));
    if (data == NULL || (uintptr_t)data % LLMIR_BUNDLE_SECTION_ALIGNMENT != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "the data begins at an address that is not a multiple of %u",
                          LLMIR_BUNDLE_SECTION_ALIGNMENT);
    }
    if (bytes < sizeof(llmir_bundle_header_t)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT, "%zu bytes, expected at least %zu", bytes,
                          sizeof(llmir_bundle_header_t));
    }
    if (memcmp(bundle.header->magic, LLMIR_BUNDLE_MAGIC, sizeof(bundle.header->magic)) != 0) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "not a bundle: it does not begin with \"" LLMIR_BUNDLE_MAGIC "\"");
    }
    LLMIR_TRY(check_version(bundle.header, error));
    LLMIR_TRY(check_header(bundle.header, bytes, error));
    bundle.sections = (const void*)(bundle.data + (size_t)bundle.header->section_table_offset);
    LLMIR_TRY(check_root_hash(&bundle, error));
    for (uint32_t i = 0; i < bundle.header->section_count; ++i) {
        LLMIR_TRY(check_section(&bundle, i, error));
    }
    *out_bundle = bundle;
    return LLMIR_STATUS_OK;
}

const uint8_t* llmir_bundle_section_data(const llmir_bundle_t* bundle,
                                         const llmir_bundle_section_t* section) {
    return bundle->data + (size_t)section->offset;
}

llmir_status_t llmir_bundle_section_verify(const llmir_bundle_t* bundle,
                                           const llmir_bundle_section_t* section,
                                           llmir_error_t* error) {
    uint8_t hash[LLMIR_BUNDLE_HASH_BYTES];
    llmir_blake2b_hash(llmir_bundle_section_data(bundle, section), (size_t)section->bytes, hash);
    if (memcmp(hash, section->hash, sizeof(hash)) != 0) {
        return llmir_fail(
            error, LLMIR_STATUS_CORRUPT, "section %u (%s): its bytes do not fit its hash",
            (unsigned)(section - bundle->sections), llmir_section_kind_name(section->kind));
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_bundle_find(const llmir_bundle_t* bundle,
                                 llmir_section_kind_t kind,
                                 llmir_section_target_t target,
                                 const llmir_bundle_section_t** out_section,
                                 llmir_error_t* error) {
    *out_section = NULL;
    for (uint32_t i = 0; i < bundle->header->section_count; ++i) {
        const llmir_bundle_section_t* section = &bundle->sections[i];
        if (section->kind != (uint32_t)kind || section->target != (uint32_t)target) {
            continue;
        }
        if (*out_section != NULL) {
            *out_section = NULL;
            return llmir_fail(error, LLMIR_STATUS_CORRUPT, "section %u (%s): a second one", i,
                              llmir_section_kind_name(kind));
        }
        *out_section = section;
    }
    return LLMIR_STATUS_OK;
}
