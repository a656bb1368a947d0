//===- GgufBuilder.cpp - GGUF files for tests -----------------------------===//
#include "GgufBuilder.h"

#include "llmir/Import/SourceTypes.h"

#include <algorithm>
#include <cstring>

namespace llmir::compiler::testing {

namespace {
enum : uint32_t {
  typeU32 = 4,
  typeI32 = 5,
  typeF32 = 6,
  typeBool = 7,
  typeString = 8,
  typeArray = 9
};

template <typename T> void put(std::vector<uint8_t> &bytes, T value) {
  uint8_t raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T)); // test machines are little-endian
  bytes.insert(bytes.end(), raw, raw + sizeof(T));
}

void putString(std::vector<uint8_t> &bytes, const std::string &text) {
  put<uint64_t>(bytes, text.size());
  bytes.insert(bytes.end(), text.begin(), text.end());
}

void align(std::vector<uint8_t> &bytes, uint64_t alignment) {
  while (bytes.size() % alignment != 0)
    bytes.push_back(0);
}

std::vector<uint8_t> arrayHead(uint32_t elementType, size_t count) {
  std::vector<uint8_t> payload;
  put<uint32_t>(payload, elementType);
  put<uint64_t>(payload, count);
  return payload;
}
} // namespace

uint64_t Random::next() {
  uint64_t z = (state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void GgufBuilder::setRaw(const std::string &key, uint32_t type, std::vector<uint8_t> payload) {
  for (Pair &pair : pairs)
    if (pair.key == key) {
      pair = {key, type, std::move(payload)};
      return;
    }
  pairs.push_back({key, type, std::move(payload)});
}

void GgufBuilder::setU32(const std::string &key, uint32_t value) {
  std::vector<uint8_t> payload;
  put(payload, value);
  setRaw(key, typeU32, payload);
}

void GgufBuilder::setF32(const std::string &key, float value) {
  std::vector<uint8_t> payload;
  put(payload, value);
  setRaw(key, typeF32, payload);
}

void GgufBuilder::setBool(const std::string &key, bool value) { setRaw(key, typeBool, {value}); }

void GgufBuilder::setString(const std::string &key, const std::string &value) {
  std::vector<uint8_t> payload;
  putString(payload, value);
  setRaw(key, typeString, payload);
}

void GgufBuilder::setStrings(const std::string &key, const std::vector<std::string> &values) {
  std::vector<uint8_t> payload = arrayHead(typeString, values.size());
  for (const std::string &value : values)
    putString(payload, value);
  setRaw(key, typeArray, payload);
}

void GgufBuilder::setF32s(const std::string &key, const std::vector<float> &values) {
  std::vector<uint8_t> payload = arrayHead(typeF32, values.size());
  for (float value : values)
    put(payload, value);
  setRaw(key, typeArray, payload);
}

void GgufBuilder::setI32s(const std::string &key, const std::vector<int32_t> &values) {
  std::vector<uint8_t> payload = arrayHead(typeI32, values.size());
  for (int32_t value : values)
    put(payload, value);
  setRaw(key, typeArray, payload);
}

void GgufBuilder::removeKey(const std::string &key) {
  pairs.erase(
      std::remove_if(pairs.begin(), pairs.end(), [&](const Pair &pair) { return pair.key == key; }),
      pairs.end());
}

GgufBuilder::Tensor &GgufBuilder::tensor(const std::string &name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const Tensor &tensor) { return tensor.name == name; });
}

void GgufBuilder::removeTensor(const std::string &name) {
  tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                               [&](const Tensor &tensor) { return tensor.name == name; }),
                tensors.end());
}

/// Places of binary16 scales in a block.
static std::vector<size_t> scaleOffsets(SourceType type) {
  switch (type) {
  case SourceType::Q4_0:
  case SourceType::Q5_0:
  case SourceType::Q8_0:
    return {0};
  case SourceType::Q4_1:
  case SourceType::Q5_1:
  case SourceType::Q4_K:
  case SourceType::Q5_K:
    return {0, 2};
  case SourceType::Q2_K:
    return {80, 82};
  case SourceType::Q3_K:
    return {108};
  case SourceType::Q6_K:
    return {208};
  case SourceType::F32:
  case SourceType::F16:
  case SourceType::BF16:
    return {};
  }
  return {};
}

std::vector<uint8_t> randomBlocks(SourceType type, uint64_t elements, uint64_t seed) {
  Random random(seed);
  const SourceTypeInfo &info = sourceTypeInfo(type);
  std::vector<uint8_t> bytes(elements / info.blockElements * info.blockBytes);
  for (uint8_t &byte : bytes)
    byte = static_cast<uint8_t>(random.next() >> 56);
  // The top bit of the exponent off: no infinities, no NaN. Whole floats end with their exponent.
  for (size_t block = 0; block < bytes.size(); block += info.blockBytes) {
    for (size_t offset : scaleOffsets(type))
      bytes[block + offset + 1] &= 0xBF;
    if (info.blockElements == 1)
      bytes[block + info.blockBytes - 1] &= 0xBF;
  }
  return bytes;
}

void GgufBuilder::addTensor(const std::string &name, SourceType type, std::vector<uint64_t> shape) {
  uint64_t elements = 1;
  for (uint64_t extent : shape)
    elements *= extent;
  tensors.push_back({name, sourceTypeInfo(type).ggufId, std::move(shape),
                     randomBlocks(type, elements, tensors.size() + 1)});
}

