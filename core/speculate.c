/* Speculation: guesses are computed in one pass with the token that was sampled, and the logits
 * behind each are kept. Then tokens are sampled as ever, from the same logits in the same order, so
 * that nothing can differ; as long as a token is what was guessed, its logits are there.
 *
 *   position ->|                       ids     t   g1   g2   g3
 *   ... tokens | g1 g2 g3              logits  of  t    g1   g2   g3      next = 0
 *
 * Guesses lie behind the session's position and are nobody's until they are accepted. How many are
 * made follows how many were right: a pass with guesses takes longer, so text that cannot be
 * guessed is soon left alone, for longer and longer.
 *
 * Sources: Leviathan et al., "Fast inference from transformers via speculative decoding" (2023);
 * the look-up is "prompt lookup decoding" (Saxena, 2023). */
#include <string.h>

#include "core/logits.h"
#include "core/session.h"
#include "core/windows.h"

#define FIRST_SIZE 3u   /* guesses where nothing is known of their luck */
#define LOOKUP_LEAST 3u /* tokens that must have stood together before */
#define LOOKUP_MOST 16u /* tokens compared */
#define FIRST_PAUSE 8u
#define LAST_PAUSE 64u

llmir_status_t llmir_guesses_init(llmir_session_t* session,
                                  const llmir_session_options_t* options,
                                  llmir_error_t* error) {
    llmir_guesses_t* guesses = &session->guesses;
    const llmir_session_t* draft = options->draft;
    if (options->speculation == LLMIR_SPECULATION_NONE) {
        return LLMIR_STATUS_OK;
    }
    if (session->pool->layout.guess_tokens == 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "session options: speculation in a pool whose guess_tokens are 0");
    }
    if (options->speculation == LLMIR_SPECULATION_DRAFT) {
        if (draft == NULL || draft->pool == session->pool) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "session options: the draft is NULL or in the session's own pool");
        }
        const uint32_t vocab = session->pool->model->record->vocab_count;
        const uint32_t draft_vocab = draft->pool->model->record->vocab_count;
        if (vocab != draft_vocab) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "session options: the draft has %u tokens, expected %u", draft_vocab,
                              vocab);
        }
        guesses->draft = options->draft;
    }
    guesses->kind = options->speculation;
    guesses->size = FIRST_SIZE;
    return LLMIR_STATUS_OK;
}

/* ---- How many ---- */

