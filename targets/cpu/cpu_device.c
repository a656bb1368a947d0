/* The processor as a device: the level of its kernels and its threads. */
#include "targets/cpu/cpu_device.h"

#include "targets/cpu/cpu_level.h"
#include "targets/cpu/cpu_target.h"

llmir_status_t llmir_cpu_probe(const llmir_device_options_t* options, llmir_error_t* error) {
    /* The portable kernels run everywhere. */
    (void)options;
    (void)error;
    return LLMIR_STATUS_OK;
}

static llmir_status_t device_init(llmir_cpu_device_t* device,
                                  const llmir_device_options_t* options,
                                  llmir_error_t* error) {
    device->kernels = llmir_cpu_level_choose(options->cpu_level_max);
    device->level_max = options->cpu_level_max;
    LLMIR_TRY(llmir_mutex_init(&device->submit_mutex, error));
    device->mutex_count = 1;
    LLMIR_TRY(llmir_mutex_init(&device->fence_mutex, error));
    device->mutex_count = 2;
    /* One thread needs no count of cores, which costs a look at the file system. */
    const uint32_t cores = options->thread_count == 1 ? 1 : llmir_cpu_count();
    uint32_t thread_count = options->thread_count;
    if (thread_count == 0) {
        thread_count = cores < LLMIR_CPU_MAX_THREADS ? cores : LLMIR_CPU_MAX_THREADS;
    }
    return llmir_cpu_pool_create(&device->allocator, thread_count, cores, &options->executor,
                                 &device->pool, error);
}

llmir_status_t llmir_cpu_device_create(const llmir_device_options_t* options,
                                       llmir_device_t** out_device,
                                       llmir_error_t* error) {
    *out_device = NULL;
    const llmir_allocator_t allocator = llmir_allocator_or_default(options->allocator);
    void* block = NULL;
    LLMIR_TRY(llmir_allocate(&allocator, sizeof(llmir_cpu_device_t), LLMIR_CPU_ALIGNMENT,
                             "cpu device", &block, error));
    llmir_cpu_device_t* device = block;
    device->base.target = &llmir_target_cpu;
    device->allocator = allocator;
    const llmir_status_t status = device_init(device, options, error);
    if (status != LLMIR_STATUS_OK) {
        llmir_cpu_device_destroy(&device->base);
        return status;
    }
    *out_device = &device->base;
    return LLMIR_STATUS_OK;
}

void llmir_cpu_device_destroy(llmir_device_t* base) {
    llmir_cpu_device_t* device = (llmir_cpu_device_t*)base;
    if (device == NULL) {
        return;
    }
    llmir_cpu_pool_destroy(device->pool);
    if (device->mutex_count > 1) {
        llmir_mutex_deinit(&device->fence_mutex);
    }
    if (device->mutex_count > 0) {
        llmir_mutex_deinit(&device->submit_mutex);
    }
    const llmir_allocator_t allocator = device->allocator;
    llmir_free(&allocator, device, sizeof *device, LLMIR_CPU_ALIGNMENT);
}

void llmir_cpu_device_caps(const llmir_device_t* base, llmir_device_caps_t* out_caps) {
    const llmir_cpu_device_t* device = (const llmir_cpu_device_t*)base;
    *out_caps = (llmir_device_caps_t){
        .name = "cpu",
        .section_target = LLMIR_SECTION_TARGET_CPU,
        .level = llmir_cpu_level_best(device->level_max),
        .thread_count = llmir_cpu_pool_thread_count(device->pool),
        .can_import = 1,
        .import_bytes = (uint32_t)LLMIR_CPU_BUFFER_BYTES,
        .kv_types = UINT32_MAX,
    };
}
