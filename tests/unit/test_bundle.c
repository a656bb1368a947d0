/* The bundle reader: header, section table and tensor records made wrong one field at a time, with
 * hashes that fit, so that the checks behind them are met. */
#include <stdlib.h>
#include <string.h>

#include "core/bundle.h"
#include "core/tensors.h"
#include "tests/support/test.h"
#include "tests/support/tiny_bundle.h"

static tiny_bundle_t small_bundle(void) {
    tiny_options_t options = tiny_options_default();
    options.layers = 1;
    return tiny_bundle_build(&options);
}

static llmir_status_t open_bundle(const tiny_bundle_t* bundle, llmir_error_t* error) {
    llmir_bundle_t opened;
    const llmir_status_t status = llmir_bundle_open(bundle->data, bundle->bytes, &opened, error);
    if (status == LLMIR_STATUS_OK) {
        assert_ptr_equal(opened.data, bundle->data);
    } else {
        assert_null(opened.data);
    }
    return status;
}

static llmir_bundle_header_t* header_of(const tiny_bundle_t* bundle) {
    return (void*)bundle->data;
}

static llmir_bundle_section_t* table_of(const tiny_bundle_t* bundle) {
    return (void*)(bundle->data + header_of(bundle)->section_table_offset);
}

static void test_bundle_opens_and_finds_sections(void** state) {
    tiny_bundle_t file = small_bundle();
    const llmir_bundle_section_t* section = NULL;
    llmir_bundle_t bundle;
    (void)state;
    assert_status(llmir_bundle_open(file.data, file.bytes, &bundle, &assert_status_error),
                  LLMIR_STATUS_OK);
    for (uint32_t i = 0; i < bundle.header->section_count; ++i) {
        assert_status(
            llmir_bundle_section_verify(&bundle, &bundle.sections[i], &assert_status_error),
            LLMIR_STATUS_OK);
    }
    assert_status(llmir_bundle_find(&bundle, LLMIR_SECTION_PLAN, LLMIR_SECTION_TARGET_ANY, &section,
                                    &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_int_equal(section->kind, LLMIR_SECTION_PLAN);
    assert_status(llmir_bundle_find(&bundle, LLMIR_SECTION_CODE, LLMIR_SECTION_TARGET_CPU, &section,
                                    &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_null(section);
    assert_string_equal(llmir_section_kind_name(LLMIR_SECTION_WEIGHTS), "WEIGHTS");
    assert_string_equal(llmir_section_kind_name(0), "unknown");
    assert_string_equal(llmir_section_kind_name(UINT32_MAX), "unknown");
    tiny_bundle_free(&file);
}

static void test_bundle_second_section_of_a_kind_is_refused(void** state) {
    tiny_bundle_t file = small_bundle();
    const llmir_bundle_section_t* section = NULL;
    llmir_bundle_t bundle;
    (void)state;
    tiny_bundle_section(&file, LLMIR_SECTION_CHAT)->kind = LLMIR_SECTION_TOKENIZER;
    tiny_bundle_rehash(&file);
    assert_status(llmir_bundle_open(file.data, file.bytes, &bundle, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status(llmir_bundle_find(&bundle, LLMIR_SECTION_TOKENIZER, LLMIR_SECTION_TARGET_ANY,
                                    &section, &assert_status_error),
                  LLMIR_STATUS_CORRUPT);
    assert_null(section);
    tiny_bundle_free(&file);
}

static void test_bundle_wrong_bytes_do_not_fit_the_hashes(void** state) {
    tiny_bundle_t file = small_bundle();
    llmir_bundle_t bundle;
    (void)state;
    llmir_bundle_section_t* section = tiny_bundle_section(&file, LLMIR_SECTION_MODEL);
    file.data[section->offset + 4] ^= 1;
    assert_status(llmir_bundle_open(file.data, file.bytes, &bundle, &assert_status_error),
                  LLMIR_STATUS_OK);
    assert_status_message(llmir_bundle_section_verify(&bundle, section, &assert_status_error),
                          LLMIR_STATUS_CORRUPT, "MODEL");
    table_of(&file)[2].level ^= 1;
    assert_status_message(open_bundle(&file, &assert_status_error), LLMIR_STATUS_CORRUPT,
                          "root hash");
    tiny_bundle_free(&file);
}

static void test_bundle_header_fields_are_checked(void** state) {
    tiny_bundle_t good = small_bundle();
    (void)state;
    for (int i = 0; i < 13; ++i) {
        tiny_bundle_t file = tiny_bundle_copy(&good);
        llmir_bundle_header_t* header = header_of(&file);
        llmir_status_t expected = LLMIR_STATUS_CORRUPT;
        switch (i) {
            case 0:
                header->magic[7] = 'X';
                break;
            case 1:
                header->format_major = 0;
                break;
            case 2:
                header->reader_major = 0;
                break;
            case 3:
                header->reader_major = 2;
                expected = LLMIR_STATUS_UNSUPPORTED;
                break;
            case 4:
                header->reader_minor = 1;
                expected = LLMIR_STATUS_UNSUPPORTED;
                break;
            case 5:
                header->header_bytes = 127;
                break;
            case 6:
                header->header_bytes = UINT32_MAX;
                break;
            case 7:
                header->section_count = LLMIR_BUNDLE_MAX_SECTIONS + 1;
                break;
            case 8:
                header->section_count = UINT32_MAX;
                break;
            case 9:
                header->file_bytes += 1;
                break;
            case 10:
                header->section_table_offset = UINT64_MAX - 7;
                break;
            case 11:
                header->section_table_offset = 64;
                break;
            default:
                header->section_table_offset += 4;
                break;
        }
        assert_status(open_bundle(&file, &assert_status_error), expected);
        tiny_bundle_free(&file);
    }
    /* A later writer of the same reader version: more minor features, a longer header. */
    header_of(&good)->format_minor = 9;
    tiny_bundle_rehash(&good);
    assert_status(open_bundle(&good, &assert_status_error), LLMIR_STATUS_OK);
    tiny_bundle_free(&good);
}

static void test_bundle_section_places_are_checked(void** state) {
    tiny_bundle_t good = small_bundle();
    const uint32_t count = header_of(&good)->section_count;
    (void)state;
    for (uint32_t s = 0; s < count; ++s) {
        for (int i = 0; i < 8; ++i) {
            tiny_bundle_t file = tiny_bundle_copy(&good);
            llmir_bundle_section_t* section = &table_of(&file)[s];
            switch (i) {
                case 0:
                    section->offset += 32;
                    break;
                case 1:
                    section->offset = UINT64_MAX - 63;
                    break;
                case 2:
                    section->bytes = UINT64_MAX;
                    break;
                case 3:
                    section->bytes = file.bytes - section->offset + 1;
                    break;
                case 4:
                    section->offset = 0;
                    break;
                case 5:
                    section->offset = 128;
                    break; /* the table */
                case 6:
                    section->offset = table_of(&file)[(s + 1) % count].offset;
                    break;
                default:
                    section->bytes = UINT64_MAX - section->offset + 1;
                    break;
            }
            tiny_bundle_rehash(&file);
            assert_status(open_bundle(&file, &assert_status_error), LLMIR_STATUS_CORRUPT);
            tiny_bundle_free(&file);
        }
    }
    tiny_bundle_free(&good);
}

static void test_bundle_unaligned_or_short_memory_is_refused(void** state) {
    tiny_bundle_t file = small_bundle();
    llmir_bundle_t bundle;
    (void)state;
    assert_status(llmir_bundle_open(file.data + 8, file.bytes - 8, &bundle, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    assert_status(llmir_bundle_open(NULL, 0, &bundle, &assert_status_error),
                  LLMIR_STATUS_INVALID_ARGUMENT);
    for (size_t bytes = 0; bytes < 200; ++bytes) {
        assert_status(llmir_bundle_open(file.data, bytes, &bundle, &assert_status_error),
                      LLMIR_STATUS_CORRUPT);
    }
    tiny_bundle_free(&file);
}

/* ---- Tensors ---- */

static llmir_status_t read_tensors(const tiny_bundle_t* file, llmir_error_t* error) {
    llmir_bundle_t bundle;
    uint32_t count = 0;
    uint64_t bytes = 0;
    assert_status(llmir_bundle_open(file->data, file->bytes, &bundle, &assert_status_error),
                  LLMIR_STATUS_OK);
    llmir_status_t status = llmir_tensors_count(&bundle, &count, &bytes, error);
    if (status == LLMIR_STATUS_OK) {
        llmir_tensor_view_t* views = calloc(count + 1u, sizeof(*views));
        status = llmir_tensors_read(&bundle, views, error);
        for (uint32_t i = 0; i < count && status == LLMIR_STATUS_OK; ++i) {
            assert_int_equal((uintptr_t)views[i].data % 64, 0);
        }
        free(views);
    }
    return status;
}

static llmir_tensor_record_t* tensor_records(const tiny_bundle_t* file) {
    const llmir_bundle_section_t* section = tiny_bundle_section(file, LLMIR_SECTION_WEIGHTS);
    const llmir_weights_record_t* record = (void*)(file->data + section->offset);
    return (void*)(file->data + section->offset + record->tensor_table_offset);
}

/* A field of a record and what it is made. */
typedef struct field_edit {
    size_t offset;
    size_t bytes;
    uint64_t value;
} field_edit_t;

#define EDIT(field, value) \
    {offsetof(llmir_tensor_record_t, field), sizeof(((llmir_tensor_record_t*)0)->field), (value)}
#define NEXT_RECORD(field, value)                                            \
    {sizeof(llmir_tensor_record_t) + offsetof(llmir_tensor_record_t, field), \
     sizeof(((llmir_tensor_record_t*)0)->field), (value)}

/* Tensor 0 is the embedding [320][64] in panels, tensor 1 the frequencies [8]. */
static const field_edit_t tensor_edits[] = {
    EDIT(rank, 0),
    EDIT(rank, 5),
    EDIT(rank, 1), /* a dimension that is not used is not 1 */
    EDIT(shape[0], 0),
    EDIT(shape[0], UINT32_MAX),
    EDIT(shape[1], UINT32_MAX),
    EDIT(shape[3], 2),
    EDIT(layout, 0),
    EDIT(layout, 9),
    EDIT(layout, LLMIR_LAYOUT_PANEL_F32), /* with a group */
    EDIT(group, 0),
    EDIT(group, 16),
    EDIT(group, 48),
    EDIT(group, 128), /* no divisor of 64 columns */
    EDIT(data_bytes, 0),
    EDIT(data_bytes, UINT64_MAX),
    EDIT(data_offset, 32),
    EDIT(data_offset, UINT64_MAX - 63),
    EDIT(name.offset, UINT32_MAX),
    EDIT(name.bytes, UINT32_MAX),
    NEXT_RECORD(shape[0], 9), /* more elements than bytes */
    NEXT_RECORD(group, 32),
};

static void test_bundle_tensor_records_are_checked(void** state) {
    tiny_options_t options = tiny_options_default();
    options.layout = LLMIR_LAYOUT_PANEL_S8;
    tiny_bundle_t good = tiny_bundle_build(&options);
    (void)state;
    assert_status(read_tensors(&good, &assert_status_error), LLMIR_STATUS_OK);
    for (size_t i = 0; i < sizeof(tensor_edits) / sizeof(tensor_edits[0]); ++i) {
        tiny_bundle_t file = tiny_bundle_copy(&good);
        memcpy((uint8_t*)tensor_records(&file) + tensor_edits[i].offset, &tensor_edits[i].value,
               tensor_edits[i].bytes); /* little-endian, as bundles are */
        assert_status_message(read_tensors(&file, &assert_status_error), LLMIR_STATUS_CORRUPT,
                              "WEIGHTS");
        tiny_bundle_free(&file);
    }
    tiny_bundle_free(&good);
}

/* Four dimensions whose product has more than 64 bits. */
static void test_bundle_tensor_of_huge_shape_is_refused(void** state) {
    tiny_bundle_t file = small_bundle();
    llmir_tensor_record_t* record = tensor_records(&file);
    (void)state;
    record->rank = 4;
    for (int i = 0; i < 4; ++i) {
        record->shape[i] = 1u << 24;
    }
    assert_status_message(read_tensors(&file, &assert_status_error), LLMIR_STATUS_CORRUPT,
                          "more rows");
    tiny_bundle_free(&file);
}

static void test_bundle_weights_parts_are_checked(void** state) {
    tiny_bundle_t good = small_bundle();
    (void)state;
    for (int i = 0; i < 6; ++i) {
        tiny_bundle_t file = tiny_bundle_copy(&good);
        llmir_bundle_section_t* section = tiny_bundle_section(&file, LLMIR_SECTION_WEIGHTS);
        llmir_weights_record_t* record = (void*)(file.data + section->offset);
        switch (i) {
            case 0:
                section->part = 1;
                break;
            case 1:
                section->bytes = 8;
                break;
            case 2:
                record->record_bytes = 8;
                break;
            case 3:
                record->tensor_count = UINT32_MAX;
                break;
            case 4:
                record->tensor_table_offset = UINT64_MAX - 7;
                break;
            default:
                record->tensor_table_offset += 4;
                break;
        }
        tiny_bundle_rehash(&file);
        assert_status(read_tensors(&file, &assert_status_error), LLMIR_STATUS_CORRUPT);
        tiny_bundle_free(&file);
    }
    tiny_bundle_free(&good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundle_opens_and_finds_sections),
        cmocka_unit_test(test_bundle_second_section_of_a_kind_is_refused),
        cmocka_unit_test(test_bundle_wrong_bytes_do_not_fit_the_hashes),
        cmocka_unit_test(test_bundle_header_fields_are_checked),
        cmocka_unit_test(test_bundle_section_places_are_checked),
        cmocka_unit_test(test_bundle_unaligned_or_short_memory_is_refused),
        cmocka_unit_test(test_bundle_tensor_records_are_checked),
        cmocka_unit_test(test_bundle_tensor_of_huge_shape_is_refused),
        cmocka_unit_test(test_bundle_weights_parts_are_checked),
    };
    return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
