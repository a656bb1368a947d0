//===- ModelBuilder.cpp - From an imported model to the llmir dialect -------------------------===//
//
// One decoder for all architectures: the table in Architecture.cpp and the numbers of ModelConfig
// say which optional parts a layer has. Tensors are looked up by the names of the GGUF convention;
// one that is missing, misshapen or left over is an error.
//
//===-----------------------------------------------------------------------------------------===//

#include "llmir/Build/ModelBuilder.h"
#include "Architecture.h"
#include "llmir/Dialect/LLMIR/LLMIRDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>
#include <tuple>

namespace dialect = mlir::llmir;
using mlir::Value;
using mlir::ValueRange;

namespace llmir::compiler {
namespace {

dialect::Layout layoutOf(SourceType type) {
  switch (type) {
  case SourceType::F32:
    return dialect::Layout::F32;
  case SourceType::F16:
    return dialect::Layout::F16;
  case SourceType::BF16:
    return dialect::Layout::BF16;
  default:
    // Both enumerations list the block encodings from Q4_0 to Q6_K in the same order.
    return static_cast<dialect::Layout>(static_cast<int>(dialect::Layout::Q4_0) +
                                        static_cast<int>(type) -
                                        static_cast<int>(SourceType::Q4_0));
  }
}
static_assert(static_cast<int>(dialect::Layout::Q6_K) - static_cast<int>(dialect::Layout::Q4_0) ==
                  static_cast<int>(SourceType::Q6_K) - static_cast<int>(SourceType::Q4_0),
              "the encodings of both enumerations");

class ModelBuilder {
public:
  ModelBuilder(mlir::MLIRContext &context, const ImportedModel &model, const BuildOptions &options)
      : builder(&context), model(model), config(model.config), options(options) {}

  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  mlir::LogicalResult checkConfig();
  mlir::func::FuncOp createFunction();
  void buildBody(mlir::func::FuncOp function);
  Value buildLayer(int64_t layer, Value x);
  Value buildAttention(Value x);
  Value buildFeedForward(Value x);
  Value buildRopeTable(bool windowLayer);
  mlir::LogicalResult checkUnused();

  Value weight(const std::string &name, std::vector<int64_t> shape);
  Value optionalWeight(Presence presence, const std::string &name, std::vector<int64_t> shape);
  Value constant(const std::string &name, const std::vector<float> &values);
  Value linear(Value x, const std::string &name, int64_t rows, Presence bias);
  Value norm(Value x, const std::string &name, int64_t size);
  void error(const llvm::Twine &message);

  bool isWindowLayer(int64_t layer) const {
    return config.window != 0 && static_cast<size_t>(layer) < config.layerIsWindow.size() &&
           config.layerIsWindow[layer];
  }
  std::string layerName(llvm::StringRef part) const { return (prefix + part).str(); }
  mlir::Location location() { return loc; }
  mlir::RankedTensorType rows(int64_t columns) {
    return mlir::RankedTensorType::get({mlir::ShapedType::kDynamic, columns}, builder.getF32Type());
  }
  mlir::FloatAttr f32(double value) { return builder.getF32FloatAttr(static_cast<float>(value)); }

  mlir::OpBuilder builder;
  const ImportedModel &model;
  const ModelConfig &config;
  const BuildOptions &options;
  const Architecture *architecture = nullptr;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::Operation *firstFunction = nullptr; ///< tensors stand before it
  mlir::Location loc = builder.getUnknownLoc();
  std::string prefix; ///< of the names of the layer being built: "blk.3."
  int64_t layerIndex = 0;
  mlir::Block *body = nullptr;
  Value tables[2]; ///< rope tables: of global and of window layers
  std::vector<Value> caches;
  llvm::StringSet<> used;
  bool failed = false;
};

void ModelBuilder::error(const llvm::Twine &message) {
  // One error is enough: what follows it is often its consequence.
  if (!failed)
    mlir::emitError(builder.getUnknownLoc()) << message.str();
  failed = true;
}

//===-----------------------------------------------------------------------------------------===//
// Weights
//===-----------------------------------------------------------------------------------------===//

std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text = "[";
  llvm::raw_string_ostream stream(text);
  llvm::interleaveComma(shape, stream);
  return text + "]";
}

/// The use of a tensor of the file, which is defined on first use and must have this shape.
Value ModelBuilder::weight(const std::string &name, std::vector<int64_t> shape) {
  auto found = model.tensors.find(name);
  if (found == model.tensors.end()) {
    error("tensor '" + name + "' is missing; architecture '" + config.architecture +
          "' has it with shape " + shapeText(shape));
    return Value();
  }
  const SourceTensor &source = found->second;
  if (source.shape != shape) {
    error("tensor '" + name + "' has shape " + shapeText(source.shape) + ", expected " +
          shapeText(shape));
    return Value();
  }
  auto type = dialect::QTensorType::get(builder.getContext(), shape, layoutOf(source.type), 0);
  if (used.insert(name).second) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(firstFunction);
    auto part = dialect::PartAttr::get(builder.getContext(), builder.getStringAttr(name),
                                       shape.front(), 0, 0);
    builder.create<dialect::TensorOp>(location(), name, type, dialect::TensorHow::Plain,
                                      builder.getArrayAttr(part), mlir::ElementsAttr());
  }
  return builder.create<dialect::WeightOp>(location(), type, name);
}

