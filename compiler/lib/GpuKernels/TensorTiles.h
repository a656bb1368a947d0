//===- TensorTiles.h - Products of bytes by a whole wave ------------------===//
//
// One step of a matrix product: 16 rows and 32 columns of `a` times 32 rows and 8 or 16 columns of
// `b`, signed bytes, sums in 32 bits. The threads of a wave share it; which of them holds what
// depends on the device's instruction, and is said here and nowhere else. Columns are packed in
// words of four; the instruction may take them in any order that is the same for both sides, so
// threads take the words that lie best.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_TENSORTILES_H
#define LLMIR_LIB_GPUKERNELS_TENSORTILES_H

#include "KernelBuilder.h"

namespace llmir::compiler {

class TensorTiles {
public:
  using Vals = KernelBuilder::Vals;

  /// Before begin(): what follows from the target alone.
  explicit TensorTiles(KernelBuilder &k);
  /// In a function of `waves` waves: where its thread is.
  void place(uint32_t waves);

  uint32_t waveThreads() const { return shape.waveThreads; }
  uint32_t tokens() const { return shape.tokens; } ///< columns of `b`
  /// Sums that a thread has, and over how many columns of `b` they are spread: output i is in row
  /// outputRow(i) and column outputToken(i % outputTokens()).
  uint32_t outputs() const { return shape.outputs; }
  uint32_t outputTokens() const { return shape.outputTokens; }
  Val outputRow(uint32_t i) const;
  Val outputToken(uint32_t i) const;

  /// Rows of `a` that a thread holds: row() and, if there are two, row() + 8.
  uint32_t rows() const { return shape.rows; }
  Val row() const { return rowOfA; }
  Val token() const { return columnOfB; } ///< the column of `b` that it holds
  /// Of these it holds the words quad(i) and quad(i) + 4, i < quads().
  uint32_t quads() const { return shape.quads; }
  Val quad(uint32_t i) const { return i == 0 ? firstQuad : firstQuad + i; }

  /// c + a * b. `a` is [words from 0, words from 4][row][quad], `b` [words from 0, from 4][quad].
  /// All threads of the workgroup come here together.
  Vals multiply(const Vals &a, const Vals &b, const Vals &c);

private:
  struct Shape {
    uint32_t waveThreads, tokens, outputs, outputTokens, rows, quads;
  };
  static Shape shapeOf(TensorUnit unit);
  Vals mma(const Vals &a, const Vals &b, const Vals &c);
  Vals intrinsic(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands);
  mlir::Value vectorOf(llvm::ArrayRef<Val> words);
  Vals mfma(const Vals &a, const Vals &b, Vals c);
  Vals wmma(const Vals &a, const Vals &b, Vals c);
  Vals byMemory(const Vals &a, const Vals &b, Vals c);

  KernelBuilder &k;
  TensorUnit unit;
  Shape shape;
  Val inWave, wave, rowOfA, columnOfB, firstQuad;
  Shared memory; ///< of byMemory
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_TENSORTILES_H
