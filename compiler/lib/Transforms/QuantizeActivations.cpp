//===- QuantizeActivations.cpp - integer inputs for products with integer weights -------------===//

#include "llmir/Transforms/Passes.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

namespace {

/// Whether the value becomes queries, keys or values.
bool feedsAttention(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (isa<ColumnsOp, RmsNormOp>(user))
      return feedsAttention(user->getResult(0));
    return isa<RopeOp, AppendKVOp, PagedAttentionOp>(user);
  });
}

/// Whether a norm stands behind the product itself, as in Gemma: it makes small results, and their
/// errors, large again. A norm behind a residual sum sees a value that is not small, and those of
/// queries and keys lie behind products that are wide anyway.
bool isNormed(LinearOp op) {
  return !op.getResidual() && !feedsAttention(op.getResult()) &&
         llvm::any_of(op->getUsers(), [](Operation *user) { return isa<RmsNormOp>(user); });
}

bool isGated(Operation *op) {
  auto linear = dyn_cast_or_null<LinearOp>(op);
  return isa_and_nonnull<GateOp>(op) || (linear && linear.getGate());
}

struct QuantizeActivations : llmir::impl::QuantizeActivationsPassBase<QuantizeActivations> {
  using QuantizeActivationsPassBase::QuantizeActivationsPassBase;

  void runOnOperation() override {
    if (activations != "int8" && activations != "int16" && activations != "mixed") {
      getOperation().emitError() << "activations are int8, int16 or mixed, found '" << activations
                                 << "'";
      return signalPassFailure();
    }
    llvm::SmallVector<Operation *> gates;
    bool allWide = activations == "int16";
    getOperation().walk([&](Operation *op) {
      if (isGated(op))
        gates.push_back(op);
      auto linear = dyn_cast<LinearOp>(op);
      allWide |= activations == "mixed" && linear && isNormed(linear);
    });
    // A layer gains about as much anywhere (docs/QUANT.md); the end is where logits are nearest.
    llvm::SmallPtrSet<Operation *, 16> lastGates;
    auto last = llvm::ArrayRef<Operation *>(gates).take_back((gates.size() + 5) / 6);
    lastGates.insert(last.begin(), last.end());
    getOperation().walk([&](Operation *op) {
      if (auto linear = dyn_cast<LinearOp>(op))
        quantize(linear.getInputMutable(), linear.getWeight().getType(),
                 allWide || isWide(linear, lastGates));
      else if (auto logits = dyn_cast<LogitsOp>(op))
        quantize(logits.getInputMutable(), logits.getWeight().getType(), activations != "int8");
    });
    made.clear();
  }

private:
  bool isWide(LinearOp op, const llvm::SmallPtrSetImpl<Operation *> &lastGates) const {
    if (activations != "mixed")
      return false;
    return feedsAttention(op.getResult()) || isGated(op.getInput().getDefiningOp()) ||
           lastGates.contains(op) ||
           llvm::any_of(op->getUsers(), [&](Operation *user) { return lastGates.contains(user); });
  }

  void quantize(OpOperand &input, QTensorType weight, bool wide) {
    if (!weight.isInteger() || isa<Q8RowsType>(input.get().getType()))
      return;
    auto type = Q8RowsType::get(&getContext(), weight.getColumns(), weight.getGroup(), wide);
    Value &quantized = made[{input.get(), type}];
    if (!quantized) {
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfterValue(input.get());
      quantized = builder.create<QuantizeOp>(input.get().getLoc(), type, input.get());
    }
    input.set(quantized);
  }

  llvm::DenseMap<std::pair<Value, Type>, Value> made;
};

} // namespace
