//===- LLMIROps.cpp - Verifiers of the llmir operations ---------------------------------------===//

#include "llmir/Dialect/LLMIR/LLMIRDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::llmir;

#define GET_OP_CLASSES
#include "llmir/Dialect/LLMIR/LLMIROps.cpp.inc"

//===-----------------------------------------------------------------------------------------===//
// Shared rules
//===-----------------------------------------------------------------------------------------===//

static int64_t columnsOf(Type rows) {
  if (auto quantized = dyn_cast<Q8RowsType>(rows))
    return quantized.getColumns();
  return cast<RankedTensorType>(rows).getShape().back();
}

static int64_t tokensOf(Type rows) {
  auto tensor = dyn_cast<RankedTensorType>(rows);
  return tensor ? tensor.getDimSize(0) : ShapedType::kDynamic;
}

/// Both count the same rows, as far as types tell.
static bool rowsAgree(Type a, Type b) {
  int64_t x = tokensOf(a), y = tokensOf(b);
  return ShapedType::isDynamic(x) || ShapedType::isDynamic(y) || x == y;
}

static LogicalResult checkRows(Operation *op, Type a, Type b) {
  if (!rowsAgree(a, b))
    return op->emitOpError("has operands and results with different numbers of rows");
  return success();
}

static LogicalResult checkVector(Operation *op, StringRef name, Type vector, int64_t size) {
  auto type = cast<QTensorType>(vector);
  if (type.getRank() != 1 || type.getColumns() != size)
    return op->emitOpError() << "expects " << name << " to be a vector of " << size << ", found "
                             << type;
  return success();
}

static LogicalResult checkPositive(Operation *op, StringRef name, const APFloat &value) {
  if (!value.isFinite() || value.isNegative() || value.isZero())
    return op->emitOpError() << "expects " << name << " to be positive and finite";
  return success();
}

/// input [T x columns], weight [rows x columns], result [T x rows].
static LogicalResult checkProduct(Operation *op, Type input, QTensorType weight, Type result,
                                  bool gated) {
  if (weight.getRank() != 2)
    return op->emitOpError() << "expects a matrix as weight, found " << weight;
  if (columnsOf(input) != weight.getColumns())
    return op->emitOpError() << "has an input of " << columnsOf(input)
                             << " columns for a weight of " << weight.getColumns();
  int64_t rows = columnsOf(result);
  if (gated)
    rows = 2 * static_cast<int64_t>(llvm::alignTo(rows, 16));
  if (rows != weight.getRows())
    return op->emitOpError() << "has a result of " << columnsOf(result) << " columns for a "
                             << (gated ? "gated " : "") << "weight of " << weight.getRows()
                             << " rows";
  if (auto quantized = dyn_cast<Q8RowsType>(input)) {
    if (!weight.isInteger())
      return op->emitOpError("has a quantized input for a weight without integer layout");
    if (quantized.getGroup() != weight.getGroup())
      return op->emitOpError() << "has an input with groups of " << quantized.getGroup()
                               << " for a weight with groups of " << weight.getGroup();
  }
  return checkRows(op, input, result);
}

//===-----------------------------------------------------------------------------------------===//
// Weights
//===-----------------------------------------------------------------------------------------===//

SmallVector<PartAttr> TensorOp::getPartList() {
  SmallVector<PartAttr> parts;
  if (ArrayAttr array = getPartsAttr())
    for (Attribute part : array)
      parts.push_back(cast<PartAttr>(part));
  return parts;
}

static LogicalResult verifyConstantTensor(TensorOp op) {
  auto value = dyn_cast_or_null<DenseElementsAttr>(op.getValueAttr());
  if (!value || !value.getElementType().isF32())
    return op.emitOpError("expects a dense f32 value for a constant");
  if (!op.getPartList().empty())
    return op.emitOpError("is a constant and has no parts");
  if (op.getTensorType().getLayout() != Layout::F32)
    return op.emitOpError("is a constant and has layout f32");
  if (value.getType().getShape() != op.getTensorType().getShape())
    return op.emitOpError() << "has a value of another shape than " << op.getTensorType();
  return success();
}

