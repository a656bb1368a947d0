/* Choosing a device of a driver and opening it. */
#include "targets/gpu/gpu_device.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/blake2b.h"

/* Kernels count words of 32 bits with 32 bits. */
#define BINDING_BYTES_MAX ((uint64_t)1 << 34)

#define STREAM_NON_BLOCKING 1u
#define EVENT_WITHOUT_TIMES 2u

/* ---- Entering ---- */

int llmir_gpu_enter_to_free(llmir_gpu_device_t* device) {
    llmir_mutex_lock(&device->mutex);
    /* Any function may report the failure of earlier work, once. */
    if (device->driver.context_push(device->context) == 0 ||
        device->driver.context_push(device->context) == 0) {
        return 1;
    }
    llmir_mutex_unlock(&device->mutex);
    return 0;
}

llmir_status_t llmir_gpu_enter(llmir_gpu_device_t* device, llmir_error_t* error) {
    llmir_mutex_lock(&device->mutex);
    llmir_status_t status = LLMIR_STATUS_OK;
    if (device->is_lost) {
        status = llmir_fail(error, LLMIR_STATUS_DEVICE_LOST, "%s: the device was lost before",
                            device->name);
    } else {
        const int result = device->driver.context_push(device->context);
        if (result != 0) {
            status = llmir_gpu_note(device, result, "using the context", error);
        }
    }
    if (status != LLMIR_STATUS_OK) {
        llmir_mutex_unlock(&device->mutex);
    }
    return status;
}

void llmir_gpu_leave(llmir_gpu_device_t* device) {
    void* context = NULL;
    (void)device->driver.context_pop(&context);
    llmir_mutex_unlock(&device->mutex);
}

llmir_status_t llmir_gpu_note(llmir_gpu_device_t* device,
                              int result,
                              const char* what,
                              llmir_error_t* error) {
    const llmir_status_t status = llmir_gpu_fail(error, device->flavor, result, what);
    device->is_lost |= status == LLMIR_STATUS_DEVICE_LOST;
    return status;
}

/* ---- Choosing ---- */

typedef struct candidate {
    int ordinal;
    uint32_t level;
    uint64_t memory_bytes;
    char name[96];
} candidate_t;

static llmir_status_t describe(const llmir_gpu_device_t* device,
                               int number,
                               candidate_t* out,
                               llmir_error_t* error) {
    const llmir_gpu_driver_t* driver = &device->driver;
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    int result = driver->device_get(&out->ordinal, number);
    if (result == 0) {
        result = driver->device_name(out->name, (int)sizeof out->name, out->ordinal);
    }
    out->name[sizeof out->name - 1u] = '\0';
    if (result == 0) {
        result = driver->device_memory(&bytes, out->ordinal);
    }
    if (result != 0) {
        return llmir_gpu_fail(error, device->flavor, result, "asking for a device's properties");
    }
    out->memory_bytes = bytes;
    return device->flavor->find_level(driver, &device->allocator, out->ordinal, &out->level, error);
}

static int is_better(const llmir_gpu_flavor_t* flavor, const candidate_t* a, const candidate_t* b) {
    return flavor->level_min != 0 && a->level != b->level ? a->level > b->level
                                                          : a->memory_bytes > b->memory_bytes;
}

/* Why a device is not taken. */
static llmir_status_t check_candidate(const llmir_gpu_flavor_t* flavor,
                                      const candidate_t* found,
                                      const char* wanted_name,
                                      llmir_error_t* error) {
    if (found->level < flavor->level_min) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                          "%s: device '%s' has version %" PRIu32 ".%" PRIu32
                          ", expected at least %" PRIu32 ".%" PRIu32,
                          flavor->target->name, found->name, found->level / 10u, found->level % 10u,
                          flavor->level_min / 10u, flavor->level_min % 10u);
    }
    if (wanted_name != NULL && strstr(found->name, wanted_name) == NULL) {
        return llmir_fail(error, LLMIR_STATUS_UNSUPPORTED, "%s: no device has the name %s",
                          flavor->target->name, wanted_name);
    }
    return LLMIR_STATUS_OK;
}

