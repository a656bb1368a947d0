//===- Vocabulary.h - Tokens as the runtime sees them ----------------------------------------===//
//
// The step between a TokenizerSpec and its tables: tokens as the bytes that they stand for, merges
// as ids, and what is looked up how.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_TOKENIZER_VOCABULARY_H
#define LLMIR_TOKENIZER_VOCABULARY_H

#include "llmir/Import/ImportedModel.h"
#include "llmir_bundle.h"

#include "llvm/Support/Error.h"

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

namespace llmir::compiler {

struct Merge {
  uint32_t left, right, merged;
};

struct Vocabulary {
  std::vector<std::string> bytes;                     ///< per token
  std::vector<uint8_t> info;                          ///< per token: class and marks
  std::unordered_map<std::string, uint32_t> textToId; ///< tokens that text may become
  std::vector<Merge> merges;                          ///< by rank
  std::vector<uint32_t> ranks;                        ///< SPM: per token, smaller merges first
  std::array<int32_t, 256> byteIds;                   ///< token of a byte or -1
  bool hasByteTokens = false;                         ///< SentencePiece: byte fallback
  uint32_t maxTokenBytes = 0;                         ///< of textToId
};

/// Resolves escapes, classes and merges. Errors: see compileTokenizer().
llvm::Expected<Vocabulary> makeVocabulary(const TokenizerSpec &spec);

/// Marks the tokens whose own bytes the runtime's merging would turn into just that token.
void markWholeWords(const TokenizerSpec &spec, Vocabulary &vocabulary);

/// An error with a message that begins with "tokenizer: ".
llvm::Error tokenizerError(const llvm::Twine &message);

} // namespace llmir::compiler

#endif // LLMIR_TOKENIZER_VOCABULARY_H
