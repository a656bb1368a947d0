/* The scheduler's own view of itself.
 *
 *   submit -> QUEUED --admit--> RUNNING --last token--> FINISHED --destroy--> FREE
 *               ^-----preempt------'
 *
 * One thread at a time steps. It alone touches the pool, its sessions, and what a request owns that
 * is marked "stepping"; everything else is guarded by `mutex`, which is never held over a pass.
 * Requests go by `due`: the pass at which they were submitted, less those that their priority is
 * worth. It never changes, so a request can only be overtaken by finitely many later ones, and two
 * never take pages from each other in turns. */
#ifndef LLMIR_SCHEDULER_H
#define LLMIR_SCHEDULER_H

#include "core/scheduler/piece_queue.h"
#include "core/session.h"
#include "platform/platform.h"

#define LLMIR_SCHEDULER_SAMPLES 256u /* first tokens that percentiles are of */
#define LLMIR_SCHEDULER_RATES 64u    /* passes that tokens_per_second is of */

/* Internal: a place that no request has; the others are llmir_request_state_t. */
#define LLMIR_REQUEST_FREE 0u

struct llmir_request {
    llmir_scheduler_t* scheduler;
    uint32_t state; /* written by the stepping thread alone once submitted */
    uint32_t is_cancelled;
    uint32_t is_abandoned; /* destroyed, and its place is freed when it is finished */
    uint32_t was_admitted;
    int64_t due;
    uint64_t order; /* among equals */
    uint64_t submitted_ns;
    uint64_t deadline_ns; /* 0: none */
    llmir_piece_queue_t pieces;
    llmir_error_t error; /* what it finished with, if not with a piece */
    llmir_request_info_t info;
    llmir_session_t* session; /* RUNNING; guarded, since it is what cancelling reaches */
    /* stepping */
    int32_t* tokens;        /* [session_tokens] the prompt, then what was generated */
    uint32_t token_count;   /* of them, the sequence so far */
    llmir_session_t parked; /* options, and the generation while it has no session */
    size_t swap_offset;
    size_t swap_bytes; /* 0: it is not in the swap space */
};

struct llmir_scheduler {
    llmir_model_t* model;
    llmir_pool_t* pool;
    size_t block_bytes;
    uint32_t flags;
    uint32_t request_count;
    uint32_t has_thread;
    uint32_t lock_count;      /* of the next four, those that were made */
    llmir_mutex_t step_mutex; /* of those who call llmir_scheduler_step */
    llmir_mutex_t mutex;
    llmir_condition_t has_work; /* the scheduler's own thread waits for it */
    llmir_condition_t has_piece;
    llmir_thread_t thread;
    llmir_request_t* requests; /* [request_count] */
    uint32_t is_stopping;
    uint64_t submitted_count; /* the order of the next */
    llmir_scheduler_stats_t stats;
    uint64_t* first_token_ns; /* [LLMIR_SCHEDULER_SAMPLES], a ring */
    uint64_t* sorted_ns;      /* scratch of the percentiles */
    uint32_t sample_count;    /* ever */
    uint64_t rate_ns[LLMIR_SCHEDULER_RATES];
    uint32_t rate_tokens[LLMIR_SCHEDULER_RATES];
    uint32_t generated_in_step;
    /* stepping */
    llmir_request_t** running; /* [session_count] by rank, the first to come first */
    uint32_t running_count;
    llmir_feed_t* feeds;          /* [session_count] of a pass */
    llmir_request_t** feed_owner; /* [session_count] */
    uint8_t* swap;
    size_t swap_bytes;
};

/* ---- scheduler_admit.c; the mutex is held ---- */

/* Whether `a` comes before `b`. */
int llmir_request_is_before(const llmir_request_t* a, const llmir_request_t* b);

/* Whether the request has been submitted and has not finished. */
int llmir_request_is_open(const llmir_request_t* request);

/* Whether the request cannot go on until somebody takes pieces. */
int llmir_request_is_blocked(const llmir_request_t* request);

/* Ends a request: status OK after its last piece was queued, else with `error`. */
void llmir_request_finish(llmir_request_t* request, const llmir_error_t* error);

/* Frees a finished request's place, if it has been destroyed. */
void llmir_request_reclaim(llmir_request_t* request);

/* Ends the requests that were cancelled or are late. */
void llmir_scheduler_reap(llmir_scheduler_t* scheduler);

/* Gives sessions to requests that wait. */
void llmir_scheduler_admit(llmir_scheduler_t* scheduler);

/* Takes session and pages of the last request behind `request`, blocked ones before others; 0 if
 * there is none. */
int llmir_scheduler_make_room(llmir_scheduler_t* scheduler, const llmir_request_t* request);

/* ---- scheduler_pass.c ---- */

/* Samples a token for each request whose logits are there. */
void llmir_scheduler_sample(llmir_scheduler_t* scheduler);

/* Chooses the tokens of the next pass and runs it. */
void llmir_scheduler_pass(llmir_scheduler_t* scheduler);

/* ---- scheduler_swap.c ---- */

/* Keeps a running request's pages in the swap space, if there is room. */
void llmir_scheduler_swap_out(llmir_request_t* request);

/* Brings them back into its new session; 0 if there are none, and its tokens are to be computed. */
int llmir_scheduler_swap_in(llmir_request_t* request);

/* ---- scheduler_stats.c; the mutex is held ---- */

/* Notes a request's first token, and a pass. */
void llmir_scheduler_note_first_token(llmir_request_t* request, uint64_t now_ns);
void llmir_scheduler_note_pass(llmir_scheduler_t* scheduler, size_t sequences, uint64_t pass_ns);

#endif /* LLMIR_SCHEDULER_H */
