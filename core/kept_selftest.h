/* Self-tests that were passed before: their hashes are kept in the application's cache. */
#ifndef LLMIR_KEPT_SELFTEST_H
#define LLMIR_KEPT_SELFTEST_H

#include "core/base/blake2b.h"
#include "core/model.h"

/* What a result depends on: the device and its driver, the bundle, this library. */
typedef struct llmir_kept_selftest {
    const llmir_cache_t* cache;
    char key[32];
    uint8_t hash[LLMIR_BLAKE2B_BYTES];
} llmir_kept_selftest_t;

/* Returns 0 if nothing is kept: there is no cache, or the device has no identity. */
int llmir_kept_selftest_open(const llmir_model_t* model, llmir_kept_selftest_t* out);

/* Whether the self-test was passed before. */
int llmir_kept_selftest_passed(const llmir_kept_selftest_t* kept);

/* Notes that it was passed. */
void llmir_kept_selftest_keep(const llmir_kept_selftest_t* kept);

#endif /* LLMIR_KEPT_SELFTEST_H */
