//===- Panels.h - Weights as kernels read them ----------------------------===//
//
// Where a row's columns lie in the panels of quant/quant_layout.h, in 32-bit words.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_PANELS_H
#define LLMIR_LIB_GPUKERNELS_PANELS_H

#include "KernelBuilder.h"

namespace llmir::compiler {

class Panels {
public:
  Panels(KernelBuilder &kernel, uint32_t binding, uint32_t layout, uint32_t group,
         uint32_t columns);

  bool isInteger() const;
  bool isNibbles() const;
  uint32_t chunkWords() const; ///< of 32 columns of integers
  uint32_t blockWords() const;
  uint32_t panelWords() const;
  /// Words from the start of a block to its scales.
  uint32_t scaleWords() const;

  /// A word of integers: where its block begins, where it lies itself, and the row in the panel.
  struct Place {
    Val block, word, lane;
  };

  /// The word that holds `column` of a row, and for nibbles that column + 16.
  Place place(Val row, Val column);
  Val integers(const Place &place) { return k.load(binding, place.word); }
  Val scale(const Place &place) { return lanesHalf(place.block + scaleWords(), place.lane); }
  Val minimum(const Place &place) { return lanesHalf(place.block + scaleWords() + 8, place.lane); }

  /// Element of a layout of floats.
  Val number(Val row, Val column);
  /// Element `element` of an array of the layout's floats that begins at word `base`.
  Val numberAt(Val base, Val element);

private:
  Val lanesHalf(Val base, Val lane);

  KernelBuilder &k;
  uint32_t binding, layout, group, columns;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_PANELS_H
