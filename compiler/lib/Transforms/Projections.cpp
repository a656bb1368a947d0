//===- Projections.cpp - Products that may be merged ------------------------------------------===//

#include "Projections.h"

using namespace mlir;
using namespace mlir::llmir;

LinearOp llmir::traceProjection(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!value.hasOneUse())
      return LinearOp();
    if (auto linear = dyn_cast<LinearOp>(op))
      return linear;
    if (auto rope = dyn_cast<RopeOp>(op))
      value = rope.getInput();
    else if (auto norm = dyn_cast<RmsNormOp>(op))
      value = norm.getInput();
    else
      return LinearOp();
  }
  return LinearOp();
}

static bool hasRecipe(Value weight, WeightUses &uses) {
  return uses.isExclusive(weight) && uses.definition(weight).getHow() != TensorHow::Constant &&
         uses.definition(weight).getHow() != TensorHow::InterleavePanels;
}

bool llmir::isMergeable(LinearOp linear, WeightUses &uses) {
  if (!linear || linear.getGate() || linear.getResidual() || linear.getSoftCap())
    return false;
  return linear->hasOneUse() && linear.getWeight().getType().getRank() == 2 &&
         hasRecipe(linear.getWeight(), uses) &&
         (!linear.getBias() || hasRecipe(linear.getBias(), uses));
}

bool llmir::canMerge(LinearOp a, LinearOp b) {
  QTensorType x = a.getWeight().getType(), y = b.getWeight().getType();
  if (a.getInput() != b.getInput() || x.getLayout() != y.getLayout() ||
      x.getGroup() != y.getGroup() || !a.getBias() != !b.getBias())
    return false;
  if (!a.getBias())
    return true;
  auto p = cast<QTensorType>(a.getBias().getType()), q = cast<QTensorType>(b.getBias().getType());
  return p.getLayout() == q.getLayout();
}

/// The narrowest layout that holds values of both well.
static Layout commonLayout(Layout a, Layout b) {
  auto isInteger = [](Layout l) { return l >= Layout::PanelS4 && l <= Layout::PanelS8; };
  if (a == b)
    return a;
  if (isInteger(a) && isInteger(b))
    return Layout::PanelS8;
  // f16 has the range of what integer layouts hold, whose scales are f16.
  if ((isInteger(a) || a == Layout::PanelF16) && (isInteger(b) || b == Layout::PanelF16))
    return Layout::PanelF16;
  return Layout::PanelF32;
}

void llmir::unifyLayoutsIfMisaligned(ArrayRef<LinearOp> linears, WeightUses &uses) {
  int64_t column = 0;
  bool misaligned = false;
  LinearOp front = linears.front();
  Layout layout = front.getWeight().getType().getLayout();
  for (LinearOp linear : linears) {
    QTensorType type = linear.getWeight().getType();
    if (!type.isPacked())
      return;
    misaligned |= column % 16 != 0;
    layout = commonLayout(layout, type.getLayout());
    column += type.getRows();
  }
  if (!misaligned)
    return;
  for (LinearOp linear : linears) {
    QTensorType type = linear.getWeight().getType();
    if (type.getLayout() != layout)
      uses.setType(uses.definition(linear.getWeight()),
                   type.withLayout(layout, layout == Layout::PanelS8 ? type.getGroup() : 0));
  }
}

LinearOp llmir::earliest(ArrayRef<LinearOp> linears) {
  LinearOp first = linears.front();
  for (LinearOp linear : linears)
    if (linear->getBlock() == first->getBlock() && linear->isBeforeInBlock(first))
      first = linear;
  return first;
}
