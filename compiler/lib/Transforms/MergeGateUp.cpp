//===- MergeGateUp.cpp - One product for a gate and what it gates -----------------------------===//

#include "Projections.h"
#include "llmir/Transforms/Passes.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_MERGEGATEUPPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

namespace {

struct MergeGateUp : llmir::impl::MergeGateUpPassBase<MergeGateUp> {
  void runOnOperation() override {
    WeightUses uses(getOperation());
    SmallVector<GateOp> gates;
    getOperation().walk([&](GateOp op) { gates.push_back(op); });
    for (GateOp gate : gates) {
      SmallVector<LinearOp> linears = {gate.getGate().getDefiningOp<LinearOp>(),
                                       gate.getUp().getDefiningOp<LinearOp>()};
      if (!isMergeable(linears[0], uses) || !isMergeable(linears[1], uses) ||
          linears[0] == linears[1])
        continue;
      unifyLayoutsIfMisaligned(linears, uses);
      if (canMerge(linears[0], linears[1]) && !linears[0].getBias())
        merge(gate, linears[0], linears[1], uses);
    }
    uses.eraseUnused();
  }

private:
  /// The merged product stands where the gate stood: all it reads is defined by then.
  static void merge(GateOp gate, LinearOp g, LinearOp u, WeightUses &uses) {
    OpBuilder builder(gate);
    QTensorType matrix = g.getWeight().getType();
    auto rows = 2 * static_cast<int64_t>(llvm::alignTo(matrix.getRows(), 16));
    auto type = QTensorType::get(matrix.getContext(), {rows, matrix.getColumns()},
                                 matrix.getLayout(), matrix.getGroup());
    Value weight = uses.combine(builder, gate.getLoc(), {g.getWeight(), u.getWeight()},
                                TensorHow::InterleavePanels, type);
    auto merged = builder.create<LinearOp>(
        gate.getLoc(), gate.getType(), g.getInput(), weight, /*bias=*/Value(),
        /*residual=*/Value(), GateKindAttr::get(gate.getContext(), gate.getKind()), FloatAttr());
    gate.replaceAllUsesWith(merged.getResult());
    gate->erase();
    g->erase();
    u->erase();
  }
};

} // namespace
