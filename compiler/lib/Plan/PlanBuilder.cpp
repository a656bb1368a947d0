//===- PlanBuilder.cpp - From a program to the bytes of its PLAN section ----------------------===//
//
// One table after the other, each aligned to 8 bytes, all padding zero: equal programs give equal
// bytes, and a CODE section can name its plan by hash.
//
//===-----------------------------------------------------------------------------------------===//

#include "llmir/Plan/PlanBuilder.h"

#include "llmir/Dialect/Exec/KernelParams.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

namespace exec = mlir::llmir_exec;
using mlir::Value;
using mlir::llmir::PagedKVType;
using mlir::llmir::TensorOp;
using mlir::llmir::WeightOp;

namespace llmir::compiler {
namespace {

/// Bytes with tables aligned to 8. The format is little-endian, like every host that llmirc runs
/// on.
class ByteWriter {
public:
  template <typename Record> void append(const Record &record) { append(&record, sizeof(Record)); }

  void append(const void *data, size_t size) {
    const auto *begin = static_cast<const uint8_t *>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  }

  /// Where the next table begins.
  uint32_t align() {
    bytes.resize(llvm::alignTo(bytes.size(), 8));
    return static_cast<uint32_t>(bytes.size());
  }

  std::vector<uint8_t> bytes;
};

/// Numbers of everything that records refer to.
struct Numbering {
  explicit Numbering(exec::ProgramOp program) {
    uint32_t tensors = 0;
    for (auto tensor : program->getParentOfType<mlir::ModuleOp>().getOps<TensorOp>())
      tensorNumbers[tensor.getSymNameAttr()] = tensors++;
    tensorCount = tensors;
    mlir::Block &body = program.getBody().front();
    for (mlir::Operation &op : body) {
      if (auto variant = mlir::dyn_cast<exec::VariantOp>(op))
        add(variants, variant);
      else if (auto buffer = mlir::dyn_cast<exec::BufferOp>(op))
        add(buffers, buffer);
      else if (auto layer = mlir::dyn_cast<exec::KVLayerOp>(op))
        add(layers, layer);
      else if (auto dispatch = mlir::dyn_cast<exec::DispatchOp>(op))
        dispatches.push_back(dispatch);
    }
  }

  template <typename Op> void add(std::vector<Op> &list, Op op) {
    numbers[op.getResult()] = static_cast<uint32_t>(list.size());
    list.push_back(op);
  }

  llmir_plan_operand_t operand(Value value) {
    if (!value)
      return {LLMIR_OPERAND_NONE, 0};
    if (auto weight = value.getDefiningOp<WeightOp>())
      return {LLMIR_OPERAND_TENSOR, tensorNumbers.lookup(weight.getNameAttr().getAttr())};
    uint32_t space =
        mlir::isa<PagedKVType>(value.getType()) ? LLMIR_OPERAND_KV : LLMIR_OPERAND_BUFFER;
    return {space, numbers.lookup(value)};
  }

