/* Tensors, sections and hashes of the tiny bundle. */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include "tests/support/tiny_bundle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/blake2b.h"
#include "quant/quant_pack.h"
#include "quant/quant_rtn.h"
#include "tests/support/tiny_internal.h"

#define MAX_SECTIONS 8u

static void* checked(void* block) {
    if (block == NULL) {
        abort();
    }
    return block;
}

size_t tiny_append(tiny_bytes_t* buffer, const void* data, size_t bytes, size_t alignment) {
    const size_t offset = (buffer->bytes + alignment - 1) / alignment * alignment;
    buffer->data = checked(realloc(buffer->data, offset + bytes + 1));
    memset(buffer->data + buffer->bytes, 0, offset - buffer->bytes);
    if (data != NULL) {
        memcpy(buffer->data + offset, data, bytes);
    } else {
        memset(buffer->data + offset, 0, bytes);
    }
    buffer->bytes = offset + bytes;
    return offset;
}

void tiny_bytes_free(tiny_bytes_t* buffer) {
    free(buffer->data);
    *buffer = (tiny_bytes_t){0};
}

/* ---- Tensors ---- */

static tiny_tensor_t* new_tensor(tiny_model_t* model, const char* name) {
    if (model->tensor_count == TINY_MAX_TENSORS) {
        abort();
    }
    tiny_tensor_t* tensor = &model->tensors[model->tensor_count];
    snprintf(tensor->name, sizeof(tensor->name), "%s.%u", name, model->tensor_count++);
    return tensor;
}

static void set_record(
    tiny_tensor_t* tensor, uint32_t layout, uint32_t group, uint32_t rows, uint32_t columns) {
    tensor->record = (llmir_tensor_record_t){
        .data_bytes = llmir_layout_bytes(layout, group, rows ? rows : 1, columns),
        .shape = {rows ? rows : columns, rows ? columns : 1, 1, 1},
        .rank = rows ? 2 : 1,
        .layout = layout,
        .group = group};
    tiny_append(&tensor->data, NULL, (size_t)tensor->record.data_bytes, 64);
}

uint32_t tiny_add_vector(tiny_model_t* model, const char* name, uint32_t count, float mean) {
    tiny_tensor_t* tensor = new_tensor(model, name);
    set_record(tensor, LLMIR_LAYOUT_F32, 0, 0, count);
    test_random_fill_f32(&model->random, (float*)(void*)tensor->data.data, count, mean - 0.2f,
                         mean + 0.2f);
    return model->tensor_count - 1u;
}

static void set_row(const llmir_matrix_t* matrix, uint32_t row, const float* values) {
    if (!llmir_layout_is_integer(matrix->layout)) {
        llmir_matrix_set_float_row(matrix, row, values);
        return;
    }
    const uint32_t groups = llmir_matrix_group_count(matrix);
    const llmir_quantized_row_t quantized = {.q = checked(calloc(matrix->columns, 1)),
                                             .scales = checked(calloc(groups, 2)),
                                             .mins = checked(calloc(groups, 2))};
    llmir_rtn_quantize_row(matrix->layout, matrix->group, matrix->columns, values, &quantized);
    llmir_matrix_set_integer_row(matrix, row, quantized.q, quantized.scales, quantized.mins);
    free(quantized.q);
    free(quantized.scales);
    free(quantized.mins);
}

uint32_t tiny_add_matrix(tiny_model_t* model, const char* name, uint32_t rows, uint32_t columns) {
    const tiny_options_t* o = &model->options;
    const uint32_t group = llmir_layout_is_integer(o->layout) ? o->group : 0;
    /* Large enough that logits differ clearly and attention prefers some tokens. */
    const float range = 2.5f / sqrtf((float)columns);
    tiny_tensor_t* tensor = new_tensor(model, name);
    set_record(tensor, o->layout, group, rows, columns);
    const llmir_matrix_t matrix = {tensor->data.data, o->layout, group, rows, columns};
    float* values = checked(calloc(columns, sizeof(float)));
    for (uint32_t row = 0; row < rows; ++row) {
        test_random_fill_f32(&model->random, values, columns, -range, range);
        set_row(&matrix, row, values);
    }
    free(values);
    return model->tensor_count - 1u;
}

