/* Every operation of v16f behind one function, compiled for each level. */
#include "tests/support/kernels/vec16_probe.h"

#include "targets/cpu/kernels/vec16_math.h"

TEST_PROBE_DECLARE(LLMIR_CPU_SUFFIX);

static v16f probe_binary(uint32_t op, v16f x, v16f y, v16f z) {
    switch (op) {
        case TEST_PROBE_ADD:
            return v16_add(x, y);
        case TEST_PROBE_SUB:
            return v16_sub(x, y);
        case TEST_PROBE_MUL:
            return v16_mul(x, y);
        case TEST_PROBE_DIV:
            return v16_div(x, y);
        case TEST_PROBE_FMA:
            return v16_fma(x, y, z);
        case TEST_PROBE_MAX:
            return v16_max(x, y);
        case TEST_PROBE_MIN:
            return v16_min(x, y);
        default:
            return v16_select_lt(x, y, y, z);
    }
}

static v16f probe_unary(uint32_t op, v16f x) {
    switch (op) {
        case TEST_PROBE_SQRT:
            return v16_sqrt(x);
        case TEST_PROBE_ABS:
            return v16_abs(x);
        case TEST_PROBE_EXP:
            return v16_exp(x);
        case TEST_PROBE_EXP_NONPOSITIVE:
            return v16_exp_nonpositive(x);
        case TEST_PROBE_SIGMOID:
            return v16_sigmoid(x);
        case TEST_PROBE_TANH:
            return v16_tanh(x);
        case TEST_PROBE_SILU:
            return v16_gate(x, LLMIR_GATE_SILU);
        case TEST_PROBE_GELU:
            return v16_gate(x, LLMIR_GATE_GELU_TANH);
        case TEST_PROBE_SUM:
            return v16_set1(v16_sum(x));
        default:
            return v16_set1(v16_max_lanes(x));
    }
}

static v16f probe_load(uint32_t op, uint32_t n, const void* x) {
    switch (op) {
        case TEST_PROBE_LOAD_F16:
            return n < 16 ? v16_load_f16_n(x, n) : v16_load_f16(x);
        case TEST_PROBE_LOAD_BF16:
            return v16_load_bf16(x);
        case TEST_PROBE_LOAD_I8:
            return v16_load_i8(x);
        default:
            return v16_load_u8(x);
    }
}

static void probe_store(uint32_t op, uint32_t n, v16f x, void* out) {
    if (op == TEST_PROBE_STORE_F16) {
        if (n < 16) {
            v16_store_f16_n(out, x, n);
        } else {
            v16_store_f16(out, x);
        }
        return;
    }
    const v16i rounded = v16_round(x);
    const int32_t sum = v16i_sum(v16i_add(rounded, v16i_zero()));
    v16i_store_i8(out, rounded);
    __builtin_memcpy((int8_t*)out + 16, &sum, 4);
}

void TEST_PROBE_PASTE(LLMIR_CPU_SUFFIX)(
    uint32_t op, uint32_t n, const void* x, const float* y, const float* z, void* out) {
    if (op >= TEST_PROBE_LOAD_F16 && op <= TEST_PROBE_LOAD_U8) {
        v16_store(out, probe_load(op, n, x));
    } else if (op >= TEST_PROBE_STORE_F16) {
        probe_store(op, n, v16_load(x), out);
    } else if (op <= TEST_PROBE_MIN || op == TEST_PROBE_SELECT_LT) {
        const v16f result =
            probe_binary(op, v16_load_upto(x, n), v16_load_upto(y, n), v16_load_upto(z, n));
        v16_store_upto(out, result, n);
    } else {
        v16_store(out, probe_unary(op, v16_load(x)));
    }
}
