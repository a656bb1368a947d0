/* Reproducible random numbers (xoshiro256**, Blackman and Vigna 2018). The seed is printed, and
 * LLMIR_TEST_SEED in the environment replaces it. */
#ifndef LLMIR_TEST_RANDOM_H
#define LLMIR_TEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct test_random {
    uint64_t state[4];
} test_random_t;

/* Seeds with `seed`, or with LLMIR_TEST_SEED if that is set, and prints which. */
void test_random_init(test_random_t* random, uint64_t seed);

uint64_t test_random_u64(test_random_t* random);

/* In [0, bound); bound > 0. */
uint32_t test_random_below(test_random_t* random, uint32_t bound);

/* Uniform in [low, high). */
float test_random_f32(test_random_t* random, float low, float high);

/* Normal with mean 0 and variance 1. */
float test_random_normal(test_random_t* random);

void test_random_bytes(test_random_t* random, void* out, size_t bytes);
void test_random_fill_f32(test_random_t* random, float* out, size_t count, float low, float high);

#endif /* LLMIR_TEST_RANDOM_H */
