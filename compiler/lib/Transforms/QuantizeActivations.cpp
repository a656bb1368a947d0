//===- QuantizeActivations.cpp - int8 inputs for products with integer weights ----------------===//

#include "llmir/Transforms/Passes.h"

#include "llvm/ADT/DenseMap.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

namespace {

struct QuantizeActivations : llmir::impl::QuantizeActivationsPassBase<QuantizeActivations> {
  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      if (auto linear = dyn_cast<LinearOp>(op))
        quantize(linear.getInputMutable(), linear.getWeight().getType());
      else if (auto logits = dyn_cast<LogitsOp>(op))
        quantize(logits.getInputMutable(), logits.getWeight().getType());
    });
    made.clear();
  }

private:
  void quantize(OpOperand &input, QTensorType weight) {
    if (!weight.isInteger() || isa<Q8RowsType>(input.get().getType()))
      return;
    Value &quantized = made[{input.get(), weight.getGroup()}];
    if (!quantized) {
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfterValue(input.get());
      auto type = Q8RowsType::get(&getContext(), weight.getColumns(), weight.getGroup());
      quantized = builder.create<QuantizeOp>(input.get().getLoc(), type, input.get());
    }
    input.set(quantized);
  }

  llvm::DenseMap<std::pair<Value, int64_t>, Value> made;
};

} // namespace
