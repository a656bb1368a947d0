/* Feeding tokens: building the flat batch of a pass, running it, taking the logits. A pass changes
 * its sessions only after it has succeeded; until then they merely hold more pages. */
#include "core/session.h"

#include <string.h>

#include "core/base/deadline.h"
#include "core/logits.h"
#include "core/trace.h"
#include "core/windows.h"

/* ---- Arguments and room ---- */

static llmir_status_t check_tokens(const llmir_session_t* session,
                                   const int32_t* tokens,
                                   size_t count,
                                   llmir_error_t* error) {
    const uint32_t vocab = session->pool->model->record->vocab_count;
    if (tokens == NULL || count == 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "feed: no tokens");
    }
    for (size_t i = 0; i < count; ++i) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "feed: token %zu is %d, expected 0 to %u", i, tokens[i], vocab - 1u);
        }
    }
    return LLMIR_STATUS_OK;
}

/* Copies a page of the layers that are, or are not, kept apart because of their window, if there is
 * something to copy. */
static llmir_status_t copy_page(llmir_pool_t* pool,
                                llmir_kv_copy_t copy,
                                int apart,
                                llmir_error_t* error) {
    if (copy.from == LLMIR_KV_NO_PAGE) {
        return LLMIR_STATUS_OK;
    }
    pool->copied_count += 1u;
    const uint32_t layers = pool->model->plan.record->kv_layer_count;
    for (uint32_t i = 0; i < layers * llmir_model_stage_count(pool->model); ++i) {
        const llmir_page_place_t to = llmir_pool_page(pool, i / layers, i % layers, copy.to);
        const llmir_page_place_t from = llmir_pool_page(pool, i / layers, i % layers, copy.from);
        if (llmir_pool_is_apart(pool, i % layers) == apart && to.bytes != 0) {
            LLMIR_TRY(to.buffer->device->target->buffer_copy(to.buffer, to.offset, from.offset,
                                                             to.bytes, error));
        }
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t no_pages(const llmir_session_t* session,
                               const llmir_kv_pages_t* pages,
                               size_t count,
                               llmir_error_t* error) {
    return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                      "feed: %zu tokens at position %u, %u of the pool's %u%s pages of %u tokens "
                      "are free",
                      count, session->position, llmir_kv_pages_available(pages), pages->page_count,
                      pages == &session->pool->window_pages ? " window" : "", pages->page_tokens);
}

/* Reserves pages for `count` more tokens; those of windows are reserved for each pass. */
static llmir_status_t reserve_pages(llmir_session_t* session, size_t count, llmir_error_t* error) {
    llmir_pool_t* pool = session->pool;
    const uint32_t context = pool->layout.session_tokens;
    llmir_kv_copy_t copy;
    if (count > context - session->position) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "feed: %zu tokens at position %u, the session's context has %u", count,
                          session->position, context);
    }
    if (!llmir_kv_pages_grow(&pool->pages, &session->table, session->position + (uint32_t)count,
                             &copy)) {
        return no_pages(session, &pool->pages, count, error);
    }
    return copy_page(pool, copy, 0, error);
}

static llmir_status_t reserve_window(llmir_session_t* session, size_t count, llmir_error_t* error) {
    llmir_pool_t* pool = session->pool;
    llmir_kv_copy_t copy;
    if (!llmir_windows_grow(session, session->position + (uint32_t)count, &copy)) {
        return no_pages(session, &pool->window_pages, count, error);
    }
    return copy_page(pool, copy, 1, error);
}

llmir_status_t llmir_session_reserve(llmir_session_t* session, size_t count, llmir_error_t* error) {
    LLMIR_TRY(reserve_pages(session, count, error));
    return reserve_window(session, count, error);
}

int llmir_session_has_room(const llmir_session_t* session) {
    const llmir_kv_pages_t* pages = &session->pool->pages;
    if (session->guesses.count != 0 ||
        (session->overflow == LLMIR_OVERFLOW_ROLL &&
         session->position == session->pool->layout.session_tokens)) {
        return 1; /* where a guess lies, there is room */
    }
    return session->position < session->pool->layout.session_tokens &&
           llmir_kv_pages_can_grow(pages, &session->table, session->position + 1u) &&
           llmir_windows_can_grow(session, session->position + 1u);
}

