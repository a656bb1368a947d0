/* A CODE section for GPUs: llmir_gpu_image_t and the functions that run a variant. */
#ifndef LLMIR_GPU_CODE_H
#define LLMIR_GPU_CODE_H

#include "targets/target.h"

typedef struct llmir_gpu_code {
    const uint8_t* entries;   /* little-endian u32 [variant]: 1 + its first function */
    const uint8_t* functions; /* llmir_gpu_function_t [function_count] */
    const uint8_t* binary;    /* the module as it lies in the section: gpu_unpack.h */
    uint32_t variant_count;
    uint32_t function_count;
    uint32_t binary_bytes;
    uint32_t packing;      /* llmir_packing_t */
    uint32_t module_bytes; /* of what is packed: unpacked */
    uint32_t largest;      /* the function that finds the largest logits; LLMIR_GPU_ANY: none */
} llmir_gpu_code_t;

/* Checks a section completely: ABI, plan, ranges, entries and chains. The section must outlive
 * `out_code`. Errors: UNSUPPORTED (no code, other ABI or plan), CORRUPT. */
llmir_status_t llmir_gpu_code_open(const llmir_program_options_t* options,
                                   llmir_gpu_code_t* out_code,
                                   llmir_error_t* error);

llmir_gpu_function_t llmir_gpu_code_function(const llmir_gpu_code_t* code, uint32_t index);

/* The first function of a variant. */
uint32_t llmir_gpu_code_entry(const llmir_gpu_code_t* code, uint32_t variant);

/* The function of a variant (LLMIR_GPU_ANY: that which finds the largest logits) for `rows` rows
 * and a cache of `kv_type`; LLMIR_GPU_ANY if there is none. */
uint32_t llmir_gpu_code_choose(const llmir_gpu_code_t* code,
                               uint32_t variant,
                               uint32_t kv_type,
                               uint32_t rows);

#endif /* LLMIR_GPU_CODE_H */
