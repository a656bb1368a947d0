//===- ProgramWriter.h - Puts a program together ----------------------------------------------===//
#ifndef LLMIR_LIB_TRANSFORMS_PROGRAMWRITER_H
#define LLMIR_LIB_TRANSFORMS_PROGRAMWRITER_H

#include "llmir/Dialect/Exec/KernelParams.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::llmir {

/// Builds the `llmir_exec.program` that replaces a function: equal variants and weights are made
/// once, and in the end stand before the dispatches, ordered by kind and first use.
class ProgramWriter {
public:
  /// Begins a program behind `function`, whose name it takes.
  ProgramWriter(func::FuncOp function, int64_t pageTokens, int64_t chunkTokens);

  Value buffer(StringRef name, llmir_exec::BufferType type);
  Value kvLayer(PagedKVType type);
  /// The program's use of what an `llmir.weight` of the function names.
  Value weight(Value use);

  /// Appends a dispatch for `source`; null operands are absent. `params` is the kernel's struct.
  LogicalResult dispatch(Operation *source, llmir_exec::Kernel kernel, const void *params,
                         ArrayRef<Value> operands);
  void setLogits(Location location, Value buffer);

  /// Brings everything into order. The function must be gone.
  void finish();
  /// Removes the program again.
  void abandon() { program->erase(); }

private:
  OpBuilder builder;
  llmir_exec::ProgramOp program;
  StringAttr name;
  SmallVector<Operation *> weightOps, kvOps, bufferOps, variantOps;
  llvm::DenseMap<Attribute, Value> weights; ///< by symbol
  llvm::DenseMap<std::pair<Attribute, uint32_t>, Value> variants;
};

} // namespace mlir::llmir

#endif // LLMIR_LIB_TRANSFORMS_PROGRAMWRITER_H
