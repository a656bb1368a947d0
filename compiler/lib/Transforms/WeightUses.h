//===- WeightUses.h - Definitions and uses of a module's weights ------------------------------===//
#ifndef LLMIR_LIB_TRANSFORMS_WEIGHTUSES_H
#define LLMIR_LIB_TRANSFORMS_WEIGHTUSES_H

#include "llmir/Dialect/LLMIR/LLMIRDialect.h"

#include "llvm/ADT/DenseMap.h"

namespace mlir::llmir {

/// Knows every `llmir.tensor` of a module and the `llmir.weight`s that name it, and keeps both
/// consistent while passes change recipes.
class WeightUses {
public:
  explicit WeightUses(ModuleOp module);

  /// The definition behind a value, or null if the value is no `llmir.weight`.
  TensorOp definition(Value weight);

  /// All uses of a tensor.
  ArrayRef<WeightOp> uses(TensorOp tensor) { return weights[tensor.getSymNameAttr()]; }

  /// Whether `weight` is read once, and nothing else reads its tensor: a recipe may then change.
  bool isExclusive(Value weight);

  /// Gives the tensor and all its uses another type.
  void setType(TensorOp tensor, QTensorType type);

  /// Makes one tensor of several exclusive ones, whose parts it takes over in order, and returns
  /// its use at the builder's insertion point. The old tensors stay until eraseUnused().
  WeightOp combine(OpBuilder &builder, Location location, ArrayRef<Value> sources, TensorHow how,
                   QTensorType type);

  /// Removes weights and tensors that nothing reads.
  void eraseUnused();

private:
  SymbolTable symbols;
  llvm::DenseMap<StringAttr, SmallVector<WeightOp>> weights;
  SmallVector<TensorOp> tensors;
};

/// A name for what is made of tensors with these names: "blk.0.attn_q.weight" and
/// "blk.0.attn_k.weight" give "blk.0.attn_qk.weight".
std::string combinedName(ArrayRef<StringRef> names);

} // namespace mlir::llmir

#endif // LLMIR_LIB_TRANSFORMS_WEIGHTUSES_H
