/* targets/gpu/lzma: a stream that liblzma made, and what is none. */
#include "targets/gpu/lzma.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

#define PLAIN_BYTES 1915u

/* What make_plain() writes, packed by liblzma 5.4: literals, literals after matches, matches of all
 * classes of length and distance, and every way to repeat a distance. */
static const uint8_t packed[] = {
    0x00, 0x1e, 0x17, 0x8c, 0x2b, 0x40, 0x67, 0xa6, 0x55, 0x91, 0x31, 0x1d, 0xa1, 0x15, 0xb0, 0x5b,
    0xdc, 0xc6, 0x26, 0x59, 0xaf, 0x17, 0x39, 0x5d, 0xf4, 0x7e, 0x1f, 0x79, 0x1c, 0x11, 0xc3, 0x58,
    0xb5, 0xa7, 0x14, 0x08, 0x2e, 0x61, 0x5b, 0x97, 0x49, 0xbe, 0xf8, 0x77, 0x71, 0x8b, 0xda, 0xc3,
    0x75, 0xb2, 0x3c, 0xad, 0x6f, 0x22, 0x31, 0x2c, 0x50, 0x9d, 0x93, 0x3d, 0xee, 0x45, 0x6f, 0x80,
    0xc7, 0xfb, 0x36, 0xd1, 0xd1, 0x33, 0xef, 0x76, 0x62, 0xb8, 0x7b, 0x4d, 0xe5, 0xb3, 0x43, 0x2e,
    0x11, 0xe9, 0x73, 0xac, 0x70, 0x1c, 0x0a, 0x93, 0x0c, 0x5a, 0xab, 0x12, 0x71, 0x55, 0x27, 0xb6,
    0x3d, 0x48, 0x6f, 0xc7, 0x41, 0xe7, 0xac, 0x1b, 0xba, 0xb4, 0x93, 0x3f, 0x89, 0x3f, 0x57, 0xad,
    0xf8, 0xd0, 0x22, 0xc3, 0x2d, 0xff, 0xff, 0xd2, 0x65, 0x41, 0x60,
};

static uint8_t random_byte(uint32_t* seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (uint8_t)(*seed >> 24);
}

static void make_plain(uint8_t plain[PLAIN_BYTES]) {
    static const uint16_t matches[][2] = {
        /* distance, length; each followed by a byte */
        {1, 3}, {4, 20},   {48, 30}, {4, 1},   {7, 2},     {60, 300},  {9, 5},    {250, 7}, {4, 40},
        {4, 1}, {600, 16}, {250, 9}, {3, 500}, {1000, 31}, {1000, 12}, {33, 273}, {33, 600}};
    uint32_t seed = 1;
    size_t at = 0;
    while (at < 48) {
        plain[at++] = random_byte(&seed);
    }
    for (size_t i = 0; i < sizeof matches / sizeof *matches; ++i) {
        const size_t distance = matches[i][0] < at ? matches[i][0] : at;
        for (uint32_t n = 0; n < matches[i][1]; ++n, ++at) {
            plain[at] = plain[at - distance];
        }
        plain[at++] = random_byte(&seed);
    }
    assert_int_equal(at, PLAIN_BYTES);
}

/* Both from copies of exactly their sizes, so that sanitizers see what lies beside. */
static int unpack(const uint8_t* data, size_t bytes, uint8_t* out, size_t out_bytes) {
    uint8_t* copy = malloc(bytes != 0 ? bytes : 1);
    uint8_t* exact = malloc(out_bytes);
    void* scratch = malloc(LLMIR_LZMA_SCRATCH_BYTES);
    assert_true(copy != NULL && exact != NULL && scratch != NULL);
    memcpy(copy, data, bytes);
    memset(scratch, 0xaa, LLMIR_LZMA_SCRATCH_BYTES);
    const int is_stream = llmir_lzma_unpack(copy, bytes, scratch, exact, out_bytes);
    if (is_stream && out != NULL) {
        memcpy(out, exact, out_bytes);
    }
    free(scratch);
    free(exact);
    free(copy);
    return is_stream;
}

static void test_lzma_unpacks_what_liblzma_packs(void** state) {
    uint8_t plain[PLAIN_BYTES];
    uint8_t out[PLAIN_BYTES];
    (void)state;
    make_plain(plain);
    assert_true(unpack(packed, sizeof packed, out, sizeof out));
    assert_memory_equal(out, plain, sizeof plain);
}

static void test_lzma_streams_end_where_they_should(void** state) {
    uint8_t longer[sizeof packed + 1] = {0};
    (void)state;
    memcpy(longer, packed, sizeof packed);
    assert_false(unpack(longer, sizeof longer, NULL, PLAIN_BYTES));
    assert_false(unpack(packed, sizeof packed, NULL, PLAIN_BYTES - 1));
    assert_false(unpack(packed, sizeof packed, NULL, PLAIN_BYTES + 1));
    for (size_t bytes = 0; bytes < sizeof packed; ++bytes) {
        assert_false(unpack(packed, bytes, NULL, PLAIN_BYTES));
    }
}

/* A changed byte may make another stream; what matters is that nothing beside is touched. */
static void test_lzma_takes_any_bytes(void** state) {
    uint32_t seed = 7;
    uint32_t refused = 0;
    (void)state;
    for (uint32_t i = 0; i < 20000; ++i) {
        uint8_t changed[sizeof packed];
        memcpy(changed, packed, sizeof packed);
        for (uint32_t n = 0; n <= i % 4u; ++n) {
            const uint32_t place = random_byte(&seed);
            changed[place % sizeof packed] ^= random_byte(&seed);
        }
        refused += !unpack(changed, sizeof changed, NULL, PLAIN_BYTES);
    }
    assert_in_range(refused, 19000, 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lzma_unpacks_what_liblzma_packs),
        cmocka_unit_test(test_lzma_streams_end_where_they_should),
        cmocka_unit_test(test_lzma_takes_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
