//===- Lowering.h - From the function `forward` to dispatches ---------------------------------===//
//
// One walk over the function emits the dispatches. Values that must lie side by side (query, key
// and value; a gate and what it gates) are found beforehand, so that the products that make them
// know their place. Operations that are parts of a larger kernel emit nothing where they stand.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_LIB_TRANSFORMS_LOWERING_H
#define LLMIR_LIB_TRANSFORMS_LOWERING_H

#include "ProgramWriter.h"

#include "llvm/ADT/SmallPtrSet.h"

namespace mlir::llmir {

/// Where a value lies: columns of a buffer from `column` on.
struct Place {
  Value buffer;
  uint32_t column = 0;

  llmir_exec::BufferType type() const { return cast<llmir_exec::BufferType>(buffer.getType()); }
};

/// Query, key and value of one attention, traced back to the products that make them.
struct AttentionGroup {
  AppendKVOp append;
  Value table;        ///< rope table or null
  Value qNorm, kNorm; ///< weights of head norms or null
  FloatAttr epsilon;  ///< of the head norms
  Value roots[3];     ///< q, k, v without norm and rotation
};

/// Turns the function `forward` into a program. One instance lowers one module.
class Lowering {
public:
  explicit Lowering(ModuleOp module) : module(module) {}

  /// Replaces the function; on failure the module keeps it and has errors.
  LogicalResult run();

private:
  // FormDispatches.cpp: what lies where.
  LogicalResult prepare(func::FuncOp function);
  LogicalResult placeAttention(PagedAttentionOp attention);
  LogicalResult placeGate(GateOp gate);
  LogicalResult placeSideBySide(Operation *op, ArrayRef<Value> values, StringRef name);
  LogicalResult traceHeads(PagedAttentionOp attention, Value value, AttentionGroup &group,
                           unsigned root);

  // LowerKernels.cpp: one kernel each.
  LogicalResult lower(Operation *op);
  LogicalResult lowerEmbed(EmbedOp op);
  LogicalResult lowerRopeTable(RopeTableOp op);
  LogicalResult lowerNorm(ResidualNormOp op);
  LogicalResult lowerQuantize(QuantizeOp op);
  LogicalResult lowerLinear(LinearOp op);
  LogicalResult lowerLogits(LogitsOp op);
  LogicalResult lowerAttention(PagedAttentionOp op);
  LogicalResult emitQkv(PagedAttentionOp op, AttentionGroup &group, const Place &qkv, Value cache);
  LogicalResult lowerGate(GateOp op);
  LogicalResult lowerReturn(func::ReturnOp op);

  LogicalResult emitLinear(Operation *op, llmir_linear_params_t params, Value input, Value weight,
                           Value bias, Value out);
  LogicalResult cannotLower(Operation *op, const Twine &reason);
  /// The place of an operand that an earlier dispatch has written.
  FailureOr<Place> placeOf(Operation *op, Value value);
  /// The same for values that begin at a buffer's first column, as all but products' outputs do.
  FailureOr<Value> bufferOf(Operation *op, Value value);
  Value newBuffer(Value value, llmir_exec::Extent extent, StringRef name);

  ModuleOp module;
  std::unique_ptr<ProgramWriter> writer;
  llvm::DenseMap<Value, Place> places;
  llvm::DenseMap<Value, Value> caches;                ///< function value -> kv_layer
  llvm::DenseMap<Operation *, AttentionGroup> groups; ///< by attention
  llvm::SmallPtrSet<Operation *, 32> absorbed;        ///< parts of other kernels
};

} // namespace mlir::llmir

#endif // LLMIR_LIB_TRANSFORMS_LOWERING_H
