//===- KernelParams.cpp - The kernels' parameter structs as attributes ------------------------===//

#include "llmir/Dialect/Exec/KernelParams.h"

#include "mlir/IR/Builders.h"

#include <cstddef>
#include <cstring>

using namespace mlir;
using namespace mlir::llmir_exec;

//===-----------------------------------------------------------------------------------------===//
// The table
//===-----------------------------------------------------------------------------------------===//

static constexpr auto kBuffer = LLMIR_OPERAND_BUFFER;
static constexpr auto kTensor = LLMIR_OPERAND_TENSOR;
static constexpr auto kKV = LLMIR_OPERAND_KV;
static constexpr auto kRead = OperandAccess::Read;
static constexpr auto kWrite = OperandAccess::Write;
static constexpr auto kReadWrite = OperandAccess::ReadWrite;

#define FIELD(params, name, kind) {#name, offsetof(params, name), FieldKind::kind}

static constexpr ParamField kEmbedFields[] = {
    FIELD(llmir_embed_params_t, dim, U32), FIELD(llmir_embed_params_t, vocab, U32),
    FIELD(llmir_embed_params_t, layout, Layout), FIELD(llmir_embed_params_t, group, U32),
    FIELD(llmir_embed_params_t, scale, F32)};
static constexpr KernelOperand kEmbedOperands[] = {{"weights", kTensor, kRead, false},
                                                   {"x", kBuffer, kWrite, false}};

static constexpr ParamField kRopeTableFields[] = {
    FIELD(llmir_rope_table_params_t, pair_count, U32),
    FIELD(llmir_rope_table_params_t, attention_factor, F32)};
static constexpr KernelOperand kRopeTableOperands[] = {{"frequency", kTensor, kRead, false},
                                                       {"table", kBuffer, kWrite, false}};

static constexpr ParamField kNormFields[] = {
    FIELD(llmir_norm_params_t, dim, U32),           FIELD(llmir_norm_params_t, flags, NormFlags),
    FIELD(llmir_norm_params_t, epsilon, F32),       FIELD(llmir_norm_params_t, delta_epsilon, F32),
    FIELD(llmir_norm_params_t, out_format, Format), FIELD(llmir_norm_params_t, group, U32),
    FIELD(llmir_norm_params_t, gather, U32)};
static constexpr KernelOperand kNormOperands[] = {{"x", kBuffer, kReadWrite, false},
                                                  {"delta", kBuffer, kRead, true},
                                                  {"delta_weight", kTensor, kRead, true},
                                                  {"weight", kTensor, kRead, true},
                                                  {"out", kBuffer, kWrite, true}};

static constexpr ParamField kQuantizeFields[] = {FIELD(llmir_quantize_params_t, dim, U32),
                                                 FIELD(llmir_quantize_params_t, group, U32),
                                                 FIELD(llmir_quantize_params_t, extent, Extent),
                                                 FIELD(llmir_quantize_params_t, wide, U32)};
static constexpr KernelOperand kInOutOperands[] = {{"in", kBuffer, kRead, false},
                                                   {"out", kBuffer, kWrite, false}};

static constexpr ParamField kLinearFields[] = {
    FIELD(llmir_linear_params_t, rows, U32),          FIELD(llmir_linear_params_t, columns, U32),
    FIELD(llmir_linear_params_t, layout, Layout),     FIELD(llmir_linear_params_t, group, U32),
    FIELD(llmir_linear_params_t, flags, LinearFlags), FIELD(llmir_linear_params_t, gate, Gate),
    FIELD(llmir_linear_params_t, extent, Extent),     FIELD(llmir_linear_params_t, out_column, U32),
    FIELD(llmir_linear_params_t, out_stride, U32),    FIELD(llmir_linear_params_t, soft_cap, F32)};
static constexpr KernelOperand kLinearOperands[] = {{"activations", kBuffer, kRead, false},
                                                    {"weights", kTensor, kRead, false},
                                                    {"bias", kTensor, kRead, true},
                                                    {"out", kBuffer, kReadWrite, false}};

