/* A stand-in for the driver of a GPU, as a library of the driver's name: implements the functions
 * of targets/gpu/gpu_functions.inc on memory of the host. It checks arguments, the order of calls,
 * ranges, leaks, double frees and uses after a free, fails at the n-th call, and executes kernels
 * (fake_kernel.h). Work on a stream is done when somebody waits for it, not before.
 *
 * Environment, read when the library is loaded:
 *   FAKE_DRIVER_KERNELS   folder with what is executed in place of modules
 *   FAKE_DRIVER_DEVICES   devices (1)          FAKE_DRIVER_MEMORY   bytes of each (8 GiB)
 *   FAKE_DRIVER_OTHERS    bytes of it that other processes use (0)
 *   FAKE_DRIVER_CHIP      CUDA: 10 * major + minor (75); HIP: 0x90a for gfx90a (0x1100)
 *   FAKE_DRIVER_VERSION   of the driver (12040; 60200000)
 *   FAKE_DRIVER_FAIL_AT   the call that fails, from 1 (none), with FAKE_DRIVER_FAIL_CODE (2)
 *   FAKE_DRIVER_WRONG     1: every second workgroup does nothing
 * What it finds goes to standard error, leaks when the library is unloaded. */
#ifndef LLMIR_FAKE_DRIVER_H
#define LLMIR_FAKE_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct fake_control {
    uint64_t calls;   /* so far */
    uint64_t fail_at; /* 0: none */
    int fail_code;
    uint64_t faults;       /* wrong uses found */
    uint64_t live_objects; /* contexts, streams, events, modules, graphs, memory */
    uint64_t live_bytes;   /* of the device */
    uint64_t read_bytes;   /* copied to the host */
    uint64_t launches;     /* kernels executed */
    uint64_t graph_launches;
    uint64_t compiled; /* Vulkan: pipelines that were in no pipeline cache */
    uint32_t revision; /* Vulkan: of the driver */
    int is_quiet;      /* the failure was ordered, nothing is printed */
} fake_control_t;

/* Exported by the library as "fake_driver_control". */
typedef fake_control_t* (*fake_driver_control_fn)(void);

#endif /* LLMIR_FAKE_DRIVER_H */
