//===- FormDispatches.cpp - Lower the function `forward` to a program of kernels --------------===//
//
// One walk over the function emits the dispatches. Values that must lie side by side (query, key
// and value; a gate and what it gates) are found beforehand, so that the products that make them
// know their place. Operations that are parts of a larger kernel emit nothing where they stand.
//
//===-----------------------------------------------------------------------------------------===//

#include "Liveness.h"
#include "ProgramWriter.h"
#include "llmir/Transforms/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::llmir {
#define GEN_PASS_DEF_FORMDISPATCHESPASS
#include "llmir/Transforms/Passes.h.inc"
} // namespace mlir::llmir

using namespace mlir;
using namespace mlir::llmir;
using llmir_exec::BufferType;
using llmir_exec::Extent;
using llmir_exec::Format;
using llmir_exec::Kernel;

namespace {

/// Where a value lies: columns of a buffer from `column` on.
struct Place {
  Value buffer;
  uint32_t column = 0;

  BufferType type() const { return cast<BufferType>(buffer.getType()); }
};

/// Query, key and value of one attention, traced back to the products that make them.
struct AttentionGroup {
  AppendKVOp append;
  Value table;        ///< rope table or null
  Value qNorm, kNorm; ///< weights of head norms or null
  FloatAttr epsilon;  ///< of the head norms
  Value roots[3];     ///< q, k, v without norm and rotation
};

class Lowering {
public:
  explicit Lowering(ModuleOp module) : module(module) {}

  LogicalResult run();

private:
  LogicalResult prepare(func::FuncOp function);
  LogicalResult placeAttention(PagedAttentionOp attention);
  LogicalResult placeGate(GateOp gate);
  LogicalResult placeSideBySide(Operation *op, ArrayRef<Value> values, StringRef name);
  LogicalResult traceHeads(PagedAttentionOp attention, Value value, AttentionGroup &group,
                           unsigned root);

  LogicalResult lower(Operation *op);
  LogicalResult lowerEmbed(EmbedOp op);
  LogicalResult lowerRopeTable(RopeTableOp op);
  LogicalResult lowerNorm(ResidualNormOp op);
  LogicalResult lowerQuantize(QuantizeOp op);
  LogicalResult lowerLinear(LinearOp op);
  LogicalResult lowerLogits(LogitsOp op);
  LogicalResult lowerAttention(PagedAttentionOp op);
  LogicalResult lowerGate(GateOp op);
  LogicalResult lowerReturn(func::ReturnOp op);

  LogicalResult emitLinear(Operation *op, llmir_linear_params_t params, Value input, Value weight,
                           Value bias, Value out);
  LogicalResult cannotLower(Operation *op, const Twine &reason);
  /// The place of an operand that an earlier dispatch has written.
  FailureOr<Place> placeOf(Operation *op, Value value);
  /// The same for values that begin at a buffer's first column, as all but products' outputs do.
  FailureOr<Value> bufferOf(Operation *op, Value value);
  Value newBuffer(Value value, Extent extent, StringRef name);

  ModuleOp module;
  std::unique_ptr<ProgramWriter> writer;
  llvm::DenseMap<Value, Place> places;
  llvm::DenseMap<Value, Value> caches;                ///< function value -> kv_layer
  llvm::DenseMap<Operation *, AttentionGroup> groups; ///< by attention
  llvm::SmallPtrSet<Operation *, 32> absorbed;        ///< parts of other kernels
};

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
    columns = cast<Q8RowsType>(value.getType()).getColumns();
  if (place->column != 0 || place->type().getColumns() != columns)
    return cannotLower(op, "an operand is a part of a buffer");
  return place->buffer;
}

