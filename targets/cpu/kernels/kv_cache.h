/* The cache as kernels see it: finding a group of sixteen positions of a head. quant/kv_layout.h
 * draws what lies there.
 *
 * With integer storage the qkv kernel leaves each query head as attention wants it, in the bytes
 * that the head had as f32:
 *
 *   int16 [head_dim] | scale f32        q = x / scale, scale = max |x| / 32767
 *
 * so that a score is an exact integer sum of products: the same bits on every ISA. Fifteen bits
 * keep the errors of the query far below those of the keys. The sum fits int32 up to head_dim 512:
 * 512 * 127 * 32767 < 2^31. */
#ifndef LLMIR_CPU_KV_CACHE_H
#define LLMIR_CPU_KV_CACHE_H

#include "quant/kv_layout.h"
#include "targets/cpu/kernels/kernel.h"

#define LLMIR_KV_MAX_HEAD_DIM 512u

/* The keys and values of one group of one head. */
typedef struct llmir_kv_group {
    uint8_t* keys;
    uint8_t* values;
} llmir_kv_group_t;

static inline llmir_kv_group_t llmir_kv_group(const llmir_cpu_batch_t* batch,
                                              const llmir_cpu_kv_layer_t* layer,
                                              uint32_t sequence,
                                              uint32_t head,
                                              uint32_t position) {
    const size_t row = (size_t)sequence * layer->page_table_stride;
    const size_t page = layer->page_table[row + position / batch->page_tokens];
    const size_t group = head * (batch->page_tokens / LLMIR_KV_GROUP) +
                         position % batch->page_tokens / LLMIR_KV_GROUP;
    uint8_t* keys = layer->pages + page * layer->page_bytes;
    return (llmir_kv_group_t){keys + group * layer->key_group_bytes,
                              keys + layer->values_offset + group * layer->value_group_bytes};
}

/* What follows from the layer of the plan; pages and tables are the caller's to set. */
static inline llmir_cpu_kv_layer_t llmir_cpu_kv_layer(const llmir_plan_kv_layer_t* layer,
                                                      uint32_t storage,
                                                      uint32_t page_tokens) {
    const llmir_cpu_kv_layer_t view = {NULL,
                                       0,
                                       llmir_kv_values_offset(layer, storage, page_tokens),
                                       NULL,
                                       0,
                                       llmir_kv_key_group_bytes(storage, layer->head_dim),
                                       llmir_kv_value_group_bytes(storage, layer->head_dim),
                                       0};
    return view;
}

#endif /* LLMIR_CPU_KV_CACHE_H */
