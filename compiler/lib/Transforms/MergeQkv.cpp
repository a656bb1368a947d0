//===- MergeQkv.cpp - One product for query, key and value ------------------------------------===//

#include "Projections.h"
#include "llmir/Transforms/Passes.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_MERGEQKVPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;

namespace {

struct MergeQkv : llmir::impl::MergeQkvPassBase<MergeQkv> {
  void runOnOperation() override {
    WeightUses uses(getOperation());
    SmallVector<PagedAttentionOp> attentions;
    getOperation().walk([&](PagedAttentionOp op) { attentions.push_back(op); });
    for (PagedAttentionOp attention : attentions) {
      auto append = attention.getCache().getDefiningOp<AppendKVOp>();
      if (!append)
        continue;
      SmallVector<LinearOp> linears = {traceProjection(attention.getQuery()),
                                       traceProjection(append.getKeys()),
                                       traceProjection(append.getValues())};
      if (llvm::all_of(linears, [&](LinearOp linear) { return isMergeable(linear, uses); }))
        mergeRuns(linears, uses);
    }
    uses.eraseUnused();
  }

private:
  /// Merges each longest run of neighbours that could be one product: with another layout for the
  /// value only, query and key still become one.
  static void mergeRuns(ArrayRef<LinearOp> linears, WeightUses &uses) {
    unifyLayoutsIfMisaligned(linears, uses);
    for (size_t begin = 0; begin < linears.size();) {
      size_t end = begin + 1;
      while (end < linears.size() && canMerge(linears[begin], linears[end]))
        ++end;
      if (end - begin > 1)
        merge(linears.slice(begin, end - begin), uses);
      begin = end;
    }
  }

  /// One product in the place of the first, and for each of the run its share of the columns.
  static void merge(ArrayRef<LinearOp> run, WeightUses &uses) {
    LinearOp first = earliest(run);
    OpBuilder builder(first);
    int64_t rows = 0;
    SmallVector<Value> matrices, biases;
    for (LinearOp linear : run) {
      rows += linear.getWeight().getType().getRows();
      matrices.push_back(linear.getWeight());
      if (linear.getBias())
        biases.push_back(linear.getBias());
    }
    QTensorType matrix = first.getWeight().getType();
    auto type = QTensorType::get(matrix.getContext(), {rows, matrix.getColumns()},
                                 matrix.getLayout(), matrix.getGroup());
    Value weight = uses.combine(builder, first.getLoc(), matrices, TensorHow::ConcatRows, type);
    Value bias;
    if (!biases.empty()) {
      auto vector = cast<QTensorType>(biases[0].getType());
      bias = uses.combine(builder, first.getLoc(), biases, TensorHow::ConcatRows,
                          QTensorType::get(matrix.getContext(), {rows}, vector.getLayout(), 0));
    }
    RankedTensorType one = first.getResult().getType();
    auto merged = builder.create<LinearOp>(
        first.getLoc(), RankedTensorType::get({one.getDimSize(0), rows}, one.getElementType()),
        first.getInput(), weight, bias);
    int64_t from = 0;
    for (LinearOp linear : run) {
      auto share = builder.create<ColumnsOp>(linear.getLoc(), linear.getResult().getType(), merged,
                                             builder.getI64IntegerAttr(from));
      from += linear.getWeight().getType().getRows();
      linear.replaceAllUsesWith(share.getResult());
    }
    // The builder stands before one of them.
    for (LinearOp linear : run)
      linear->erase();
  }
};

} // namespace
