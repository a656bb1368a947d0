//===- VulkanCode.cpp - GPU kernels to SPIR-V -----------------------------===//
//
// gpu.module -> spirv.module -> SPIR-V 1.3 with one entry point a function. Memory spaces become
// storage classes first; then one conversion takes everything else, because the helpers of
// llmir_gpu need types that the others have converted.
//
//===----------------------------------------------------------------------===//
#include "DeviceCode.h"
#include "VulkanMatrix.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Conversion/ArithToSPIRV/ArithToSPIRV.h"
#include "mlir/Conversion/ControlFlowToSPIRV/ControlFlowToSPIRV.h"
#include "mlir/Conversion/FuncToSPIRV/FuncToSPIRV.h"
#include "mlir/Conversion/GPUToSPIRV/GPUToSPIRV.h"
#include "mlir/Conversion/MathToSPIRV/MathToSPIRV.h"
#include "mlir/Conversion/MemRefToSPIRV/MemRefToSPIRV.h"
#include "mlir/Conversion/SCFToSPIRV/SCFToSPIRV.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/IR/TargetAndABI.h"
#include "mlir/Dialect/SPIRV/Transforms/Passes.h"
#include "mlir/Dialect/SPIRV/Transforms/SPIRVConversion.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/SPIRV/Serialization.h"
#include "mlir/Transforms/Passes.h"

#include <cstring>

using namespace mlir;

namespace llmir::compiler {
namespace {

struct ParameterToSpirv : OpConversionPattern<llmir_gpu::ParameterOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(llmir_gpu::ParameterOp op, OpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    // All functions of a module share one block of push constants, so all name the same size.
    Value value = spirv::getPushConstantValue(op, LLMIR_GPU_WORD_COUNT, op.getIndex(),
                                              rewriter.getI32Type(), rewriter);
    if (!value)
      return rewriter.notifyMatchFailure(op, "no push constants here");
    rewriter.replaceOp(op, value);
    return success();
  }
};

struct Dot4ToSpirv : OpConversionPattern<llmir_gpu::Dot4Op> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(llmir_gpu::Dot4Op op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto format = spirv::PackedVectorFormatAttr::get(
        op.getContext(), spirv::PackedVectorFormat::PackedVectorFormat4x8Bit);
    Type type = rewriter.getI32Type();
    Value dot =
        rewriter.create<spirv::SDotOp>(op.getLoc(), type, adaptor.getA(), adaptor.getB(), format);
    rewriter.replaceOpWithNewOp<spirv::IAddOp>(op, type, adaptor.getAcc(), dot);
    return success();
  }
};

spirv::TargetEnvAttr targetEnvironment(MLIRContext *context, const GpuTarget &target) {
  using spirv::Capability;
  using spirv::Extension;
  SmallVector<Capability> capabilities{Capability::Shader};
  SmallVector<Extension> extensions{Extension::SPV_KHR_storage_buffer_storage_class};
  if (target.halfFloats)
    capabilities.append({Capability::Int16, Capability::Float16});
  if (target.dot4) {
    capabilities.append({Capability::DotProduct, Capability::DotProductInput4x8BitPacked});
    extensions.push_back(Extension::SPV_KHR_integer_dot_product);
  }
  if (target.matrix) {
    capabilities.append(std::begin(matrixCapabilities), std::end(matrixCapabilities));
    extensions.append(std::begin(matrixExtensions), std::end(matrixExtensions));
  }
  // MLIR 19 has cooperative matrices in 1.6 alone; useMatrixModel takes that back.
  auto number = target.matrix ? spirv::Version::V_1_6 : spirv::Version::V_1_3;
  auto version = spirv::VerCapExtAttr::get(number, capabilities, extensions, context);
  return spirv::TargetEnvAttr::get(
      version, spirv::getDefaultResourceLimits(context), spirv::ClientAPI::Vulkan,
      spirv::Vendor::Unknown, spirv::DeviceType::Unknown, spirv::TargetEnvAttr::kUnknownDeviceID);
}

/// Names descriptor bindings and workgroup sizes the way the conversion takes them.
void nameInterfaces(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  for (auto function : module.getOps<gpu::GPUFuncOp>()) {
    const int32_t threads = function.getKnownBlockSizeAttr().asArrayRef()[0];
    function->setAttr(spirv::getEntryPointABIAttrName(),
                      spirv::getEntryPointABIAttr(context, {threads, 1, 1}));
    auto bindings = function->getAttrOfType<DenseI32ArrayAttr>("llmir_gpu.bindings");
    for (auto [i, binding] : llvm::enumerate(bindings.asArrayRef()))
      function.setArgAttr(
          i, spirv::getInterfaceVarABIAttrName(),
          spirv::getInterfaceVarABIAttr(0, static_cast<uint32_t>(binding), std::nullopt, context));
  }
}

