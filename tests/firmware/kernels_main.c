/* The matrix product as it is built for this processor against the same sources in plain C (level
 * "exact", one rounding for each multiply-add), bit by bit; and the conversions of binary16, which
 * are instructions here, against the arithmetic of quant/half.h. */
#include <string.h>

#include "firmware_test.h"
#include "quant/activation.h"
#include "quant/half.h"
#include "quant/quant_layout.h"
#include "targets/cpu/kernels/kernel.h"
#include "vec16_conversions.h"

#define MAX_ROWS 48u
#define MAX_COLUMNS 256u
#define MAX_TOKENS 11u

void llmir_kernel_linear_portable(const llmir_cpu_call_t* call,
                                  const void* params,
                                  uint32_t begin,
                                  uint32_t end);
void llmir_kernel_linear_exact(const llmir_cpu_call_t* call,
                               const void* params,
                               uint32_t begin,
                               uint32_t end);
uint32_t llmir_cpu_kernel_tile_count(uint32_t kernel,
                                     const void* params,
                                     const llmir_cpu_batch_t* batch);

static uint32_t state = 1;

/* A linear congruential generator (Knuth, MMIX), its upper half. */
static uint32_t next_random(void) {
    static uint64_t seed = 42;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    state = (uint32_t)(seed >> 32);
    return state;
}

static float random_float(float scale) {
    return ((float)(int32_t)next_random() / 2147483648.0f) * scale;
}

static _Alignas(64) uint8_t weights[2 * MAX_ROWS * MAX_COLUMNS * 4];
static _Alignas(64) uint8_t activations[MAX_TOKENS * 4 * MAX_COLUMNS * 4];
static _Alignas(64) float bias[MAX_ROWS];
static _Alignas(64) float outputs[2][MAX_TOKENS * MAX_ROWS];

/* Any bits are nibbles and bytes; scales and minima have to be finite. */
static void fill_weights(const llmir_linear_params_t* p, uint32_t rows) {
    const uint32_t block_bytes = llmir_block_bytes(p->layout, p->group);
    const uint32_t scales = p->layout == LLMIR_LAYOUT_PANEL_U4 ? 32u : 16u;
    const int is_extreme = next_random() % 4u == 0;
    const size_t bytes = (size_t)llmir_layout_bytes(p->layout, p->group, rows, p->columns);
    for (size_t at = 0; at < bytes; at += block_bytes) {
        const uint32_t integers = block_bytes - scales * 2u;
        for (uint32_t i = 0; i < integers; ++i) {
            weights[at + i] = is_extreme ? 0x80u : (uint8_t)(next_random() >> 24);
        }
        for (uint32_t i = 0; i < scales; ++i) {
            const uint16_t bits = llmir_f32_to_f16(random_float(0.05f));
            memcpy(weights + at + integers + i * 2u, &bits, 2);
        }
    }
}

/* Rows as quantize.c would leave them; the sums are those of the integers. */
static void fill_activations(const llmir_linear_params_t* p, uint32_t tokens, uint32_t row_bytes) {
    const int is_wide = (p->flags & LLMIR_LINEAR_WIDE) != 0;
    const uint32_t columns = is_wide ? 2 * p->columns : p->columns;
    for (uint32_t t = 0; t < tokens; ++t) {
        uint8_t* row = activations + (size_t)t * row_bytes;
        const int is_extreme = next_random() % 4u == 0;
        for (uint32_t i = 0; i < columns; ++i) {
            row[i] = (uint8_t)(is_extreme ? -127 : (int)(next_random() >> 16) % 255 - 127);
        }
        for (uint32_t g = 0; g < p->columns / p->group; ++g) {
            const float scale = random_float(0.1f);
            int32_t sum = 0;
            for (uint32_t i = g * p->group; i < (g + 1) * p->group; ++i) {
                sum +=
                    is_wide ? (int8_t)row[i] * 256 + (int8_t)row[p->columns + i] : (int8_t)row[i];
            }
            memcpy(row + llmir_q8_scale_offset(columns) + g * 4u, &scale, 4);
            memcpy(row + llmir_q8_sum_offset(columns, p->group) + g * 4u, &sum, 4);
        }
    }
}

