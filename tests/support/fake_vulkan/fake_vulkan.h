/* The objects of the stand-in for Vulkan's loader and a device, private to its files.
 *
 * Like tests/support/fake_driver it works on memory of the host, checks arguments, the order of
 * calls, ranges, barriers, leaks and uses after a destruction, fails at the n-th call that returns
 * a VkResult, and executes kernels (fake_kernel.h). What is submitted is done when somebody waits.
 *
 * Environment beside that of fake_driver.h:
 *   FAKE_DRIVER_VERSION   Vulkan's version of the device (0x401000: 1.1)
 *   FAKE_DRIVER_RANGE     maxStorageBufferRange (128 MiB)
 *   FAKE_DRIVER_OTHERS    bytes of its memory that other processes use (0)
 *   FAKE_DRIVER_BUFFERS   maxPerStageDescriptorStorageBuffers (16)
 *   FAKE_DRIVER_UNIFIED   1: an integrated GPU, whose memory the host sees
 *   FAKE_DRIVER_LEVEL     0: without the extensions for packed dot products (1)
 *   FAKE_DRIVER_MATRIX    number of the shape of LLMIR_VULKAN_MATRICES that its cooperative
 * matrices have (none) */
#ifndef LLMIR_FAKE_VULKAN_H
#define LLMIR_FAKE_VULKAN_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "llmir_bundle.h"
#include "tests/support/fake_driver/fake_driver.h"
#include "tests/support/fake_driver/fake_execute.h"

typedef enum fv_kind {
    FV_INSTANCE,
    FV_PHYSICAL, /* of an instance, gone with it */
    FV_DEVICE,
    FV_QUEUE, /* of a device */
    FV_MEMORY,
    FV_BUFFER,
    FV_COMMAND_POOL,
    FV_COMMAND_BUFFER, /* of a pool */
    FV_FENCE,
    FV_MODULE,
    FV_SET_LAYOUT,
    FV_PIPELINE_LAYOUT,
    FV_PIPELINE,
    FV_PIPELINE_CACHE,
    FV_DESCRIPTOR_POOL,
    FV_SET, /* of a pool */
} fv_kind_t;

typedef enum fv_command_kind {
    FV_BARRIER,
    FV_FILL,
    FV_UPDATE,
    FV_COPY,
    FV_DISPATCH,
} fv_command_kind_t;

typedef struct fv_binding {
    struct fv_object* buffer;
    uint64_t offset, range;
} fv_binding_t;

typedef struct fv_command {
    struct fv_command* next;
    fv_command_kind_t kind;
    struct fv_object *from, *to; /* buffers */
    uint64_t from_offset, to_offset, bytes;
    uint8_t* data; /* UPDATE */
    uint32_t word; /* FILL */
    struct fv_object *pipeline, *set;
    uint32_t words[LLMIR_GPU_WORD_COUNT];
    uint32_t grid_x, grid_y;
} fv_command_t;

/* Objects are not freed before all instances are gone, so that a stale handle is known as one. */
typedef struct fv_object {
    void* loader_data; /* dispatchable handles begin with a pointer */
    struct fv_object* next;
    struct fv_object* owner;
    fv_kind_t kind;
    int is_live;
    uint32_t number; /* PHYSICAL: which; MEMORY: its type */
    /* MEMORY, BUFFER */
    uint8_t* memory;
    uint8_t* mapping;
    uint64_t bytes, mapping_bytes;
    struct fv_object* bound; /* BUFFER: its memory */
    /* COMMAND_BUFFER */
    fv_command_t *first, *last;
    int is_recording, is_recorded;
    struct fv_object *pipeline, *set; /* bound while recording */
    uint32_t words[LLMIR_GPU_WORD_COUNT];
    uint32_t words_set;
    /* FENCE */
    int is_pending, is_signaled;
    uint64_t submission;
    /* MODULE, PIPELINE */
    uint32_t* code;
    void* library;
    fake_kernel_fn run;
    uint32_t threads;
    /* SET */
    fv_binding_t bindings[LLMIR_GPU_BINDING_COUNT];
    /* DESCRIPTOR_POOL */
    uint32_t sets_left, descriptors_left;
    /* PIPELINE_CACHE: what it holds */
    uint64_t hashes[256];
    uint32_t hash_count;
} fv_object_t;

typedef struct fv_submission {
    struct fv_submission* next;
    fv_object_t* commands;
    fv_object_t* fence;
} fv_submission_t;

typedef struct fv_state {
    fake_control_t control;
    fv_object_t* objects;
    fv_submission_t *first, *last;
    int is_lost;
    int dirty; /* written without a barrier since: 1 by the transfer of data alone, 2 also else */
    uint32_t devices, api_version, buffers;
    int is_unified, has_level, is_wrong;
    int matrix; /* number of a shape; -1: no cooperative matrices */
    uint64_t memory_bytes, range;
    uint64_t device_bytes; /* live, of the device's heap */
    uint64_t others_bytes; /* of memory_bytes: what other processes use */
    const char* kernels;
} fv_state_t;

extern fv_state_t fv;

void fv_fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* Counts a call; what is not VK_SUCCESS is to be returned. */
VkResult fv_enter(void);

fv_object_t* fv_new(fv_kind_t kind, fv_object_t* owner);
/* The live object of a handle; NULL after a fault. */
fv_object_t* fv_object(const void* handle, fv_kind_t kind);
/* Ends an object and all that it owns; NULL is allowed. A fault if it is in use by what is
 * submitted. */
void fv_end(const void* handle, fv_kind_t kind);

/* Frees the objects, if none lives. */
void fv_forget(void);

/* Does what was submitted, up to a fence's submission; NULL: all. */
VkResult fv_run(const fv_object_t* fence);
void fv_clear_commands(fv_object_t* commands);

/* The host's address of a range of a buffer; NULL after a fault. */
uint8_t* fv_range(const fv_object_t* buffer, uint64_t offset, uint64_t bytes, const char* what);

/* Whether an array of flags, a struct type or another argument is what was expected. */
#define FV_EXPECT(condition, what)                                   \
    do {                                                             \
        if (!(condition)) {                                          \
            fv_fault("%s: not %s (%s)", __func__, what, #condition); \
        }                                                            \
    } while (0)

#define FV_TRY(call)                  \
    do {                              \
        const VkResult try_ = (call); \
        if (try_ != VK_SUCCESS) {     \
            return try_;              \
        }                             \
    } while (0)

/* fv_FUNCTION for every function that the target calls. */
#define LLMIR_VULKAN_GLOBAL(name) extern PFN_##name const fv_##name;
#define LLMIR_VULKAN_INSTANCE(name) extern PFN_##name const fv_##name;
#define LLMIR_VULKAN_DEVICE(name) extern PFN_##name const fv_##name;
#include "targets/vulkan/vulkan_symbols.inc"
#undef LLMIR_VULKAN_GLOBAL
#undef LLMIR_VULKAN_INSTANCE
#undef LLMIR_VULKAN_DEVICE

/* Defines one under that name. */
#define FV_FUNCTION(name) PFN_##name const fv_##name = name##_

#endif /* LLMIR_FAKE_VULKAN_H */
