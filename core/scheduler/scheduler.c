/* Making a scheduler, its memory, its thread and its steps. */
#include "core/scheduler/scheduler.h"

#include <string.h>

#include "core/options.h"
#include "core/pool_layout.h"

#define BLOCK_ALIGNMENT 64u
#define DEFAULT_SESSIONS 8u
#define DEFAULT_REQUESTS 64u
/* How long the thread sleeps while requests with a deadline wait for somebody to take pieces. */
#define LATE_CHECK_NS 10000000u

/* Where everything of a scheduler lies in its block. */
typedef struct block_layout {
    llmir_pool_options_t pool_options;
    llmir_pool_layout_t pool;
    uint32_t request_count;
    llmir_arena_part_t scheduler;
    llmir_arena_part_t requests;
    llmir_arena_part_t tokens;  /* i32 [request][session_tokens] */
    llmir_arena_part_t pieces;  /* char [request][slot][text_bytes] */
    llmir_arena_part_t parked;  /* char [request][text_bytes] */
    llmir_arena_part_t matches; /* llmir_match_t [request] */
    llmir_arena_part_t running;
    llmir_arena_part_t feeds;
    llmir_arena_part_t feed_owner;
    llmir_arena_part_t samples; /* u64 [2][LLMIR_SCHEDULER_SAMPLES] */
    size_t bytes;
} block_layout_t;

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value != 0 ? value : otherwise;
}

/* ---- Memory ---- */

static llmir_pool_options_t pool_options_of(const llmir_model_t* model,
                                            const llmir_scheduler_options_t* options) {
    llmir_pool_options_t pool = LLMIR_POOL_OPTIONS_INIT;
    const uint64_t sessions = or_default(options->session_count, DEFAULT_SESSIONS);
    /* Prompts go on beside all answers; two answers of a pass may have guesses. */
    const uint64_t least = 2u * sessions + 2u * (uint64_t)options->guess_tokens;
    const uint64_t rows = sessions + 2u * (uint64_t)options->guess_tokens;
    pool.session_count = (uint32_t)sessions;
    pool.context_tokens = options->context_tokens;
    pool.chunk_tokens = or_default(options->chunk_tokens, model->plan.record->chunk_tokens);
    if (pool.chunk_tokens < least) {
        pool.chunk_tokens = least < UINT32_MAX ? (uint32_t)least : UINT32_MAX;
    }
    pool.output_rows = rows < UINT32_MAX ? (uint32_t)rows : UINT32_MAX;
    pool.guess_tokens = options->guess_tokens;
    pool.kv_type = options->kv_type;
    pool.flags = (options->flags & LLMIR_SCHEDULER_WHOLE_WINDOWS) ? LLMIR_POOL_WHOLE_WINDOWS : 0u;
    return pool;
}

static llmir_status_t read_options(const llmir_scheduler_options_t* source,
                                   llmir_scheduler_options_t* options,
                                   llmir_error_t* error) {
    const uint32_t known = LLMIR_SCHEDULER_THREAD | LLMIR_SCHEDULER_WHOLE_WINDOWS;
    LLMIR_TRY(llmir_options_read(options, sizeof(*options), source, "scheduler options", error));
    if ((options->flags & ~known) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "scheduler options: flags %#x, known are %#x", options->flags, known);
    }
    if ((options->swap == NULL) != (options->swap_bytes == 0)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "scheduler options: swap and swap_bytes do not go together");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t lay_out(const llmir_model_t* model,
                              const llmir_scheduler_options_t* options,
                              block_layout_t* layout,
                              llmir_error_t* error) {
    size_t cursor = 0;
    layout->pool_options = pool_options_of(model, options);
    LLMIR_TRY(llmir_pool_layout_make(model, &layout->pool_options, &layout->pool, error));
    const uint64_t requests = or_default(options->request_count, DEFAULT_REQUESTS);
    const uint32_t sessions = layout->pool.session_count;
    layout->request_count = (uint32_t)requests;
    layout->scheduler = llmir_arena_append(&cursor, 1, sizeof(llmir_scheduler_t));
    layout->requests = llmir_arena_append(&cursor, requests, sizeof(llmir_request_t));
    layout->tokens =
        llmir_arena_append(&cursor, requests * layout->pool.session_tokens, sizeof(int32_t));
    layout->pieces =
        llmir_arena_append(&cursor, requests * LLMIR_PIECE_QUEUE_SLOTS, layout->pool.text_bytes);
    layout->parked = llmir_arena_append(&cursor, requests, layout->pool.text_bytes);
    layout->matches = llmir_arena_append(&cursor, requests, sizeof(llmir_match_t));
    layout->running = llmir_arena_append(&cursor, sessions, sizeof(llmir_request_t*));
    layout->feeds = llmir_arena_append(&cursor, sessions, sizeof(llmir_feed_t));
    layout->feed_owner = llmir_arena_append(&cursor, sessions, sizeof(llmir_request_t*));
    layout->samples = llmir_arena_append(&cursor, 2u * LLMIR_SCHEDULER_SAMPLES, sizeof(uint64_t));
    layout->bytes = cursor;
    return cursor < SIZE_MAX - layout->pool.arena_bytes
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_CAPACITY,
                            "scheduler: %llu requests of %u tokens take more than the address "
                            "space",
                            (unsigned long long)requests, layout->pool.session_tokens);
}

