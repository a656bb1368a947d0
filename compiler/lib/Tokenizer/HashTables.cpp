//===- HashTables.cpp - Open addressing, laid out for the runtime ----------------------------===//
#include "HashTables.h"

#include <algorithm>
#include <map>

namespace llmir::compiler {

namespace {

/// Three fifths full: short probes for hits and for misses, which are the more frequent.
size_t firstSlotCount(size_t entries) { return entries * 5 / 3 + 1; }

/// Places entries of {hash, slot value} in order; grows until no look-up visits too many slots.
template <typename Slot>
HashTable<Slot> place(const std::vector<std::pair<uint32_t, Slot>> &entries, Slot empty) {
  HashTable<Slot> table;
  for (size_t count = firstSlotCount(entries.size());; count += count / 8 + 1) {
    table.slots.assign(count, empty);
    for (const auto &[hash, value] : entries) {
      size_t at = llmir_tokenizer_slot(hash, static_cast<uint32_t>(count));
      while (table.slots[at] != empty)
        at = at + 1 < count ? at + 1 : 0;
      table.slots[at] = value;
    }
    // The longest run of full slots bounds every look-up.
    size_t run = 0, longest = 0;
    for (size_t i = 0; i < 2 * count; ++i) {
      run = table.slots[i % count] == empty ? 0 : run + 1;
      longest = std::max(longest, run);
    }
    if (longest < LLMIR_TOKENIZER_MAX_PROBES) {
      table.probes = static_cast<uint32_t>(longest + 1);
      return table;
    }
  }
}

} // namespace

HashTable<uint32_t> hashTexts(const Vocabulary &vocabulary) {
  std::vector<uint32_t> ids;
  for (const auto &entry : vocabulary.textToId)
    ids.push_back(entry.second);
  std::sort(ids.begin(), ids.end());
  std::vector<std::pair<uint32_t, uint32_t>> entries;
  for (uint32_t id : ids) {
    const std::string &bytes = vocabulary.bytes[id];
    entries.emplace_back(llmir_tokenizer_hash_bytes(reinterpret_cast<const uint8_t *>(bytes.data()),
                                                    static_cast<uint32_t>(bytes.size())),
                         id);
  }
  return place<uint32_t>(entries, LLMIR_TOKENIZER_NO_TOKEN);
}

HashTable<uint64_t> hashMerges(const std::vector<Merge> &merges) {
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> rankOf;
  for (size_t rank = 0; rank < merges.size(); ++rank)
    rankOf[{merges[rank].left, merges[rank].right}] = rank;
  std::vector<std::pair<uint32_t, uint64_t>> entries;
  for (const auto &[pair, rank] : rankOf) {
    const uint64_t left = pair.first, right = pair.second;
    entries.emplace_back(llmir_tokenizer_hash_pair(pair.first, pair.second),
                         left << LLMIR_MERGE_LEFT_SHIFT | right << LLMIR_MERGE_RANK_BITS | rank);
  }
  // Frequent merges first, so that they lie where their look-up begins.
  std::sort(entries.begin(), entries.end(), [](const auto &a, const auto &b) {
    return (a.second & LLMIR_MERGE_RANK_MASK) < (b.second & LLMIR_MERGE_RANK_MASK);
  });
  return place<uint64_t>(entries, LLMIR_MERGE_SLOT_EMPTY);
}

} // namespace llmir::compiler
