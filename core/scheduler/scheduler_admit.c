/* Who computes: giving sessions to requests that wait, taking them from requests of a later rank,
 * and ending requests. */
#include <string.h>

#include "core/scheduler/scheduler.h"

int llmir_request_is_before(const llmir_request_t* a, const llmir_request_t* b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

int llmir_request_is_open(const llmir_request_t* request) {
    return request->state == LLMIR_REQUEST_QUEUED || request->state == LLMIR_REQUEST_RUNNING;
}

int llmir_request_is_blocked(const llmir_request_t* request) {
    return !llmir_piece_queue_has_room(&request->pieces);
}

/* ---- The list of those that run ---- */

static void insert_running(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    uint32_t i = scheduler->running_count++;
    for (; i != 0 && llmir_request_is_before(request, scheduler->running[i - 1u]); --i) {
        scheduler->running[i] = scheduler->running[i - 1u];
    }
    scheduler->running[i] = request;
    request->state = request->info.state = LLMIR_REQUEST_RUNNING;
    scheduler->stats.running_count = scheduler->running_count;
}

/* Gives the session back. */
static void remove_running(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    uint32_t i = 0;
    while (scheduler->running[i] != request) {
        ++i;
    }
    scheduler->running_count -= 1u;
    memmove(&scheduler->running[i], &scheduler->running[i + 1u],
            (scheduler->running_count - i) * sizeof(*scheduler->running));
    scheduler->stats.running_count = scheduler->running_count;
    llmir_session_destroy(request->session);
    request->session = NULL;
}

/* ---- Ending ---- */

void llmir_request_reclaim(llmir_request_t* request) {
    if (request->is_abandoned && request->state == LLMIR_REQUEST_FINISHED) {
        request->state = LLMIR_REQUEST_FREE;
    }
}

void llmir_request_finish(llmir_request_t* request, const llmir_error_t* error) {
    llmir_scheduler_t* scheduler = request->scheduler;
    if (request->state == LLMIR_REQUEST_RUNNING) {
        remove_running(request);
    }
    request->swap_bytes = 0;
    request->error = *error;
    request->state = request->info.state = LLMIR_REQUEST_FINISHED;
    request->info.status = error->code;
    request->info.total_ns = llmir_clock_ns() - request->submitted_ns;
    if (error->code == LLMIR_STATUS_OK) {
        scheduler->stats.finished_count += 1u;
    } else {
        scheduler->stats.failed_count += 1u;
    }
    llmir_request_reclaim(request);
    llmir_condition_broadcast(&scheduler->has_piece);
}

static void reap_request(llmir_request_t* request, uint64_t now_ns) {
    llmir_error_t error = {0, {0}};
    if (request->is_cancelled) {
        (void)llmir_fail(&error, LLMIR_STATUS_CANCELLED, "request: cancelled");
    } else if (request->deadline_ns != 0 && now_ns >= request->deadline_ns) {
        (void)llmir_fail(&error, LLMIR_STATUS_DEADLINE,
                         "request: its time is over after %u of its tokens",
                         request->info.generated_token_count);
    }
    if (error.code != LLMIR_STATUS_OK) {
        llmir_request_finish(request, &error);
    }
}

void llmir_scheduler_reap(llmir_scheduler_t* scheduler) {
    const uint64_t now_ns = llmir_clock_ns();
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        llmir_request_t* request = &scheduler->requests[i];
        if (llmir_request_is_open(request)) {
            reap_request(request, now_ns);
        }
    }
}

/* ---- Taking ---- */

/* Puts a request that runs back in the queue. Saving its pages takes milliseconds, in which others
 * may submit and cancel. */
static void preempt(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_mutex_unlock(&scheduler->mutex);
    llmir_scheduler_swap_out(request);
    llmir_mutex_lock(&scheduler->mutex);
    scheduler->stats.swapped_count += request->swap_bytes != 0;
    llmir_session_copy_state(request->session, &request->parked);
    remove_running(request);
    request->state = request->info.state = LLMIR_REQUEST_QUEUED;
}

