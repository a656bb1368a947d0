//===- GgufTensors.cpp - Which tensors an architecture has, and their shapes ---===//
//
// One list of tensors per model, made from the configuration; the file must have exactly these.
// Behind this check the graph builder may index names and trust shapes.
//
//===----------------------------------------------------------------------===//
#include "GgufModel.h"

#include "llmir/Import/SourceTypes.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"

#include <cmath>

using namespace llvm;
namespace llmir::compiler {

namespace {
class TensorChecker {
public:
  TensorChecker(StringRef fileName, const GgufArchitecture &architecture, ImportedModel &model)
      : fileName(fileName), architecture(architecture), config(model.config),
        tensors(model.tensors) {}

  Error run() {
    if (Error error = takeVocabulary())
      return error;
    expectModel();
    for (int64_t layer = 0; layer < config.layerCount; ++layer)
      expectLayer("blk." + std::to_string(layer) + ".");
    if (Error error = rejectUnknown()) // it often says why another tensor is missing
      return error;
    if (!fault.empty())
      return ggufError(fileName, fault);
    config.tiedOutput = tensors.count("output.weight") == 0;
    return takeFrequencyFactors();
  }

private:
  Error takeVocabulary();
  void expectModel();
  void expectLayer(const std::string &prefix);
  void expect(const std::string &name, Presence presence, std::vector<int64_t> shape);
  Error rejectUnknown();
  Error takeFrequencyFactors();

  StringRef fileName;
  const GgufArchitecture &architecture;
  ModelConfig &config;
  std::map<std::string, SourceTensor> &tensors;
  StringSet<> expected;
  std::string fault; // the first
};
} // namespace

static std::string describe(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (int64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

/// The embedding's rows are the vocabulary, whatever the metadata says beside it.
Error TensorChecker::takeVocabulary() {
  auto it = tensors.find("token_embd.weight");
  if (it == tensors.end())
    return ggufError(fileName, "tensor 'token_embd.weight' is missing");
  const std::vector<int64_t> &shape = it->second.shape;
  if (shape.size() != 2 || shape[1] != config.embeddingCount || shape[0] > INT32_MAX)
    return ggufError(fileName, "tensor 'token_embd.weight': shape " + describe(shape) +
                                   ", expected [tokens, " + Twine(config.embeddingCount) + "]");
  if (config.vocabCount != 0 && config.vocabCount > shape[0])
    return ggufError(fileName, "key '" + Twine(architecture.name) + ".vocab_size': found " +
                                   Twine(config.vocabCount) + ", expected at most " +
                                   Twine(shape[0]) + ", the rows of 'token_embd.weight'");
  config.vocabCount = shape[0];
  return Error::success();
}

void TensorChecker::expect(const std::string &name, Presence presence, std::vector<int64_t> shape) {
  if (presence == Presence::None)
    return;
  expected.insert(name);
  if (!fault.empty())
    return;
  auto it = tensors.find(name);
  if (it == tensors.end()) {
    if (presence == Presence::Required)
      fault = "tensor '" + name + "' is missing, expected shape " + describe(shape);
  } else if (it->second.shape != shape) {
    fault = "tensor '" + name + "': shape " + describe(it->second.shape) + ", expected " +
            describe(shape);
  }
}

void TensorChecker::expectModel() {
  const int64_t dim = config.embeddingCount;
  expect("token_embd.weight", Presence::Required, {config.vocabCount, dim});
  expect("output_norm.weight", Presence::Required, {dim});
  expect("output.weight", Presence::Optional, {config.vocabCount, dim});
  expect("rope_freqs.weight", architecture.frequencyFactors, {config.ropeDim / 2});
}

void TensorChecker::expectLayer(const std::string &prefix) {
  const int64_t dim = config.embeddingCount, ffn = config.ffnCount;
  const int64_t qRows = config.qHeadCount * config.headDim;
  const int64_t kvRows = config.kvHeadCount * config.headDim;
  const Presence required = Presence::Required;

  expect(prefix + "attn_norm.weight", required, {dim});
  expect(prefix + "attn_q.weight", required, {qRows, dim});
  expect(prefix + "attn_k.weight", required, {kvRows, dim});
  expect(prefix + "attn_v.weight", required, {kvRows, dim});
  expect(prefix + "attn_q.bias", architecture.qkvBias, {qRows});
  expect(prefix + "attn_k.bias", architecture.qkvBias, {kvRows});
  expect(prefix + "attn_v.bias", architecture.qkvBias, {kvRows});
  expect(prefix + "attn_q_norm.weight", architecture.qkNorm, {config.headDim});
  expect(prefix + "attn_k_norm.weight", architecture.qkNorm, {config.headDim});
  expect(prefix + "attn_output.weight", required, {dim, qRows});
  expect(prefix + "attn_output.bias", architecture.otherBias, {dim});
  expect(prefix + "post_attention_norm.weight", architecture.postNorms, {dim});

  expect(prefix + "ffn_norm.weight", required, {dim});
  expect(prefix + "ffn_gate.weight", required, {ffn, dim});
  expect(prefix + "ffn_up.weight", required, {ffn, dim});
  expect(prefix + "ffn_down.weight", required, {dim, ffn});
  expect(prefix + "ffn_gate.bias", architecture.otherBias, {ffn});
  expect(prefix + "ffn_up.bias", architecture.otherBias, {ffn});
  expect(prefix + "ffn_down.bias", architecture.otherBias, {dim});
  expect(prefix + "post_ffw_norm.weight", architecture.postNorms, {dim});
}

/// Old converters wrote the rotation's inverse frequencies into every layer; they repeat the
/// metadata.
static bool isRedundant(StringRef name) {
  return name.starts_with("blk.") && name.ends_with(".attn_rot_embd.weight");
}

Error TensorChecker::rejectUnknown() {
  for (auto it = tensors.begin(); it != tensors.end();) {
    if (isRedundant(it->first)) {
      it = tensors.erase(it);
      continue;
    }
    if (!expected.contains(it->first)) {
      std::string known;
      for (const auto &entry : expected)
        if (!entry.first().starts_with("blk.") || entry.first().starts_with("blk.0."))
          known += (known.empty() ? "" : ", ") + entry.first().str();
      return ggufError(fileName, "tensor '" + printable(it->first) + "' is unknown in a " +
                                     architecture.name + " model of " + Twine(config.layerCount) +
                                     " layers, known are " + known);
    }
    ++it;
  }
  return Error::success();
}

Error TensorChecker::takeFrequencyFactors() {
  auto it = tensors.find("rope_freqs.weight");
  if (it == tensors.end())
    return Error::success();
  const SourceTensor &tensor = it->second;
  if (tensor.type != SourceType::F32)
    return ggufError(fileName, Twine("tensor 'rope_freqs.weight': type ") +
                                   sourceTypeInfo(tensor.type).name + ", expected F32");
  for (int64_t i = 0; i < tensor.shape[0]; ++i) {
    const float factor =
        support::endian::read<float, llvm::endianness::little>(tensor.data + i * 4);
    if (!std::isfinite(factor) || factor <= 0.0f)
      return ggufError(fileName, "tensor 'rope_freqs.weight': element " + Twine(i) +
                                     " is not a positive number");
    config.ropeFrequencyFactors.push_back(factor);
  }
  tensors.erase(it);
  return Error::success();
}

Error checkGgufTensors(StringRef fileName, const GgufArchitecture &architecture,
                       ImportedModel &model) {
  return TensorChecker(fileName, architecture, model).run();
}

} // namespace llmir::compiler
