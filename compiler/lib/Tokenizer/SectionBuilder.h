//===- SectionBuilder.h - Tables one after the other -----------------------------------------===//
//
// Collects the tables of a section behind its record, each at a multiple of 8 bytes.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_TOKENIZER_SECTIONBUILDER_H
#define LLMIR_TOKENIZER_SECTIONBUILDER_H

#include "llmir_bundle.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace llmir::compiler {

template <typename Record> class SectionBuilder {
public:
  SectionBuilder() : bytes(sizeof(Record)) {}

  /// Appends a table of PODs. The caller keeps sections below 4 GiB (see compileTokenizer).
  template <typename T> llmir_bundle_range_t append(const std::vector<T> &table) {
    if (table.empty())
      return {0, 0};
    bytes.resize((bytes.size() + 7) / 8 * 8);
    const llmir_bundle_range_t range = {static_cast<uint32_t>(bytes.size()),
                                        static_cast<uint32_t>(table.size() * sizeof(T))};
    bytes.resize(bytes.size() + range.bytes);
    std::memcpy(bytes.data() + range.offset, table.data(), range.bytes);
    return range;
  }

  std::vector<uint8_t> finish(const Record &record) {
    std::memcpy(bytes.data(), &record, sizeof(Record));
    return std::move(bytes);
  }

private:
  std::vector<uint8_t> bytes;
};

} // namespace llmir::compiler

#endif // LLMIR_TOKENIZER_SECTIONBUILDER_H