  std::vector<exec::VariantOp> variants;
  std::vector<exec::BufferOp> buffers;
  std::vector<exec::KVLayerOp> layers;
  std::vector<exec::DispatchOp> dispatches;
  llvm::DenseMap<Value, uint32_t> numbers; ///< each kind counts for itself
  llvm::DenseMap<mlir::Attribute, uint32_t> tensorNumbers;
  uint32_t tensorCount = 0;
};

KernelVariant toVariant(exec::VariantOp op) {
  mlir::FailureOr<std::vector<uint8_t>> params =
      exec::attrToParams(op.getKernel(), op.getParams(), [&] { return op.emitOpError(); });
  KernelVariant variant;
  variant.kernel = static_cast<uint32_t>(op.getKernel());
  if (mlir::succeeded(params))
    variant.params = std::move(*params);
  return variant;
}

void writeVariants(ByteWriter &writer, llmir_plan_record_t &record, const Numbering &numbering) {
  record.variant_count = static_cast<uint32_t>(numbering.variants.size());
  record.variant_offset = writer.align();
  // The parameters follow the table.
  auto offset = static_cast<uint32_t>(llvm::alignTo(
      record.variant_offset + record.variant_count * sizeof(llmir_plan_variant_t), 8));
  std::vector<KernelVariant> variants;
  for (exec::VariantOp op : numbering.variants) {
    variants.push_back(toVariant(op));
    llmir_plan_variant_t entry = {};
    entry.kernel = variants.back().kernel;
    entry.params = {offset, static_cast<uint32_t>(variants.back().params.size())};
    writer.append(entry);
    offset = static_cast<uint32_t>(llvm::alignTo(offset + entry.params.bytes, 8));
  }
  for (const KernelVariant &variant : variants) {
    writer.align();
    writer.append(variant.params.data(), variant.params.size());
  }
}

void writeDispatches(ByteWriter &writer, llmir_plan_record_t &record, Numbering &numbering) {
  record.dispatch_count = static_cast<uint32_t>(numbering.dispatches.size());
  record.dispatch_offset = writer.align();
  for (exec::DispatchOp op : numbering.dispatches) {
    llmir_plan_dispatch_t entry = {};
    entry.variant = numbering.numbers.lookup(op.getVariant());
    entry.layer = op.getLayer() ? static_cast<uint32_t>(*op.getLayer()) : UINT32_MAX;
    for (unsigned place = 0; place < LLMIR_PLAN_MAX_OPERANDS; ++place)
      entry.operands[place] = numbering.operand(op.getOperandAt(place));
    writer.append(entry);
  }
}

/// Buffers, then the slots they name.
void writeBuffers(ByteWriter &writer, llmir_plan_record_t &record, exec::ProgramOp program,
                  const Numbering &numbering) {
  record.buffer_count = static_cast<uint32_t>(numbering.buffers.size());
  record.buffer_offset = writer.align();
  for (exec::BufferOp op : numbering.buffers) {
    exec::BufferType type = op.getType();
    llmir_plan_buffer_t entry = {};
    entry.slot = static_cast<uint32_t>(op.getSlot().value_or(0));
    entry.extent = static_cast<uint32_t>(type.getExtent());
    entry.format = static_cast<uint32_t>(type.getFormat());
    entry.columns = static_cast<uint32_t>(type.getColumns());
    entry.group = static_cast<uint32_t>(type.getGroup());
    entry.row_bytes = type.getRowBytes();
    writer.append(entry);
  }
  auto tokenBytes = program.getSlotTokenBytes().value_or(llvm::ArrayRef<int64_t>());
  auto outputBytes = program.getSlotOutputBytes().value_or(llvm::ArrayRef<int64_t>());
  record.slot_count = static_cast<uint32_t>(tokenBytes.size());
  record.slot_offset = writer.align();
  for (auto [token, output] : llvm::zip(tokenBytes, outputBytes))
    writer.append(llmir_plan_slot_t{static_cast<uint32_t>(token), static_cast<uint32_t>(output)});
}

/// Layers lie in a page one after the other, keys before values.
void writeLayers(ByteWriter &writer, llmir_plan_record_t &record, const Numbering &numbering) {
  record.kv_layer_count = static_cast<uint32_t>(numbering.layers.size());
  record.kv_layer_offset = writer.align();
  uint64_t elements = 0;
  for (exec::KVLayerOp op : numbering.layers) {
    PagedKVType type = op.getType();
    llmir_plan_kv_layer_t entry = {};
    entry.kv_heads = static_cast<uint32_t>(type.getKvHeads());
    entry.head_dim = static_cast<uint32_t>(type.getHeadDim());
    entry.window = static_cast<uint32_t>(type.getWindow());
    entry.element_offset = elements;
    elements += 2 * static_cast<uint64_t>(type.getKvHeads() * type.getHeadDim()) *
                record.page_tokens; // keys and values
    writer.append(entry);
  }
}

} // namespace

// The record comes first in the section and last in time: it holds the offsets of the tables.
std::vector<uint8_t> serializePlan(exec::ProgramOp program) {
  Numbering numbering(program);
  llmir_plan_record_t record = {};
  record.record_bytes = sizeof(record);
  record.kernel_abi_version = LLMIR_KERNEL_ABI_VERSION;
  record.page_tokens = static_cast<uint32_t>(program.getPageTokens());
  record.chunk_tokens = static_cast<uint32_t>(program.getChunkTokens());
  record.tensor_count = numbering.tensorCount;
  auto result = mlir::cast<exec::ReturnOp>(program.getBody().front().back());
  record.logits_buffer = numbering.numbers.lookup(result.getLogits());

  ByteWriter writer;
  writer.append(record);
  writeVariants(writer, record, numbering);
  writeDispatches(writer, record, numbering);
  writeBuffers(writer, record, program, numbering);
  writeLayers(writer, record, numbering);
  writer.align();
  std::memcpy(writer.bytes.data(), &record, sizeof(record));
  return std::move(writer.bytes);
}

static TensorHow toHow(mlir::llmir::TensorHow how) {
  switch (how) {
  case mlir::llmir::TensorHow::Constant:
    return TensorHow::Constant;
  case mlir::llmir::TensorHow::Plain:
    return TensorHow::Plain;
  case mlir::llmir::TensorHow::ConcatRows:
    return TensorHow::ConcatRows;
  case mlir::llmir::TensorHow::InterleavePanels:
    return TensorHow::InterleavePanels;
  }
  return TensorHow::Plain;
}

std::vector<TensorRecipe> tensorRecipes(mlir::ModuleOp module) {
  std::vector<TensorRecipe> recipes;
  for (auto op : module.getOps<TensorOp>()) {
    mlir::llmir::QTensorType type = op.getTensorType();
    TensorRecipe recipe;
    recipe.name = op.getSymName().str();
    recipe.layout = static_cast<uint32_t>(type.getLayout());
    recipe.group = static_cast<uint32_t>(type.getGroup());
    for (int64_t dimension : type.getShape())
      recipe.shape.push_back(static_cast<uint32_t>(dimension));
    recipe.how = toHow(op.getHow());
    for (mlir::llmir::PartAttr part : op.getPartList())
      recipe.parts.push_back({part.getSource().str(), static_cast<uint32_t>(part.getRows()),
                              static_cast<uint32_t>(part.getHeadDim()),
                              static_cast<uint32_t>(part.getRopeDim())});
    if (auto values = mlir::dyn_cast_or_null<mlir::DenseElementsAttr>(op.getValueAttr()))
      recipe.constant.assign(values.value_begin<float>(), values.value_end<float>());
    recipes.push_back(std::move(recipe));
  }
  return recipes;
}

std::vector<KernelVariant> kernelVariants(exec::ProgramOp program) {
  std::vector<KernelVariant> variants;
  for (auto op : program.getBody().front().getOps<exec::VariantOp>())
    variants.push_back(toVariant(op));
  return variants;
}

} // namespace llmir::compiler
