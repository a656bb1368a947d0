//===- Liveness.h - Whether a value may be overwritten ----------------------------------------===//
#ifndef LLMIR_LIB_TRANSFORMS_LIVENESS_H
#define LLMIR_LIB_TRANSFORMS_LIVENESS_H

#include "mlir/IR/Operation.h"

namespace mlir::llmir {

/// Whether anything behind `op` in its block reads `value`: if not, `op` may update it in place.
inline bool isReadAfter(Value value, Operation *op) {
  for (Operation *user : value.getUsers())
    if (user != op && (user->getBlock() != op->getBlock() || op->isBeforeInBlock(user)))
      return true;
  return false;
}

} // namespace mlir::llmir

#endif // LLMIR_LIB_TRANSFORMS_LIVENESS_H
