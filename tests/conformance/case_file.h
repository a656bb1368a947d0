/* A kernel, its inputs, and what the processor's kernel makes of them, in a file: written beside
 * the compiler, which makes the code, and read by the conformance test, which has only the runtime.
 *
 *   | case_header_t | parameters | operand 0 | ... | KV pages | batch | CODE sections | the same
 *   operands and KV pages afterwards |
 *
 * Each part begins at a multiple of 64. Numbers are those of the machine. */
#ifndef LLMIR_CASE_FILE_H
#define LLMIR_CASE_FILE_H

#include <stdint.h>

#include "llmir_bundle.h"

#define CASE_MAGIC 0x6573614bu
#define CASE_MAX_CODES 12u

typedef struct case_operand {
    uint32_t space; /* llmir_operand_space_t */
    uint32_t bytes;
    uint32_t row_bytes; /* of buffers */
    uint32_t layout;    /* of tensors, as the next three */
    uint32_t group;
    uint32_t rows;
    uint32_t columns;
    uint32_t reserved;
} case_operand_t;

typedef struct case_code {
    uint32_t target; /* llmir_section_target_t */
    uint32_t level;
    uint32_t bytes;
    uint32_t reserved;
} case_code_t;

typedef struct case_header {
    uint32_t magic;
    uint32_t kernel;
    uint32_t params_bytes;
    uint32_t page_tokens;
    uint32_t kv_type;
    uint32_t token_count;
    uint32_t sequence_count;
    uint32_t output_count;
    uint32_t table_stride;
    uint32_t kv_heads; /* 0: no cache */
    uint32_t head_dim;
    uint32_t window;
    uint64_t page_bytes;
    uint64_t kv_bytes;
    case_operand_t operands[LLMIR_PLAN_MAX_OPERANDS];
    uint32_t code_count;
    uint32_t reserved;
    case_code_t codes[CASE_MAX_CODES];
    char name[80];
} case_header_t;

#endif /* LLMIR_CASE_FILE_H */
