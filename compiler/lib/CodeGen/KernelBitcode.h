//===- KernelBitcode.h - The kernels inside llmirc
//----------------------------------------------===//
//
// The micro-kernels as embedded LLVM bitcode, and the target machine that they were compiled for.
// Triple, processor and features are read from the bitcode: the build's flags stand once, in
// targets/cpu/kernels/kernel_sources.cmake.
//
//===------------------------------------------------------------------------------------------===//
#ifndef LLMIR_LIB_CODEGEN_KERNELBITCODE_H
#define LLMIR_LIB_CODEGEN_KERNELBITCODE_H

#include "llmir/CodeGen/CpuCodeGen.h"

#include "llvm/IR/Attributes.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace llmir::compiler {

/// The kernels of one level, parsed, with what generated code needs to match them.
struct KernelModule {
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  /// Subtarget attributes that every generated function must carry: a caller with other features
  /// cannot inline the kernels, or gets narrower vectors.
  llvm::AttributeSet attributes;
};

/// Name of the function that implements `kernel` at `level`: "llmir_kernel_linear_x86_64_v3".
std::string kernelSymbol(uint32_t kernel, const CpuLevel &level);

llvm::Expected<KernelModule> loadKernels(const CpuLevel &level, llvm::LLVMContext &context);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_KERNELBITCODE_H
