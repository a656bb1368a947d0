//===- Passes.h - Lowering out of our dialects ----------------------------===//
#ifndef LLMIR_CONVERSION_PASSES_H
#define LLMIR_CONVERSION_PASSES_H

#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Pass/Pass.h"

namespace mlir::llmir {

#define GEN_PASS_DECL
#include "llmir/Conversion/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "llmir/Conversion/Passes.h.inc"

} // namespace mlir::llmir

#endif // LLMIR_CONVERSION_PASSES_H
