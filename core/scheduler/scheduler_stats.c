/* What a scheduler tells about itself. */
#include <string.h>

#include "core/options.h"
#include "core/scheduler/scheduler.h"

void llmir_scheduler_note_first_token(llmir_request_t* request, uint64_t now_ns) {
    llmir_scheduler_t* scheduler = request->scheduler;
    if (request->info.first_token_ns == 0) {
        const uint64_t waited_ns = now_ns - request->submitted_ns;
        request->info.first_token_ns = waited_ns != 0 ? waited_ns : 1u;
        scheduler->first_token_ns[scheduler->sample_count++ % LLMIR_SCHEDULER_SAMPLES] = waited_ns;
    }
}

void llmir_scheduler_note_pass(llmir_scheduler_t* scheduler, size_t sequences, uint64_t pass_ns) {
    llmir_scheduler_stats_t* stats = &scheduler->stats;
    const size_t slot = (size_t)(stats->pass_count % LLMIR_SCHEDULER_RATES);
    stats->pass_count += 1u;
    stats->busy_ns += pass_ns;
    stats->batched_sequence_count += sequences;
    stats->generated_token_count += scheduler->generated_in_step;
    scheduler->rate_ns[slot] = pass_ns;
    scheduler->rate_tokens[slot] = scheduler->generated_in_step;
    scheduler->generated_in_step = 0;
}

static float tokens_per_second(const llmir_scheduler_t* scheduler) {
    double ns = 0.0;
    double tokens = 0.0;
    for (uint32_t i = 0; i < LLMIR_SCHEDULER_RATES; ++i) {
        ns += (double)scheduler->rate_ns[i];
        tokens += (double)scheduler->rate_tokens[i];
    }
    return ns > 0.0 ? (float)(tokens * 1e9 / ns) : 0.0f;
}

/* Insertion sort: the samples are few, and nobody waits for them. */
static uint32_t sort_samples(const llmir_scheduler_t* scheduler) {
    const uint32_t count = scheduler->sample_count < LLMIR_SCHEDULER_SAMPLES
                               ? scheduler->sample_count
                               : LLMIR_SCHEDULER_SAMPLES;
    for (uint32_t i = 0; i < count; ++i) {
        const uint64_t value = scheduler->first_token_ns[i];
        uint32_t at = i;
        for (; at != 0 && scheduler->sorted_ns[at - 1u] > value; --at) {
            scheduler->sorted_ns[at] = scheduler->sorted_ns[at - 1u];
        }
        scheduler->sorted_ns[at] = value;
    }
    return count;
}

static void count_requests(const llmir_scheduler_t* scheduler, llmir_scheduler_stats_t* stats) {
    for (uint32_t i = 0; i < scheduler->request_count; ++i) {
        stats->queued_count += scheduler->requests[i].state == LLMIR_REQUEST_QUEUED;
        stats->alive_count += scheduler->requests[i].state != LLMIR_REQUEST_FREE;
    }
}

llmir_status_t llmir_scheduler_get_stats(const llmir_scheduler_t* scheduler,
                                         llmir_scheduler_stats_t* inout_stats,
                                         llmir_error_t* error) {
    static const uint32_t percent[3] = {50, 90, 99};
    if (scheduler == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "stats: the scheduler is NULL");
    }
    llmir_mutex_t* mutex = &((llmir_scheduler_t*)scheduler)->mutex;
    llmir_mutex_lock(mutex);
    llmir_scheduler_stats_t stats = scheduler->stats;
    count_requests(scheduler, &stats);
    stats.generated_token_count += scheduler->generated_in_step;
    stats.tokens_per_second = tokens_per_second(scheduler);
    const uint32_t samples = sort_samples(scheduler);
    for (size_t i = 0; i < 3 && samples != 0; ++i) {
        stats.first_token_ns[i] = scheduler->sorted_ns[(samples - 1u) * percent[i] / 100u];
    }
    llmir_mutex_unlock(mutex);
    return llmir_options_write(inout_stats, &stats, sizeof(stats), "scheduler stats", error);
}
