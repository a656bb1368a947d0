//===- VariantModule.h - Variants as LLVM-dialect functions ---------------===//
//
// One function per distinct variant, which calls the level's kernel with the address of its
// constant parameters. Inlining the kernel afterwards folds every shape.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_CODEGEN_VARIANTMODULE_H
#define LLMIR_CODEGEN_VARIANTMODULE_H

#include "llmir/CodeGen/CpuCodeGen.h"

#include "mlir/IR/BuiltinOps.h"

namespace llmir::compiler {

/// Variants with equal kernels and parameters share one function.
struct DistinctVariants {
  std::vector<size_t> representatives; ///< per function: the first variant that it implements
  std::vector<size_t> functionOf;      ///< per variant: its function
};

DistinctVariants findDistinct(llvm::ArrayRef<KernelVariant> variants);

/// Fails unless every variant names a kernel and has as many bytes as its parameter struct.
llvm::Error checkVariants(llvm::ArrayRef<KernelVariant> variants);

/// Name of a function: "variant_3".
std::string variantSymbol(size_t function);

/// Adds the function of every distinct variant to `module`, their parameters as constant globals,
/// and the declarations of the level's kernels that they call. Needs the LLVM dialect.
void appendVariants(mlir::ModuleOp module, llvm::ArrayRef<KernelVariant> variants,
                    const DistinctVariants &distinct, const CpuLevel &level);

} // namespace llmir::compiler

#endif // LLMIR_CODEGEN_VARIANTMODULE_H