Value ModelBuilder::optionalWeight(Presence presence, const std::string &name,
                                   std::vector<int64_t> shape) {
  if (presence == Presence::Never ||
      (presence == Presence::Optional && model.tensors.count(name) == 0))
    return Value();
  return weight(name, std::move(shape));
}

/// A tensor that the compiler computes.
Value ModelBuilder::constant(const std::string &name, const std::vector<float> &values) {
  auto size = static_cast<int64_t>(values.size());
  auto type = dialect::QTensorType::get(builder.getContext(), {size}, dialect::Layout::F32, 0);
  {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(firstFunction);
    auto value = mlir::DenseElementsAttr::get(
        mlir::RankedTensorType::get({size}, builder.getF32Type()), llvm::ArrayRef(values));
    builder.create<dialect::TensorOp>(location(), name, type, dialect::TensorHow::Constant,
                                      mlir::ArrayAttr(), value);
  }
  return builder.create<dialect::WeightOp>(location(), type, name);
}

//===-----------------------------------------------------------------------------------------===//
// Parts of a layer
//===-----------------------------------------------------------------------------------------===//

Value ModelBuilder::linear(Value x, const std::string &name, int64_t outputs, Presence hasBias) {
  int64_t inputs = mlir::cast<mlir::RankedTensorType>(x.getType()).getDimSize(1);
  Value matrix = weight(name + ".weight", {outputs, inputs});
  Value bias = optionalWeight(hasBias, name + ".bias", {outputs});
  if (failed)
    return Value();
  return builder.create<dialect::LinearOp>(location(), rows(outputs), x, matrix, bias);
}

Value ModelBuilder::norm(Value x, const std::string &name, int64_t size) {
  Value scale = weight(name, {size});
  if (failed)
    return Value();
  return builder.create<dialect::RmsNormOp>(location(), x, scale, f32(config.normEpsilon));
}

/// Projections, head norms, rotation, cache and attention; the caller has normed `x`.
Value ModelBuilder::buildAttention(Value x) {
  const int64_t headDim = config.headDim;
  const Presence bias = architecture->qkvBias;
  Value query = linear(x, layerName("attn_q"), config.qHeadCount * headDim, bias);
  Value key = failed ? Value() : linear(x, layerName("attn_k"), config.kvHeadCount * headDim, bias);
  Value value =
      failed ? Value() : linear(x, layerName("attn_v"), config.kvHeadCount * headDim, bias);
  if (!failed && architecture->headNorms == Presence::Always) {
    query = norm(query, layerName("attn_q_norm.weight"), headDim);
    key = failed ? Value() : norm(key, layerName("attn_k_norm.weight"), headDim);
  }
  if (failed)
    return Value();

  const bool window = isWindowLayer(layerIndex);
  Value table = tables[window];
  auto style =
      config.ropeInterleaved ? dialect::RopeStyle::Interleaved : dialect::RopeStyle::Halves;
  query = builder.create<dialect::RopeOp>(location(), query, table, headDim, style);
  key = builder.create<dialect::RopeOp>(location(), key, table, headDim, style);
  Value positions = body->getArgument(dialect::kPositionsArgument);
  Value &cache = caches[layerIndex];
  cache = builder.create<dialect::AppendKVOp>(location(), cache, key, value, positions);

  double scale = config.attentionScale != 0.0 ? config.attentionScale
                                              : 1.0 / std::sqrt(static_cast<double>(headDim));
  Value attended = builder.create<dialect::PagedAttentionOp>(
      location(), query, cache, positions, /*sinks=*/Value(), f32(scale),
      builder.getI64IntegerAttr(window ? config.window : 0), f32(config.attentionSoftCap),
      /*bidirectional=*/mlir::UnitAttr());
  return linear(attended, layerName("attn_output"), config.embeddingCount,
                architecture->outputBias);
}

