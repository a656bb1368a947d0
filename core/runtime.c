/* Runtimes: options, devices, log. */
#include "core/runtime.h"

#include <string.h>

#include "core/options.h"

uint32_t llmir_version(void) {
    return (uint32_t)LLMIR_VERSION_MAJOR << 16 | LLMIR_VERSION_MINOR << 8 | LLMIR_VERSION_PATCH;
}

static llmir_status_t check_options(const llmir_runtime_options_t* options, llmir_error_t* error) {
    const uint32_t known = LLMIR_RUNTIME_NO_BUNDLE_CODE;
    if ((options->flags & ~known) != 0) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "runtime options: flags %#x, known are %#x", options->flags, known);
    }
    if (options->thread_count > LLMIR_RUNTIME_MAX_THREADS) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "runtime options: %u threads, at most %u", options->thread_count,
                          LLMIR_RUNTIME_MAX_THREADS);
    }
    if ((options->executor.run == NULL) != (options->executor.concurrency == NULL)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "runtime options: the executor has one of its two callbacks");
    }
    if ((options->cache.get == NULL) != (options->cache.put == NULL)) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT,
                          "runtime options: the cache has one of its two callbacks");
    }
    return LLMIR_STATUS_OK;
}

/* How many threads compute if the options leave it open. */
static uint32_t default_threads(const llmir_executor_t* executor) {
    const uint32_t count =
        executor->run != NULL ? executor->concurrency(executor->self) : llmir_cpu_count();
    return count != 0 ? count : 1u;
}

llmir_status_t llmir_runtime_create(const llmir_runtime_options_t* options,
                                    llmir_runtime_t** out_runtime,
                                    llmir_error_t* error) {
    llmir_runtime_options_t own;
    void* block = NULL;
    if (out_runtime == NULL) {
        return llmir_fail(error, LLMIR_STATUS_INVALID_ARGUMENT, "out_runtime is NULL");
    }
    *out_runtime = NULL;
    LLMIR_TRY(llmir_options_read(&own, sizeof(own), options, "runtime options", error));
    LLMIR_TRY(check_options(&own, error));
    const llmir_allocator_t allocator = llmir_allocator_or_default(own.allocator);
    LLMIR_TRY(llmir_allocate(&allocator, sizeof(llmir_runtime_t), _Alignof(llmir_runtime_t),
                             "runtime", &block, error));
    llmir_runtime_t* runtime = block;
    runtime->allocator = allocator;
    runtime->log = own.log;
    runtime->log_user = own.log_user;
    runtime->executor = own.executor;
    runtime->trace = own.trace;
    runtime->trace_user = own.trace_user;
    runtime->cache = own.cache;
    runtime->thread_count =
        own.thread_count != 0 ? own.thread_count : default_threads(&own.executor);
    if (runtime->thread_count > LLMIR_RUNTIME_MAX_THREADS) {
        runtime->thread_count = LLMIR_RUNTIME_MAX_THREADS;
    }
    runtime->cpu_level_max = own.cpu_level_max;
    runtime->flags = own.flags;
    *out_runtime = runtime;
    return LLMIR_STATUS_OK;
}

void llmir_runtime_destroy(llmir_runtime_t* runtime) {
    if (runtime == NULL) {
        return;
    }
    for (uint32_t i = 0; i < LLMIR_RUNTIME_MAX_DEVICES; ++i) {
        llmir_device_t* device = runtime->devices[i].device;
        if (device != NULL) {
            device->target->device_destroy(device);
        }
    }
    const llmir_allocator_t allocator = runtime->allocator;
    llmir_free(&allocator, runtime, sizeof(*runtime), _Alignof(llmir_runtime_t));
}

uint32_t llmir_runtime_thread_count(const llmir_runtime_t* runtime) {
    return runtime != NULL ? runtime->thread_count : 0;
}

void llmir_runtime_log(const llmir_runtime_t* runtime, llmir_log_level_t level, const char* text) {
    if (runtime->log != NULL) {
        runtime->log(level, text, runtime->log_user);
    }
}

/* The device that was made for this wish, or a free place for it; NULL: neither. */
static llmir_runtime_slot_t* find_slot(llmir_runtime_t* runtime,
                                       const llmir_target_t* target,
                                       const llmir_device_wish_t* wish) {
    for (uint32_t i = 0; i < LLMIR_RUNTIME_MAX_DEVICES; ++i) {
        llmir_runtime_slot_t* slot = &runtime->devices[i];
        if (slot->device == NULL ||
            (slot->device->target == target && strcmp(slot->wish.name, wish->name) == 0 &&
             slot->wish.no_software == wish->no_software)) {
            return slot;
        }
    }
    return NULL;
}

llmir_status_t llmir_runtime_device(llmir_runtime_t* runtime,
                                    uint32_t index,
                                    const llmir_device_wish_t* wish,
                                    llmir_device_t** out_device,
                                    llmir_error_t* error) {
    const llmir_target_t* target = llmir_target_registry[index];
    const llmir_device_options_t options = {
        .allocator = runtime->allocator,
        .thread_count = runtime->thread_count,
        .cpu_level_max = runtime->cpu_level_max,
        .executor = runtime->executor,
        .log = runtime->log,
        .log_user = runtime->log_user,
        .cache = runtime->cache,
        .device_name = wish->name[0] != '\0' ? wish->name : NULL,
        .no_software = wish->no_software};
    llmir_runtime_slot_t* slot = find_slot(runtime, target, wish);
    *out_device = NULL;
    if (slot == NULL) {
        return llmir_fail(error, LLMIR_STATUS_CAPACITY, "a runtime has %u devices at most",
                          LLMIR_RUNTIME_MAX_DEVICES);
    }
    if (slot->device == NULL) {
        if (!llmir_target_is_complete(target)) {
            return llmir_fail(error, LLMIR_STATUS_INTERNAL, "target %u: its table is incomplete",
                              index);
        }
        LLMIR_TRY(target->probe(&options, error));
        LLMIR_TRY(target->device_create(&options, &slot->device, error));
        slot->wish = *wish;
    }
    *out_device = slot->device;
    return LLMIR_STATUS_OK;
}
