//===- TokenizerTable.cpp - From a vocabulary to the TOKENIZER section -----------------------===//
#include "llmir/Tokenizer/TokenizerTable.h"

#include "CharacterTables.h"
#include "DoubleArray.h"
#include "HashTables.h"
#include "SectionBuilder.h"
#include "Vocabulary.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"

#include <limits>

using namespace llvm;

namespace llmir::compiler {

namespace {

/// Names that vocabularies use, and what they mean. Only names whose reference splits exactly so.
struct PreTokenizerName {
  const char *name;
  llmir_pretokenizer_t kind;
  bool nfc; ///< the reference normalises text first
};
constexpr PreTokenizerName preTokenizers[] = {
    {"codeshell", LLMIR_PRETOKENIZER_SMOLLM, false},
    {"deepseek-r1-qwen", LLMIR_PRETOKENIZER_QWEN2, false},
    {"gpt-2", LLMIR_PRETOKENIZER_GPT2, false},
    {"gpt2", LLMIR_PRETOKENIZER_GPT2, false},
    {"llama-bpe", LLMIR_PRETOKENIZER_LLAMA3, false},
    {"llama-v3", LLMIR_PRETOKENIZER_LLAMA3, false},
    {"llama3", LLMIR_PRETOKENIZER_LLAMA3, false},
    {"phi-2", LLMIR_PRETOKENIZER_GPT2, false},
    {"qwen2", LLMIR_PRETOKENIZER_QWEN2, true},
    {"refact", LLMIR_PRETOKENIZER_SMOLLM, false},
    {"smollm", LLMIR_PRETOKENIZER_SMOLLM, false},
    {"starcoder", LLMIR_PRETOKENIZER_SMOLLM, false},
};

Expected<PreTokenizerName> findPreTokenizer(StringRef name) {
  std::string known;
  for (const PreTokenizerName &entry : preTokenizers) {
    if (name == entry.name)
      return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return tokenizerError("pre-tokenizer '" + name + "' is not known; known are " + known);
}

using Bits = std::vector<uint8_t>; ///< [32], one bit for each byte value
void setBit(Bits &bits, char byte) {
  const auto value = static_cast<uint8_t>(byte);
  bits[value / 8] |= static_cast<uint8_t>(1u << value % 8);
}

class TokenizerCompiler {
public:
  TokenizerCompiler(const TokenizerSpec &spec, Vocabulary vocabulary)
      : spec(spec), vocabulary(std::move(vocabulary)) {}
  Expected<std::vector<uint8_t>> run();

private:
  void addTokens();
  void addSpecial();
  void addTextTable();
  Error addByteLevel();
  void addSentencePiece();
  void addUnigram();
  void addByteIds() {
    record.byte_ids =
        builder.append(std::vector<int32_t>(vocabulary.byteIds.begin(), vocabulary.byteIds.end()));
  }

  const TokenizerSpec &spec;
  Vocabulary vocabulary;
  llmir_tokenizer_record_t record = {};
  SectionBuilder<llmir_tokenizer_record_t> builder;
};

} // namespace

void TokenizerCompiler::addTokens() {
  std::vector<uint32_t> offsets;
  std::vector<char> bytes;
  for (const std::string &token : vocabulary.bytes) {
    offsets.push_back(static_cast<uint32_t>(bytes.size()));
    bytes.insert(bytes.end(), token.begin(), token.end());
  }
  offsets.push_back(static_cast<uint32_t>(bytes.size()));
  record.token_offsets = builder.append(offsets);
  record.token_bytes = builder.append(bytes);
  record.token_info = builder.append(vocabulary.info);
}

/// Control and user-defined tokens, and the unknown token's own text, which the reference knows as
/// well. Of equal texts the first counts.
void TokenizerCompiler::addSpecial() {
  std::map<std::string, uint32_t> texts;
  Bits first(32);
  for (uint32_t id = 0; id < spec.tokens.size(); ++id) {
    const TokenClass kind = spec.classes[id];
    const bool isSpecial = kind == TokenClass::Control || kind == TokenClass::UserDefined ||
                           kind == TokenClass::Unknown;
    if (!isSpecial || vocabulary.bytes[id].empty())
      continue;
    texts.emplace(vocabulary.bytes[id], id);
    setBit(first, vocabulary.bytes[id].front());
  }
  if (texts.empty())
    return;
  record.special_first = builder.append(first);
  record.special_nodes = builder.append(buildDoubleArray(texts));
}

void TokenizerCompiler::addTextTable() {
  const HashTable<uint32_t> texts = hashTexts(vocabulary);
  record.text_slots = builder.append(texts.slots);
  record.text_probes = texts.probes;
}

Error TokenizerCompiler::addByteLevel() {
  Expected<PreTokenizerName> splitter = findPreTokenizer(spec.preTokenizer);
  if (!splitter)
    return splitter.takeError();
  record.pretokenizer = splitter->kind;
  record.flags |= splitter->nfc ? LLMIR_TOKENIZER_NFC : 0;
  addTextTable();
  addByteIds();
  const HashTable<uint64_t> merges = hashMerges(vocabulary.merges);
  std::vector<uint32_t> ids;
  for (const Merge &merge : vocabulary.merges)
    ids.push_back(merge.merged);
  record.merge_count = static_cast<uint32_t>(ids.size());
  record.merge_slots = builder.append(merges.slots);
  record.merge_probes = merges.probes;
  record.merge_ids = builder.append(ids);
  const CharacterTables characters = makeCharacterTables(splitter->nfc);
  record.unicode_version = characters.unicodeVersion;
  record.char_index = builder.append(characters.index);
  record.char_blocks = builder.append(characters.blocks);
  record.nfc_chars = builder.append(characters.nfcChars);
  record.nfc_pool = builder.append(characters.nfcPool);
  record.nfc_pairs = builder.append(characters.nfcPairs);
  return Error::success();
}

/// What both SentencePiece kinds need.
void TokenizerCompiler::addSentencePiece() {
  record.flags |= spec.addSpacePrefix ? LLMIR_TOKENIZER_SPACE_PREFIX : 0;
  record.flags |= spec.removeExtraWhitespace ? LLMIR_TOKENIZER_TRIM_SPACES : 0;
  if (vocabulary.hasByteTokens) {
    record.flags |= LLMIR_TOKENIZER_BYTE_FALLBACK;
    addByteIds();
  }
  Bits joins(32);
  for (const auto &[text, id] : vocabulary.textToId)
    for (size_t i = 1; i < text.size(); ++i)
      if (text[i] == ' ')
        setBit(joins, text[i - 1]);
  record.space_joins = builder.append(joins);
}

void TokenizerCompiler::addUnigram() {
  float least = 0.0f;
  std::map<std::string, uint32_t> texts;
  for (const auto &[text, id] : vocabulary.textToId) {
    texts.emplace(text, id);
    least = std::min(least, spec.scores[id]);
  }
  record.unknown_score = least - 10.0f; // the penalty of SentencePiece
  record.token_scores = builder.append(spec.scores);
  record.vocab_nodes = builder.append(buildDoubleArray(texts));
}

Expected<std::vector<uint8_t>> TokenizerCompiler::run() {
  record.record_bytes = sizeof(record);
  record.token_count = static_cast<uint32_t>(spec.tokens.size());
  record.max_token_bytes = vocabulary.maxTokenBytes;
  record.bos_id = spec.bos;
  record.eos_id = spec.eos;
  record.unknown_id = spec.unknown;
  record.padding_id = spec.padding;
  record.flags =
      (spec.addBos ? LLMIR_TOKENIZER_ADD_BOS : 0) | (spec.addEos ? LLMIR_TOKENIZER_ADD_EOS : 0);
  addTokens();
  addSpecial();
  switch (spec.kind) {
  case TokenizerKind::ByteLevelBpe:
    record.kind = LLMIR_TOKENIZER_BPE;
    if (Error error = addByteLevel())
      return error;
    break;
  case TokenizerKind::SentencePieceBpe:
    record.kind = LLMIR_TOKENIZER_SPM;
    addSentencePiece();
    addTextTable();
    record.token_ranks = builder.append(vocabulary.ranks);
    break;
  case TokenizerKind::SentencePieceUnigram:
    record.kind = LLMIR_TOKENIZER_UNIGRAM;
    addSentencePiece();
    addUnigram();
    break;
  }
  return builder.finish(record);
}

Expected<std::vector<uint8_t>> compileTokenizer(const TokenizerSpec &spec) {
  if (!spec.normalizerCharsMap.empty())
    return tokenizerError("the vocabulary normalises text by a table of its own (precompiled "
                          "charsmap), which is not supported");
  Expected<Vocabulary> vocabulary = makeVocabulary(spec);
  if (!vocabulary)
    return vocabulary.takeError();
  markWholeWords(spec, *vocabulary);
  return TokenizerCompiler(spec, std::move(*vocabulary)).run();
}

} // namespace llmir::compiler
