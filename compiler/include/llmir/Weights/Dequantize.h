//===- Dequantize.h - Source encodings to binary32 ------------------------===//
//
// The values that the ggml formats define, in the order of operations of their reference, so that
// each equals what other readers of the same file compute.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_WEIGHTS_DEQUANTIZE_H
#define LLMIR_WEIGHTS_DEQUANTIZE_H

#include "llmir/Import/ImportedModel.h"

namespace llmir::compiler {

/// Decodes `count` elements, whole blocks, from `data` of any alignment.
void dequantize(SourceType type, const uint8_t *data, int64_t count, float *out);

} // namespace llmir::compiler

#endif // LLMIR_WEIGHTS_DEQUANTIZE_H
