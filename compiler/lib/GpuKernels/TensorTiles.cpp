//===- TensorTiles.cpp - Products of bytes by a whole wave ----------------===//
//
// Who holds what is documented by the vendors: PTX ISA 8.5, "Matrix Fragments for
// mma.m16n8k32"; AMD Instinct MI200 and MI300 ISA, "Matrix Arithmetic Instructions"; RDNA 3 and
// RDNA 4 ISA, "Wave Matrix Multiply Accumulate". With l = thread of the wave:
//
//               threads  rows of a     words      column of b   outputs i: row, column
//   Mma         32       l/4, + 8      l%4        l/4           l/4 + 8 (i/2), 2 (l%4) + i%2
//   Mfma16, 32  64       l%16          l/16       l%16          4 (l/16) + i, l%16
//   Wmma        32       l%16          0 .. 3     l%16          l/16 + 2 i, l%16
//   WmmaGfx12   32       l%16          2 (l/16), + 1   l%16     8 (l/16) + i, l%16
//
//===----------------------------------------------------------------------===//
#include "TensorTiles.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace llmir::compiler {
namespace {

constexpr uint32_t tileRows = 16, tileWords = 8;

} // namespace

TensorTiles::Shape TensorTiles::shapeOf(TensorUnit unit) {
  switch (unit) {
  case TensorUnit::None:
    break;
  case TensorUnit::Mma:
    return {32, 8, 4, 2, 2, 1};
  case TensorUnit::Mfma16:
  case TensorUnit::Mfma32:
    return {64, 16, 4, 1, 1, 1};
  case TensorUnit::Wmma:
    return {32, 16, 8, 1, 1, 4};
  case TensorUnit::WmmaGfx12:
    return {32, 16, 8, 1, 1, 2};
  }
  llvm_unreachable("the target has no instruction for tiles");
}

TensorTiles::TensorTiles(KernelBuilder &k)
    : k(k), unit(k.target().tensorUnit), shape(shapeOf(unit)) {}

void TensorTiles::place(uint32_t waves) {
  inWave = k.thread() % shape.waveThreads;
  wave = k.thread() / shape.waveThreads;
  const bool isMma = unit == TensorUnit::Mma;
  rowOfA = isMma ? inWave / 4 : inWave % tileRows;
  columnOfB = rowOfA;
  if (isMma)
    firstQuad = inWave % 4;
  else if (shape.quads == 4)
    firstQuad = k.i32(0);
  else
    firstQuad = (inWave / tileRows) * shape.quads;
  if (k.target().tensorByMemory)
    memory = k.shared(waves * (tileRows + shape.tokens) * tileWords, false);
}

Val TensorTiles::outputRow(uint32_t i) const {
  Val upper = inWave / tileRows;
  switch (unit) {
  case TensorUnit::Mma:
    return rowOfA + 8 * (i / 2);
  case TensorUnit::Wmma:
    return upper + 2 * i;
  default:
    return upper * shape.outputs + i;
  }
}

Val TensorTiles::outputToken(uint32_t i) const {
  return unit == TensorUnit::Mma ? (inWave % 4) * 2 + i : columnOfB;
}

