//===- KernelBitcode.h - The kernels inside llmirc ------------------------===//
//
// The micro-kernels as embedded LLVM bitcode, one module a level.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_CODEGEN_KERNELBITCODE_H
#define LLMIR_LIB_CODEGEN_KERNELBITCODE_H

#include "llmir/CodeGen/CpuCodeGen.h"

#include "llvm/IR/Attributes.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace llmir::compiler {

/// The kernels of one level, parsed, with the machine that they were compiled for.
struct KernelModule {
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  llvm::AttributeSet attributes; ///< that generated functions must carry, see KernelTarget.h
};

/// Name of the function that implements `kernel` at `level`: "llmir_kernel_linear_x86_64_v3".
std::string kernelSymbol(uint32_t kernel, const CpuLevel &level);

llvm::Expected<KernelModule> loadKernels(const CpuLevel &level, llvm::LLVMContext &context);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_KERNELBITCODE_H