/* ---- One pass ---- */

/* The feeds of one pass. Outputs: of the first `row_feeds` feeds the last token's row, or all of a
 * feed with all_logits; none of the others. */
typedef struct feed_pass {
    llmir_pool_t* pool;
    const llmir_feed_t* feeds;
    size_t feed_count;
    size_t row_feeds;
} feed_pass_t;

static size_t output_rows_of(const feed_pass_t* pass, size_t index) {
    if (index >= pass->row_feeds) {
        return 0;
    }
    return pass->feeds[index].all_logits != NULL ? pass->feeds[index].token_count : 1u;
}

/* Appends the tokens of feed `index` to the batch. */
static void append_feed(const feed_pass_t* pass, uint32_t index, llmir_batch_t* batch) {
    llmir_pool_t* pool = pass->pool;
    const llmir_feed_t* feed = &pass->feeds[index];
    const llmir_session_t* session = feed->session;
    const size_t rows = output_rows_of(pass, index);
    const uint32_t first = batch->token_count;
    for (uint32_t i = 0; i < feed->token_count; ++i) {
        pool->tokens[first + i] = feed->tokens[i];
        pool->positions[first + i] = (int32_t)(session->position + i);
        pool->token_sequence[first + i] = index;
        if (i + rows >= feed->token_count) {
            pool->output_indices[batch->output_count++] = first + i;
        }
    }
    batch->token_count += (uint32_t)feed->token_count;
    memcpy(pool->batch_tables + (size_t)index * pool->layout.page_table_stride,
           session->table.pages,
           llmir_kv_pages_for(&pool->pages, session->table.token_count) * sizeof(uint32_t));
    memcpy(pool->batch_windows + (size_t)index * pool->layout.page_table_stride,
           session->window.pages,
           llmir_kv_pages_for(&pool->pages, session->window.token_count) * sizeof(uint32_t));
}

static llmir_batch_t build_batch(const feed_pass_t* pass) {
    llmir_pool_t* pool = pass->pool;
    llmir_batch_t batch = {
        .sequence_count = (uint32_t)pass->feed_count,
        .kv_type = pool->layout.kv_type,
        .page_table_stride = pool->layout.page_table_stride,
        .tokens = pool->tokens,
        .positions = pool->positions,
        .token_sequence = pool->token_sequence,
        .output_rows = pool->output_indices,
        .page_table = pool->batch_tables,
    };
    if (pool->layout.window_page_count != 0) {
        batch.window_table = pool->batch_windows;
    }
    for (uint32_t i = 0; i < pass->feed_count; ++i) {
        append_feed(pass, i, &batch);
    }
    return batch;
}

static llmir_status_t check_stop(const feed_pass_t* pass, llmir_error_t* error) {
    for (size_t i = 0; i < pass->feed_count; ++i) {
        LLMIR_TRY(llmir_session_check_stop(pass->feeds[i].session, "feed", error));
    }
    return LLMIR_STATUS_OK;
}

/* The deadline of a pass: the session's own, which may change meanwhile, or the earliest of all. */
static const llmir_atomic_u32_t* pass_deadline(const feed_pass_t* pass) {
    uint32_t earliest = LLMIR_DEADLINE_NONE;
    if (pass->feed_count == 1) {
        return &pass->feeds[0].session->deadline;
    }
    for (size_t i = 0; i < pass->feed_count; ++i) {
        earliest = llmir_deadline_earlier(
            earliest, llmir_atomic_load_acquire(&pass->feeds[i].session->deadline));
    }
    llmir_atomic_store_release(&pass->pool->deadline, earliest);
    return &pass->pool->deadline;
}

/* Whether a token is chosen for which the largest logit is all that counts. Nothing is known of any
 * row then, until the device tells. */
static int wants_largest(const feed_pass_t* pass) {
    llmir_pool_t* pool = pass->pool;
    int wanted = 0;
    memset(pool->largest, 0xff, pool->layout.output_rows * sizeof(*pool->largest));
    for (size_t i = 0; i < pass->row_feeds; ++i) {
        const llmir_feed_t* feed = &pass->feeds[i];
        wanted |= feed->all_logits == NULL && llmir_logits_are_plain(feed->session);
    }
    return wanted;
}

