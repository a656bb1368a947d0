//===- ChooseWeightLayouts.cpp - Give every weight the layout that kernels read ---------------===//

#include "WeightUses.h"
#include "llmir/Transforms/Passes.h"

#include "llvm/ADT/StringSwitch.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_CHOOSEWEIGHTLAYOUTSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

/// Columns that share a scale in integer layouts made here: the group of all sources with one.
static constexpr int64_t kGroup = 32;

namespace {

enum class Policy { Keep, Q4, Q8, F16, F32 };

struct ChooseWeightLayouts : llmir::impl::ChooseWeightLayoutsPassBase<ChooseWeightLayouts> {
  using ChooseWeightLayoutsPassBase::ChooseWeightLayoutsPassBase;

  void runOnOperation() override {
    auto chosen = llvm::StringSwitch<std::optional<Policy>>(policy)
                      .Case("keep", Policy::Keep)
                      .Case("q4", Policy::Q4)
                      .Case("q8", Policy::Q8)
                      .Case("f16", Policy::F16)
                      .Case("f32", Policy::F32)
                      .Default(std::nullopt);
    if (!chosen) {
      getOperation().emitError() << "unknown weight policy '" << policy
                                 << "'; known are keep, q4, q8, f16, f32";
      return signalPassFailure();
    }
    WeightUses uses(getOperation());
    for (auto tensor : getOperation().getOps<TensorOp>()) {
      QTensorType type = tensor.getTensorType();
      if (tensor.getHow() != TensorHow::Constant &&
          type.getLayout() != wanted(tensor, uses, *chosen))
        assign(tensor, uses, wanted(tensor, uses, *chosen));
    }
  }

private:
  /// The layout that the policy asks for, whatever the shape.
  static Layout wanted(TensorOp tensor, WeightUses &uses, Policy policy) {
    QTensorType type = tensor.getTensorType();
    if (type.getRank() == 1)
      return Layout::F32;
    if (policy == Policy::F16)
      return Layout::PanelF16;
    if (policy == Policy::F32)
      return Layout::PanelF32;
    // The output matrix decides between near-equal tokens: 4 bits cost most there.
    if (policy == Policy::Q8 || (policy == Policy::Q4 && makesLogits(tensor, uses)))
      return Layout::PanelS8;
    bool isQ4 = policy == Policy::Q4;
    switch (type.getLayout()) {
    case Layout::F32:
    case Layout::PanelF32:
      return isQ4 ? Layout::PanelU4 : Layout::PanelF32;
    case Layout::F16:
    case Layout::PanelF16:
      return isQ4 ? Layout::PanelU4 : Layout::PanelF16;
    case Layout::BF16:
    case Layout::PanelBF16:
      return isQ4 ? Layout::PanelU4 : Layout::PanelBF16;
    case Layout::Q4_0:
    case Layout::PanelS4:
      return Layout::PanelS4;
    case Layout::Q4_1:
    case Layout::Q4_K:
    case Layout::PanelU4:
      return Layout::PanelU4;
    default:
      return isQ4 ? Layout::PanelU4 : Layout::PanelS8;
    }
  }

  /// The output matrix, be it a tensor of its own or the embedding table.
  static bool makesLogits(TensorOp tensor, WeightUses &uses) {
    return llvm::any_of(uses.uses(tensor), [](WeightOp weight) {
      return llvm::any_of(weight->getUsers(), [](Operation *op) { return isa<LogitsOp>(op); });
    });
  }

  /// Falls back to float panels where groups do not fit into the columns.
  static void assign(TensorOp tensor, WeightUses &uses, Layout layout) {
    QTensorType type = tensor.getTensorType();
    bool integer = layout >= Layout::PanelS4 && layout <= Layout::PanelS8;
    if (integer && type.getColumns() % kGroup != 0) {
      layout = type.getLayout() == Layout::F32 ? Layout::PanelF32 : Layout::PanelF16;
      integer = false;
      tensor.emitRemark() << "'" << tensor.getSymName() << "': " << type.getColumns()
                          << " columns are no multiple of " << kGroup << ", packed as "
                          << stringifyLayout(layout);
    }
    uses.setType(tensor, type.withLayout(layout, integer ? kGroup : 0));
  }
};

} // namespace
