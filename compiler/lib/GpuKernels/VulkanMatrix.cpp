//===- VulkanMatrix.cpp - Cooperative matrices in SPIR-V ------------------===//
//
// Modules with cooperative matrices use Vulkan's memory model. In it a thread's accesses are its
// own unless they say otherwise, barriers say that they make writes visible, and atomic operations
// of the whole device, as all our kernels' are, are a capability.
//
//===----------------------------------------------------------------------===//
#include "VulkanMatrix.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

using spirv::CooperativeMatrixLayoutKHR;

constexpr auto isShared = spirv::MemoryAccess::NonPrivatePointer;

Value wordAddress(const TypeConverter *types, Value memory, Value converted, Value index,
                  Location loc, OpBuilder &builder) {
  return spirv::getElementPtr(*static_cast<const SPIRVTypeConverter *>(types),
                              cast<MemRefType>(memory.getType()), converted, {index}, loc, builder);
}

Value constant(Location loc, OpBuilder &builder, uint32_t value) {
  return builder.create<spirv::ConstantOp>(loc, builder.getI32Type(),
                                           builder.getI32IntegerAttr(static_cast<int32_t>(value)));
}

struct LoadToSpirv : OpConversionPattern<llmir_gpu::MatrixLoadOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(llmir_gpu::MatrixLoadOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value address = wordAddress(getTypeConverter(), op.getMemory(), adaptor.getMemory(),
                                adaptor.getIndex(), op.getLoc(), rewriter);
    auto layout = op.getColumns() ? CooperativeMatrixLayoutKHR::ColumnMajor
                                  : CooperativeMatrixLayoutKHR::RowMajor;
    rewriter.replaceOpWithNewOp<spirv::KHRCooperativeMatrixLoadOp>(
        op, op.getType(), address, layout, constant(op.getLoc(), rewriter, op.getStride()),
        spirv::MemoryAccessAttr::get(op.getContext(), isShared));
    return success();
  }
};

struct StoreToSpirv : OpConversionPattern<llmir_gpu::MatrixStoreOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult matchAndRewrite(llmir_gpu::MatrixStoreOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value address = wordAddress(getTypeConverter(), op.getMemory(), adaptor.getMemory(),
                                adaptor.getIndex(), op.getLoc(), rewriter);
    rewriter.replaceOpWithNewOp<spirv::KHRCooperativeMatrixStoreOp>(
        op, address, adaptor.getValue(), CooperativeMatrixLayoutKHR::ColumnMajor,
        constant(op.getLoc(), rewriter, op.getStride()),
        spirv::MemoryAccessAttr::get(op.getContext(), isShared));
    return success();
  }
};

/// A loop over the elements that a thread has; how many only the driver knows.
struct FmaToSpirv : OpConversionPattern<llmir_gpu::MatrixFmaOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(llmir_gpu::MatrixFmaOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type type = op.getType();
    auto pointer = spirv::PointerType::get(type, spirv::StorageClass::Function);
    SmallVector<Value, 3> copies;
    for (Value operand : adaptor.getOperands()) {
      copies.push_back(rewriter.create<spirv::VariableOp>(
          loc, pointer, spirv::StorageClass::Function, /*initializer=*/nullptr));
      rewriter.create<spirv::StoreOp>(loc, copies.back(), operand);
    }
    Value count = rewriter.create<spirv::KHRCooperativeMatrixLengthOp>(loc, rewriter.getI32Type(),
                                                                       TypeAttr::get(type));
    addLoop(loc, count, copies, rewriter);
    rewriter.replaceOpWithNewOp<spirv::LoadOp>(op, copies[2]);
    return success();
  }

