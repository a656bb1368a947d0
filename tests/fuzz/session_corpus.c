/* session_corpus FOLDER: writes saved sessions of several lengths as seeds of fuzz_session. */
#include <stdio.h>

#include "llmir.h"
#include "tests/fuzz/session_model.h"

static llmir_status_t write_bytes(const void* data, size_t bytes, void* user) {
    return fwrite(data, 1, bytes, user) == bytes ? LLMIR_STATUS_OK : LLMIR_STATUS_IO;
}

static int write_seed(llmir_session_t* session, const char* folder, int tokens) {
    int32_t ids[64];
    llmir_piece_t piece;
    char path[1024];
    for (int i = 0; i < tokens; ++i) {
        ids[i] = 2 + i * 37 % 300;
    }
    llmir_session_reset(session);
    if (tokens > 0 && (llmir_session_feed(session, ids, (size_t)tokens, NULL) != LLMIR_STATUS_OK ||
                       llmir_session_next(session, &piece, NULL) != LLMIR_STATUS_OK)) {
        return 0;
    }
    const int length = snprintf(path, sizeof(path), "%s/tokens_%d", folder, tokens);
    FILE* file = length > 0 && (size_t)length < sizeof(path) ? fopen(path, "wb") : NULL;
    if (file == NULL) {
        return 0;
    }
    /* The byte behind the data: make hashes fit. */
    const int good = llmir_session_save(session, write_bytes, file, NULL) == LLMIR_STATUS_OK &&
                     fputc(0, file) == 0;
    return fclose(file) == 0 && good;
}

int main(int argc, char** argv) {
    static const int lengths[] = {0, 1, 15, 16, 31, 50};
    const tiny_options_t tiny = session_model_options();
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    int good = argc == 2;
    tiny_bundle_t bundle = tiny_bundle_build(&tiny);
    good = good && llmir_runtime_create(NULL, &runtime, NULL) == LLMIR_STATUS_OK &&
           llmir_model_load_memory(runtime, bundle.data, bundle.bytes, NULL, &model, NULL) ==
               LLMIR_STATUS_OK &&
           llmir_session_create(model, NULL, NULL, &session, NULL) == LLMIR_STATUS_OK;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]) && good; ++i) {
        good = write_seed(session, argv[1], lengths[i]);
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    tiny_bundle_free(&bundle);
    if (!good) {
        fprintf(stderr, "usage: session_corpus FOLDER (that can be written to)\n");
    }
    return good ? 0 : 1;
}
