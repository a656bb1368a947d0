//===- VariantModule.cpp - Variants as LLVM-dialect functions -------------===//
#include "llmir/CodeGen/VariantModule.h"
#include "KernelBitcode.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

#include <map>

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

} // namespace

std::string variantSymbol(size_t function) { return "variant_" + std::to_string(function); }

DistinctVariants findDistinct(llvm::ArrayRef<KernelVariant> variants) {
  DistinctVariants distinct;
  std::map<std::pair<uint32_t, std::vector<uint8_t>>, size_t> known;
  for (size_t i = 0; i < variants.size(); ++i) {
    auto [it, isNew] = known.try_emplace({variants[i].kernel, variants[i].params},
                                         distinct.representatives.size());
    if (isNew)
      distinct.representatives.push_back(i);
    distinct.functionOf.push_back(it->second);
  }
  return distinct;
}

llvm::Error checkVariants(llvm::ArrayRef<KernelVariant> variants) {
  for (size_t i = 0; i < variants.size(); ++i) {
    uint32_t expected = kernelParamsBytes(variants[i].kernel);
    if (expected == 0 || variants[i].params.size() != expected)
      return llvm::createStringError(
          llvm::inconvertibleErrorCode(),
          "variant %zu: kernel %u with %zu bytes of parameters, expected %u", i, variants[i].kernel,
          variants[i].params.size(), expected);
  }
  return llvm::Error::success();
}

void appendVariants(ModuleOp module, llvm::ArrayRef<KernelVariant> variants,
                    const DistinctVariants &distinct, const CpuLevel &level) {
  for (size_t i = 0; i < distinct.representatives.size(); ++i)
    appendVariant(module, i, variants[distinct.representatives[i]], level);
}

} // namespace llmir::compiler
