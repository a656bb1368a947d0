/* v16f of one ISA level behind a function pointer, for tests. */
#ifndef LLMIR_TEST_VEC16_PROBE_H
#define LLMIR_TEST_VEC16_PROBE_H

#include <stdint.h>

typedef enum test_probe_op {
    TEST_PROBE_ADD,
    TEST_PROBE_SUB,
    TEST_PROBE_MUL,
    TEST_PROBE_DIV,
    TEST_PROBE_FMA,
    TEST_PROBE_MAX,
    TEST_PROBE_MIN,
    TEST_PROBE_SQRT,
    TEST_PROBE_ABS,
    TEST_PROBE_SELECT_LT, /* x < y ? y : z */
    TEST_PROBE_EXP,
    TEST_PROBE_EXP_NONPOSITIVE,
    TEST_PROBE_SIGMOID,
    TEST_PROBE_TANH,
    TEST_PROBE_SILU,
    TEST_PROBE_GELU,
    TEST_PROBE_SUM, /* in all lanes of the result */
    TEST_PROBE_MAX_LANES,
    TEST_PROBE_LOAD_F16, /* of the uint16 in memory at x */
    TEST_PROBE_LOAD_BF16,
    TEST_PROBE_LOAD_I8,
    TEST_PROBE_LOAD_U8,
    TEST_PROBE_STORE_F16, /* uint16 to memory at out */
    TEST_PROBE_ROUND_I8,  /* int8[16], then their int32 sum, to memory at out */
    TEST_PROBE_COUNT,
} test_probe_op_t;

/* Applies `op` to 16 lanes. Partial versions are used for n < 16 where the operation has them. */
typedef void (*test_probe_fn)(
    uint32_t op, uint32_t n, const void* x, const float* y, const float* z, void* out);

#define TEST_PROBE_PASTE2(suffix) test_vec16_probe_##suffix
#define TEST_PROBE_PASTE(suffix) TEST_PROBE_PASTE2(suffix)
#define TEST_PROBE_DECLARE(suffix)                                                        \
    void TEST_PROBE_PASTE(suffix)(uint32_t op, uint32_t n, const void* x, const float* y, \
                                  const float* z, void* out)

#endif /* LLMIR_TEST_VEC16_PROBE_H */
