/* A bundle file as llmir-inspect sees it: read by the format header alone, independent of the
 * library, so that a file that the library refuses can still be looked at. Every offset is checked
 * before use. */
#ifndef LLMIR_EXAMPLES_INSPECT_BUNDLE_H
#define LLMIR_EXAMPLES_INSPECT_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#include "llmir_bundle.h"

typedef struct inspect_bundle {
    const uint8_t* data;
    size_t bytes;
    llmir_bundle_header_t header;
    const uint8_t* section_table; /* llmir_bundle_section_t[section_count], unaligned */
} inspect_bundle_t;

/* Returns NULL, or why the bytes are no bundle. */
const char* inspect_open(const uint8_t* data, size_t bytes, inspect_bundle_t* out);

/* Copies section `index` (< header.section_count); returns its bytes, or NULL if it lies outside of
 * the file. */
const uint8_t* inspect_section(const inspect_bundle_t* bundle,
                               uint32_t index,
                               llmir_bundle_section_t* out);

/* Number of tensors of a WEIGHTS section, 0 if its table does not fit. */
uint32_t inspect_tensor_count(const uint8_t* section, uint64_t bytes);

/* Copies tensor `index`; returns its name (out_name_bytes long), "" if out of range. */
const char* inspect_tensor(const uint8_t* section,
                           uint64_t bytes,
                           uint32_t index,
                           llmir_tensor_record_t* out,
                           uint32_t* out_name_bytes);

const char* inspect_kind_name(uint32_t kind);
const char* inspect_target_name(uint32_t target);
const char* inspect_layout_name(uint32_t layout);

/* Name of a CPU level, "" for other targets and unknown ones. */
const char* inspect_level_name(uint32_t target, uint32_t level);

#endif /* LLMIR_EXAMPLES_INSPECT_BUNDLE_H */
