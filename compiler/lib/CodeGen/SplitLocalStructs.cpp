//===- SplitLocalStructs.cpp - Local structs to one variable per member ---===//
#include "PrepareKernels.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"

using namespace llvm;

namespace llmir::compiler {
namespace {

/// One local struct and how it is used.
class StructSplitter {
public:
  explicit StructSplitter(AllocaInst &local)
      : local(local), type(cast<StructType>(local.getAllocatedType())),
        layout(*local.getDataLayout().getStructLayout(type)) {}

  /// Whether every use is one that split() can rewrite.
  bool canSplit() const {
    return all_of(local.users(), [&](const User *user) { return isKnown(*user); });
  }

  void split(SmallVectorImpl<AllocaInst *> &members);

private:
  bool isKnown(const User &user) const;
  bool isWholeCopy(const User &user) const;
  uint64_t sizeOf(unsigned member) const {
    return local.getDataLayout().getTypeAllocSize(type->getElementType(member));
  }
  void makeMembers();
  void rewriteAccess(GetElementPtrInst &access);
  void rewriteCopy(MemIntrinsic &copy);

  AllocaInst &local;
  StructType *type;
  const StructLayout &layout;
  SmallVector<AllocaInst *> variables; ///< per member
};

/// getelementptr %struct, %local, 0, member, ...
const ConstantInt *memberIndex(const GetElementPtrInst &access) {
  auto *first = dyn_cast<ConstantInt>(access.getOperand(1));
  if (!first || !first->isZero() || access.getNumIndices() < 2)
    return nullptr;
  return dyn_cast<ConstantInt>(access.getOperand(2));
}

bool StructSplitter::isWholeCopy(const User &user) const {
  auto *intrinsic = dyn_cast<MemIntrinsic>(&user);
  if (!intrinsic || intrinsic->isVolatile())
    return false;
  auto *length = dyn_cast<ConstantInt>(intrinsic->getLength());
  return length && length->getZExtValue() == layout.getSizeInBytes();
}

bool StructSplitter::isKnown(const User &user) const {
  if (auto *access = dyn_cast<GetElementPtrInst>(&user))
    return access->getSourceElementType() == type && memberIndex(*access);
  auto fitsFirst = [&](Type *accessed) {
    return local.getDataLayout().getTypeStoreSize(accessed) <= sizeOf(0);
  };
  if (auto *load = dyn_cast<LoadInst>(&user)) // the first member, without a getelementptr
    return load->isSimple() && fitsFirst(load->getType());
  if (auto *store = dyn_cast<StoreInst>(&user))
    return store->isSimple() && store->getPointerOperand() == &local &&
           store->getValueOperand() != &local && fitsFirst(store->getValueOperand()->getType());
  return cast<Instruction>(user).isLifetimeStartOrEnd() || isWholeCopy(user);
}

void StructSplitter::makeMembers() {
  IRBuilder<> builder(&local);
  for (unsigned i = 0; i < type->getNumElements(); ++i) {
    AllocaInst *variable =
        builder.CreateAlloca(type->getElementType(i), nullptr, local.getName() + "." + Twine(i));
    variable->setAlignment(std::max(variable->getAlign(),
                                    commonAlignment(local.getAlign(), layout.getElementOffset(i))));
    variables.push_back(variable);
  }
}

void StructSplitter::rewriteAccess(GetElementPtrInst &access) {
  unsigned member = memberIndex(access)->getZExtValue();
  if (access.getNumIndices() == 2) // the member itself; if it is a struct, it can be split next
    return access.replaceAllUsesWith(variables[member]);
  IRBuilder<> builder(&access);
  SmallVector<Value *> indices = {builder.getInt64(0)};
  indices.append(access.idx_begin() + 2, access.idx_end());
  access.replaceAllUsesWith(builder.CreateGEP(type->getElementType(member), variables[member],
                                              indices, access.getName(), access.isInBounds()));
}

void StructSplitter::rewriteCopy(MemIntrinsic &copy) {
  IRBuilder<> builder(&copy);
  for (unsigned i = 0; i < variables.size(); ++i) {
    uint64_t bytes = sizeOf(i), offset = layout.getElementOffset(i);
    if (auto *set = dyn_cast<MemSetInst>(&copy)) {
      builder.CreateMemSet(variables[i], set->getValue(), bytes, variables[i]->getAlign());
      continue;
    }
    auto &transfer = cast<MemTransferInst>(copy);
    auto side = [&](Value *pointer) -> Value * {
      return pointer == &local
                 ? variables[i]
                 : builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), pointer, offset);
    };
    auto align = [&](Value *pointer, MaybeAlign whole) {
      return pointer == &local ? variables[i]->getAlign()
                               : commonAlignment(whole.valueOrOne(), offset);
    };
    Value *to = transfer.getDest(), *from = transfer.getSource();
    builder.CreateMemCpy(side(to), align(to, transfer.getDestAlign()), side(from),
                         align(from, transfer.getSourceAlign()), bytes);
  }
}

void StructSplitter::split(SmallVectorImpl<AllocaInst *> &members) {
  makeMembers();
  for (User *user : make_early_inc_range(local.users())) {
    auto *instruction = cast<Instruction>(user);
    if (auto *access = dyn_cast<GetElementPtrInst>(instruction)) {
      rewriteAccess(*access);
    } else if (auto *copy = dyn_cast<MemIntrinsic>(instruction)) {
      rewriteCopy(*copy);
    } else if (!instruction->isLifetimeStartOrEnd()) {
      instruction->replaceUsesOfWith(&local, variables[0]);
      continue;
    }
    instruction->eraseFromParent();
  }
  local.eraseFromParent();
  members.append(variables);
}

} // namespace

bool splitLocalStructs(Function &function) {
  SmallVector<AllocaInst *> candidates;
  for (Instruction &instruction : function.getEntryBlock())
    if (auto *local = dyn_cast<AllocaInst>(&instruction))
      candidates.push_back(local);
  bool changed = false;
  while (!candidates.empty()) {
    AllocaInst *local = candidates.pop_back_val();
    auto *type = dyn_cast<StructType>(local->getAllocatedType());
    if (!type || type->getNumElements() < 2 || local->isArrayAllocation())
      continue;
    StructSplitter splitter(*local);
    if (!splitter.canSplit())
      continue;
    splitter.split(candidates); // members may be structs themselves
    changed = true;
  }
  return changed;
}

} // namespace llmir::compiler
