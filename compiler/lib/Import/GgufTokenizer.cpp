//===- GgufTokenizer.cpp - Tokenizer and chat template from GGUF metadata ---===//
//
// Defaults follow llama.cpp, kind by kind, because files rely on them. Ids outside of the
// vocabulary are treated as absent, as there: old converters wrote such padding ids.
//
//===----------------------------------------------------------------------===//
#include "GgufModel.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;
namespace llmir::compiler {

namespace {
/// Texts that end a turn wherever they appear in a vocabulary.
const char *const turnEnds[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_utterance>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>", // DeepSeek
};

class TokenizerReader {
public:
  TokenizerReader(GgufKeys &keys, TokenizerSpec &spec) : keys(keys), spec(spec) {}

  Error run(int64_t vocabCount) {
    readKind();
    if (!keys.failed())
      readTokens(vocabCount);
    if (!keys.failed() && spec.kind == TokenizerKind::ByteLevelBpe)
      readMerges();
    if (!keys.failed())
      readFlags();
    if (!keys.failed())
      readEndTokens();
    return keys.takeError();
  }

private:
  static constexpr const char *prefix = "tokenizer.ggml.";
  std::string key(StringRef suffix) const { return (Twine(prefix) + suffix).str(); }
  void readKind();
  void readTokens(int64_t vocabCount);
  void readClasses();
  void readMerges();
  void readFlags();
  void readEndTokens();
  void readCharsMap();
  int32_t idOr(StringRef suffix, int32_t otherwise);

