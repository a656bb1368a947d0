//===- Projections.h - Products that may be merged --------------------------------------------===//
#ifndef LLMIR_LIB_TRANSFORMS_PROJECTIONS_H
#define LLMIR_LIB_TRANSFORMS_PROJECTIONS_H

#include "WeightUses.h"

namespace mlir::llmir {

/// The product that makes `value`, seen through the norms and rotations of an attention's heads.
LinearOp traceProjection(Value value);

/// Whether the product is nothing but weight and bias, read once, with recipes of its own.
bool isMergeable(LinearOp linear, WeightUses &uses);

/// Whether the two read the same input and could be one product.
bool canMerge(LinearOp a, LinearOp b);

/// Buffers take products side by side only from columns that are multiples of 16. If the products,
/// laid side by side, miss that and have different layouts, gives all of them the layout that loses
/// least, so that they merge.
void unifyLayoutsIfMisaligned(ArrayRef<LinearOp> linears, WeightUses &uses);

/// The one that comes first in its block.
LinearOp earliest(ArrayRef<LinearOp> linears);

} // namespace mlir::llmir

#endif // LLMIR_LIB_TRANSFORMS_PROJECTIONS_H
