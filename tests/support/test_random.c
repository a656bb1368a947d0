/* See test_random.h. */
#include "tests/support/test_random.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "tests/support/test.h"

static uint64_t rotate_left(uint64_t value, unsigned bits) {
    return (value << bits) | (value >> (64 - bits));
}

/* splitmix64: spreads a seed over the state. */
static uint64_t next_seed(uint64_t* seed) {
    uint64_t z = *seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void test_random_init(test_random_t* random, uint64_t seed) {
    const char* text = getenv("LLMIR_TEST_SEED");
    if (text != NULL) {
        seed = strtoull(text, NULL, 0);
    }
    print_message("seed: %" PRIu64 " (LLMIR_TEST_SEED=%" PRIu64 " repeats this run)\n", seed, seed);
    for (size_t i = 0; i < 4; ++i) {
        random->state[i] = next_seed(&seed);
    }
}

uint64_t test_random_u64(test_random_t* random) {
    uint64_t* s = random->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint32_t test_random_below(test_random_t* random, uint32_t bound) {
    return (uint32_t)((test_random_u64(random) >> 32) * bound >> 32);
}

float test_random_f32(test_random_t* random, float low, float high) {
    const float unit = (float)(test_random_u64(random) >> 40) * 0x1p-24f;
    return low + (high - low) * unit;
}

float test_random_normal(test_random_t* random) {
    /* Box-Muller; the first factor avoids log(0). */
    const double u = ((double)(test_random_u64(random) >> 11) + 1.0) * 0x1p-53;
    const double v = (double)(test_random_u64(random) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

void test_random_bytes(test_random_t* random, void* out, size_t bytes) {
    uint8_t* next = out;
    for (size_t i = 0; i < bytes; ++i) {
        next[i] = (uint8_t)(test_random_u64(random) >> 56);
    }
}

void test_random_fill_f32(test_random_t* random, float* out, size_t count, float low, float high) {
    for (size_t i = 0; i < count; ++i) {
        out[i] = test_random_f32(random, low, high);
    }
}
