//===- MatrixTiles.h - Matrices that a subgroup holds together ------------===//
//
// Products of bytes and arithmetic on their sums by Vulkan's cooperative matrices. Which thread
// holds which element is the driver's business, so a matrix comes from memory of the workgroup and
// goes there; what is done to all elements of it needs to know nothing. A factor of each row, or of
// each column, is a matrix too: one that is loaded with rows or columns that are all the same.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_MATRIXTILES_H
#define LLMIR_LIB_GPUKERNELS_MATRIXTILES_H

#include "KernelBuilder.h"

namespace llmir::compiler {

class MatrixTiles {
public:
  /// A matrix of sums or floats: one value, or without such matrices what this thread has of it.
  using Matrix = KernelBuilder::Vals;

  /// Bytes in memory: rows of `a`, or columns of `b`, `stride` words apart.
  struct Bytes {
    Shared memory;
    Val at;
    uint32_t stride;
  };
  /// One side of a product: loaded, or without such matrices where it lies.
  struct Side {
    Val matrix;
    Bytes bytes;
  };

  /// Before begin(): what follows from the target alone.
  explicit MatrixTiles(KernelBuilder &k);
  /// In a function: where its thread is.
  void place();

  const MatrixShape &shape() const { return size; }
  /// Values of a Matrix.
  uint32_t parts() const { return byMemory ? size.rows * size.tokens / size.threads : 1; }
  /// The subgroup in the workgroup.
  Val wave() const { return waveNumber; }

  Side loadRows(const Bytes &bytes);    ///< `a`: rows x columns
  Side loadColumns(const Bytes &bytes); ///< `b`: columns x tokens
  Matrix integers(int32_t value);       ///< all of them
  Matrix floats(float value);
  /// c + a * b of signed bytes, exact.
  Matrix multiply(const Side &a, const Side &b, const Matrix &c);
  /// 256 * high + low
  Matrix joinBytes(const Matrix &high, const Matrix &low);
  Matrix toFloat(const Matrix &integers);
  /// Floats of memory: element (i, j) is the one at `at` + i, or at `at` + j.
  Matrix ofRows(Shared memory, Val at);
  Matrix ofTokens(Shared memory, Val at);
  Matrix add(const Matrix &a, const Matrix &b);
  Matrix mul(const Matrix &a, const Matrix &b);
  Matrix fma(const Matrix &a, const Matrix &b, const Matrix &c);
  /// Element (i, j) goes to `at` + i + j * rows.
  void store(Shared memory, Val at, const Matrix &matrix);

private:
  enum class Use { A, B, Sum };
  mlir::Type typeOf(mlir::Type element, Use use) const;
  mlir::Type integerType(unsigned bits) const;
  mlir::Type floatMatrix() const;
  Val load(mlir::Type type, Shared memory, Val at, uint32_t stride, bool columns);
  Matrix each(llvm::function_ref<Val(uint32_t)> element) const;
  Val row(uint32_t part) const;
  Val token(uint32_t part) const;

  KernelBuilder &k;
  MatrixShape size;
  bool byMemory;
  Val waveNumber, inWave;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_MATRIXTILES_H