llmir_status_t llmir_scheduler_memory_plan(const llmir_model_t* model,
                                           const llmir_scheduler_options_t* options,
                                           llmir_memory_plan_t* inout_plan,
                                           llmir_error_t* error) {
    llmir_scheduler_options_t own;
    block_layout_t layout;
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "scheduler: the model is NULL");
    }
    LLMIR_TRY(read_options(options, &own, error));
    LLMIR_TRY(lay_out(model, &own, &layout, error));
    const llmir_memory_plan_t plan = {
        .weights_bytes = model->weights_bytes,
        .kv_bytes = layout.pool.kv_bytes,
        .activation_bytes = layout.pool.activation_bytes,
        .state_bytes = layout.pool.state_bytes + layout.bytes,
        .arena_bytes = layout.pool.arena_bytes + layout.bytes,
        .device_bytes = model->device_weights_bytes + layout.pool.device_bytes};
    return llmir_options_write(inout_plan, &plan, sizeof(plan), "memory plan", error);
}

/* Gives a request its parts of the block. */
static void place_request(llmir_scheduler_t* scheduler,
                          const block_layout_t* layout,
                          uint32_t index) {
    uint8_t* block = (uint8_t*)scheduler;
    const size_t text_bytes = layout->pool.text_bytes;
    llmir_request_t* request = &scheduler->requests[index];
    request->scheduler = scheduler;
    request->tokens = (int32_t*)(void*)(block + layout->tokens.offset) +
                      (size_t)index * layout->pool.session_tokens;
    llmir_piece_queue_init(
        &request->pieces,
        (char*)block + layout->pieces.offset + index * LLMIR_PIECE_QUEUE_SLOTS * text_bytes,
        text_bytes);
    request->parked.pool = scheduler->pool;
    request->parked.stream.buffer = (char*)block + layout->parked.offset + index * text_bytes;
    request->parked.match = (llmir_match_t*)(void*)(block + layout->matches.offset) + index;
}

static void place(llmir_scheduler_t* scheduler,
                  const llmir_scheduler_options_t* options,
                  const block_layout_t* layout) {
    uint8_t* block = (uint8_t*)scheduler;
    scheduler->flags = options->flags;
    scheduler->swap = options->swap;
    scheduler->swap_bytes = options->swap_bytes;
    scheduler->request_count = layout->request_count;
    scheduler->requests = (void*)(block + layout->requests.offset);
    scheduler->running = (void*)(block + layout->running.offset);
    scheduler->feeds = (void*)(block + layout->feeds.offset);
    scheduler->feed_owner = (void*)(block + layout->feed_owner.offset);
    scheduler->first_token_ns = (void*)(block + layout->samples.offset);
    scheduler->sorted_ns = scheduler->first_token_ns + LLMIR_SCHEDULER_SAMPLES;
    scheduler->stats.page_count = scheduler->stats.free_page_count = layout->pool.page_count;
    for (uint32_t i = 0; i < layout->request_count; ++i) {
        place_request(scheduler, layout, i);
    }
}

/* ---- Steps ---- */

/* Whether a step would do something. */
static int has_work(const llmir_scheduler_t* scheduler) {
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        const llmir_request_t* request = &scheduler->requests[i];
        if (llmir_request_is_open(request) &&
            (request->is_cancelled || !llmir_request_is_blocked(request))) {
            return 1;
        }
    }
    return 0;
}

static void step(llmir_scheduler_t* scheduler) {
    llmir_mutex_lock(&scheduler->mutex);
    llmir_scheduler_reap(scheduler);
    llmir_mutex_unlock(&scheduler->mutex);
    llmir_scheduler_sample(scheduler);
    llmir_mutex_lock(&scheduler->mutex);
    llmir_scheduler_admit(scheduler);
    llmir_mutex_unlock(&scheduler->mutex);
    llmir_scheduler_pass(scheduler);
}

static int has_deadline(const llmir_scheduler_t* scheduler) {
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        const llmir_request_t* request = &scheduler->requests[i];
        if (request->deadline_ns != 0 &&
            (request->state == LLMIR_REQUEST_QUEUED || request->state == LLMIR_REQUEST_RUNNING)) {
            return 1;
        }
    }
    return 0;
}

static void run_thread(void* user) {
    llmir_scheduler_t* scheduler = user;
    llmir_mutex_lock(&scheduler->mutex);
    while (!scheduler->is_stopping) {
        if (has_work(scheduler)) {
            llmir_mutex_unlock(&scheduler->mutex);
            step(scheduler);
            llmir_mutex_lock(&scheduler->mutex);
        } else if (has_deadline(scheduler)) {
            llmir_condition_wait_for(&scheduler->has_work, &scheduler->mutex, LATE_CHECK_NS);
            llmir_scheduler_reap(scheduler);
        } else {
            llmir_condition_wait(&scheduler->has_work, &scheduler->mutex);
        }
    }
    llmir_mutex_unlock(&scheduler->mutex);
}

