//===- ExecDialect.cpp - Types, operations and registration of the llmir_exec dialect ---------===//

#include "llmir/Dialect/Exec/ExecDialect.h"
#include "llmir/Dialect/Exec/KernelParams.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "quant/activation.h"
#include "quant/quant_layout.h"

using namespace mlir;
using namespace mlir::llmir_exec;
using llmir::PagedKVType;
using llmir::QTensorType;

//===-----------------------------------------------------------------------------------------===//
// Custom syntax
//===-----------------------------------------------------------------------------------------===//

/// "%a, _, %b": operands with gaps.
static ParseResult parsePlaces(OpAsmParser &parser,
                               SmallVectorImpl<OpAsmParser::UnresolvedOperand> &operands,
                               DenseI32ArrayAttr &places) {
  SmallVector<int32_t> positions;
  int32_t position = 0;
  auto parseOne = [&]() -> ParseResult {
    OpAsmParser::UnresolvedOperand operand;
    OptionalParseResult found = parser.parseOptionalOperand(operand);
    if (!found.has_value()) {
      if (parser.parseKeyword("_"))
        return failure();
    } else if (failed(*found)) {
      return failure();
    } else {
      operands.push_back(operand);
      positions.push_back(position);
    }
    ++position;
    return success();
  };
  if (parser.parseCommaSeparatedList(parseOne))
    return failure();
  places = parser.getBuilder().getDenseI32ArrayAttr(positions);
  return success();
}

static void printPlaces(OpAsmPrinter &printer, Operation *, OperandRange operands,
                        DenseI32ArrayAttr places) {
  int32_t position = 0;
  for (auto [place, operand] : llvm::zip(places.asArrayRef(), operands)) {
    for (; position < place; ++position)
      printer << (position ? ", _" : "_");
    printer << (position ? ", " : "") << operand;
    ++position;
  }
}

#include "llmir/Dialect/Exec/ExecDialect.cpp.inc"
#include "llmir/Dialect/Exec/ExecEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "llmir/Dialect/Exec/ExecTypes.cpp.inc"
#define GET_OP_CLASSES
#include "llmir/Dialect/Exec/ExecOps.cpp.inc"

void ExecDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "llmir/Dialect/Exec/ExecTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "llmir/Dialect/Exec/ExecOps.cpp.inc"
      >();
}

//===-----------------------------------------------------------------------------------------===//
// Types
//===-----------------------------------------------------------------------------------------===//

/// What the runtime accepts: rows of 2^28 bytes, with room for the scales of quantized ones.
static constexpr int64_t kMaxColumns = 1 << 25;

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError, Extent,
                                 Format format, int64_t columns, int64_t group) {
  if (columns <= 0 || columns > kMaxColumns)
    return emitError() << "a buffer has from 1 to " << kMaxColumns << " columns, found " << columns;
  if (format == Format::F32 && group != 0)
    return emitError() << "f32 rows have no groups";
  if (format == Format::Q8 && !llmir_group_is_valid(static_cast<uint64_t>(group)))
    return emitError() << "quantized rows have groups of " LLMIR_GROUPS " columns, found " << group;
  if (format == Format::Q8 && columns % group != 0)
    return emitError() << columns << " columns are no multiple of the group of " << group;
  return success();
}

uint32_t BufferType::getRowBytes() const {
  auto columns = static_cast<uint32_t>(getColumns());
  if (getFormat() == Format::Q8)
    return llmir_q8_row_bytes(columns, static_cast<uint32_t>(getGroup()));
  return llmir_align64(columns * 4);
}

//===-----------------------------------------------------------------------------------------===//
// Names
//===-----------------------------------------------------------------------------------------===//

void BufferOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), getName()); }

void KVLayerOp::getAsmResultNames(OpAsmSetValueNameFn setName) { setName(getResult(), "kv"); }

void VariantOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getResult(), stringifyKernel(getKernel()));
}

//===-----------------------------------------------------------------------------------------===//
// Program, variant, return
//===-----------------------------------------------------------------------------------------===//

