/* What a cubin says of itself. Nothing is checked that a driver would not: see
 * targets/gpu/gpu_module.h. */
#ifndef LLMIR_FAKE_CUBIN_H
#define LLMIR_FAKE_CUBIN_H

#include "tests/support/fake_driver/fake_state.h"

/* Whether it is one, and no text. */
int fake_cubin_is_one(const char* image);

/* Of the whole file; 0 after a fault. */
size_t fake_cubin_bytes(const char* image);

/* 90: sm_90. */
int fake_cubin_chip(const char* image);

/* Compares the parameters of a kernel with llmir_gpu_arguments_t; *out_threads_max stays if the
 * kernel names none. Returns a result of the driver. */
int fake_cubin_describe(const char* image, const char* kernel, uint32_t* out_threads_max);

#endif /* LLMIR_FAKE_CUBIN_H */
