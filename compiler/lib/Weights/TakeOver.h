//===- TakeOver.h - Encodings that a layout holds as they are -------------===//
//
// The integers of these encodings go into the bundle unchanged, and with one exception so do their
// scales.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_WEIGHTS_TAKEOVER_H
#define LLMIR_LIB_WEIGHTS_TAKEOVER_H

#include "llmir/Import/ImportedModel.h"
#include "llmir_bundle.h"

namespace llmir::compiler {

enum class TakeOver {
  None,          ///< values must be requantized
  Exact,         ///< integers and scales stay
  RoundedScales, ///< integers stay, products of two scales are rounded to binary16 (Q4_K)
};

TakeOver takeOverKind(SourceType type, uint32_t layout, uint32_t group);

/// What llmir_matrix_set_integer_row takes; room for one row.
struct IntegerRow {
  std::vector<int8_t> q;
  std::vector<uint16_t> scales, mins;

  void resize(size_t columns, size_t groups) {
    q.resize(columns);
    scales.resize(groups);
    mins.resize(groups);
  }
};

/// Splits a row of `columns` elements into integers and scales; takeOverKind() must not be None.
void takeOverRow(SourceType type, uint32_t layout, const uint8_t *data, uint32_t columns,
                 IntegerRow &out);

} // namespace llmir::compiler

#endif // LLMIR_LIB_WEIGHTS_TAKEOVER_H
