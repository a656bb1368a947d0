/* Sessions: places in a pool's arena, taken and given back. */
#include "core/session.h"

#include <string.h>

#include "core/base/deadline.h"
#include "core/logits.h"
#include "core/options.h"
#include "core/windows.h"

/* Most guesses of a session that has a pool for itself. */
#define PRIVATE_GUESSES 8u

void llmir_session_end_generation(llmir_session_t* session) {
    llmir_text_stream_reset(&session->stream);
    session->generated_count = 0;
    session->pending = -1;
    session->finish = LLMIR_FINISH_NONE;
    if (session->grammar != NULL) {
        /* It fits: creating the session has tried. */
        (void)llmir_match_begin(&session->grammar->automaton, session->match, NULL);
    }
}

llmir_session_t* llmir_session_place(llmir_pool_t* pool) {
    const llmir_pool_layout_t* layout = &pool->layout;
    const size_t row_bytes = layout->page_table_stride * sizeof(uint32_t);
    size_t index = 0;
    while (index < layout->session_count && pool->sessions[index].in_use) {
        ++index;
    }
    if (index == layout->session_count) {
        return NULL;
    }
    llmir_session_t* session = &pool->sessions[index];
    memset(session, 0, sizeof(*session));
    session->pool = pool;
    session->roll_ids = llmir_pool_at(pool, layout->roll_ids, index,
                                      2u * layout->session_tokens * sizeof(*session->roll_ids));
    session->table.pages = llmir_pool_at(pool, layout->page_tables, index, row_bytes);
    session->window.pages = llmir_pool_at(pool, layout->window_tables, index, row_bytes);
    session->logits = llmir_pool_at(pool, layout->logits, index,
                                    pool->model->record->vocab_count * sizeof(float));
    session->stream.buffer = llmir_pool_at(pool, layout->text, index, layout->text_bytes);
    session->match = llmir_pool_at(pool, layout->matches, index, sizeof(*session->match));
    const size_t guess_rows = layout->guess_tokens + 1u;
    session->guesses.ids =
        llmir_pool_at(pool, layout->guess_ids, index, guess_rows * sizeof(int32_t));
    session->guesses.logits =
        llmir_pool_at(pool, layout->guess_logits, index,
                      guess_rows * pool->model->record->vocab_count * sizeof(float));
    return session;
}

static llmir_status_t read_stop_tokens(llmir_session_t* session,
                                       const llmir_session_options_t* options,
                                       llmir_error_t* error) {
    const uint32_t vocab_count = session->pool->model->record->vocab_count;
    if (options->stop_token_count > LLMIR_MAX_STOP_TOKENS ||
        (options->stop_token_count != 0 && options->stop_tokens == NULL)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "session options: stop_tokens is NULL or stop_token_count %u, at most %u",
                          options->stop_token_count, LLMIR_MAX_STOP_TOKENS);
    }
    for (uint32_t i = 0; i < options->stop_token_count; ++i) {
        session->stop_tokens[i] = options->stop_tokens[i];
        if ((uint32_t)session->stop_tokens[i] >= vocab_count) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "session options: stop token %d, the vocabulary has %u",
                              session->stop_tokens[i], vocab_count);
        }
    }
    session->stop_token_count = options->stop_token_count;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_session_set_up(llmir_session_t* session,
                                    const llmir_session_options_t* options,
                                    llmir_error_t* error) {
    const llmir_pool_layout_t* layout = &session->pool->layout;
    if (options->overflow == LLMIR_OVERFLOW_ROLL &&
        options->sink_tokens > layout->session_tokens / 2u) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "session options: sink_tokens %u, at most half of %u",
                          options->sink_tokens, layout->session_tokens);
    }
    LLMIR_TRY(
        llmir_stop_set_init(&session->stops, options->stop_strings, options->stop_count, error));
    LLMIR_TRY(llmir_sampler_init(&session->sampler, options->sampler,
                                 session->pool->model->record->vocab_count, error));
    LLMIR_TRY(read_stop_tokens(session, options, error));
    LLMIR_TRY(llmir_logprobs_init(&session->logprobs, options, error));
    LLMIR_TRY(llmir_guesses_init(session, options, error));
    session->flags = options->flags;
    session->max_tokens = options->max_tokens;
    session->overflow = options->overflow;
    session->sink_tokens = options->sink_tokens;
    llmir_text_stream_init(&session->stream, &session->stops, session->stream.buffer,
                           layout->text_bytes);
    session->grammar = options->grammar;
    if (options->grammar != NULL) {
        if (options->grammar->model != session->pool->model) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "session options: the grammar is of another model");
        }
        LLMIR_TRY(llmir_match_begin(&options->grammar->automaton, session->match, error));
    }
    llmir_session_end_generation(session);
    return LLMIR_STATUS_OK;
}

