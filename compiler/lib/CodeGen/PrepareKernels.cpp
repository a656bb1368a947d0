//===- PrepareKernels.cpp - Kernels made ready for specialisation ---------===//
#include "PrepareKernels.h"
#include "KernelTarget.h"

#include "llvm/ADT/SCCIterator.h"
#include "llvm/Analysis/CallGraph.h"
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

/// The functions that kernels are made of, each after those that it calls.
std::vector<Function *> helpersFromLeaves(Module &kernels) {
  std::vector<Function *> helpers;
  CallGraph calls(kernels);
  for (auto component = scc_begin(&calls); !component.isAtEnd(); ++component)
    for (CallGraphNode *node : *component)
      if (Function *function = node->getFunction())
        if (!function->isDeclaration() && !isKernel(*function))
          helpers.push_back(function);
  return helpers;
}

/// Unrolls the loops that helpers have themselves while the helpers are small: each unrolling looks
/// at all instructions of the loops around, so that the 2,500 loops of attention, inlined, would
/// take a minute and a half instead of five seconds.
void unrollHelpers(Module &kernels, KernelAnalyses &analyses) {
  FunctionPassManager unroll;
  unroll.addPass(PromotePass());
  addFullUnrolling(unroll);
  for (Function *helper : helpersFromLeaves(kernels)) {
    inlineCalls(*helper);
    unroll.run(*helper, analyses.function);
    analyses.function.clear(*helper, helper->getName());
  }
}

} // namespace

Error prepareKernels(Module &kernels, TargetMachine &machine) {
  internalizeModule(kernels, isKernel);
  for (Function &function : kernels)
    function.removeFnAttr(Attribute::NoInline); // it keeps the runtime's library small
  KernelAnalyses analyses(machine);
  unrollHelpers(kernels, analyses);
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
