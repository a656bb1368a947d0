/* Where a layer's keys and values lie in the pages (see llmir_plan_kv_layer_t):
 *
 *   keys   [kv_heads][page_tokens / 16][head_dim][16]   sixteen positions side by side
 *   values [kv_heads][page_tokens][head_dim]
 *
 * Sixteen adjacent positions from a multiple of 16, a "group", never cross a page. */
#ifndef LLMIR_CPU_KV_CACHE_H
#define LLMIR_CPU_KV_CACHE_H

#include "targets/cpu/kernels/kernel.h"

#define LLMIR_KV_GROUP 16u
#define LLMIR_KV_MAX_HEAD_DIM 512u

/* kv_type of a batch: llmir_kv_type_t of llmir.h, which kernels do not include. */
#define LLMIR_KV_IS_F32 1u

static inline uint32_t llmir_kv_element_bytes(const llmir_cpu_batch_t* batch) {
    return batch->kv_type == LLMIR_KV_IS_F32 ? 4u : 2u;
}

/* A layer's part of one page. */
typedef struct llmir_kv_page {
    uint8_t* keys;
    uint8_t* values;
} llmir_kv_page_t;

static inline llmir_kv_page_t llmir_kv_page(const llmir_cpu_batch_t* batch,
                                            const llmir_plan_kv_layer_t* layer,
                                            uint32_t sequence,
                                            uint32_t page_in_sequence) {
    const size_t row = (size_t)sequence * batch->page_table_stride;
    const size_t page = batch->page_table[row + page_in_sequence];
    const size_t element = llmir_kv_element_bytes(batch);
    const size_t part = (size_t)layer->kv_heads * batch->page_tokens * layer->head_dim * element;
    uint8_t* keys = batch->kv + page * batch->page_bytes + layer->element_offset * element;
    return (llmir_kv_page_t){keys, keys + part};
}

/* Bytes from a page's keys or values to those of `head` at the group that starts at token
 * `group_token` of the page: the same for both, as a group takes head_dim * 16 elements in both. */
static inline size_t llmir_kv_group_offset(const llmir_cpu_batch_t* batch,
                                           const llmir_plan_kv_layer_t* layer,
                                           uint32_t head,
                                           uint32_t group_token) {
    const size_t token = (size_t)head * batch->page_tokens + group_token;
    return token * layer->head_dim * llmir_kv_element_bytes(batch);
}

#endif /* LLMIR_CPU_KV_CACHE_H */