std::vector<uint8_t> GgufBuilder::build() const {
  std::vector<uint8_t> bytes = {'G', 'G', 'U', 'F'};
  put(bytes, version);
  put<uint64_t>(bytes, tensors.size());
  put<uint64_t>(bytes, pairs.size());
  for (const Pair &pair : pairs) {
    putString(bytes, pair.key);
    put(bytes, pair.type);
    bytes.insert(bytes.end(), pair.payload.begin(), pair.payload.end());
  }
  std::vector<uint8_t> data;
  for (const Tensor &tensor : tensors) {
    align(data, alignment);
    putString(bytes, tensor.name);
    put<uint32_t>(bytes, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;)
      put<uint64_t>(bytes, tensor.shape[i]);
    put(bytes, tensor.type);
    put<uint64_t>(bytes, tensor.offset == UINT64_MAX ? data.size() : tensor.offset);
    data.insert(data.end(), tensor.data.begin(), tensor.data.end());
  }
  if (!data.empty())
    align(bytes, alignment);
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

static void addTokenizer(GgufBuilder &builder) {
  builder.setString("tokenizer.ggml.model", "gpt2");
  builder.setString("tokenizer.ggml.pre", "gpt-2");
  builder.setStrings("tokenizer.ggml.tokens",
                     {"<|im_start|>", "<|im_end|>", "a", "b", "c", "ab", "abc", "d"});
  builder.setI32s("tokenizer.ggml.token_type", {3, 1, 1, 1, 1, 1, 1, 1});
  builder.setStrings("tokenizer.ggml.merges", {"a b", "ab c"});
  builder.setU32("tokenizer.ggml.bos_token_id", 0);
  builder.setU32("tokenizer.ggml.eos_token_id", 1);
  builder.setString("tokenizer.chat_template", "{{ messages }}");
}

GgufBuilder tinyModel(const std::string &architecture, SourceType type) {
  const uint64_t dim = sourceTypeInfo(type).blockElements == 256 ? 256 : 64, vocab = 8;
  const uint64_t layers = architecture == "gemma3" ? 7 : 1, headDim = dim / 2;
  const SourceType f32 = SourceType::F32;
  GgufBuilder builder;
  const std::string prefix = architecture + ".";
  builder.setString("general.architecture", architecture);
  builder.setString("general.name", "Tiny");
  builder.setU32(prefix + "block_count", static_cast<uint32_t>(layers));
  builder.setU32(prefix + "context_length", 128);
  builder.setU32(prefix + "embedding_length", static_cast<uint32_t>(dim));
  builder.setU32(prefix + "feed_forward_length", static_cast<uint32_t>(dim));
  builder.setU32(prefix + "attention.head_count", 2);
  builder.setU32(prefix + "attention.head_count_kv", 1);
  builder.setF32(prefix + "attention.layer_norm_rms_epsilon", 1e-6f);
  addTokenizer(builder);
  builder.addTensor("token_embd.weight", type, {vocab, dim});
  builder.addTensor("output_norm.weight", f32, {dim});
  for (uint64_t layer = 0; layer < layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    for (const char *norm : {"attn_norm", "ffn_norm"})
      builder.addTensor(block + norm + ".weight", f32, {dim});
    builder.addTensor(block + "attn_q.weight", type, {dim, dim});
    builder.addTensor(block + "attn_k.weight", type, {headDim, dim});
    builder.addTensor(block + "attn_v.weight", type, {headDim, dim});
    for (const char *matrix : {"attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      builder.addTensor(block + matrix + ".weight", type, {dim, dim});
    if (architecture == "qwen2") {
      builder.addTensor(block + "attn_q.bias", f32, {dim});
      builder.addTensor(block + "attn_k.bias", f32, {headDim});
      builder.addTensor(block + "attn_v.bias", f32, {headDim});
    }
    if (architecture == "qwen3" || architecture == "gemma3")
      for (const char *norm : {"attn_q_norm", "attn_k_norm"})
        builder.addTensor(block + norm + ".weight", f32, {headDim});
    if (architecture == "gemma3")
      for (const char *norm : {"post_attention_norm", "post_ffw_norm"})
        builder.addTensor(block + norm + ".weight", f32, {dim});
  }
  return builder;
}

std::vector<std::vector<uint8_t>> buildSplit(const GgufBuilder &whole, size_t parts) {
  std::vector<std::vector<uint8_t>> files;
  const size_t perPart = (whole.tensors.size() + parts - 1) / parts;
  for (size_t i = 0; i < parts; ++i) {
    GgufBuilder part;
    if (i == 0)
      part.pairs = whole.pairs;
    part.setU32("split.no", static_cast<uint32_t>(i));
    part.setU32("split.count", static_cast<uint32_t>(parts));
    part.setU32("split.tensors.count", static_cast<uint32_t>(whole.tensors.size()));
    const size_t first = std::min(i * perPart, whole.tensors.size());
    const size_t last = std::min(first + perPart, whole.tensors.size());
    part.tensors.assign(whole.tensors.begin() + first, whole.tensors.begin() + last);
    files.push_back(part.build());
  }
  return files;
}

} // namespace llmir::compiler::testing
