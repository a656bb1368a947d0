/* llmir-chat: talk with a bundle. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_program.h"
#include "common/cli.h"
#include "common/input.h"
#include "common/system.h"

#define DEFAULT_CONTEXT 4096u
#define GUESSES 8u /* tokens guessed at once, at most */

/* The grammar of the options, if they have one. */
static llmir_status_t open_grammar(const chat_options_t* options,
                                   chat_t* chat,
                                   llmir_error_t* error) {
    const char* path = options->grammar != NULL ? options->grammar : options->json_schema;
    size_t bytes = 0;
    if (path == NULL) {
        return LLMIR_STATUS_OK;
    }
    char* text = input_read_file(path, &bytes);
    if (text == NULL) {
        (void)snprintf(error->message, sizeof(error->message), "cannot read '%s': %s", path,
                       strerror(errno));
        return LLMIR_STATUS_IO;
    }
    const llmir_status_t status = llmir_grammar_create(
        chat->opened.model,
        options->grammar != NULL ? LLMIR_GRAMMAR_GBNF : LLMIR_GRAMMAR_JSON_SCHEMA, text, bytes,
        &chat->grammar, error);
    free(text);
    return status;
}

/* The pool, with room for all the answers of --best-of and for guesses; no session takes more
 * positions than the model has. */
static llmir_pool_options_t pool_options(const chat_options_t* options) {
    llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
    const uint32_t context = options->context != 0 ? options->context : DEFAULT_CONTEXT;
    pool.session_count = options->best_of;
    pool.context_tokens =
        context < UINT32_MAX / options->best_of ? context * options->best_of : UINT32_MAX;
    pool.kv_type = options->kv_type;
    pool.guess_tokens = options->lookup || options->draft != NULL ? GUESSES : 0u;
    return pool;
}

/* The session of --draft, in a pool of its own. */
static llmir_status_t open_draft(const chat_options_t* options,
                                 chat_t* chat,
                                 llmir_error_t* error) {
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    if (options->draft == NULL) {
        return LLMIR_STATUS_OK;
    }
    const llmir_status_t status =
        open_model(chat_program_name, options->draft, options->device.name, options->threads, 0,
                   &chat->draft_opened, error);
    session.context_tokens = options->context;
    return status == LLMIR_STATUS_OK
               ? llmir_session_create(chat->draft_opened.model, NULL, &session, &chat->draft, error)
               : status;
}

static llmir_status_t open_session(const chat_options_t* options,
                                   chat_t* chat,
                                   llmir_error_t* error) {
    llmir_session_options_t session = LLMIR_SESSION_OPTIONS_INIT;
    session.grammar = chat->grammar;
    session.sampler = &options->sampler;
    session.max_tokens = options->max_tokens;
    session.stop_strings = options->stops.items;
    session.stop_count = options->stops.count;
    session.draft = chat->draft;
    session.speculation = options->lookup       ? LLMIR_SPECULATION_LOOKUP
                          : chat->draft != NULL ? LLMIR_SPECULATION_DRAFT
                                                : LLMIR_SPECULATION_NONE;
    if (options->logprobs != CHAT_NO_LOGPROBS || options->best_of > 1) {
        session.flags = LLMIR_SESSION_LOGPROBS;
        session.top_logprobs = options->logprobs != CHAT_NO_LOGPROBS ? options->logprobs : 0u;
    }
    return llmir_session_create(chat->opened.model, chat->pool, &session, &chat->session, error);
}

static llmir_status_t open_chat(chat_options_t* options, chat_t* out, llmir_error_t* error) {
    *out = (chat_t){.options = options};
    const llmir_pool_options_t pool = pool_options(options);
    const open_request_t request = {.program = chat_program_name,
                                    .path = options->bundle,
                                    .device = &options->device,
                                    .pool = &pool,
                                    .threads = options->threads};
    llmir_status_t status = open_model_traced(&request, &out->opened, error);
    if (status == LLMIR_STATUS_OK) {
        status = open_grammar(options, out, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = chat_find_breakers(options, out->opened.model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = llmir_pool_create(out->opened.model, &pool, &out->pool, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = open_draft(options, out, error);
    }
    return status == LLMIR_STATUS_OK ? open_session(options, out, error) : status;
}

int main(int argc, char** argv) {
    chat_options_t options;
    system_begin(&argc, &argv);
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
    llmir_session_destroy(chat.draft);
    llmir_pool_destroy(chat.pool);
    llmir_grammar_destroy(chat.grammar);
    close_model(&chat.draft_opened);
    close_model(&chat.opened);
    if (fflush(stdout) != 0 && result == 0) {
        result = cli_fail(chat_program_name, "cannot write standard output");
    }
    return result;
}
