/* Requests as the application sees them: submitting, taking pieces, giving up. */
#include <string.h>

#include "core/options.h"
#include "core/scheduler/scheduler.h"

#define MAX_PRIORITY 1000

/* ---- Submitting ---- */

static llmir_status_t check_prompt(const llmir_scheduler_t* scheduler,
                                   const llmir_request_options_t* options,
                                   llmir_error_t* error) {
    const uint32_t vocab = scheduler->model->record->vocab_count;
    const uint32_t context = scheduler->pool->layout.session_tokens;
    if (options->tokens == NULL || options->token_count == 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "submit: no tokens");
    }
    if (options->token_count > context) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "submit: %zu tokens, the context of a request has %u",
                          options->token_count, context);
    }
    for (size_t i = 0; i < options->token_count; ++i) {
        if (options->tokens[i] < 0 || (uint32_t)options->tokens[i] >= vocab) {
            return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                              "submit: token %zu is %d, expected 0 to %u", i, options->tokens[i],
                              vocab - 1u);
        }
    }
    if (options->priority < -MAX_PRIORITY || options->priority > MAX_PRIORITY) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "submit: priority %d, expected %d to %d", options->priority,
                          -MAX_PRIORITY, MAX_PRIORITY);
    }
    return LLMIR_STATUS_OK;
}

static llmir_request_t* free_request(llmir_scheduler_t* scheduler) {
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        if (scheduler->requests[i].state == LLMIR_REQUEST_FREE) {
            return &scheduler->requests[i];
        }
    }
    return NULL;
}

/* Makes a free place a request that waits. */
static llmir_status_t enqueue(llmir_request_t* request,
                              const llmir_request_options_t* options,
                              const llmir_session_options_t* session,
                              llmir_error_t* error) {
    llmir_scheduler_t* scheduler = request->scheduler;
    LLMIR_TRY(llmir_session_set_up(&request->parked, session, error));
    request->is_cancelled = 0;
    request->is_abandoned = 0;
    request->was_admitted = 0;
    request->session = NULL;
    request->due = (int64_t)scheduler->stats.pass_count -
                   (int64_t)options->priority * LLMIR_SCHEDULER_PRIORITY_PASSES;
    request->order = scheduler->submitted_count++;
    request->submitted_ns = llmir_clock_ns();
    const uint64_t latest_ns = UINT64_MAX - request->submitted_ns;
    request->deadline_ns =
        options->timeout_ns == 0
            ? 0u
            : request->submitted_ns +
                  (options->timeout_ns < latest_ns ? options->timeout_ns : latest_ns);
    memcpy(request->tokens, options->tokens, options->token_count * sizeof(*options->tokens));
    request->token_count = (uint32_t)options->token_count;
    llmir_piece_queue_init(&request->pieces, request->pieces.text, request->pieces.slot_bytes);
    request->info = (llmir_request_info_t){.state = LLMIR_REQUEST_QUEUED,
                                           .prompt_token_count = request->token_count};
    request->state = LLMIR_REQUEST_QUEUED;
    return LLMIR_STATUS_OK;
}

llmir_status_t llmir_scheduler_submit(llmir_scheduler_t* scheduler,
                                      const llmir_request_options_t* options,
                                      llmir_request_t** out_request,
                                      llmir_error_t* error) {
    llmir_request_options_t own;
    llmir_session_options_t session;
    if (out_request == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "submit: out_request is NULL");
    }
    *out_request = NULL;
    if (scheduler == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "submit: the scheduler is NULL");
    }
    LLMIR_TRY(llmir_options_read(&own, sizeof(own), options, "request options", error));
    LLMIR_TRY(llmir_session_read_options(own.session, &session, error));
    LLMIR_TRY(check_prompt(scheduler, &own, error));
    if (session.overflow != LLMIR_OVERFLOW_STOP) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "submit: overflow %u, requests know STOP (0) only", session.overflow);
    }
    if (session.speculation == LLMIR_SPECULATION_DRAFT) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "submit: speculation by a draft, requests know LOOKUP only");
    }
    llmir_mutex_lock(&scheduler->mutex);
    llmir_request_t* request = free_request(scheduler);
    llmir_status_t status = LLMIR_STATUS_OK;
    if (request == NULL) {
        scheduler->stats.refused_count += 1u;
        status = llmir_fail(error, LLMIR_STATUS_CAPACITY, "submit: all %u requests are alive",
                            scheduler->request_count);
    } else {
        status = enqueue(request, &own, &session, error);
    }
    if (status == LLMIR_STATUS_OK) {
        scheduler->stats.submitted_count += 1u;
        *out_request = request;
        llmir_condition_broadcast(&scheduler->has_work);
    }
    llmir_mutex_unlock(&scheduler->mutex);
    return status;
}

