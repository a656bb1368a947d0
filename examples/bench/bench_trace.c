/* --trace: the spans of all passes in Chrome's trace event format, for chrome://tracing or
 * Perfetto. */
#include <stdio.h>

#include "bench/bench.h"
#include "common/system.h"

static void write_event(const llmir_trace_event_t* event, void* user) {
    bench_trace_t* trace = user;
    const int is_begin = event->phase == LLMIR_TRACE_BEGIN;
    if (trace->event_count++ == 0) {
        trace->start_ns = event->time_ns;
    }
    fprintf(trace->file,
            "%s\n{\"name\": \"%s\", \"cat\": \"%s\", \"ph\": \"%s\", \"pid\": 1, \"tid\": 1, "
            "\"ts\": %.3f",
            trace->event_count == 1 ? "" : ",", event->name,
            event->layer == LLMIR_TRACE_NO_LAYER ? "model" : "layer", is_begin ? "B" : "E",
            (double)(event->time_ns - trace->start_ns) * 1e-3);
    if (is_begin) {
        fprintf(trace->file, ", \"args\": {\"dispatch\": %u, \"tokens\": %u, \"sequences\": %u",
                event->dispatch, event->token_count, event->sequence_count);
        if (event->layer != LLMIR_TRACE_NO_LAYER) {
            fprintf(trace->file, ", \"layer\": %u", event->layer);
        }
        fputc('}', trace->file);
    }
    fputc('}', trace->file);
}

int bench_trace_begin(bench_trace_t* trace, const char* path) {
    *trace = (bench_trace_t){.file = system_open(path, "w"), .event = write_event};
    if (trace->file == NULL) {
        return 0;
    }
    fputs("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [", trace->file);
    return 1;
}

int bench_trace_end(bench_trace_t* trace) {
    if (trace->file == NULL) {
        return 1;
    }
    fputs("\n]}\n", trace->file);
    const int failed = ferror(trace->file);
    return fclose(trace->file) == 0 && !failed;
}
