//===- CharacterTables.h - What Unicode says, as tables --------------------------------------===//
#ifndef LLMIR_TOKENIZER_CHARACTERTABLES_H
#define LLMIR_TOKENIZER_CHARACTERTABLES_H

#include "llmir_bundle.h"

#include <vector>

namespace llmir::compiler {

struct CharacterTables {
  uint32_t unicodeVersion = 0; ///< major << 16 | minor << 8 | patch
  std::vector<uint16_t> index;
  std::vector<uint8_t> blocks;
  std::vector<llmir_nfc_char_t> nfcChars;
  std::vector<uint32_t> nfcPool;
  std::vector<llmir_nfc_pair_t> nfcPairs;
};

/// Letters, numbers and white space; with `withNfc` also what normalisation to form C needs.
CharacterTables makeCharacterTables(bool withNfc);

} // namespace llmir::compiler

#endif // LLMIR_TOKENIZER_CHARACTERTABLES_H
