/* Rolling: when the context of L tokens is full, the first S stay (sinks), and of the others the
 * newest K = (L - S) / 2; the L - S - K between them are forgotten. The kept ones are computed
 * again at the positions behind the sinks. Keys are stored rotated to their positions and may be
 * quantized, so turning them to other positions would lose precision at each roll; computing them
 * gives the bits of a session that was fed the kept tokens alone, for any storage and any target.
 *
 * What a feed leaves depends on the tokens alone, so all its rolls are done at once. The sequence
 * is cut to the sinks first, since the pool may have no room for both; should the computation be
 * stopped then, the old tokens wait in `roll_ids` and the next call computes them first. */
#include <string.h>

#include "core/windows.h"

/* Tokens that are left of `count` after as many rolls as it takes. */
static size_t length_after(const llmir_session_t* session, size_t count) {
    const size_t limit = session->pool->layout.session_tokens;
    const size_t dropped = (limit - session->sink_tokens + 1u) / 2u;
    return count <= limit ? count : count - (count - limit + dropped - 1u) / dropped * dropped;
}

/* Moves the ids behind the sinks to roll_ids and gives their pages back; all ids, where windows
 * have not kept the pages of the sinks. */
static void give_up_pages(llmir_session_t* session) {
    const uint32_t position = session->position;
    const llmir_kv_pages_t* pages = &session->pool->pages;
    /* Giving back pages leaves their ids where they are. */
    const uint32_t kept = llmir_windows_retreat(session, session->sink_tokens);
    for (uint32_t i = kept; i < position; ++i) {
        session->roll_ids[i - kept] = *llmir_kv_pages_token(pages, &session->table, i);
    }
    session->uncomputed = position - kept;
}

llmir_status_t llmir_session_settle(llmir_session_t* session, llmir_error_t* error) {
    const uint32_t has_logits = session->has_logits;
    if (session->uncomputed != 0) {
        LLMIR_TRY(llmir_session_compute(session, session->roll_ids, session->uncomputed, error));
        session->uncomputed = 0;
        session->has_logits = has_logits;
    }
    return LLMIR_STATUS_OK;
}

/* Feeds tokens that overflow the context: all that is to be computed goes through in one call, so
 * that the logits change only if it succeeds. */
static llmir_status_t roll(llmir_session_t* session,
                           const int32_t* tokens,
                           size_t count,
                           llmir_error_t* error) {
    const uint32_t sinks = session->sink_tokens;
    const size_t kept = length_after(session, session->position + count) - sinks;
    const size_t kept_new = kept < count ? kept : count;
    int32_t* list = session->roll_ids;
    size_t first = 0; /* ids of sinks at the start of the list */
    size_t list_count = 0;
    if (session->position < sinks) {
        /* Early, and longer than the context: what is fed has the rest of the sinks itself. */
        first = list_count = sinks - session->position;
        memcpy(list, tokens, list_count * sizeof(*list));
    } else {
        give_up_pages(session);
        list_count = session->uncomputed;
        first = sinks - session->position;
    }
    const size_t kept_old = session->uncomputed != 0 ? kept - kept_new : 0u;
    /* What is computed goes behind what a failure must leave: sinks, kept old ones, new ones. */
    int32_t* feed = list + session->uncomputed;
    memmove(feed, list, first * sizeof(*list));
    memcpy(feed + first, list + (list_count - kept_old), kept_old * sizeof(*list));
    memcpy(feed + first + kept_old, tokens + (count - kept_new), kept_new * sizeof(*list));
    LLMIR_TRY(llmir_session_compute(session, feed, first + kept_old + kept_new, error));
    session->uncomputed = 0;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_session_run(llmir_session_t* session,
                                 const int32_t* tokens,
                                 size_t token_count,
                                 llmir_error_t* error) {
    llmir_session_drop_guesses(session);
    LLMIR_TRY(llmir_session_settle(session, error));
    const size_t room = session->pool->layout.session_tokens - session->position;
    return session->overflow == LLMIR_OVERFLOW_ROLL && token_count > room
               ? roll(session, tokens, token_count, error)
               : llmir_session_compute(session, tokens, token_count, error);
}