LogicalResult ProgramOp::verify() {
  int64_t page = getPageTokens(), chunk = getChunkTokens();
  if (page < 16 || page > 256 || page % 16 != 0)
    return emitOpError() << "has pages of a multiple of 16 tokens from 16 to 256, found " << page;
  if (chunk < 1 || chunk > INT32_MAX)
    return emitOpError() << "has chunks of at least one token, found " << chunk;
  ArrayRef<int64_t> outputs = getSlotOutputBytes().value_or(ArrayRef<int64_t>());
  ArrayRef<int64_t> tokens = getSlotTokenBytes().value_or(ArrayRef<int64_t>());
  if (tokens.size() != outputs.size())
    return emitOpError("has slots with and without output rows");
  return success();
}

static LogicalResult verifySlot(ProgramOp program, BufferOp buffer) {
  std::optional<int64_t> slot = buffer.getSlot();
  if (!program.getSlotTokenBytes())
    return slot ? buffer.emitOpError("has a slot in a program without slots") : success();
  ArrayRef<int64_t> bytes = buffer.getType().getExtent() == Extent::Tokens
                                ? *program.getSlotTokenBytes()
                                : *program.getSlotOutputBytes();
  if (!slot || *slot < 0 || *slot >= static_cast<int64_t>(bytes.size()))
    return buffer.emitOpError() << "has no slot among the program's " << bytes.size();
  if (bytes[*slot] < buffer.getType().getRowBytes())
    return buffer.emitOpError() << "has rows of " << buffer.getType().getRowBytes()
                                << " bytes in a slot of " << bytes[*slot];
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  for (Operation &op : getBody().front()) {
    if (!isa<BufferOp, KVLayerOp, VariantOp, DispatchOp, ReturnOp, llmir::WeightOp>(op))
      return op.emitOpError("does not belong in a program");
    if (auto layer = dyn_cast<KVLayerOp>(op))
      if (layer.getType().getPageTokens() != static_cast<int64_t>(getPageTokens()))
        return layer.emitOpError() << "has pages of " << layer.getType().getPageTokens()
                                   << " tokens in a program with " << getPageTokens();
    if (auto buffer = dyn_cast<BufferOp>(op))
      if (failed(verifySlot(*this, buffer)))
        return failure();
  }
  return success();
}

LogicalResult VariantOp::verify() {
  return attrToParams(getKernel(), getParams(), [&] { return emitOpError(); });
}

LogicalResult ReturnOp::verify() {
  BufferType type = getLogits().getType();
  if (type.getExtent() != Extent::Outputs || type.getFormat() != Format::F32)
    return emitOpError() << "expects logits of f32 output rows, found " << type;
  return success();
}

//===-----------------------------------------------------------------------------------------===//
// Dispatch
//===-----------------------------------------------------------------------------------------===//

Value DispatchOp::getOperandAt(unsigned place) {
  for (auto [position, operand] : llvm::zip(getPlaces(), getArguments()))
    if (position == static_cast<int32_t>(place))
      return operand;
  return Value();
}

namespace {

/// Checks the operands of one dispatch against its kernel's parameters.
class DispatchVerifier {
public:
  DispatchVerifier(DispatchOp op, VariantOp variant)
      : op(op), variant(variant), info(getKernelInfo(variant.getKernel())) {}

  LogicalResult verify() {
    if (failed(checkSpaces()))
      return failure();
    switch (variant.getKernel()) {
    case Kernel::Embed:
      return embed(getParams<llmir_embed_params_t>(variant));
    case Kernel::RopeTable:
      return ropeTable(getParams<llmir_rope_table_params_t>(variant));
    case Kernel::Norm:
      return norm(getParams<llmir_norm_params_t>(variant));
    case Kernel::Quantize:
      return quantize(getParams<llmir_quantize_params_t>(variant));
    case Kernel::Linear:
      return linear(getParams<llmir_linear_params_t>(variant));
    case Kernel::QKV:
      return qkv(getParams<llmir_qkv_params_t>(variant));
    case Kernel::Attention:
      return attention(getParams<llmir_attention_params_t>(variant));
    case Kernel::Gate:
      return gate(getParams<llmir_gate_params_t>(variant));
    }
    return failure();
  }

private:
  /// Required operands are there, and each is what the kernel expects in its place.
  LogicalResult checkSpaces() {
    int32_t previous = -1;
    for (int32_t place : op.getPlaces()) {
      if (place <= previous || place >= static_cast<int32_t>(info.operands.size()))
        return op.emitOpError() << "has more operands than kernel " << stringifyKernel(info.kernel);
      previous = place;
    }
    for (auto [place, operand] : llvm::enumerate(info.operands)) {
      Value value = op.getOperandAt(place);
      if (!value && operand.optional)
        continue;
      bool fits =
          value && ((operand.space == LLMIR_OPERAND_BUFFER && isa<BufferType>(value.getType())) ||
                    (operand.space == LLMIR_OPERAND_TENSOR && isa<QTensorType>(value.getType())) ||
                    (operand.space == LLMIR_OPERAND_KV && isa<PagedKVType>(value.getType())));
      if (!fits)
        return op.emitOpError() << "lacks operand '" << operand.name << "' of kernel "
                                << stringifyKernel(info.kernel);
    }
    return success();
  }