/* One WEIGHTS part of tensors [begin, end): record, table, names, data. */
static tiny_bytes_t write_weights(tiny_model_t* model, uint32_t begin, uint32_t end) {
    tiny_bytes_t out = {0};
    const llmir_weights_record_t record = {.record_bytes = sizeof(record),
                                           .tensor_count = end - begin,
                                           .tensor_table_offset = sizeof(record)};
    tiny_append(&out, &record, sizeof(record), 64);
    tiny_append(&out, NULL, (end - begin) * sizeof(llmir_tensor_record_t), 8);
    for (uint32_t i = begin; i < end; ++i) {
        tiny_tensor_t* tensor = &model->tensors[i];
        const size_t name_bytes = strlen(tensor->name);
        tensor->record.name = (llmir_bundle_range_t){
            (uint32_t)tiny_append(&out, tensor->name, name_bytes, 1), (uint32_t)name_bytes};
    }
    for (uint32_t i = begin; i < end; ++i) {
        tiny_tensor_t* tensor = &model->tensors[i];
        tensor->record.data_offset = tiny_append(&out, tensor->data.data, tensor->data.bytes, 64);
        memcpy(out.data + sizeof(record) + (i - begin) * sizeof(tensor->record), &tensor->record,
               sizeof(tensor->record));
        tiny_bytes_free(&tensor->data);
    }
    return out;
}

static tiny_bytes_t write_model(const tiny_model_t* model) {
    const tiny_options_t* o = &model->options;
    tiny_bytes_t out = {0};
    llmir_model_record_t record = {.record_bytes = sizeof(record),
                                   .vocab_count = o->vocab,
                                   .context_count = o->context,
                                   .embedding_count = o->dim,
                                   .layer_count = o->layers,
                                   .q_head_count = o->q_heads,
                                   .kv_head_count = o->kv_heads,
                                   .head_dim = o->head_dim,
                                   .ffn_count = o->ffn,
                                   .parameter_count = 12345};
    tiny_append(&out, &record, sizeof(record), 64);
    record.name = (llmir_bundle_range_t){(uint32_t)tiny_append(&out, "Tiny", 4, 1), 4};
    record.architecture = (llmir_bundle_range_t){(uint32_t)tiny_append(&out, "llama", 5, 1), 5};
    memcpy(out.data, &record, sizeof(record));
    return out;
}

/* ---- The file ---- */

typedef struct tiny_sections {
    llmir_bundle_section_t table[MAX_SECTIONS];
    tiny_bytes_t data[MAX_SECTIONS];
    uint32_t count;
} tiny_sections_t;

static void add_section(tiny_sections_t* sections,
                        uint32_t kind,
                        uint32_t part,
                        tiny_bytes_t data) {
    sections->table[sections->count] = (llmir_bundle_section_t){.kind = kind, .part = part};
    sections->data[sections->count++] = data;
}

/* Exactly as large as the bundle, so that sanitizers see the first byte behind it. */
static tiny_bundle_t align_bundle(const uint8_t* data, size_t bytes) {
    void* block = NULL;
    if (posix_memalign(&block, 64, bytes) != 0) {
        abort();
    }
    memcpy(block, data, bytes);
    return (tiny_bundle_t){block, bytes};
}

static tiny_bundle_t write_bundle(tiny_sections_t* sections) {
    tiny_bytes_t out = {0};
    llmir_bundle_header_t header = {.magic = {'L', 'L', 'M', 'I', 'R', 'B', 'N', 'D'},
                                    .format_major = LLMIR_BUNDLE_FORMAT_MAJOR,
                                    .format_minor = LLMIR_BUNDLE_FORMAT_MINOR,
                                    .reader_major = LLMIR_BUNDLE_FORMAT_MAJOR,
                                    .header_bytes = sizeof(header),
                                    .section_count = sections->count};
    tiny_append(&out, &header, sizeof(header), 64);
    header.section_table_offset =
        tiny_append(&out, NULL, sections->count * sizeof(sections->table[0]), 64);
    for (uint32_t i = 0; i < sections->count; ++i) {
        llmir_bundle_section_t* section = &sections->table[i];
        const size_t alignment = section->kind == LLMIR_SECTION_WEIGHTS ? 4096 : 64;
        section->bytes = sections->data[i].bytes;
        section->offset =
            tiny_append(&out, sections->data[i].data, (size_t)section->bytes, alignment);
        tiny_bytes_free(&sections->data[i]);
    }
    header.file_bytes = out.bytes;
    memcpy(out.data, &header, sizeof(header));
    memcpy(out.data + header.section_table_offset, sections->table,
           sections->count * sizeof(sections->table[0]));
    const tiny_bundle_t bundle = align_bundle(out.data, out.bytes);
    tiny_bytes_free(&out);
    tiny_bundle_rehash(&bundle);
    return bundle;
}

