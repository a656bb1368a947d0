/* Where a session's logits are. A device that finds the largest itself keeps them until something
 * needs more than that; then, or before a pass overwrites them, they are read. */
#ifndef LLMIR_LOGITS_H
#define LLMIR_LOGITS_H

#include "core/session.h"

/* session->logits_row: the logits were overwritten by a pass that failed. */
#define LLMIR_LOGITS_LOST UINT32_MAX

/* Whether the next token is the largest logit, and nothing else looks at them. */
int llmir_logits_are_plain(const llmir_session_t* session);

/* To be called before a pass over `feeds`, which gives them all new logits, writes any: reads those
 * of other sessions. */
llmir_status_t llmir_logits_keep(llmir_pool_t* pool,
                                 const llmir_feed_t* feeds,
                                 size_t feed_count,
                                 llmir_error_t* error);

/* Gives a session output row `row` of the pass that has run. `may_wait`: its logits may stay where
 * they are. */
llmir_status_t llmir_logits_take(llmir_session_t* session,
                                 uint32_t row,
                                 int may_wait,
                                 llmir_error_t* error);

/* To be called before a token is sampled: loads the logits, unless the largest is all that counts.
 */
llmir_status_t llmir_logits_need(llmir_session_t* session, llmir_error_t* error);

/* Makes session->logits what they are. Errors: those of reading; INVALID_ARGUMENT, if they are
 * lost. */
llmir_status_t llmir_logits_load(llmir_session_t* session, llmir_error_t* error);

/* Reads output row `row` of the last pass. */
llmir_status_t llmir_logits_read(const llmir_pool_t* pool,
                                 uint32_t row,
                                 float* out_logits,
                                 llmir_error_t* error);

#endif /* LLMIR_LOGITS_H */
