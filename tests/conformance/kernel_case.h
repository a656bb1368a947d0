/* A case (case_file.h) in memory. */
#ifndef LLMIR_KERNEL_CASE_H
#define LLMIR_KERNEL_CASE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/case_file.h"
#include "tests/support/test.h"

typedef struct kernel_case {
    uint8_t* bytes;
    const case_header_t* header;
    const uint8_t* params;
    const uint8_t* operands[LLMIR_PLAN_MAX_OPERANDS];
    const uint8_t* kv;
    const void *tokens, *positions, *sequences, *output_rows, *page_table;
    const uint8_t* codes[CASE_MAX_CODES];
    const uint8_t* expected[LLMIR_PLAN_MAX_OPERANDS];
    const uint8_t* expected_kv;
} kernel_case_t;

static inline const uint8_t* take(const kernel_case_t* c, size_t* cursor, size_t bytes) {
    *cursor = (*cursor + 63u) / 64u * 64u;
    const uint8_t* part = c->bytes + *cursor;
    *cursor += bytes;
    return part;
}

static inline int read_case(const char* folder, unsigned number, kernel_case_t* out) {
    char path[512];
    size_t cursor = 0;
    (void)snprintf(path, sizeof path, "%s/%u.case", folder, number);
    FILE* file = fopen(path, "rb");
    if (file == NULL) {
        return 0;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    out->bytes = aligned_alloc(64, (bytes + 63u) / 64u * 64u);
    assert_non_null(out->bytes);
    assert_int_equal(fread(out->bytes, 1, bytes, file), bytes);
    (void)fclose(file);
    const case_header_t* h = out->header = (const void*)take(out, &cursor, sizeof *h);
    assert_int_equal(h->magic, CASE_MAGIC);
    out->params = take(out, &cursor, h->params_bytes);
    for (int i = 0; i < (int)LLMIR_PLAN_MAX_OPERANDS; ++i) {
        out->operands[i] = take(out, &cursor, h->operands[i].bytes);
    }
    out->kv = take(out, &cursor, (size_t)h->kv_bytes);
    out->tokens = take(out, &cursor, h->token_count * 4u);
    out->positions = take(out, &cursor, h->token_count * 4u);
    out->sequences = take(out, &cursor, h->token_count * 4u);
    out->output_rows = take(out, &cursor, h->output_count * 4u);
    out->page_table = take(out, &cursor, (size_t)h->sequence_count * h->table_stride * 4u);
    for (uint32_t i = 0; i < h->code_count; ++i) {
        out->codes[i] = take(out, &cursor, h->codes[i].bytes);
    }
    for (int i = 0; i < (int)LLMIR_PLAN_MAX_OPERANDS; ++i) {
        out->expected[i] = take(out, &cursor, h->operands[i].bytes);
    }
    out->expected_kv = take(out, &cursor, (size_t)h->kv_bytes);
    return 1;
}

#endif /* LLMIR_KERNEL_CASE_H */
