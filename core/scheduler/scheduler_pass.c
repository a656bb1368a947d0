/* One pass: the next token of every request that is being answered, and as much of prompts as the
 * rest of the pass takes, the first rank first. */
#include <string.h>

#include "core/scheduler/scheduler.h"
#include "core/windows.h"

/* ---- Sampling ---- */

/* Takes a sampled token into the sequence and fills its piece; sets the session's finish. */
static void take_token(llmir_request_t* request, int32_t token, llmir_piece_t* out_piece) {
    llmir_session_t* session = request->session;
    if (session->finish == LLMIR_FINISH_NONE &&
        session->position == session->pool->layout.session_tokens) {
        session->finish = LLMIR_FINISH_CONTEXT;
    }
    if (session->finish == LLMIR_FINISH_NONE) {
        request->tokens[request->token_count++] = token;
        session->generated_count += 1u;
        if (session->max_tokens != 0 && session->generated_count >= session->max_tokens) {
            session->finish = LLMIR_FINISH_LIMIT;
        } else {
            (void)llmir_session_accept_guess(session, token);
        }
    }
    llmir_session_fill_piece(session, token, out_piece);
}

/* Hands a piece to whoever takes it. The mutex is held. */
static void deliver(llmir_request_t* request, const llmir_piece_t* piece) {
    llmir_scheduler_t* scheduler = request->scheduler;
    const llmir_error_t success = {LLMIR_STATUS_OK, {0}};
    llmir_piece_queue_push(&request->pieces, piece);
    if (piece->token >= 0) {
        request->info.generated_token_count += 1u;
        scheduler->generated_in_step += 1u;
        llmir_scheduler_note_first_token(request, llmir_clock_ns());
    }
    if (piece->finish != LLMIR_FINISH_NONE) {
        llmir_request_finish(request, &success);
    } else {
        llmir_condition_broadcast(&scheduler->has_piece);
    }
}

static void sample_request(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_error_t error = {0, {0}};
    llmir_piece_t piece;
    int32_t token = -1;
    const llmir_status_t status = llmir_session_sample(request->session, &token, &error);
    if (status == LLMIR_STATUS_OK) {
        take_token(request, token, &piece);
    }
    llmir_mutex_lock(&scheduler->mutex);
    if (status == LLMIR_STATUS_OK) {
        deliver(request, &piece);
    } else {
        llmir_request_finish(request, &error);
    }
    llmir_mutex_unlock(&scheduler->mutex);
}

/* Whether the logits of the last token are there, and room for what is said next. */
static int can_sample(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_mutex_lock(&scheduler->mutex);
    const int is_blocked = llmir_request_is_blocked(request);
    llmir_mutex_unlock(&scheduler->mutex);
    return !is_blocked && request->session->has_logits &&
           request->session->position == request->token_count;
}

void llmir_scheduler_sample(llmir_scheduler_t* scheduler) {
    for (uint32_t i = 0; i < scheduler->running_count;) {
        if (can_sample(scheduler->running[i])) {
            sample_request(scheduler->running[i]); /* it may be off the list, or sample again */
        } else {
            ++i;
        }
    }
}

/* ---- Choosing; the mutex is held ---- */

static uint32_t missing_tokens(const llmir_request_t* request) {
    return request->token_count - request->session->position;
}

static int is_idle(const llmir_request_t* request) {
    return llmir_request_is_blocked(request) || request->is_cancelled ||
           missing_tokens(request) == 0;
}

/* Whether a request chosen before computes in this pass the page that `request` needs next: it
 * waits, and finds that page in the cache. */
