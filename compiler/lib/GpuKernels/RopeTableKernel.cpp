//===- RopeTableKernel.cpp - Cosines and sines of the batch's positions ---===//
//
// Angles are fractions of a turn in fixed point: position * frequency / (2 pi) modulo 1 is exact to
// 2^-32 of a turn at any position, without doubles, which many devices lack.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include <cmath>

namespace llmir::compiler {
namespace {

struct Fixed64 {
  Val high, low;
};

/// frequency / (2 pi) as a fraction of 2^64, for frequencies below 4.
///
/// frequency = m * 2^(e - 150) with a mantissa of 24 bits and e its exponent field; C = 2^64 * 2 /
/// pi. Then frequency / (2 pi) * 2^64 = m * C >> (152 - e).
Fixed64 turnsPerPosition(KernelBuilder &k, Val frequency) {
  Val bits = k.asBits(frequency);
  Val exponent = (bits >> 23) & 255;
  Val mantissa = (bits & 0x7fffff) | k.i32(0x800000);
  Val c1 = k.i32(static_cast<int32_t>(0xa2f9836e)), c0 = k.i32(0x4e44152a);
  Val p0 = mantissa * c0;
  Val middle = k.mulHigh(mantissa, c0);
  Val p1 = mantissa * c1 + middle;
  Val carry = k.select(p1 < middle, k.i32(1), k.i32(0));
  Val p2 = k.mulHigh(mantissa, c1) + carry;
  Val shift = k.i32(152) - exponent; // at least 23
  Val s = shift % 32;
  // Shifts by 32 are undefined, so the part from above is shifted twice.
  auto join = [&](Val upper, Val lower) {
    return (lower >> s) | ((upper << 1) << (k.i32(31) - s));
  };
  Val zero = k.i32(0);
  Val near = shift < 32, middling = shift < 64, far = shift < 96;
  Fixed64 result;
  result.high = k.select(near, join(p2, p1), k.select(middling, p2 >> s, zero));
  result.low =
      k.select(near, join(p1, p0), k.select(middling, join(p2, p1), k.select(far, p2 >> s, zero)));
  // Slower ones do not turn within any context; a zero is no number with a mantissa.
  Val turns = exponent < 57;
  return {k.select(turns, zero, result.high), k.select(turns, zero, result.low)};
}

/// Taylor polynomials on [-pi/4, pi/4]; the first omitted term is below 2^-27.
Val sine(KernelBuilder &k, Val r) {
  Val x = r * r;
  Val s = k.f32(1.0 / 362880);
  for (double c : {-1.0 / 5040, 1.0 / 120, -1.0 / 6})
    s = k.fma(s, x, k.f32(c));
  return k.fma(r, x * s, r);
}

Val cosine(KernelBuilder &k, Val r) {
  Val x = r * r;
  Val c = k.f32(1.0 / 40320);
  for (double term : {-1.0 / 720, 1.0 / 24, -0.5, 1.0})
    c = k.fma(c, x, k.f32(term));
  return c;
}

} // namespace

void buildRopeTable(VariantFunctions &out, const llmir_rope_table_params_t &p) {
  KernelBuilder &k = out.kernel;
  const uint32_t threads = 64;
  out.begin(rowFunction(threads, 1), {0, 1, batchBinding});
  Val t = k.groupY();
  Val position = k.load(batchBinding, k.word(LLMIR_GPU_WORD_POSITIONS) + t);
  Val to = k.rowBase(1, t);
  k.loop(k.thread(), k.i32(p.pair_count), k.i32(threads), [&](Val i) {
    Val frequency = k.loadF32(0, k.rowBase(0) + i);
    Fixed64 step = turnsPerPosition(k, frequency);
    Val turn = position * step.high + k.mulHigh(position, step.low);
    turn = k.select(k.greater(k.f32(0), frequency), k.i32(0) - turn, turn);
    Val quadrant = (turn + 0x20000000) >> 30;
    Val r = k.toFloat(turn - (quadrant << 30)) * k.f32(M_PI / 0x1p31);
    Val s = sine(k, r), c = cosine(k, r);
    // A turn by a quadrant: (c, s) -> (-s, c).
    Val odd = (quadrant & 1) == 1;
    Val turnedC = k.select(odd, s, c), turnedS = k.select(odd, c, s);
    Val factor = k.f32(p.attention_factor), negative = k.f32(-p.attention_factor);
    Val signC = k.select(((quadrant + 1) & 2) == 2, negative, factor);
    Val signS = k.select((quadrant & 2) == 2, negative, factor);
    k.store(1, to + i, turnedC * signC);
    k.store(1, to + i + p.pair_count, turnedS * signS);
  });
  k.end();
}

} // namespace llmir::compiler
