//===- FuseNorms.cpp - Norms with what stands around them -------------------------------------===//
//
// Three steps: each sum that is left takes the norm that reads it; norms without a sum become the
// same operation; then norms whose only reader is a quantization write int8 themselves.
//
//===-----------------------------------------------------------------------------------------===//

#include "Liveness.h"
#include "llmir/Transforms/Passes.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_FUSENORMSPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

/// A norm over whole rows, not over heads. With a single head only the reader tells them apart.
static bool isRowNorm(RmsNormOp norm) {
  if (!norm || norm.getWeight().getType().getColumns() != norm.getType().getDimSize(1) ||
      norm.getWeight().getType().getLayout() != Layout::F32)
    return false;
  return llvm::none_of(norm->getUsers(), [](Operation *user) {
    return isa<RopeOp, AppendKVOp, PagedAttentionOp>(user);
  });
}

/// The norm that reads `rows` and nothing else: the op may be a selection of them.
static RmsNormOp onlyNormOf(Value rows) {
  if (!rows.hasOneUse())
    return RmsNormOp();
  auto norm = dyn_cast<RmsNormOp>(*rows.user_begin());
  return isRowNorm(norm) ? norm : RmsNormOp();
}

namespace {

struct FuseNorms : llmir::impl::FuseNormsPassBase<FuseNorms> {
  void runOnOperation() override {
    SmallVector<AddOp> adds;
    getOperation().walk([&](AddOp add) { adds.push_back(add); });
    for (AddOp add : adds)
      fuseSum(add);

    SmallVector<RmsNormOp> norms;
    getOperation().walk([&](RmsNormOp norm) {
      if (isRowNorm(norm))
        norms.push_back(norm);
    });
    for (RmsNormOp norm : norms)
      convertNorm(norm);

    SmallVector<ResidualNormOp> fused;
    getOperation().walk([&](ResidualNormOp norm) { fused.push_back(norm); });
    for (ResidualNormOp norm : fused)
      fuseQuantize(norm);
  }

private:
  /// One norm being put together.
  struct Parts {
    Value input, delta, deltaWeight, weight, rows;
    FloatAttr deltaEpsilon, epsilon;
    Type updated, output;
  };

  static ResidualNormOp create(OpBuilder &builder, Location location, const Parts &parts) {
    FloatAttr zero = builder.getF32FloatAttr(0.0f);
    return builder.create<ResidualNormOp>(location, parts.updated, parts.output, parts.input,
                                          parts.delta, parts.deltaWeight, parts.weight, parts.rows,
                                          parts.deltaEpsilon ? parts.deltaEpsilon : zero,
                                          parts.epsilon ? parts.epsilon : zero);
  }

  /// The side of a sum that is the residual stream is updated in place: nothing may read it later.
  /// A delta that is a norm of its own is taken in.
  static bool splitSum(AddOp add, Parts &parts) {
    auto isPostNorm = [](Value value) {
      auto norm = value.getDefiningOp<RmsNormOp>();
      return isRowNorm(norm) && norm->hasOneUse();
    };
    Value residual = add.getLhs(), delta = add.getRhs();
    if (!isPostNorm(delta) && isPostNorm(residual))
      std::swap(residual, delta);
    if (residual == delta)
      return false;
    if (isReadAfter(residual, add)) {
      if (isReadAfter(delta, add) || isPostNorm(delta))
        return false;
      std::swap(residual, delta);
    }
    parts.input = residual;
    parts.delta = delta;
    if (isPostNorm(delta)) {
      auto norm = delta.getDefiningOp<RmsNormOp>();
      parts.delta = norm.getInput();
      parts.deltaWeight = norm.getWeight();
      parts.deltaEpsilon = norm.getEpsilonAttr();
    }
    return true;
  }

  /// The earliest reader in the block; values of these functions have no readers in other blocks.
  static Operation *firstUser(Value value) {
    Operation *first = nullptr;
    for (Operation *user : value.getUsers())
      if (!first || user->isBeforeInBlock(first))
        first = user;
    return first;
  }

  /// Only the first reader of a sum can be fused with it: readers before the fused operation would
  /// lack the updated residual.
  void fuseSum(AddOp add) {
    Parts parts;
    if (add->use_empty() || !splitSum(add, parts))
      return;
    Operation *first = firstUser(add.getResult());
    RmsNormOp norm = dyn_cast<RmsNormOp>(first);
    auto select = dyn_cast<SelectRowsOp>(first);
    if (select && add->hasOneUse())
      norm = onlyNormOf(select.getResult());
    else
      select = SelectRowsOp();
    if (!isRowNorm(norm))
      norm = RmsNormOp();

    OpBuilder builder(norm ? norm.getOperation() : add.getOperation());
    if (norm) {
      parts.weight = norm.getWeight();
      parts.epsilon = norm.getEpsilonAttr();
      parts.output = norm.getType();
    }
    if (select && norm)
      parts.rows = select.getRows();
    else
      parts.updated = add.getType();
    ResidualNormOp fused = create(builder, norm ? norm.getLoc() : add.getLoc(), parts);
    if (norm) {
      norm.replaceAllUsesWith(fused.getOutput());
      norm->erase();
    }
    if (parts.updated)
      add.replaceAllUsesWith(fused.getUpdated());
    else
      select->erase();
    eraseSum(add);
  }

  static void eraseSum(AddOp add) {
    Operation *sides[] = {add.getLhs().getDefiningOp(), add.getRhs().getDefiningOp()};
    add->erase();
    for (Operation *side : sides)
      if (isa_and_nonnull<RmsNormOp>(side) && side->use_empty())
        side->erase();
  }

  /// A norm without a sum, with the selection of rows before it if nothing else reads that.
  static void convertNorm(RmsNormOp norm) {
    OpBuilder builder(norm);
    Parts parts;
    parts.input = norm.getInput();
    parts.weight = norm.getWeight();
    parts.epsilon = norm.getEpsilonAttr();
    parts.output = norm.getType();
    auto select = norm.getInput().getDefiningOp<SelectRowsOp>();
    if (select && select->hasOneUse()) {
      parts.input = select.getInput();
      parts.rows = select.getRows();
    } else {
      select = SelectRowsOp();
    }
    ResidualNormOp fused = create(builder, norm.getLoc(), parts);
    norm.replaceAllUsesWith(fused.getOutput());
    norm->erase();
    if (select)
      select->erase();
  }

  /// The norm writes int8 itself if nobody wants its f32 rows.
  static void fuseQuantize(ResidualNormOp norm) {
    if (!norm.getOutput() || !norm.getOutput().hasOneUse())
      return;
    auto quantize = dyn_cast<QuantizeOp>(*norm.getOutput().user_begin());
    if (!quantize)
      return;
    norm.getOutput().setType(quantize.getType());
    quantize.replaceAllUsesWith(norm.getOutput());
    quantize->erase();
  }
};

} // namespace
