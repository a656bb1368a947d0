//===- ProgramWriter.cpp - Puts a program together --------------------------------------------===//

#include "ProgramWriter.h"

using namespace mlir;
using namespace mlir::llmir;

/// Number of the decoder layer that a location names, loc("blk.3"); nothing outside of layers.
static std::optional<int64_t> layerOf(Location location) {
  std::optional<int64_t> layer;
  location->walk([&](Location inner) {
    auto name = dyn_cast<NameLoc>(inner);
    StringRef text = name ? name.getName().getValue() : StringRef();
    int64_t number;
    if (!text.consume_front("blk.") || text.consumeInteger(10, number) || number < 0)
      return WalkResult::advance();
    layer = number;
    return WalkResult::interrupt();
  });
  return layer;
}

ProgramWriter::ProgramWriter(func::FuncOp function, int64_t pageTokens, int64_t chunkTokens)
    : builder(function.getContext()), name(function.getSymNameAttr()) {
  builder.setInsertionPointAfter(function);
  // The final name is still taken by the function.
  program = builder.create<llmir_exec::ProgramOp>(
      function.getLoc(), (function.getSymName() + ".program").str(), pageTokens, chunkTokens,
      DenseI64ArrayAttr(), DenseI64ArrayAttr());
  builder.setInsertionPointToStart(&program.getBody().emplaceBlock());
}

Value ProgramWriter::buffer(StringRef bufferName, llmir_exec::BufferType type) {
  auto op = builder.create<llmir_exec::BufferOp>(program.getLoc(), type, bufferName, IntegerAttr());
  bufferOps.push_back(op);
  return op.getResult();
}

Value ProgramWriter::kvLayer(PagedKVType type) {
  auto op = builder.create<llmir_exec::KVLayerOp>(program.getLoc(), type);
  kvOps.push_back(op);
  return op.getResult();
}

Value ProgramWriter::weight(Value use) {
  auto source = use.getDefiningOp<WeightOp>();
  assert(source && "weights are symbols");
  Value &known = weights[source.getNameAttr()];
  if (!known) {
    auto op = builder.create<WeightOp>(program.getLoc(), source.getType(), source.getNameAttr());
    weightOps.push_back(op);
    known = op.getResult();
  }
  return known;
}

LogicalResult ProgramWriter::dispatch(Operation *source, llmir_exec::Kernel kernel,
                                      const void *params, ArrayRef<Value> operands) {
  DictionaryAttr attr = llmir_exec::paramsToAttr(builder.getContext(), kernel, params);
  Value &variant = variants[{attr, static_cast<uint32_t>(kernel)}];
  if (!variant) {
    auto op = builder.create<llmir_exec::VariantOp>(
        program.getLoc(), llmir_exec::VariantType::get(builder.getContext()), kernel, attr);
    variantOps.push_back(op);
    variant = op.getResult();
  }
  SmallVector<Value> present;
  SmallVector<int32_t> places;
  for (auto [place, operand] : llvm::enumerate(operands)) {
    if (!operand)
      continue;
    present.push_back(operand);
    places.push_back(static_cast<int32_t>(place));
  }
  std::optional<int64_t> layer = layerOf(source->getLoc());
  builder.create<llmir_exec::DispatchOp>(source->getLoc(), variant, present,
                                         builder.getDenseI32ArrayAttr(places),
                                         layer ? builder.getI64IntegerAttr(*layer) : IntegerAttr());
  return success();
}

void ProgramWriter::setLogits(Location location, Value logits) {
  builder.create<llmir_exec::ReturnOp>(location, logits);
}

// Moving to the front in reverse keeps the order of first use within each kind.
void ProgramWriter::finish() {
  Block &body = program.getBody().front();
  SmallVector<Operation *> order;
  for (auto *ops : {&weightOps, &kvOps, &bufferOps, &variantOps})
    llvm::append_range(order, *ops);
  for (Operation *op : llvm::reverse(order))
    op->moveBefore(&body, body.begin());
  program.setSymNameAttr(name);
}
