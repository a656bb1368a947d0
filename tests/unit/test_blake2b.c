/* core/base/blake2b against values of Python's hashlib (the reference implementation). */
#include "core/base/blake2b.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/test_random.h"

static void to_hex(const uint8_t* hash, char out[65]) {
    for (size_t i = 0; i < LLMIR_BLAKE2B_BYTES; ++i) {
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}

static void assert_hash(const void* data, size_t bytes, const char* expected) {
    uint8_t hash[LLMIR_BLAKE2B_BYTES];
    char hex[65];
    llmir_blake2b_hash(data, bytes, hash);
    to_hex(hash, hex);
    assert_string_equal(hex, expected);
}

static void test_blake2b_abc_matches_the_specification(void** state) {
    (void)state;
    assert_hash("abc", 3, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

/* Lengths around the block of 128 bytes; byte i of the input is 7 i + 3. */
static void test_blake2b_lengths_around_blocks_match(void** state) {
    (void)state;
    static const struct {
        size_t bytes;
        const char* hash;
    } cases[] = {
        {0, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
        {1, "e88bd757ad5b9bedf372d8d3f0cf6c962a469db61a265f6418e1ffed86da29ec"},
        {63, "a69e023685fa5f19fca13acc02142a9cf8450ce5b77966586e0d000c4a4ea942"},
        {64, "586c0dd87616ec042093edc5f87f880d37ca73618e99b03d5850ce9be478721f"},
        {127, "c9ae3859964b35f04c54b36d33cf299d7290ee621005d28e51598a943560aaaa"},
        {128, "f0501d06597880592bc49234eef100ec1ff349058d0e9d9b753504e24af86dd6"},
        {129, "a34a4e1e03c541dfbf3099c4b6c143c022ced65c28bd7e8a10e0a098461aecf0"},
        {255, "f2d64a40e9412a3414161ff6250075225418fd7c271c1123e162e1bca0de9f93"},
        {256, "d93ebb9c802f5630ab22516fd82b6c21bc8bd551d531349b715f046ed11ed871"},
        {257, "4ce481b24d387422d2bc2baa03d1afd55a1327939ff537c71eb9b38709268649"},
        {384, "cff59531b16bf549e1048f7df5efadf9c590cad5a0b52ab9eeb52e5b5eb86e55"},
        {1000, "d62b6c768ce1afc8367e0498ab2f8e3f7c178c35b1429f14c4604b545d200f52"},
        {4096, "3b7dcca5dcb409b9ee1d33ac58a03966d5e86581278891945e3d2fd80e3aad58"},
    };
    uint8_t data[4096];
    for (size_t i = 0; i < sizeof data; ++i) {
        data[i] = (uint8_t)(7 * i + 3);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        assert_hash(cases[i].bytes == 0 ? NULL : data, cases[i].bytes, cases[i].hash);
    }
}

static void test_blake2b_pieces_of_any_size_give_the_same_hash(void** state) {
    (void)state;
    uint8_t data[2000], whole[LLMIR_BLAKE2B_BYTES], pieces[LLMIR_BLAKE2B_BYTES];
    test_random_t random;
    test_random_init(&random, 2);
    test_random_bytes(&random, data, sizeof data);
    llmir_blake2b_hash(data, sizeof data, whole);
    for (size_t run = 0; run < 200; ++run) {
        llmir_blake2b_t hash;
        llmir_blake2b_init(&hash);
        const uint32_t largest = 1 + test_random_below(&random, 400);
        size_t done = 0;
        while (done < sizeof data) {
            size_t piece = test_random_below(&random, largest + 1);
            piece = piece < sizeof data - done ? piece : sizeof data - done;
            llmir_blake2b_update(&hash, data + done, piece);
            done += piece;
        }
        llmir_blake2b_final(&hash, pieces);
        assert_memory_equal(whole, pieces, sizeof whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blake2b_abc_matches_the_specification),
        cmocka_unit_test(test_blake2b_lengths_around_blocks_match),
        cmocka_unit_test(test_blake2b_pieces_of_any_size_give_the_same_hash),
    };
    return cmocka_run_group_tests_name("blake2b", tests, NULL, NULL);
}
