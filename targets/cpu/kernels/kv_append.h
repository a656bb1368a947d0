/* Storing keys and values into the cache, and queries as integers: quant/kv_layout.h and
 * kv_cache.h. A key goes into its lane of a group of sixteen positions, so its elements are stored
 * one by one, or two by two. */
#ifndef LLMIR_CPU_KV_APPEND_H
#define LLMIR_CPU_KV_APPEND_H

#include "quant/half.h"
#include "targets/cpu/kernels/hadamard.h"
#include "targets/cpu/kernels/kv_cache.h"
#include "targets/cpu/kernels/vec16.h"

/* ---- Floats ---- */

/* Stores a key into lane `lane` of its group: element d at group[d * 16 + lane]. */
LLMIR_OUTLINE void kv_store_key_float(
    uint8_t* group, uint32_t lane, const float* key, uint32_t dim, int f32) {
    if (f32) {
        float* out = (float*)group + lane;
        LLMIR_ROLLED
        for (uint32_t d = 0; d < dim; ++d) {
            out[d * LLMIR_KV_GROUP] = key[d];
        }
        return;
    }
    uint16_t* out = (uint16_t*)group + lane;
    LLMIR_ROLLED
    for (uint32_t d = 0; d < dim; d += LLMIR_LANES) {
        const uint32_t count = dim - d < LLMIR_LANES ? dim - d : LLMIR_LANES;
        uint16_t halves[16];
        v16_store_f16(halves, v16_load_upto(key + d, count));
        LLMIR_ROLLED
        for (uint32_t i = 0; i < count; ++i) {
            out[(d + i) * LLMIR_KV_GROUP] = halves[i];
        }
    }
}

LLMIR_OUTLINE void kv_store_value_float(uint8_t* row, const float* value, uint32_t dim, int f32) {
    LLMIR_ROLLED
    for (uint32_t d = 0; d < dim; d += LLMIR_LANES) {
        const uint32_t left = dim - d;
        const v16f v = v16_load_upto(value + d, left);
        if (f32) {
            v16_store_upto((float*)row + d, v, left);
        } else if (left >= LLMIR_LANES) {
            v16_store_f16((uint16_t*)row + d, v);
        } else {
            v16_store_f16_n((uint16_t*)row + d, v, left);
        }
    }
}

/* ---- Integers ---- */

LLMIR_OUTLINE float kv_largest(const float* x, uint32_t dim) {
    v16f largest = v16_zero();
    LLMIR_ROLLED
    for (uint32_t i = 0; i < dim; i += LLMIR_LANES) {
        largest = v16_max(v16_abs(v16_load_upto(x + i, dim - i)), largest);
    }
    return v16_max_lanes(largest);
}

/* out = round(x * inverse), held in low .. high; infinities and NaNs get defined results, too.
 * `out` has room for dim rounded up to 16, zeros behind dim. */
LLMIR_OUTLINE void kv_round(
    const float* x, uint32_t dim, float inverse, float low, float high, int16_t* out) {
    LLMIR_ROLLED
    for (uint32_t i = 0; i < dim; i += LLMIR_LANES) {
        const v16f scaled = v16_mul(v16_load_upto(x + i, dim - i), v16_set1(inverse));
        const v16f held = v16_min(v16_max(scaled, v16_set1(low)), v16_set1(high));
        v16i_store_i16(out + i, v16_round(held));
    }
}

/* q[dim rounded up to 16] of x; returns the scale as f16. */
LLMIR_OUTLINE uint16_t kv_quantize_q8(const float* x, uint32_t dim, int16_t* q) {
    const float largest = kv_largest(x, dim);
    uint16_t bits = llmir_f32_to_f16(largest / 127.0f);
    bits = bits < 0x7bffu ? bits : 0x7bffu; /* the largest finite one */
    if (llmir_f16_to_f32(bits) * 127.0f < largest && bits < 0x7bffu) {
        ++bits;
    }
    const float scale = llmir_f16_to_f32(bits);
    kv_round(x, dim, scale > 0.0f ? 1.0f / scale : 0.0f, -127.0f, 127.0f, q);
    return bits;
}

LLMIR_OUTLINE void kv_store_key_q8(uint8_t* group, uint32_t lane, const float* key, uint32_t dim) {
    int16_t q[LLMIR_KV_MAX_HEAD_DIM];
    const uint16_t scale = kv_quantize_q8(key, dim, q);
    LLMIR_ROLLED
    for (uint32_t d = 0; d < dim; ++d) {
        group[(d / 2u * LLMIR_KV_GROUP + lane) * 2u + d % 2u] = (uint8_t)q[d];
    }
    __builtin_memcpy(group + LLMIR_KV_GROUP * dim + lane * 2u, &scale, 2);
}

