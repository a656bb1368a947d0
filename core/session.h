/* A session: one sequence of a pool, with its sampler and its text. It lies in the pool's arena. */
#ifndef LLMIR_SESSION_H
#define LLMIR_SESSION_H

#include "core/grammar/grammar.h"
#include "core/pool.h"
#include "core/text_stream.h"

struct llmir_session {
    llmir_pool_t* pool;
    uint32_t in_use;
    uint32_t owns_pool;
    uint32_t flags; /* llmir_session_flag_t */
    uint32_t position;
    llmir_page_table_t table;  /* holds `position` tokens between calls */
    llmir_page_table_t window; /* of layers with a window: see windows.h */
    float* logits;             /* f32 [vocab] */
    uint32_t overflow;         /* llmir_overflow_t */
    uint32_t sink_tokens;
    /* Tokens behind `position` whose keys were given up, by a roll that was stopped (roll.c) or by
     * moving back beyond what windows keep (windows.h). */
    uint32_t uncomputed;
    int32_t* roll_ids; /* [2 * session_tokens]: them, and what is being fed by a roll */
    uint32_t has_logits;
    uint32_t is_fed; /* already part of the batch that is being built */
    llmir_atomic_u32_t cancel;
    llmir_atomic_u32_t deadline; /* tick of core/base/deadline.h */
    /* Generation: from the last feed by the application on. */
    llmir_sampler_t sampler;
    llmir_stop_set_t stops;
    llmir_text_stream_t stream;
    uint32_t max_tokens;      /* 0: no limit */
    uint32_t generated_count; /* tokens sampled and fed */
    int32_t pending;          /* sampled, its text is in the stream, not fed yet; -1: none */
    int32_t finish;           /* llmir_finish_t of the generation */
    llmir_grammar_t* grammar; /* NULL: none */
    llmir_match_t* match;     /* of the tokens sampled */
};

/* Ends the generation: the next token sampled begins a new one. */
void llmir_session_end_generation(llmir_session_t* session);

/* Feeds any number of tokens, chunk by chunk, and rolls if the session does; the application's and
 * the generation's way in. On failure the session is as before. */
llmir_status_t llmir_session_run(llmir_session_t* session,
                                 const int32_t* tokens,
                                 size_t token_count,
                                 llmir_error_t* error);

/* The same for tokens that fit the context. */
llmir_status_t llmir_session_compute(llmir_session_t* session,
                                     const int32_t* tokens,
                                     size_t token_count,
                                     llmir_error_t* error);

/* Computes those; to be called before anything that reads the session's
 * tokens or pages. */
llmir_status_t llmir_session_settle(llmir_session_t* session, llmir_error_t* error);

/* Passes the text of a generated token to the text stream; 1 if a stop string was completed. */
int llmir_session_push_text(llmir_session_t* session, int32_t token);

/* CANCELLED or DEADLINE if the session is to do nothing more. `what` begins the message. */
llmir_status_t llmir_session_check_stop(const llmir_session_t* session,
                                        const char* what,
                                        llmir_error_t* error);

/* Whether one more token fits the session's context and the pool. */
int llmir_session_has_room(const llmir_session_t* session);

#endif /* LLMIR_SESSION_H */