static llmir_status_t submit(const feed_pass_t* pass,
                             const llmir_batch_t* batch,
                             const llmir_atomic_u32_t* cancel,
                             llmir_error_t* error) {
    llmir_pool_t* pool = pass->pool;
    const llmir_model_t* model = pool->model;
    llmir_trace_t trace = llmir_trace_begin(model->runtime, &model->plan, batch);
    const llmir_stage_pass_t stage_pass = {
        .batch = batch,
        .cancel = cancel,
        .deadline = pass_deadline(pass),
        .trace = &trace,
        .largest = LLMIR_HAS_DEVICES && wants_largest(pass) ? pool->largest : NULL};
    llmir_trace_pass(&trace, LLMIR_TRACE_BEGIN);
    const llmir_status_t status = llmir_stages_run(
        model->stages, pool->memory, llmir_model_stage_count(model), &stage_pass, error);
    llmir_trace_pass(&trace, LLMIR_TRACE_END);
    return status;
}

/* Runs the batch. A device watches one flag: that of the session, or with several sessions the
 * pool's, which any session's cancellation sets. Clearing the pool's flag before looking at the
 * sessions' (with a full barrier between, as in llmir_session_cancel) loses no cancellation; one
 * that was meant for a session outside of this pass only repeats the pass, which writes the same
 * values again. */
static llmir_status_t run_batch(const feed_pass_t* pass,
                                const llmir_batch_t* batch,
                                llmir_error_t* error) {
    llmir_pool_t* pool = pass->pool;
    for (;;) {
        llmir_atomic_store_release(&pool->cancel, 0);
        (void)llmir_atomic_add(&pool->cancel_order, 1);
        LLMIR_TRY(check_stop(pass, error));
        const llmir_atomic_u32_t* cancel =
            pass->feed_count == 1 ? &pass->feeds[0].session->cancel : &pool->cancel;
        const llmir_status_t status = submit(pass, batch, cancel, error);
        if (status != LLMIR_STATUS_CANCELLED || check_stop(pass, NULL) != LLMIR_STATUS_OK) {
            pool->device_lost |= status == LLMIR_STATUS_DEVICE_LOST;
            return status;
        }
    }
}

/* Copies the logits of a feed out of the pass; *inout_row is its first output row. */
static llmir_status_t read_logits(const feed_pass_t* pass,
                                  size_t index,
                                  uint32_t* inout_row,
                                  llmir_error_t* error) {
    const llmir_feed_t* feed = &pass->feeds[index];
    const int may_wait =
        LLMIR_HAS_DEVICES && feed->all_logits == NULL && llmir_logits_are_plain(feed->session);
    const uint32_t vocab = pass->pool->model->record->vocab_count;
    const size_t rows = output_rows_of(pass, index);
    for (size_t i = 0; i < rows; ++i, ++*inout_row) {
        if (feed->all_logits != NULL) {
            LLMIR_TRY(
                llmir_logits_read(pass->pool, *inout_row, feed->all_logits + i * vocab, error));
        }
        if (i + 1u == rows) {
            LLMIR_TRY(llmir_logits_take(feed->session, *inout_row, may_wait, error));
        }
    }
    return LLMIR_STATUS_OK;
}

/* Publishes the pages completed since position `start`. The table may have reserved positions that
 * are not computed yet. */
static void publish(llmir_session_t* session, uint32_t start) {
    llmir_page_table_t computed = session->table;
    computed.token_count = session->position;
    llmir_kv_pages_publish(&session->pool->pages, &computed, start);
    llmir_windows_publish(session, start);
}

void llmir_session_commit(llmir_session_t* session, const int32_t* tokens, uint32_t count) {
    const uint32_t start = session->position;
    for (uint32_t i = 0; i < count; ++i) {
        *llmir_kv_pages_token(&session->pool->pages, &session->table, start + i) = tokens[i];
    }
    session->position += count;
    if ((session->flags & LLMIR_SESSION_NO_SHARING) == 0) {
        publish(session, start);
    }
    llmir_windows_drop(session);
}

