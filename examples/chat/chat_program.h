/* llmir-chat, its parts:  chat_options.c  the command line
 *                         chat_turn.c     one question and its answer
 *                         chat_terminal.c the conversation on a terminal: line editing, commands,
 * Ctrl-C */
#ifndef LLMIR_EXAMPLES_CHAT_PROGRAM_H
#define LLMIR_EXAMPLES_CHAT_PROGRAM_H

#include <signal.h>

#include "common/open.h"

extern const char chat_program_name[];

typedef struct chat_options {
    const char* bundle;
    const char* prompt; /* NULL: a conversation */
    const char* system; /* NULL: the template's default */
    const char* device;
    const char* grammar; /* files, NULL: none */
    const char* json_schema;
    uint32_t max_tokens, threads, context, kv_type;
    int32_t raw, greedy, stats;
    llmir_sampler_options_t sampler;
} chat_options_t;

/* Returns -1 to go on, or the exit code. */
int chat_parse_options(int argc, char** argv, chat_options_t* out);

typedef struct chat_statistics {
    size_t prompt_tokens, answer_tokens;
    double prompt_ms, answer_ms, first_token_ms; /* first_token_ms: from the start of the turn */
} chat_statistics_t;

typedef struct chat {
    const chat_options_t* options;
    opened_model_t opened;
    llmir_session_t* session;
    llmir_grammar_t* grammar; /* NULL: none */
    int started;              /* something is in the session already */
    int interrupted;          /* the last answer was cut by Ctrl-C */
    chat_statistics_t last, total;
} chat_t;

/* Feeds one user message (or the raw prompt) and prints the answer to standard output as it comes.
 * Returns 0, or 1 after printing the error. Ctrl-C ends the answer and is no error. */
int chat_turn(chat_t* chat, const char* text);

/* Forgets the conversation. */
void chat_reset(chat_t* chat);

/* Prints the figures of `statistics` to standard error. */
void chat_print_statistics(const chat_t* chat, const chat_statistics_t* statistics);

/* Talks on standard input until it ends or /quit. Returns the exit code. */
int chat_converse(chat_t* chat);

/* Makes Ctrl-C cancel the answer of `chat` (NULL: restore the default). */
void chat_catch_interrupt(chat_t* chat);

#endif /* LLMIR_EXAMPLES_CHAT_PROGRAM_H */