static constexpr ParamField kQkvFields[] = {
    FIELD(llmir_qkv_params_t, q_heads, U32),     FIELD(llmir_qkv_params_t, kv_heads, U32),
    FIELD(llmir_qkv_params_t, head_dim, U32),    FIELD(llmir_qkv_params_t, rope_dim, U32),
    FIELD(llmir_qkv_params_t, stride, U32),      FIELD(llmir_qkv_params_t, flags, QkvFlags),
    FIELD(llmir_qkv_params_t, norm_epsilon, F32)};
static constexpr KernelOperand kQkvOperands[] = {{"qkv", kBuffer, kReadWrite, false},
                                                 {"rope_table", kBuffer, kRead, true},
                                                 {"q_norm", kTensor, kRead, true},
                                                 {"k_norm", kTensor, kRead, true},
                                                 {"kv_layer", kKV, kWrite, false}};

static constexpr ParamField kAttentionFields[] = {FIELD(llmir_attention_params_t, q_heads, U32),
                                                  FIELD(llmir_attention_params_t, kv_heads, U32),
                                                  FIELD(llmir_attention_params_t, head_dim, U32),
                                                  FIELD(llmir_attention_params_t, window, U32),
                                                  FIELD(llmir_attention_params_t, q_stride, U32),
                                                  FIELD(llmir_attention_params_t, out_stride, U32),
                                                  FIELD(llmir_attention_params_t, scale, F32),
                                                  FIELD(llmir_attention_params_t, soft_cap, F32)};
static constexpr KernelOperand kAttentionOperands[] = {{"qkv", kBuffer, kRead, false},
                                                       {"kv_layer", kKV, kRead, false},
                                                       {"out", kBuffer, kWrite, false}};

static constexpr ParamField kGateFields[] = {FIELD(llmir_gate_params_t, dim, U32),
                                             FIELD(llmir_gate_params_t, gate, Gate)};

#undef FIELD

const KernelInfo &llmir_exec::getKernelInfo(Kernel kernel) {
  static const KernelInfo infos[] = {
      {Kernel::Embed, sizeof(llmir_embed_params_t), kEmbedFields, kEmbedOperands},
      {Kernel::RopeTable, sizeof(llmir_rope_table_params_t), kRopeTableFields, kRopeTableOperands},
      {Kernel::Norm, sizeof(llmir_norm_params_t), kNormFields, kNormOperands},
      {Kernel::Quantize, sizeof(llmir_quantize_params_t), kQuantizeFields, kInOutOperands},
      {Kernel::Linear, sizeof(llmir_linear_params_t), kLinearFields, kLinearOperands},
      {Kernel::QKV, sizeof(llmir_qkv_params_t), kQkvFields, kQkvOperands},
      {Kernel::Attention, sizeof(llmir_attention_params_t), kAttentionFields, kAttentionOperands},
      {Kernel::Gate, sizeof(llmir_gate_params_t), kGateFields, kInOutOperands},
  };
  static_assert(std::size(infos) + 1 == LLMIR_KERNEL_COUNT, "one entry per kernel");
  return infos[static_cast<uint32_t>(kernel) - 1];
}

//===-----------------------------------------------------------------------------------------===//
// Words
//===-----------------------------------------------------------------------------------------===//

/// The words of flag fields; bit i is word i.
static ArrayRef<StringLiteral> flagWords(FieldKind kind) {
  static constexpr StringLiteral linear[] = {"bias", "add", "wide"};
  static constexpr StringLiteral norm[] = {"add_delta", "delta_norm", "no_output",
                                           "wide"};
  static constexpr StringLiteral qkv[] = {"norm", "rope"};
  switch (kind) {
  case FieldKind::LinearFlags:
    return linear;
  case FieldKind::NormFlags:
    return norm;
  case FieldKind::QkvFlags:
    return qkv;
  default:
    return {};
  }
}

static StringRef wordOf(FieldKind kind, uint32_t value) {
  switch (kind) {
  case FieldKind::Layout:
    return llmir::stringifyLayout(static_cast<llmir::Layout>(value));
  case FieldKind::Gate:
    return llmir::stringifyGateKind(static_cast<llmir::GateKind>(value));
  case FieldKind::Extent:
    return stringifyExtent(static_cast<Extent>(value));
  default:
    return stringifyFormat(static_cast<Format>(value));
  }
}