/* Runs both; 1 if they leave the same bits. */
static int compare(const llmir_linear_params_t* p, uint32_t tokens) {
    llmir_cpu_batch_t batch = {.token_count = tokens, .output_count = 1, .sequence_count = 1};
    const uint32_t columns = p->flags & LLMIR_LINEAR_WIDE ? 2 * p->columns : p->columns;
    const uint32_t row_bytes = llmir_q8_row_bytes(columns, p->group);
    fill_weights(p, p->gate != LLMIR_GATE_NONE ? 2 * LLMIR_PANEL_ROWS * llmir_panel_count(p->rows)
                                               : p->rows);
    fill_activations(p, tokens, row_bytes);
    for (uint32_t i = 0; i < MAX_ROWS; ++i) {
        bias[i] = random_float(1.0f);
    }
    for (uint32_t i = 0; i < MAX_TOKENS * MAX_ROWS; ++i) {
        outputs[0][i] = random_float(1.0f);
    }
    memcpy(outputs[1], outputs[0], sizeof(outputs[0]));
    llmir_cpu_call_t call = {.batch = &batch, .operands = {activations, weights, bias, outputs[0]}};
    call.row_bytes[0] = row_bytes;
    call.row_bytes[3] = p->out_stride * 4u;
    const uint32_t tiles = llmir_cpu_kernel_tile_count(LLMIR_KERNEL_LINEAR, p, &batch);
    llmir_kernel_linear_exact(&call, p, 0, tiles);
    call.operands[3] = outputs[1];
    for (uint32_t tile = tiles; tile-- > 0;) {
        llmir_kernel_linear_portable(&call, p, tile, tile + 1);
    }
    return memcmp(outputs[0], outputs[1], sizeof(outputs[0])) == 0;
}

static void check_layout(const char* name, uint32_t layout) {
    static const uint32_t token_counts[] = {1, 3, 8, 11};
    uint32_t cases = 0, wrong = 0;
    for (uint32_t group = 32; group <= 128; group *= 2) {
        for (uint32_t variant = 0; variant < 16; ++variant) {
            const uint32_t gate = variant & 4u ? LLMIR_GATE_SILU : LLMIR_GATE_NONE;
            const llmir_linear_params_t params = {
                .rows = variant & 1u ? 48 : 40,
                .columns = MAX_COLUMNS,
                .layout = layout,
                .group = group,
                .flags = (variant & 1u ? LLMIR_LINEAR_WIDE : 0u) |
                         (variant & 2u ? LLMIR_LINEAR_BIAS : 0u) |
                         (variant & 8u ? LLMIR_LINEAR_ADD : 0u),
                .gate = gate,
                .extent = LLMIR_EXTENT_TOKENS,
                .out_stride = MAX_ROWS,
            };
            for (uint32_t i = 0; i < 4; ++i) {
                ++cases;
                wrong += !compare(&params, token_counts[i]);
            }
        }
    }
    test_say_number(cases);
    test_say(" products: ");
    test_report(name, wrong == 0, wrong == 0 ? "" : "other bits than plain C");
}

/* All halves, and floats around every half and at random. */
static void check_conversions(void) {
    uint32_t wrong = 0;
    for (uint32_t half = 0; half < 0x10000u; ++half) {
        const float expected = llmir_f16_to_f32((uint16_t)half);
        const float found = conversion_from_f16((uint16_t)half);
        wrong += memcmp(&expected, &found, 4) != 0;
        for (uint32_t i = 0; i < 8; ++i) {
            uint32_t bits;
            float value;
            memcpy(&bits, &expected, 4);
            bits = i < 4 ? bits + (next_random() & 0x3fffu) - 0x2000u : next_random();
            bits = i == 0 ? bits - bits % 0x1000u : bits; /* ties */
            memcpy(&value, &bits, 4);
            wrong += conversion_to_f16(value) != llmir_f32_to_f16(value);
        }
    }
    test_report("conversions of binary16", wrong == 0,
                wrong == 0 ? "" : "other bits than quant/half.h");
}

int main(void);
int main(void) {
    check_conversions();
    check_layout("panel_s4", LLMIR_LAYOUT_PANEL_S4);
    check_layout("panel_u4", LLMIR_LAYOUT_PANEL_U4);
    check_layout("panel_s8", LLMIR_LAYOUT_PANEL_S8);
    return test_finish();
}
