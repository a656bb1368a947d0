/* Q8 rows: quantized activations, made once per token and read by every integer matrix product of
 * that input.
 *
 *   | q: int8 [columns] | scale: f32 [columns / group] | sum: int32 [columns / group] |     each
 * part padded to 64 bytes
 *
 * Per group: scale = max |x| / 127, q = round to nearest even (x * inverse) with inverse = 127 /
 * max |x|, held at the largest finite value, so that q is in -127 .. 127; a group of zeros has q =
 * 0 and scale = 0; sum = sum of q. The sum lets unsigned weights stand for signed ones and carries
 * the minimum of U4.
 *
 * A wide row has 16 bits a value, in the bytes of a Q8 row of 2 * columns:
 *
 *   | high: int8 [columns] | low: int8 [columns] | scale: f32 [columns / group] ... | sum ... |
 *
 * x is about (256 * high + low) * scale. `high` is q of the narrow row, whose scale is 256 times
 * this one; low = round to nearest even of (x - high * 256 * scale) * (256 * inverse), rounded
 * after each operation and held in -127 .. 127; 256 * inverse is held like inverse. sum = sum of
 * 256 * high + low. The second halves of scales and sums are not used. A dot product with both
 * bytes is one exact integer, below 2^31 for the largest group. */
#ifndef LLMIR_QUANT_ACTIVATION_H
#define LLMIR_QUANT_ACTIVATION_H

#include <stdint.h>

static inline uint32_t llmir_align64(uint32_t bytes) {
    return (bytes + 63u) & ~63u;
}

static inline uint32_t llmir_q8_scale_offset(uint32_t columns) {
    return llmir_align64(columns);
}

static inline uint32_t llmir_q8_sum_offset(uint32_t columns, uint32_t group) {
    return llmir_q8_scale_offset(columns) + llmir_align64(columns / group * 4u);
}

/* Bytes of a row; columns is a multiple of group. */
static inline uint32_t llmir_q8_row_bytes(uint32_t columns, uint32_t group) {
    return llmir_q8_sum_offset(columns, group) + llmir_align64(columns / group * 4u);
}

#endif /* LLMIR_QUANT_ACTIVATION_H */