Value Lowering::newBuffer(Value value, Extent extent, StringRef name) {
  BufferType type;
  if (auto quantized = dyn_cast<Q8RowsType>(value.getType()))
    type = BufferType::get(module.getContext(), extent, Format::Q8, quantized.getColumns(),
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

LogicalResult Lowering::lower(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<EmbedOp>([&](auto embed) { return lowerEmbed(embed); })
      .Case<RopeTableOp>([&](auto table) { return lowerRopeTable(table); })
      .Case<ResidualNormOp>([&](auto norm) { return lowerNorm(norm); })
      .Case<QuantizeOp>([&](auto quantize) { return lowerQuantize(quantize); })
      .Case<LinearOp>([&](auto linear) { return lowerLinear(linear); })
      .Case<LogitsOp>([&](auto logits) { return lowerLogits(logits); })
      .Case<PagedAttentionOp>([&](auto attention) { return lowerAttention(attention); })
      .Case<GateOp>([&](auto gate) { return lowerGate(gate); })
      .Case<func::ReturnOp>([&](auto ret) { return lowerReturn(ret); })
      .Default([&](Operation *other) {
        return cannotLower(other, "no kernel does it, and no other operation takes it in");
      });
}

//===-----------------------------------------------------------------------------------------===//
// Kernels
//===-----------------------------------------------------------------------------------------===//

LogicalResult Lowering::lowerEmbed(EmbedOp op) {
  QTensorType table = op.getTable().getType();
  auto tokens = dyn_cast<BlockArgument>(op.getTokens());
  if (!tokens || tokens.getArgNumber() != kTokensArgument)
    return cannotLower(op, "kernels embed the tokens of the batch");
  llmir_embed_params_t params = {};
  params.dim = table.getColumns();
  params.vocab = table.getRows();
  params.layout = static_cast<uint32_t>(table.getLayout());
  params.group = table.getGroup();
  params.scale = op.getScale().convertToFloat();
  Value x = newBuffer(op.getResult(), Extent::Tokens, "x");
  return writer->dispatch(op, Kernel::Embed, &params, {writer->weight(op.getTable()), x});
}

LogicalResult Lowering::lowerRopeTable(RopeTableOp op) {
  auto positions = dyn_cast<BlockArgument>(op.getPositions());
  if (!positions || positions.getArgNumber() != kPositionsArgument)
    return cannotLower(op, "kernels rotate by the positions of the batch");
  llmir_rope_table_params_t params = {};
  params.pair_count = op.getFrequencies().getType().getColumns();
  params.attention_factor = op.getAttentionFactor().convertToFloat();
  Value table = newBuffer(op.getResult(), Extent::Tokens, "rope");
  return writer->dispatch(op, Kernel::RopeTable, &params,
                          {writer->weight(op.getFrequencies()), table});
}

LogicalResult Lowering::lowerNorm(ResidualNormOp op) {
  FailureOr<Value> x = bufferOf(op, op.getInput());
  if (failed(x))
    return failure();
  FailureOr<Value> deltaRows = op.getDelta() ? bufferOf(op, op.getDelta()) : x;
  if (failed(deltaRows))
    return failure();
  for (Value rows : {*x, *deltaRows})
    if (cast<BufferType>(rows.getType()).getExtent() != Extent::Tokens)
      return cannotLower(op, "kernels norm the rows of tokens");
  llmir_norm_params_t params = {};
  params.dim = op.getInput().getType().getDimSize(1);
  Value delta, deltaWeight, weight, out;
  if (op.getDelta()) {
    if (isReadAfter(op.getInput(), op) && op.getUpdated())
      return cannotLower(op, "the residual is read after its update in place");
    delta = *deltaRows;
    params.flags |= LLMIR_NORM_ADD_DELTA;
    if (op.getUpdated())
      places[op.getUpdated()] = {*x, 0};
  }
  if (op.getDeltaWeight()) {
    deltaWeight = writer->weight(op.getDeltaWeight());
    params.flags |= LLMIR_NORM_DELTA_NORM;
    params.delta_epsilon = op.getDeltaEpsilon().convertToFloat();
  }
  if (op.getRows()) {
    auto rows = dyn_cast<BlockArgument>(op.getRows());
    if (!rows || rows.getArgNumber() != kRowsArgument)
      return cannotLower(op, "kernels select the output rows of the batch");
    params.gather = 1;
  }
  if (!op.getOutput()) {
    params.flags |= LLMIR_NORM_NO_OUTPUT;
  } else {
    weight = writer->weight(op.getWeight());
    params.epsilon = op.getEpsilon().convertToFloat();
    if (auto quantized = dyn_cast<Q8RowsType>(op.getOutput().getType())) {
      params.out_format = LLMIR_ROW_Q8;
      params.group = quantized.getGroup();
    }
    out = newBuffer(op.getOutput(), op.getRows() ? Extent::Outputs : Extent::Tokens, "norm");
  }
  return writer->dispatch(op, Kernel::Norm, &params, {*x, delta, deltaWeight, weight, out});
}

LogicalResult Lowering::lowerQuantize(QuantizeOp op) {
  FailureOr<Value> input = bufferOf(op, op.getInput());
  if (failed(input))
    return failure();
  Extent extent = cast<BufferType>(input->getType()).getExtent();
  llmir_quantize_params_t params = {};
  params.dim = op.getType().getColumns();
  params.group = op.getType().getGroup();
  params.extent = static_cast<uint32_t>(extent);
  Value out = newBuffer(op.getResult(), extent, "quantized");
  return writer->dispatch(op, Kernel::Quantize, &params, {*input, out});
}

LogicalResult Lowering::emitLinear(Operation *op, llmir_linear_params_t params, Value input,
                                   Value weight, Value bias, Value out) {
  auto type = cast<QTensorType>(weight.getType());
  if (type.getLayout() < Layout::PanelF32 || type.getLayout() > Layout::PanelS8)
    return cannotLower(op, "its weight has no panel layout; run llmir-choose-weight-layouts");
  if (type.isInteger() && cast<BufferType>(input.getType()).getFormat() != Format::Q8)
    return cannotLower(op, "its input is not quantized; run llmir-quantize-activations");
  params.columns = type.getColumns();
  params.layout = static_cast<uint32_t>(type.getLayout());
  params.group = type.getGroup();
  params.extent = static_cast<uint32_t>(cast<BufferType>(input.getType()).getExtent());
  params.out_stride = cast<BufferType>(out.getType()).getRowBytes() / 4;
  if (bias) {
    params.flags |= LLMIR_LINEAR_BIAS;
    bias = writer->weight(bias);
  }
  return writer->dispatch(op, Kernel::Linear, &params, {input, writer->weight(weight), bias, out});
}

LogicalResult Lowering::lowerLinear(LinearOp op) {
  FailureOr<Value> input = bufferOf(op, op.getInput());
  if (failed(input))
    return failure();
  llmir_linear_params_t params = {};
  params.rows = op.getType().getDimSize(1);
  if (op.getGate())
    params.gate = static_cast<uint32_t>(*op.getGate());
  if (op.getSoftCap())
    params.soft_cap = op.getSoftCap()->convertToFloat();
  Value out;
  Extent extent = cast<BufferType>(input->getType()).getExtent();
  auto known = places.find(op.getResult());
  if (known != places.end()) {
    if (extent != known->second.type().getExtent())
      return cannotLower(op, "kernels write the rows of tokens side by side");
    out = known->second.buffer;
    params.out_column = known->second.column;
  } else if (op.getResidual()) {
    FailureOr<Value> residual = bufferOf(op, op.getResidual());
    if (failed(residual))
      return failure();
    if (extent != cast<BufferType>(residual->getType()).getExtent())
      return cannotLower(op, "a sum has the rows of its product");
    if (isReadAfter(op.getResidual(), op))
      return cannotLower(op, "the residual is read after its update in place");
    params.flags |= LLMIR_LINEAR_ADD;
    places[op.getResult()] = {*residual, 0};
    out = *residual;
  } else {
    out = newBuffer(op.getResult(), extent, op.getGate() ? "gated" : "product");
  }
  return emitLinear(op, params, *input, op.getWeight(), op.getBias(), out);
}

LogicalResult Lowering::lowerLogits(LogitsOp op) {
  FailureOr<Value> input = bufferOf(op, op.getInput());
  if (failed(input))
    return failure();
  llmir_linear_params_t params = {};
  params.rows = op.getType().getDimSize(1);
  if (op.getSoftCap())
    params.soft_cap = op.getSoftCap()->convertToFloat();
  Value out = newBuffer(op.getResult(), cast<BufferType>(input->getType()).getExtent(), "logits");
  return emitLinear(op, params, *input, op.getWeight(), Value(), out);
}

LogicalResult Lowering::lowerAttention(PagedAttentionOp op) {
  if (op.getSinks())
    return cannotLower(op, "no kernel has attention sinks");
  if (op.getBidirectional())
    return cannotLower(op, "no kernel attends to later tokens");
  AttentionGroup &group = groups[op];
  for (Value positions : {Value(op.getPositions()), Value(group.append.getPositions())}) {
    auto argument = dyn_cast<BlockArgument>(positions);
    if (!argument || argument.getArgNumber() != kPositionsArgument)
      return cannotLower(op, "kernels attend by the positions of the batch");
  }
  auto cache = caches.find(group.append.getCache());
  if (cache == caches.end())
    return cannotLower(op, "its cache is no argument of forward");
  FailureOr<Place> qkv = placeOf(op, group.roots[0]);
  Value table;
  if (failed(qkv))
    return failure();
  if (group.table) {
    FailureOr<Value> buffer = bufferOf(op, group.table);
    if (failed(buffer))
      return failure();
    table = *buffer;
  }

  PagedKVType type = op.getCache().getType();
  llmir_qkv_params_t params = {};
  params.q_heads = op.getQueryHeads();
  params.kv_heads = type.getKvHeads();
  params.head_dim = type.getHeadDim();
  params.stride = qkv->type().getRowBytes() / 4;
  Value qNorm, kNorm;
  if (group.table) {
    params.flags |= LLMIR_QKV_ROPE;
    params.rope_dim = cast<BufferType>(table.getType()).getColumns();
  }
  if (group.qNorm) {
    params.flags |= LLMIR_QKV_NORM;
    params.norm_epsilon = group.epsilon.getValue().convertToFloat();
    qNorm = writer->weight(group.qNorm);
    kNorm = writer->weight(group.kNorm);
  }
  if (failed(writer->dispatch(group.append, Kernel::QKV, &params,
                              {qkv->buffer, table, qNorm, kNorm, cache->second})))
    return failure();

  llmir_attention_params_t attention = {};
  attention.q_heads = params.q_heads;
  attention.kv_heads = params.kv_heads;
  attention.head_dim = params.head_dim;
  attention.window = op.getWindow();
  attention.q_stride = params.stride;
  attention.scale = op.getScale().convertToFloat();
  attention.soft_cap = op.getSoftCap().convertToFloat();
  Value out = newBuffer(op.getResult(), Extent::Tokens, "attention");
  attention.out_stride = cast<BufferType>(out.getType()).getRowBytes() / 4;
  return writer->dispatch(op, Kernel::Attention, &attention, {qkv->buffer, cache->second, out});
}

LogicalResult Lowering::lowerGate(GateOp op) {
  FailureOr<Place> input = placeOf(op, op.getGate());
  if (failed(input))
    return failure();
  if (input->type().getExtent() != Extent::Tokens)
    return cannotLower(op, "kernels gate the rows of tokens");
  llmir_gate_params_t params = {};
  params.dim = op.getType().getDimSize(1);
  params.gate = static_cast<uint32_t>(op.getKind());
  Value out = newBuffer(op.getResult(), Extent::Tokens, "gated");
  return writer->dispatch(op, Kernel::Gate, &params, {input->buffer, out});
}

LogicalResult Lowering::lowerReturn(func::ReturnOp op) {
  if (op.getNumOperands() == 0 || !isa<RankedTensorType>(op.getOperand(0).getType()))
    return cannotLower(op, "forward returns the logits first");
  FailureOr<Value> logits = bufferOf(op, op.getOperand(0));
  if (failed(logits))
    return failure();
  if (cast<BufferType>(logits->getType()).getExtent() != Extent::Outputs)
    return cannotLower(op, "the logits are not those of selected rows");
  writer->setLogits(op.getLoc(), *logits);
  return success();
}

struct FormDispatches : llmir::impl::FormDispatchesPassBase<FormDispatches> {
  void runOnOperation() override {
    if (failed(Lowering(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
