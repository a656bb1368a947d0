/* bundle_corpus FOLDER: writes tiny bundles of every layout as seeds of fuzz_bundle. */
#include <stdio.h>

#include "tests/support/tiny_bundle.h"

static int write_seed(const char* folder, uint32_t layout) {
    tiny_options_t options = tiny_options_default();
    char path[1024];
    options.layout = layout;
    options.dim = 32;
    options.ffn = 32;
    options.q_heads = 2;
    options.kv_heads = 1;
    options.layers = 1;
    options.window = 7;
    options.bias = layout % 2;
    options.head_norm = layout / 2 % 2;
    options.delta_norm = layout % 3 == 0;
    options.split_gate = layout % 2;
    const int length = snprintf(path, sizeof(path), "%s/layout_%u", folder, layout);
    FILE* file = length > 0 && (size_t)length < sizeof(path) ? fopen(path, "wb") : NULL;
    if (file == NULL) {
        return 0;
    }
    tiny_bundle_t bundle = tiny_bundle_build(&options);
    /* The byte behind the file: make hashes fit. */
    const int good =
        fwrite(bundle.data, 1, bundle.bytes, file) == bundle.bytes && fputc(0, file) == 0;
    tiny_bundle_free(&bundle);
    return fclose(file) == 0 && good;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: bundle_corpus FOLDER\n");
        return 2;
    }
    for (uint32_t layout = LLMIR_LAYOUT_PANEL_F32; layout <= LLMIR_LAYOUT_PANEL_S8; ++layout) {
        if (!write_seed(argv[1], layout)) {
            fprintf(stderr, "bundle_corpus: error: cannot write to %s\n", argv[1]);
            return 1;
        }
    }
    return 0;
}
