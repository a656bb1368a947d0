//===- HashTables.h - Open addressing, laid out for the runtime ------------------------------===//
#ifndef LLMIR_TOKENIZER_HASHTABLES_H
#define LLMIR_TOKENIZER_HASHTABLES_H

#include "Vocabulary.h"

#include <vector>

namespace llmir::compiler {

template <typename Slot> struct HashTable {
  std::vector<Slot> slots;
  uint32_t probes = 0; ///< most slots that a look-up visits, the empty one at the end included
};

/// From token bytes to ids: llmir_tokenizer_record_t::text_slots.
HashTable<uint32_t> hashTexts(const Vocabulary &vocabulary);

/// From pairs to ranks: merge_slots. Of equal pairs the last counts, as in the reference.
HashTable<uint64_t> hashMerges(const std::vector<Merge> &merges);

} // namespace llmir::compiler

#endif // LLMIR_TOKENIZER_HASHTABLES_H
