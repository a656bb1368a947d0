//===- PlanBuffers.cpp - Assign buffers to slots of the arena by lifetime ---------------------===//

#include "llmir/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_PLANBUFFERSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir_exec;

namespace {

/// A buffer's life: from the first dispatch that names it to the last, both included.
struct Life {
  BufferOp buffer;
  size_t number;
  size_t first = SIZE_MAX, last = 0;

  bool overlaps(const Life &other) const { return first <= other.last && other.first <= last; }
};

/// Buffers that share memory, and the bytes of a row of each extent.
struct Slot {
  int64_t tokenBytes = 0, outputBytes = 0;
  SmallVector<const Life *> lives;
};

struct PlanBuffers : llmir::impl::PlanBuffersPassBase<PlanBuffers> {
  using PlanBuffersPassBase::PlanBuffersPassBase;

  void runOnOperation() override {
    if (outputs < 0) {
      getOperation().emitError() << "a count of output rows is not negative, found "
                                 << outputs.getValue();
      return signalPassFailure();
    }
    SmallVector<Life> lives = findLives();
    // Large buffers first: what comes later fits under them.
    llvm::sort(lives, [&](const Life &a, const Life &b) {
      return std::pair(-bytes(a.buffer), a.number) < std::pair(-bytes(b.buffer), b.number);
    });
    SmallVector<Slot> slots;
    int64_t unshared = 0;
    for (Life &life : lives) {
      unshared += bytes(life.buffer);
      place(life, slots);
    }
    SmallVector<int64_t> tokenBytes, outputBytes;
    int64_t peak = 0;
    for (const Slot &slot : slots) {
      tokenBytes.push_back(slot.tokenBytes);
      outputBytes.push_back(slot.outputBytes);
      peak += std::max(slot.tokenBytes * chunk(), slot.outputBytes * outputs);
    }
    Builder builder(&getContext());
    getOperation().setSlotTokenBytesAttr(builder.getDenseI64ArrayAttr(tokenBytes));
    getOperation().setSlotOutputBytesAttr(builder.getDenseI64ArrayAttr(outputBytes));
    getOperation().emitRemark() << "activations: " << peak << " bytes for " << chunk()
                                << " tokens and " << outputs.getValue() << " output rows, in "
                                << slots.size() << " slots (" << lives.size() << " buffers, "
                                << unshared << " bytes without sharing)";
  }

private:
  int64_t chunk() { return static_cast<int64_t>(getOperation().getChunkTokens()); }

  int64_t bytes(BufferOp buffer) {
    BufferType type = buffer.getType();
    return type.getRowBytes() * (type.getExtent() == Extent::Tokens ? chunk() : outputs.getValue());
  }

  /// Time counts dispatches: what a dispatch reads and what it writes are alive together.
  SmallVector<Life> findLives() {
    SmallVector<Life> lives;
    llvm::DenseMap<Value, size_t> index;
    Block &body = getOperation().getBody().front();
    for (auto buffer : body.getOps<BufferOp>()) {
      index[buffer.getResult()] = lives.size();
      lives.push_back({buffer, lives.size()});
    }
    size_t time = 0;
    for (Operation &op : body) {
      // The logits are read when the program is done.
      if (!isa<DispatchOp, ReturnOp>(op))
        continue;
      for (Value operand : op.getOperands()) {
        auto found = index.find(operand);
        if (found == index.end())
          continue;
        Life &life = lives[found->second];
        life.first = std::min(life.first, time);
        life.last = std::max(life.last, time);
      }
      ++time;
    }
    // What nothing names needs no memory, but every buffer has a slot.
    for (Life &life : lives)
      life.first = std::min(life.first, life.last);
    return lives;
  }

  /// First fit. A slot grows to the largest row of each extent that it holds.
  void place(Life &life, SmallVectorImpl<Slot> &slots) {
    auto isFree = [&](const Slot &slot) {
      return llvm::none_of(slot.lives, [&](const Life *other) { return life.overlaps(*other); });
    };
    Slot *slot = llvm::find_if(slots, isFree);
    if (slot == slots.end()) {
      slots.emplace_back();
      slot = &slots.back();
    }
    slot->lives.push_back(&life);
    int64_t row = life.buffer.getType().getRowBytes();
    int64_t &slotRow =
        life.buffer.getType().getExtent() == Extent::Tokens ? slot->tokenBytes : slot->outputBytes;
    slotRow = std::max(slotRow, row);
    life.buffer.setSlot(slot - slots.begin());
  }
};

} // namespace