LogicalResult TensorOp::verify() {
  if (getHow() == TensorHow::Constant)
    return verifyConstantTensor(*this);
  if (getValueAttr())
    return emitOpError("has a value but is no constant");
  SmallVector<PartAttr> parts = getPartList();
  size_t wanted = getHow() == TensorHow::InterleavePanels ? 2 : 1;
  if (parts.size() < wanted || (getHow() != TensorHow::ConcatRows && parts.size() != wanted))
    return emitOpError() << "made by " << stringifyTensorHow(getHow()) << " has " << parts.size()
                         << " parts";
  int64_t rows = 0;
  for (PartAttr part : parts)
    rows += part.getRows();
  if (getHow() == TensorHow::InterleavePanels) {
    if (parts[0].getRows() != parts[1].getRows())
      return emitOpError("interleaves parts with different numbers of rows");
    rows = 2 * static_cast<int64_t>(llvm::alignTo(parts[0].getRows(), 16));
  }
  if (rows != getTensorType().getRows())
    return emitOpError() << "has parts of " << rows << " rows for " << getTensorType();
  return success();
}

void WeightOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), getName()); }

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto tensor = symbolTable.lookupNearestSymbolFrom<TensorOp>(*this, getNameAttr());
  if (!tensor)
    return emitOpError() << "names no llmir.tensor: " << getNameAttr();
  if (tensor.getTensorType() != getResult().getType())
    return emitOpError() << "has type " << getResult().getType() << ", the tensor has "
                         << tensor.getTensorType();
  return success();
}

//===-----------------------------------------------------------------------------------------===//
// Projections
//===-----------------------------------------------------------------------------------------===//

LogicalResult EmbedOp::verify() {
  QTensorType table = getTable().getType();
  if (table.getRank() != 2)
    return emitOpError() << "expects a matrix as table, found " << table;
  if (columnsOf(getResult().getType()) != table.getColumns())
    return emitOpError() << "has a result of " << columnsOf(getResult().getType())
                         << " columns for a table of " << table.getColumns();
  return checkRows(*this, getTokens().getType(), getResult().getType());
}

LogicalResult LinearOp::verify() {
  if (failed(checkProduct(*this, getInput().getType(), getWeight().getType(), getResult().getType(),
                          getGate().has_value())))
    return failure();
  if (getGate() && (getBias() || getResidual() || getSoftCap()))
    return emitOpError("with a gate has no bias, residual or soft cap");
  if (getBias() &&
      failed(checkVector(*this, "bias", getBias().getType(), columnsOf(getResult().getType()))))
    return failure();
  if (getResidual() && getResidual().getType() != getResult().getType())
    return emitOpError("expects the residual to have the type of the result");
  if (getSoftCap())
    return checkPositive(*this, "soft_cap", *getSoftCap());
  return success();
}

LogicalResult LogitsOp::verify() {
  if (failed(checkProduct(*this, getInput().getType(), getWeight().getType(), getResult().getType(),
                          /*gated=*/false)))
    return failure();
  if (getSoftCap())
    return checkPositive(*this, "soft_cap", *getSoftCap());
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (columnsOf(getInput().getType()) != columnsOf(getResult().getType()))
    return emitOpError("expects as many columns in the result as in the input");
  return success();
}

LogicalResult DequantizeOp::verify() {
  if (columnsOf(getInput().getType()) != columnsOf(getResult().getType()))
    return emitOpError("expects as many columns in the result as in the input");
  return success();
}

//===-----------------------------------------------------------------------------------------===//
// Attention
//===-----------------------------------------------------------------------------------------===//

LogicalResult RopeTableOp::verify() {
  QTensorType frequencies = getFrequencies().getType();
  if (frequencies.getRank() != 1 || frequencies.getLayout() != Layout::F32)
    return emitOpError() << "expects f32 frequencies, found " << frequencies;
  if (columnsOf(getResult().getType()) != 2 * frequencies.getColumns())
    return emitOpError() << "expects a cosine and a sine for each of " << frequencies.getColumns()
                         << " frequencies";
  return checkRows(*this, getPositions().getType(), getResult().getType());
}

