/* Objects, faults and ordered failures of the stand-in for Vulkan. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/support/fake_vulkan/fake_vulkan.h"

#include <dlfcn.h>

fv_state_t fv;

static const char* const kind_names[] = {
    "instance", "physical device", "device",          "queue",
    "memory",   "buffer",          "command pool",    "command buffer",
    "fence",    "shader module",   "set layout",      "pipeline layout",
    "pipeline", "pipeline cache",  "descriptor pool", "descriptor set",
};

__attribute__((visibility("default"))) fake_control_t* fake_driver_control(void);
fake_control_t* fake_driver_control(void) {
    return &fv.control;
}

static uint64_t option(const char* name, uint64_t otherwise) {
    const char* text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

__attribute__((constructor)) static void start(void) {
    fv.devices = (uint32_t)option("FAKE_DRIVER_DEVICES", 1);
    fv.api_version = (uint32_t)option("FAKE_DRIVER_VERSION", VK_API_VERSION_1_1);
    fv.memory_bytes = option("FAKE_DRIVER_MEMORY", UINT64_C(8) << 30);
    fv.others_bytes = option("FAKE_DRIVER_OTHERS", 0);
    fv.range = option("FAKE_DRIVER_RANGE", UINT64_C(128) << 20);
    fv.buffers = (uint32_t)option("FAKE_DRIVER_BUFFERS", 16);
    fv.is_unified = (int)option("FAKE_DRIVER_UNIFIED", 0);
    fv.has_level = (int)option("FAKE_DRIVER_LEVEL", 1);
    fv.is_wrong = (int)option("FAKE_DRIVER_WRONG", 0);
    fv.matrix = (int)(int64_t)option("FAKE_DRIVER_MATRIX", UINT64_MAX);
    fv.control.revision = (uint32_t)option("FAKE_DRIVER_REVISION", 7);
    fv.control.fail_at = option("FAKE_DRIVER_FAIL_AT", 0);
    fv.control.fail_code = (int)strtol(
        getenv("FAKE_DRIVER_FAIL_CODE") != NULL ? getenv("FAKE_DRIVER_FAIL_CODE") : "-2", NULL, 0);
    fv.kernels = getenv("FAKE_DRIVER_KERNELS");
}

static int is_counted(fv_kind_t kind) {
    return kind != FV_PHYSICAL && kind != FV_QUEUE && kind != FV_COMMAND_BUFFER && kind != FV_SET;
}

static void free_objects(void) {
    while (fv.objects != NULL) {
        fv_object_t* object = fv.objects;
        fv.objects = object->next;
        fv_clear_commands(object);
        free(object->code);
        free(object);
    }
}

void fv_forget(void) {
    if (fv.control.live_objects == 0) {
        free_objects();
    }
}

__attribute__((destructor)) static void end(void) {
    for (const fv_object_t* object = fv.objects; object != NULL; object = object->next) {
        if (object->is_live && is_counted(object->kind)) {
            fv_fault("leak: %s of %llu bytes", kind_names[object->kind],
                     (unsigned long long)object->bytes);
        }
    }
    free_objects();
}

void fv_fault(const char* format, ...) {
    va_list arguments;
    ++fv.control.faults;
    va_start(arguments, format);
    fprintf(stderr, "fake driver: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
}

VkResult fv_enter(void) {
    if (++fv.control.calls == fv.control.fail_at) {
        fv.is_lost |= fv.control.fail_code == VK_ERROR_DEVICE_LOST;
        return (VkResult)fv.control.fail_code;
    }
    return VK_SUCCESS;
}

fv_object_t* fv_new(fv_kind_t kind, fv_object_t* owner) {
    fv_object_t* object = calloc(1, sizeof *object);
    if (object == NULL) {
        abort();
    }
    object->kind = kind;
    object->is_live = 1;
    object->owner = owner;
    object->next = fv.objects;
    fv.objects = object;
    fv.control.live_objects += (uint64_t)is_counted(kind);
    return object;
}

fv_object_t* fv_object(const void* handle, fv_kind_t kind) {
    for (fv_object_t* object = fv.objects; object != NULL; object = object->next) {
        if (object == handle && object->kind == kind) {
            if (!object->is_live) {
                fv_fault("a %s is used after it was destroyed", kind_names[kind]);
                return NULL;
            }
            return object;
        }
    }
    fv_fault("%p is no %s", handle, kind_names[kind]);
    return NULL;
}

/* Whether something that is submitted needs the object. */
static int is_in_use(const fv_object_t* object) {
    if (fv.is_lost) {
        return 0;
    }
    for (const fv_submission_t* s = fv.first; s != NULL; s = s->next) {
        if (object == s->fence || object == s->commands) {
            return 1;
        }
        for (const fv_command_t* c = s->commands->first; c != NULL; c = c->next) {
            if (object == c->from || object == c->to || object == c->pipeline || object == c->set) {
                return 1;
            }
            for (uint32_t i = 0; c->set != NULL && i < LLMIR_GPU_BINDING_COUNT; ++i) {
                if (object == c->set->bindings[i].buffer) {
                    return 1;
                }
            }
        }
    }
    return 0;
}

static void end_object(fv_object_t* object) {
    const int must_be_empty = object->kind == FV_INSTANCE || object->kind == FV_DEVICE;
    if (is_in_use(object)) {
        fv_fault("a %s is destroyed while the device uses it", kind_names[object->kind]);
    }
    for (fv_object_t* other = fv.objects; other != NULL; other = other->next) {
        if (other->is_live && other->owner == object) {
            if (must_be_empty && is_counted(other->kind)) {
                fv_fault("a %s outlives its %s", kind_names[other->kind], kind_names[object->kind]);
            }
            end_object(other);
        }
        if (other->is_live && other->kind == FV_BUFFER && other->bound == object) {
            fv_fault("memory is freed before its buffer is destroyed");
        }
    }
    object->is_live = 0;
    fv.control.live_objects -= (uint64_t)is_counted(object->kind);
    if (object->kind == FV_MEMORY) {
        fv.control.live_bytes -= object->bytes;
        fv.device_bytes -= fv.is_unified || object->number == 0 ? object->bytes : 0u;
        (void)munmap(object->mapping, object->mapping_bytes);
    }
    if (object->library != NULL && object->kind == FV_MODULE) {
        (void)dlclose(object->library);
    }
    fv_clear_commands(object);
}

void fv_end(const void* handle, fv_kind_t kind) {
    fv_object_t* object = handle != NULL ? fv_object(handle, kind) : NULL;
    if (object != NULL) {
        end_object(object);
    }
}

void fv_clear_commands(fv_object_t* commands) {
    while (commands->first != NULL) {
        fv_command_t* command = commands->first;
        commands->first = command->next;
        free(command->data);
        free(command);
    }
    commands->last = NULL;
}
