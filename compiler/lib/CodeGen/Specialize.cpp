//===- Specialize.cpp - Link, inline and optimise the kernels of variants
//-----------------------===//
//
// A kernel branches over layouts, formats and flags before it reaches a loop. Inlining it whole
// would multiply all branches by all variants, so calls are inlined one level at a time, and the
// branches that the constant parameters decide are removed before the next level.
//
// Nothing here may change the value of a floating-point operation: no fast-math flags are set, and
// the library functions are unknown to the optimiser (there is no libc to call).
//
//===------------------------------------------------------------------------------------------===//
#include "Specialize.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SCCP.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

/// Deepest chain of calls that is inlined with pruning in between; deeper ones are left to -O3.
constexpr unsigned maxInlineDepth = 16;

/// The analyses of one run, set up so that no library function exists.
struct Analyses {
  LoopAnalysisManager loop;
  FunctionAnalysisManager function;
  CGSCCAnalysisManager callGraph;
  ModuleAnalysisManager module;
  PassBuilder builder;

  Analyses(TargetMachine &machine, const PipelineTuningOptions &tuning)
      : builder(&machine, tuning) {
    TargetLibraryInfoImpl library(machine.getTargetTriple());
    library.disableAllFunctions();
    function.registerPass([library] { return TargetLibraryAnalysis(library); });
    builder.registerModuleAnalyses(module);
    builder.registerCGSCCAnalyses(callGraph);
    builder.registerFunctionAnalyses(function);
    builder.registerLoopAnalyses(loop);
    builder.crossRegisterProxies(loop, function, callGraph, module);
  }
};

Error verified(const Module &module, const char *step) {
  std::string text;
  raw_string_ostream stream(text);
  if (!verifyModule(module, &stream))
    return Error::success();
  return createStringError(inconvertibleErrorCode(),
                           Twine("code generation: invalid module after ") + step + ": " + text);
}

/// Inlines every direct call of a defined function in `function`, one level deep. Returns whether
/// there was any.
bool inlineCalls(Function &function) {
  SmallVector<CallBase *> calls;
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (auto *call = dyn_cast<CallBase>(&instruction)) {
        Function *callee = call->getCalledFunction();
        if (callee && callee != &function && !callee->isDeclaration() && !call->isNoInline())
          calls.push_back(call);
      }
  bool changed = false;
  for (CallBase *call : calls) {
    InlineFunctionInfo info;
    changed |= InlineFunction(*call, info, /*MergeAttributes=*/true).isSuccess();
  }
  return changed;
}

void inlineWithFolding(ArrayRef<Function *> roots, TargetMachine &machine) {
  Analyses analyses(machine, PipelineTuningOptions());
  FunctionPassManager fold;
  fold.addPass(SROAPass(SROAOptions::ModifyCFG));
  fold.addPass(EarlyCSEPass(/*UseMemorySSA=*/false));
  fold.addPass(InstCombinePass());
  fold.addPass(SCCPPass());
  fold.addPass(SimplifyCFGPass());
  for (Function *root : roots)
    for (unsigned depth = 0; depth < maxInlineDepth && inlineCalls(*root); ++depth) {
      analyses.function.clear(*root, root->getName());
      fold.run(*root, analyses.function);
    }
}

void optimize(Module &module, TargetMachine &machine) {
  // The kernels' hot loops are written with intrinsics; vectorising the rest triples the code.
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  Analyses analyses(machine, tuning);
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
  if (Error error = verified(variants, "linking"))
    return error;

  inlineWithFolding(roots, machine);
  if (Error error = verified(variants, "inlining"))
    return error;
  optimize(variants, machine);
  if (Error error = verified(variants, "optimisation"))
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
