//===- CudaCode.cpp - GPU kernels to PTX and cubins -----------------------===//
//
// gpu.module -> NVVM -> LLVM IR -> PTX for sm_75, and for sm_80 with tensor cores, which newer
// devices compile for themselves, or ptxas for one of them. A kernel's parameters are those of
// BareKernels.h.
//
//===----------------------------------------------------------------------===//
#include "BareKernels.h"
#include "DeviceCode.h"
#include "DeviceModule.h"
#include "Ptxas.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/TargetSelect.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

llvm::Error failure(const char *what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "PTX: %s", what);
}

/// What MLIR 19 would make calls of libdevice, or has no operation for, is written down.
void expandOps(gpu::GPUModuleOp module) {
  OpBuilder builder(module.getContext());
  auto replace = [&](Operation *op, ValueRange operands, StringRef text, StringRef constraints) {
    builder.setInsertionPoint(op);
    auto assembly = builder.create<LLVM::InlineAsmOp>(
        op->getLoc(), op->getResult(0).getType(), operands, text, constraints,
        /*has_side_effects=*/false, /*is_align_stack=*/false, LLVM::AsmDialectAttr(), ArrayAttr());
    op->replaceAllUsesWith(assembly);
    op->erase();
  };
  module.walk([&](Operation *op) {
    if (auto dot = dyn_cast<llmir_gpu::Dot4Op>(op))
      replace(op, {dot.getA(), dot.getB(), dot.getAcc()}, "dp4a.s32.s32 $0, $1, $2, $3;",
              "=r,r,r,r");
    else if (isa<math::SqrtOp>(op))
      replace(op, op->getOperands(), "sqrt.rn.f32 $0, $1;", "=f,f");
    else if (isa<math::AbsFOp>(op))
      replace(op, op->getOperands(), "abs.f32 $0, $1;", "=f,f");
  });
}

LogicalResult lowerToNvvm(ModuleOp module) {
  PassManager passes(module.getContext());
  auto &kernels = passes.nest<gpu::GPUModuleOp>();
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createConvertSCFToCFPass());
  kernels.addPass(createConvertMathToLLVMPass());
  ConvertGpuOpsToNVVMOpsOptions options;
  options.indexBitwidth = 64;
  options.useBarePtrCallConv = true;
  kernels.addPass(createConvertGpuOpsToNVVMOps(options));
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

void initializeTarget() {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
}

/// PTX 7.0 has mma.m16n8k32.
llvm::Expected<llvm::SmallVector<char, 0>> makeText(ModuleOp module, TensorUnit unit) {
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  context->loadDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  for (auto kernels : module.getOps<gpu::GPUModuleOp>()) {
    expandOps(kernels);
    takeAddresses(kernels);
  }
  if (failed(lowerToNvvm(module)))
    return failure("an operation has no lowering");
  initializeTarget();
  const bool hasMma = unit == TensorUnit::Mma;
  return emitDeviceModule(*module.getOps<gpu::GPUModuleOp>().begin(),
                          {"nvptx64-nvidia-cuda", hasMma ? "sm_80" : "sm_75",
                           hasMma ? "+ptx70" : "+ptx64", llvm::CodeGenFileType::AssemblyFile});
}

} // namespace

llvm::Expected<std::vector<uint8_t>> makePtx(ModuleOp module, const GpuLevel &level) {
  auto text = makeText(module, level.kernels.tensorUnit);
  if (!text)
    return text.takeError();
  std::vector<uint8_t> binary(text->begin(), text->end());
  binary.push_back(0); // drivers take a string
  return binary;
}

llvm::Expected<std::vector<uint8_t>> makeCubin(ModuleOp module, const GpuLevel &level,
                                               const std::string &ptxas) {
  auto program = findPtxas(ptxas);
  if (!program)
    return program.takeError();
  auto text = makeText(module, level.kernels.tensorUnit);
  if (!text)
    return text.takeError();
  return assemblePtx(llvm::StringRef(text->data(), text->size()), level.assembledFor, *program);
}

} // namespace llmir::compiler
