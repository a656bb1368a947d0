/* What an application does, in token ids, so that it runs on every build of the library: loads a
 * bundle, feeds ten tokens, prints sixteen more. The same source is built by each consumer project.
 */
#include <stdio.h>

#include "llmir.h"

#define FED 10
#define GENERATED 16

static int fail(const llmir_error_t* error) {
    fprintf(stderr, "consumer: error: %s\n", error->message);
    return 1;
}

static int generate(llmir_session_t* session, llmir_error_t* error) {
    int32_t tokens[FED];
    for (int i = 0; i < FED; ++i) {
        tokens[i] = 300 + 7 * i;
    }
    if (llmir_session_feed(session, tokens, FED, error) != LLMIR_STATUS_OK) {
        return fail(error);
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

int main(int argc, char** argv) {
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    llmir_error_t error = {0};
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    options.flags = LLMIR_SESSION_IGNORE_END;
    if (argc != 2) {
        fprintf(stderr, "usage: consumer BUNDLE\n");
        return 2;
    }
    const int result =
        llmir_runtime_create(NULL, &runtime, &error) != LLMIR_STATUS_OK ||
                llmir_model_load_file(runtime, argv[1], NULL, &model, &error) != LLMIR_STATUS_OK ||
                llmir_session_create(model, NULL, &options, &session, &error) != LLMIR_STATUS_OK
            ? fail(&error)
            : generate(session, &error);
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return result;
}
