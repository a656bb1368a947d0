//===- KernelMath.cpp - Arithmetic of GPU kernels -------------------------===//
//
// Conversions and functions are made of operations that every device has and that none may do
// loosely, so that devices differ in the last bits only.
//
//===----------------------------------------------------------------------===//
#include "KernelBuilder.h"
#include "llmir/Dialect/Gpu/GpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace llmir::compiler {

Val KernelBuilder::select(Val condition, Val a, Val b) {
  return made(builder.create<arith::SelectOp>(condition.value, a.value, b.value));
}

Val KernelBuilder::both(Val a, Val b) {
  return made(builder.create<arith::AndIOp>(a.value, b.value));
}

Val KernelBuilder::either(Val a, Val b) {
  return made(builder.create<arith::OrIOp>(a.value, b.value));
}

Val KernelBuilder::umin(Val a, Val b) {
  return made(builder.create<arith::MinUIOp>(a.value, b.value));
}

Val KernelBuilder::greater(Val a, Val b) {
  return made(builder.create<arith::CmpFOp>(arith::CmpFPredicate::OGT, a.value, b.value));
}

Val KernelBuilder::atLeast(Val a, Val b) {
  return made(builder.create<arith::CmpFOp>(arith::CmpFPredicate::OGE, a.value, b.value));
}

Val KernelBuilder::fmax(Val a, Val b) { return select(greater(a, b), a, b); }
Val KernelBuilder::fmin(Val a, Val b) { return select(greater(a, b), b, a); }
Val KernelBuilder::fabs(Val a) { return made(builder.create<math::AbsFOp>(a.value)); }
Val KernelBuilder::sqrt(Val a) { return made(builder.create<math::SqrtOp>(a.value)); }
Val KernelBuilder::roundEven(Val a) { return made(builder.create<math::RoundEvenOp>(a.value)); }

Val KernelBuilder::fma(Val a, Val b, Val c) {
  return made(builder.create<math::FmaOp>(a.value, b.value, c.value));
}

Val KernelBuilder::toFloat(Val integer) {
  return made(builder.create<arith::SIToFPOp>(builder.getF32Type(), integer.value));
}

Val KernelBuilder::toSigned(Val number) {
  return made(builder.create<arith::FPToSIOp>(builder.getI32Type(), number.value));
}

Val KernelBuilder::asFloat(Val bits) {
  return made(builder.create<arith::BitcastOp>(builder.getF32Type(), bits.value));
}

Val KernelBuilder::asBits(Val number) {
  return made(builder.create<arith::BitcastOp>(builder.getI32Type(), number.value));
}

Val KernelBuilder::shiftSigned(Val a, int64_t bits) {
  return made(builder.create<arith::ShRSIOp>(a.value, i32(bits).value));
}

Val KernelBuilder::mulHigh(Val a, Val b) {
  return made(builder.create<arith::MulUIExtendedOp>(a.value, b.value).getHigh());
}

//===----------------------------------------------------------------------===//
// Small floats
//===----------------------------------------------------------------------===//

Val KernelBuilder::half(Val word, bool high) {
  Val bits = high ? word >> 16 : word;
  if (gpuTarget.halfFloats) {
    Value narrow = builder.create<arith::TruncIOp>(builder.getI16Type(), bits.value);
    Value value = builder.create<arith::BitcastOp>(builder.getF16Type(), narrow);
    return made(builder.create<arith::ExtFOp>(builder.getF32Type(), value));
  }
  // Normal numbers get another bias. Subnormal ones, m * 2^-24, become 2^-14 (1 + m / 1024) and
  // lose 2^-14 again, without ever being subnormal, which devices may flush.
  Val magnitude = (bits & 0x7fff) << 13;
  Val sign = (bits & 0x8000) << 16;
  Val small = asFloat(magnitude + 0x38800000) - f32(0x1p-14);
  Val normal = asFloat(magnitude + 0x38000000);
  Val value = select(magnitude < 0x00800000, small, normal);
  return asFloat(asBits(value) | sign);
}

Val KernelBuilder::bfloat(Val word, bool high) {
  return asFloat(high ? word & i32(0xffff0000) : word << 16);
}

Val KernelBuilder::toHalf(Val number) {
  Val bits = asBits(number);
  Val sign = (bits >> 16) & 0x8000;
  Val magnitude = bits & 0x7fffffff;
  // Normal results: half of the last place, and the last bit that stays, carry into it.
  Val rounded = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Subnormal results are integers in units of 2^-24.
  Val small = toSigned(roundEven(asFloat(magnitude) * f32(0x1p24)));
  Val value = select(magnitude < 0x38800000, small, rounded);
  value = select(i32(0x477fefff) < magnitude, i32(0x7c00), value); // rounds to infinity
  value = select(i32(0x7f800000) < magnitude, i32(0x7e00), value); // NaN
  return value | sign;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

// x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) by minimax coefficients, relative error 2^-28, as
// targets/cpu/kernels/vec16_math.h has them.
Val KernelBuilder::exp(Val x) {
  Val clamped = fmin(fmax(x, f32(-87.0)), f32(88.0));
  Val n = roundEven(clamped * f32(0x1.715476p+0));
  Val r = fma(n, f32(-0x1.62ep-1), clamped);
  r = fma(n, f32(-0x1.0bfbe8p-15), r);
  Val p = f32(0x1.6a1f62p-10);
  for (double c : {0x1.123ccap-7, 0x1.555904p-5, 0x1.55548ep-3, 0x1.fffffcp-2, 0x1.0p+0, 0x1.0p+0})
    p = fma(p, r, f32(c));
  Val scale = asFloat((toSigned(n) + 127) << 23);
  return select(greater(f32(-87.0), x), f32(0), p * scale);
}

Val KernelBuilder::tanh(Val x) { return f32(1) - f32(2) / (exp(x + x) + f32(1)); }

Val KernelBuilder::softCap(Val x, float cap) { return f32(cap) * tanh(x / f32(cap)); }

Val KernelBuilder::gate(Val x, uint32_t kind) {
  if (kind == LLMIR_GATE_SILU)
    return x / (f32(1) + exp(f32(0) - x));
  if (kind == LLMIR_GATE_GELU_TANH) {
    Val cubic = fma(x * x, f32(0.044715), f32(1));
    return x / (f32(1) + exp(x * f32(-1.5957691216057308) * cubic));
  }
  return x;
}

Val KernelBuilder::dot4(Val a, Val b, Val acc) {
  if (gpuTarget.dot4)
    return made(
        builder.create<llmir_gpu::Dot4Op>(builder.getI32Type(), a.value, b.value, acc.value));
  for (int byte = 0; byte < 4; ++byte)
    acc = acc + shiftSigned(a << (24 - 8 * byte), 24) * shiftSigned(b << (24 - 8 * byte), 24);
  return acc;
}

Val KernelBuilder::dot2(Val a, Val b, bool high, Val acc) {
  const int first = high ? 0 : 16;
  acc = acc + shiftSigned(a << 16, 16) * shiftSigned(b << (first + 8), 24);
  return acc + shiftSigned(a, 16) * shiftSigned(first == 0 ? b : b << first, 24);
}

} // namespace llmir::compiler
