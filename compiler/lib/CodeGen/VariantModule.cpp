//===- VariantModule.cpp - Variants as LLVM-dialect functions
//-----------------------------------===//
#include "VariantModule.h"
#include "KernelBitcode.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

/// void (const llmir_cpu_call_t *call, const void *params, uint32_t begin, uint32_t end)
LLVM::LLVMFunctionType kernelType(MLIRContext *context) {
  Type pointer = LLVM::LLVMPointerType::get(context);
  Type i32 = IntegerType::get(context, 32);
  return LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                     {pointer, pointer, i32, i32});
}

LLVM::GlobalOp createParams(OpBuilder &builder, Location loc, size_t index,
                            const KernelVariant &variant) {
  StringRef bytes(reinterpret_cast<const char *>(variant.params.data()), variant.params.size());
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), bytes.size());
  return builder.create<LLVM::GlobalOp>(loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                        "params_" + std::to_string(index),
                                        builder.getStringAttr(bytes), /*alignment=*/8);
}

LLVM::LLVMFuncOp declareKernel(OpBuilder &builder, ModuleOp module, StringRef symbol) {
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(symbol))
    return known;
  return builder.create<LLVM::LLVMFuncOp>(module.getLoc(), symbol, kernelType(module.getContext()));
}

} // namespace

std::string variantSymbol(size_t index) { return "variant_" + std::to_string(index); }

void appendVariant(ModuleOp module, size_t index, const KernelVariant &variant,
                   const CpuLevel &level) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  LLVM::LLVMFuncOp kernel = declareKernel(builder, module, kernelSymbol(variant.kernel, level));
  LLVM::GlobalOp params = createParams(builder, loc, index, variant);

  auto function =
      builder.create<LLVM::LLVMFuncOp>(loc, variantSymbol(index), kernelType(module.getContext()));
  function.setVisibility_(LLVM::Visibility::Hidden);
  Block *entry = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  Value address = builder.create<LLVM::AddressOfOp>(loc, params);
  builder.create<LLVM::CallOp>(
      loc, kernel,
      ValueRange{entry->getArgument(0), address, entry->getArgument(2), entry->getArgument(3)});
  builder.create<LLVM::ReturnOp>(loc, ValueRange{});
}

} // namespace llmir::compiler
