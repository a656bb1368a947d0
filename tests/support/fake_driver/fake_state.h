/* The objects of the stand-in driver, private to its files. */
#ifndef LLMIR_FAKE_STATE_H
#define LLMIR_FAKE_STATE_H

#include "llmir_bundle.h"
#include "targets/gpu/gpu_driver.h"
#include "tests/support/fake_driver/fake_driver.h"
#include "tests/support/fake_driver/fake_kernel.h"

/* Results that the driver gives. */
enum {
    FAKE_INVALID_VALUE = 1,
    FAKE_OUT_OF_MEMORY = 2,
    FAKE_NOT_INITIALIZED = 3,
    FAKE_NO_DEVICE = 100,
    FAKE_INVALID_DEVICE = 101,
    FAKE_INVALID_CONTEXT = 201,
    FAKE_NO_BINARY = 209, /* for this device */
    FAKE_INVALID_MODULE = 218,
    FAKE_INVALID_HANDLE = 400,
    FAKE_NOT_FOUND = 500,
    FAKE_ILLEGAL_ADDRESS = 700,
    FAKE_CAPTURE_INVALID = 901,
};

typedef enum fake_kind {
    FAKE_CONTEXT,
    FAKE_STREAM,
    FAKE_EVENT,
    FAKE_MODULE,
    FAKE_FUNCTION, /* of a module, gone with it */
    FAKE_GRAPH,
    FAKE_EXECUTABLE,
    FAKE_DEVICE_MEMORY,
    FAKE_HOST_MEMORY,
} fake_kind_t;

typedef enum fake_work_kind {
    FAKE_FILL,
    FAKE_TO_DEVICE,
    FAKE_TO_HOST,
    FAKE_ON_DEVICE,
    FAKE_LAUNCH,
} fake_work_kind_t;

/* Something that a stream does. */
typedef struct fake_work {
    struct fake_work* next;
    fake_work_kind_t kind;
    uint64_t to, from; /* device addresses */
    uint8_t* host;
    size_t bytes;
    uint32_t word;
    struct fake_object* function;
    llmir_gpu_arguments_t arguments;
    uint32_t grid_x, grid_y, threads;
} fake_work_t;

typedef struct fake_queue {
    fake_work_t *first, *last;
} fake_queue_t;

/* Objects are never freed while the library is loaded, so that a stale handle is known as one. */
typedef struct fake_object {
    struct fake_object* next;
    fake_kind_t kind;
    int is_live;
    fake_queue_t work; /* STREAM, GRAPH, EXECUTABLE */
    int is_capturing;  /* STREAM */
    uint8_t* memory;   /* DEVICE_MEMORY, HOST_MEMORY: the host's address */
    uint8_t* mapping;  /* DEVICE_MEMORY: the whole mapping */
    size_t bytes, mapping_bytes;
    void* library;              /* MODULE */
    char* text;                 /* MODULE: the PTX or the cubin */
    struct fake_object* module; /* FUNCTION */
    fake_kernel_fn run;
    int has_barrier;
    uint32_t threads_max;
} fake_object_t;

typedef struct fake_state {
    fake_control_t control;
    fake_object_t* objects;
    fake_object_t* current[16]; /* contexts pushed */
    unsigned current_count;
    unsigned retain_count; /* of the primary context */
    fake_object_t* primary;
    int is_initialized;
    int sticky; /* a result that every later call gives */
    int devices, chip, version, is_wrong;
    uint64_t memory_bytes;
    uint64_t others_bytes; /* of memory_bytes: what other processes use */
    const char* kernels;
} fake_state_t;

extern fake_state_t fake;

/* What device addresses have added, so that the host cannot use them. */
#define FAKE_ADDRESS_TAG UINT64_C(0x5a00000000000000)

/* Counts a call; a result that is not 0 is to be returned. `needs_context`: one must be current. */
int fake_enter(int needs_context);
/* The same of a call that releases something: it is released in any case. */
int fake_enter_release(void);

void fake_fault(const char* format, ...) __attribute__((format(printf, 1, 2)));
fake_object_t* fake_object_new(fake_kind_t kind);
/* The live object of a handle; NULL after a fault. */
fake_object_t* fake_object(const void* handle, fake_kind_t kind);
void fake_object_end(fake_object_t* object);
/* The host's address of a range of device memory; NULL after a fault. */
uint8_t* fake_range(uint64_t address, uint64_t bytes, const char* what);
/* Bytes from a device address to the end of its memory; 0: not in any. */
uint64_t fake_device_room(uint64_t address);

/* fake_work.c */
int fake_work_add(fake_object_t* stream, const fake_work_t* work);
int fake_work_run(fake_object_t* stream);
void fake_queue_clear(fake_queue_t* queue);
void fake_queue_append(fake_queue_t* queue, const fake_work_t* work);

/* fake_module.c */
int fake_module_open(fake_object_t* module, const char* image);
/* Whether parameter `index` of a kernel, of `bytes` at `at`, is where the host packs it, and
 * whether there are as many as it packs; 0 after a fault. */
int fake_check_parameter(const char* kernel, uint32_t index, size_t at, size_t bytes);
int fake_check_parameter_count(const char* kernel, uint32_t count);
int fake_module_find(fake_object_t* module, const char* name, fake_object_t* function);

/* The exported functions: fake_<field>, under the name that they have in the driver. */
#if defined(FAKE_HIP)
#define LLMIR_GPU_FUNCTION(field, parameters, cuda_name, hip_name) \
    int fake_##field parameters __asm__(hip_name) __attribute__((visibility("default")));
#else
#define LLMIR_GPU_FUNCTION(field, parameters, cuda_name, hip_name) \
    int fake_##field parameters __asm__(cuda_name) __attribute__((visibility("default")));
#endif
#include "targets/gpu/gpu_functions.inc"
#undef LLMIR_GPU_FUNCTION

#endif /* LLMIR_FAKE_STATE_H */