/* The newest device that fits the options, and of those the one with the most memory. The error
 * tells of the last one that does not fit. */
static llmir_status_t choose(const llmir_gpu_device_t* device,
                             const llmir_device_options_t* options,
                             candidate_t* out_best,
                             llmir_error_t* error) {
    const llmir_gpu_flavor_t* flavor = device->flavor;
    int count = 0;
    int has_best = 0;
    const int result = device->driver.device_count(&count);
    if (result != 0) {
        return llmir_gpu_fail(error, flavor, result, "counting devices");
    }
    llmir_status_t refused = llmir_fail(error, LLMIR_STATUS_UNSUPPORTED,
                                        "%s: the driver finds no device", flavor->target->name);
    for (int i = 0; i < count; ++i) {
        candidate_t found;
        llmir_status_t status = describe(device, i, &found, error);
        if (status == LLMIR_STATUS_OK) {
            status = check_candidate(flavor, &found, options->device_name, error);
        }
        if (status != LLMIR_STATUS_OK) {
            refused = status;
        } else if (!has_best || is_better(flavor, &found, out_best)) {
            *out_best = found;
            has_best = 1;
        }
    }
    if (has_best && error != NULL) {
        memset(error, 0, sizeof *error);
    }
    return has_best ? LLMIR_STATUS_OK : refused;
}

/* ---- Opening ---- */

static llmir_status_t create_objects(llmir_gpu_device_t* device, llmir_error_t* error) {
    void* staging = NULL;
    LLMIR_GPU_TRY(device, device->driver.stream_create(&device->stream, STREAM_NON_BLOCKING),
                  "creating a stream");
    for (uint32_t i = 0; i < LLMIR_GPU_SEGMENTS; ++i) {
        LLMIR_GPU_TRY(device, device->driver.event_create(&device->events[i], EVENT_WITHOUT_TIMES),
                      "creating an event");
    }
    LLMIR_GPU_TRY(device, device->driver.host_allocate(&staging, LLMIR_GPU_STAGING_BYTES, 0),
                  "allocating staging memory");
    device->staging = staging;
    return LLMIR_STATUS_OK;
}

static llmir_status_t device_init(llmir_gpu_device_t* device,
                                  const llmir_device_options_t* options,
                                  llmir_error_t* error) {
    candidate_t best = {0};
    LLMIR_TRY(llmir_mutex_init(&device->mutex, error));
    device->has_mutex = 1;
    LLMIR_TRY(llmir_gpu_driver_open(device->flavor, &device->driver, error));
    LLMIR_TRY(choose(device, options, &best, error));
    device->ordinal = best.ordinal;
    device->level = best.level;
    device->limits.chunk_bytes = best.memory_bytes;
    device->limits.binding_bytes =
        best.memory_bytes < BINDING_BYTES_MAX ? best.memory_bytes : BINDING_BYTES_MAX;
    (void)snprintf(device->name, sizeof device->name, "%s: %s", device->flavor->target->name,
                   best.name);
    LLMIR_GPU_TRY(device, device->driver.context_retain(&device->context, device->ordinal),
                  "opening the device");
    LLMIR_TRY(llmir_gpu_enter(device, error));
    const llmir_status_t status = create_objects(device, error);
    llmir_gpu_leave(device);
    return status;
}

llmir_status_t llmir_gpu_probe(const llmir_gpu_flavor_t* flavor,
                               const llmir_device_options_t* options,
                               llmir_error_t* error) {
    llmir_gpu_device_t device;
    candidate_t best = {0};
    memset(&device, 0, sizeof device);
    device.flavor = flavor;
    device.allocator = llmir_allocator_or_default(options->allocator);
    LLMIR_TRY(llmir_gpu_driver_open(flavor, &device.driver, error));
    const llmir_status_t status = choose(&device, options, &best, error);
    llmir_gpu_driver_close(&device.driver);
    return status;
}

