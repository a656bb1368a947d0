/* llmir-minimal: the smallest application. Loads a bundle, asks one question, prints the answer as
 * it comes. */
#include <stdio.h>
#include <string.h>

#include "llmir.h"

#define MAX_TOKENS 1024

static int fail(const llmir_error_t* error) {
    fprintf(stderr, "llmir-minimal: error: %s\n", error->message);
    return 1;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: llmir-minimal BUNDLE QUESTION\n");
        return 2;
    }
    llmir_runtime_t* runtime = NULL;
    llmir_model_t* model = NULL;
    llmir_session_t* session = NULL;
    llmir_error_t error = {0};
    const llmir_message_t message = {"user", argv[2], strlen(argv[2])};
    int32_t tokens[MAX_TOKENS];
    size_t count = 0;
    int result = 0;
    if (llmir_runtime_create(NULL, &runtime, &error) != LLMIR_STATUS_OK ||
        llmir_model_load_file(runtime, argv[1], NULL, &model, &error) != LLMIR_STATUS_OK ||
        llmir_session_create(model, NULL, NULL, &session, &error) != LLMIR_STATUS_OK ||
        llmir_model_chat(model, &message, 1, LLMIR_CHAT_GENERATE, tokens, MAX_TOKENS, &count,
                         &error) != LLMIR_STATUS_OK ||
        llmir_session_feed(session, tokens, count, &error) != LLMIR_STATUS_OK) {
        result = fail(&error);
    } else {
        llmir_piece_t piece = {0};
        do {
            if (llmir_session_next(session, &piece, &error) != LLMIR_STATUS_OK) {
                result = fail(&error);
                break;
            }
            fwrite(piece.text, 1, piece.text_bytes, stdout);
            fflush(stdout);
        } while (piece.finish == LLMIR_FINISH_NONE);
        putchar('\n');
    }
    llmir_session_destroy(session);
    llmir_model_destroy(model);
    llmir_runtime_destroy(runtime);
    return result;
}
