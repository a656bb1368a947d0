// A C++ program that includes the header and calls the library.
#include <cstdio>

#include "llmir.h"

int main() {
    const llmir_runtime_options_t options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_runtime_t* runtime = nullptr;
    llmir_error_t error = {};
    if (llmir_runtime_create(&options, &runtime, &error) != LLMIR_STATUS_OK) {
        std::fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    llmir_runtime_destroy(runtime);
    const uint32_t version = llmir_version();
    std::printf("%u.%u.%u\n", version >> 16, version >> 8 & 255u, version & 255u);
    return 0;
}
