//===- ImportedModel.h - What every front end delivers --------------------===//
//
// A model read from a file, before it becomes IR: hyper-parameters, tensors as they lie in the
// file, tokenizer vocabulary and chat template. Front ends fill it; the graph builder, the weight
// packer and the table compilers read it. Free of MLIR, so that each can be tested alone.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_IMPORT_IMPORTEDMODEL_H
#define LLMIR_IMPORT_IMPORTEDMODEL_H

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace llmir::compiler {

/// Element encodings of source tensors; names and block layouts as in the GGUF specification.
enum class SourceType {
  F32,
  F16,
  BF16,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K
};

/// A tensor as it lies in the source file; `data` is borrowed from ImportedModel::storage.
struct SourceTensor {
  std::string name;
  SourceType type = SourceType::F32;
  std::vector<int64_t> shape; ///< outermost first: a matrix is [outputs, inputs]
  const uint8_t *data = nullptr;
  size_t bytes = 0;
};

enum class RopeScaling { None, Linear, Llama3, Yarn };
enum class Activation { Silu, GeluTanh };

/// Hyper-parameters in the terms of the graph builder, defaults resolved.
struct ModelConfig {
  std::string architecture; ///< "llama", "qwen2", "qwen3", "gemma3"
  std::string name;
  int64_t vocabCount = 0, contextCount = 0, embeddingCount = 0, layerCount = 0;
  int64_t qHeadCount = 0, kvHeadCount = 0, headDim = 0, ffnCount = 0;
  double normEpsilon = 1e-5;
  Activation activation = Activation::Silu;
  int64_t ropeDim = 0;
  bool ropeInterleaved =
      false; ///< pairs (2i, 2i+1) in the file; the weights are permuted to halves
  double ropeBase = 10000.0;
  double ropeLocalBase = 0.0;                  ///< of window layers, 0: same as ropeBase
  RopeScaling ropeScaling = RopeScaling::None; ///< window layers with their own base: never scaled
  double ropeScaleFactor = 1.0;
  double ropeOriginalContext = 0.0;               ///< Yarn and Llama3
  double ropeBetaFast = 32.0, ropeBetaSlow = 1.0; ///< Yarn: rotations at the ends of its ramp
  double ropeAttentionFactor = 1.0; ///< multiplies cosines and sines, Yarn's 1 + 0.1 ln(s) included
  std::vector<float>
      ropeFrequencyFactors;        ///< divides the frequencies (Llama 3's rope_freqs), empty: none
  int64_t window = 0;              ///< tokens; 0: no window layers
  std::vector<bool> layerIsWindow; ///< per layer; empty: none
  double embeddingScale = 1.0;
  double attentionScale = 0.0; ///< 0: 1 / sqrt(headDim)
  double finalSoftCap = 0.0, attentionSoftCap = 0.0;
  bool tiedOutput = false; ///< no "output.weight": the logits use "token_embd.weight"
};

enum class TokenizerKind { ByteLevelBpe, SentencePieceBpe, SentencePieceUnigram };
enum class TokenClass { Normal, Unknown, Control, UserDefined, Unused, Byte };

struct TokenizerSpec {
  TokenizerKind kind = TokenizerKind::ByteLevelBpe;
  std::string preTokenizer;        ///< "gpt-2", "smollm", "llama-bpe", "qwen2", ...
  std::vector<std::string> tokens; ///< as in the source (byte-level alphabet for ByteLevelBpe)
  std::vector<float> scores;       ///< SentencePiece only
  std::vector<TokenClass> classes;
  std::vector<std::string> merges; ///< "left right", by rank
  int32_t bos = -1, eos = -1, unknown = -1, padding = -1;
  std::vector<int32_t> endTokens; ///< all ids that end a turn (eos, eot, eom)
  bool addBos = false, addEos = false, addSpacePrefix = false, removeExtraWhitespace = false;
  bool ignoreMerges = false;      ///< a word that is a token is taken whole (Llama 3, Tekken)
  std::string normalizerCharsMap; ///< unigram: SentencePiece's precompiled table, empty: none
};

struct ImportedModel {
  std::string source; ///< file name without its folder, for messages and the report
  ModelConfig config;
  TokenizerSpec tokenizer;
  bool hasTokenizer = false;
  std::string chatTemplate; ///< Jinja source, empty: none
  std::map<std::string, SourceTensor>
      tensors; ///< by the GGUF convention's names: "blk.0.attn_q.weight"
  std::vector<std::shared_ptr<void>> storage; ///< keeps the mapped files alive
};

} // namespace llmir::compiler

#endif // LLMIR_IMPORT_IMPORTEDMODEL_H