Value ModelBuilder::buildFeedForward(Value x) {
  const Presence bias = architecture->ffnBias;
  Value gate = linear(x, layerName("ffn_gate"), config.ffnCount, bias);
  Value up = failed ? Value() : linear(x, layerName("ffn_up"), config.ffnCount, bias);
  if (failed)
    return Value();
  auto kind =
      config.activation == Activation::Silu ? dialect::GateKind::Silu : dialect::GateKind::GeluTanh;
  Value gated = builder.create<dialect::GateOp>(location(), kind, gate, up);
  return linear(gated, layerName("ffn_down"), config.embeddingCount, bias);
}

Value ModelBuilder::buildLayer(int64_t layer, Value x) {
  layerIndex = layer;
  prefix = "blk." + std::to_string(layer) + ".";
  loc = mlir::NameLoc::get(builder.getStringAttr("blk." + llvm::Twine(layer)));
  const int64_t dim = config.embeddingCount;
  const bool postNorms = architecture->postNorms == Presence::Always;

  Value delta = norm(x, layerName("attn_norm.weight"), dim);
  if (!failed)
    delta = buildAttention(delta);
  if (!failed && postNorms)
    delta = norm(delta, layerName("post_attention_norm.weight"), dim);
  if (failed)
    return Value();
  x = builder.create<dialect::AddOp>(location(), x, delta);

  delta = norm(x, layerName("ffn_norm.weight"), dim);
  if (!failed)
    delta = buildFeedForward(delta);
  if (!failed && postNorms)
    delta = norm(delta, layerName("post_ffw_norm.weight"), dim);
  if (failed)
    return Value();
  return builder.create<dialect::AddOp>(location(), x, delta);
}

//===-----------------------------------------------------------------------------------------===//
// The function
//===-----------------------------------------------------------------------------------------===//

mlir::LogicalResult ModelBuilder::checkConfig() {
  architecture = findArchitecture(config.architecture);
  if (!architecture) {
    error("architecture '" + config.architecture + "' is unknown; known are " +
          llvm::join(knownArchitectures(), ", "));
    return mlir::failure();
  }
  // What the runtime accepts; no real model comes near, and products of two of them stay small.
  constexpr int64_t maxRows = 1 << 24, maxColumns = 1 << 23, maxHeads = 1024;
  const std::tuple<llvm::StringRef, int64_t, int64_t> counts[] = {
      {"vocabulary", config.vocabCount, maxRows},
      {"context", config.contextCount, INT32_MAX},
      {"embedding size", config.embeddingCount, maxColumns},
      {"layers", config.layerCount, maxRows},
      {"query heads", config.qHeadCount, maxHeads},
      {"key/value heads", config.kvHeadCount, maxHeads},
      {"head size", config.headDim, maxColumns},
      {"feed-forward size", config.ffnCount, maxColumns},
      {"rope dimensions", config.ropeDim, maxColumns}};
  for (auto [name, count, limit] : counts)
    if (count < 1 || count > limit)
      error("the model has " + name + " of " + llvm::Twine(count) + ", expected 1 to " +
            llvm::Twine(limit));
  if (config.headDim % 8 != 0 || config.headDim > 512)
    error("head size " + llvm::Twine(config.headDim) + ", expected a multiple of 8 up to 512");
  if (config.kvHeadCount > 0 && config.qHeadCount % config.kvHeadCount != 0)
    error(llvm::Twine(config.qHeadCount) + " query heads are no multiple of " +
          llvm::Twine(config.kvHeadCount) + " key/value heads");
  if (config.ropeDim > config.headDim || config.ropeDim % 2 != 0)
    error("rope dimensions " + llvm::Twine(config.ropeDim) + ", expected an even number up to " +
          llvm::Twine(config.headDim));
  if (!config.ropeFrequencyFactors.empty() &&
      static_cast<int64_t>(config.ropeFrequencyFactors.size()) != config.ropeDim / 2)
    error("tensor 'rope_freqs.weight' has " + llvm::Twine(config.ropeFrequencyFactors.size()) +
          " factors, expected " + llvm::Twine(config.ropeDim / 2));
  return mlir::failure(failed);
}

mlir::func::FuncOp ModelBuilder::createFunction() {
  auto ids = mlir::RankedTensorType::get({mlir::ShapedType::kDynamic}, builder.getI32Type());
  llvm::SmallVector<mlir::Type> inputs(dialect::kFirstCache, ids), results;
  results.push_back(rows(config.vocabCount));
  for (int64_t layer = 0; layer < config.layerCount; ++layer) {
    auto cache = dialect::PagedKVType::get(
        builder.getContext(), config.kvHeadCount, config.headDim, /*pageTokens=*/0,
        isWindowLayer(layer) ? config.window : 0, dialect::KVStorage::Any);
    inputs.push_back(cache);
    results.push_back(cache);
  }
  auto function = builder.create<mlir::func::FuncOp>(location(), "forward",
                                                     builder.getFunctionType(inputs, results));
  body = function.addEntryBlock();
  return function;
}

