//===- ExpandMemory.cpp - No calls of memset and the like -----------------===//
#include "KernelTarget.h"

#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/LowerMemIntrinsics.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

/// What instruction selection turns into a few moves on every level of the processor; more would be
/// a call. x86-64 takes at most 8 of 16 bytes, ARM 4 of 8, RISC-V 8 of 8, and that only if aligned.
uint64_t maxInlineBytes(const Triple &triple) {
  return triple.isX86() ? 128 : triple.isAArch64() ? 64 : triple.isARM() ? 16 : 8;
}
/// Longer constant lengths become a loop.
constexpr uint64_t maxSplitBytes = 2048;

/// One intrinsic per `step` bytes of a constant length.
void splitIntrinsic(MemIntrinsic &intrinsic, uint64_t bytes, uint64_t step) {
  IRBuilder<> builder(&intrinsic);
  auto at = [&](Value *pointer, uint64_t offset) {
    return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), pointer, offset);
  };
  for (uint64_t offset = 0; offset < bytes; offset += step) {
    const uint64_t part = std::min(step, bytes - offset);
    Value *target = at(intrinsic.getDest(), offset);
    MaybeAlign align = commonAlignment(intrinsic.getDestAlign().valueOrOne(), offset);
    if (auto *set = dyn_cast<MemSetInst>(&intrinsic)) {
      builder.CreateMemSet(target, set->getValue(), part, align);
      continue;
    }
    auto &copy = cast<MemCpyInst>(intrinsic);
    builder.CreateMemCpy(target, align, at(copy.getSource(), offset),
                         commonAlignment(copy.getSourceAlign().valueOrOne(), offset), part);
  }
}

void expandToLoop(MemIntrinsic &intrinsic, const TargetTransformInfo &costs) {
  if (auto *set = dyn_cast<MemSetInst>(&intrinsic))
    expandMemSetAsLoop(set);
  else if (auto *copy = dyn_cast<MemCpyInst>(&intrinsic))
    expandMemCpyAsLoop(copy, costs);
  else
    expandMemMoveAsLoop(cast<MemMoveInst>(&intrinsic), costs);
}

} // namespace

void expandMemoryIntrinsics(Function &function, const TargetMachine &machine) {
  SmallVector<MemIntrinsic *> intrinsics;
  for (Instruction &instruction : instructions(function))
    if (auto *intrinsic = dyn_cast<MemIntrinsic>(&instruction))
      intrinsics.push_back(intrinsic);
  const uint64_t step = maxInlineBytes(machine.getTargetTriple());
  const TargetTransformInfo costs = machine.getTargetTransformInfo(function);
  for (MemIntrinsic *intrinsic : intrinsics) {
    auto *length = dyn_cast<ConstantInt>(intrinsic->getLength());
    if (length && length->getZExtValue() <= step)
      continue;
    if (length && length->getZExtValue() <= maxSplitBytes && !isa<MemMoveInst>(intrinsic))
      splitIntrinsic(*intrinsic, length->getZExtValue(), step);
    else
      expandToLoop(*intrinsic, costs);
    intrinsic->eraseFromParent();
  }
}

} // namespace llmir::compiler
