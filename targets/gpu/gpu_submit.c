/* Running a batch: the arrays are copied, then the steps launched.
 *
 * Batches of few tokens are launched as one graph, recorded when a batch of its shape comes for the
 * first time: nothing that a kernel is given depends on more than the shape (llmir_gpu_shape_t), as
 * what changes from token to token lies in the arrays. Other batches are launched in segments, so
 * that cancellation and deadlines are looked at every few milliseconds. Submitting returns when all
 * has run; the host has nothing else to do for this batch. */
#include <inttypes.h>
#include <string.h>

#include "targets/gpu/gpu_checks.h"
#include "targets/gpu/gpu_device.h"

/* Tokens of a batch that is launched as a graph. */
#define GRAPH_TOKENS 16u
/* Rows times steps of a segment; at least so many steps. */
#define SEGMENT_ROWS 8192u
#define SEGMENT_MIN_STEPS 8u
/* What a grid takes along y. */
#define GRID_ROWS 65535u

#define CAPTURE_OF_THIS_THREAD 1

static llmir_status_t check_capacity(const llmir_gpu_device_t* device,
                                     const llmir_submission_t* submission,
                                     const llmir_batch_arrays_t* arrays,
                                     llmir_error_t* error) {
    if (submission->batch->token_count > GRID_ROWS || arrays->bytes > LLMIR_GPU_STAGING_BYTES) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY,
                          "batch: %" PRIu32 " tokens with arrays of %" PRIu64
                          " bytes, %s takes at most %u and %zu",
                          submission->batch->token_count, arrays->bytes, device->name, GRID_ROWS,
                          LLMIR_GPU_STAGING_BYTES);
    }
    return LLMIR_STATUS_OK;
}

/* ---- The batch's arrays ---- */

static void stage(const llmir_gpu_device_t* device,
                  uint64_t offset,
                  const void* data,
                  uint64_t bytes) {
    if (bytes > 0) {
        memcpy(device->staging + offset, data, (size_t)bytes);
    }
}

/* They stay in the staging memory until the batch has run. */
static llmir_status_t put_batch(llmir_gpu_device_t* device,
                                const llmir_submission_t* submission,
                                const llmir_batch_arrays_t* arrays,
                                llmir_error_t* error) {
    const llmir_batch_t* batch = submission->batch;
    const llmir_gpu_buffer_t* activations = (const llmir_gpu_buffer_t*)submission->activations;
    const uint64_t tokens = (uint64_t)batch->token_count * 4u;
    const uint64_t table = (uint64_t)batch->sequence_count * batch->page_table_stride * 4u;
    stage(device, arrays->tokens, batch->tokens, tokens);
    stage(device, arrays->positions, batch->positions, tokens);
    stage(device, arrays->sequences, batch->token_sequence, tokens);
    stage(device, arrays->output_rows, batch->output_rows, (uint64_t)batch->output_count * 4u);
    stage(device, arrays->page_table, batch->page_table, table);
    if (batch->window_table != NULL) {
        stage(device, arrays->window_table, batch->window_table, table);
    }
    LLMIR_GPU_TRY(
        device,
        device->driver.copy_to_device(activations->address + submission->batch_offset,
                                      device->staging, (size_t)arrays->bytes, device->stream),
        "copying the batch");
    return LLMIR_STATUS_OK;
}

/* ---- Steps ---- */

static uint64_t address_of(const llmir_gpu_program_t* program,
                           const llmir_gpu_step_t* step,
                           uint32_t index,
                           const llmir_submission_t* submission) {
    const llmir_gpu_binding_t* binding = &step->bindings[index];
    switch (binding->space) {
        case LLMIR_GPU_SPACE_ACTIVATIONS:
            return ((const llmir_gpu_buffer_t*)submission->activations)->address;
        case LLMIR_GPU_SPACE_KV:
            return ((const llmir_gpu_buffer_t*)submission->kv)->address +
                   llmir_gpu_kv_binding(step, submission->batch).offset;
        case LLMIR_GPU_SPACE_WEIGHTS:
            return program->chunks[binding->chunk] + binding->offset;
        default:
            return 0;
    }
}