static std::optional<uint32_t> valueOf(FieldKind kind, StringRef word) {
  auto number = [](auto symbol) -> std::optional<uint32_t> {
    if (!symbol)
      return std::nullopt;
    return static_cast<uint32_t>(*symbol);
  };
  switch (kind) {
  case FieldKind::Layout:
    return number(llmir::symbolizeLayout(word));
  case FieldKind::Gate:
    return number(llmir::symbolizeGateKind(word));
  case FieldKind::Extent:
    return number(symbolizeExtent(word));
  default:
    return number(symbolizeFormat(word));
  }
}

//===-----------------------------------------------------------------------------------------===//
// Both directions
//===-----------------------------------------------------------------------------------------===//

static Attribute fieldToAttr(Builder &builder, FieldKind kind, uint32_t bits) {
  switch (kind) {
  case FieldKind::U32:
    return builder.getI32IntegerAttr(static_cast<int32_t>(bits));
  case FieldKind::F32: {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return builder.getF32FloatAttr(value);
  }
  case FieldKind::LinearFlags:
  case FieldKind::NormFlags:
  case FieldKind::QkvFlags: {
    SmallVector<StringRef> words;
    for (auto [bit, word] : llvm::enumerate(flagWords(kind)))
      if (bits >> bit & 1)
        words.push_back(word);
    return builder.getStrArrayAttr(words);
  }
  default:
    return builder.getStringAttr(wordOf(kind, bits));
  }
}

DictionaryAttr llmir_exec::paramsToAttr(MLIRContext *context, Kernel kernel, const void *params) {
  Builder builder(context);
  NamedAttrList fields;
  for (const ParamField &field : getKernelInfo(kernel).fields) {
    uint32_t bits;
    std::memcpy(&bits, static_cast<const char *>(params) + field.offset, sizeof(bits));
    if (bits != 0)
      fields.append(field.name, fieldToAttr(builder, field.kind, bits));
  }
  return fields.getDictionary(context);
}

/// The bits of a field, or nothing if the attribute does not fit it.
static std::optional<uint32_t> attrToField(FieldKind kind, Attribute attr) {
  if (kind == FieldKind::U32) {
    auto integer = dyn_cast<IntegerAttr>(attr);
    if (!integer || !integer.getType().isInteger(32))
      return std::nullopt;
    return static_cast<uint32_t>(integer.getValue().getZExtValue());
  }
  if (kind == FieldKind::F32) {
    auto number = dyn_cast<FloatAttr>(attr);
    if (!number || !number.getType().isF32())
      return std::nullopt;
    return static_cast<uint32_t>(number.getValue().bitcastToAPInt().getZExtValue());
  }
  ArrayRef<StringLiteral> words = flagWords(kind);
  if (words.empty()) {
    auto word = dyn_cast<StringAttr>(attr);
    return word ? valueOf(kind, word.getValue()) : std::nullopt;
  }
  auto list = dyn_cast<ArrayAttr>(attr);
  if (!list)
    return std::nullopt;
  uint32_t bits = 0;
  for (Attribute element : list) {
    auto word = dyn_cast<StringAttr>(element);
    const auto *found = word ? llvm::find(words, word.getValue()) : words.end();
    if (found == words.end())
      return std::nullopt;
    bits |= 1u << (found - words.begin());
  }
  return bits;
}

FailureOr<std::vector<uint8_t>>
llmir_exec::attrToParams(Kernel kernel, DictionaryAttr params,
                         function_ref<InFlightDiagnostic()> emitError) {
  const KernelInfo &info = getKernelInfo(kernel);
  std::vector<uint8_t> bytes(info.paramsBytes);
  for (NamedAttribute entry : params) {
    StringRef name = entry.getName().getValue();
    const auto *field =
        llvm::find_if(info.fields, [&](const ParamField &f) { return name == f.name; });
    if (field == info.fields.end()) {
      emitError() << "has no parameter '" << name << "' in kernel " << stringifyKernel(kernel);
      return failure();
    }
    std::optional<uint32_t> bits = attrToField(field->kind, entry.getValue());
    if (!bits) {
      emitError() << "has a parameter '" << name << "' that cannot be " << entry.getValue();
      return failure();
    }
    std::memcpy(bytes.data() + field->offset, &*bits, sizeof(*bits));
  }
  return bytes;
}
