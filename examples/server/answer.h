/* The answer to a completion: its choices while they are computed, and the objects that tell of
 * them, whole or as a stream. */
#ifndef LLMIR_SERVER_ANSWER_H
#define LLMIR_SERVER_ANSWER_H

#include <jansson.h>

#include "server/completion.h"

/* Text that grows. */
typedef struct text_buffer {
    char* data;
    size_t bytes;
    size_t capacity;
    int has_failed; /* out of memory: text is missing */
} text_buffer_t;

void text_append(text_buffer_t* buffer, const char* data, size_t bytes);
void text_free(text_buffer_t* buffer);

typedef struct choice {
    llmir_request_t* request;
    text_buffer_t text;
    json_t* logprobs; /* array of the tokens' objects; NULL: not asked for */
    uint32_t token_count;
    int32_t finish;      /* llmir_finish_t */
    int has_begun;       /* its first chunk is out */
    llmir_error_t error; /* why it ended early; code 0: it did not */
} choice_t;

typedef struct answer {
    const completion_model_t* model;
    completion_t completion;
    choice_t choices[COMPLETION_MAX_CHOICES];
    uint32_t open_count;   /* choices that go on */
    uint32_t reused_count; /* prompt tokens that were in the cache */
    char id[48];
    int64_t created; /* seconds since 1970 */
} answer_t;

typedef enum answer_event {
    ANSWER_NOTHING,  /* nothing new within the time */
    ANSWER_PIECE,    /* a choice has more text, or has ended */
    ANSWER_FINISHED, /* all choices have ended */
} answer_event_t;

/* Submits all choices of a completion, which becomes the answer's. 0: the error says why, and
 * nothing is left. */
int answer_begin(answer_t* answer,
                 llmir_scheduler_t* scheduler,
                 const completion_model_t* model,
                 uint64_t number,
                 api_error_t* error);

/* Waits for the next piece of any choice, for about `wait_ns`; it is appended to its choice. */
answer_event_t answer_next(answer_t* answer, uint64_t wait_ns, choice_t** out_choice);

/* Cancels what goes on and frees all. */
void answer_end(answer_t* answer);

/* The whole answer as an object; NULL: out of memory, or a choice failed and the error says why. */
json_t* answer_object(const answer_t* answer, api_error_t* error);

/* The chunks of a stream, as server-sent events appended to `out`: what is new in a choice (its
 * text and logprobs are taken), then the usage if asked for, then the end. */
void answer_chunk(const answer_t* answer, choice_t* choice, text_buffer_t* out);
void answer_last_chunks(const answer_t* answer, text_buffer_t* out);

#endif /* LLMIR_SERVER_ANSWER_H */
