//===- GgufConfig.cpp - Hyper-parameters from GGUF metadata ---------------===//
//
// Keys are "<architecture>.<what>"; defaults are those that llama.cpp applies, because files are
// written with them in mind. Whatever a file asks for and the graph builder cannot express is an
// error here.
//
//===----------------------------------------------------------------------===//
#include "GgufModel.h"

#include <cmath>

using namespace llvm;
namespace llmir::compiler {

namespace {
// No real model comes near these; they keep products of two counts inside 63 bits.
constexpr uint64_t maxCount = 1u << 24;
constexpr uint64_t maxContext = INT32_MAX;

// llama.cpp: the 27B model scales queries by dim / heads instead of the head's size.
constexpr uint64_t gemma27bLayers = 62;
} // namespace

ArrayRef<GgufArchitecture> ggufArchitectures() {
  using P = Presence;
  static const GgufArchitecture table[] = {
      {"gemma3", false, Activation::GeluTanh, true, 6, P::None, P::None, P::Required, P::Required,
       P::None},
      {"llama", true, Activation::Silu, false, 0, P::Optional, P::Optional, P::None, P::None,
       P::Optional},
      {"qwen2", false, Activation::Silu, false, 0, P::Required, P::None, P::None, P::None, P::None},
      {"qwen3", false, Activation::Silu, false, 0, P::Optional, P::None, P::Required, P::None,
       P::None},
  };
  return table;
}

Expected<const GgufArchitecture *> ggufArchitecture(GgufKeys &keys) {
  const std::string name = keys.stringOr("general.architecture", "");
  if (Error error = keys.takeError())
    return error;
  std::string known;
  for (const GgufArchitecture &architecture : ggufArchitectures()) {
    if (name == architecture.name)
      return &architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  if (name.empty())
    return ggufError(keys.fileName(),
                     "key 'general.architecture': missing, expected one of " + known);
  return ggufError(keys.fileName(), "key 'general.architecture': found '" + printable(name) +
                                        "', expected one of " + known);
}

namespace {
class ConfigReader {
public:
  ConfigReader(GgufKeys &keys, const GgufArchitecture &architecture, ModelConfig &config)
      : keys(keys), architecture(architecture), config(config) {}

  Error run(uint64_t tensorCount) {
    config.architecture = architecture.name;
    config.name = keys.stringOr("general.name", "");
    config.activation = architecture.activation;
    config.ropeInterleaved = architecture.ropeInterleaved;
    rejectUnsupported();
    readCounts(tensorCount);
    if (!keys.failed())
      readRope();
    if (!keys.failed())
      readWindow();
    if (!keys.failed())
      readScales();
    return keys.takeError();
  }

private:
  std::string key(StringRef suffix) const {
    return (Twine(architecture.name) + "." + suffix).str();
  }
  void rejectUnsupported();
  void readCounts(uint64_t tensorCount);
  void readHeads();
  void readRope();
  void readWindow();
  void readScales();

  GgufKeys &keys;
  const GgufArchitecture &architecture;
  ModelConfig &config;
};
} // namespace

void ConfigReader::rejectUnsupported() {
  const std::string experts = key("expert_count");
  if (uint64_t count = keys.unsignedOr(experts, 0, maxCount))
    keys.fail(experts, "found " + Twine(count) + ", expected 0: mixtures of experts are not read");
  const std::string causal = key("attention.causal");
  if (!keys.boolOr(causal, true))
    keys.fail(causal, "found false, expected true: only causal models are read");
}

void ConfigReader::readCounts(uint64_t tensorCount) {
  // A layer has several tensors, so their number bounds what a hostile count can cost.
  config.layerCount = keys.requireUnsigned(key("block_count"), 1, maxCount);
  if (!keys.failed() && static_cast<uint64_t>(config.layerCount) > tensorCount)
    keys.fail(key("block_count"), "found " + Twine(config.layerCount) + ", expected at most " +
                                      Twine(tensorCount) + ", the number of tensors");
  config.contextCount = keys.requireUnsigned(key("context_length"), 1, maxContext);
  config.embeddingCount = keys.requireUnsigned(key("embedding_length"), 1, maxCount);
  config.vocabCount = keys.unsignedOr(key("vocab_size"), 0, maxCount); // checked with the tensors
  const std::string ffn = key("feed_forward_length");
  config.ffnCount = keys.uniformUnsigned(ffn, config.layerCount, maxCount).value_or(0);
  if (config.ffnCount == 0)
    keys.fail(ffn, keys.has(ffn) ? "found 0, expected 1 or more" : "missing, expected an integer");
  config.normEpsilon = keys.requireFloat(key("attention.layer_norm_rms_epsilon"));
  if (config.normEpsilon < 0)
    keys.fail(key("attention.layer_norm_rms_epsilon"), "found a negative number");
  if (!keys.failed())
    readHeads();
}

void ConfigReader::readHeads() {
  const std::string heads = key("attention.head_count"), kvHeads = heads + "_kv";
  config.qHeadCount = keys.uniformUnsigned(heads, config.layerCount, maxCount).value_or(0);
  if (config.qHeadCount == 0) {
    keys.fail(heads,
              keys.has(heads) ? "found 0, expected 1 or more" : "missing, expected an integer");
    return;
  }
  config.kvHeadCount =
      keys.uniformUnsigned(kvHeads, config.layerCount, maxCount).value_or(config.qHeadCount);
  if (!keys.failed() && (config.kvHeadCount == 0 || config.qHeadCount % config.kvHeadCount != 0))
    keys.fail(kvHeads, "found " + Twine(config.kvHeadCount) + ", expected a divisor of the " +
                           Twine(config.qHeadCount) + " query heads");

  const std::string keyLength = key("attention.key_length");
  if (!keys.has(keyLength) && config.embeddingCount % config.qHeadCount != 0)
    keys.fail(heads, "found " + Twine(config.qHeadCount) + ", expected a divisor of the " +
                         Twine(config.embeddingCount) + " embedding elements");
  config.headDim = keys.unsignedOr(keyLength, config.embeddingCount / config.qHeadCount, maxCount);
  if (config.headDim == 0)
    keys.fail(keyLength, "found 0, expected 1 or more");
  const std::string valueLength = key("attention.value_length");
  const uint64_t valueDim = keys.unsignedOr(valueLength, config.headDim, maxCount);
  if (!keys.failed() && valueDim != static_cast<uint64_t>(config.headDim))
    keys.fail(valueLength, "found " + Twine(valueDim) + ", expected " + Twine(config.headDim) +
                               ", the length of the keys");
}

void ConfigReader::readRope() {
  const std::string dimension = key("rope.dimension_count");
  config.ropeDim = keys.unsignedOr(dimension, config.headDim, maxCount);
  if (!keys.failed() &&
      (config.ropeDim == 0 || config.ropeDim % 2 != 0 || config.ropeDim > config.headDim))
    keys.fail(dimension, "found " + Twine(config.ropeDim) + ", expected an even number of 2 to " +
                             Twine(config.headDim));
  config.ropeBase = keys.floatOr(key("rope.freq_base"), 10000.0);
  if (!keys.failed() && config.ropeBase <= 0)
    keys.fail(key("rope.freq_base"), "found a number that is not positive");

  const std::string scaling = key("rope.scaling.type"), factor = key("rope.scaling.factor");
  const std::string kind = keys.stringOr(scaling, "linear");
  config.ropeScaleFactor = keys.floatOr(factor, keys.floatOr(key("rope.scale_linear"), 1.0));
  if (config.ropeScaleFactor == 0.0) // written by converters for "no scaling"
    config.ropeScaleFactor = 1.0;
  if (config.ropeScaleFactor < 0)
    keys.fail(factor, "found a negative number");
  if (kind != "none" && kind != "linear" && kind != "yarn")
    keys.fail(scaling, "found '" + printable(kind) + "', expected one of none, linear, yarn");
  if (kind == "none" || config.ropeScaleFactor == 1.0) {
    config.ropeScaleFactor = 1.0;
    return;
  }
  config.ropeAttentionFactor = keys.floatOr(key("rope.scaling.attn_factor"), 1.0);
  if (kind == "linear") {
    config.ropeScaling = RopeScaling::Linear;
    return;
  }
  config.ropeScaling = RopeScaling::Yarn;
  config.ropeOriginalContext =
      keys.unsignedOr(key("rope.scaling.original_context_length"), config.contextCount, maxContext);
  config.ropeBetaFast = keys.floatOr(key("rope.scaling.yarn_beta_fast"), 32.0);
  config.ropeBetaSlow = keys.floatOr(key("rope.scaling.yarn_beta_slow"), 1.0);
  // The magnitude correction of the YaRN paper (eq. 22), as llama.cpp applies it to cos and sin.
  if (config.ropeScaleFactor > 1.0)
    config.ropeAttentionFactor *= 1.0 + 0.1 * std::log(config.ropeScaleFactor);
  if (!keys.failed() &&
      (config.ropeOriginalContext <= 0 || config.ropeBetaFast <= 0 || config.ropeBetaSlow <= 0))
    keys.fail(scaling, "yarn with an original context or beta that is not positive");
}

/// Window layers: a period ("every n-th layer is global") or one flag per layer.
void ConfigReader::readWindow() {
  if (architecture.windowPeriod == 0)
    return;
  config.window = keys.unsignedOr(key("attention.sliding_window"), 0, maxContext);
  if (keys.failed() || config.window == 0)
    return;
  config.ropeLocalBase = keys.floatOr(key("rope.freq_base_swa"), 10000.0);
  if (!keys.failed() && config.ropeLocalBase <= 0)
    keys.fail(key("rope.freq_base_swa"), "found a number that is not positive");

  const std::string patternKey = key("attention.sliding_window_pattern");
  if (keys.hasArray(patternKey)) {
    const std::vector<int64_t> flags = keys.intArray(patternKey);
    if (!keys.failed() && flags.size() < static_cast<size_t>(config.layerCount))
      keys.fail(patternKey,
                "found " + Twine(flags.size()) + " flags, expected " + Twine(config.layerCount));
    for (int64_t layer = 0; layer < config.layerCount && !keys.failed(); ++layer)
      config.layerIsWindow.push_back(flags[layer] != 0);
    return;
  }
  const uint64_t period = keys.unsignedOr(patternKey, architecture.windowPeriod, maxCount);
  for (int64_t layer = 0; layer < config.layerCount; ++layer)
    config.layerIsWindow.push_back(period == 0 || layer % period < period - 1);
}

void ConfigReader::readScales() {
  config.finalSoftCap = keys.floatOr(key("final_logit_softcapping"), 0.0);
  config.attentionSoftCap = keys.floatOr(key("attn_logit_softcapping"), 0.0);
  config.attentionScale = keys.floatOr(key("attention.scale"), 0.0);
  if (!keys.failed() &&
      (config.finalSoftCap < 0 || config.attentionSoftCap < 0 || config.attentionScale < 0))
    keys.fail(key("*softcapping, attention.scale"), "found a negative number");
  if (architecture.scaledEmbedding)
    config.embeddingScale = std::sqrt(static_cast<float>(config.embeddingCount));
  const bool isGemma27b = StringRef(architecture.name) == "gemma3" &&
                          static_cast<uint64_t>(config.layerCount) == gemma27bLayers;
  if (config.attentionScale == 0.0)
    config.attentionScale =
        1.0 / std::sqrt(static_cast<double>(isGemma27b ? config.embeddingCount / config.qHeadCount
                                                       : config.headDim));
}

Error readGgufConfig(GgufKeys &keys, const GgufArchitecture &architecture, uint64_t tensorCount,
                     ModelConfig &config) {
  return ConfigReader(keys, architecture, config).run(tensorCount);
}

} // namespace llmir::compiler
