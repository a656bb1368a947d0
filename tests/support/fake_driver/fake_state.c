/* Objects, faults and ordered failures of the stand-in driver. */
#include "tests/support/fake_driver/fake_state.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(FAKE_HIP)
#define DEFAULT_CHIP 0x1100
#define DEFAULT_VERSION 60200000
#else
#define DEFAULT_CHIP 75
#define DEFAULT_VERSION 12040
#endif

fake_state_t fake;

static const char* const kind_names[] = {"context",    "stream",        "event",
                                         "module",     "function",      "graph",
                                         "executable", "device memory", "host memory"};

__attribute__((visibility("default"))) fake_control_t* fake_driver_control(void);
fake_control_t* fake_driver_control(void) {
    return &fake.control;
}

static uint64_t option(const char* name, uint64_t otherwise) {
    const char* text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

__attribute__((constructor)) static void start(void) {
    fake.devices = (int)option("FAKE_DRIVER_DEVICES", 1);
    fake.chip = (int)option("FAKE_DRIVER_CHIP", DEFAULT_CHIP);
    fake.version = (int)option("FAKE_DRIVER_VERSION", DEFAULT_VERSION);
    fake.memory_bytes = option("FAKE_DRIVER_MEMORY", UINT64_C(8) << 30);
    fake.others_bytes = option("FAKE_DRIVER_OTHERS", 0);
    fake.control.fail_at = option("FAKE_DRIVER_FAIL_AT", 0);
    fake.control.fail_code = (int)option("FAKE_DRIVER_FAIL_CODE", FAKE_OUT_OF_MEMORY);
    fake.is_wrong = (int)option("FAKE_DRIVER_WRONG", 0);
    fake.kernels = getenv("FAKE_DRIVER_KERNELS");
}

__attribute__((destructor)) static void end(void) {
    while (fake.objects != NULL) {
        fake_object_t* object = fake.objects;
        if (object->is_live && object->kind != FAKE_FUNCTION) {
            fake_fault("leak: %s of %zu bytes", kind_names[object->kind], object->bytes);
        }
        fake.objects = object->next;
        fake_queue_clear(&object->work);
        free(object->text);
        free(object);
    }
}

void fake_fault(const char* format, ...) {
    va_list arguments;
    ++fake.control.faults;
    va_start(arguments, format);
    fprintf(stderr, "fake driver: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
}

static int count_call(void) {
    if (++fake.control.calls == fake.control.fail_at) {
        if (fake.control.fail_code >= FAKE_ILLEGAL_ADDRESS) {
            fake.sticky = fake.control.fail_code; /* as a real one: the context is of no use */
        }
        return fake.control.fail_code;
    }
    return 0;
}

int fake_enter(int needs_context) {
    const int sticky = fake.sticky;
    const int result = count_call();
    if (result != 0) {
        return result;
    }
    if (!fake.is_initialized) {
        fake_fault("a call before the driver was initialized");
        return FAKE_NOT_INITIALIZED;
    }
    if (needs_context && fake.current_count == 0) {
        fake_fault("a call without a context");
        return FAKE_INVALID_CONTEXT;
    }
    return needs_context ? sticky : 0;
}

int fake_enter_release(void) {
    const int result = count_call();
    if (fake.current_count == 0) {
        fake_fault("a release without a context");
    }
    return result != 0 ? result : fake.sticky;
}

fake_object_t* fake_object_new(fake_kind_t kind) {
    fake_object_t* object = calloc(1, sizeof *object);
    if (object != NULL) {
        object->kind = kind;
        object->is_live = 1;
        object->next = fake.objects;
        fake.objects = object;
        fake.control.live_objects += kind != FAKE_FUNCTION;
    }
    return object;
}

fake_object_t* fake_object(const void* handle, fake_kind_t kind) {
    for (fake_object_t* object = fake.objects; object != NULL; object = object->next) {
        if (object == handle && object->kind == kind) {
            if (!object->is_live) {
                fake_fault("%s is used after it was destroyed", kind_names[kind]);
                return NULL;
            }
            return object;
        }
    }
    fake_fault("%p is no %s", handle, kind_names[kind]);
    return NULL;
}

void fake_object_end(fake_object_t* object) {
    object->is_live = 0;
    fake.control.live_objects -= object->kind != FAKE_FUNCTION;
    if (object->kind == FAKE_DEVICE_MEMORY) {
        fake.control.live_bytes -= object->bytes;
        (void)munmap(object->mapping, object->mapping_bytes);
    } else if (object->kind == FAKE_HOST_MEMORY) {
        free(object->memory);
    }
    fake_queue_clear(&object->work);
}

static const fake_object_t* memory_at(uint64_t address) {
    const uintptr_t host = (uintptr_t)(address - FAKE_ADDRESS_TAG);
    for (const fake_object_t* object = fake.objects; object != NULL; object = object->next) {
        const uintptr_t begin = (uintptr_t)object->memory;
        if (object->kind == FAKE_DEVICE_MEMORY && object->is_live && host >= begin &&
            host - begin < object->bytes) {
            return object;
        }
    }
    return NULL;
}

uint64_t fake_device_room(uint64_t address) {
    const fake_object_t* object = memory_at(address);
    return object != NULL ? object->bytes - (address - FAKE_ADDRESS_TAG - (uintptr_t)object->memory)
                          : 0;
}

uint8_t* fake_range(uint64_t address, uint64_t bytes, const char* what) {
    if (bytes == 0 || fake_device_room(address) < bytes) {
        fake_fault("%s: %llu bytes at %#llx are no device memory", what, (unsigned long long)bytes,
                   (unsigned long long)address);
        return NULL;
    }
    return (uint8_t*)(uintptr_t)(address - FAKE_ADDRESS_TAG);
}
