//===- GgufBuilder.h - GGUF files for tests -------------------------------===//
//
// Writes what it is told, right or wrong: tests change the keys and tensors of a good model and see
// what the front end says.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_UNITTESTS_IMPORT_GGUFBUILDER_H
#define LLMIR_UNITTESTS_IMPORT_GGUFBUILDER_H

#include "llmir/Import/ImportedModel.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler::testing {

class GgufBuilder {
public:
  struct Pair {
    std::string key;
    uint32_t type; ///< as in the file
    std::vector<uint8_t> payload;
  };
  struct Tensor {
    std::string name;
    uint32_t type;               ///< ggml type
    std::vector<uint64_t> shape; ///< outermost first
    std::vector<uint8_t> data;
    uint64_t offset = UINT64_MAX; ///< UINT64_MAX: behind the tensor before
  };

  uint32_t version = 3;
  uint64_t alignment = 32;
  std::vector<Pair> pairs;
  std::vector<Tensor> tensors;

  /// Each replaces a key of the same name.
  void setU32(const std::string &key, uint32_t value);
  void setF32(const std::string &key, float value);
  void setBool(const std::string &key, bool value);
  void setString(const std::string &key, const std::string &value);
  void setStrings(const std::string &key, const std::vector<std::string> &values);
  void setF32s(const std::string &key, const std::vector<float> &values);
  void setI32s(const std::string &key, const std::vector<int32_t> &values);
  void setRaw(const std::string &key, uint32_t type, std::vector<uint8_t> payload);
  void removeKey(const std::string &key);

  /// Adds a tensor of pseudo-random finite values.
  void addTensor(const std::string &name, SourceType type, std::vector<uint64_t> shape);
  Tensor &tensor(const std::string &name);
  void removeTensor(const std::string &name);

  std::vector<uint8_t> build() const;
};

/// Encoded blocks of pseudo-random bits whose scales are finite.
std::vector<uint8_t> randomBlocks(SourceType type, uint64_t elements, uint64_t seed);

/// A complete model: 1 layer (gemma3: 7), dim 64, 2 heads, 8 tokens, byte-level tokenizer. Matrices
/// have the given type; with 256-element blocks dim is 256.
GgufBuilder tinyModel(const std::string &architecture = "llama", SourceType type = SourceType::F32);

/// The same model cut into `parts` files.
std::vector<std::vector<uint8_t>> buildSplit(const GgufBuilder &whole, size_t parts);

/// A generator whose numbers are the same everywhere (SplitMix64).
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next();
  uint64_t below(uint64_t bound) { return next() % bound; }

private:
  uint64_t state;
};

} // namespace llmir::compiler::testing

#endif // LLMIR_UNITTESTS_IMPORT_GGUFBUILDER_H
