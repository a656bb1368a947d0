/* The functions of the stand-in driver. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/fake_driver/fake_state.h"

#define TRY(call)                \
    do {                         \
        const int try_ = (call); \
        if (try_ != 0) {         \
            return try_;         \
        }                        \
    } while (0)

/* ---- Devices ---- */

int fake_init(uint32_t flags) {
    const int result = ++fake.control.calls == fake.control.fail_at ? fake.control.fail_code : 0;
    if (flags != 0) {
        fake_fault("init: flags %u", flags);
    }
    fake.is_initialized = result == 0;
    return result != 0 ? result : fake.devices == 0 ? FAKE_NO_DEVICE : 0;
}

int fake_driver_version(int* out_version) {
    TRY(fake_enter(0));
    *out_version = fake.version;
    return 0;
}

int fake_device_count(int* out_count) {
    TRY(fake_enter(0));
    *out_count = fake.devices;
    return 0;
}

static int check_device(int device) {
    if (device < 1000 || device >= 1000 + fake.devices) {
        fake_fault("%d is no device", device);
        return FAKE_INVALID_DEVICE;
    }
    return 0;
}

int fake_device_get(int* out_device, int ordinal) {
    TRY(fake_enter(0));
    *out_device = 1000 + ordinal; /* so that nobody takes one for the other */
    return check_device(*out_device);
}

int fake_device_name(char* out_name, int bytes, int device) {
    TRY(fake_enter(0));
    TRY(check_device(device));
    (void)snprintf(out_name, (size_t)bytes, "Stand-in %d", device - 1000);
    return 0;
}

int fake_device_attribute(int* out_value, int attribute, int device) {
    TRY(fake_enter(0));
    TRY(check_device(device));
    if (attribute != 75 && attribute != 76) {
        fake_fault("attribute %d", attribute);
        return FAKE_INVALID_VALUE;
    }
    *out_value = attribute == 75 ? fake.chip / 10 : fake.chip % 10;
    return 0;
}

int fake_device_memory(size_t* out_bytes, int device) {
    TRY(fake_enter(0));
    TRY(check_device(device));
    *out_bytes = (size_t)fake.memory_bytes;
    return 0;
}

#if defined(FAKE_HIP)
__attribute__((visibility("default"))) int hipGetDevicePropertiesR0600(char* properties,
                                                                       int device);
/* As in hipDeviceProp_t: the name first, the chip somewhere behind it. */
int hipGetDevicePropertiesR0600(char* properties, int device) {
    TRY(fake_enter(0));
    TRY(check_device(device));
    (void)snprintf(properties, 256, "Stand-in %d of gfx1", device - 1000);
    (void)snprintf(properties + 1160, 256, "gfx%x:sramecc+:xnack-", (unsigned)fake.chip);
    return 0;
}
#endif

/* ---- Contexts ---- */

int fake_context_retain(void** out_context, int device) {
    TRY(fake_enter(0));
    TRY(check_device(device));
    if (fake.retain_count++ == 0) {
        fake.primary = fake_object_new(FAKE_CONTEXT);
        fake.sticky = 0;
    }
    *out_context = fake.primary;
    return 0;
}

int fake_context_release(int device) {
    const int result = fake_enter(0);
    if (fake.retain_count == 0) {
        fake_fault("a context is released once too often");
        return FAKE_INVALID_CONTEXT;
    }
    TRY(check_device(device));
    if (--fake.retain_count == 0) {
        fake_object_end(fake.primary);
    }
    return result;
}

int fake_context_push(void* context) {
    TRY(fake_enter(0));
    fake_object_t* object = fake_object(context, FAKE_CONTEXT);
    if (object == NULL || fake.current_count == 16) {
        return FAKE_INVALID_CONTEXT;
    }
    fake.current[fake.current_count++] = object;
    return 0;
}

int fake_context_pop(void** out_context) {
    const int result = fake_enter_release();
    if (fake.current_count == 0) {
        return FAKE_INVALID_CONTEXT;
    }
    *out_context = fake.current[--fake.current_count];
    return result;
}

/* ---- Memory ---- */

int fake_memory_info(size_t* out_free, size_t* out_total) {
    TRY(fake_enter(1));
    const uint64_t used = fake.control.live_bytes + fake.others_bytes;
    *out_total = (size_t)fake.memory_bytes;
    *out_free = used < fake.memory_bytes ? (size_t)(fake.memory_bytes - used) : 0u;
    return 0;
}

