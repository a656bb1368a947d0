/* The model that saved sessions are fuzzed with: as small as one gets, so that pages are. */
#ifndef LLMIR_FUZZ_SESSION_MODEL_H
#define LLMIR_FUZZ_SESSION_MODEL_H

#include "tests/support/tiny_bundle.h"

static inline tiny_options_t session_model_options(void) {
    tiny_options_t options = tiny_options_default();
    options.dim = 32;
    options.ffn = 32;
    options.q_heads = 2;
    options.kv_heads = 1;
    options.layers = 1;
    options.window = 7;
    return options;
}

#endif /* LLMIR_FUZZ_SESSION_MODEL_H */