static llmir_status_t launch_step(llmir_gpu_program_t* program,
                                  const llmir_submission_t* submission,
                                  uint32_t index,
                                  llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)program->base.device;
    const llmir_gpu_step_t* step = &program->steps[index];
    llmir_gpu_launch_t launches[LLMIR_GPU_STEP_LAUNCHES];
    llmir_gpu_arguments_t arguments;
    size_t argument_bytes = sizeof arguments;
    uint32_t count = 0;
    LLMIR_TRY(llmir_gpu_step_launches(&program->code, program->plan, step, submission, launches,
                                      &count, error));
    for (uint32_t i = 0; i < LLMIR_GPU_BINDING_COUNT && count != 0; ++i) {
        arguments.bindings[i] = address_of(program, step, i, submission);
    }
    llmir_gpu_step_words(program->plan, step, submission, arguments.words);
    /* Tags of the list: 1 is followed by the arguments, 2 by their size. */
    void* extra[] = {(void*)1, &arguments, (void*)2, &argument_bytes, device->flavor->launch_end};
    for (uint32_t i = 0; i < count; ++i) {
        const llmir_gpu_launch_t* l = &launches[i];
        LLMIR_GPU_TRY(device,
                      device->driver.launch(program->functions[l->function], l->grid_x, l->grid_y,
                                            1, l->threads, 1, 1, 0, device->stream, NULL, extra),
                      "launching a kernel");
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t launch_steps(llmir_gpu_program_t* program,
                                   const llmir_submission_t* submission,
                                   uint32_t from,
                                   uint32_t to,
                                   llmir_error_t* error) {
    for (uint32_t i = from; i < to; ++i) {
        LLMIR_TRY(launch_step(program, submission, i, error));
    }
    return LLMIR_STATUS_OK;
}

/* ---- Graphs ---- */

static llmir_gpu_shape_t shape_of(const llmir_submission_t* submission) {
    const llmir_batch_t* batch = submission->batch;
    llmir_gpu_shape_t shape;
    memset(&shape, 0, sizeof shape); /* compared as bytes */
    shape.activations = ((const llmir_gpu_buffer_t*)submission->activations)->number;
    shape.kv = ((const llmir_gpu_buffer_t*)submission->kv)->number;
    shape.batch_offset = submission->batch_offset;
    shape.token_count = batch->token_count;
    shape.sequence_count = batch->sequence_count;
    shape.output_count = batch->output_count;
    shape.kv_type = batch->kv_type;
    shape.table_stride = batch->page_table_stride;
    shape.has_windows = batch->window_table != NULL;
    shape.has_largest = submission->largest != NULL;
    shape.parts = llmir_gpu_batch_parts(batch);
    return shape;
}

static size_t slot_bytes(const llmir_gpu_program_t* program) {
    return program->plan->record->slot_count * sizeof(uint64_t);
}

static size_t place_bytes(const llmir_gpu_program_t* program) {
    return program->plan->record->kv_layer_count * sizeof(llmir_kv_place_t);
}

/* The graph of a submission's shape, or NULL with the place for a new one. */
static llmir_gpu_graph_t* find_graph(llmir_gpu_program_t* program,
                                     const llmir_submission_t* submission,
                                     const llmir_gpu_shape_t* shape,
                                     llmir_gpu_graph_t** out_oldest) {
    *out_oldest = &program->graphs[0];
    for (uint32_t i = 0; i < LLMIR_GPU_GRAPHS; ++i) {
        llmir_gpu_graph_t* graph = &program->graphs[i];
        if (graph->executable != NULL && memcmp(&graph->shape, shape, sizeof *shape) == 0 &&
            memcmp(graph->slot_offsets, submission->slot_offsets, slot_bytes(program)) == 0 &&
            memcmp(graph->kv_places, submission->batch->kv_places, place_bytes(program)) == 0) {
            return graph;
        }
        if (graph->last_use < (*out_oldest)->last_use) {
            *out_oldest = graph;
        }
    }
    return NULL;
}

/* Records all steps. NULL: the driver failed to; that is no error, they are launched one by one. */
static void* record_graph(llmir_gpu_program_t* program, const llmir_submission_t* submission) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)program->base.device;
    const llmir_gpu_driver_t* driver = &device->driver;
    void* graph = NULL;
    void* executable = NULL;
    if (driver->capture_begin(device->stream, CAPTURE_OF_THIS_THREAD) != 0) {
        return NULL;
    }
    const llmir_status_t status = launch_steps(program, submission, 0, program->step_count, NULL);
    if (driver->capture_end(device->stream, &graph) != 0) {
        graph = NULL;
    }
    if (graph != NULL && status == LLMIR_STATUS_OK &&
        driver->graph_instantiate(&executable, graph, 0) != 0) {
        executable = NULL;
    }
    if (graph != NULL) {
        (void)driver->graph_destroy(graph);
    }
    return executable;
}

