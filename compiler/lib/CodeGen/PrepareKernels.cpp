//===- PrepareKernels.cpp - Kernels made ready for specialisation ---------===//
#include "PrepareKernels.h"
#include "KernelTarget.h"

#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Mem2Reg.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

/// Longer chains of calls than any kernel has; ends recursion.
constexpr unsigned maxInlineDepth = 32;

void addSimplification(FunctionPassManager &passes) {
  passes.addPass(SROAPass(SROAOptions::ModifyCFG));
  passes.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(InstCombinePass());
  passes.addPass(SimplifyCFGPass());
}

bool isKernel(const GlobalValue &global) { return global.getName().starts_with("llmir_kernel_"); }

} // namespace

Error prepareKernels(Module &kernels, TargetMachine &machine) {
  internalizeModule(kernels, isKernel);
  for (Function &function : kernels)
    function.removeFnAttr(Attribute::NoInline); // it keeps the runtime's library small
  KernelAnalyses analyses(machine);
  FunctionPassManager simplify;
  addSimplification(simplify);
  addFullUnrolling(simplify);
  addSimplification(simplify);
  for (Function &function : kernels) {
    if (function.isDeclaration() || !isKernel(function))
      continue;
    for (unsigned depth = 0; depth < maxInlineDepth && inlineCalls(function); ++depth) {
    }
    PromotePass().run(function, analyses.function); // pointers to structs out of memory
    splitLocalStructs(function);
    if (Error error = verifyKernels(kernels, "splitting structs"))
      return error;
    analyses.function.clear(function, function.getName());
    simplify.run(function, analyses.function);
  }
  GlobalDCEPass().run(kernels, analyses.module);
  return verifyKernels(kernels, "preparation");
}

} // namespace llmir::compiler
