//===- ToyModel.cpp - Small models without values, for tests of the graph ---------------------===//

#include "ToyModel.h"

namespace llmir::compiler {

void setTensor(ImportedModel &model, const std::string &name, SourceType type,
               std::vector<int64_t> shape) {
  SourceTensor &tensor = model.tensors[name];
  tensor.name = name;
  tensor.type = type;
  tensor.shape = std::move(shape);
}

static void addLayer(ImportedModel &model, const std::string &prefix, SourceType type) {
  const ModelConfig &c = model.config;
  const int64_t q = c.qHeadCount * c.headDim, kv = c.kvHeadCount * c.headDim;
  auto matrix = [&](const char *name, int64_t rows, int64_t columns) {
    setTensor(model, prefix + name + ".weight", type, {rows, columns});
  };
  auto vector = [&](const std::string &name, int64_t size) {
    setTensor(model, prefix + name, SourceType::F32, {size});
  };
  vector("attn_norm.weight", c.embeddingCount);
  matrix("attn_q", q, c.embeddingCount);
  matrix("attn_k", kv, c.embeddingCount);
  matrix("attn_v", kv, c.embeddingCount);
  matrix("attn_output", c.embeddingCount, q);
  vector("ffn_norm.weight", c.embeddingCount);
  matrix("ffn_gate", c.ffnCount, c.embeddingCount);
  matrix("ffn_up", c.ffnCount, c.embeddingCount);
  matrix("ffn_down", c.embeddingCount, c.ffnCount);
  if (c.architecture == "qwen2") {
    vector("attn_q.bias", q);
    vector("attn_k.bias", kv);
    vector("attn_v.bias", kv);
  }
  if (c.architecture == "qwen3" || c.architecture == "gemma3") {
    vector("attn_q_norm.weight", c.headDim);
    vector("attn_k_norm.weight", c.headDim);
  }
  if (c.architecture == "gemma3") {
    vector("post_attention_norm.weight", c.embeddingCount);
    vector("post_ffw_norm.weight", c.embeddingCount);
  }
}

ImportedModel makeToyModel(const std::string &architecture, SourceType type) {
  ImportedModel model;
  ModelConfig &c = model.config;
  c.architecture = architecture;
  c.vocabCount = 320;
  c.contextCount = 4096;
  c.embeddingCount = 64;
  c.layerCount = 2;
  c.qHeadCount = 4;
  c.kvHeadCount = architecture == "gemma3" ? 1 : 2;
  c.headDim = c.ropeDim = 16;
  c.ffnCount = 96;
  c.ropeInterleaved = architecture == "llama";
  if (architecture == "gemma3") {
    c.activation = Activation::GeluTanh;
    c.window = 512;
    c.layerIsWindow = {true, false};
    c.ropeBase = 1e6;
    c.ropeLocalBase = 1e4;
    c.embeddingScale = 8.0;
    c.finalSoftCap = 30.0;
    c.attentionSoftCap = 50.0;
  }
  setTensor(model, "token_embd.weight", type, {c.vocabCount, c.embeddingCount});
  setTensor(model, "output_norm.weight", SourceType::F32, {c.embeddingCount});
  for (int64_t layer = 0; layer < c.layerCount; ++layer)
    addLayer(model, "blk." + std::to_string(layer) + ".", type);
  return model;
}

} // namespace llmir::compiler
