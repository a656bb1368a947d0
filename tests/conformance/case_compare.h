/* What a target made of a case, against what the processor made of it: integers agree, or are one
 * step away from a tie, and floats lie within the bounds of case_compare.c. They fail the test. */
#ifndef LLMIR_CASE_COMPARE_H
#define LLMIR_CASE_COMPARE_H

#include "tests/conformance/kernel_case.h"

/* Operand `operand`, all its bytes. */
void compare_buffer(const kernel_case_t* c, uint32_t operand, const uint8_t* found);

/* The pages of the cache. */
void compare_cache(const kernel_case_t* c, const uint8_t* found);

#endif /* LLMIR_CASE_COMPARE_H */
