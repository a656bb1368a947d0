/* A bundle in memory: the header and the section table, checked. Contents of sections are checked
 * by their readers (tensors.h, plan.h, tokenizer.h, chat.h). Nothing is copied: a llmir_bundle_t
 * points into the mapped file. */
#ifndef LLMIR_BUNDLE_READER_H
#define LLMIR_BUNDLE_READER_H

#include <stddef.h>

#include "core/base/status.h"
#include "llmir_bundle.h"

typedef struct llmir_bundle {
    const uint8_t* data; /* 64-byte aligned */
    size_t bytes;
    const llmir_bundle_header_t* header;
    const llmir_bundle_section_t* sections; /* [header->section_count] */
} llmir_bundle_t;

/* Checks magic, versions, sizes, the root hash and the section table.
 *   data   must outlive `out_bundle`.
 *   bytes  of the whole file.
 * Errors: INVALID_ARGUMENT (data not aligned to 64 bytes), CORRUPT, UNSUPPORTED (a newer format).
 */
llmir_status_t llmir_bundle_open(const void* data,
                                 size_t bytes,
                                 llmir_bundle_t* out_bundle,
                                 llmir_error_t* error);

/* First byte of a section of this bundle. */
const uint8_t* llmir_bundle_section_data(const llmir_bundle_t* bundle,
                                         const llmir_bundle_section_t* section);

/* Compares the section's bytes with its hash. Errors: CORRUPT. */
llmir_status_t llmir_bundle_section_verify(const llmir_bundle_t* bundle,
                                           const llmir_bundle_section_t* section,
                                           llmir_error_t* error);

/* Finds the section of `kind` for `target`; *out_section is NULL if there is none. Errors: CORRUPT
 * (more than one). */
llmir_status_t llmir_bundle_find(const llmir_bundle_t* bundle,
                                 llmir_section_kind_t kind,
                                 llmir_section_target_t target,
                                 const llmir_bundle_section_t** out_section,
                                 llmir_error_t* error);

/* "PLAN", ...; "unknown" for kinds of a later version. */
const char* llmir_section_kind_name(uint32_t kind);

#endif /* LLMIR_BUNDLE_READER_H */