  LogicalResult wrong(unsigned place) {
    return op.emitOpError() << "has operand '" << info.operands[place].name << "' of type "
                            << op.getOperandAt(place).getType() << ", which does not fit "
                            << stringifyKernel(info.kernel) << " " << variant.getParams();
  }

  LogicalResult buffer(unsigned place, Extent extent, Format format, uint32_t columns,
                       uint32_t group = 0) {
    auto type = cast<BufferType>(op.getOperandAt(place).getType());
    return type == BufferType::get(op.getContext(), extent, format, columns, group) ? success()
                                                                                    : wrong(place);
  }

  /// Rows of f32 that begin `stride` elements apart; how many columns they hold is the caller's
  /// business.
  LogicalResult strided(unsigned place, Extent extent, uint32_t stride) {
    auto type = cast<BufferType>(op.getOperandAt(place).getType());
    return type.getExtent() == extent && type.getFormat() == Format::F32 &&
                   type.getRowBytes() == uint64_t(stride) * 4
               ? success()
               : wrong(place);
  }

  uint32_t columnsOf(unsigned place) {
    return cast<BufferType>(op.getOperandAt(place).getType()).getColumns();
  }

  LogicalResult vector(unsigned place, uint32_t size) {
    auto type = cast<QTensorType>(op.getOperandAt(place).getType());
    return type == QTensorType::get(op.getContext(), {size}, llmir::Layout::F32, 0) ? success()
                                                                                    : wrong(place);
  }

  LogicalResult matrix(unsigned place, uint32_t rows, uint32_t columns, uint32_t layout,
                       uint32_t group) {
    auto type = cast<QTensorType>(op.getOperandAt(place).getType());
    bool fits = type.getRank() == 2 && type.getRows() == rows && type.getColumns() == columns &&
                static_cast<uint32_t>(type.getLayout()) == layout && type.getGroup() == group;
    return fits && type.isPacked() ? success() : wrong(place);
  }

  /// A flag and its operand go together.
  LogicalResult paired(bool flag, unsigned place) {
    if (flag == static_cast<bool>(op.getOperandAt(place)))
      return success();
    return op.emitOpError() << (flag ? "lacks" : "has") << " operand '" << info.operands[place].name
                            << "' against the flags of " << stringifyKernel(info.kernel) << " "
                            << variant.getParams();
  }

  LogicalResult embed(const llmir_embed_params_t &p) {
    return success(succeeded(matrix(0, p.vocab, p.dim, p.layout, p.group)) &&
                   succeeded(buffer(1, Extent::Tokens, Format::F32, p.dim)));
  }

  LogicalResult ropeTable(const llmir_rope_table_params_t &p) {
    return success(succeeded(vector(0, p.pair_count)) &&
                   succeeded(buffer(1, Extent::Tokens, Format::F32, 2 * p.pair_count)));
  }

  LogicalResult norm(const llmir_norm_params_t &p) {
    bool addDelta = p.flags & LLMIR_NORM_ADD_DELTA, deltaNorm = p.flags & LLMIR_NORM_DELTA_NORM;
    bool output = !(p.flags & LLMIR_NORM_NO_OUTPUT);
    if (failed(buffer(0, Extent::Tokens, Format::F32, p.dim)) || failed(paired(addDelta, 1)) ||
        failed(paired(deltaNorm, 2)) || failed(paired(output, 3)) || failed(paired(output, 4)))
      return failure();
    if ((addDelta && failed(buffer(1, Extent::Tokens, Format::F32, p.dim))) ||
        (deltaNorm && failed(vector(2, p.dim))))
      return failure();
    if (!output)
      return success();
    return success(succeeded(vector(3, p.dim)) &&
                   succeeded(buffer(4, p.gather ? Extent::Outputs : Extent::Tokens,
                                    static_cast<Format>(p.out_format),
                                    rowColumns(p.dim, p.flags & LLMIR_NORM_WIDE), p.group)));
  }

