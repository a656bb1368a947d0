/* Reading WEIGHTS sections. Views point into the file; a record that passes here may be used by a
 * kernel without another look at the file's size. */
#include "core/tensors.h"

#include <string.h>

#include "core/base/size.h"
#include "quant/quant_layout.h"

/* A tensor's name for messages, at most 48 bytes of it: *out_bytes for "%.*s". */
static const char* name_of(const llmir_tensor_record_t* record,
                           const uint8_t* section,
                           uint64_t section_bytes,
                           int* out_bytes) {
    if (!llmir_range_fits(record->name.offset, record->name.bytes, section_bytes)) {
        *out_bytes = 0;
        return "";
    }
    *out_bytes = record->name.bytes < 48 ? (int)record->name.bytes : 48;
    return (const char*)section + record->name.offset;
}

uint32_t llmir_tensor_columns(const llmir_tensor_record_t* record) {
    return record->shape[record->rank - 1u];
}

uint32_t llmir_tensor_rows(const llmir_tensor_record_t* record) {
    uint32_t rows = 1;
    for (uint32_t i = 0; i + 1u < record->rank; ++i) {
        rows *= record->shape[i];
    }
    return rows;
}

/* Returns the fault of the shape, or NULL. */
static const char* shape_fault(const llmir_tensor_record_t* record) {
    uint64_t rows = 1;
    if (record->rank < 1 || record->rank > LLMIR_BUNDLE_MAX_RANK) {
        return "the rank is not 1 to 4";
    }
    for (uint32_t i = 0; i < LLMIR_BUNDLE_MAX_RANK; ++i) {
        const uint32_t dimension = record->shape[i];
        if (dimension == 0 || (i >= record->rank && dimension != 1)) {
            return "a dimension is 0, or an unused one is not 1";
        }
        if (i + 1u < record->rank) {
            rows *= dimension; /* both factors are below 2^32 */
            if (rows > LLMIR_TENSOR_MAX_ROWS) {
                return "more rows than 2^28";
            }
        }
    }
    return llmir_tensor_columns(record) > LLMIR_TENSOR_MAX_COLUMNS ? "more columns than 2^24"
                                                                   : NULL;
}

static const char* layout_fault(const llmir_tensor_record_t* record) {
    if (record->layout < LLMIR_LAYOUT_F32 || record->layout > LLMIR_LAYOUT_PANEL_S8) {
        return "the layout is unknown";
    }
    if (!llmir_layout_is_integer(record->layout)) {
        return record->group != 0 ? "a float layout has a group" : NULL;
    }
    if (!llmir_group_is_valid(record->group)) {
        return "the group is not " LLMIR_GROUPS;
    }
    return llmir_tensor_columns(record) % record->group != 0
               ? "the columns are not a multiple of the group"
               : NULL;
}

static const char* record_fault(const llmir_tensor_record_t* record, uint64_t section_bytes) {
    const char* fault = shape_fault(record);
    if (fault == NULL) {
        fault = layout_fault(record);
    }
    if (fault != NULL) {
        return fault;
    }
    if (!llmir_range_fits(record->name.offset, record->name.bytes, section_bytes)) {
        return "the name lies outside of the section";
    }
    if (record->data_offset % LLMIR_BUNDLE_TENSOR_ALIGNMENT != 0 ||
        !llmir_range_fits(record->data_offset, record->data_bytes, section_bytes)) {
        return "the data is not aligned to 64 bytes, or lies outside of the section";
    }
    /* With the limits on rows and columns the product stays below 2^57. */
    return record->data_bytes != llmir_layout_bytes(record->layout, record->group,
                                                    llmir_tensor_rows(record),
                                                    llmir_tensor_columns(record))
               ? "the data's size does not fit shape and layout"
               : NULL;
}

/* Checks the place of one part's table and returns it. */
static llmir_status_t open_part(const llmir_bundle_t* bundle,
                                const llmir_bundle_section_t* section,
                                const llmir_tensor_record_t** out_table,
                                uint32_t* out_count,
                                llmir_error_t* error) {
    const uint8_t* data = llmir_bundle_section_data(bundle, section);
    const llmir_weights_record_t* record = (const void*)data;
    const unsigned index = (unsigned)(section - bundle->sections);
    if (section->bytes < sizeof(*record) || record->record_bytes < sizeof(*record)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "section %u (WEIGHTS): the record is shorter than %zu bytes", index,
                          sizeof(*record));
    }
    if (record->tensor_table_offset % _Alignof(llmir_tensor_record_t) != 0 ||
        !llmir_range_fits(record->tensor_table_offset,
                          (uint64_t)record->tensor_count * sizeof(llmir_tensor_record_t),
                          section->bytes)) {
        return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                          "section %u (WEIGHTS): %u tensor records at %llu, the section has %llu "
                          "bytes",
                          index, record->tensor_count,
                          (unsigned long long)record->tensor_table_offset,
                          (unsigned long long)section->bytes);
    }
    *out_table = (const void*)(data + (size_t)record->tensor_table_offset);
    *out_count = record->tensor_count;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_tensors_count(const llmir_bundle_t* bundle,
                                   uint32_t* out_count,
                                   uint64_t* out_bytes,
                                   llmir_error_t* error) {
    uint32_t part = 0;
    *out_count = 0;
    *out_bytes = 0;
    for (uint32_t i = 0; i < bundle->header->section_count; ++i) {
        const llmir_bundle_section_t* section = &bundle->sections[i];
        const llmir_tensor_record_t* table = NULL;
        uint32_t count = 0;
        if (section->kind != LLMIR_SECTION_WEIGHTS) {
            continue;
        }
        if (section->part != part++) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                              "section %u (WEIGHTS): part %u, expected %u", i, section->part,
                              part - 1u);
        }
        LLMIR_TRY(open_part(bundle, section, &table, &count, error));
        if (count > UINT32_MAX - *out_count) {
            return llmir_fail(error, LLMIR_STATUS_CORRUPT, "WEIGHTS: too many tensors");
        }
        *out_count += count;
        *out_bytes += section->bytes; /* sections do not overlap: at most the file's size */
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_tensors_read(const llmir_bundle_t* bundle,
                                  llmir_tensor_view_t* out_views,
                                  llmir_error_t* error) {
    for (uint32_t i = 0; i < bundle->header->section_count; ++i) {
        const llmir_bundle_section_t* section = &bundle->sections[i];
        const llmir_tensor_record_t* table = NULL;
        uint32_t count = 0;
        if (section->kind != LLMIR_SECTION_WEIGHTS) {
            continue;
        }
        LLMIR_TRY(open_part(bundle, section, &table, &count, error));
        const uint8_t* data = llmir_bundle_section_data(bundle, section);
        for (uint32_t t = 0; t < count; ++t) {
            const char* fault = record_fault(&table[t], section->bytes);
            if (fault != NULL) {
                int name_bytes = 0;
                const char* name = name_of(&table[t], data, section->bytes, &name_bytes);
                return llmir_fail(error, LLMIR_STATUS_CORRUPT,
                                  "section %u (WEIGHTS): tensor %u '%.*s': %s", i, t, name_bytes,
                                  name, fault);
            }
            *out_views++ = (llmir_tensor_view_t){&table[t], data + (size_t)table[t].data_offset};
        }
    }
    return LLMIR_STATUS_OK;
}
