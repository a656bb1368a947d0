//===- Q8Rows.h - Storing quantized activations ---------------------------===//
//
// A workgroup makes one row of quant/activation.h: each thread has four adjacent values, and
// group / 4 threads share a group.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_Q8ROWS_H
#define LLMIR_LIB_GPUKERNELS_Q8ROWS_H

#include "KernelBuilder.h"

namespace llmir::compiler {

struct Q8Shape {
  uint32_t columns;
  uint32_t group;
  bool wide;
  uint32_t threads; ///< of the workgroup; a multiple of group / 4
};

/// Stores the row that begins at word `to` of `binding`. `value(i)` is element i of it; `maxima`
/// and `sums` hold a word for each thread.
void storeQ8Row(KernelBuilder &k, const Q8Shape &shape, uint32_t binding, Val to, Shared maxima,
                Shared sums, llvm::function_ref<Val(Val)> value);

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_Q8ROWS_H
