/* Prometheus metrics (text format 0.0.4): what the scheduler counts, and what the server saw. */
#include <stdio.h>
#include <string.h>

#include "server/server.h"

typedef struct metric {
    const char* name; /* one that ends with "_total" only grows */
    const char* help;
    double value;
} metric_t;

static void write_metric(text_buffer_t* out, const metric_t* metric) {
    char line[512];
    const size_t bytes = strlen(metric->name);
    const int is_counter = bytes > 6u && strcmp(metric->name + bytes - 6u, "_total") == 0;
    const int written =
        snprintf(line, sizeof(line), "# HELP llmir_%s %s\n# TYPE llmir_%s %s\nllmir_%s %.17g\n",
                 metric->name, metric->help, metric->name, is_counter ? "counter" : "gauge",
                 metric->name, metric->value);
    text_append(out, line, written > 0 ? (size_t)written : 0u);
}

static void write_counts(const server_t* server,
                         const llmir_scheduler_stats_t* s,
                         text_buffer_t* out) {
    const metric_t metrics[] = {
        {"requests_queued", "Requests that wait for a session.", s->queued_count},
        {"requests_running", "Requests being computed.", s->running_count},
        {"requests_submitted_total", "Requests accepted.", (double)s->submitted_count},
        {"requests_refused_total", "Requests refused: the queue was full.",
         (double)s->refused_count},
        {"requests_finished_total", "Requests answered whole.", (double)s->finished_count},
        {"requests_failed_total", "Requests cancelled, late, or failed otherwise.",
         (double)s->failed_count},
        {"requests_preempted_total", "Times a request lost its pages.", (double)s->preempted_count},
        {"passes_total", "Passes of the model.", (double)s->pass_count},
        {"pass_seconds_total", "Time spent in passes.", (double)s->busy_ns / 1e9},
        {"sequences_total", "Sequences computed, summed over the passes.",
         (double)s->batched_sequence_count},
        {"tokens_computed_total", "Tokens that went through the model.",
         (double)s->computed_token_count},
        {"tokens_reused_total", "Prompt tokens found in the cache.", (double)s->reused_token_count},
        {"tokens_generated_total", "Tokens of answers.", (double)s->generated_token_count},
        {"tokens_guessed_total", "Tokens computed ahead.", (double)s->guessed_token_count},
        {"tokens_accepted_total", "Guesses that were right.", (double)s->accepted_token_count},
        {"tokens_per_second", "Answer tokens a second in the last 64 passes.",
         (double)s->tokens_per_second},
        {"kv_pages", "Pages of the KV cache.", s->page_count},
        {"kv_pages_free", "Pages that no request holds.", s->free_page_count},
        {"http_clients_gone_total", "Clients that left before their answer was whole.",
         (double)atomic_load(&server->gone_count)},
    };
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); ++i) {
        write_metric(out, &metrics[i]);
    }
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
        write_counts(server, &stats, out);
        write_first_token(&stats, out);
    }
    text_append(out, head, sizeof(head) - 1u);
    for (size_t i = 2; i < 6; ++i) {
        char line[128];
        const int bytes =
            snprintf(line, sizeof(line), "llmir_http_responses_total{status=\"%zuxx\"} %llu\n", i,
                     (unsigned long long)atomic_load(&server->response_count[i]));
        text_append(out, line, (size_t)bytes);
    }
}