LLMIR_OUTLINE void kv_store_value_q8(uint8_t* group,
                                     uint32_t lane,
                                     const float* value,
                                     uint32_t dim) {
    const uint32_t columns = llmir_kv_value_row_bytes(LLMIR_KV_STORAGE_Q8, dim);
    int16_t q[LLMIR_KV_MAX_HEAD_DIM];
    const uint16_t scale = kv_quantize_q8(value, dim, q);
    LLMIR_ROLLED
    for (uint32_t d = 0; d < columns; ++d) {
        group[lane * columns + d] = (uint8_t)q[d];
    }
    __builtin_memcpy(group + LLMIR_KV_GROUP * columns + lane * 2u, &scale, 2);
}

/* q[n rounded up to 16] of x in -8 .. 7, n at most 32; returns the scale as f16. */
LLMIR_OUTLINE uint16_t kv_quantize_q4(const float* x, uint32_t n, int16_t* q) {
    const float largest = kv_largest(x, n);
    uint32_t i = 0;
    while (i + 1u < n && x[i] != largest && x[i] != -largest) {
        ++i;
    }
    uint16_t bits = llmir_f32_to_f16(largest / 8.0f);
    bits = bits < 0x7bffu ? bits : 0x7bffu; /* the largest finite one */
    bits |= x[i] > 0.0f ? 0x8000u : 0u;
    const float scale = llmir_f16_to_f32(bits);
    kv_round(x, n, scale != 0.0f ? 1.0f / scale : 0.0f, -8.0f, 7.0f, q);
    return bits;
}

LLMIR_OUTLINE void kv_store_value_q4(uint8_t* group,
                                     uint32_t lane,
                                     const float* value,
                                     uint32_t dim) {
    const uint32_t row_bytes = llmir_kv_value_row_bytes(LLMIR_KV_STORAGE_Q4, dim);
    uint8_t* scales = group + LLMIR_KV_GROUP * row_bytes + lane * 2u;
    uint8_t* out = group + lane * row_bytes;
    LLMIR_ROLLED
    for (uint32_t begin = 0; begin < dim; begin += LLMIR_KV_Q4_GROUP) {
        const uint32_t left = dim - begin;
        int16_t q[LLMIR_KV_Q4_GROUP] = {0};
        const uint16_t scale =
            kv_quantize_q4(value + begin, left < LLMIR_KV_Q4_GROUP ? left : LLMIR_KV_Q4_GROUP, q);
        for (uint32_t j = 0; j < 16u; ++j) {
            out[j] = (uint8_t)((q[j] + 8) | (q[j + 16u] + 8) << 4);
        }
        __builtin_memcpy(scales, &scale, 2);
        out += 16;
        scales += LLMIR_KV_GROUP * 2u;
    }
}

/* A query head, turned and as integers; x is scratch and must not overlap `out`, because compilers
 * may take it for granted that memory read as f32 is not written as i16. */
LLMIR_OUTLINE void kv_store_query(float* x, uint32_t dim, uint8_t* out) {
    int16_t q[LLMIR_KV_MAX_HEAD_DIM];
    hadamard_turn(x, dim);
    const float scale = kv_largest(x, dim) / 32767.0f;
    const float wanted = scale > 0.0f ? 1.0f / scale : 0.0f;
    kv_round(x, dim, wanted < 0x1.fffffep+127f ? wanted : 0x1.fffffep+127f, -32767.0f, 32767.0f, q);
    LLMIR_ROLLED
    for (uint32_t d = 0; d < dim; d += 8u) {
        __builtin_memcpy(out + d * 2u, q + d, 16);
    }
    __builtin_memcpy(out + dim * 2u, &scale, 4);
}

/* ---- By storage ---- */

LLMIR_OUTLINE void kv_store_integer(llmir_kv_group_t group,
                                    uint32_t lane,
                                    float* key,
                                    const float* value,
                                    uint32_t dim,
                                    int is_q4) {
    float turned[LLMIR_KV_MAX_HEAD_DIM];
    LLMIR_ROLLED
    for (uint32_t i = 0; i < dim; i += LLMIR_LANES) {
        v16_store_upto(turned + i, v16_load_upto(value + i, dim - i), dim - i);
    }
    hadamard_turn(turned, dim);
    hadamard_turn(key, dim);
    kv_store_key_q8(group.keys, lane, key, dim);
    if (is_q4) {
        kv_store_value_q4(group.values, lane, turned, dim);
    } else {
        kv_store_value_q8(group.values, lane, turned, dim);
    }
}

/* Stores key and value of a head; `key` is scratch afterwards. */
static inline void kv_store(llmir_kv_group_t group,
                            uint32_t lane,
                            float* key,
                            const float* value,
                            uint32_t dim,
                            uint32_t storage) {
    const int f32 = storage == LLMIR_KV_STORAGE_F32;
    if (llmir_kv_is_integer(storage)) {
        kv_store_integer(group, lane, key, value, dim, storage == LLMIR_KV_STORAGE_Q4);
    } else {
        kv_store_key_float(group.keys, lane, key, dim, f32);
        kv_store_value_float(group.values + lane * llmir_kv_value_row_bytes(storage, dim), value,
                             dim, f32);
    }
}

#endif /* LLMIR_CPU_KV_APPEND_H */