  /// Columns of quantized rows; wide ones have two for each value.
  static uint32_t rowColumns(uint32_t columns, bool wide) { return wide ? 2 * columns : columns; }

  LogicalResult quantize(const llmir_quantize_params_t &p) {
    auto extent = static_cast<Extent>(p.extent);
    return success(succeeded(buffer(0, extent, Format::F32, p.dim)) &&
                   succeeded(buffer(1, extent, Format::Q8, rowColumns(p.dim, p.wide), p.group)));
  }

  LogicalResult linear(const llmir_linear_params_t &p) {
    auto extent = static_cast<Extent>(p.extent);
    Format format = llmir_layout_is_integer(p.layout) ? Format::Q8 : Format::F32;
    uint32_t weightRows = p.gate ? 2 * 16 * llmir_panel_count(p.rows) : p.rows;
    uint32_t columns = rowColumns(p.columns, p.flags & LLMIR_LINEAR_WIDE);
    if (failed(buffer(0, extent, format, columns, p.group)) ||
        failed(matrix(1, weightRows, p.columns, p.layout, p.group)) ||
        failed(paired(p.flags & LLMIR_LINEAR_BIAS, 2)) ||
        (p.flags & LLMIR_LINEAR_BIAS && failed(vector(2, p.rows))) ||
        failed(strided(3, extent, p.out_stride)))
      return failure();
    uint32_t room = columnsOf(3);
    if (p.out_column % 16 != 0 || p.out_column > room || p.rows > room - p.out_column)
      return op.emitOpError() << "writes columns " << p.out_column << " to "
                              << uint64_t(p.out_column) + p.rows << " of " << room
                              << "; the first must be a multiple of 16";
    return success();
  }

  LogicalResult qkv(const llmir_qkv_params_t &p) {
    bool norms = p.flags & LLMIR_QKV_NORM, rope = p.flags & LLMIR_QKV_ROPE;
    if (failed(strided(0, Extent::Tokens, p.stride)) || failed(paired(rope, 1)) ||
        failed(paired(norms, 2)) || failed(paired(norms, 3)) ||
        (rope && failed(buffer(1, Extent::Tokens, Format::F32, p.rope_dim))) ||
        (norms && (failed(vector(2, p.head_dim)) || failed(vector(3, p.head_dim)))))
      return failure();
    if ((uint64_t(p.q_heads) + 2 * uint64_t(p.kv_heads)) * p.head_dim > columnsOf(0))
      return op.emitOpError("has more heads than columns");
    return cache(4, p.kv_heads, p.head_dim);
  }

  LogicalResult attention(const llmir_attention_params_t &p) {
    if (failed(strided(0, Extent::Tokens, p.q_stride)) ||
        failed(strided(2, Extent::Tokens, p.out_stride)))
      return failure();
    if (p.kv_heads == 0 || p.q_heads % p.kv_heads != 0 ||
        uint64_t(p.q_heads) * p.head_dim != columnsOf(2) || columnsOf(2) > columnsOf(0))
      return op.emitOpError("has heads that do not fit the columns");
    return cache(1, p.kv_heads, p.head_dim);
  }

  LogicalResult gate(const llmir_gate_params_t &p) {
    return success(succeeded(buffer(0, Extent::Tokens, Format::F32, 2 * p.dim)) &&
                   succeeded(buffer(1, Extent::Tokens, Format::F32, p.dim)));
  }

  LogicalResult cache(unsigned place, uint32_t heads, uint32_t headDim) {
    auto type = cast<PagedKVType>(op.getOperandAt(place).getType());
    return type.getKvHeads() == heads && type.getHeadDim() == headDim ? success() : wrong(place);
  }

  DispatchOp op;
  VariantOp variant;
  const KernelInfo &info;
};

} // namespace

LogicalResult DispatchOp::verify() {
  if (getPlaces().size() != getArguments().size())
    return emitOpError("expects one place for each operand");
  auto variant = getVariant().getDefiningOp<VariantOp>();
  if (!variant)
    return emitOpError("expects the result of llmir_exec.variant");
  // A broken variant reports itself.
  if (failed(variant.verify()))
    return failure();
  return DispatchVerifier(*this, variant).verify();
}
