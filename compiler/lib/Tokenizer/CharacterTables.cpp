//===- CharacterTables.cpp - What Unicode says, as tables ------------------------------------===//
//
// The source is utf8proc; its Unicode version goes into the section. Hangul syllables are composed
// and decomposed by rule in the runtime and are in no table.
//
//===-----------------------------------------------------------------------------------------===//
#include "CharacterTables.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <tuple>

namespace llmir::compiler {

namespace {

constexpr uint32_t codeCount = 0x110000;
using Block = std::array<uint8_t, LLMIR_CHAR_BLOCK>;

bool isSurrogate(uint32_t code) { return code >= 0xd800 && code < 0xe000; }
bool isHangulSyllable(uint32_t code) { return code >= 0xac00 && code < 0xac00 + 11172; }

uint8_t classify(uint32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return LLMIR_CHAR_LETTER;
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO:
    return LLMIR_CHAR_NUMBER;
  case UTF8PROC_CATEGORY_ZS:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
    return LLMIR_CHAR_SPACE;
  default: // White_Space is Z and these controls
    return (code >= 9 && code <= 13) || code == 0x85 ? LLMIR_CHAR_SPACE : 0;
  }
}

/// Canonical decomposition; of a character without one, the character.
std::vector<utf8proc_int32_t> decompose(uint32_t code) {
  std::array<utf8proc_int32_t, 16> buffer;
  int boundary = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(code), buffer.data(), buffer.size(),
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
  if (count <= 0)
    return {static_cast<utf8proc_int32_t>(code)};
  return {buffer.begin(), buffer.begin() + count};
}

std::vector<utf8proc_int32_t> compose(std::vector<utf8proc_int32_t> codes) {
  const utf8proc_ssize_t count =
      utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  codes.resize(count < 0 ? 0 : static_cast<size_t>(count));
  return codes;
}

/// Fills the NFC tables and sets LLMIR_CHAR_NFC in `flags`: not a starter, changed by form C, or
/// able to join what stands before it.
void addNfc(CharacterTables &tables, std::vector<uint8_t> &flags) {
  for (uint32_t code = 0; code < codeCount; ++code) {
    if (isSurrogate(code) || isHangulSyllable(code))
      continue;
    const auto ccc = static_cast<uint8_t>(
        utf8proc_get_property(static_cast<utf8proc_int32_t>(code))->combining_class);
    const std::vector<utf8proc_int32_t> parts = decompose(code);
    const bool decomposes = parts.size() > 1 || static_cast<uint32_t>(parts[0]) != code;
    if (ccc != 0)
      flags[code] |= LLMIR_CHAR_NFC;
    if (ccc == 0 && !decomposes)
      continue;
    const auto length = static_cast<uint8_t>(decomposes ? parts.size() : 0);
    const auto first = static_cast<uint16_t>(length > 0 ? tables.nfcPool.size() : 0);
    tables.nfcChars.push_back({code, ccc, length, first});
    if (!decomposes)
      continue;
    tables.nfcPool.insert(tables.nfcPool.end(), parts.begin(), parts.end());
    const std::vector<utf8proc_int32_t> composed = compose(parts);
    if (composed.size() != 1 || static_cast<uint32_t>(composed[0]) != code) {
      flags[code] |= LLMIR_CHAR_NFC; // excluded from composition, so form C changes it
      continue;
    }
    // A primary composite: everything but the last part composes to one character first.
    const std::vector<utf8proc_int32_t> head = compose({parts.begin(), parts.end() - 1});
    const auto second = static_cast<uint32_t>(parts.back());
    tables.nfcPairs.push_back({static_cast<uint32_t>(head[0]), second, code});
    flags[second] |= LLMIR_CHAR_NFC;
  }
  for (uint32_t vowel = 0x1161; vowel < 0x1161 + 21; ++vowel)
    flags[vowel] |= LLMIR_CHAR_NFC;
  for (uint32_t trail = 0x11a8; trail < 0x11a8 + 27; ++trail)
    flags[trail] |= LLMIR_CHAR_NFC;
  std::sort(tables.nfcPairs.begin(), tables.nfcPairs.end(),
            [](const llmir_nfc_pair_t &a, const llmir_nfc_pair_t &b) {
              return std::tie(a.first, a.second) < std::tie(b.first, b.second);
            });
}

uint32_t unicodeVersion() {
  unsigned major = 0, minor = 0, patch = 0;
  std::sscanf(utf8proc_unicode_version(), "%u.%u.%u", &major, &minor, &patch);
  return major << 16 | minor << 8 | patch;
}

} // namespace

CharacterTables makeCharacterTables(bool withNfc) {
  CharacterTables tables;
  tables.unicodeVersion = unicodeVersion();
  std::vector<uint8_t> flags(codeCount);
  for (uint32_t code = 0; code < codeCount; ++code)
    flags[code] = isSurrogate(code) ? 0 : classify(code);
  if (withNfc)
    addNfc(tables, flags);
  std::map<Block, uint16_t> known;
  for (uint32_t begin = 0; begin < codeCount; begin += LLMIR_CHAR_BLOCK) {
    Block block;
    std::copy_n(flags.begin() + begin, LLMIR_CHAR_BLOCK, block.begin());
    const auto [it, isNew] = known.emplace(block, static_cast<uint16_t>(known.size()));
    if (isNew)
      tables.blocks.insert(tables.blocks.end(), block.begin(), block.end());
    tables.index.push_back(it->second);
  }
  return tables;
}

} // namespace llmir::compiler
