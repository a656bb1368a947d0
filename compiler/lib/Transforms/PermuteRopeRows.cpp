//===- PermuteRopeRows.cpp - Turn interleaved rotary pairs into halves ------------------------===//
//
// Attention only sees queries and keys through their products, so both may be permuted alike. The
// permutation moves into the recipes of everything that makes the rotated values.
//
//===-----------------------------------------------------------------------------------------===//

#include "WeightUses.h"
#include "llmir/Transforms/Passes.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_PERMUTEROPEROWSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

namespace {

struct PermuteRopeRows : llmir::impl::PermuteRopeRowsPassBase<PermuteRopeRows> {
  void runOnOperation() override {
    WeightUses uses(getOperation());
    SmallVector<RopeOp> ropes;
    getOperation().walk([&](RopeOp op) {
      if (op.getStyle() == RopeStyle::Interleaved)
        ropes.push_back(op);
    });
    for (RopeOp rope : ropes)
      if (failed(permute(rope, uses)))
        return signalPassFailure();
  }

private:
  /// Follows the rotated value back through head norms to its projection and changes the recipes of
  /// all that shapes it.
  static LogicalResult permute(RopeOp rope, WeightUses &uses) {
    for (OpOperand &use : rope.getResult().getUses()) {
      auto append = dyn_cast<AppendKVOp>(use.getOwner());
      auto attention = dyn_cast<PagedAttentionOp>(use.getOwner());
      if (!(append && use.get() == append.getKeys() && use.get() != append.getValues()) &&
          !(attention && use.get() == attention.getQuery()))
        return rope.emitOpError(
            "is interleaved, and not only read as query or key of an attention");
    }
    SmallVector<Value> weights;
    Value made = rope.getInput();
    while (auto norm = made.getDefiningOp<RmsNormOp>()) {
      if (norm.getWeight().getType().getColumns() != static_cast<int64_t>(rope.getHeadDim()) ||
          !norm->hasOneUse())
        return norm.emitOpError("stands before an interleaved rope, and is no norm of its heads");
      weights.push_back(norm.getWeight());
      made = norm.getInput();
    }
    auto linear = made.getDefiningOp<LinearOp>();
    if (!linear || !linear->hasOneUse() || linear.getGate() || linear.getResidual())
      return rope.emitOpError("is interleaved, and its input is no plain projection");
    weights.push_back(linear.getWeight());
    if (linear.getBias())
      weights.push_back(linear.getBias());

    // All or nothing: check before changing.
    for (Value weight : weights)
      if (!uses.isExclusive(weight) || uses.definition(weight).getHow() != TensorHow::Plain)
        return rope.emitOpError("is interleaved, and a weight before it has other uses");
    auto ropeDim = rope.getTable().getType().getDimSize(1);
    for (Value weight : weights)
      permuteParts(uses.definition(weight), ropeDim, rope.getHeadDim());
    rope.setStyle(RopeStyle::Halves);
    return success();
  }

  static void permuteParts(TensorOp tensor, int64_t ropeDim, int64_t headDim) {
    SmallVector<Attribute> parts;
    for (PartAttr part : tensor.getPartList())
      parts.push_back(
          PartAttr::get(part.getContext(), part.getSource(), part.getRows(), ropeDim, headDim));
    tensor.setPartsAttr(ArrayAttr::get(tensor.getContext(), parts));
  }
};

} // namespace
