/* Prometheus metrics (text format 0.0.4): what the scheduler counts, and what the server saw. */
#include <stdio.h>
#include <string.h>

#include "server/server.h"

static void write_metric(
    text_buffer_t* out, const char* name, const char* type, const char* help, double value) {
    char line[512];
    const int bytes =
        snprintf(line, sizeof(line), "# HELP llmir_%s %s\n# TYPE llmir_%s %s\nllmir_%s %.17g\n",
                 name, help, name, type, name, value);
    text_append(out, line, bytes > 0 ? (size_t)bytes : 0u);
}

static void write_counts(const llmir_scheduler_stats_t* s, text_buffer_t* out) {
    write_metric(out, "requests_queued", "gauge", "Requests that wait for a session.",
                 s->queued_count);
    write_metric(out, "requests_running", "gauge", "Requests being computed.", s->running_count);
    write_metric(out, "requests_submitted_total", "counter", "Requests accepted.",
                 (double)s->submitted_count);
    write_metric(out, "requests_refused_total", "counter", "Requests refused: the queue was full.",
                 (double)s->refused_count);
    write_metric(out, "requests_finished_total", "counter", "Requests answered whole.",
                 (double)s->finished_count);
    write_metric(out, "requests_failed_total", "counter",
                 "Requests cancelled, late, or failed otherwise.", (double)s->failed_count);
    write_metric(out, "requests_preempted_total", "counter", "Times a request lost its pages.",
                 (double)s->preempted_count);
    write_metric(out, "passes_total", "counter", "Passes of the model.", (double)s->pass_count);
    write_metric(out, "pass_seconds_total", "counter", "Time spent in passes.",
                 (double)s->busy_ns / 1e9);
    write_metric(out, "sequences_total", "counter", "Sequences computed, summed over the passes.",
                 (double)s->batched_sequence_count);
    write_metric(out, "tokens_computed_total", "counter", "Tokens that went through the model.",
                 (double)s->computed_token_count);
    write_metric(out, "tokens_reused_total", "counter", "Prompt tokens found in the cache.",
                 (double)s->reused_token_count);
    write_metric(out, "tokens_generated_total", "counter", "Tokens of answers.",
                 (double)s->generated_token_count);
    write_metric(out, "tokens_guessed_total", "counter", "Tokens computed ahead.",
                 (double)s->guessed_token_count);
    write_metric(out, "tokens_accepted_total", "counter", "Guesses that were right.",
                 (double)s->accepted_token_count);
    write_metric(out, "tokens_per_second", "gauge", "Answer tokens a second in the last 64 passes.",
                 (double)s->tokens_per_second);
    write_metric(out, "kv_pages", "gauge", "Pages of the KV cache.", s->page_count);
    write_metric(out, "kv_pages_free", "gauge", "Pages that no request holds.", s->free_page_count);
}

/* As a summary: quantiles of the last 256 requests. */
static void write_first_token(const llmir_scheduler_stats_t* s, text_buffer_t* out) {
    static const char* const quantiles[3] = {"0.5", "0.9", "0.99"};
    static const char head[] =
        "# HELP llmir_first_token_seconds From submission to the first token.\n"
        "# TYPE llmir_first_token_seconds summary\n";
    text_append(out, head, sizeof(head) - 1u);
    for (size_t i = 0; i < 3; ++i) {
        char line[128];
        const int bytes =
            snprintf(line, sizeof(line), "llmir_first_token_seconds{quantile=\"%s\"} %.9g\n",
                     quantiles[i], (double)s->first_token_ns[i] / 1e9);
        text_append(out, line, (size_t)bytes);
    }
}

void metrics_write(server_t* server, text_buffer_t* out) {
    llmir_scheduler_stats_t stats = {.struct_size = sizeof(stats)};
    static const char head[] =
        "# HELP llmir_http_responses_total Responses by class of status.\n"
        "# TYPE llmir_http_responses_total counter\n";
    if (llmir_scheduler_get_stats(server->scheduler, &stats, NULL) == LLMIR_STATUS_OK) {
        write_counts(&stats, out);
        write_first_token(&stats, out);
    }
    write_metric(out, "http_clients_gone_total", "counter",
                 "Clients that left before their answer was whole.",
                 (double)atomic_load(&server->gone_count));
    text_append(out, head, sizeof(head) - 1u);
    for (size_t i = 2; i < 6; ++i) {
        char line[128];
        const int bytes =
            snprintf(line, sizeof(line), "llmir_http_responses_total{status=\"%zuxx\"} %llu\n", i,
                     (unsigned long long)atomic_load(&server->response_count[i]));
        text_append(out, line, (size_t)bytes);
    }
}