private:
  /// for (i = 0; i < count; ++i) copies[2][i] = fma(copies[0][i], copies[1][i], copies[2][i])
  static void addLoop(Location loc, Value count, ArrayRef<Value> copies,
                      ConversionPatternRewriter &rewriter) {
    OpBuilder::InsertionGuard guard(rewriter);
    Value zero = constant(loc, rewriter, 0), one = constant(loc, rewriter, 1);
    auto loop = rewriter.create<spirv::LoopOp>(loc, spirv::LoopControl::Unroll);
    loop.addEntryAndMergeBlock(rewriter);
    Block *entry = loop.getEntryBlock(), *merge = loop.getMergeBlock();
    Type i32 = rewriter.getI32Type();
    Block *header = rewriter.createBlock(merge, {i32}, {loc});
    Block *body = rewriter.createBlock(merge), *next = rewriter.createBlock(merge);
    rewriter.setInsertionPointToEnd(entry);
    rewriter.create<spirv::BranchOp>(loc, header, ValueRange{zero});
    rewriter.setInsertionPointToEnd(header);
    Value i = header->getArgument(0);
    Value more = rewriter.create<spirv::ULessThanOp>(loc, rewriter.getI1Type(), i, count);
    rewriter.create<spirv::BranchConditionalOp>(loc, more, body, ValueRange{}, merge, ValueRange{});
    rewriter.setInsertionPointToEnd(body);
    addElement(loc, i, copies, rewriter);
    rewriter.create<spirv::BranchOp>(loc, next, ValueRange{});
    rewriter.setInsertionPointToEnd(next);
    Value following = rewriter.create<spirv::IAddOp>(loc, i, one);
    rewriter.create<spirv::BranchOp>(loc, header, ValueRange{following});
  }

  static void addElement(Location loc, Value i, ArrayRef<Value> copies, OpBuilder &builder) {
    SmallVector<Value, 3> elements;
    Value place;
    for (Value copy : copies) {
      place = builder.create<spirv::AccessChainOp>(loc, copy, ValueRange{i});
      elements.push_back(builder.create<spirv::LoadOp>(loc, place));
    }
    Value sum = builder.create<spirv::GLFmaOp>(loc, elements[0].getType(), elements);
    builder.create<spirv::StoreOp>(loc, place, sum);
  }
};

bool isOfWorkgroup(Value pointer) {
  return cast<spirv::PointerType>(pointer.getType()).getStorageClass() ==
         spirv::StorageClass::Workgroup;
}

void adaptMemory(Operation *op) {
  MLIRContext *context = op->getContext();
  if (auto load = dyn_cast<spirv::LoadOp>(op); load && isOfWorkgroup(load.getPtr()))
    load.setMemoryAccessAttr(spirv::MemoryAccessAttr::get(context, isShared));
  else if (auto store = dyn_cast<spirv::StoreOp>(op); store && isOfWorkgroup(store.getPtr()))
    store.setMemoryAccessAttr(spirv::MemoryAccessAttr::get(context, isShared));
  else if (auto barrier = dyn_cast<spirv::ControlBarrierOp>(op))
    barrier.setMemorySemantics(
        spirv::MemorySemantics::AcquireRelease | spirv::MemorySemantics::WorkgroupMemory |
        spirv::MemorySemantics::MakeAvailable | spirv::MemorySemantics::MakeVisible);
}

} // namespace

void addMatrixPatterns(const SPIRVTypeConverter &types, RewritePatternSet &patterns) {
  patterns.add<LoadToSpirv, StoreToSpirv, FmaToSpirv>(types, patterns.getContext());
}

void useMatrixModel(spirv::ModuleOp module) {
  using spirv::Capability;
  using spirv::Extension;
  MLIRContext *context = module.getContext();
  const bool hasMatrices =
      module.walk([](spirv::KHRCooperativeMatrixLoadOp) { return WalkResult::interrupt(); })
          .wasInterrupted();
  if (!hasMatrices)
    return;
  module.walk(adaptMemory);
  module.setMemoryModel(spirv::MemoryModel::Vulkan);
  // The extensions ask for SPIR-V 1.3; MLIR 19 says 1.6, which Vulkan 1.1 does not have.
  auto found = *module.getVceTriple();
  llvm::SetVector<Capability> capabilities;
  for (Capability capability : found.getCapabilities())
    capabilities.insert(capability);
  capabilities.insert(std::begin(matrixCapabilities), std::end(matrixCapabilities));
  llvm::SetVector<Extension> extensions;
  for (Extension extension : found.getExtensions())
    extensions.insert(extension);
  extensions.insert(std::begin(matrixExtensions), std::end(matrixExtensions));
  module->setAttr(spirv::ModuleOp::getVCETripleAttrName(),
                  spirv::VerCapExtAttr::get(spirv::Version::V_1_3, capabilities.getArrayRef(),
                                            extensions.getArrayRef(), context));
}

} // namespace llmir::compiler
