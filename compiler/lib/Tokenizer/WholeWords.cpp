//===- WholeWords.cpp - Which tokens are their own encoding ----------------------------------===//
//
// Runs the runtime's merging on the bytes of every token. Where the result is the token itself the
// runtime may take it in one look-up, with the same result. Words are short here, so the merging is
// the plain one: the same order of candidates as core/tokenizer_merge.c, without its economy.
//
//===-----------------------------------------------------------------------------------------===//
#include "Vocabulary.h"

#include "llvm/Support/ConvertUTF.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <queue>
#include <tuple>

namespace llmir::compiler {

namespace {

struct RankedId {
  uint32_t rank, id;
};

struct Symbol {
  int64_t id; ///< -1: a character that is no token so far (SPM)
  size_t begin, end;
  int prev, next;
  bool dead = false;
};

class Merger {
public:
  using PairFn = std::function<std::optional<RankedId>(const Symbol &, const Symbol &)>;
  explicit Merger(PairFn pair) : pair(std::move(pair)) {}

  /// Merges until nothing is left to do; returns the id of a single remaining symbol, or -1.
  int64_t run(std::vector<Symbol> word) {
    symbols = std::move(word);
    candidates = {};
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      add(static_cast<int>(i));
    while (!candidates.empty()) {
      const auto [rank, left, id] = candidates.top();
      candidates.pop();
      if (symbols[left].dead || symbols[left].next < 0)
        continue;
      const auto now = pair(symbols[left], symbols[symbols[left].next]);
      if (now && now->id == id)
        merge(left, id);
    }
    return symbols.empty() || symbols[0].next >= 0 ? -1 : symbols[0].id;
  }

private:
  using Candidate = std::tuple<uint32_t, int, uint32_t>; // rank, left, id

  void add(int left) {
    if (left < 0 || symbols[left].next < 0)
      return;
    if (const auto found = pair(symbols[left], symbols[symbols[left].next]))
      candidates.emplace(found->rank, left, found->id);
  }

  void merge(int left, uint32_t id) {
    Symbol &l = symbols[left], &r = symbols[l.next];
    l.id = id;
    l.end = r.end;
    l.next = r.next;
    r.dead = true;
    if (l.next >= 0)
      symbols[l.next].prev = left;
    add(l.prev);
    add(left);
  }

  PairFn pair;
  std::vector<Symbol> symbols;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<Candidate>> candidates;
};

void link(std::vector<Symbol> &word) {
  for (size_t i = 0; i < word.size(); ++i) {
    word[i].prev = static_cast<int>(i) - 1;
    word[i].next = i + 1 < word.size() ? static_cast<int>(i) + 1 : -1;
  }
}

std::vector<Symbol> byteSymbols(const Vocabulary &vocabulary, const std::string &text) {
  std::vector<Symbol> word;
  for (size_t i = 0; i < text.size(); ++i) {
    const int32_t id = vocabulary.byteIds[static_cast<uint8_t>(text[i])];
    if (id >= 0)
      word.push_back({id, i, i + 1, 0, 0});
  }
  link(word);
  return word;
}

std::vector<Symbol> characterSymbols(const std::string &text) {
  std::vector<Symbol> word;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80)
      ++end;
    word.push_back({-1, i, end, 0, 0});
    i = end;
  }
  link(word);
  return word;
}

void markByteLevel(Vocabulary &vocabulary) {
  std::unordered_map<uint64_t, RankedId> merges;
  for (uint32_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const Merge &merge = vocabulary.merges[rank];
    merges[static_cast<uint64_t>(merge.left) << 32 | merge.right] = {rank, merge.merged};
  }
  Merger merger([&](const Symbol &left, const Symbol &right) -> std::optional<RankedId> {
    const auto it = merges.find(static_cast<uint64_t>(left.id) << 32 | right.id);
    return it == merges.end() ? std::nullopt : std::optional<RankedId>(it->second);
  });
  for (const auto &[text, id] : vocabulary.textToId)
    if (merger.run(byteSymbols(vocabulary, text)) == static_cast<int64_t>(id))
      vocabulary.info[id] |= LLMIR_TOKEN_WHOLE;
}

void markSentencePiece(Vocabulary &vocabulary) {
  const std::string *text = nullptr;
  Merger merger([&](const Symbol &left, const Symbol &right) -> std::optional<RankedId> {
    const auto it = vocabulary.textToId.find(text->substr(left.begin, right.end - left.begin));
    if (it == vocabulary.textToId.end())
      return std::nullopt;
    return RankedId{vocabulary.ranks[it->second], it->second};
  });
  for (const auto &[bytes, id] : vocabulary.textToId) {
    const auto *data = reinterpret_cast<const llvm::UTF8 *>(bytes.data());
    if (!llvm::isLegalUTF8String(&data, data + bytes.size()))
      continue; // an odd vocabulary; the token stays unmarked, which is always right
    text = &bytes;
    std::vector<Symbol> word = characterSymbols(bytes);
    if (word.size() == 1 || merger.run(std::move(word)) == static_cast<int64_t>(id))
      vocabulary.info[id] |= LLMIR_TOKEN_WHOLE;
  }
}

} // namespace

void markWholeWords(const TokenizerSpec &spec, Vocabulary &vocabulary) {
  if (spec.kind == TokenizerKind::SentencePieceBpe)
    return markSentencePiece(vocabulary);
  if (spec.kind != TokenizerKind::ByteLevelBpe)
    return;
  if (!spec.ignoreMerges)
    return markByteLevel(vocabulary);
  for (const auto &entry : vocabulary.textToId)
    vocabulary.info[entry.second] |= LLMIR_TOKEN_WHOLE;
}

} // namespace llmir::compiler