static void* graph_for(llmir_gpu_program_t* program, const llmir_submission_t* submission) {
    const llmir_gpu_device_t* device = (const llmir_gpu_device_t*)program->base.device;
    const llmir_gpu_shape_t shape = shape_of(submission);
    llmir_gpu_graph_t* place = NULL;
    llmir_gpu_graph_t* graph = find_graph(program, submission, &shape, &place);
    if (graph == NULL) {
        void* executable = record_graph(program, submission);
        if (executable == NULL) {
            program->has_no_graphs = 1;
            return NULL;
        }
        graph = place;
        if (graph->executable != NULL) {
            (void)device->driver.executable_destroy(graph->executable);
        }
        graph->executable = executable;
        graph->shape = shape;
        memcpy(graph->slot_offsets, submission->slot_offsets, slot_bytes(program));
        memcpy(graph->kv_places, submission->batch->kv_places, place_bytes(program));
    }
    graph->last_use = ++program->graph_uses;
    return graph->executable;
}

/* ---- Batches ---- */

/* Tracing wants to know how long each dispatch takes, so it runs alone. */
static llmir_status_t run_traced(llmir_gpu_program_t* program,
                                 const llmir_submission_t* submission,
                                 llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)program->base.device;
    for (uint32_t i = 0; i < program->step_count; ++i) {
        const uint32_t dispatch = program->steps[i].dispatch;
        LLMIR_TRY(llmir_gpu_check_stop(submission, error));
        if (llmir_gpu_step_rows(&program->steps[i], submission) == 0) {
            continue;
        }
        submission->trace(submission->trace_user, dispatch, LLMIR_TRACE_BEGIN);
        LLMIR_TRY(launch_step(program, submission, i, error));
        LLMIR_GPU_TRY(device, device->driver.stream_wait(device->stream), "running a kernel");
        submission->trace(submission->trace_user, dispatch, LLMIR_TRACE_END);
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_segments(llmir_gpu_program_t* program,
                                   const llmir_submission_t* submission,
                                   llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)program->base.device;
    const uint32_t wanted = SEGMENT_ROWS / submission->batch->token_count;
    const uint32_t length = wanted > SEGMENT_MIN_STEPS ? wanted : SEGMENT_MIN_STEPS;
    uint32_t segment = 0;
    for (uint32_t i = 0; i < program->step_count; ++segment) {
        void* event = device->events[segment % LLMIR_GPU_SEGMENTS];
        const uint32_t left = program->step_count - i;
        const uint32_t end = i + (left < length ? left : length);
        if (segment >= LLMIR_GPU_SEGMENTS) {
            LLMIR_GPU_TRY(device, device->driver.event_wait(event), "running kernels");
        }
        LLMIR_TRY(llmir_gpu_check_stop(submission, error));
        LLMIR_TRY(launch_steps(program, submission, i, end, error));
        LLMIR_GPU_TRY(device, device->driver.event_record(event, device->stream),
                      "recording an event");
        i = end;
    }
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_steps(llmir_gpu_program_t* program,
                                const llmir_submission_t* submission,
                                llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)program->base.device;
    if (submission->trace != NULL) {
        return run_traced(program, submission, error);
    }
    LLMIR_TRY(llmir_gpu_check_stop(submission, error));
    if (submission->batch->token_count <= GRAPH_TOKENS && !program->has_no_graphs) {
        void* executable = graph_for(program, submission);
        if (executable != NULL) {
            LLMIR_GPU_TRY(device, device->driver.graph_launch(executable, device->stream),
                          "launching a graph");
            return LLMIR_STATUS_OK;
        }
    }
    return run_segments(program, submission, error);
}