int llmir_scheduler_make_room(llmir_scheduler_t* scheduler, const llmir_request_t* request) {
    llmir_request_t* victim = NULL;
    for (uint32_t i = scheduler->running_count; i-- != 0 && victim == NULL;) {
        llmir_request_t* candidate = scheduler->running[i];
        if (candidate != request && llmir_request_is_blocked(candidate)) {
            victim = candidate;
        }
    }
    if (victim == NULL && scheduler->running_count != 0) {
        llmir_request_t* last = scheduler->running[scheduler->running_count - 1u];
        victim = last != request && llmir_request_is_before(request, last) ? last : NULL;
    }
    if (victim == NULL) {
        return 0;
    }
    victim->info.preempted_count += 1u;
    scheduler->stats.preempted_count += 1u;
    preempt(victim);
    return 1;
}

/* ---- Giving ---- */

static llmir_request_t* next_queued(llmir_scheduler_t* scheduler) {
    llmir_request_t* best = NULL;
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        llmir_request_t* request = &scheduler->requests[i];
        if (request->state == LLMIR_REQUEST_QUEUED && !request->is_cancelled &&
            !llmir_request_is_blocked(request) &&
            (best == NULL || llmir_request_is_before(request, best))) {
            best = request;
        }
    }
    return best;
}

/* Whether the pages suffice for all that run and have been promised theirs, up to each one's next
 * token. */
static int has_pages(const llmir_scheduler_t* scheduler) {
    const llmir_kv_pages_t* pages = &scheduler->pool->pages;
    const uint32_t context = scheduler->pool->layout.session_tokens;
    uint64_t missing = 0;
    for (uint32_t i = 0; i < scheduler->running_count; ++i) {
        const llmir_request_t* request = scheduler->running[i];
        const uint32_t tokens =
            request->token_count < context ? request->token_count + 1u : request->token_count;
        const uint32_t held = llmir_kv_pages_for(pages, request->session->table.token_count);
        const uint32_t wanted = llmir_kv_pages_for(pages, tokens);
        missing += wanted > held ? wanted - held : 0u;
    }
    return missing <= llmir_kv_pages_available(pages);
}

/* Brings a new session to where the request was: from the swap space, or from pages that are still
 * in the cache; the rest is computed. */
static void resume(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_session_t* session = request->session;
    if (request->swap_bytes != 0) {
        llmir_mutex_unlock(&scheduler->mutex);
        const int is_back = llmir_scheduler_swap_in(request);
        llmir_mutex_lock(&scheduler->mutex);
        llmir_session_copy_state(&request->parked, session);
        if (is_back) {
            return;
        }
    }
    const uint32_t reused =
        llmir_session_take_cached(session, request->tokens, request->token_count);
    if (!request->was_admitted) {
        request->info.reused_token_count = reused;
        request->info.queue_ns = llmir_clock_ns() - request->submitted_ns;
        request->was_admitted = 1;
    }
}

static int give_session(llmir_request_t* request) {
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_session_t* session = llmir_session_place(scheduler->pool);
    if (session == NULL && llmir_scheduler_make_room(scheduler, request)) {
        session = llmir_session_place(scheduler->pool);
    }
    if (session == NULL) {
        return 0;
    }
    llmir_session_copy_state(&request->parked, session);
    session->in_use = 1;
    if (request->deadline_ns != 0) {
        const uint64_t now_ns = llmir_clock_ns();
        llmir_session_set_deadline(
            session, request->deadline_ns > now_ns ? request->deadline_ns - now_ns : 1u);
    }
    request->session = session;
    insert_running(request);
    while (!has_pages(scheduler) && scheduler->running_count > 1u) {
        if (!llmir_scheduler_make_room(scheduler, request)) {
            remove_running(request);
            request->state = request->info.state = LLMIR_REQUEST_QUEUED;
            return 0;
        }
    }
    resume(request);
    return 1;
}

void llmir_scheduler_admit(llmir_scheduler_t* scheduler) {
    llmir_request_t* request = next_queued(scheduler);
    while (request != NULL && give_session(request)) {
        request = next_queued(scheduler);
    }
}
