/* How keys and values lie in the pages of the cache, for each type of storage: written once, for
 * kernels, memory plans and tests.
 *
 * A page holds page_tokens positions of all layers; of each layer a multiple of 64 bytes. In memory
 * the pages of a layer lie side by side (llmir_kv_place_t), in saved sessions the layers of a page.
 * Sixteen adjacent positions from a multiple of 16, a "group", never cross a page. Per layer:
 *
 *   keys   [kv_heads][page_tokens / 16] key groups
 *   values [kv_heads][page_tokens / 16] value groups
 *
 *          key group                                      value group
 *   f16    [head_dim][16] f16                             [16][head_dim] f16
 *   f32    [head_dim][16] f32                             [16][head_dim] f32
 *   q8     [head_dim / 2][16][2] int8, scale f16 [16]     [16][columns] int8, scale f16 [16]
 *   q4     as q8                                          [16][columns / 32][16] nibbles,
 *                                                         scales f16 [columns / 32][16]
 *
 * Sixteen keys lie side by side, so that scores need no horizontal sum; with integers two elements
 * of each, as integer products take them. `columns` is head_dim rounded up to a multiple of 16 (q8)
 * or 32 (q4); what is too many is zeros.
 *
 * Integers store heads that were turned by an orthonormal Hadamard matrix, which spreads a few
 * large elements over all; queries are turned too, and the sums of values are turned back.
 *
 *   H(1) = 1,  H(2n) = 1 / sqrt(2) * | H(n)  H(n) |
 *                                    | H(n) -H(n) |
 *
 * A head whose size is no power of two is cut into blocks, the largest power of two first: 80 = 64
 * + 16.
 *
 * int8: an element is q * scale with one scale for each head and position, the f16 nearest to
 * max |x| / 127, or the next larger one if 127 of it do not reach max |x|.
 * Nibbles: an element is (u - 8) * scale, u in 0 .. 15, with one scale for each 32 elements and
 * position: the f16 nearest to -x / 8 of the x whose magnitude is largest. A byte holds elements
 * 32 i + j in its low and 32 i + 16 + j in its high nibble, j = 0 .. 15.
 * x / scale is rounded to nearest even. Four bits a key would cost too much: docs/QUANT.md. */
#ifndef LLMIR_QUANT_KV_LAYOUT_H
#define LLMIR_QUANT_KV_LAYOUT_H

#include <stdint.h>

#include "llmir_bundle.h"

#define LLMIR_KV_GROUP 16u

/* llmir_kv_type_t of llmir.h, which kernels do not include. */
typedef enum llmir_kv_storage {
    LLMIR_KV_STORAGE_F16 = 0,
    LLMIR_KV_STORAGE_F32 = 1,
    LLMIR_KV_STORAGE_Q8 = 2,
    LLMIR_KV_STORAGE_Q4 = 3,
    LLMIR_KV_STORAGE_COUNT = 4,
} llmir_kv_storage_t;

/* Integer storage: the queries come to attention as integers too (targets/cpu/kernels/kv_cache.h).
 */
static inline int llmir_kv_is_integer(uint32_t storage) {
    return storage >= LLMIR_KV_STORAGE_Q8;
}

/* Elements of a value that share a scale, in q4. */
#define LLMIR_KV_Q4_GROUP 32u

/* Bytes of the elements of a key group; the scales lie behind them. */
static inline uint32_t llmir_kv_key_scales(uint32_t storage, uint32_t head_dim) {
    switch (storage) {
        case LLMIR_KV_STORAGE_F32:
            return LLMIR_KV_GROUP * head_dim * 4u;
        case LLMIR_KV_STORAGE_Q8:
        case LLMIR_KV_STORAGE_Q4:
            return LLMIR_KV_GROUP * head_dim;
        default:
            return LLMIR_KV_GROUP * head_dim * 2u;
    }
}

static inline uint32_t llmir_kv_key_group_bytes(uint32_t storage, uint32_t head_dim) {
    return llmir_kv_key_scales(storage, head_dim) +
           (llmir_kv_is_integer(storage) ? LLMIR_KV_GROUP * 2u : 0u);
}

/* Scales of a value. */
static inline uint32_t llmir_kv_value_scale_count(uint32_t storage, uint32_t head_dim) {
    switch (storage) {
        case LLMIR_KV_STORAGE_Q8:
            return 1u;
        case LLMIR_KV_STORAGE_Q4:
            return (head_dim + LLMIR_KV_Q4_GROUP - 1u) / LLMIR_KV_Q4_GROUP;
        default:
            return 0u;
    }
}

/* Bytes from the value of one position to that of the next. */
static inline uint32_t llmir_kv_value_row_bytes(uint32_t storage, uint32_t head_dim) {
    switch (storage) {
        case LLMIR_KV_STORAGE_F32:
            return head_dim * 4u;
        case LLMIR_KV_STORAGE_Q8:
            return (head_dim + 15u) & ~15u;
        case LLMIR_KV_STORAGE_Q4:
            return llmir_kv_value_scale_count(storage, head_dim) * LLMIR_KV_Q4_GROUP / 2u;
        default:
            return head_dim * 2u;
    }
}

static inline uint32_t llmir_kv_value_scales(uint32_t storage, uint32_t head_dim) {
    return LLMIR_KV_GROUP * llmir_kv_value_row_bytes(storage, head_dim);
}

static inline uint32_t llmir_kv_value_group_bytes(uint32_t storage, uint32_t head_dim) {
    return llmir_kv_value_scales(storage, head_dim) +
           llmir_kv_value_scale_count(storage, head_dim) * LLMIR_KV_GROUP * 2u;
}

/* Bytes from a layer's keys in a page to its values. */
static inline uint64_t llmir_kv_values_offset(const llmir_plan_kv_layer_t* layer,
                                              uint32_t storage,
                                              uint32_t page_tokens) {
    return (uint64_t)layer->kv_heads * (page_tokens / LLMIR_KV_GROUP) *
           llmir_kv_key_group_bytes(storage, layer->head_dim);
}

/* Bytes of a layer in a page. */
static inline uint64_t llmir_kv_layer_bytes(const llmir_plan_kv_layer_t* layer,
                                            uint32_t storage,
                                            uint32_t page_tokens) {
    const uint64_t groups = (uint64_t)layer->kv_heads * (page_tokens / LLMIR_KV_GROUP);
    const uint64_t values = groups * llmir_kv_value_group_bytes(storage, layer->head_dim);
    return (llmir_kv_values_offset(layer, storage, page_tokens) + values + 63u) & ~(uint64_t)63u;
}

/* ---- Pages of layers with a window (core/windows.h) ---- */

/* Positions that stay in front of a window, beside one page, for moving back: more than speculation
 * and a changed last word need. */
#define LLMIR_KV_WINDOW_SLACK 64u

/* Pages that always suffice for the windows of all sessions: what each keeps, which may begin and
 * end inside of a page, and the tokens of one pass. */
static inline uint64_t llmir_kv_window_pages(uint32_t window,
                                             uint32_t page_tokens,
                                             uint32_t sessions,
                                             uint32_t chunk_tokens) {
    const uint64_t kept = (uint64_t)window + page_tokens + LLMIR_KV_WINDOW_SLACK;
    return (kept / page_tokens + 3u) * sessions + chunk_tokens / page_tokens + 1u;
}

#endif /* LLMIR_QUANT_KV_LAYOUT_H */
