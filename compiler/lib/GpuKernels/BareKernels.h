//===- BareKernels.h - Kernels whose parameters are addresses -------------===//
#ifndef LLMIR_LIB_GPUKERNELS_BAREKERNELS_H
#define LLMIR_LIB_GPUKERNELS_BAREKERNELS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace llmir::compiler {

/// Gives every function the parameters of llmir_gpu_arguments_t (targets/gpu/gpu_driver.h): the
/// LLMIR_GPU_BINDING_COUNT bindings, used or not, then the LLMIR_GPU_WORD_COUNT words, which
/// llmir_gpu.parameter becomes.
void takeAddresses(mlir::gpu::GPUModuleOp module);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_BAREKERNELS_H
