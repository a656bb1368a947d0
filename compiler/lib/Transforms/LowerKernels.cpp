//===- LowerKernels.cpp - One dispatch for each operation with a kernel -----------------------===//
//
// Fills in the parameter structs of llmir_bundle.h. What an operation asks for and no kernel does
// is an error that names it.
//
//===-----------------------------------------------------------------------------------------===//

#include "Liveness.h"
#include "Lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::llmir;
using llmir_exec::BufferType;
using llmir_exec::Extent;
using llmir_exec::Format;
using llmir_exec::Kernel;

/// Distance of two rows in f32 elements: rows are padded to 64 bytes.
static uint32_t rowStride(Value buffer) {
  return cast<BufferType>(buffer.getType()).getRowBytes() / sizeof(float);
}

/// Dispatches of one operation. Whatever has no case here is part of a kernel that another
/// operation stands for, or has none.
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

/// The residual is updated in place: `updated` and `input` are the same buffer. With a selection of
/// rows, the kernel reads token rows, writes output rows, and leaves the residual alone.
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
      params.flags |= quantized.getWide() ? LLMIR_NORM_WIDE : 0u;
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
  params.wide = op.getType().getWide();
  Value out = newBuffer(op.getResult(), extent, "quantized");
  return writer->dispatch(op, Kernel::Quantize, &params, {*input, out});
}

/// A product into columns of `out`. The caller fills in rows, epilogue and `out_column`; `input`
/// and `out` are buffers, `weight` and `bias` weights of the function (bias may be null).
LogicalResult Lowering::emitLinear(Operation *op, llmir_linear_params_t params, Value input,
                                   Value weight, Value bias, Value out) {
  auto type = cast<QTensorType>(weight.getType());
  if (type.getLayout() < Layout::PanelF32 || type.getLayout() > Layout::PanelS8)
    return cannotLower(op, "its weight has no panel layout; run llmir-choose-weight-layouts");
  if (type.isInteger() && cast<BufferType>(input.getType()).getFormat() != Format::Q8)
    return cannotLower(op, "its input is not quantized; run llmir-quantize-activations");
  params.columns = type.getColumns();
  if (type.isInteger() && cast<BufferType>(input.getType()).getColumns() != type.getColumns())
    params.flags |= LLMIR_LINEAR_WIDE;
  params.layout = static_cast<uint32_t>(type.getLayout());
  params.group = type.getGroup();
  params.extent = static_cast<uint32_t>(cast<BufferType>(input.getType()).getExtent());
  params.out_stride = rowStride(out);
  if (bias) {
    params.flags |= LLMIR_LINEAR_BIAS;
    bias = writer->weight(bias);
  }
  return writer->dispatch(op, Kernel::Linear, &params, {input, writer->weight(weight), bias, out});
}

/// The result goes where a larger kernel wants it, or on top of the residual, or into a buffer of
/// its own.
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

/// Head norms, rotation and the way into the cache: what append_kv and all before it stand for,
/// back to the projections. It stands right before the attention, because it also finishes the
/// query.
LogicalResult Lowering::emitQkv(PagedAttentionOp op, AttentionGroup &group, const Place &qkv,
                                Value cache) {
  PagedKVType type = op.getCache().getType();
  llmir_qkv_params_t params = {};
  params.q_heads = op.getQueryHeads();
  params.kv_heads = type.getKvHeads();
  params.head_dim = type.getHeadDim();
  params.stride = rowStride(qkv.buffer);
  Value table, qNorm, kNorm;
  if (group.table) {
    FailureOr<Value> buffer = bufferOf(op, group.table);
    if (failed(buffer))
      return failure();
    table = *buffer;
    params.flags |= LLMIR_QKV_ROPE;
    params.rope_dim = cast<BufferType>(table.getType()).getColumns();
  }
  if (group.qNorm) {
    params.flags |= LLMIR_QKV_NORM;
    params.norm_epsilon = group.epsilon.getValue().convertToFloat();
    qNorm = writer->weight(group.qNorm);
    kNorm = writer->weight(group.kNorm);
  }
  return writer->dispatch(group.append, Kernel::QKV, &params,
                          {qkv.buffer, table, qNorm, kNorm, cache});
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
  if (failed(qkv) || failed(emitQkv(op, group, *qkv, cache->second)))
    return failure();

  PagedKVType type = op.getCache().getType();
  Value out = newBuffer(op.getResult(), Extent::Tokens, "attention");
  llmir_attention_params_t params = {};
  params.q_heads = op.getQueryHeads();
  params.kv_heads = type.getKvHeads();
  params.head_dim = type.getHeadDim();
  params.window = op.getWindow();
  params.q_stride = rowStride(qkv->buffer);
  params.out_stride = rowStride(out);
  params.scale = op.getScale().convertToFloat();
  params.soft_cap = op.getSoftCap().convertToFloat();
  return writer->dispatch(op, Kernel::Attention, &params, {qkv->buffer, cache->second, out});
}

/// Only for gates whose two products could not be merged; placeGate has put them side by side.
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

/// The caches that forward returns are the same pages that it was given: only the logits are left.
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
