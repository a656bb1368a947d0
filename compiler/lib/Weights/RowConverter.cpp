//===- RowConverter.cpp - One row of a source tensor into one row of a packed matrix ---===//
//
// Non-finite weights are refused rather than packed: the model would answer nothing but NaN, and
// the place to say which tensor is broken is here.
//
//===----------------------------------------------------------------------===//
#include "RowConverter.h"

#include "llmir/Weights/Dequantize.h"
#include "quant/quant_rtn.h"

#include <cmath>

namespace llmir::compiler {

bool RowConverter::convert(SourceType type, const uint8_t *data, const llmir_matrix_t &matrix,
                           uint32_t row, ConversionLoss &loss) {
  loss.elements += matrix.columns;
  const bool isInteger = llmir_layout_is_integer(matrix.layout);
  const TakeOver how = takeOverKind(type, matrix.layout, matrix.group);
  if (isInteger)
    integers.resize(matrix.columns, matrix.columns / matrix.group);
  if (how != TakeOver::Exact) {
    values.resize(matrix.columns);
    dequantize(type, data, matrix.columns, values.data());
  }
  if (!isInteger)
    return convertFloat(type, matrix, row, loss);

  if (how == TakeOver::None) {
    const llmir_quantized_row_t out = {integers.q.data(), integers.scales.data(),
                                       integers.mins.data()};
    llmir_rtn_quantize_row(matrix.layout, matrix.group, matrix.columns, values.data(), &out);
  } else {
    takeOverRow(type, matrix.layout, data, matrix.columns, integers);
  }
  if (!scalesAreFinite(matrix.layout))
    return false;
  llmir_matrix_set_integer_row(&matrix, row, integers.q.data(), integers.scales.data(),
                               integers.mins.data());
  if (how == TakeOver::Exact)
    return true;
  restore(matrix);
  return measure(loss);
}

bool RowConverter::convertFloat(SourceType type, const llmir_matrix_t &matrix, uint32_t row,
                                ConversionLoss &loss) {
  llmir_matrix_set_float_row(&matrix, row, values.data());
  const bool toHalf = matrix.layout == LLMIR_LAYOUT_F16 || matrix.layout == LLMIR_LAYOUT_PANEL_F16;
  const bool toBrain = matrix.layout == LLMIR_LAYOUT_PANEL_BF16;
  const bool exact = (!toHalf && !toBrain) || (toHalf && type == SourceType::F16) ||
                     (toBrain && type == SourceType::BF16);
  restored.resize(matrix.columns);
  for (uint32_t i = 0; i < matrix.columns; ++i)
    restored[i] = toHalf    ? llmir_f16_to_f32(llmir_f32_to_f16(values[i]))
                  : toBrain ? llmir_bf16_to_f32(llmir_f32_to_bf16(values[i]))
                            : values[i];
  ConversionLoss measured;
  const bool finite = measure(measured);
  if (!exact)
    loss.add(measured);
  return finite;
}

/// The row's real values from its integers.
void RowConverter::restore(const llmir_matrix_t &matrix) {
  restored.resize(matrix.columns);
  for (uint32_t g = 0; g < matrix.columns / matrix.group; ++g) {
    const float d = llmir_f16_to_f32(integers.scales[g]);
    const float m =
        matrix.layout == LLMIR_LAYOUT_PANEL_U4 ? llmir_f16_to_f32(integers.mins[g]) : 0.0f;
    const int offset = matrix.layout == LLMIR_LAYOUT_PANEL_S4 ? 8 : 0;
    for (uint32_t i = g * matrix.group; i < (g + 1) * matrix.group; ++i)
      restored[i] = d * static_cast<float>(integers.q[i] - offset) + m;
  }
}

bool RowConverter::measure(ConversionLoss &loss) const {
  // Four sums each: one would be a chain of additions that the processor waits for.
  double error[4] = {}, energy[4] = {};
  const size_t count = values.size();
  for (size_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(restored[i]) - values[i];
    error[i % 4] += difference * difference;
    energy[i % 4] += static_cast<double>(values[i]) * values[i];
  }
  loss.error += (error[0] + error[1]) + (error[2] + error[3]);
  loss.energy += (energy[0] + energy[1]) + (energy[2] + energy[3]);
  return std::isfinite(loss.error) && std::isfinite(loss.energy);
}

bool RowConverter::scalesAreFinite(uint32_t layout) const {
  constexpr uint16_t exponent = 0x7C00;
  for (uint16_t scale : integers.scales)
    if ((scale & exponent) == exponent)
      return false;
  if (layout == LLMIR_LAYOUT_PANEL_U4)
    for (uint16_t minimum : integers.mins)
      if ((minimum & exponent) == exponent)
        return false;
  return true;
}

} // namespace llmir::compiler