/// One table serves all layers of its kind; canonicalisation drops one that no layer reads.
Value ModelBuilder::buildRopeTable(bool windowLayer) {
  Value frequencies = constant(windowLayer ? "rope_frequencies.window" : "rope_frequencies",
                               ropeFrequencies(config, windowLayer));
  bool scaled = !windowLayer || config.ropeLocalBase == 0.0;
  return builder.create<dialect::RopeTableOp>(
      location(), rows(config.ropeDim / 2 * 2), body->getArgument(dialect::kPositionsArgument),
      frequencies, f32(scaled ? config.ropeAttentionFactor : 1.0));
}

void ModelBuilder::buildBody(mlir::func::FuncOp function) {
  builder.setInsertionPointToStart(body);
  for (auto argument : body->getArguments().drop_front(dialect::kFirstCache))
    caches.push_back(argument);
  const int64_t dim = config.embeddingCount;
  Value table = weight("token_embd.weight", {config.vocabCount, dim});
  if (failed)
    return;
  Value x = builder.create<dialect::EmbedOp>(location(), rows(dim), body->getArgument(0), table,
                                             f32(1.0));
  if (config.embeddingScale != 1.0)
    x = builder.create<dialect::ScaleOp>(location(), x, f32(config.embeddingScale));
  tables[0] = tables[1] = buildRopeTable(false);
  if (config.window != 0 && config.ropeLocalBase != 0.0)
    tables[1] = buildRopeTable(true);
  for (int64_t layer = 0; layer < config.layerCount && !failed; ++layer)
    x = buildLayer(layer, x);
  loc = builder.getUnknownLoc();
  if (failed)
    return;

  Value selected = builder.create<dialect::SelectRowsOp>(location(), rows(dim), x,
                                                         body->getArgument(dialect::kRowsArgument));
  Value last = norm(selected, "output_norm.weight", dim);
  Value output = optionalWeight(Presence::Optional, "output.weight", {config.vocabCount, dim});
  if (failed)
    return;
  Value logits = builder.create<dialect::LogitsOp>(location(), rows(config.vocabCount), last,
                                                   output ? output : table, mlir::FloatAttr());
  if (config.finalSoftCap != 0.0)
    logits = builder.create<dialect::SoftCapOp>(location(), logits, f32(config.finalSoftCap));
  llvm::SmallVector<Value> results = {logits};
  results.append(caches.begin(), caches.end());
  builder.create<mlir::func::ReturnOp>(location(), results);
}

/// A tensor that the graph does not read means that the model is more than the architecture says.
mlir::LogicalResult ModelBuilder::checkUnused() {
  for (const auto &entry : model.tensors) {
    // Its values are in ropeFrequencyFactors.
    if (entry.first == "rope_freqs.weight" || used.contains(entry.first))
      continue;
    error("tensor '" + entry.first + "' is not known in architecture '" + config.architecture +
          "'");
  }
  return mlir::failure(failed);
}

mlir::OwningOpRef<mlir::ModuleOp> ModelBuilder::run() {
  if (mlir::failed(checkConfig()))
    return nullptr;
  module = mlir::ModuleOp::create(location());
  int64_t context = options.contextCount != 0 ? options.contextCount : config.contextCount;
  (*module)->setAttr(dialect::kContextAttr, builder.getI64IntegerAttr(context));
  (*module)->setAttr(dialect::kChunkAttr, builder.getI64IntegerAttr(options.chunkTokens));
  builder.setInsertionPointToStart(module->getBody());
  mlir::func::FuncOp function = createFunction();
  firstFunction = function;
  buildBody(function);
  if (failed || mlir::failed(checkUnused()) || mlir::failed(mlir::verify(*module)))
    return nullptr;
  return std::move(module);
}

} // namespace

mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext &context, const ImportedModel &model,
                                             const BuildOptions &options) {
  context.loadDialect<dialect::LLMIRDialect>();
  return ModelBuilder(context, model, options).run();
}

std::vector<std::string> knownArchitectures() {
  std::vector<std::string> names;
  for (const Architecture &architecture : architectures())
    names.push_back(architecture.name.str());
  return names;
}

} // namespace llmir::compiler
