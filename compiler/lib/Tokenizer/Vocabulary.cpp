//===- Vocabulary.cpp - Token bytes, classes and merges --------------------------------------===//
#include "Vocabulary.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace llmir::compiler {

Error tokenizerError(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), "tokenizer: " + message);
}

namespace {

constexpr uint64_t maxVocabularyBytes = uint64_t(1) << 30;

/// The byte-level alphabet of GPT-2: printable Latin-1 characters stand for themselves, the other
/// bytes for U+0100 and up, in order. All of it is below U+0144.
class ByteAlphabet {
public:
  ByteAlphabet() {
    byteOf.fill(-1);
    unsigned next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      byteOf[printable ? byte : next++] = static_cast<int16_t>(byte);
    }
  }

  /// False if a character is not of the alphabet.
  bool decode(StringRef token, std::string &out) const {
    out.clear();
    for (size_t i = 0; i < token.size();) {
      unsigned code = static_cast<uint8_t>(token[i++]);
      if (code >= 0x80) {
        if ((code & 0xe0) != 0xc0 || i == token.size())
          return false;
        code = (code & 0x1f) << 6 | (static_cast<uint8_t>(token[i++]) & 0x3f);
      }
      if (code >= byteOf.size() || byteOf[code] < 0)
        return false;
      out.push_back(static_cast<char>(byteOf[code]));
    }
    return true;
  }

private:
  std::array<int16_t, 0x144> byteOf;
};

uint8_t classNumber(TokenClass kind) {
  switch (kind) {
  case TokenClass::Normal:
    return LLMIR_TOKEN_NORMAL;
  case TokenClass::Unknown:
    return LLMIR_TOKEN_UNKNOWN;
  case TokenClass::Control:
    return LLMIR_TOKEN_CONTROL;
  case TokenClass::UserDefined:
    return LLMIR_TOKEN_USER_DEFINED;
  case TokenClass::Unused:
    return LLMIR_TOKEN_UNUSED;
  case TokenClass::Byte:
    return LLMIR_TOKEN_BYTE;
  }
  return 0;
}

/// "\u2581" -> " ".
std::string unescapeSpaces(StringRef token) {
  std::string out;
  while (!token.empty()) {
    if (token.consume_front("\xe2\x96\x81"))
      out.push_back(' ');
    else {
      out.push_back(token.front());
      token = token.drop_front();
    }
  }
  return out;
}

/// "<0x0A>" -> 10, or -1.
int parseByteToken(StringRef token) {
  unsigned value = 0;
  if (token.size() != 6 || !token.consume_front("<0x") || !token.consume_back(">") ||
      token.getAsInteger(16, value))
    return -1;
  return static_cast<int>(value);
}

class VocabularyMaker {
public:
  explicit VocabularyMaker(const TokenizerSpec &spec) : spec(spec) {}
  Expected<Vocabulary> run();

private:
  Error checkCounts() const;
  Error addToken(uint32_t id);
  Error addMerges();
  Error addRanks();
  Error addEnds();
  void addText(uint32_t id);
  bool isByteLevel() const { return spec.kind == TokenizerKind::ByteLevelBpe; }

  const TokenizerSpec &spec;
  Vocabulary out;
  ByteAlphabet alphabet;
};

} // namespace

Error VocabularyMaker::checkCounts() const {
  const size_t count = spec.tokens.size();
  if (count == 0 || count > LLMIR_TOKENIZER_MAX_TOKENS)
    return tokenizerError(Twine(count) + " tokens, expected 1 to " +
                          Twine(LLMIR_TOKENIZER_MAX_TOKENS));
  if (spec.classes.size() != count)
    return tokenizerError(Twine(spec.classes.size()) + " token classes, expected " + Twine(count));
  if (!isByteLevel() && spec.scores.size() != count)
    return tokenizerError(Twine(spec.scores.size()) + " scores, expected " + Twine(count));
  if (spec.merges.size() > LLMIR_TOKENIZER_MAX_MERGES)
    return tokenizerError(Twine(spec.merges.size()) + " merges, expected at most " +
                          Twine(LLMIR_TOKENIZER_MAX_MERGES));
  uint64_t bytes = 0; // offsets of a section are 32 bits wide
  for (const std::string &token : spec.tokens)
    bytes += token.size();
  if (bytes > maxVocabularyBytes)
    return tokenizerError("tokens of " + Twine(bytes) + " bytes, expected at most " +
                          Twine(maxVocabularyBytes));
  const std::pair<StringRef, int32_t> ids[] = {{"begin-of-text", spec.bos},
                                               {"end-of-text", spec.eos},
                                               {"unknown", spec.unknown},
                                               {"padding", spec.padding}};
  for (const auto &[name, id] : ids)
    if (id < -1 || id >= static_cast<int64_t>(count))
      return tokenizerError(Twine(name) + " id " + Twine(id) + ", expected -1 to " +
                            Twine(count - 1));
  return Error::success();
}

