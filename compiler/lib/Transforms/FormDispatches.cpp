//===- FormDispatches.cpp - Lower the function `forward` to a program of kernels --------------===//
//
// The walk over the function, and which buffer each value lies in; Lowering.h tells the idea.
//
//===-----------------------------------------------------------------------------------------===//

#include "Lowering.h"
#include "llmir/Transforms/Passes.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_FORMDISPATCHESPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;
using llmir_exec::BufferType;
using llmir_exec::Extent;
using llmir_exec::Format;

LogicalResult Lowering::cannotLower(Operation *op, const Twine &reason) {
  return op->emitError() << "cannot lower '" << op->getName() << "': " << reason;
}

//===-----------------------------------------------------------------------------------------===//
// Places
//===-----------------------------------------------------------------------------------------===//

FailureOr<Place> Lowering::placeOf(Operation *op, Value value) {
  auto found = places.find(value);
  if (found == places.end())
    return cannotLower(op, "an operand has no buffer");
  return found->second;
}

FailureOr<Value> Lowering::bufferOf(Operation *op, Value value) {
  FailureOr<Place> place = placeOf(op, value);
  if (failed(place))
    return failure();
  int64_t columns = 0;
  if (auto rows = dyn_cast<RankedTensorType>(value.getType()))
    columns = rows.getDimSize(1);
  else
    columns = cast<Q8RowsType>(value.getType()).getRowColumns();
  if (place->column != 0 || place->type().getColumns() != columns)
    return cannotLower(op, "an operand is a part of a buffer");
  return place->buffer;
}

Value Lowering::newBuffer(Value value, Extent extent, StringRef name) {
  BufferType type;
  if (auto quantized = dyn_cast<Q8RowsType>(value.getType()))
    type = BufferType::get(module.getContext(), extent, Format::Q8, quantized.getRowColumns(),
                           quantized.getGroup());
  else
    type = BufferType::get(module.getContext(), extent, Format::F32,
                           cast<RankedTensorType>(value.getType()).getDimSize(1), 0);
  Value buffer = writer->buffer(name, type);
  places[value] = {buffer, 0};
  return buffer;
}

/// Puts values into one buffer, one after the other. Each is a product, or a range of columns of a
/// product that lies there as a whole.
LogicalResult Lowering::placeSideBySide(Operation *op, ArrayRef<Value> values, StringRef name) {
  int64_t total = 0;
  for (Value value : values)
    total += cast<RankedTensorType>(value.getType()).getDimSize(1);
  Value buffer = writer->buffer(
      name, BufferType::get(module.getContext(), Extent::Tokens, Format::F32, total, 0));
  int64_t column = 0;
  for (Value value : values) {
    int64_t from = column;
    Value product = value;
    if (auto columns = value.getDefiningOp<ColumnsOp>()) {
      product = columns.getInput();
      from -= columns.getFrom();
      absorbed.insert(columns);
      places[value] = {buffer, static_cast<uint32_t>(column)};
    }
    auto linear = product.getDefiningOp<LinearOp>();
    if (!value.hasOneUse() || !linear || linear.getResidual())
      return cannotLower(op, "its operands are not made by products of their own");
    int64_t width = cast<RankedTensorType>(product.getType()).getDimSize(1);
    auto known = places.find(product);
    bool agrees =
        known == places.end() || (known->second.buffer == buffer && known->second.column == from);
    if (!agrees || from < 0 || from + width > total || from % 16 != 0)
      return cannotLower(op, "its operands cannot lie side by side from multiples of 16 columns");
    places[product] = {buffer, static_cast<uint32_t>(from)};
    column += cast<RankedTensorType>(value.getType()).getDimSize(1);
  }
  return success();
}