/* The pool of a session that has one for itself. */
static llmir_status_t make_private_pool(llmir_model_t* model,
                                        const llmir_session_options_t* options,
                                        llmir_pool_t** out_pool,
                                        llmir_error_t* error) {
    llmir_pool_options_t pool_options = LLMIR_POOL_OPTIONS_INIT;
    pool_options.context_tokens = options->context_tokens;
    pool_options.chunk_tokens = options->chunk_tokens;
    pool_options.kv_type = options->kv_type;
    pool_options.session_count = 1;
    pool_options.guess_tokens =
        options->speculation != LLMIR_SPECULATION_NONE ? PRIVATE_GUESSES : 0u;
    return llmir_pool_create(model, &pool_options, out_pool, error);
}

llmir_status_t llmir_session_read_options(const llmir_session_options_t* source,
                                          llmir_session_options_t* options,
                                          llmir_error_t* error) {
    LLMIR_TRY(llmir_options_read(options, sizeof(*options), source, "session options", error));
    const uint32_t known =
        LLMIR_SESSION_IGNORE_END | LLMIR_SESSION_NO_SHARING | LLMIR_SESSION_LOGPROBS;
    if ((options->flags & ~known) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "session options: flags %#x, known are %#x", options->flags, known);
    }
    if (options->speculation > LLMIR_SPECULATION_DRAFT) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "session options: speculation %u",
                          options->speculation);
    }
    if (options->overflow > LLMIR_OVERFLOW_ROLL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "session options: overflow %u",
                          options->overflow);
    }
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_session_create(llmir_model_t* model,
                                    llmir_pool_t* pool,
                                    const llmir_session_options_t* options,
                                    llmir_session_t** out_session,
                                    llmir_error_t* error) {
    llmir_session_options_t own;
    const int is_private = pool == NULL;
    if (out_session == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "session: out_session is NULL");
    }
    *out_session = NULL;
    if (model == NULL || (pool != NULL && pool->model != model)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "session: the model is NULL or not the pool's");
    }
    LLMIR_TRY(llmir_session_read_options(options, &own, error));
    if (is_private) {
        LLMIR_TRY(make_private_pool(model, &own, &pool, error));
    }
    llmir_session_t* session = llmir_session_place(pool);
    const llmir_status_t status =
        session != NULL
            ? llmir_session_set_up(session, &own, error)
            : llmir_fail(error, LLMIR_STATUS_CAPACITY, "session: all %u of the pool are in use",
                         pool->layout.session_count);
    if (status != LLMIR_STATUS_OK) {
        if (is_private) {
            llmir_pool_destroy(pool);
        }
        return status;
    }
    session->in_use = 1;
    session->owns_pool = is_private ? 1u : 0u;
    *out_session = session;
    return LLMIR_STATUS_OK;
}

void llmir_session_copy_state(const llmir_session_t* from, llmir_session_t* to) {
    to->flags = from->flags;
    to->overflow = from->overflow;
    to->sink_tokens = from->sink_tokens;
    to->sampler = from->sampler;
    to->stops = from->stops;
    to->stop_token_count = from->stop_token_count;
    memcpy(to->stop_tokens, from->stop_tokens, sizeof(to->stop_tokens));
    to->logprobs = from->logprobs;
    to->max_tokens = from->max_tokens;
    to->generated_count = from->generated_count;
    to->pending = from->pending;
    to->finish = from->finish;
    to->guesses.kind = from->guesses.kind;
    to->guesses.draft = from->guesses.draft;
    to->guesses.size = from->guesses.size;
    to->guesses.pause = from->guesses.pause;
    to->guesses.backoff = from->guesses.backoff;
    to->grammar = from->grammar;
    if (from->grammar != NULL) {
        *to->match = *from->match;
    }
    char* buffer = to->stream.buffer;
    to->stream = from->stream;
    to->stream.stops = &to->stops;
    to->stream.buffer = buffer;
    memcpy(buffer, from->stream.buffer, from->stream.end);
}

/* The child's own memory, the parent's contents; pages are shared. */
static void copy_session(const llmir_session_t* parent, llmir_session_t* child) {
    llmir_pool_t* pool = parent->pool;
    llmir_session_copy_state(parent, child);
    child->position = parent->position;
    child->uncomputed = parent->uncomputed;
    memcpy(child->roll_ids, parent->roll_ids, parent->uncomputed * sizeof(*child->roll_ids));
    child->has_logits = parent->has_logits;
    if (LLMIR_HAS_DEVICES) {
        child->logits_row = parent->logits_row;
        child->largest = parent->largest;
    }
    if (parent->has_logits) {
        memcpy(child->logits, parent->logits,
               pool->model->record->vocab_count * sizeof(*child->logits));
    }
    llmir_kv_pages_fork(&pool->pages, &parent->table, &child->table);
    llmir_kv_pages_fork(&pool->window_pages, &parent->window, &child->window);
    /* Behind the position there may be guesses, which stay the parent's. */
    llmir_kv_pages_shrink(&pool->pages, &child->table, child->position);
    if (child->window.token_count > child->position) {
        llmir_kv_pages_shrink(&pool->window_pages, &child->window, child->position);
    }
    child->in_use = 1;
}

