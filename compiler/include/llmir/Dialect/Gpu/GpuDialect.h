//===- GpuDialect.h - The llmir_gpu dialect ---------------------------------------------------===//
#ifndef LLMIR_DIALECT_GPU_GPUDIALECT_H
#define LLMIR_DIALECT_GPU_GPUDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llmir/Dialect/Gpu/GpuDialect.h.inc"

#define GET_OP_CLASSES
#include "llmir/Dialect/Gpu/GpuOps.h.inc"

#endif // LLMIR_DIALECT_GPU_GPUDIALECT_H
