/* llmir-static: one executable with its model inside. `llmirc MODEL.gguf --emit object -o model.o`
 * makes model.o and model.h; linked into the program, the weights are mapped with it and used where
 * they are. There is no file to find, and nothing to install. */
#include <stdio.h>
#include <string.h>

#include "llmir.h"
#include "model.h"

#define MAX_TOKENS 1024

static int fail(const llmir_error_t* error) {
    fprintf(stderr, "llmir-static: error: %s\n", error->message);
    return 1;
}

static int answer(llmir_session_t* session, llmir_error_t* error) {
    llmir_piece_t piece = {0};
    do {
        if (llmir_session_next(session, &piece, error) != LLMIR_STATUS_OK) {
            return fail(error);
        }
        fwrite(piece.text, 1, piece.text_bytes, stdout);
        fflush(stdout);
    } while (piece.finish == LLMIR_FINISH_NONE);
    putchar('\n');
    return 0;
}

int main(int argc, char** argv) {
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    llmir_error_t error = {0};
    llmir_session_options_t options = LLMIR_SESSION_OPTIONS_INIT;
    int32_t tokens[MAX_TOKENS];
    size_t count = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: llmir-static QUESTION\n");
        return 2;
    }
    const llmir_message_t message = {"user", argv[1], strlen(argv[1])};
    options.context_tokens = 2 * MAX_TOKENS;
    options.max_tokens = MAX_TOKENS;
    const int result =
        llmir_runtime_create(NULL, &runtime, &error) != LLMIR_STATUS_OK ||
                llmir_model_load_memory(runtime, llmir_bundle_model,
                                        (size_t)llmir_bundle_model_bytes, NULL, &model,
                                        &error) != LLMIR_STATUS_OK ||
                llmir_session_create(model, NULL, &options, &session, &error) != LLMIR_STATUS_OK ||
                llmir_model_chat(model, &message, 1, LLMIR_CHAT_GENERATE, tokens, MAX_TOKENS,
                                 &count, &error) != LLMIR_STATUS_OK ||
                llmir_session_feed(session, tokens, count, &error) != LLMIR_STATUS_OK
            ? fail(&error)
            : answer(session, &error);
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return result;
}