/// Of two tokens with the same bytes text becomes the first.
void VocabularyMaker::addText(uint32_t id) {
  const std::string &bytes = out.bytes[id];
  if (bytes.empty())
    return;
  out.textToId.emplace(bytes, id);
  out.maxTokenBytes = std::max(out.maxTokenBytes, static_cast<uint32_t>(bytes.size()));
}

Error VocabularyMaker::addToken(uint32_t id) {
  const std::string &token = spec.tokens[id];
  const TokenClass kind = spec.classes[id];
  std::string bytes = token;
  if (kind == TokenClass::Normal) {
    if (!isByteLevel())
      bytes = unescapeSpaces(token);
    else if (!alphabet.decode(token, bytes))
      bytes = token; // as the reference: a token with another character stands for itself
  } else if (kind == TokenClass::Byte && !isByteLevel()) {
    const int byte = parseByteToken(token);
    if (byte < 0)
      return tokenizerError("byte token " + Twine(id) + " is '" + token + "', expected '<0xNN>'");
    bytes.assign(1, static_cast<char>(byte));
    out.byteIds[byte] = static_cast<int32_t>(id);
    out.hasByteTokens = true;
  }
  if (bytes.size() > LLMIR_TOKENIZER_MAX_TOKEN_BYTES)
    return tokenizerError("token " + Twine(id) + " has " + Twine(bytes.size()) +
                          " bytes, expected at most " + Twine(LLMIR_TOKENIZER_MAX_TOKEN_BYTES));
  out.bytes.push_back(std::move(bytes));
  out.info.push_back(classNumber(kind));
  if (kind == TokenClass::Normal)
    addText(id);
  return Error::success();
}

/// Merges name tokens in the source's spelling. The separator is the first space after the first
/// byte, because a left part may itself be a space.
Error VocabularyMaker::addMerges() {
  std::unordered_map<std::string, uint32_t> idOf;
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    idOf.emplace(spec.tokens[id], id);
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const std::string &merge = spec.merges[rank];
    const size_t space = merge.size() < 3 ? std::string::npos : merge.find(' ', 1);
    if (space == std::string::npos || space + 1 == merge.size())
      return tokenizerError("merge " + Twine(rank) + " is '" + merge + "', expected two parts");
    const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
    const auto leftIt = idOf.find(left), rightIt = idOf.find(right),
               mergedIt = idOf.find(left + right);
    if (leftIt == idOf.end() || rightIt == idOf.end() || mergedIt == idOf.end())
      return tokenizerError("merge " + Twine(rank) + " is '" + merge +
                            "', but not all of its parts and result are tokens");
    out.merges.push_back({leftIt->second, rightIt->second, mergedIt->second});
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto it = out.textToId.find(std::string(1, static_cast<char>(byte)));
    out.byteIds[byte] = it == out.textToId.end() ? -1 : static_cast<int32_t>(it->second);
  }
  return Error::success();
}

/// Equal scores share a rank, so that the leftmost of equals merges first.
Error VocabularyMaker::addRanks() {
  std::vector<float> scores;
  for (uint32_t id = 0; id < spec.tokens.size(); ++id) {
    if (!std::isfinite(spec.scores[id]))
      return tokenizerError("score of token " + Twine(id) + " is not a finite number");
    if (spec.classes[id] == TokenClass::Normal)
      scores.push_back(spec.scores[id]);
  }
  std::sort(scores.begin(), scores.end(), std::greater<float>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  for (float score : spec.scores)
    out.ranks.push_back(static_cast<uint32_t>(
        std::lower_bound(scores.begin(), scores.end(), score, std::greater<float>()) -
        scores.begin()));
  return Error::success();
}

Error VocabularyMaker::addEnds() {
  for (int32_t id : spec.endTokens) {
    if (id < 0 || id >= static_cast<int64_t>(spec.tokens.size()))
      return tokenizerError("end token " + Twine(id) + ", expected 0 to " +
                            Twine(spec.tokens.size() - 1));
    out.info[id] |= LLMIR_TOKEN_END;
  }
  if (spec.eos >= 0)
    out.info[spec.eos] |= LLMIR_TOKEN_END;
  return Error::success();
}

Expected<Vocabulary> VocabularyMaker::run() {
  if (Error error = checkCounts())
    return error;
  out.byteIds.fill(-1);
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (Error error = addToken(id))
      return error;
  if (Error error = isByteLevel() ? addMerges() : addRanks())
    return error;
  if (Error error = addEnds())
    return error;
  return out;
}

Expected<Vocabulary> makeVocabulary(const TokenizerSpec &spec) {
  return VocabularyMaker(spec).run();
}

} // namespace llmir::compiler