static int waits_for_prefix(const llmir_request_t* request, size_t feed_count) {
    const llmir_scheduler_t* scheduler = request->scheduler;
    const uint32_t position = request->session->position;
    const uint32_t page_tokens = scheduler->pool->pages.page_tokens;
    const uint32_t needed = position + page_tokens;
    if (position % page_tokens != 0 || needed >= request->token_count ||
        (request->session->flags & LLMIR_SESSION_NO_SHARING) != 0) {
        return 0;
    }
    for (size_t i = 0; i < feed_count; ++i) {
        const llmir_request_t* other = scheduler->feed_owner[i];
        if (other->session->position <= position && other->token_count >= needed &&
            (other->session->flags & LLMIR_SESSION_NO_SHARING) == 0 &&
            memcmp(other->tokens, request->tokens, needed * sizeof(*request->tokens)) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Reserves pages for `count` tokens, taking them from later requests if need be. */
static llmir_status_t reserve(llmir_request_t* request, uint32_t count, llmir_error_t* error) {
    llmir_session_t* session = request->session;
    llmir_status_t status = llmir_session_reserve(session, count, error);
    while (status == LLMIR_STATUS_CAPACITY &&
           llmir_scheduler_make_room(request->scheduler, request)) {
        status = llmir_session_reserve(session, count, error);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_session_rewind(session, session->position);
    }
    return status;
}

/* Tokens of the pass that are left for prompts. */
static uint32_t prompt_budget(const llmir_scheduler_t* scheduler) {
    uint32_t budget = scheduler->pool->layout.chunk_tokens;
    for (uint32_t i = 0; i < scheduler->running_count; ++i) {
        const llmir_request_t* request = scheduler->running[i];
        budget -= !is_idle(request) && missing_tokens(request) == 1u ? 1u : 0u;
    }
    return budget;
}

/* How many tokens of a request the pass takes. */
static uint32_t share_of(llmir_request_t* request, size_t feed_count, uint32_t* inout_budget) {
    uint32_t missing = missing_tokens(request);
    if (missing == 1u) {
        return 1u;
    }
    if (waits_for_prefix(request, feed_count)) {
        return 0;
    }
    const uint32_t reused = llmir_session_take_cached(
        request->session, request->tokens + request->session->position, missing);
    if (request->info.generated_token_count == 0) {
        request->info.reused_token_count += reused;
    }
    missing -= reused;
    const uint32_t count = missing < *inout_budget ? missing : *inout_budget;
    *inout_budget -= count;
    return count;
}

/* A pass being put together. */
typedef struct pass_plan {
    size_t feed_count;
    size_t row_feeds;         /* all but a prompt that is not complete, which is the last */
    uint32_t budget;          /* tokens left for prompts and guesses */
    uint32_t guess_rows;      /* rows of logits left for guesses */
    llmir_request_t* starved; /* the first that got no pages */
    llmir_error_t error;      /* and why */
} pass_plan_t;

/* Guesses behind a request's next token, as many as the pass and the pages have room for. */
static uint32_t add_guesses(pass_plan_t* plan, llmir_request_t* request) {
    llmir_session_t* session = request->session;
    const uint32_t most = plan->guess_rows < plan->budget ? plan->guess_rows : plan->budget;
    const uint32_t count = llmir_session_guess(session, request->tokens[session->position], most);
    if (count != 0 && llmir_session_reserve(session, 1u + count, NULL) != LLMIR_STATUS_OK) {
        llmir_session_drop_guesses(session);
        return 0;
    }
    plan->guess_rows -= count;
    plan->budget -= count;
    return count;
}

static void add_feed(pass_plan_t* plan, llmir_request_t* request, uint32_t count) {
    llmir_scheduler_t* scheduler = request->scheduler;
    const llmir_session_t* session = request->session;
    llmir_feed_t feed = {request->session, request->tokens + session->position, count, NULL};
    const size_t last = plan->feed_count++;
    if (session->guesses.count != 0) {
        feed.tokens = session->guesses.ids;
        feed.token_count = 1u + session->guesses.count;
        feed.all_logits = session->guesses.logits;
    }
    scheduler->feeds[last] = feed;
    scheduler->feed_owner[last] = request;
    if (count < missing_tokens(request)) {
        return;
    }
    const size_t row = plan->row_feeds++;
    scheduler->feeds[last] = scheduler->feeds[row];
    scheduler->feed_owner[last] = scheduler->feed_owner[row];
    scheduler->feeds[row] = feed;
    scheduler->feed_owner[row] = request;
}

static void choose(llmir_scheduler_t* scheduler, pass_plan_t* plan) {
    const uint32_t rows = scheduler->pool->layout.output_rows;
    plan->budget = prompt_budget(scheduler);
    plan->guess_rows = rows > scheduler->running_count ? rows - scheduler->running_count : 0u;
    for (uint32_t i = 0; i < scheduler->running_count; ++i) {
        llmir_request_t* request = scheduler->running[i];
        const uint32_t count =
            is_idle(request) ? 0u : share_of(request, plan->feed_count, &plan->budget);
        if (count == 0) {
            continue;
        }
        llmir_error_t error = {0, {0}};
        if (missing_tokens(request) == 1u && add_guesses(plan, request) != 0) {
            add_feed(plan, request, 1);
        } else if (reserve(request, count, &error) == LLMIR_STATUS_OK) {
            add_feed(plan, request, count);
        } else if (plan->starved == NULL) {
            plan->starved = request;
            plan->error = error;
        }
        while (scheduler->running[i] != request) {
            --i; /* some before it lost their sessions */
        }
    }
}

/* ---- Running ---- */

/* Copies what the pool counts, which only the stepping thread may read. The mutex is held. */
static void note_pool(llmir_scheduler_t* scheduler) {
    const llmir_pool_t* pool = scheduler->pool;
    scheduler->stats.computed_token_count = pool->computed_count;
    scheduler->stats.reused_token_count = pool->reused_count;
    scheduler->stats.guessed_token_count = pool->guessed_count;
    scheduler->stats.accepted_token_count = pool->accepted_count;
    scheduler->stats.free_page_count = llmir_kv_pages_available(&pool->pages);
}

/* A failed pass leaves the sessions as they were. Who was cancelled or is late is reaped in the
 * next step; anything else ends all that were in it. */
static void fail_pass(llmir_scheduler_t* scheduler,
                      const pass_plan_t* plan,
                      const llmir_error_t* error) {
    if (error->code == LLMIR_STATUS_CANCELLED || error->code == LLMIR_STATUS_DEADLINE) {
        return;
    }
    for (size_t i = 0; i < plan->feed_count; ++i) {
        llmir_request_finish(scheduler->feed_owner[i], error);
    }
}

void llmir_scheduler_pass(llmir_scheduler_t* scheduler) {
    pass_plan_t plan = {0};
    llmir_error_t error = {0, {0}};
    llmir_mutex_lock(&scheduler->mutex);
    choose(scheduler, &plan);
    if (plan.feed_count == 0 && plan.starved != NULL) {
        llmir_request_finish(plan.starved, &plan.error); /* it has all pages there are */
    }
    llmir_mutex_unlock(&scheduler->mutex);
    const uint64_t start_ns = llmir_clock_ns();
    llmir_status_t status = LLMIR_STATUS_OK;
    if (plan.feed_count != 0) {
        status = llmir_pool_compute(scheduler->pool, scheduler->feeds, plan.feed_count,
                                    plan.row_feeds, &error);
    }
    llmir_mutex_lock(&scheduler->mutex);
    if (status != LLMIR_STATUS_OK) {
        fail_pass(scheduler, &plan, &error);
    } else if (plan.feed_count != 0) {
        llmir_scheduler_note_pass(scheduler, plan.feed_count, llmir_clock_ns() - start_ns);
    }
    note_pool(scheduler);
    llmir_mutex_unlock(&scheduler->mutex);
}
