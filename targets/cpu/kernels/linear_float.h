/* Matrix products with float weights: panels of F32, F16 and BF16, one source for all ISAs.
 *
 *   acc[k % 4] = fma(w[k], a[k], acc[k % 4]);  sum = (acc[0] + acc[1]) + (acc[2] + acc[3])
 *
 * Four chains keep the pipeline busy for one token. With many tokens the four chains are run one
 * after the other, each for TOKENS tokens at once, so that a weight is loaded once for all of them:
 *
 *   registers (AVX-512 / AVX2 / AArch64): TOKENS accumulators of 1 / 2 / 4 registers, 1 / 2 / 4
 *   weights, 1 broadcast
 */
#ifndef LLMIR_CPU_LINEAR_FLOAT_H
#define LLMIR_CPU_LINEAR_FLOAT_H

#include "targets/cpu/kernels/linear_pass.h"

#if LLMIR_V16_REGISTERS >= 32
#define LINEAR_FLOAT_TOKENS 12u
#elif LLMIR_V16_REGISTERS >= 8
#define LINEAR_FLOAT_TOKENS 6u
#else
#define LINEAR_FLOAT_TOKENS 2u
#endif

LLMIR_VEC v16f float_weights(const uint8_t* column, uint32_t layout) {
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_F16:
            return v16_load_f16((const uint16_t*)column);
        case LLMIR_LAYOUT_PANEL_BF16:
            return v16_load_bf16((const uint16_t*)column);
        default:
            return v16_load((const float*)column);
    }
}

#if defined(LLMIR_KERNEL_SMALL)

LLMIR_VEC float float_weight(const uint8_t* column, uint32_t layout, uint32_t row) {
    float value;
    uint16_t bits;
    if (layout == LLMIR_LAYOUT_PANEL_F32) {
        __builtin_memcpy(&value, column + row * 4u, sizeof value);
        return value;
    }
    __builtin_memcpy(&bits, column + row * 2u, sizeof bits);
    return layout == LLMIR_LAYOUT_PANEL_F16 ? small_from_f16(bits) : llmir_bf16_to_f32(bits);
}

/* One token, output by output. */
LLMIR_VEC void float_token(const linear_pass_t* pass, uint32_t layout, uint32_t token) {
    const float* a = (const float*)linear_row(pass, token);
    LLMIR_ROLLED
    for (uint32_t row = 0; row < LLMIR_PANEL_ROWS; row++) {
        const uint8_t* w = pass->blocks;
        float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        LLMIR_ROLLED
        for (uint32_t k = 0; k < pass->block_count; k++, w += pass->block_bytes) {
            acc[k % 4u] = small_fma(float_weight(w, layout, row), a[k], acc[k % 4u]);
        }
        pass->sums[token * LLMIR_PANEL_ROWS + row] = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    }
}

#else

/* One token: four chains side by side, the panel is read once from front to back. */
LLMIR_VEC void float_token(const linear_pass_t* pass, uint32_t layout, uint32_t token) {
    const float* a = (const float*)linear_row(pass, token);
    const uint8_t* w = pass->blocks;
    v16f acc[4] = {v16_zero(), v16_zero(), v16_zero(), v16_zero()};
    uint32_t k = 0;
    for (; k + 4 <= pass->block_count; k += 4) {
        linear_prefetch(w, 4 * (uint32_t)pass->block_bytes);
        for (uint32_t j = 0; j < 4; j++) {
            acc[j] = v16_fma(float_weights(w, layout), v16_set1(a[k + j]), acc[j]);
            w += pass->block_bytes;
        }
    }
    for (uint32_t j = 0; j < 3; j++) {
        if (k + j < pass->block_count) {
            acc[j] = v16_fma(float_weights(w, layout), v16_set1(a[k + j]), acc[j]);
            w += pass->block_bytes;
        }
    }
    v16_store(pass->sums + token * LLMIR_PANEL_ROWS,
              v16_add(v16_add(acc[0], acc[1]), v16_add(acc[2], acc[3])));
}

/* Chain `chain` of LINEAR_FLOAT_TOKENS tokens. */
LLMIR_VEC void float_chain(const linear_pass_t* pass,
                           uint32_t layout,
                           uint32_t token,
                           uint32_t chain,
                           v16f acc[LINEAR_FLOAT_TOKENS]) {
    const uint8_t* a = linear_row(pass, token);
    for (uint32_t t = 0; t < LINEAR_FLOAT_TOKENS; t++) {
        acc[t] = v16_zero();
    }
    for (uint32_t k = chain; k < pass->block_count; k += 4) {
        const v16f w = float_weights(pass->blocks + k * pass->block_bytes, layout);
        for (uint32_t t = 0; t < LINEAR_FLOAT_TOKENS; t++) {
            const float* row = (const float*)(a + t * pass->row_bytes);
            acc[t] = v16_fma(w, v16_set1(row[k]), acc[t]);
        }
    }
}

/* The sums are kept as acc[0], acc[0] + acc[1], and with acc[2] beside them until acc[3] is known:
 * the same additions as for one token. */
LLMIR_VEC void float_tokens(const linear_pass_t* pass, uint32_t layout, uint32_t token) {
    float* sums = pass->sums + token * LLMIR_PANEL_ROWS;
    float third[LINEAR_FLOAT_TOKENS * LLMIR_PANEL_ROWS];
    for (uint32_t chain = 0; chain < 4; chain++) {
        v16f acc[LINEAR_FLOAT_TOKENS];
        float_chain(pass, layout, token, chain, acc);
        for (uint32_t t = 0; t < LINEAR_FLOAT_TOKENS; t++) {
            float* sum = sums + t * LLMIR_PANEL_ROWS;
            float* late = third + t * LLMIR_PANEL_ROWS;
            if (chain == 0) {
                v16_store(sum, acc[t]);
            } else if (chain == 1) {
                v16_store(sum, v16_add(v16_load(sum), acc[t]));
            } else if (chain == 2) {
                v16_store(late, acc[t]);
            } else {
                v16_store(sum, v16_add(v16_load(sum), v16_add(v16_load(late), acc[t])));
            }
        }
    }
}
#endif

LLMIR_VEC void float_pass(const linear_pass_t* pass, uint32_t layout) {
    uint32_t token = 0;
#if !defined(LLMIR_KERNEL_SMALL) /* the same additions, so the same bits */
    for (; token + LINEAR_FLOAT_TOKENS <= pass->token_count; token += LINEAR_FLOAT_TOKENS) {
        float_tokens(pass, layout, token);
    }
#endif
    for (; token < pass->token_count; token++) {
        float_token(pass, layout, token);
    }
}

/* One instance per layout, with the layout a constant, where the level is more than a fallback. */
LLMIR_VEC void linear_float_pass(const linear_pass_t* pass, uint32_t layout) {
#if LLMIR_V16_REGISTERS < 8
    float_pass(pass, layout);
#else
    switch (layout) {
        case LLMIR_LAYOUT_PANEL_F16:
            float_pass(pass, LLMIR_LAYOUT_PANEL_F16);
            break;
        case LLMIR_LAYOUT_PANEL_BF16:
            float_pass(pass, LLMIR_LAYOUT_PANEL_BF16);
            break;
        default:
            float_pass(pass, LLMIR_LAYOUT_PANEL_F32);
            break;
    }
#endif
}

#endif /* LLMIR_CPU_LINEAR_FLOAT_H */
