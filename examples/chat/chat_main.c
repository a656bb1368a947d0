/* llmir-chat: talk with a bundle. */
#include <stdio.h>

#include "chat/chat_program.h"
#include "common/cli.h"

#define DEFAULT_CONTEXT 4096u

static llmir_status_t open_chat(const chat_options_t* options, chat_t* out, llmir_error_t* error) {
    llmir_session_options_t session_options = LLMIR_SESSION_OPTIONS_INIT;
    *out = (chat_t){.options = options};
    const llmir_status_t status = open_model(chat_program_name, options->bundle, options->device,
                                             options->threads, 0, &out->opened, error);
    if (status != LLMIR_STATUS_OK) {
        return status;
    }
    const uint32_t model_context = out->opened.info.context_count;
    const uint32_t fallback = model_context < DEFAULT_CONTEXT ? model_context : DEFAULT_CONTEXT;
    session_options.context_tokens = options->context != 0 ? options->context : fallback;
    session_options.kv_type = options->kv_type;
    session_options.sampler = &options->sampler;
    session_options.max_tokens = options->max_tokens;
    return llmir_session_create(out->opened.model, NULL, &session_options, &out->session, error);
}

int main(int argc, char** argv) {
    chat_options_t options;
    const int leave = chat_parse_options(argc, argv, &options);
    if (leave >= 0) {
        return leave;
    }
    chat_t chat;
    llmir_error_t error = {0};
    int result = 0;
    if (open_chat(&options, &chat, &error) != LLMIR_STATUS_OK) {
        result = cli_fail(chat_program_name, "%s", error.message);
    } else {
        chat_catch_interrupt(&chat);
        if (options.prompt != NULL) {
            result = chat_turn(&chat, options.prompt);
            if (result == 0 && !options.raw) {
                putchar('\n');
            }
            if (options.stats) {
                chat_print_statistics(&chat, &chat.last);
            }
        } else {
            result = chat_converse(&chat);
        }
        chat_catch_interrupt(NULL);
    }
    llmir_session_destroy(chat.session);
    close_model(&chat.opened);
    if (fflush(stdout) != 0 && result == 0) {
        result = cli_fail(chat_program_name, "cannot write standard output");
    }
    return result;
}
