//===- ChooseWeightLayouts.cpp - Give every weight the layout that kernels read ---------------===//

#include "WeightUses.h"
#include "llmir/Transforms/Passes.h"
#include "quant/quant_layout.h"

#include "llvm/ADT/StringSwitch.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_CHOOSEWEIGHTLAYOUTSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

/// Columns that share a scale in every source that is taken over value by value, and the smallest
/// group that there is.
static constexpr int64_t kSmallestGroup = LLMIR_CHUNK_COLUMNS;

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
    if (failed(checkGroup(*chosen)))
      return signalPassFailure();
    WeightUses uses(getOperation());
    for (auto tensor : getOperation().getOps<TensorOp>()) {
      QTensorType type = tensor.getTensorType();
      if (tensor.getHow() != TensorHow::Constant &&
          type.getLayout() != wanted(tensor, uses, *chosen))
        assign(tensor, uses, wanted(tensor, uses, *chosen));
    }
  }

private:
  /// Other policies make no groups of their own, so one that is asked for must not get lost.
  LogicalResult checkGroup(Policy chosen) {
    const int64_t columns = group;
    if (!llmir_group_is_valid(static_cast<uint64_t>(columns)))
      return getOperation().emitError() << "groups are " LLMIR_GROUPS " columns, found " << columns;
    if (columns != kSmallestGroup && chosen != Policy::Q4 && chosen != Policy::Q8)
      return getOperation().emitError()
             << "groups of " << columns << " columns need the policy q4 or q8, found '" << policy
             << "'";
    return success();
  }

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

  /// The largest group up to the one asked for that divides the columns; 0: none does.
  int64_t groupFor(int64_t columns) const {
    for (int64_t size = group; size >= kSmallestGroup; size /= 2)
      if (columns % size == 0)
        return size;
    return 0;
  }

  /// Falls back to float panels where groups do not fit into the columns.
  void assign(TensorOp tensor, WeightUses &uses, Layout layout) {
    QTensorType type = tensor.getTensorType();
    bool integer = layout >= Layout::PanelS4 && layout <= Layout::PanelS8;
    int64_t size = integer ? groupFor(type.getColumns()) : 0;
    if (integer && size == 0) {
      layout = type.getLayout() == Layout::F32 ? Layout::PanelF32 : Layout::PanelF16;
      tensor.emitRemark() << "'" << tensor.getSymName() << "': " << type.getColumns()
                          << " columns are no multiple of " << kSmallestGroup << ", packed as "
                          << stringifyLayout(layout);
    }
    uses.setType(tensor, type.withLayout(layout, size));
  }
};

} // namespace