llmir_status_t llmir_session_fork(const llmir_session_t* session,
                                  llmir_session_t** out_session,
                                  llmir_error_t* error) {
    if (session == NULL || out_session == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "fork: session or out_session is NULL");
    }
    *out_session = NULL;
    llmir_session_t* child = llmir_session_place(session->pool);
    if (child == NULL) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "fork: all %u sessions of the pool are used",
                          session->pool->layout.session_count);
    }
    copy_session(session, child);
    *out_session = child;
    return LLMIR_STATUS_OK;
}

void llmir_session_destroy(llmir_session_t* session) {
    if (session == NULL) {
        return;
    }
    llmir_pool_t* pool = session->pool;
    const int owns_pool = session->owns_pool != 0;
    (void)llmir_windows_retreat(session, 0);
    session->in_use = 0;
    if (owns_pool) {
        llmir_pool_destroy(pool);
    }
}

void llmir_session_reset(llmir_session_t* session) {
    if (session == NULL) {
        return;
    }
    session->guesses.count = 0;
    (void)llmir_windows_retreat(session, 0);
    session->uncomputed = 0;
    session->has_logits = 0;
    llmir_sampler_restart(&session->sampler);
    llmir_session_end_generation(session);
}

llmir_status_t llmir_session_truncate(llmir_session_t* session,
                                      uint32_t position,
                                      llmir_error_t* error) {
    if (session == NULL || position > llmir_session_position(session)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "truncate: position %u, the session is at %u", position,
                          llmir_session_position(session));
    }
    llmir_session_drop_guesses(session);
    session->uncomputed = position > session->position ? position - session->position : 0u;
    if (session->uncomputed == 0) {
        llmir_session_rewind(session, position);
    }
    session->has_logits = 0;
    llmir_session_end_generation(session);
    return LLMIR_STATUS_OK;
}

uint32_t llmir_session_position(const llmir_session_t* session) {
    return session != NULL ? session->position + session->uncomputed : 0;
}

const float* llmir_session_logits(const llmir_session_t* session) {
    if (session == NULL || !session->has_logits ||
        (LLMIR_HAS_DEVICES &&
         llmir_logits_load((llmir_session_t*)session, NULL) != LLMIR_STATUS_OK)) {
        return NULL; /* loading changes where they are, not what */
    }
    return session->logits;
}

llmir_status_t llmir_session_set_sampler(llmir_session_t* session,
                                         const llmir_sampler_options_t* sampler,
                                         llmir_error_t* error) {
    llmir_sampler_t made;
    if (session == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "set_sampler: the session is NULL");
    }
    LLMIR_TRY(llmir_sampler_init(&made, sampler, session->pool->model->record->vocab_count, error));
    session->sampler = made;
    return LLMIR_STATUS_OK;
}

/* Both flags are plain atomics, so that a signal handler may run this. The order, the session's
 * first, is what feed.c relies on. */
void llmir_session_cancel(llmir_session_t* session) {
    if (session != NULL) {
        llmir_pool_t* pool = session->pool;
        llmir_atomic_store_release(&session->cancel, 1);
        (void)llmir_atomic_add(&pool->cancel_order, 1);
        llmir_atomic_store_release(&pool->cancel, 1);
        llmir_session_cancel(session->guesses.draft);
    }
}

void llmir_session_clear_cancel(llmir_session_t* session) {
    if (session != NULL) {
        llmir_atomic_store_release(&session->cancel, 0);
        llmir_session_clear_cancel(session->guesses.draft);
    }
}

void llmir_session_set_deadline(llmir_session_t* session, uint64_t timeout_ns) {
    if (session != NULL) {
        llmir_atomic_store_release(
            &session->deadline, timeout_ns != 0 ? llmir_deadline_after(llmir_clock_ns(), timeout_ns)
                                                : LLMIR_DEADLINE_NONE);
        llmir_session_set_deadline(session->guesses.draft, timeout_ns);
    }
}

llmir_status_t llmir_session_check_stop(const llmir_session_t* session,
                                        const char* what,
                                        llmir_error_t* error) {
    if (llmir_atomic_load_acquire(&session->cancel) != 0) {
        return llmir_fail(error, LLMIR_STATUS_CANCELLED, "%s: cancelled", what);
    }
    const uint32_t deadline = llmir_atomic_load_acquire(&session->deadline);
    if (deadline != LLMIR_DEADLINE_NONE && llmir_deadline_is_over(deadline, llmir_clock_ns())) {
        return llmir_fail(error, LLMIR_STATUS_DEADLINE, "%s: the session's deadline is over", what);
    }
    return LLMIR_STATUS_OK;
}