/* The pass has succeeded. Of a feed with guesses the first token alone is certain. */
static void commit(const feed_pass_t* pass, size_t index) {
    const llmir_feed_t* feed = &pass->feeds[index];
    llmir_session_t* session = feed->session;
    const uint32_t guesses = session->guesses.count;
    llmir_session_commit(session, feed->tokens, (uint32_t)feed->token_count - guesses);
    pass->pool->computed_count += feed->token_count;
    pass->pool->guessed_count += guesses;
    session->has_logits = index < pass->row_feeds ? 1u : session->has_logits;
    if (guesses != 0) {
        memcpy(session->logits, session->guesses.logits,
               pass->pool->model->record->vocab_count * sizeof(float));
    }
}

static llmir_status_t run_pass(const feed_pass_t* pass, llmir_error_t* error) {
    uint32_t row = 0;
    if (pass->pool->device_lost) {
        return llmir_fail(error, LLMIR_STATUS_DEVICE_LOST, "feed: the device failed before");
    }
    if (LLMIR_HAS_DEVICES) {
        LLMIR_TRY(llmir_logits_keep(pass->pool, pass->feeds, pass->row_feeds, error));
    }
    const llmir_batch_t batch = build_batch(pass);
    LLMIR_TRY(run_batch(pass, &batch, error));
    for (size_t i = 0; i < pass->feed_count; ++i) {
        LLMIR_TRY(read_logits(pass, i, &row, error));
    }
    for (size_t i = 0; i < pass->feed_count; ++i) {
        commit(pass, i);
    }
    return LLMIR_STATUS_OK;
}

/* ---- Cached prefixes ---- */

/* Tokens that continue the session and are in published pages; never the last one, whose logits
 * must be computed. */
static uint32_t match(llmir_session_t* session, const int32_t* tokens, size_t count, int take) {
    const size_t room = session->pool->layout.session_tokens - session->position;
    if ((session->flags & LLMIR_SESSION_NO_SHARING) != 0 || count == 0) {
        return 0;
    }
    const size_t most = count - 1u < room ? count - 1u : room;
    return llmir_windows_match(session, tokens, most, take);
}

uint32_t llmir_session_take_cached(llmir_session_t* session, const int32_t* tokens, size_t count) {
    const uint32_t taken = match(session, tokens, count, 1);
    session->position += taken;
    session->pool->reused_count += taken;
    return taken;
}

size_t llmir_session_cached(const llmir_session_t* session,
                            const int32_t* tokens,
                            size_t token_count) {
    /* Without taking, nothing of the session changes. */
    return session != NULL && tokens != NULL && session->uncomputed == 0
               ? match((llmir_session_t*)session, tokens, token_count, 0)
               : 0;
}

llmir_status_t llmir_session_reuse(llmir_session_t* session,
                                   const int32_t* tokens,
                                   size_t token_count,
                                   size_t* out_count,
                                   llmir_error_t* error) {
    if (session == NULL || out_count == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "reuse: session or out_count is NULL");
    }
    *out_count = 0;
    LLMIR_TRY(check_tokens(session, tokens, token_count, error));
    llmir_session_drop_guesses(session);
    LLMIR_TRY(llmir_session_settle(session, error));
    *out_count = llmir_session_take_cached(session, tokens, token_count);
    if (*out_count != 0) {
        session->has_logits = 0;
        llmir_session_end_generation(session);
    }
    return LLMIR_STATUS_OK;
}

/* ---- One session ---- */

llmir_status_t llmir_session_compute(llmir_session_t* session,
                                     const int32_t* tokens,
                                     size_t token_count,
                                     llmir_error_t* error) {
    llmir_pool_t* pool = session->pool;
    const uint32_t start = session->position;
    size_t done = llmir_session_take_cached(session, tokens, token_count);
    llmir_status_t status = reserve_pages(session, token_count - done, error);
    while (status == LLMIR_STATUS_OK && done < token_count) {
        const size_t rest = token_count - done;
        const size_t take = rest < pool->layout.chunk_tokens ? rest : pool->layout.chunk_tokens;
        const llmir_feed_t feed = {session, tokens + done, take, NULL};
        const feed_pass_t pass = {pool, &feed, 1, take == rest ? 1u : 0u};
        status = reserve_window(session, take, error);
        if (status == LLMIR_STATUS_OK) {
            status = run_pass(&pass, error);
        }
        done += take;
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_session_rewind(session, start);
    }
    return status;
}

