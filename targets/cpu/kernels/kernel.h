/* The ABI of a CPU kernel: what the executor passes, for built-in kernels and for code from a
 * bundle alike.
 *
 * A kernel computes tiles [tile_begin, tile_end) of one dispatch. Tiles are independent: any split
 * over threads, in any order, gives the same bits. `params` is constant; in a bundle's code it is a
 * known global, so that shapes fold away. Freestanding: this header and the kernels use nothing but
 * what the compiler itself provides. */
#ifndef LLMIR_CPU_KERNEL_H
#define LLMIR_CPU_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "llmir_bundle.h"

/* The flat token batch. T tokens of B sequences; the tokens of a sequence are adjacent and in order
 * of position. */
typedef struct llmir_cpu_batch {
    uint32_t token_count;    /* T */
    uint32_t sequence_count; /* B */
    uint32_t output_count;   /* R */
    uint32_t page_tokens;
    uint32_t kv_type; /* llmir_kv_storage_t of quant/kv_layout.h */
    uint32_t reserved;
    const int32_t* tokens;          /* [T] in [0, vocab) */
    const int32_t* positions;       /* [T] position in its sequence, from 0 */
    const uint32_t* token_sequence; /* [T] in [0, B) */
    const uint32_t* output_rows;    /* [R] in [0, T), ascending */
} llmir_cpu_batch_t;

/* A layer of the KV cache: where its part of the pages lies (quant/kv_layout.h). */
typedef struct llmir_cpu_kv_layer {
    uint8_t* pages;             /* its part of page 0, 64-byte aligned */
    uint64_t page_bytes;        /* from there to its part of page 1 */
    uint64_t values_offset;     /* from its keys in a page to its values */
    const uint32_t* page_table; /* [B][page_table_stride] page of each page_tokens positions */
    uint32_t page_table_stride;
    uint32_t key_group_bytes;
    uint32_t value_group_bytes;
    uint32_t reserved;
} llmir_cpu_kv_layer_t;

typedef struct llmir_cpu_call {
    const llmir_cpu_batch_t* batch;
    void* operands[LLMIR_PLAN_MAX_OPERANDS];     /* buffers and tensors; NULL if absent. KV: const
                                                    llmir_cpu_kv_layer_t* */
    uint32_t row_bytes[LLMIR_PLAN_MAX_OPERANDS]; /* of buffers; 0 for tensors */
} llmir_cpu_call_t;

/* Code in bundles is the same on every system, so on x86-64 kernels follow the System V convention
 * on Windows too. */
#if defined(__x86_64__)
#define LLMIR_KERNEL_CALL __attribute__((sysv_abi))
#else
#define LLMIR_KERNEL_CALL
#endif

typedef void(LLMIR_KERNEL_CALL* llmir_cpu_kernel_fn)(const llmir_cpu_call_t* call,
                                                     const void* params,
                                                     uint32_t tile_begin,
                                                     uint32_t tile_end);

/* Names of the functions, one set per ISA level: llmir_kernel_linear_x86_64_v3, ...
 * LLMIR_CPU_SUFFIX comes from the build. */
#define LLMIR_KERNEL_PASTE2(name, suffix) llmir_kernel_##name##_##suffix
#define LLMIR_KERNEL_PASTE(name, suffix) LLMIR_KERNEL_PASTE2(name, suffix)
#define LLMIR_KERNEL_NAME(name) LLMIR_KERNEL_CALL LLMIR_KERNEL_PASTE(name, LLMIR_CPU_SUFFIX)

#endif /* LLMIR_CPU_KERNEL_H */
