/* Self-tests that were passed before. An entry is a hash of everything that the result depends on,
 * so an entry of anything else is as good as none. */
#include "core/kept_selftest.h"

#include <string.h>

#include "core/base/format.h"

int llmir_kept_selftest_open(const llmir_model_t* model, llmir_kept_selftest_t* out) {
    /* The part of the model that the device computes matters too. */
    const uint32_t version[3] = {llmir_version(), model->stage_count, model->layer_count};
    const llmir_device_caps_t* caps = &model->stages[model->main_stage].caps;
    llmir_blake2b_t hash;
    uint32_t words[2];
    uint8_t any = 0;
    for (size_t i = 0; i < sizeof(caps->identity); ++i) {
        any |= caps->identity[i];
    }
    out->cache = &model->runtime->cache;
    if (out->cache->get == NULL || any == 0) {
        return 0;
    }
    llmir_blake2b_init(&hash);
    llmir_blake2b_update(&hash, version, sizeof(version));
    llmir_blake2b_update(&hash, caps->identity, sizeof(caps->identity));
    llmir_blake2b_update(&hash, model->bundle.header->root_hash,
                         sizeof(model->bundle.header->root_hash));
    llmir_blake2b_final(&hash, out->hash);
    memcpy(words, out->hash, sizeof(words));
    (void)llmir_format(out->key, sizeof(out->key), "selftest-%08x%08x", (unsigned)words[0],
                       (unsigned)words[1]);
    return 1;
}

int llmir_kept_selftest_passed(const llmir_kept_selftest_t* kept) {
    uint8_t found[LLMIR_BLAKE2B_BYTES];
    return kept->cache->get(kept->cache->self, kept->key, found, sizeof(found)) == sizeof(found) &&
           memcmp(found, kept->hash, sizeof(found)) == 0;
}

void llmir_kept_selftest_keep(const llmir_kept_selftest_t* kept) {
    kept->cache->put(kept->cache->self, kept->key, kept->hash, sizeof(kept->hash));
}
