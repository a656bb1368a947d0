/* llmir-chat, its parts:  chat_options.c  the command line
 *                         chat_sampler.c  its options of the sampler
 *                         chat_turn.c     one question and its answer
 *                         chat_best.c     the best of several answers
 *                         chat_terminal.c the conversation on a terminal: line editing, commands,
 * Ctrl-C */
#ifndef LLMIR_EXAMPLES_CHAT_PROGRAM_H
#define LLMIR_EXAMPLES_CHAT_PROGRAM_H

#include "common/cli.h"
#include "common/open.h"

extern const char chat_program_name[];

typedef struct chat_options {
    const char* bundle;
    const char* prompt; /* NULL: a conversation */
    const char* system; /* NULL: the template's default */
    open_device_t device;
    const char* grammar; /* files, NULL: none */
    const char* json_schema;
    const char* draft; /* a bundle that guesses; NULL: none */
    uint32_t max_tokens, threads, context, kv_type;
    uint32_t best_of;  /* answers to choose from; 1: the first one is taken */
    uint32_t logprobs; /* likeliest tokens to print; CHAT_NO_LOGPROBS: print nothing */
    int32_t raw, greedy, lookup, stats;
    cli_list_t stops, breakers, biases; /* as they were given */
    const char* order;
    llmir_sampler_options_t sampler;
    llmir_logit_bias_t bias[LLMIR_MAX_LOGIT_BIAS];
    int32_t breaker_tokens[LLMIR_MAX_DRY_BREAKERS];
} chat_options_t;

#define CHAT_NO_LOGPROBS UINT32_MAX

/* Returns -1 to go on, or the exit code. */
int chat_parse_options(int argc, char** argv, chat_options_t* out);

/* Reads the lists among the options: --order and --logit-bias. Returns what is wrong, or NULL. */
const char* chat_read_sampler(chat_options_t* options);

/* Turns the texts of --dry-breaker into tokens of the model. */
llmir_status_t chat_find_breakers(chat_options_t* options,
                                  const llmir_model_t* model,
                                  llmir_error_t* error);

typedef struct chat_statistics {
    size_t prompt_tokens, answer_tokens;
    double prompt_ms, answer_ms, first_token_ms; /* first_token_ms: from the start of the turn */
} chat_statistics_t;

typedef struct chat {
    const chat_options_t* options;
    opened_model_t opened;
    llmir_pool_t* pool;
    llmir_session_t* session;
    opened_model_t draft_opened; /* of --draft */
    llmir_session_t* draft;
    llmir_grammar_t* grammar; /* NULL: none */
    int started;              /* something is in the session already */
    int interrupted;          /* the last answer was cut by Ctrl-C */
    chat_statistics_t last, total;
} chat_t;

/* Feeds one user message (or the raw prompt) and prints the answer to standard output as it comes.
 * Returns 0, or 1 after printing the error. Ctrl-C ends the answer and is no error. */
int chat_turn(chat_t* chat, const char* text);

/* Writes text to standard output at once. */
llmir_status_t chat_write(const char* text, size_t bytes, llmir_error_t* error);

/* Prints the token of a piece, its log-probability and the likeliest ones to standard error, if the
 * options want that. */
void chat_print_logprobs(const chat_t* chat, const llmir_piece_t* piece);

/* Generates `best_of` answers from where the session is, prints the one whose tokens have the
 * largest mean log-probability, and goes on with its session. The turn began at `start_ms`. */
llmir_status_t chat_answer_best(chat_t* chat, double start_ms, llmir_error_t* error);

/* Forgets the conversation. */
void chat_reset(chat_t* chat);

/* Prints the figures of `statistics` to standard error. */
void chat_print_statistics(const chat_t* chat, const chat_statistics_t* statistics);

/* Talks on standard input until it ends or /quit. Returns the exit code. */
int chat_converse(chat_t* chat);

/* Makes Ctrl-C cancel the answer of `chat` (NULL: restore the default). */
void chat_catch_interrupt(chat_t* chat);

#endif /* LLMIR_EXAMPLES_CHAT_PROGRAM_H */