llmir_status_t llmir_gpu_device_create(const llmir_gpu_flavor_t* flavor,
                                       const llmir_device_options_t* options,
                                       llmir_device_t** out_device,
                                       llmir_error_t* error) {
    const llmir_allocator_t allocator = llmir_allocator_or_default(options->allocator);
    void* block = NULL;
    *out_device = NULL;
    LLMIR_TRY(
        llmir_allocate(&allocator, sizeof(llmir_gpu_device_t), 16, "GPU device", &block, error));
    llmir_gpu_device_t* device = block;
    memset(device, 0, sizeof *device);
    device->base.target = flavor->target;
    device->allocator = allocator;
    device->flavor = flavor;
    const llmir_status_t status = device_init(device, options, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_gpu_device_destroy(&device->base);
        return status;
    }
    *out_device = &device->base;
    return LLMIR_STATUS_OK;
}

static void destroy_objects(llmir_gpu_device_t* device) {
    const llmir_gpu_driver_t* driver = &device->driver;
    if (device->stream != NULL) {
        (void)driver->stream_wait(device->stream);
        (void)driver->stream_destroy(device->stream);
    }
    for (uint32_t i = 0; i < LLMIR_GPU_SEGMENTS; ++i) {
        if (device->events[i] != NULL) {
            (void)driver->event_destroy(device->events[i]);
        }
    }
    if (device->staging != NULL) {
        (void)driver->host_free(device->staging);
    }
}

void llmir_gpu_device_destroy(llmir_device_t* base) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base;
    if (device == NULL) {
        return;
    }
    if (device->context != NULL) {
        if (llmir_gpu_enter_to_free(device)) {
            destroy_objects(device);
            llmir_gpu_leave(device);
        }
        (void)device->driver.context_release(device->ordinal);
    }
    llmir_gpu_driver_close(&device->driver);
    if (device->has_mutex) {
        llmir_mutex_deinit(&device->mutex);
    }
    const llmir_allocator_t allocator = device->allocator;
    llmir_free(&allocator, device, sizeof *device, 16);
}

/* A hash of what says which device and driver this is. */
static void identify(const llmir_gpu_device_t* device,
                     uint8_t out_identity[LLMIR_DEVICE_IDENTITY_BYTES]) {
    llmir_blake2b_t hash;
    llmir_blake2b_init(&hash);
    llmir_blake2b_update(&hash, &device->driver.version, sizeof device->driver.version);
    llmir_blake2b_update(&hash, &device->level, sizeof device->level);
    llmir_blake2b_update(&hash, device->name, strlen(device->name));
    llmir_blake2b_final(&hash, out_identity);
}

/* What can be allocated now: the device may be others' too. All that it has, where the driver does
 * not tell. */
static uint64_t free_bytes(llmir_gpu_device_t* device) {
    size_t bytes = 0;
    size_t all = 0;
    if (llmir_gpu_enter(device, NULL) != LLMIR_STATUS_OK) {
        return device->limits.chunk_bytes;
    }
    const int result = device->driver.memory_info(&bytes, &all);
    llmir_gpu_leave(device);
    return result != 0 ? device->limits.chunk_bytes : bytes > 0 ? bytes : 1u;
}

void llmir_gpu_device_caps(const llmir_device_t* base, llmir_device_caps_t* out_caps) {
    llmir_gpu_device_t* device = (llmir_gpu_device_t*)base; /* asking takes its lock */
    *out_caps = (llmir_device_caps_t){
        .name = device->name,
        .section_target = device->flavor->section_target,
        .level = device->level,
        .own_level = device->flavor->is_text ? LLMIR_GPU_LEVEL_CUBIN(device->level) : 0u,
        .thread_count = 1,
        .kv_types = UINT32_MAX,
        .copies_batch = 1,
        .buffer_bytes = device->limits.chunk_bytes,
        .binding_bytes = device->limits.binding_bytes,
        .memory_bytes = free_bytes(device),
    };
    identify(device, out_caps->identity);
}