static int finds_largest(const llmir_gpu_program_t* program, const llmir_submission_t* submission) {
    return submission->largest != NULL && program->code.largest != LLMIR_GPU_ANY &&
           submission->batch->output_count != 0;
}

/* What was found comes through the staging memory, when all has run. */
static llmir_status_t fetch_largest(llmir_gpu_device_t* device,
                                    const llmir_submission_t* submission,
                                    const llmir_batch_arrays_t* arrays,
                                    llmir_error_t* error) {
    const uint64_t address = ((const llmir_gpu_buffer_t*)submission->activations)->address;
    LLMIR_GPU_TRY(device,
                  device->driver.copy_to_host(device->staging + arrays->largest,
                                              address + submission->batch_offset + arrays->largest,
                                              submission->batch->output_count * 4u, device->stream),
                  "reading the largest logits");
    return LLMIR_STATUS_OK;
}

static llmir_status_t run_batch(llmir_gpu_program_t* program,
                                const llmir_submission_t* submission,
                                const llmir_batch_arrays_t* arrays,
                                llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)program->base.device;
    llmir_status_t status = put_batch(device, submission, arrays, error);
    if (status == LLMIR_STATUS_OK) {
        status = run_steps(program, submission, error);
    }
    const int has_largest = status == LLMIR_STATUS_OK && finds_largest(program, submission);
    if (has_largest) {
        status = fetch_largest(device, submission, arrays, error);
    }
    const int result = device->driver.stream_wait(device->stream);
    if (result != 0) {
        const llmir_status_t waited = llmir_gpu_note(device, result, "running a batch",
                                                     status == LLMIR_STATUS_OK ? error : NULL);
        status = status == LLMIR_STATUS_OK ? waited : status;
    }
    if (has_largest && status == LLMIR_STATUS_OK) {
        memcpy(submission->largest, device->staging + arrays->largest,
               submission->batch->output_count * sizeof *submission->largest);
    }
    return status;
}

llmir_status_t llmir_gpu_submit(llmir_device_t* base,
                                const llmir_submission_t* submission,
                                uint64_t* out_fence,
                                llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base;
    llmir_gpu_program_t* program = (llmir_gpu_program_t*)submission->program;
    const llmir_batch_t* batch = submission->batch;
    const llmir_batch_arrays_t arrays =
        llmir_batch_arrays(batch->token_count, batch->output_count, batch->sequence_count,
                           batch->page_table_stride, batch->window_table != NULL);
    *out_fence = 0;
    if (batch->token_count == 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "batch: no tokens");
    }
    LLMIR_TRY(llmir_gpu_check_submission(program->plan, submission, &arrays, error));
    LLMIR_TRY(check_capacity(device, submission, &arrays, error));
    LLMIR_TRY(llmir_gpu_enter(device, error));
    const llmir_status_t status = run_batch(program, submission, &arrays, error);
    if (status == LLMIR_STATUS_OK) {
        *out_fence = ++device->last_fence;
    }
    llmir_gpu_leave(device);
    return status;
}

llmir_status_t llmir_gpu_wait(llmir_device_t* base,
                              uint64_t fence,
                              uint64_t timeout_ns,
                              llmir_error_t* error) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base;
    (void)timeout_ns;
    llmir_mutex_lock(&device->mutex);
    const uint64_t last = device->last_fence;
    llmir_mutex_unlock(&device->mutex);
    return fence <= last
               ? LLMIR_STATUS_OK
               : llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                            "fence %" PRIu64 " was never handed out, the last one is %" PRIu64,
                            fence, last);
}
