//===- GgufModel.h - From GGUF metadata and tensors to an ImportedModel ---===//
//
// The steps between the container (GgufFile.h) and the front end's result (Gguf.cpp runs them).
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_IMPORT_GGUFMODEL_H
#define LLMIR_LIB_IMPORT_GGUFMODEL_H

#include "GgufFile.h"

namespace llmir::compiler {

enum class Presence { None, Optional, Required };

/// What the metadata of an architecture leaves unsaid.
struct GgufArchitecture {
  const char *name;
  bool ropeInterleaved; ///< q and k rows pair 2i with 2i + 1
  Activation activation;
  bool scaledEmbedding;  ///< embeddings times sqrt(dim)
  uint32_t windowPeriod; ///< every n-th layer is global when a window is given; 0: no window layers
  Presence qkvBias, otherBias, qkNorm, postNorms, frequencyFactors;
};

llvm::ArrayRef<GgufArchitecture> ggufArchitectures();

/// Finds the file's architecture; an unknown one is an error that lists the known.
llvm::Expected<const GgufArchitecture *> ggufArchitecture(GgufKeys &keys);

/// Fills the hyper-parameters from metadata; `tensorCount` bounds the number of layers.
llvm::Error readGgufConfig(GgufKeys &keys, const GgufArchitecture &architecture,
                           uint64_t tensorCount, ModelConfig &config);

/// Fills tokenizer and chat template.
llvm::Error readGgufTokenizer(GgufKeys &keys, ImportedModel &model);

/// Compares the tensors with those that the architecture has: unknown, missing and misshapen ones
/// are errors. Takes the vocabulary's size, the tied output and the rope factors from them.
llvm::Error checkGgufTensors(llvm::StringRef fileName, const GgufArchitecture &architecture,
                             ImportedModel &model);

} // namespace llmir::compiler

#endif // LLMIR_LIB_IMPORT_GGUFMODEL_H