/// Peels rotation and head norm off query (root 0), key (1) or value (2).
LogicalResult Lowering::traceHeads(PagedAttentionOp attention, Value value, AttentionGroup &group,
                                   unsigned root) {
  Value table, norm;
  if (auto rope = value.getDefiningOp<RopeOp>()) {
    if (rope.getStyle() != RopeStyle::Halves)
      return cannotLower(rope, "kernels rotate halves; run llmir-permute-rope-rows");
    if (!rope->hasOneUse() ||
        static_cast<int64_t>(rope.getHeadDim()) != group.append.getCache().getType().getHeadDim())
      return cannotLower(rope, "it is no rotation of one attention's heads");
    absorbed.insert(rope);
    table = rope.getTable();
    value = rope.getInput();
  }
  if (auto heads = value.getDefiningOp<RmsNormOp>()) {
    bool sameEpsilon = !group.epsilon || group.epsilon == heads.getEpsilonAttr();
    if (!heads->hasOneUse() || !sameEpsilon ||
        heads.getWeight().getType().getColumns() != group.append.getCache().getType().getHeadDim())
      return cannotLower(heads, "it is no norm of one attention's heads");
    absorbed.insert(heads);
    norm = heads.getWeight();
    group.epsilon = heads.getEpsilonAttr();
    value = heads.getInput();
  }
  group.roots[root] = value;
  if (root == 0) {
    group.table = table;
    group.qNorm = norm;
    return success();
  }
  if (root == 2)
    return table || norm ? cannotLower(attention, "values are neither rotated nor normed")
                         : success();
  group.kNorm = norm;
  if (table != group.table || !norm != !group.qNorm)
    return cannotLower(attention, "query and key are not rotated and normed alike");
  return success();
}

/// Finds what belongs to an attention and puts its query, key and value into one buffer.
LogicalResult Lowering::placeAttention(PagedAttentionOp attention) {
  AttentionGroup group;
  group.append = attention.getCache().getDefiningOp<AppendKVOp>();
  if (!group.append)
    return cannotLower(attention, "its cache is not made by llmir.append_kv");
  for (Operation *user : group.append->getUsers())
    if (user != attention && !isa<func::ReturnOp>(user))
      return cannotLower(group.append, "several operations read its cache");
  if (failed(traceHeads(attention, attention.getQuery(), group, 0)) ||
      failed(traceHeads(attention, group.append.getKeys(), group, 1)) ||
      failed(traceHeads(attention, group.append.getValues(), group, 2)))
    return failure();
  absorbed.insert(group.append);
  groups[attention] = group;
  return placeSideBySide(attention, group.roots, "qkv");
}

LogicalResult Lowering::placeGate(GateOp gate) {
  return placeSideBySide(gate, {gate.getGate(), gate.getUp()}, "gate_up");
}

//===-----------------------------------------------------------------------------------------===//
// The function
//===-----------------------------------------------------------------------------------------===//

/// Checks the form of the function, begins the program, and places what must lie side by side.
LogicalResult Lowering::prepare(func::FuncOp function) {
  if (!function.getBody().hasOneBlock())
    return function.emitError("forward is one block");
  auto isIds = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() == 1 && tensor.getElementType().isInteger(32);
  };
  Block &body = function.getBody().front();
  for (BlockArgument argument : body.getArguments()) {
    if (argument.getArgNumber() < kFirstCache ? !isIds(argument.getType())
                                              : !isa<PagedKVType>(argument.getType()))
      return function.emitError("forward takes tokens, positions, output rows and caches");
  }
  if (body.getNumArguments() < kFirstCache)
    return function.emitError("forward takes tokens, positions, output rows and caches");

  int64_t page = 64, chunk = 256;
  if (auto attr = module->getAttrOfType<IntegerAttr>(kChunkAttr))
    chunk = attr.getInt();
  for (BlockArgument cache : body.getArguments().drop_front(kFirstCache)) {
    page = cast<PagedKVType>(cache.getType()).getPageTokens();
    if (page == 0)
      return function.emitError("caches have no page size; run llmir-kv-blocking");
  }
  writer = std::make_unique<ProgramWriter>(function, page, chunk);
  for (BlockArgument cache : body.getArguments().drop_front(kFirstCache))
    caches[cache] = writer->kvLayer(cast<PagedKVType>(cache.getType()));

  for (Operation &op : body) {
    auto attention = dyn_cast<PagedAttentionOp>(op);
    auto gate = dyn_cast<GateOp>(op);
    if ((attention && failed(placeAttention(attention))) || (gate && failed(placeGate(gate))))
      return failure();
  }
  return success();
}

LogicalResult Lowering::run() {
  auto function = module.lookupSymbol<func::FuncOp>("forward");
  if (!function || function.isDeclaration())
    return module.emitError("there is no function 'forward' to lower");
  LogicalResult done = prepare(function);
  for (Operation &op : function.getBody().front()) {
    if (failed(done))
      break;
    if (!isa<WeightOp>(op) && !absorbed.contains(&op))
      done = lower(&op);
  }
  if (failed(done)) {
    if (writer)
      writer->abandon();
    return failure();
  }
  function.erase();
  writer->finish();
  return success();
}

namespace {

struct FormDispatches : llmir::impl::FormDispatchesPassBase<FormDispatches> {
  void runOnOperation() override {
    if (failed(Lowering(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