llmir_status_t llmir_scheduler_step(llmir_scheduler_t* scheduler,
                                    int32_t* out_has_work,
                                    llmir_error_t* error) {
    if (scheduler == NULL || scheduler->has_thread) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          scheduler == NULL ? "step: the scheduler is NULL"
                                            : "step: the scheduler has a thread of its own");
    }
    llmir_mutex_lock(&scheduler->step_mutex);
    step(scheduler);
    if (out_has_work != NULL) {
        llmir_mutex_lock(&scheduler->mutex);
        *out_has_work = has_work(scheduler);
        llmir_mutex_unlock(&scheduler->mutex);
    }
    llmir_mutex_unlock(&scheduler->step_mutex);
    return LLMIR_STATUS_OK;
}

/* ---- Creation ---- */

static void stop_thread(llmir_scheduler_t* scheduler) {
    llmir_mutex_lock(&scheduler->mutex);
    scheduler->is_stopping = 1;
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        if (scheduler->requests[i].state == LLMIR_REQUEST_RUNNING) {
            llmir_session_cancel(scheduler->requests[i].session);
        }
    }
    llmir_condition_broadcast(&scheduler->has_work);
    llmir_mutex_unlock(&scheduler->mutex);
    llmir_thread_join(&scheduler->thread);
}

/* Makes the locks, one after the other, and the thread; what was made is counted, for
 * llmir_scheduler_destroy. */
static llmir_status_t start(llmir_scheduler_t* scheduler, llmir_error_t* error) {
    LLMIR_TRY(llmir_mutex_init(&scheduler->step_mutex, error));
    scheduler->lock_count = 1;
    LLMIR_TRY(llmir_mutex_init(&scheduler->mutex, error));
    scheduler->lock_count = 2;
    LLMIR_TRY(llmir_condition_init(&scheduler->has_work, error));
    scheduler->lock_count = 3;
    LLMIR_TRY(llmir_condition_init(&scheduler->has_piece, error));
    scheduler->lock_count = 4;
    if (scheduler->flags & LLMIR_SCHEDULER_THREAD) {
        LLMIR_TRY(llmir_thread_start(&scheduler->thread, run_thread, scheduler, error));
        scheduler->has_thread = 1;
    }
    return LLMIR_STATUS_OK;
}

static void deinit_locks(llmir_scheduler_t* scheduler) {
    if (scheduler->lock_count > 3u) {
        llmir_condition_deinit(&scheduler->has_piece);
    }
    if (scheduler->lock_count > 2u) {
        llmir_condition_deinit(&scheduler->has_work);
    }
    if (scheduler->lock_count > 1u) {
        llmir_mutex_deinit(&scheduler->mutex);
    }
    if (scheduler->lock_count > 0u) {
        llmir_mutex_deinit(&scheduler->step_mutex);
    }
}

llmir_status_t llmir_scheduler_create(llmir_model_t* model,
                                      const llmir_scheduler_options_t* options,
                                      llmir_scheduler_t** out_scheduler,
                                      llmir_error_t* error) {
    llmir_scheduler_options_t own;
    block_layout_t layout;
    void* block = NULL;
    if (out_scheduler == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "scheduler: out_scheduler is NULL");
    }
    *out_scheduler = NULL;
    if (model == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "scheduler: the model is NULL");
    }
    LLMIR_TRY(read_options(options, &own, error));
    LLMIR_TRY(lay_out(model, &own, &layout, error));
    LLMIR_TRY(llmir_reallocate(llmir_model_allocator(model), &block, 0, layout.bytes,
                               BLOCK_ALIGNMENT, "scheduler", error));
    memset(block, 0, layout.bytes);
    llmir_scheduler_t* scheduler = block;
    scheduler->model = model;
    scheduler->block_bytes = layout.bytes;
    llmir_status_t status = llmir_pool_create(model, &layout.pool_options, &scheduler->pool, error);
    if (status == LLMIR_STATUS_OK) {
        place(scheduler, &own, &layout);
        status = start(scheduler, error);
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_scheduler_destroy(scheduler);
        return status;
    }
    *out_scheduler = scheduler;
    return LLMIR_STATUS_OK;
}

void llmir_scheduler_destroy(llmir_scheduler_t* scheduler) {
    if (scheduler == NULL) {
        return;
    }
    if (scheduler->has_thread) {
        stop_thread(scheduler);
    }
    deinit_locks(scheduler);
    llmir_pool_destroy(scheduler->pool);
    llmir_free(llmir_model_allocator(scheduler->model), scheduler, scheduler->block_bytes,
               BLOCK_ALIGNMENT);
}
