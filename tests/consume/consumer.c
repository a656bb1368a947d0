/* What an application does, in token ids, so that it runs on every build of the library: loads a
 * bundle, feeds ten tokens, prints sixteen more. `consumer BUNDLE bits` prints a hash of the logits
 * for each ISA level of the built-in kernels instead. The same source is built by each consumer. */
#include <stdio.h>
#include <string.h>

#include "llmir.h"

#define FED 10
#define GENERATED 16
#define LEVELS 3

/* Two versions in one program have two functions for `main` to call. */
#ifndef CONSUMER_MAIN
#define CONSUMER_MAIN main
#endif
int CONSUMER_MAIN(int argc, char** argv);

static int fail(const llmir_error_t* error) {
    fprintf(stderr, "consumer: error: %s\n", error->message);
    return 1;
}

static int feed(llmir_session_t* session, llmir_error_t* error) {
    int32_t tokens[FED];
    for (int i = 0; i < FED; ++i) {
        tokens[i] = 300 + 7 * i;
    }
    return llmir_session_feed(session, tokens, FED, error) == LLMIR_STATUS_OK ? 0 : fail(error);
}

static int print_tokens(llmir_session_t* session, llmir_error_t* error) {
    if (feed(session, error)) {
        return 1;
    }
    for (int i = 0; i < GENERATED; ++i) {
        llmir_piece_t piece = {0};
        if (llmir_session_next(session, &piece, error) != LLMIR_STATUS_OK) {
            return fail(error);
        }
        printf(i == 0 ? "%d" : " %d", (int)piece.token);
    }
    printf("\n");
    return 0;
}

static int print_bits(llmir_session_t* session, uint32_t vocab, llmir_error_t* error) {
    if (feed(session, error)) {
        return 1;
    }
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    const unsigned char* bytes = (const unsigned char*)llmir_session_logits(session);
    for (size_t i = 0; i < vocab * sizeof(float); ++i) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}

static int run(const char* path, uint32_t level, int is_bits) {
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    llmir_error_t error = {0};
    llmir_model_info_t info = {.struct_size = sizeof(info)};
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    int result;
    runtime_options.cpu_level_max = level;
    runtime_options.flags = is_bits ? LLMIR_RUNTIME_NO_BUNDLE_CODE : 0;
    options.flags = LLMIR_SESSION_IGNORE_END;
    if (llmir_runtime_create(&runtime_options, &runtime, &error) != LLMIR_STATUS_OK ||
        llmir_model_load_file(runtime, path, NULL, &model, &error) != LLMIR_STATUS_OK ||
        llmir_model_get_info(model, &info, &error) != LLMIR_STATUS_OK ||
        llmir_session_create(model, NULL, &options, &session, &error) != LLMIR_STATUS_OK) {
        result = fail(&error);
    } else {
        result =
            is_bits ? print_bits(session, info.vocab_count, &error) : print_tokens(session, &error);
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return result;
}

int CONSUMER_MAIN(int argc, char** argv) {
    const int is_bits = argc == 3 && strcmp(argv[2], "bits") == 0;
    static const uint32_t levels[LEVELS] = {0, 0x103, 0x102}; /* best; x86-64-v3, v2 */
    int result = 0;
    if (argc != 2 && !is_bits) {
        fprintf(stderr, "usage: consumer BUNDLE [bits]\n");
        return 2;
    }
    for (int i = 0; i < (is_bits ? LEVELS : 1); ++i) {
        result |= run(argv[1], levels[i], is_bits);
    }
    return result;
}
