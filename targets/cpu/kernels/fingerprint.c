/* The fingerprint is made of answers, not of constants: tile counts and offsets for shapes from a
 * fixed sequence of pseudo-random numbers, hashed. So nothing that matters can be left out of a
 * list, and what does not matter changes nothing. */
#include "targets/cpu/kernels/fingerprint.h"

#include "quant/activation.h"
#include "quant/kv_layout.h"
#include "quant/quant_layout.h"
#include "targets/cpu/kernels/kernel_table.h"

#define FINGERPRINT_PROBES 256u

typedef struct fingerprint {
    uint32_t random; /* linear congruential, Numerical Recipes */
    uint32_t hash;   /* FNV-1a over words */
} fingerprint_t;

static uint32_t probe(fingerprint_t* f, uint32_t below) {
    f->random = f->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)f->random * below >> 32);
}

static void mix(fingerprint_t* f, uint64_t value) {
    f->hash = (f->hash ^ (uint32_t)value) * 16777619u;
    f->hash = (f->hash ^ (uint32_t)(value >> 32)) * 16777619u;
}

/* How a batch and kernels of some shape are cut. */
static void mix_tiles(fingerprint_t* f) {
    const uint32_t range = 1u << probe(f, 12); /* small batches as often as large ones */
    const llmir_cpu_batch_t batch = {
        .token_count = 1u + probe(f, range),
        .sequence_count = 1u + probe(f, 8),
        .output_count = 1u + probe(f, range),
    };
    const llmir_norm_params_t norm = {.gather = probe(f, 2)};
    const llmir_quantize_params_t quantize = {.extent = probe(f, 2)};
    const llmir_linear_params_t linear = {
        .layout = probe(f, 2) != 0 ? LLMIR_LAYOUT_PANEL_S4 : LLMIR_LAYOUT_PANEL_F16,
        .rows = 1u + probe(f, 1u << (4u + probe(f, 14))),
        .columns = 32u * (1u + probe(f, 1u << probe(f, 9))),
        .extent = probe(f, 2),
    };
    const llmir_attention_params_t attention = {.kv_heads = 1u + probe(f, 8)};
    const void* params[LLMIR_KERNEL_COUNT] = {
        [LLMIR_KERNEL_NORM] = &norm,
        [LLMIR_KERNEL_QUANTIZE] = &quantize,
        [LLMIR_KERNEL_LINEAR] = &linear,
        [LLMIR_KERNEL_ATTENTION] = &attention,
    };
    for (uint32_t kernel = LLMIR_KERNEL_EMBED; kernel <= LLMIR_KERNEL_GATE; ++kernel) {
        mix(f, llmir_cpu_kernel_tile_count(kernel, params[kernel], &batch));
    }
}

/* Where things lie in what one kernel writes and another reads. */
static void mix_layouts(fingerprint_t* f) {
    const uint32_t group = 32u << probe(f, 3);
    const uint32_t columns = group * (1u + probe(f, 64));
    mix(f, llmir_q8_scale_offset(columns));
    mix(f, llmir_q8_sum_offset(columns, group));
    const llmir_plan_kv_layer_t layer = {.kv_heads = 1u + probe(f, 8),
                                         .head_dim = 8u * (1u + probe(f, 32))};
    for (uint32_t storage = LLMIR_KV_STORAGE_F16; storage <= LLMIR_KV_STORAGE_Q4; ++storage) {
        mix(f, llmir_kv_key_group_bytes(storage, layer.head_dim));
        mix(f, llmir_kv_value_row_bytes(storage, layer.head_dim));
        mix(f, llmir_kv_layer_bytes(&layer, storage, 64));
    }
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; ++layout) {
        mix(f, llmir_block_bytes(layout, group));
    }
}

uint32_t llmir_kernel_fingerprint(void) {
    fingerprint_t f = {1, 2166136261u};
    for (uint32_t i = 0; i < FINGERPRINT_PROBES; ++i) {
        mix_tiles(&f);
        mix_layouts(&f);
    }
    return f.hash;
}
