//===- DeviceCode.h - From kernels to what a driver loads -----------------===//
//
// Each lowers the gpu.module of `module` in place.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_DEVICECODE_H
#define LLMIR_LIB_GPUKERNELS_DEVICECODE_H

#include "llmir/GpuKernels/GpuCode.h"

namespace llmir::compiler {

llvm::Expected<std::vector<uint8_t>> makeSpirv(mlir::ModuleOp module, const GpuLevel &level);
llvm::Expected<std::vector<uint8_t>> makePtx(mlir::ModuleOp module, const GpuLevel &level);
/// `ptxas` as in GpuCodeOptions.
llvm::Expected<std::vector<uint8_t>> makeCubin(mlir::ModuleOp module, const GpuLevel &level,
                                               const std::string &ptxas);
llvm::Expected<std::vector<uint8_t>> makeHsaco(mlir::ModuleOp module, const GpuLevel &level);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_DEVICECODE_H
