//===- Hadamard.h - Turning heads for a cache of integers -----------------===//
//
// The orthonormal matrix of quant/kv_layout.h, with the additions of
// targets/cpu/kernels/hadamard.h in the same order.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_HADAMARD_H
#define LLMIR_LIB_GPUKERNELS_HADAMARD_H

#include "KernelBuilder.h"

namespace llmir::compiler {

/// Turns the `dim` elements of `head` in place, by all `threads` threads of the workgroup. What
/// they have stored there must be visible, and so is the result.
void turnHead(KernelBuilder &k, Shared head, uint32_t dim, uint32_t threads);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_HADAMARD_H
