//===- LargestKernel.cpp - The largest logit of each row ------------------===//
//
// A workgroup takes a row: each thread the largest of its columns, then threads are joined in
// halves. The lowest index wins among equals, whoever had it. It belongs to no variant; the host
// launches it behind a program (llmir_bundle.h: llmir_gpu_image_t.largest).
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

namespace llmir::compiler {
namespace {

using Vals = KernelBuilder::Vals;

constexpr double largestFinite = 0x1.fffffep+127;

/// The pair (value, index) that comes first.
Vals better(KernelBuilder &k, Val value, Val index, Val otherValue, Val otherIndex) {
  Val isTie = k.both(k.atLeast(otherValue, value), otherIndex < index);
  Val takes = k.either(k.greater(otherValue, value), isTie);
  return {k.select(takes, otherValue, value), k.select(takes, otherIndex, index)};
}

} // namespace

void buildLargest(VariantFunctions &out) {
  KernelBuilder &k = out.kernel;
  const uint32_t threads = gpuTiles(k.target()).largestThreads;
  out.begin(rowFunction(threads, 1), {0, 1});
  Shared values = k.shared(threads, true), indices = k.shared(threads, false);
  Val row = k.groupY(), from = k.rowBase(0, row);
  Vals best = k.loop(k.thread(), k.word(LLMIR_GPU_WORD_HELD), k.i32(threads),
                     Vals{k.f32(-largestFinite), k.i32(-1)}, [&](Val i, Vals state) {
                       // Finite, as core/sampler_math.h has it: infinities are equal to the
                       // largest number, NaN to its negative.
                       Val x = k.fmax(k.loadF32(0, from + i), k.f32(-largestFinite));
                       x = k.fmin(x, k.f32(largestFinite));
                       return better(k, state[0], state[1], x, i);
                     });
  k.store(values, k.thread(), best[0]);
  k.store(indices, k.thread(), best[1]);
  for (uint32_t step = threads / 2; step != 0; step /= 2) {
    k.barrier();
    k.when(k.thread() < step, [&] {
      Val here = k.thread(), there = here + step;
      Vals joined = better(k, k.load(values, here), k.load(indices, here), k.load(values, there),
                           k.load(indices, there));
      k.store(values, here, joined[0]);
      k.store(indices, here, joined[1]);
    });
  }
  k.when(k.thread() == 0,
         [&] { k.store(1, k.word(LLMIR_GPU_WORD_OFFSET + 1) + row, k.load(indices, k.i32(0))); });
  k.end();
}

} // namespace llmir::compiler