/* Learns from guesses of which `right` were what was sampled. */
static void learn(llmir_guesses_t* guesses, uint32_t right) {
    if (right == guesses->count) {
        guesses->size = 2u * guesses->size;
        guesses->backoff = 0;
    } else if (right != 0) {
        guesses->size = right + 1u;
    } else {
        guesses->backoff = guesses->backoff == 0 ? FIRST_PAUSE : 2u * guesses->backoff;
        guesses->backoff = guesses->backoff < LAST_PAUSE ? guesses->backoff : LAST_PAUSE;
        guesses->pause = guesses->backoff;
        guesses->size = FIRST_SIZE;
    }
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* How many guesses the session has use and room for, behind a sampled token. */
static uint32_t size_of(llmir_session_t* session, uint32_t most) {
    const llmir_pool_layout_t* layout = &session->pool->layout;
    llmir_guesses_t* guesses = &session->guesses;
    if (guesses->kind == LLMIR_SPECULATION_NONE) {
        return 0;
    }
    if (guesses->pause != 0) {
        guesses->pause -= 1u;
        return 0;
    }
    if (session->position + 1u >= layout->session_tokens) {
        return 0;
    }
    guesses->size = smaller(guesses->size, layout->guess_tokens);
    uint32_t size = smaller(guesses->size, most);
    size = smaller(size, layout->session_tokens - session->position - 1u);
    size = smaller(size, smaller(layout->chunk_tokens, layout->output_rows) - 1u);
    if (session->max_tokens != 0) {
        const uint32_t said = session->generated_count + 1u;
        size = said < session->max_tokens ? smaller(size, session->max_tokens - said) : 0u;
    }
    return size;
}

/* ---- Which ---- */

static int32_t token_at(const llmir_session_t* session, uint32_t position) {
    return *llmir_kv_pages_token(&session->pool->pages, &session->table, position);
}

/* How many of the last tokens stand before position `at`, too; token `at` is the last one. */
static uint32_t match_length(const llmir_session_t* session, uint32_t at) {
    uint32_t length = 1;
    while (length < LOOKUP_MOST && length <= at &&
           token_at(session, at - length) == token_at(session, session->position - length)) {
        ++length;
    }
    return length;
}

/* The continuation of the longest earlier text that ends as this one does; the latest among
 * equals. */
static uint32_t look_up(llmir_session_t* session, int32_t token, uint32_t size) {
    uint32_t best = 0;
    uint32_t best_length = LOOKUP_LEAST - 1u;
    for (uint32_t at = session->position; at-- != 0 && best_length < LOOKUP_MOST;) {
        if (token_at(session, at) == token) {
            const uint32_t length = match_length(session, at);
            if (length > best_length) {
                best_length = length;
                best = at + 1u;
            }
        }
    }
    if (best_length < LOOKUP_LEAST) {
        return 0;
    }
    const uint32_t count = smaller(size, session->position + 1u - best);
    for (uint32_t i = 0; i < count; ++i) {
        session->guesses.ids[1u + i] =
            best + i < session->position ? token_at(session, best + i) : token;
    }
    return count;
}

/* Makes the draft's tokens those of the session, then `token`. */
static llmir_status_t follow(const llmir_session_t* session, int32_t token) {
    llmir_session_t* draft = session->guesses.draft;
    llmir_guesses_t* known = &draft->guesses;
    if (known->user != session) {
        known->user = session;
        known->common = 0;
    }
    uint32_t common = smaller(known->common, smaller(draft->position, session->position));
    while (common < draft->position && common < session->position &&
           token_at(draft, common) == token_at(session, common)) {
        ++common;
    }
    known->common = common;
    LLMIR_TRY(llmir_session_truncate(draft, common, NULL));
    /* Nothing waits to be rolled, or there would be no token to guess behind. */
    const uint32_t count = session->position - common;
    for (uint32_t i = 0; i < count; ++i) {
        session->roll_ids[i] = token_at(session, common + i);
    }
    session->roll_ids[count] = token;
    return llmir_session_run(draft, session->roll_ids, count + 1u, NULL);
}

static int32_t likeliest(const llmir_session_t* session) {
    const uint32_t vocab = session->pool->model->record->vocab_count;
    uint32_t best = 0;
    if (LLMIR_HAS_DEVICES && session->logits_row != 0) {
        return session->largest;
    }
    for (uint32_t i = 1; i < vocab; ++i) {
        best = session->logits[i] > session->logits[best] ? i : best;
    }
    return (int32_t)best;
}

/* What the draft says; it stops where it fails, or its context ends. */
static uint32_t ask_draft(llmir_session_t* session, int32_t token, uint32_t size) {
    llmir_session_t* draft = session->guesses.draft;
    const uint32_t context = draft->pool->layout.session_tokens;
    uint32_t count = 0;
    if (session->position + 1u + size > context || follow(session, token) != LLMIR_STATUS_OK) {
        return 0;
    }
    while (count < size) {
        const int32_t guess = likeliest(draft);
        session->guesses.ids[1u + count++] = guess;
        if (count < size && llmir_session_run(draft, &guess, 1, NULL) != LLMIR_STATUS_OK) {
            break;
        }
    }
    return count;
}

uint32_t llmir_session_guess(llmir_session_t* session, int32_t token, uint32_t most) {
    llmir_guesses_t* guesses = &session->guesses;
    const uint32_t size = size_of(session, most);
    guesses->next = 0;
    guesses->count = 0;
    if (size != 0) {
        guesses->ids[0] = token;
        guesses->count = guesses->kind == LLMIR_SPECULATION_LOOKUP
                             ? look_up(session, token, size)
                             : ask_draft(session, token, size);
    }
    return guesses->count;
}

/* ---- Accepting ---- */

void llmir_session_drop_guesses(llmir_session_t* session) {
    if (session->guesses.count != 0) {
        session->guesses.count = 0;
        llmir_session_rewind(session, session->position);
    }
}

int llmir_session_accept_guess(llmir_session_t* session, int32_t token) {
    llmir_guesses_t* guesses = &session->guesses;
    if (guesses->count == 0) {
        return 0;
    }
    if (guesses->ids[1u + guesses->next] != token) {
        learn(guesses, guesses->next);
        llmir_session_drop_guesses(session);
        return 0;
    }
    const size_t vocab = session->pool->model->record->vocab_count;
    guesses->next += 1u;
    session->pool->accepted_count += 1u;
    memcpy(session->logits, guesses->logits + guesses->next * vocab, vocab * sizeof(float));
    llmir_session_commit(session, &token, 1);
    if (guesses->next == guesses->count) {
        learn(guesses, guesses->next);
        guesses->count = 0; /* nothing lies behind the position now */
    }
    return 1;
}

llmir_status_t llmir_session_advance(llmir_session_t* session,
                                     int32_t token,
                                     llmir_error_t* error) {
    llmir_pool_t* pool = session->pool;
    if (llmir_session_accept_guess(session, token)) {
        return LLMIR_STATUS_OK;
    }
    const uint32_t count = llmir_session_guess(session, token, UINT32_MAX);
    if (count != 0) {
        const llmir_feed_t feed = {session, session->guesses.ids, count + 1u,
                                   session->guesses.logits};
        const llmir_status_t status = llmir_pool_compute(pool, &feed, 1, 1, error);
        if (status != LLMIR_STATUS_CAPACITY) {
            return status;
        }
    }
    return llmir_session_run(session, &token, 1, error); /* alone: pages are short */
}
