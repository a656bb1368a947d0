/* Conversions of v16f's small form, one value at a time; compiled as the kernels are. */
#ifndef LLMIR_TEST_VEC16_CONVERSIONS_H
#define LLMIR_TEST_VEC16_CONVERSIONS_H

#include <stdint.h>

float conversion_from_f16(uint16_t half);
uint16_t conversion_to_f16(float value);

#endif /* LLMIR_TEST_VEC16_CONVERSIONS_H */
