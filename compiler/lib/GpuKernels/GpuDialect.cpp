//===- GpuDialect.cpp - The llmir_gpu dialect -----------------------------===//
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

#include "llmir/Dialect/Gpu/GpuDialect.cpp.inc"

void mlir::llmir_gpu::GpuDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "llmir/Dialect/Gpu/GpuOps.cpp.inc"
      >();
}

#define GET_OP_CLASSES
#include "llmir/Dialect/Gpu/GpuOps.cpp.inc"
