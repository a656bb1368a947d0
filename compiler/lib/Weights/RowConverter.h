//===- RowConverter.h - One row of a source tensor into one row of a packed matrix ---===//
//
// Chooses between taking over and requantizing, and measures what the latter costs. One converter
// serves one thread; its buffers are kept between rows.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_WEIGHTS_ROWCONVERTER_H
#define LLMIR_LIB_WEIGHTS_ROWCONVERTER_H

#include "TakeOver.h"
#include "llmir/Weights/WeightPacker.h"
#include "quant/quant_pack.h"

namespace llmir::compiler {

class RowConverter {
public:
  /// Converts `matrix.columns` elements of `type` at `data`, whole blocks, into row `row`. Returns
  /// false if a value is not finite in the source or not in the layout.
  bool convert(SourceType type, const uint8_t *data, const llmir_matrix_t &matrix, uint32_t row,
               ConversionLoss &loss);

private:
  bool convertFloat(SourceType type, const llmir_matrix_t &matrix, uint32_t row,
                    ConversionLoss &loss);
  void restore(const llmir_matrix_t &matrix);
  bool measure(ConversionLoss &loss) const;
  bool scalesAreFinite(uint32_t layout) const;

  std::vector<float> values;   ///< of the source
  std::vector<float> restored; ///< as a kernel will see them
  IntegerRow integers;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_WEIGHTS_ROWCONVERTER_H
