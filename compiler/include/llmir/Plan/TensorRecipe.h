//===- TensorRecipe.h - How a tensor of the bundle is made of the source's
//---------------------===//
//
// What the weight packer has to do, in the order of the bundle's tensor table: operand indices of
// the PLAN section count these recipes. Free of MLIR, so that the packer can be tested alone.
//
//===-----------------------------------------------------------------------------------------===//
#ifndef LLMIR_PLAN_TENSORRECIPE_H
#define LLMIR_PLAN_TENSORRECIPE_H

#include "llmir_bundle.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmir::compiler {

/// How the parts of a recipe become one tensor.
enum class TensorHow {
  Constant,         ///< `constant` holds the values; no parts
  Plain,            ///< one part
  ConcatRows,       ///< the parts' rows one after the other, then padded to whole panels
  InterleavePanels, ///< two parts, each padded to whole panels of 16 rows with zeros; panel 2i is
                    ///< panel i of parts[0] (gate), panel 2i + 1 panel i of parts[1] (up)
};

/// One tensor of the source file and what happens to its rows first.
struct TensorPart {
  std::string name;  ///< key of ImportedModel::tensors
  uint32_t rows = 0; ///< its outermost dimension (elements of a vector)
  /// Rope permutation, 0: none. The rows are heads of `ropeHeadDim` rows each, whose first
  /// `ropeDim` rows hold pairs (2i, 2i + 1); in the result they lie as halves: out row i of a head
  /// is source row 2i, out row ropeDim / 2 + i is source row 2i + 1, the rest of the head stays.
  /// Vectors (biases, head norms) are permuted element by element the same way.
  uint32_t ropeHeadDim = 0;
  uint32_t ropeDim = 0;
};

struct TensorRecipe {
  std::string name;                    ///< in the bundle, "blk.0.attn_qkv.weight"
  uint32_t layout = LLMIR_LAYOUT_NONE; ///< llmir_layout_t
  uint32_t group = 0;                  ///< llmir_group_is_valid() for integer layouts, else 0
  std::vector<uint32_t> shape;         ///< as in llmir_tensor_record_t, outermost first, rank 1 or
                                       ///< 2; InterleavePanels: 2 * (part rows rounded up to 16)
  TensorHow how = TensorHow::Plain;
  std::vector<TensorPart> parts;
  std::vector<float> constant; ///< Constant: row-major values of `shape`, layout F32

  /// Rows as llmir_layout_bytes() counts them: all dimensions but the last; 1 for a vector.
  uint32_t rows() const { return shape.size() < 2 ? 1 : shape[0]; }
  uint32_t columns() const { return shape.empty() ? 0 : shape.back(); }
};

/// Source row that lands in row `row` of the part after its rope permutation.
inline uint32_t ropeSourceRow(const TensorPart &part, uint32_t row) {
  if (part.ropeHeadDim == 0)
    return row;
  uint32_t head = row / part.ropeHeadDim * part.ropeHeadDim;
  uint32_t inner = row - head, half = part.ropeDim / 2;
  if (inner >= part.ropeDim)
    return row;
  return head + (inner < half ? 2 * inner : 2 * (inner - half) + 1);
}

} // namespace llmir::compiler

#endif // LLMIR_PLAN_TENSORRECIPE_H
