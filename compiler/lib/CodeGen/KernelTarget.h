//===- KernelTarget.h - The target that kernels were compiled for ---------===//
//
// Triple, processor and features are read from the kernels' bitcode: the flags of the levels stand
// once, in targets/cpu/kernels/kernel_sources.cmake.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_CODEGEN_KERNELTARGET_H
#define LLMIR_LIB_CODEGEN_KERNELTARGET_H

#include "llvm/IR/Attributes.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace llmir::compiler {

/// The attributes of the kernels that select instructions. Every generated function must carry
/// them: a caller with other features cannot inline the kernels, or gets narrower vectors.
llvm::AttributeSet subtargetAttributes(const llvm::Module &kernels);

/// A target machine for the code of `kernels`.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>> targetMachineFor(const llvm::Module &kernels);

/// The analyses of one run of passes, set up so that no library function exists: there is no libc
/// to call, and loops must not become memset or memcpy.
struct KernelAnalyses {
  llvm::LoopAnalysisManager loop;
  llvm::FunctionAnalysisManager function;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager module;
  llvm::PassBuilder builder;

  explicit KernelAnalyses(llvm::TargetMachine &machine,
                          const llvm::PipelineTuningOptions &tuning = {});
};

/// Inlines every direct call of a defined function in `function`, one level deep. Returns whether
/// there was any.
bool inlineCalls(llvm::Function &function);

/// Unrolls loops whose number of iterations is a small constant.
void addFullUnrolling(llvm::FunctionPassManager &passes);

/// Replaces the memory intrinsics that instruction selection would turn into calls of memset,
/// memcpy or memmove: there is no libc to call.
void expandMemoryIntrinsics(llvm::Function &function, const llvm::TargetMachine &machine);

/// x86-64: makes the function touch its frame page by page, up to 100 KiB of it. Windows grows
/// stacks so, and elsewhere a stack that is too short ends at its guard page, not in memory behind
/// it.
void probeStack(llvm::Function &function, const llvm::TargetMachine &machine);

/// Fails with the verifier's text if the module is not well-formed. The libraries of distributions
/// have no assertions, so each step is checked.
llvm::Error verifyKernels(const llvm::Module &module, llvm::StringRef step);

} // namespace llmir::compiler

#endif // LLMIR_LIB_CODEGEN_KERNELTARGET_H