llmir_status_t llmir_session_feed(llmir_session_t* session,
                                  const int32_t* tokens,
                                  size_t token_count,
                                  llmir_error_t* error) {
    if (session == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "feed: the session is NULL");
    }
    LLMIR_TRY(check_tokens(session, tokens, token_count, error));
    LLMIR_TRY(llmir_session_run(session, tokens, token_count, error));
    llmir_session_end_generation(session);
    return LLMIR_STATUS_OK;
}

/* ---- Several sessions ---- */

/* Checks one feed of a pass and marks its session. */
static llmir_status_t check_feed(const feed_pass_t* pass, size_t index, llmir_error_t* error) {
    const llmir_feed_t* feed = &pass->feeds[index];
    llmir_session_t* session = feed->session;
    if (session == NULL || session->pool != pass->pool || session->is_fed) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "feed %zu: the session is NULL, of another pool, or there twice", index);
    }
    session->is_fed = 1;
    return check_tokens(session, feed->tokens, feed->token_count, error);
}

static llmir_status_t check_feeds(const feed_pass_t* pass, llmir_error_t* error) {
    const llmir_pool_layout_t* layout = &pass->pool->layout;
    size_t tokens = 0;
    size_t rows = 0;
    llmir_status_t status = LLMIR_STATUS_OK;
    for (size_t i = 0; i < pass->feed_count && status == LLMIR_STATUS_OK; ++i) {
        const llmir_feed_t* feed = &pass->feeds[i];
        if (feed->token_count > layout->chunk_tokens - tokens ||
            output_rows_of(pass, i) > layout->output_rows - rows) {
            status = llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                                "feed %zu: the pass exceeds %u tokens or %u rows of logits", i,
                                layout->chunk_tokens, layout->output_rows);
        } else {
            tokens += feed->token_count;
            rows += output_rows_of(pass, i);
            status = check_feed(pass, i, error);
        }
    }
    for (uint32_t i = 0; i < layout->session_count; ++i) {
        pass->pool->sessions[i].is_fed = 0;
    }
    return status;
}

llmir_status_t llmir_pool_compute(llmir_pool_t* pool,
                                  const llmir_feed_t* feeds,
                                  size_t feed_count,
                                  size_t row_feeds,
                                  llmir_error_t* error) {
    const feed_pass_t pass = {pool, feeds, feed_count, row_feeds};
    llmir_status_t status = LLMIR_STATUS_OK;
    for (size_t i = 0; i < feed_count && status == LLMIR_STATUS_OK; ++i) {
        status = llmir_session_reserve(feeds[i].session, feeds[i].token_count, error);
    }
    if (status == LLMIR_STATUS_OK) {
        status = run_pass(&pass, error);
    }
    for (size_t i = 0; i < feed_count && status != LLMIR_STATUS_OK; ++i) {
        feeds[i].session->guesses.count = 0;
        llmir_session_rewind(feeds[i].session, feeds[i].session->position);
    }
    return status;
}

llmir_status_t llmir_pool_feed(llmir_pool_t* pool,
                               const llmir_feed_t* feeds,
                               size_t feed_count,
                               llmir_error_t* error) {
    const feed_pass_t pass = {pool, feeds, feed_count, feed_count};
    if (pool == NULL || feeds == NULL || feed_count == 0 ||
        feed_count > pool->layout.session_count) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "feed: pool or feeds NULL, or %zu feeds for %u sessions", feed_count,
                          pool != NULL ? pool->layout.session_count : 0u);
    }
    LLMIR_TRY(check_feeds(&pass, error));
    for (size_t i = 0; i < feed_count; ++i) {
        llmir_session_drop_guesses(feeds[i].session);
        LLMIR_TRY(llmir_session_settle(feeds[i].session, error));
    }
    LLMIR_TRY(llmir_pool_compute(pool, feeds, feed_count, feed_count, error));
    for (size_t i = 0; i < feed_count; ++i) {
        llmir_session_end_generation(feeds[i].session);
    }
    return LLMIR_STATUS_OK;
}