/* ---- Taking pieces ---- */

/* Waits until there is a piece or the end; 0 if the time is up. */
static int wait_for_piece(llmir_request_t* request, uint64_t timeout_ns, llmir_piece_t* out_piece) {
    llmir_scheduler_t* scheduler = request->scheduler;
    const uint64_t start_ns = llmir_clock_ns();
    const int was_blocked = llmir_request_is_blocked(request);
    int has_piece = llmir_piece_queue_take(&request->pieces, out_piece);
    if (was_blocked) {
        llmir_condition_broadcast(&scheduler->has_work);
    }
    while (!has_piece && request->state != LLMIR_REQUEST_FINISHED) {
        const uint64_t waited_ns = llmir_clock_ns() - start_ns;
        if (waited_ns >= timeout_ns) {
            return 0;
        }
        if (timeout_ns == UINT64_MAX) {
            llmir_condition_wait(&scheduler->has_piece, &scheduler->mutex);
        } else {
            llmir_condition_wait_for(&scheduler->has_piece, &scheduler->mutex,
                                     timeout_ns - waited_ns);
        }
        has_piece = llmir_piece_queue_take(&request->pieces, out_piece);
    }
    return has_piece;
}

llmir_status_t llmir_request_next(llmir_request_t* request,
                                  uint64_t timeout_ns,
                                  llmir_piece_t* out_piece,
                                  llmir_error_t* error) {
    llmir_status_t status = LLMIR_STATUS_OK;
    if (request == NULL || out_piece == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "request: the request or out_piece is NULL");
    }
    *out_piece = (llmir_piece_t){.token = -1, .text = ""};
    llmir_mutex_lock(&request->scheduler->mutex);
    if (!wait_for_piece(request, timeout_ns, out_piece) &&
        request->state == LLMIR_REQUEST_FINISHED) {
        status = (llmir_status_t)request->error.code;
        status = status != LLMIR_STATUS_OK ? llmir_fail(error, status, "%s", request->error.message)
                                           : llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                                                        "request: its last piece was taken");
    }
    llmir_mutex_unlock(&request->scheduler->mutex);
    return status;
}

/* ---- Giving up ---- */

/* Marks a request that goes on as cancelled and wakes who computes it. */
static void cancel(llmir_request_t* request) {
    if (request->state == LLMIR_REQUEST_FINISHED) {
        return;
    }
    request->is_cancelled = 1;
    if (request->session != NULL) {
        llmir_session_cancel(request->session);
    }
    llmir_condition_broadcast(&request->scheduler->has_work);
}

void llmir_request_cancel(llmir_request_t* request) {
    if (request != NULL) {
        llmir_mutex_lock(&request->scheduler->mutex);
        cancel(request);
        llmir_mutex_unlock(&request->scheduler->mutex);
    }
}

void llmir_request_destroy(llmir_request_t* request) {
    if (request == NULL) {
        return;
    }
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_mutex_lock(&scheduler->mutex);
    request->is_abandoned = 1;
    cancel(request);
    llmir_request_reclaim(request);
    llmir_mutex_unlock(&scheduler->mutex);
}

llmir_status_t llmir_request_get_info(const llmir_request_t* request,
                                      llmir_request_info_t* inout_info,
                                      llmir_error_t* error) {
    if (request == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "request: the request is NULL");
    }
    llmir_scheduler_t* scheduler = request->scheduler;
    llmir_mutex_lock(&scheduler->mutex);
    llmir_request_info_t info = request->info;
    llmir_mutex_unlock(&scheduler->mutex);
    return llmir_options_write(inout_info, &info, sizeof(info), "request info", error);
}
