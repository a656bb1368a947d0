//===- MatrixTiles.cpp - Matrices that a subgroup holds together ----------===//
//
// Without cooperative matrices thread l has the elements l, l + threads ... of a matrix of sums, in
// the order of rows.
//
//===----------------------------------------------------------------------===//
#include "MatrixTiles.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"

using namespace mlir;

namespace llmir::compiler {

using Matrix = MatrixTiles::Matrix;

MatrixTiles::MatrixTiles(KernelBuilder &k)
    : k(k), size(*k.target().matrix), byMemory(k.target().tensorByMemory) {}

void MatrixTiles::place() {
  auto &ops = k.ops();
  if (byMemory) {
    waveNumber = k.thread() / size.threads;
    inWave = k.thread() % size.threads;
    return;
  }
  Value number = ops.create<gpu::SubgroupIdOp>(/*upper_bound=*/IntegerAttr());
  waveNumber = Val(ops.create<arith::IndexCastUIOp>(ops.getI32Type(), number), &k);
}

Type MatrixTiles::typeOf(Type element, Use use) const {
  using Role = spirv::CooperativeMatrixUseKHR;
  const uint32_t rows = use == Use::B ? size.columns : size.rows;
  const uint32_t columns = use == Use::A ? size.columns : size.tokens;
  const Role role = use == Use::A ? Role::MatrixA : use == Use::B ? Role::MatrixB : Role::MatrixAcc;
  return spirv::CooperativeMatrixType::get(element, rows, columns, spirv::Scope::Subgroup, role);
}

/// With a sign in the type too: lavapipe 26.2 converts matrices without one as if they had none,
/// whatever the operation says.
Type MatrixTiles::integerType(unsigned bits) const {
  return IntegerType::get(k.ops().getContext(), bits, IntegerType::Signed);
}

Type MatrixTiles::floatMatrix() const { return typeOf(k.ops().getF32Type(), Use::Sum); }

Val MatrixTiles::row(uint32_t part) const { return (inWave + part * size.threads) / size.tokens; }

Val MatrixTiles::token(uint32_t part) const { return (inWave + part * size.threads) % size.tokens; }

Matrix MatrixTiles::each(llvm::function_ref<Val(uint32_t)> element) const {
  Matrix result;
  for (uint32_t i = 0; i < parts(); ++i)
    result.push_back(element(i));
  return result;
}

Val MatrixTiles::load(Type type, Shared memory, Val at, uint32_t stride, bool columns) {
  auto &ops = k.ops();
  Value index = ops.create<arith::IndexCastUIOp>(ops.getIndexType(), at.value);
  auto load = ops.create<llmir_gpu::MatrixLoadOp>(type, memory.memory, index, stride, columns);
  return Val(load, &k);
}

MatrixTiles::Side MatrixTiles::loadRows(const Bytes &bytes) {
  if (byMemory)
    return {Val(), bytes};
  Type type = typeOf(integerType(8), Use::A);
  return {load(type, bytes.memory, bytes.at, bytes.stride, /*columns=*/false), bytes};
}

MatrixTiles::Side MatrixTiles::loadColumns(const Bytes &bytes) {
  if (byMemory)
    return {Val(), bytes};
  Type type = typeOf(integerType(8), Use::B);
  return {load(type, bytes.memory, bytes.at, bytes.stride, /*columns=*/true), bytes};
}

Matrix MatrixTiles::integers(int32_t value) {
  if (byMemory)
    return Matrix(parts(), k.i32(value));
  auto &ops = k.ops();
  Type type = integerType(32);
  Value number = ops.create<spirv::ConstantOp>(type, IntegerAttr::get(type, value));
  return {Val(ops.create<spirv::CompositeConstructOp>(typeOf(type, Use::Sum), number), &k)};
}

Matrix MatrixTiles::floats(float value) {
  if (byMemory)
    return Matrix(parts(), k.f32(value));
  Value number = k.f32(value).value;
  return {Val(k.ops().create<spirv::CompositeConstructOp>(floatMatrix(), number), &k)};
}

Matrix MatrixTiles::multiply(const Side &a, const Side &b, const Matrix &c) {
  if (byMemory)
    return each([&](uint32_t i) {
      Val left = a.bytes.at + row(i) * a.bytes.stride;
      Val right = b.bytes.at + token(i) * b.bytes.stride;
      Val sum = c[i];
      for (uint32_t word = 0; word < size.columns / 4; ++word)
        sum =
            k.dot4(k.load(a.bytes.memory, left + word), k.load(b.bytes.memory, right + word), sum);
      return sum;
    });
  using Operands = spirv::CooperativeMatrixOperandsKHR;
  auto isSigned = spirv::CooperativeMatrixOperandsKHRAttr::get(
      k.ops().getContext(),
      Operands::ASigned | Operands::BSigned | Operands::CSigned | Operands::ResultSigned);
  auto product = k.ops().create<spirv::KHRCooperativeMatrixMulAddOp>(
      c[0].value.getType(), a.matrix.value, b.matrix.value, c[0].value, isSigned);
  return {Val(product, &k)};
}

Matrix MatrixTiles::joinBytes(const Matrix &high, const Matrix &low) {
  if (byMemory)
    return each([&](uint32_t i) { return (high[i] << 8) + low[i]; });
  auto &ops = k.ops();
  Value upper = ops.create<spirv::IMulOp>(high[0].value, integers(256)[0].value);
  return {Val(ops.create<spirv::IAddOp>(upper, low[0].value), &k)};
}

Matrix MatrixTiles::toFloat(const Matrix &integers) {
  if (byMemory)
    return each([&](uint32_t i) { return k.toFloat(integers[i]); });
  return {Val(k.ops().create<spirv::ConvertSToFOp>(floatMatrix(), integers[0].value), &k)};
}

Matrix MatrixTiles::ofRows(Shared memory, Val at) {
  if (byMemory)
    return each([&](uint32_t i) { return k.load(memory, at + row(i)); });
  return {load(floatMatrix(), memory, at, /*stride=*/0, /*columns=*/true)};
}

Matrix MatrixTiles::ofTokens(Shared memory, Val at) {
  if (byMemory)
    return each([&](uint32_t i) { return k.load(memory, at + token(i)); });
  return {load(floatMatrix(), memory, at, /*stride=*/0, /*columns=*/false)};
}

Matrix MatrixTiles::add(const Matrix &a, const Matrix &b) {
  if (byMemory)
    return each([&](uint32_t i) { return a[i] + b[i]; });
  return {Val(k.ops().create<spirv::FAddOp>(a[0].value, b[0].value), &k)};
}

Matrix MatrixTiles::mul(const Matrix &a, const Matrix &b) {
  if (byMemory)
    return each([&](uint32_t i) { return a[i] * b[i]; });
  return {Val(k.ops().create<spirv::FMulOp>(a[0].value, b[0].value), &k)};
}

Matrix MatrixTiles::fma(const Matrix &a, const Matrix &b, const Matrix &c) {
  if (byMemory)
    return each([&](uint32_t i) { return k.fma(a[i], b[i], c[i]); });
  return {Val(k.ops().create<llmir_gpu::MatrixFmaOp>(a[0].value.getType(), a[0].value, b[0].value,
                                                     c[0].value),
              &k)};
}

void MatrixTiles::store(Shared memory, Val at, const Matrix &matrix) {
  if (byMemory) {
    for (uint32_t i = 0; i < parts(); ++i)
      k.store(memory, at + row(i) + token(i) * size.rows, matrix[i]);
    return;
  }
  auto &ops = k.ops();
  Value index = ops.create<arith::IndexCastUIOp>(ops.getIndexType(), at.value);
  ops.create<llmir_gpu::MatrixStoreOp>(matrix[0].value, memory.memory, index, size.rows);
}

} // namespace llmir::compiler