LogicalResult RopeOp::verify() {
  int64_t headDim = getHeadDim(), ropeDim = columnsOf(getTable().getType());
  if (headDim <= 0 || columnsOf(getInput().getType()) % headDim != 0)
    return emitOpError() << "has " << columnsOf(getInput().getType())
                         << " columns, which are no whole heads of " << headDim;
  if (ropeDim > headDim || ropeDim % 2 != 0)
    return emitOpError() << "turns an even number of elements up to the head size of " << headDim
                         << ", the table has " << ropeDim;
  return checkRows(*this, getInput().getType(), getTable().getType());
}

LogicalResult AppendKVOp::verify() {
  PagedKVType cache = getCache().getType();
  int64_t columns = cache.getKvHeads() * cache.getHeadDim();
  for (Value value : {Value(getKeys()), Value(getValues())}) {
    if (columnsOf(value.getType()) != columns)
      return emitOpError() << "expects keys and values of " << columns << " columns for " << cache;
    if (failed(checkRows(*this, value.getType(), getPositions().getType())))
      return failure();
  }
  return success();
}

LogicalResult PagedAttentionOp::verify() {
  PagedKVType cache = getCache().getType();
  int64_t columns = columnsOf(getQuery().getType()), headDim = cache.getHeadDim();
  if (columns % headDim != 0 || columns / headDim % cache.getKvHeads() != 0)
    return emitOpError() << "has a query of " << columns << " columns, which are no multiple of "
                         << cache.getKvHeads() << " heads of " << headDim;
  if (getSinks() && failed(checkVector(*this, "sinks", getSinks().getType(), columns / headDim)))
    return failure();
  int64_t window = getWindow();
  if (window < 0 || (cache.getWindow() != 0 && (window == 0 || window > cache.getWindow())))
    return emitOpError() << "looks back " << window << " tokens (0: all) in a cache that keeps "
                         << cache.getWindow();
  if (failed(checkPositive(*this, "scale", getScale())))
    return failure();
  if (getSoftCap().isNegative() || !getSoftCap().isFinite())
    return emitOpError("expects soft_cap to be 0 or positive, and finite");
  return checkRows(*this, getQuery().getType(), getPositions().getType());
}

//===-----------------------------------------------------------------------------------------===//
// Rows
//===-----------------------------------------------------------------------------------------===//

LogicalResult RmsNormOp::verify() {
  QTensorType weight = getWeight().getType();
  if (weight.getRank() != 1 || columnsOf(getInput().getType()) % weight.getColumns() != 0)
    return emitOpError() << "expects a weight whose size divides "
                         << columnsOf(getInput().getType()) << " columns, found " << weight;
  return checkPositive(*this, "epsilon", getEpsilon());
}

LogicalResult LayerNormOp::verify() {
  int64_t columns = columnsOf(getInput().getType());
  if (failed(checkVector(*this, "weight", getWeight().getType(), columns)) ||
      (getBias() && failed(checkVector(*this, "bias", getBias().getType(), columns))))
    return failure();
  return checkPositive(*this, "epsilon", getEpsilon());
}

LogicalResult ResidualNormOp::verify() {
  int64_t columns = columnsOf(getInput().getType());
  if (!getUpdated() && !getOutput())
    return emitOpError("has no result");
  if (static_cast<bool>(getUpdated()) != (getDelta() && !getRows()))
    return emitOpError("updates the residual exactly if there is a delta and no selection of rows");
  if (static_cast<bool>(getOutput()) != static_cast<bool>(getWeight()))
    return emitOpError("has an output exactly if it has a weight");
  if (getDelta() && getDelta().getType() != getInput().getType())
    return emitOpError("expects the delta to have the type of the input");
  if (getUpdated() && getUpdated().getType() != getInput().getType())
    return emitOpError("expects the updated rows to have the type of the input");
  if (getDeltaWeight()) {
    if (!getDelta())
      return emitOpError("has a delta weight but no delta");
    if (failed(checkVector(*this, "delta_weight", getDeltaWeight().getType(), columns)) ||
        failed(checkPositive(*this, "delta_epsilon", getDeltaEpsilon())))
      return failure();
  }
  if (!getWeight())
    return success();
  if (columnsOf(getOutput().getType()) != columns)
    return emitOpError("expects as many columns in the output as in the input");
  if (failed(checkVector(*this, "weight", getWeight().getType(), columns)))
    return failure();
  return checkPositive(*this, "epsilon", getEpsilon());
}

