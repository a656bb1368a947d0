//===- FuseEpilogues.cpp - Residual sums and soft caps into products --------------------------===//

#include "Liveness.h"
#include "llmir/Transforms/Passes.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_FUSEEPILOGUESPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

namespace {

struct FuseEpilogues : llmir::impl::FuseEpiloguesPassBase<FuseEpilogues> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<AddOp, SoftCapOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto add = dyn_cast<AddOp>(op)) {
        if (!fuseAdd(add, add.getRhs(), add.getLhs()))
          fuseAdd(add, add.getLhs(), add.getRhs());
      } else {
        fuseSoftCap(cast<SoftCapOp>(op));
      }
    }
  }

private:
  /// add(residual, linear): the product moves to the place of the sum.
  static bool fuseAdd(AddOp add, Value product, Value residual) {
    auto linear = product.getDefiningOp<LinearOp>();
    if (!linear || !linear->hasOneUse() || linear.getGate() || linear.getResidual() ||
        isReadAfter(residual, add))
      return false;
    OpBuilder builder(add);
    auto fused = builder.create<LinearOp>(linear.getLoc(), add.getType(), linear.getInput(),
                                          linear.getWeight(), linear.getBias(), residual,
                                          GateKindAttr(), linear.getSoftCapAttr());
    add.replaceAllUsesWith(fused.getResult());
    add->erase();
    linear->erase();
    return true;
  }

  static void fuseSoftCap(SoftCapOp cap) {
    Operation *product = cap.getInput().getDefiningOp();
    if (!product || !product->hasOneUse())
      return;
    if (auto linear = dyn_cast<LinearOp>(product)) {
      if (linear.getGate() || linear.getResidual() || linear.getSoftCap())
        return;
      linear.setSoftCapAttr(cap.getCapAttr());
    } else if (auto logits = dyn_cast<LogitsOp>(product)) {
      if (logits.getSoftCap())
        return;
      logits.setSoftCapAttr(cap.getCapAttr());
    } else {
      return;
    }
    cap.replaceAllUsesWith(product->getResult(0));
    cap->erase();
  }
};

} // namespace
