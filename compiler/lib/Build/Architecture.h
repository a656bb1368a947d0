//===- Architecture.h - What tells decoder architectures apart --------------------------------===//
#ifndef LLMIR_LIB_BUILD_ARCHITECTURE_H
#define LLMIR_LIB_BUILD_ARCHITECTURE_H

#include "llmir/Import/ImportedModel.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace llmir::compiler {

enum class Presence { Never, Optional, Always };

/// A row of the table of architectures. All are decoders of norm, attention, norm and gated
/// feed-forward part with residual sums; the rest is numbers in ModelConfig.
struct Architecture {
  llvm::StringRef name; ///< as in GGUF files
  Presence qkvBias;     ///< blk.N.attn_{q,k,v}.bias
  Presence outputBias;  ///< blk.N.attn_output.bias
  Presence ffnBias;     ///< blk.N.ffn_{gate,up,down}.bias
  Presence headNorms;   ///< blk.N.attn_{q,k}_norm.weight, before the rotation
  Presence postNorms;   ///< blk.N.post_{attention,ffw}_norm.weight, before the residual sums
};

llvm::ArrayRef<Architecture> architectures();
const Architecture *findArchitecture(llvm::StringRef name);

/// Rotary frequencies in radians per position, one per pair. `windowLayer` asks for those of layers
/// with a window where the model has a base of their own, which is never scaled.
std::vector<float> ropeFrequencies(const ModelConfig &config, bool windowLayer);

} // namespace llmir::compiler

#endif // LLMIR_LIB_BUILD_ARCHITECTURE_H