LogicalResult SoftCapOp::verify() { return checkPositive(*this, "cap", getCap()); }

LogicalResult SelectRowsOp::verify() {
  if (columnsOf(getInput().getType()) != columnsOf(getResult().getType()))
    return emitOpError("expects as many columns in the result as in the input");
  return checkRows(*this, getRows().getType(), getResult().getType());
}

LogicalResult ColumnsOp::verify() {
  int64_t from = getFrom(), size = columnsOf(getResult().getType());
  int64_t columns = columnsOf(getInput().getType());
  if (from < 0 || from > columns || size > columns - from)
    return emitOpError() << "takes columns " << from << " to " << from + size << " of " << columns;
  return checkRows(*this, getInput().getType(), getResult().getType());
}

//===-----------------------------------------------------------------------------------------===//
// Experts
//===-----------------------------------------------------------------------------------------===//

LogicalResult MoeRouteOp::verify() {
  int64_t experts = columnsOf(getScores().getType()), top = getTop();
  if (top < 1 || top > experts)
    return emitOpError() << "chooses " << top << " of " << experts << " experts";
  if (columnsOf(getWeights().getType()) != top || columnsOf(getExperts().getType()) != top)
    return emitOpError() << "expects results of " << top << " columns";
  if (failed(checkRows(*this, getScores().getType(), getWeights().getType())))
    return failure();
  return checkRows(*this, getScores().getType(), getExperts().getType());
}

LogicalResult MoeLinearOp::verify() {
  QTensorType weight = getWeight().getType();
  auto input = cast<RankedTensorType>(getInput().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t top = columnsOf(getExperts().getType());
  if (weight.getRank() != 3)
    return emitOpError() << "expects a weight of experts x rows x columns, found " << weight;
  bool perExpert = input.getRank() == 3;
  if ((input.getRank() != 2 && !perExpert) || columnsOf(input) != weight.getColumns() ||
      (perExpert && input.getDimSize(1) != top))
    return emitOpError() << "has input " << input << " for " << top << " experts of " << weight;
  bool summed = static_cast<bool>(getWeights());
  if (result.getRank() != (summed ? 2 : 3) || columnsOf(result) != weight.getShape()[1] ||
      (!summed && result.getDimSize(1) != top))
    return emitOpError() << "has result " << result << " for " << top << " experts of " << weight;
  if (summed && columnsOf(getWeights().getType()) != top)
    return emitOpError() << "expects weights of " << top << " columns";
  return checkRows(*this, input, result);
}

//===-----------------------------------------------------------------------------------------===//
// Collectives
//===-----------------------------------------------------------------------------------------===//

static LogicalResult checkGroup(Operation *op, StringRef group) {
  if (group.empty())
    return op->emitOpError("names no group");
  return success();
}

static LogicalResult checkPeer(Operation *op, int64_t peer, int64_t tag, StringRef group) {
  if (peer < 0 || tag < 0)
    return op->emitOpError("expects peer and tag from 0");
  return checkGroup(op, group);
}

LogicalResult AllReduceOp::verify() { return checkGroup(*this, getGroup()); }

LogicalResult AllGatherOp::verify() {
  int64_t members = getMembers();
  if (members < 1 || columnsOf(getResult().getType()) != members * columnsOf(getInput().getType()))
    return emitOpError() << "expects the columns of " << members << " members side by side";
  if (failed(checkRows(*this, getInput().getType(), getResult().getType())))
    return failure();
  return checkGroup(*this, getGroup());
}

LogicalResult SendOp::verify() { return checkPeer(*this, getPeer(), getTag(), getGroup()); }

LogicalResult RecvOp::verify() { return checkPeer(*this, getPeer(), getTag(), getGroup()); }
