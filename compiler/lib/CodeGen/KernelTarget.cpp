//===- KernelTarget.cpp - The target that kernels were compiled for -------===//
#include "KernelTarget.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/LoopUnrollPass.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace llvm;

namespace llmir::compiler {
namespace {

#define LLMIR_INITIALIZE(target)                                                                   \
  LLVMInitialize##target##TargetInfo();                                                            \
  LLVMInitialize##target##Target();                                                                \
  LLVMInitialize##target##TargetMC();                                                              \
  LLVMInitialize##target##AsmParser();                                                             \
  LLVMInitialize##target##AsmPrinter()

void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLMIR_INITIALIZE(X86);
    LLMIR_INITIALIZE(AArch64);
    LLMIR_INITIALIZE(ARM);
    LLMIR_INITIALIZE(RISCV);
  });
}

#undef LLMIR_INITIALIZE

} // namespace

AttributeSet subtargetAttributes(const Module &kernels) {
  for (const Function &function : kernels) {
    if (!function.hasFnAttribute("target-features"))
      continue;
    AttrBuilder builder(kernels.getContext());
    for (const char *key : {"target-cpu", "target-features", "tune-cpu", "prefer-vector-width",
                            "no-builtins", "frame-pointer"})
      if (function.hasFnAttribute(key))
        builder.addAttribute(function.getFnAttribute(key));
    builder.addAttribute(Attribute::NoUnwind);
    return AttributeSet::get(kernels.getContext(), builder);
  }
  return {};
}

Expected<std::unique_ptr<TargetMachine>> targetMachineFor(const Module &kernels) {
  initializeTargets();
  AttributeSet attributes = subtargetAttributes(kernels);
  if (!attributes.hasAttributes())
    return createStringError(inconvertibleErrorCode(), "kernels without target features");
  const std::string &triple = kernels.getTargetTriple();
  std::string reason;
  const Target *target = TargetRegistry::lookupTarget(triple, reason);
  if (!target)
    return createStringError(inconvertibleErrorCode(), reason);

  TargetOptions options;
  // Multiplications and additions stay apart, as in the kernels built into the runtime.
  options.AllowFPOpFusion = FPOpFusion::Strict;
  StringRef cpu = attributes.getAttribute("target-cpu").getValueAsString();
  StringRef features = attributes.getAttribute("target-features").getValueAsString();
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, options, Reloc::PIC_, std::nullopt, CodeGenOptLevel::Aggressive));
  if (!machine)
    return createStringError(inconvertibleErrorCode(), "no target machine for " + triple);
  return machine;
}

KernelAnalyses::KernelAnalyses(TargetMachine &machine, const PipelineTuningOptions &tuning)
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

bool inlineCalls(Function &function) {
  SmallVector<CallBase *> calls;
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (auto *call = dyn_cast<CallBase>(&instruction)) {
        Function *callee = call->getCalledFunction();
        if (callee && callee != &function && !callee->isDeclaration())
          calls.push_back(call);
      }
  bool changed = false;
  for (CallBase *call : calls) {
    InlineFunctionInfo info;
    changed |= InlineFunction(*call, info, /*MergeAttributes=*/true).isSuccess();
  }
  return changed;
}

void addFullUnrolling(FunctionPassManager &passes) {
  LoopPassManager loops;
  loops.addPass(LoopRotatePass());
  loops.addPass(IndVarSimplifyPass());
  loops.addPass(LoopFullUnrollPass());
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(loops)));
}

Error verifyKernels(const Module &module, StringRef step) {
  std::string text;
  raw_string_ostream stream(text);
  if (!verifyModule(module, &stream))
    return Error::success();
  return createStringError(inconvertibleErrorCode(),
                           "code generation: invalid module after " + step + ": " + text);
}

} // namespace llmir::compiler
