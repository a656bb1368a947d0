//===- LLMIROpFolders.cpp - Folders and canonicalisations of the llmir operations -------------===//

#include "llmir/Dialect/LLMIR/LLMIRDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::llmir;

OpFoldResult QuantizeOp::fold(FoldAdaptor) {
  // quantize(dequantize(q)) == q: the group's largest value is 127 steps again.
  if (auto dequantize = getInput().getDefiningOp<DequantizeOp>())
    if (dequantize.getInput().getType() == getResult().getType())
      return dequantize.getInput();
  return {};
}

OpFoldResult DequantizeOp::fold(FoldAdaptor) {
  if (auto quantize = getInput().getDefiningOp<QuantizeOp>())
    if (quantize.getInput().getType() == getResult().getType())
      return quantize.getInput();
  return {};
}

static bool isZero(Value value) {
  auto scale = value.getDefiningOp<ScaleOp>();
  return scale && scale.getFactor().isZero();
}

OpFoldResult AddOp::fold(FoldAdaptor) {
  if (isZero(getRhs()))
    return getLhs();
  if (isZero(getLhs()))
    return getRhs();
  return {};
}

OpFoldResult ScaleOp::fold(FoldAdaptor) {
  if (getFactor().isExactlyValue(1.0))
    return getInput();
  return {};
}

OpFoldResult ColumnsOp::fold(FoldAdaptor) {
  if (getInput().getType() == getResult().getType())
    return getInput();
  return {};
}

namespace {

/// scale(scale(x, a), b) -> scale(x, a * b)
struct MergeScales : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ScaleOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "input is not scaled");
    APFloat factor = inner.getFactor() * op.getFactor();
    rewriter.replaceOpWithNewOp<ScaleOp>(op, inner.getInput(),
                                         rewriter.getFloatAttr(rewriter.getF32Type(), factor));
    return success();
  }
};

/// scale(embed(t, s), a) -> embed(t, s * a), if nothing else reads the unscaled rows
struct ScaleEmbedding : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp op, PatternRewriter &rewriter) const override {
    auto embed = op.getInput().getDefiningOp<EmbedOp>();
    if (!embed || !embed->hasOneUse())
      return rewriter.notifyMatchFailure(op, "input is no embedding of its own");
    APFloat factor = embed.getScale() * op.getFactor();
    rewriter.replaceOpWithNewOp<EmbedOp>(op, op.getType(), embed.getTokens(), embed.getTable(),
                                         rewriter.getFloatAttr(rewriter.getF32Type(), factor));
    return success();
  }
};

} // namespace

void ScaleOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeScales, ScaleEmbedding>(context);
}
