//===- VariantModule.h - Variants as LLVM-dialect functions
//-------------------------------------===//
//
// One function per distinct variant, which calls the level's kernel with the address of its
// constant parameters. Inlining the kernel afterwards folds every shape.
//
//===------------------------------------------------------------------------------------------===//
#ifndef LLMIR_LIB_CODEGEN_VARIANTMODULE_H
#define LLMIR_LIB_CODEGEN_VARIANTMODULE_H

#include "llmir/CodeGen/CpuCodeGen.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace llmir::compiler {

/// Name of the function of a variant: "variant_3".
std::string variantSymbol(size_t index);

/// Adds to `module` the function variant_<index> of `variant`, its parameters as a constant global,
/// and the declaration of the kernel it calls.
void appendVariant(mlir::ModuleOp module, size_t index, const KernelVariant &variant,
                   const CpuLevel &level);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_VARIANTMODULE_H
