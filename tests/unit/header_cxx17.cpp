// The public header alone, as C++17 under -pedantic -Werror: it needs nothing before it.
#include "llmir.h"

// Every initialiser fits its struct, and the functions have C linkage.
int header_cxx17_initialisers();
int header_cxx17_initialisers() {
    const llmir_runtime_options_t runtime = LLMIR_RUNTIME_OPTIONS_INIT;
    const llmir_model_options_t model = LLMIR_MODEL_OPTIONS_INIT;
    const llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
    const llmir_sampler_options_t sampler = LLMIR_SAMPLER_OPTIONS_INIT;
    const llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    return static_cast<int>(runtime.struct_size + model.struct_size + pool.struct_size +
                            sampler.struct_size + session.struct_size + llmir_version());
}