tiny_options_t tiny_options_default(void) {
    return (tiny_options_t){.seed = 1,
                            .layout = LLMIR_LAYOUT_PANEL_F32,
                            .group = 32,
                            .vocab = 320,
                            .dim = 64,
                            .layers = 2,
                            .q_heads = 4,
                            .kv_heads = 2,
                            .head_dim = 16,
                            .ffn = 96,
                            .context = 512,
                            .page_tokens = 16,
                            .chunk = 64,
                            .tokenizer = 1};
}

tiny_bundle_t tiny_bundle_build(const tiny_options_t* options) {
    tiny_model_t* model = checked(calloc(1, sizeof(*model)));
    tiny_sections_t sections = {0};
    model->options = *options;
    for (uint64_t i = 0; i < 4; ++i) { /* any state but zero; not the seed of the environment */
        model->random.state[i] = (options->seed + i + 1) * 0x9e3779b97f4a7c15ull;
    }
    const tiny_bytes_t plan = tiny_plan_build(model);
    add_section(&sections, LLMIR_SECTION_MODEL, 0, write_model(model));
    if (options->tokenizer) {
        add_section(&sections, LLMIR_SECTION_TOKENIZER, 0, tiny_tokenizer_build());
        add_section(&sections, LLMIR_SECTION_CHAT, 0, tiny_chat_build());
    }
    add_section(&sections, LLMIR_SECTION_PLAN, 0, plan);
    add_section(&sections, LLMIR_SECTION_WEIGHTS, 0, write_weights(model, 0, 3));
    add_section(&sections, LLMIR_SECTION_WEIGHTS, 1, write_weights(model, 3, model->tensor_count));
    free(model);
    return write_bundle(&sections);
}

void tiny_bundle_free(tiny_bundle_t* bundle) {
    free(bundle->data);
    *bundle = (tiny_bundle_t){0};
}

tiny_bundle_t tiny_bundle_copy(const tiny_bundle_t* bundle) {
    return align_bundle(bundle->data, bundle->bytes);
}

llmir_bundle_section_t* tiny_bundle_section(const tiny_bundle_t* bundle, uint32_t kind) {
    const llmir_bundle_header_t* header = (const void*)bundle->data;
    llmir_bundle_section_t* table = (void*)(bundle->data + header->section_table_offset);
    for (uint32_t i = 0; i < header->section_count; ++i) {
        if (table[i].kind == kind) {
            return &table[i];
        }
    }
    return NULL;
}

void tiny_bundle_rehash(const tiny_bundle_t* bundle) {
    llmir_bundle_header_t* header = (void*)bundle->data;
    llmir_blake2b_t state;
    if (bundle->bytes < sizeof(*header)) {
        return;
    }
    const uint64_t offset = header->section_table_offset;
    if (header->section_count > MAX_SECTIONS || offset % 8 != 0 || offset > bundle->bytes ||
        header->section_count * sizeof(llmir_bundle_section_t) > bundle->bytes - offset ||
        header->header_bytes != sizeof(*header)) {
        return;
    }
    llmir_bundle_section_t* table = (void*)(bundle->data + offset);
    for (uint32_t i = 0; i < header->section_count; ++i) {
        if (table[i].offset <= bundle->bytes && table[i].bytes <= bundle->bytes - table[i].offset) {
            llmir_blake2b_hash(bundle->data + table[i].offset, (size_t)table[i].bytes,
                               table[i].hash);
        }
    }
    memset(header->root_hash, 0, sizeof(header->root_hash));
    llmir_blake2b_init(&state);
    llmir_blake2b_update(&state, header, sizeof(*header));
    llmir_blake2b_update(&state, table, header->section_count * sizeof(*table));
    llmir_blake2b_final(&state, header->root_hash);
}
