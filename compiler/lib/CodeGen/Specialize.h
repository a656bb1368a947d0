//===- Specialize.h - Link, inline and optimise the kernels of variants ---===//
#ifndef LLMIR_LIB_CODEGEN_SPECIALIZE_H
#define LLMIR_LIB_CODEGEN_SPECIALIZE_H

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace llmir::compiler {

/// Links what `variants` needs of `kernels` into it, inlines the kernels into the variant functions
/// with all constants folded, and runs -O3. Afterwards the functions that were defined in
/// `variants` are the only ones with a name to the outside, and nothing is undefined.
llvm::Error specializeKernels(llvm::Module &variants, std::unique_ptr<llvm::Module> kernels,
                              llvm::TargetMachine &machine);

/// Machine code of an optimised module as a relocatable object.
llvm::Expected<llvm::SmallVector<char, 0>> emitObject(llvm::Module &module,
                                                      llvm::TargetMachine &machine);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_SPECIALIZE_H
