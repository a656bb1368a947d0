/* A tiny bundle loaded on a runtime whose allocator counts. */
#ifndef LLMIR_TINY_MODEL_H
#define LLMIR_TINY_MODEL_H

#include "tests/support/test.h"
#include "tests/support/test_allocator.h"
#include "tests/support/tiny_bundle.h"

typedef struct tiny_loaded {
    test_allocator_t allocator;
    tiny_bundle_t bundle;
    llmir_runtime_t* runtime;
    llmir_model_t* model;
} tiny_loaded_t;

/* Builds and loads; fails the test if that fails. */
void tiny_load(tiny_loaded_t* loaded, const tiny_options_t* options, uint32_t threads);

/* Destroys everything and checks that all memory was given back. */
void tiny_unload(tiny_loaded_t* loaded);

/* A session with a pool of its own; fails the test if that fails. */
llmir_session_t* tiny_session(tiny_loaded_t* loaded, const llmir_session_options_t* options);

/* `count` ids that are not special, the same for the same seed. */
void tiny_ids(uint64_t seed, uint32_t vocab, int32_t* out_ids, size_t count);

#endif /* LLMIR_TINY_MODEL_H */