  GgufKeys &keys;
  TokenizerSpec &spec;
};
} // namespace

/// Sets the kind and all defaults that depend on it.
void TokenizerReader::readKind() {
  const std::string model = keys.stringOr(key("model"), "");
  spec.preTokenizer = keys.stringOr(key("pre"), "default");
  if (model == "gpt2") {
    spec.kind = TokenizerKind::ByteLevelBpe;
    static const StringRef wholeWords[] = {"llama3",   "llama-v3",  "llama-bpe",
                                           "falcon3",  "falcon-h1", "pixtral",
                                           "midm-2.0", "lfm2",      "tekken"};
    spec.ignoreMerges = spec.addBos = is_contained(wholeWords, spec.preTokenizer);
  } else if (model == "llama") {
    spec.kind = TokenizerKind::SentencePieceBpe;
    spec.addBos = spec.addSpacePrefix = true;
    spec.bos = 1;
    spec.eos = 2;
    spec.unknown = 0;
  } else if (model == "t5") {
    spec.kind = TokenizerKind::SentencePieceUnigram;
    spec.addEos = true;
    spec.eos = 1;
    spec.unknown = 2;
    spec.padding = 0;
  } else {
    keys.fail(key("model"),
              "found '" + printable(model) + "', expected one of gpt2, llama, t5, none");
  }
}

void TokenizerReader::readTokens(int64_t vocabCount) {
  spec.tokens = keys.stringArray(key("tokens"));
  if (!keys.failed() &&
      (spec.tokens.empty() || spec.tokens.size() > static_cast<uint64_t>(vocabCount)))
    keys.fail(key("tokens"), "found " + Twine(spec.tokens.size()) + " tokens, expected 1 to " +
                                 Twine(vocabCount) + ", the rows of 'token_embd.weight'");
  if (keys.failed())
    return;
  if (spec.kind != TokenizerKind::ByteLevelBpe) {
    spec.scores = keys.floatArray(key("scores"));
    if (!keys.has(key("scores")))
      spec.scores.assign(spec.tokens.size(), 0.0f);
    if (!keys.failed() && spec.scores.size() != spec.tokens.size())
      keys.fail(key("scores"), "found " + Twine(spec.scores.size()) + " scores, expected " +
                                   Twine(spec.tokens.size()));
  }
  readClasses();
}

void TokenizerReader::readClasses() {
  // Numbered as in the file; 0 is "undefined", which tokenizes like a normal token.
  static const TokenClass classes[] = {
      TokenClass::Normal,      TokenClass::Normal, TokenClass::Unknown, TokenClass::Control,
      TokenClass::UserDefined, TokenClass::Unused, TokenClass::Byte};
  spec.classes.assign(spec.tokens.size(), TokenClass::Normal);
  if (!keys.has(key("token_type")))
    return;
  const std::vector<int64_t> numbers = keys.intArray(key("token_type"));
  if (!keys.failed() && numbers.size() != spec.tokens.size())
    keys.fail(key("token_type"),
              "found " + Twine(numbers.size()) + " types, expected " + Twine(spec.tokens.size()));
  for (size_t i = 0; i < numbers.size() && !keys.failed(); ++i) {
    if (numbers[i] < 0 || numbers[i] >= static_cast<int64_t>(std::size(classes)))
      keys.fail(key("token_type"),
                "found " + Twine(numbers[i]) + " for token " + Twine(i) + ", expected 0 to 6");
    else
      spec.classes[i] = classes[numbers[i]];
  }
}

void TokenizerReader::readMerges() {
  if (!keys.has(key("merges")))
    keys.fail(key("merges"), "missing, expected an array of strings");
  spec.merges = keys.stringArray(key("merges"));
  for (size_t i = 0; i < spec.merges.size() && !keys.failed(); ++i) {
    // The separator is the first blank after the first byte: a left part may itself be a blank.
    const size_t blank = spec.merges[i].find(' ', 1);
    if (blank == std::string::npos || blank + 1 >= spec.merges[i].size())
      keys.fail(key("merges"), "merge " + Twine(i) + " is '" + printable(spec.merges[i]) +
                                   "', expected two parts");
  }
}

int32_t TokenizerReader::idOr(StringRef suffix, int32_t otherwise) {
  const uint64_t none = UINT32_MAX;
  const uint64_t id = keys.unsignedOr(key(suffix), none, INT64_MAX);
  if (id < spec.tokens.size())
    return static_cast<int32_t>(id);
  return otherwise < static_cast<int64_t>(spec.tokens.size()) ? otherwise : -1;
}

void TokenizerReader::readFlags() {
  spec.bos = idOr("bos_token_id", spec.bos);
  spec.eos = idOr("eos_token_id", spec.eos);
  spec.unknown = idOr("unknown_token_id", spec.unknown);
  spec.padding = idOr("padding_token_id", spec.padding);
  spec.addBos = keys.boolOr(key("add_bos_token"), spec.addBos);
  spec.addEos = keys.boolOr(key("add_eos_token"), spec.addEos);
  spec.addSpacePrefix = keys.boolOr(key("add_space_prefix"), spec.addSpacePrefix);
  spec.removeExtraWhitespace =
      keys.boolOr(key("remove_extra_whitespaces"), spec.removeExtraWhitespace);
  if (spec.kind == TokenizerKind::SentencePieceUnigram && keys.has(key("precompiled_charsmap")))
    readCharsMap();
}

void TokenizerReader::readCharsMap() {
  for (int64_t byte : keys.intArray(key("precompiled_charsmap"))) {
    if (byte < -128 || byte > 255) {
      keys.fail(key("precompiled_charsmap"), "found " + Twine(byte) + ", expected bytes");
      return;
    }
    spec.normalizerCharsMap.push_back(static_cast<char>(byte));
  }
}

/// Ends of a turn: what the file names, and the well-known texts. The latter are control tokens
/// even if the file forgot to say so.
void TokenizerReader::readEndTokens() {
  std::vector<int32_t> &ends = spec.endTokens;
  const auto add = [&](int32_t id) {
    if (id >= 0 && !is_contained(ends, id))
      ends.push_back(id);
  };
  add(spec.eos);
  add(idOr("eot_token_id", -1));
  add(idOr("eom_token_id", -1));
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!is_contained(turnEnds, StringRef(spec.tokens[id])))
      continue;
    spec.classes[id] = TokenClass::Control;
    add(static_cast<int32_t>(id));
  }
  // Harmony: <|end|> closes a message inside a turn there, and <|return|> or <|calls|> the turn.
  const auto idOf = [&](StringRef text) {
    auto it = llvm::find(spec.tokens, text);
    return it == spec.tokens.end() ? -1 : static_cast<int32_t>(it - spec.tokens.begin());
  };
  if (idOf("<|end|>") >= 0 && (idOf("<|return|>") >= 0 || idOf("<|calls|>") >= 0))
    llvm::erase(ends, idOf("<|end|>"));
  llvm::sort(ends);
}

Error readGgufTokenizer(GgufKeys &keys, ImportedModel &model) {
  model.chatTemplate = keys.stringOr("tokenizer.chat_template", "");
  const std::string kind = keys.stringOr("tokenizer.ggml.model", "none");
  if (Error error = keys.takeError())
    return error;
  if (kind == "none" || kind == "no_vocab")
    return Error::success();
  model.hasTokenizer = true;
  return TokenizerReader(keys, model.tokenizer).run(model.config.vocabCount);
}

} // namespace llmir::compiler
