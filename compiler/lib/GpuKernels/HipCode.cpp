//===- HipCode.cpp - GPU kernels to code objects of AMD's GPUs ------------===//
//
// gpu.module -> ROCDL -> LLVM IR -> object -> ELF shared object (HSACO), one for each chip: their
// instructions differ. A kernel's parameters are those of BareKernels.h. No device libraries are
// used.
//
//===----------------------------------------------------------------------===//
#include "../CodeGen/SharedObject.h"
#include "BareKernels.h"
#include "DeviceCode.h"
#include "DeviceModule.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Conversion/GPUToROCDL/GPUToROCDLPass.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/ROCDL/ROCDLToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/TargetSelect.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

llvm::Error failure(const llvm::Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "code for HIP: " + what);
}

/// What MLIR 19 would make calls of device libraries, or has no operation for, becomes intrinsics.
/// Products of bytes: chips from gfx11 on say for each side whether it has signs.
void expandOps(gpu::GPUModuleOp module, bool saysSigns) {
  OpBuilder builder(module.getContext());
  auto replace = [&](Operation *op, ValueRange operands, StringRef name) {
    auto call = builder.create<LLVM::CallIntrinsicOp>(op->getLoc(), op->getResult(0).getType(),
                                                      builder.getStringAttr(name), operands);
    op->replaceAllUsesWith(call);
    op->erase();
  };
  module.walk([&](Operation *op) {
    builder.setInsertionPoint(op);
    auto flag = [&](bool value) -> Value {
      return builder.create<LLVM::ConstantOp>(op->getLoc(), builder.getI1Type(),
                                              builder.getBoolAttr(value));
    };
    if (auto dot = dyn_cast<llmir_gpu::Dot4Op>(op)) {
      if (saysSigns)
        replace(op, {flag(true), dot.getA(), flag(true), dot.getB(), dot.getAcc(), flag(false)},
                "llvm.amdgcn.sudot4");
      else
        replace(op, {dot.getA(), dot.getB(), dot.getAcc(), flag(false)}, "llvm.amdgcn.sdot4");
    } else if (isa<math::SqrtOp>(op)) {
      replace(op, op->getOperands(), "llvm.sqrt.f32");
    } else if (isa<math::AbsFOp>(op)) {
      replace(op, op->getOperands(), "llvm.fabs.f32");
    }
  });
}

LogicalResult lowerToRocdl(ModuleOp module, const std::string &chip) {
  PassManager passes(module.getContext());
  auto &kernels = passes.nest<gpu::GPUModuleOp>();
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createConvertSCFToCFPass());
  kernels.addPass(createConvertMathToLLVMPass());
  kernels.addPass(createLowerGpuOpsToROCDLOpsPass(chip, /*indexBitwidth=*/64,
                                                  /*useBarePtrCallConv=*/true,
                                                  gpu::amd::Runtime::HIP));
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

} // namespace

llvm::Expected<std::vector<uint8_t>> makeHsaco(ModuleOp module, const GpuLevel &level) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerROCDLDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  module.getContext()->loadDialect<LLVM::LLVMDialect, ROCDL::ROCDLDialect>();
  gpu::GPUModuleOp kernels = *module.getOps<gpu::GPUModuleOp>().begin();
  expandOps(kernels, level.level >= LLMIR_GPU_LEVEL_HIP(0x1100));
  takeAddresses(kernels);
  if (failed(lowerToRocdl(module, level.name)))
    return failure("an operation has no lowering for " + llvm::Twine(level.name));
  LLVMInitializeAMDGPUTargetInfo();
  LLVMInitializeAMDGPUTarget();
  LLVMInitializeAMDGPUTargetMC();
  LLVMInitializeAMDGPUAsmPrinter();
  auto object = emitDeviceModule(
      kernels, {"amdgcn-amd-amdhsa", level.name, "", llvm::CodeGenFileType::ObjectFile});
  if (!object)
    return object.takeError();
  // The loader of HIP wants the symbols and the notes.
  auto linked = linkSharedObject(*object, /*keepSymbols=*/true);
  if (!linked)
    return linked.takeError();
  return std::move(linked->image);
}

} // namespace llmir::compiler
