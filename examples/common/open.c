/* Opening a bundle, and tokenizing a text of any length. */
#include "common/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cache.h"
#include "common/input.h"

static void log_line(int32_t level, const char* message, void* user) {
    if (level <= LLMIR_LOG_WARNING) {
        fprintf(stderr, "%s: %s: %s\n", (const char*)user,
                level == LLMIR_LOG_ERROR ? "error" : "warning", message);
    }
}

llmir_status_t open_model_traced(const open_request_t* request,
                                 opened_model_t* out,
                                 llmir_error_t* error) {
    llmir_runtime_options_t runtime_options = LLMIR_RUNTIME_OPTIONS_INIT;
    llmir_model_options_t model_options = LLMIR_MODEL_OPTIONS_INIT;
    const double start = input_now_ms();
    memset(out, 0, sizeof(*out));
    runtime_options.thread_count = request->threads;
    runtime_options.log = log_line;
    runtime_options.log_user = (void*)(uintptr_t)request->program;
    runtime_options.cache = file_cache();
    runtime_options.trace = request->trace;
    runtime_options.trace_user = request->trace_user;
    model_options.flags = request->model_flags;
    model_options.device = request->device->name;
    model_options.device_layers = request->device->layers;
    model_options.device_bytes = (uint64_t)request->device->memory_mib << 20;
    model_options.pool = request->pool;
    llmir_status_t status = llmir_runtime_create(&runtime_options, &out->runtime, error);
    if (status == LLMIR_STATUS_OK) {
        status =
            llmir_model_load_file(out->runtime, request->path, &model_options, &out->model, error);
    }
    if (status == LLMIR_STATUS_OK) {
        out->info.struct_size = sizeof(out->info);
        status = llmir_model_get_info(out->model, &out->info, error);
    }
    if (status != LLMIR_STATUS_OK) {
        close_model(out);
    }
    out->load_ms = input_now_ms() - start;
    return status;
}

llmir_status_t open_model(const char* program,
                          const char* path,
                          const char* device,
                          uint32_t threads,
                          uint32_t model_flags,
                          opened_model_t* out,
                          llmir_error_t* error) {
    const open_device_t named = {.name = device};
    const open_request_t request = {.program = program,
                                    .path = path,
                                    .device = &named,
                                    .threads = threads,
                                    .model_flags = model_flags};
    return open_model_traced(&request, out, error);
}

void close_model(opened_model_t* opened) {
    llmir_model_destroy(opened->model);
    llmir_runtime_destroy(opened->runtime);
    opened->model = NULL;
    opened->runtime = NULL;
}

int open_kv_type(const char* name, uint32_t* out_kv_type) {
    static const struct {
        const char* name;
        uint32_t type;
    } types[] = {
        {"f16", LLMIR_KV_F16}, {"f32", LLMIR_KV_F32}, {"q8", LLMIR_KV_Q8}, {"q4", LLMIR_KV_Q4}};
    *out_kv_type = LLMIR_KV_F16;
    for (size_t i = 0; name != NULL && i < sizeof(types) / sizeof(types[0]); ++i) {
        if (strcmp(name, types[i].name) == 0) {
            *out_kv_type = types[i].type;
            return 1;
        }
    }
    return name == NULL;
}

int32_t* open_tokenize(const llmir_model_t* model,
                       const char* text,
                       size_t bytes,
                       uint32_t flags,
                       size_t* out_count,
                       llmir_error_t* error) {
    /* No token is shorter than a byte but those that the model adds: one call suffices nearly
     * always. */
    size_t capacity = bytes + 16;
    for (int attempt = 0; attempt < 2; ++attempt) {
        int32_t* ids = malloc(capacity * sizeof(*ids));
        if (ids == NULL) {
            error->code = LLMIR_STATUS_OUT_OF_MEMORY;
            snprintf(error->message, sizeof(error->message), "no memory for %zu token ids",
                     capacity);
            return NULL;
        }
        const llmir_status_t status =
            llmir_model_tokenize(model, text, bytes, flags, ids, capacity, out_count, error);
        if (status == LLMIR_STATUS_OK) {
            return ids;
        }
        free(ids);
        if (status != LLMIR_STATUS_CAPACITY) {
            return NULL;
        }
        capacity = *out_count;
    }
    return NULL;
}
