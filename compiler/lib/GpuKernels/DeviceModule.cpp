//===- DeviceModule.cpp - From LLVM's dialect to a device's code ----------===//
#include "DeviceModule.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

llvm::Error failure(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "code for a GPU: " + what);
}

/// Without a promised alignment loads of adjacent words stay apart.
void alignPointers(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Argument &argument : function.args())
      if (!function.isDeclaration() && argument.getType()->isPointerTy())
        argument.addAttr(llvm::Attribute::getWithAlignment(module.getContext(), llvm::Align(16)));
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(&machine);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(graph);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, graph, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

} // namespace

llvm::Expected<llvm::SmallVector<char, 0>> emitDeviceModule(Operation *source,
                                                            const DeviceMachine &device) {
  llvm::LLVMContext context;
  auto module = translateModuleToLLVMIR(source, context, "kernels");
  if (!module)
    return failure("the kernels cannot be translated");
  std::string message;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(device.triple, message);
  if (!target)
    return failure(message);
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(device.triple, device.chip, device.features, {}, std::nullopt,
                                  std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  module->setTargetTriple(device.triple);
  module->setDataLayout(machine->createDataLayout());
  alignPointers(*module);
  optimize(*module, *machine);
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emission;
  if (machine->addPassesToEmitFile(emission, stream, nullptr, device.output))
    return failure("this LLVM writes no such file");
  emission.run(*module);
  return text;
}

} // namespace llmir::compiler