int fake_memory_allocate(uint64_t* out_address, size_t bytes) {
    TRY(fake_enter(1));
    if (bytes == 0) {
        fake_fault("0 bytes are allocated");
        return FAKE_INVALID_VALUE;
    }
    if (fake.control.live_bytes + fake.others_bytes + bytes > fake.memory_bytes) {
        return FAKE_OUT_OF_MEMORY;
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (bytes + page - 1u) / page * page;
    uint8_t* mapping = mmap(NULL, inner + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        return FAKE_OUT_OF_MEMORY;
    }
    /* What a kernel does behind the end shows at once, but for what alignment leaves. */
    (void)mprotect(mapping + inner, page, PROT_NONE);
    fake_object_t* object = fake_object_new(FAKE_DEVICE_MEMORY);
    object->mapping = mapping;
    object->mapping_bytes = inner + page;
    object->memory = mapping + (inner - (bytes + 255u) / 256u * 256u);
    object->bytes = bytes;
    memset(object->memory, 0xa5, bytes); /* nobody promises zeros */
    fake.control.live_bytes += bytes;
    *out_address = (uint64_t)(uintptr_t)object->memory + FAKE_ADDRESS_TAG;
    return 0;
}

/* Frees by address; a pending stream is finished first, as the driver does. */
int fake_memory_free(uint64_t address) {
    const int result = fake_enter_release();
    const uint8_t* memory = (const uint8_t*)(uintptr_t)(address - FAKE_ADDRESS_TAG);
    for (fake_object_t* object = fake.objects; object != NULL; object = object->next) {
        if (object->kind == FAKE_DEVICE_MEMORY && object->is_live && object->memory == memory) {
            for (fake_object_t* stream = fake.objects; stream != NULL; stream = stream->next) {
                if (stream->kind == FAKE_STREAM && stream->is_live) {
                    (void)fake_work_run(stream);
                }
            }
            fake_object_end(object);
            return result;
        }
    }
    fake_fault("%#llx is freed, which is no memory, or twice", (unsigned long long)address);
    return FAKE_INVALID_VALUE;
}

int fake_host_allocate(void** out_memory, size_t bytes, uint32_t flags) {
    TRY(fake_enter(1));
    if (bytes == 0 || flags != 0) {
        fake_fault("%zu bytes with flags %u are allocated", bytes, flags);
        return FAKE_INVALID_VALUE;
    }
    fake_object_t* object = fake_object_new(FAKE_HOST_MEMORY);
    object->memory = malloc(bytes);
    object->bytes = bytes;
    *out_memory = object->memory;
    return object->memory != NULL ? 0 : FAKE_OUT_OF_MEMORY;
}

int fake_host_free(void* memory) {
    const int result = fake_enter_release();
    for (fake_object_t* object = fake.objects; object != NULL; object = object->next) {
        if (object->kind == FAKE_HOST_MEMORY && object->is_live && object->memory == memory) {
            fake_object_end(object);
            return result;
        }
    }
    fake_fault("%p is freed, which is no pinned memory, or twice", memory);
    return FAKE_INVALID_VALUE;
}

/* ---- Streams and events ---- */

static int add_work(void* stream, const fake_work_t* work) {
    TRY(fake_enter(1));
    fake_object_t* object = fake_object(stream, FAKE_STREAM);
    return object != NULL ? fake_work_add(object, work) : FAKE_INVALID_HANDLE;
}

int fake_fill_words(uint64_t to, uint32_t word, size_t words, void* stream) {
    const fake_work_t work = {.kind = FAKE_FILL, .to = to, .word = word, .bytes = words * 4u};
    return add_work(stream, &work);
}

int fake_copy_to_device(uint64_t to, const void* from, size_t bytes, void* stream) {
    const fake_work_t work = {
        .kind = FAKE_TO_DEVICE, .to = to, .host = (uint8_t*)(uintptr_t)from, .bytes = bytes};
    return add_work(stream, &work);
}

int fake_copy_to_host(void* to, uint64_t from, size_t bytes, void* stream) {
    const fake_work_t work = {.kind = FAKE_TO_HOST, .from = from, .host = to, .bytes = bytes};
    return add_work(stream, &work);
}

int fake_copy_on_device(uint64_t to, uint64_t from, size_t bytes, void* stream) {
    const fake_work_t work = {.kind = FAKE_ON_DEVICE, .to = to, .from = from, .bytes = bytes};
    return add_work(stream, &work);
}

int fake_stream_create(void** out_stream, uint32_t flags) {
    TRY(fake_enter(1));
    if (flags > 1) {
        fake_fault("a stream with flags %u", flags);
        return FAKE_INVALID_VALUE;
    }
    *out_stream = fake_object_new(FAKE_STREAM);
    return 0;
}

int fake_stream_destroy(void* stream) {
    const int result = fake_enter_release();
    fake_object_t* object = fake_object(stream, FAKE_STREAM);
    if (object == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    (void)fake_work_run(object);
    fake_object_end(object);
    return result;
}

int fake_stream_wait(void* stream) {
    fake_object_t* object = fake_object(stream, FAKE_STREAM);
    const int result = fake_enter(1);
    if (object == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    const int done = fake_work_run(object); /* it goes on, whoever hears of it */
    return result != 0 ? result : done;
}

int fake_event_create(void** out_event, uint32_t flags) {
    TRY(fake_enter(1));
    if (flags > 7) {
        fake_fault("an event with flags %u", flags);
        return FAKE_INVALID_VALUE;
    }
    *out_event = fake_object_new(FAKE_EVENT);
    return 0;
}

int fake_event_destroy(void* event) {
    const int result = fake_enter_release();
    fake_object_t* object = fake_object(event, FAKE_EVENT);
    if (object != NULL) {
        fake_object_end(object);
    }
    return object != NULL ? result : FAKE_INVALID_HANDLE;
}

int fake_event_record(void* event, void* stream) {
    TRY(fake_enter(1));
    fake_object_t* object = fake_object(event, FAKE_EVENT);
    if (object == NULL || fake_object(stream, FAKE_STREAM) == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    object->module = stream; /* what to finish */
    return 0;
}

int fake_event_wait(void* event) {
    TRY(fake_enter(1));
    fake_object_t* object = fake_object(event, FAKE_EVENT);
    if (object == NULL || object->module == NULL) {
        fake_fault("waiting for an event that was never recorded");
        return FAKE_INVALID_HANDLE;
    }
    return fake_work_run(object->module);
}

/* ---- Modules ---- */

int fake_module_load(void** out_module, const void* image) {
    TRY(fake_enter(1));
    fake_object_t* module = fake_object_new(FAKE_MODULE);
    const int result = fake_module_open(module, image);
    if (result != 0) {
        fake_object_end(module);
        return result;
    }
    *out_module = module;
    return 0;
}

int fake_module_unload(void* module) {
    const int result = fake_enter_release();
    fake_object_t* object = fake_object(module, FAKE_MODULE);
    if (object == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    for (fake_object_t* other = fake.objects; other != NULL; other = other->next) {
        if (other->kind == FAKE_FUNCTION && other->module == object) {
            other->is_live = 0;
        }
        if (other->kind == FAKE_STREAM && other->is_live && other->work.first != NULL) {
            fake_fault("a module is unloaded while a stream has work");
        }
    }
    (void)dlclose(object->library);
    fake_object_end(object);
    return result;
}

int fake_module_function(void** out_function, void* module, const char* name) {
    TRY(fake_enter(1));
    fake_object_t* object = fake_object(module, FAKE_MODULE);
    if (object == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    fake_object_t* function = fake_object_new(FAKE_FUNCTION);
    const int result = fake_module_find(object, name, function);
    if (result != 0) {
        function->is_live = 0;
        return result;
    }
    *out_function = function;
    return 0;
}

#if defined(FAKE_HIP)
#define LAUNCH_END ((void*)3)
#else
#define LAUNCH_END NULL
#endif

/* The arguments of a launch, from the list of tags. */
static const llmir_gpu_arguments_t* find_arguments(void** extra) {
    const llmir_gpu_arguments_t* arguments = NULL;
    size_t bytes = 0;
    for (; extra != NULL && extra[0] != LAUNCH_END; extra += 2) {
        if (extra[0] == (void*)1) {
            arguments = extra[1];
        } else if (extra[0] == (void*)2) {
            bytes = *(const size_t*)extra[1];
        } else {
            fake_fault("a launch with tag %p", extra[0]);
            return NULL;
        }
    }
    if (arguments == NULL || bytes != sizeof *arguments) {
        fake_fault("a launch with %zu bytes of arguments, expected %zu", bytes, sizeof *arguments);
        return NULL;
    }
    return arguments;
}

int fake_launch(void* function,
                uint32_t grid_x,
                uint32_t grid_y,
                uint32_t grid_z,
                uint32_t threads_x,
                uint32_t threads_y,
                uint32_t threads_z,
                uint32_t shared_bytes,
                void* stream,
                void** parameters,
                void** extra) {
    fake_object_t* object = fake_object(function, FAKE_FUNCTION);
    const llmir_gpu_arguments_t* arguments = find_arguments(extra);
    if (object == NULL || arguments == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    if (grid_x == 0 || grid_y == 0 || grid_y > 65535 || grid_z != 1 || threads_x == 0 ||
        threads_x > object->threads_max || threads_y != 1 || threads_z != 1 || shared_bytes != 0 ||
        parameters != NULL) {
        fake_fault("a launch of %u x %u x %u workgroups of %u x %u x %u threads, at most %u",
                   grid_x, grid_y, grid_z, threads_x, threads_y, threads_z, object->threads_max);
        return FAKE_INVALID_VALUE;
    }
    const fake_work_t work = {.kind = FAKE_LAUNCH,
                              .function = object,
                              .arguments = *arguments,
                              .grid_x = grid_x,
                              .grid_y = grid_y,
                              .threads = threads_x};
    return add_work(stream, &work);
}

/* ---- Graphs ---- */

int fake_capture_begin(void* stream, int mode) {
    TRY(fake_enter(1));
    fake_object_t* object = fake_object(stream, FAKE_STREAM);
    if (object == NULL || object->is_capturing || mode < 0 || mode > 2) {
        fake_fault("a stream cannot be recorded");
        return FAKE_INVALID_HANDLE;
    }
    object->is_capturing = 1;
    object->library = object->work.last; /* what was there before is not recorded */
    return 0;
}

int fake_capture_end(void* stream, void** out_graph) {
    const int result = fake_enter(1);
    fake_object_t* object = fake_object(stream, FAKE_STREAM);
    if (object == NULL || !object->is_capturing) {
        fake_fault("a stream that is not recorded");
        return FAKE_INVALID_HANDLE;
    }
    object->is_capturing = 0;
    fake_work_t* before = object->library;
    object->library = NULL;
    fake_queue_t recorded = {before != NULL ? before->next : object->work.first, object->work.last};
    if (before != NULL) {
        before->next = NULL;
    } else {
        object->work.first = NULL;
    }
    object->work.last = before;
    if (result != 0 || recorded.first == NULL) {
        fake_queue_clear(&recorded);
        return result;
    }
    fake_object_t* graph = fake_object_new(FAKE_GRAPH);
    graph->work = recorded;
    *out_graph = graph;
    return 0;
}

int fake_graph_instantiate(void** out_executable, void* graph, unsigned long long flags) {
    TRY(fake_enter(1));
    const fake_object_t* object = fake_object(graph, FAKE_GRAPH);
    if (object == NULL || flags != 0) {
        return FAKE_INVALID_HANDLE;
    }
    fake_object_t* executable = fake_object_new(FAKE_EXECUTABLE);
    for (const fake_work_t* work = object->work.first; work != NULL; work = work->next) {
        fake_queue_append(&executable->work, work);
    }
    *out_executable = executable;
    return 0;
}

static int end_object(void* handle, fake_kind_t kind) {
    const int result = fake_enter_release();
    fake_object_t* object = fake_object(handle, kind);
    if (object != NULL) {
        fake_object_end(object);
    }
    return object != NULL ? result : FAKE_INVALID_HANDLE;
}

int fake_graph_destroy(void* graph) {
    return end_object(graph, FAKE_GRAPH);
}

int fake_executable_destroy(void* executable) {
    return end_object(executable, FAKE_EXECUTABLE);
}

int fake_graph_launch(void* executable, void* stream) {
    TRY(fake_enter(1));
    const fake_object_t* object = fake_object(executable, FAKE_EXECUTABLE);
    fake_object_t* to = fake_object(stream, FAKE_STREAM);
    if (object == NULL || to == NULL) {
        return FAKE_INVALID_HANDLE;
    }
    ++fake.control.graph_launches;
    for (const fake_work_t* work = object->work.first; work != NULL; work = work->next) {
        TRY(fake_work_add(to, work));
    }
    return 0;
}
