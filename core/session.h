/* A session: one sequence of a pool, with its sampler and its text. It lies in the pool's arena. */
#ifndef LLMIR_SESSION_H
#define LLMIR_SESSION_H

#include "core/grammar/grammar.h"
#include "core/logprobs.h"
#include "core/pool.h"
#include "core/text_stream.h"

/* Tokens guessed ahead: see speculate.c. */
typedef struct llmir_guesses {
    uint32_t kind;               /* llmir_speculation_t */
    llmir_session_t* draft;      /* of LLMIR_SPECULATION_DRAFT */
    int32_t* ids;                /* [guess_tokens + 1] a token that was sampled, then the guesses */
    float* logits;               /* f32 [guess_tokens + 1][vocab] that follow each of them */
    uint32_t count;              /* guesses computed behind `position` */
    uint32_t next;               /* of them, the one that would be sampled next */
    uint32_t size;               /* how many to guess */
    uint32_t pause;              /* tokens that pass without guesses */
    uint32_t backoff;            /* how long the next pause is */
    const llmir_session_t* user; /* of a draft: whose text it has, as far as `common` */
    uint32_t common;
} llmir_guesses_t;

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
    /* logits.h: 0: they are in `logits`; otherwise 1 + the output row of the last pass where they
     * lie, or LLMIR_LOGITS_LOST, and `largest` is the token with the largest. */
    uint32_t logits_row;
    int32_t largest;
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
    uint32_t stop_token_count;
    int32_t stop_tokens[LLMIR_MAX_STOP_TOKENS];
    llmir_logprobs_t logprobs; /* with LLMIR_SESSION_LOGPROBS: of the last piece */
    llmir_guesses_t guesses;
};

/* A place of the pool that no session has, with its memory; NULL: all are in use. */
llmir_session_t* llmir_session_place(llmir_pool_t* pool);

/* Reads and checks the options that need no pool to be judged. Errors: INVALID_ARGUMENT. */
llmir_status_t llmir_session_read_options(const llmir_session_options_t* source,
                                          llmir_session_options_t* options,
                                          llmir_error_t* error);

/* Makes what has the memory of a session (`pool`, `match`, `stream`'s buffer) one with these
 * options. */
llmir_status_t llmir_session_set_up(llmir_session_t* session,
                                    const llmir_session_options_t* options,
                                    llmir_error_t* error);

/* Copies options and generation, the sampler's and the grammar's state and the text held back among
 * it; not the tokens, pages, logits, cancellation and deadline. */
void llmir_session_copy_state(const llmir_session_t* from, llmir_session_t* to);

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

/* Takes cached pages that continue the session with `tokens`, and moves it behind them; returns
 * tokens. */
uint32_t llmir_session_take_cached(llmir_session_t* session, const int32_t* tokens, size_t count);

/* Reserves pages for `count` more tokens; CAPACITY leaves what was reserved for a rewind. */
llmir_status_t llmir_session_reserve(llmir_session_t* session, size_t count, llmir_error_t* error);

/* One pass over feeds that were checked, of settled sessions, all different. The first `row_feeds`
 * leave logits. On failure no session has changed. */
llmir_status_t llmir_pool_compute(llmir_pool_t* pool,
                                  const llmir_feed_t* feeds,
                                  size_t feed_count,
                                  size_t row_feeds,
                                  llmir_error_t* error);

/* ---- speculate.c ---- */

/* Sets speculation up for a session that has its memory. Errors: INVALID_ARGUMENT. */
llmir_status_t llmir_guesses_init(llmir_session_t* session,
                                  const llmir_session_options_t* options,
                                  llmir_error_t* error);

/* Guesses up to `most` tokens that follow `token`, which was sampled: `guesses` has their ids and
 * their count, which is returned. */
uint32_t llmir_session_guess(llmir_session_t* session, int32_t token, uint32_t most);

/* If `token` was guessed, takes it into the sequence with the logits that follow it and returns 1;
 * else gives all guesses up. */
int llmir_session_accept_guess(llmir_session_t* session, int32_t token);

/* Gives up guesses; to be called before anything else that moves the session. */
void llmir_session_drop_guesses(llmir_session_t* session);

/* Feeds a sampled token, together with guesses where there are any. */
llmir_status_t llmir_session_advance(llmir_session_t* session, int32_t token, llmir_error_t* error);

/* ---- feed.c ---- */

/* Tokens computed belong to the sequence now. */
void llmir_session_commit(llmir_session_t* session, const int32_t* tokens, uint32_t count);

/* Samples the next token, -1 where a grammar leaves nothing to say, and passes its text to the
 * stream; leaves the finish that it brings in the session. */
llmir_status_t llmir_session_sample(llmir_session_t* session,
                                    int32_t* out_token,
                                    llmir_error_t* error);

/* The piece of a token sampled: its finish, and the text that became certain. */
void llmir_session_fill_piece(llmir_session_t* session, int32_t token, llmir_piece_t* out_piece);

/* Passes the text of a generated token to the text stream; 1 if a stop string was completed. */
int llmir_session_push_text(llmir_session_t* session, int32_t token);

/* CANCELLED or DEADLINE if the session is to do nothing more. `what` begins the message. */
llmir_status_t llmir_session_check_stop(const llmir_session_t* session,
                                        const char* what,
                                        llmir_error_t* error);

/* Whether one more token fits the session's context and the pool. */
int llmir_session_has_room(const llmir_session_t* session);

#endif /* LLMIR_SESSION_H */
