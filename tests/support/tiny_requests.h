/* A scheduler for tests, requests of all sorts for it, and what each says when it is alone. */
#ifndef LLMIR_TINY_REQUESTS_H
#define LLMIR_TINY_REQUESTS_H

#include "tests/support/test_random.h"
#include "tests/support/tiny_model.h"

#define TINY_REQUEST_PROMPT 96u
#define TINY_REQUEST_TOKENS 48u
#define TINY_REQUEST_TEXT 1024u

/* A scheduler without a thread over a tiny model with windows. */
typedef struct tiny_scheduler {
    tiny_loaded_t loaded;
    llmir_scheduler_t* scheduler;
} tiny_scheduler_t;

#define TINY_SCHEDULER_CONTEXT 512u /* of the model */

/* Room for eight whole contexts, 64 tokens a pass. */
llmir_scheduler_options_t tiny_scheduler_options(void);

/* These fail the test if something is wrong. */
void tiny_scheduler_begin(tiny_scheduler_t* out, const llmir_scheduler_options_t* options);
void tiny_scheduler_end(tiny_scheduler_t* scheduler);
llmir_scheduler_stats_t tiny_scheduler_stats(const tiny_scheduler_t* scheduler);

/* What a request said. */
typedef struct tiny_answer {
    int32_t tokens[TINY_REQUEST_TOKENS + 1u];
    uint32_t token_count;
    char text[TINY_REQUEST_TEXT];
    size_t text_bytes;
    int32_t finish;
} tiny_answer_t;

typedef struct tiny_request {
    int32_t prompt[TINY_REQUEST_PROMPT];
    uint32_t prompt_count;
    int32_t priority;
    const char* stop;
    llmir_sampler_options_t sampler;
    llmir_session_options_t session; /* points into this struct once it is used */
    tiny_answer_t alone;
} tiny_request_t;

/* Draws a request: a prompt that may begin as others do, greedy or sampled, with or without a
 * limit, a stop string and sharing. */
void tiny_request_draw(test_random_t* random, tiny_request_t* out);

/* The options to submit it with, valid as long as the request stays where it is. */
llmir_request_options_t tiny_request_options(tiny_request_t* request);

/* Fills `alone` with what a session of its own says, in a context of `context_tokens`. */
void tiny_request_run_alone(tiny_loaded_t* loaded, tiny_request_t* request, uint32_t context);

/* Appends a piece to an answer; returns 0 if it does not fit. Asserts nothing: any thread. */
int tiny_answer_append(tiny_answer_t* answer, const llmir_piece_t* piece);

/* Whether the answers are the same; with `is_part` also if `answer` is the beginning of the other.
 */
int tiny_answer_equals(const tiny_answer_t* answer, const tiny_answer_t* expected, int is_part);

#endif /* LLMIR_TINY_REQUESTS_H */