std::optional<spirv::StorageClass> storageClass(Attribute space) {
  auto kind = dyn_cast_or_null<gpu::AddressSpaceAttr>(space);
  if (!kind || kind.getValue() == gpu::AddressSpace::Global)
    return spirv::StorageClass::StorageBuffer;
  return kind.getValue() == gpu::AddressSpace::Workgroup ? spirv::StorageClass::Workgroup
                                                         : spirv::StorageClass::Function;
}

LogicalResult convertKernels(gpu::GPUModuleOp module, spirv::TargetEnvAttr environment) {
  MLIRContext *context = module.getContext();
  nameInterfaces(module);
  spirv::MemorySpaceToStorageClassConverter spaces(storageClass);
  spirv::convertMemRefTypesAndAttrs(module, spaces);

  SPIRVConversionOptions options;
  options.use64bitIndex = false;
  SPIRVTypeConverter types(environment, options);
  auto target = SPIRVConversionTarget::get(environment);
  RewritePatternSet patterns(context);
  ScfToSPIRVContext loops;
  populateGPUToSPIRVPatterns(types, patterns);
  arith::populateArithToSPIRVPatterns(types, patterns);
  populateMathToSPIRVPatterns(types, patterns);
  populateMemRefToSPIRVPatterns(types, patterns);
  populateFuncToSPIRVPatterns(types, patterns);
  cf::populateControlFlowToSPIRVPatterns(types, patterns);
  populateSCFToSPIRVPatterns(types, loops, patterns);
  patterns.add<Dot4ToSpirv, ParameterToSpirv>(types, context);
  addMatrixPatterns(types, patterns);
  return applyFullConversion(module, *target, std::move(patterns));
}

/// Atomic operations change bits that no other thread reads meanwhile: nothing is ordered by them.
/// MLIR 19 makes them acquire and release, but of no storage class, which Vulkan does not allow.
void relaxAtomics(ModuleOp module) {
  auto none = spirv::MemorySemanticsAttr::get(module.getContext(), spirv::MemorySemantics::None);
  module.walk([&](Operation *op) {
    if (isa<spirv::AtomicAndOp, spirv::AtomicOrOp>(op))
      op->setAttr("semantics", none);
  });
}

llvm::Error failure(const char *what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "SPIR-V: %s", what);
}

llvm::Expected<std::vector<uint8_t>> serialize(ModuleOp module) {
  auto modules = module.getOps<spirv::ModuleOp>();
  SmallVector<uint32_t> words;
  if (modules.empty() ||
      failed(spirv::serialize(*modules.begin(), words, {/*emitSymbolName=*/false})))
    return failure("the module cannot be written");
  std::vector<uint8_t> bytes(words.size() * sizeof(uint32_t));
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

} // namespace

llvm::Error lowerToSpirv(ModuleOp module, const GpuTarget &target) {
  MLIRContext *context = module.getContext();
  PassManager prepare(context);
  prepare.addPass(createCanonicalizerPass());
  prepare.addPass(createCSEPass());
  if (failed(prepare.run(module)))
    return failure("the kernels cannot be simplified");
  auto environment = targetEnvironment(context, target);
  module->setAttr(spirv::getTargetEnvAttrName(), environment);
  for (auto kernels : llvm::make_early_inc_range(module.getOps<gpu::GPUModuleOp>()))
    if (failed(convertKernels(kernels, environment)))
      return failure("an operation has no lowering");
  relaxAtomics(module);
  PassManager finish(context);
  auto &nested = finish.nest<spirv::ModuleOp>();
  nested.addPass(spirv::createSPIRVLowerABIAttributesPass());
  nested.addPass(createCanonicalizerPass());
  nested.addPass(createCSEPass());
  nested.addPass(spirv::createSPIRVUpdateVCEPass());
  if (failed(finish.run(module)))
    return failure("the module cannot be completed");
  for (auto kernels : module.getOps<spirv::ModuleOp>())
    useMatrixModel(kernels);
  return llvm::Error::success();
}

llvm::Expected<std::vector<uint8_t>> makeSpirv(ModuleOp module, const GpuLevel &level) {
  if (llvm::Error error = lowerToSpirv(module, level.kernels))
    return std::move(error);
  return serialize(module);
}

} // namespace llmir::compiler
