//===- PrepareKernels.h - Kernels made ready for specialisation -----------===//
#ifndef LLMIR_LIB_CODEGEN_PREPAREKERNELS_H
#define LLMIR_LIB_CODEGEN_PREPAREKERNELS_H

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

namespace llmir::compiler {

/// Turns every kernel into one function without calls whose local structs lie apart, so that a
/// constant parameter reaches all its uses. Loops over register tiles, whose counts are constant
/// already, are unrolled here, once; all others stay as they were written.
llvm::Error prepareKernels(llvm::Module &kernels, llvm::TargetMachine &machine);

/// Replaces local structs by one variable per member. Members that are indexed with variables keep
/// LLVM from doing so itself, because an index might reach other members; in C it must not.
/// Expects member accesses as clang writes them, before any pass changes them to byte offsets.
/// Returns whether anything changed.
bool splitLocalStructs(llvm::Function &function);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_PREPAREKERNELS_H
