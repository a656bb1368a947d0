//===- Q8Rows.cpp - Storing quantized activations -------------------------===//
#include "Q8Rows.h"

extern "C" {
#include "quant/activation.h"
}

namespace llmir::compiler {
namespace {

constexpr double largestFinite = 0x1.fffffep+127;

/// One row while it is made.
class Q8Row {
public:
  Q8Row(KernelBuilder &k, const Q8Shape &shape, uint32_t binding, Val to, Shared maxima,
        Shared sums)
      : k(k), shape(shape), binding(binding), to(to), maxima(maxima), sums(sums) {}

  /// The quad of this thread in one pass over the row; `isInside` is false for threads behind it.
  void storeQuad(Val quad, Val isInside, llvm::ArrayRef<Val> x);

private:
  uint32_t team() const { return shape.group / 4; } ///< threads of a group
  uint32_t rowColumns() const { return shape.wide ? 2 * shape.columns : shape.columns; }

  /// Joins a value of all threads of the group; every thread gets the result.
  Val joinTeam(Shared memory, Val value, llvm::function_ref<Val(Val, Val)> join);
  Val round(Val scaled) {
    return k.toSigned(k.roundEven(k.fmin(k.fmax(scaled, k.f32(-127)), k.f32(127))));
  }
  Val held(Val inverse) { return k.fmin(inverse, k.f32(largestFinite)); }

  KernelBuilder &k;
  const Q8Shape &shape;
  uint32_t binding;
  Val to;
  Shared maxima, sums;
};

Val Q8Row::joinTeam(Shared memory, Val value, llvm::function_ref<Val(Val, Val)> join) {
  k.store(memory, k.thread(), value);
  k.barrier();
  Val first = (k.thread() / team()) * team();
  Val result = k.load(memory, first);
  for (uint32_t i = 1; i < team(); ++i)
    result = join(result, k.load(memory, first + i));
  return result;
}

void Q8Row::storeQuad(Val quad, Val isInside, llvm::ArrayRef<Val> x) {
  Val largest = k.fabs(x[0]);
  for (Val value : x.drop_front())
    largest = k.fmax(k.fabs(value), largest);
  largest = joinTeam(maxima, largest, [&](Val a, Val b) { return k.fmax(a, b); });
  Val inverse = k.select(k.greater(largest, k.f32(0)), k.f32(127) / largest, k.f32(0));
  inverse = held(inverse);
  Val scale = largest / k.f32(127);
  Val lowInverse = held(inverse * k.f32(256));
  Val word = k.i32(0), lowWord = k.i32(0), sum = k.i32(0);
  for (uint32_t j = 0; j < 4; ++j) {
    Val q = round(x[j] * inverse);
    word = word | ((q & 255) << (8 * j));
    Val whole = q;
    if (shape.wide) {
      Val low = round((x[j] - k.toFloat(q) * scale) * lowInverse);
      lowWord = lowWord | ((low & 255) << (8 * j));
      whole = (q << 8) + low;
    }
    sum = sum + whole;
  }
  sum = joinTeam(sums, sum, [](Val a, Val b) { return a + b; });
  k.when(isInside, [&] {
    k.store(binding, to + quad, word);
    if (shape.wide)
      k.store(binding, to + quad + shape.columns / 4, lowWord);
    k.when(k.thread() % team() == 0, [&] {
      Val group = quad / team();
      Val stored = shape.wide ? scale * k.f32(1.0 / 256) : scale;
      k.store(binding, to + group + llmir_q8_scale_offset(rowColumns()) / 4, stored);
      k.store(binding, to + group + llmir_q8_sum_offset(rowColumns(), shape.group) / 4, sum);
    });
  });
}

} // namespace

void storeQ8Row(KernelBuilder &k, const Q8Shape &shape, uint32_t binding, Val to, Shared maxima,
                Shared sums, llvm::function_ref<Val(Val)> value) {
  Q8Row row(k, shape, binding, to, maxima, sums);
  const uint32_t quads = shape.columns / 4;
  // Barriers are inside, so all threads take every pass; those behind the row repeat its last quad.
  k.loop(k.i32(0), k.i32(quads), k.i32(shape.threads), [&](Val first) {
    Val quad = first + k.thread();
    Val isInside = quad < quads;
    Val safe = k.umin(quad, k.i32(quads - 1));
    llvm::SmallVector<Val, 4> x;
    for (uint32_t j = 0; j < 4; ++j)
      x.push_back(value(safe * 4 + j));
    row.storeQuad(quad, isInside, x);
  });
}

} // namespace llmir::compiler