TensorTiles::Vals TensorTiles::multiply(const Vals &a, const Vals &b, const Vals &c) {
  if (k.target().tensorByMemory)
    return byMemory(a, b, c);
  switch (unit) {
  case TensorUnit::Mma:
    return mma(a, b, c);
  case TensorUnit::Mfma16:
  case TensorUnit::Mfma32:
    return mfma(a, b, c);
  default:
    return wmma(a, b, c);
  }
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

TensorTiles::Vals TensorTiles::mma(const Vals &a, const Vals &b, const Vals &c) {
  SmallVector<Value> operands;
  for (const Vals *side : {&a, &b, &c})
    for (const Val &value : *side)
      operands.push_back(value.value);
  auto &ops = k.ops();
  auto type =
      LLVM::LLVMStructType::getLiteral(ops.getContext(), SmallVector<Type>(4, ops.getI32Type()));
  auto product = ops.create<LLVM::InlineAsmOp>(
      type, operands,
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {$0, $1, $2, $3}, {$4, $5, $6, $7}, "
      "{$8, $9}, {$10, $11, $12, $13};",
      "=r,=r,=r,=r,r,r,r,r,r,r,r,r,r,r", /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::AsmDialectAttr(), ArrayAttr());
  Vals result;
  for (int64_t i = 0; i < 4; ++i)
    result.emplace_back(ops.create<LLVM::ExtractValueOp>(product->getResult(0), i), &k);
  return result;
}

Value TensorTiles::vectorOf(ArrayRef<Val> words) {
  auto &ops = k.ops();
  auto type = VectorType::get(static_cast<int64_t>(words.size()), ops.getI32Type());
  Value vector = ops.create<LLVM::UndefOp>(type);
  for (size_t i = 0; i < words.size(); ++i)
    vector = ops.create<LLVM::InsertElementOp>(vector, words[i].value,
                                               k.i32(static_cast<int64_t>(i)).value);
  return vector;
}

TensorTiles::Vals TensorTiles::intrinsic(StringRef name, ArrayRef<Value> operands) {
  auto &ops = k.ops();
  auto type = VectorType::get(shape.outputs, ops.getI32Type());
  auto product = ops.create<LLVM::CallIntrinsicOp>(type, ops.getStringAttr(name), operands);
  Vals result;
  for (uint32_t i = 0; i < shape.outputs; ++i)
    result.emplace_back(
        ops.create<LLVM::ExtractElementOp>(product->getResult(0), k.i32(i).value), &k);
  return result;
}

/// gfx90a takes 16 columns at once, gfx942 all 32. Its last operands would exchange blocks.
TensorTiles::Vals TensorTiles::mfma(const Vals &a, const Vals &b, Vals c) {
  Value none = k.i32(0).value;
  if (unit == TensorUnit::Mfma32) {
    auto pair = [&](const Vals &words) -> Value {
      return k.ops().create<LLVM::BitcastOp>(k.ops().getI64Type(), vectorOf(words));
    };
    return intrinsic("llvm.amdgcn.mfma.i32.16x16x32.i8",
                     {pair(a), pair(b), vectorOf(c), none, none, none});
  }
  for (uint32_t half = 0; half < 2; ++half)
    c = intrinsic("llvm.amdgcn.mfma.i32.16x16x16i8",
                  {a[half].value, b[half].value, vectorOf(c), none, none, none});
  return c;
}

/// 16 columns at once; both sides have signs, sums are not saturated.
TensorTiles::Vals TensorTiles::wmma(const Vals &a, const Vals &b, Vals c) {
  auto &ops = k.ops();
  auto flag = [&](bool value) -> Value {
    return ops.create<LLVM::ConstantOp>(ops.getI1Type(), ops.getBoolAttr(value));
  };
  for (uint32_t half = 0; half < 2; ++half) {
    auto words = [&](const Vals &side) {
      return vectorOf(ArrayRef<Val>(side).slice(half * shape.quads, shape.quads));
    };
    c = intrinsic("llvm.amdgcn.wmma.i32.16x16x16.iu8",
                  {flag(true), words(a), flag(true), words(b), vectorOf(c), flag(false)});
  }
  return c;
}

//===----------------------------------------------------------------------===//
// The same without them
//===----------------------------------------------------------------------===//

/// Through memory of the workgroup: each thread stores what it holds of both sides where it
/// belongs, then each computes its outputs.
TensorTiles::Vals TensorTiles::byMemory(const Vals &a, const Vals &b, Vals c) {
  Val left = wave * ((tileRows + shape.tokens) * tileWords);
  Val right = left + tileRows * tileWords;
  for (uint32_t half = 0; half < 2; ++half)
    for (uint32_t q = 0; q < shape.quads; ++q) {
      Val word = quad(q) + half * 4;
      for (uint32_t r = 0; r < shape.rows; ++r)
        k.store(memory, left + (rowOfA + r * 8) * tileWords + word,
                a[(half * shape.rows + r) * shape.quads + q]);
      k.store(memory, right + columnOfB * tileWords + word, b[half * shape.quads + q]);
    }
  k.barrier();
  for (uint32_t i = 0; i < shape.outputs; ++i)
    for (uint32_t word = 0; word < tileWords; ++word)
      c[i] = k.dot4(
          k.load(memory, left + outputRow(i) * tileWords + word),
          k.load(memory, right + outputToken(i % shape.outputTokens) * tileWords + word), c[i]);
  k.barrier();
  return c;
}

} // namespace llmir::compiler
