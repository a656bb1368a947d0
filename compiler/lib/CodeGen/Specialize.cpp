//===- Specialize.cpp - Link, inline and optimise the kernels of variants -===//
//
// A kernel branches over layouts, formats and flags before it reaches a loop. Inlining it whole
// would multiply all branches by all variants, so calls are inlined one level at a time, and the
// branches that the constant parameters decide are removed before the next level.
//
// Nothing here may change the value of a floating-point operation: no fast-math flags are set, and
// the library functions are unknown to the optimiser (there is no libc to call).
//
//===----------------------------------------------------------------------===//
#include "Specialize.h"
#include "KernelTarget.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SCCP.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

/// Inlines the kernels into the variants and removes the branches that the parameters decide.
void inlineWithFolding(ArrayRef<Function *> variants, TargetMachine &machine) {
  KernelAnalyses analyses(machine);
  FunctionPassManager fold;
  fold.addPass(EarlyCSEPass(/*UseMemorySSA=*/false)); // loads of parameters become constants
  fold.addPass(SCCPPass());
  fold.addPass(SimplifyCFGPass());
  fold.addPass(InstCombinePass());
  fold.addPass(SimplifyCFGPass());
  addFullUnrolling(fold); // loops over shapes
  for (Function *variant : variants) {
    inlineCalls(*variant);
    analyses.function.clear(*variant, variant->getName());
    fold.run(*variant, analyses.function);
  }
}

void optimize(Module &module, TargetMachine &machine) {
  // The kernels' hot loops are written with intrinsics and unrolled by hand. Vectorising or
  // unrolling the rest would triple the code.
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  KernelAnalyses analyses(machine, tuning);
  analyses.builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
      .run(module, analyses.module);
}

/// The image has no imports, so whatever is still undefined is an error of ours.
Error checkComplete(const Module &module) {
  for (const Function &function : module)
    if (function.isDeclaration() && !function.isIntrinsic() && !function.use_empty())
      return createStringError(inconvertibleErrorCode(),
                               "code generation: kernel calls undefined '" + function.getName() +
                                   "'");
  for (const GlobalVariable &global : module.globals())
    if (global.isDeclaration() && !global.use_empty())
      return createStringError(inconvertibleErrorCode(),
                               "code generation: kernel uses undefined '" + global.getName() + "'");
  return Error::success();
}

} // namespace

Error specializeKernels(Module &variants, std::unique_ptr<Module> kernels, TargetMachine &machine) {
  SmallVector<Function *> roots;
  for (Function &function : variants)
    if (!function.isDeclaration())
      roots.push_back(&function);

  if (Linker::linkModules(variants, std::move(kernels), Linker::Flags::LinkOnlyNeeded))
    return createStringError(inconvertibleErrorCode(), "code generation: cannot link the kernels");
  internalizeModule(variants, [&](const GlobalValue &global) {
    return any_of(roots, [&](const Function *root) { return root == &global; });
  });
  if (Error error = verifyKernels(variants, "linking"))
    return error;

  inlineWithFolding(roots, machine);
  if (Error error = verifyKernels(variants, "inlining"))
    return error;
  optimize(variants, machine);
  for (Function &function : variants)
    if (!function.isDeclaration())
      expandMemoryIntrinsics(function, machine);
  for (Function *root : roots)
    probeStack(*root, machine);
  if (Error error = verifyKernels(variants, "optimisation"))
    return error;
  return checkComplete(variants);
}

Expected<SmallVector<char, 0>> emitObject(Module &module, TargetMachine &machine) {
  SmallVector<char, 0> object;
  raw_svector_ostream stream(object);
  legacy::PassManager passes;
  TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  passes.add(new TargetLibraryInfoWrapperPass(library));
  if (machine.addPassesToEmitFile(passes, stream, nullptr, CodeGenFileType::ObjectFile))
    return createStringError(inconvertibleErrorCode(),
                             "code generation: the target cannot write objects");
  passes.run(module);
  return object;
}

} // namespace llmir::compiler
