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
  const GpuTiles &tiles = gpuTiles(k.target());
  const uint32_t threads = tiles.largestThreads;
  out.begin(rowFunction(threads, 1), {0, 1});
  Shared values = k.shared(threads, true), indices = k.shared(threads, false);
  Val row = k.groupY(), from = k.rowBase(0, row);
  Val columns = k.word(LLMIR_GPU_WORD_HELD);
  Vals best =
      k.loop(k.thread(), columns, k.i32(threads * tiles.largestUnroll),
             Vals{k.f32(-largestFinite), k.i32(-1)}, [&](Val first, Vals state) {
               // Beyond the end, the last one again.
               Vals indices, loaded;
               for (uint32_t i = 0; i < tiles.largestUnroll; ++i) {
                 indices.push_back(i == 0 ? first : k.umin(first + i * threads, columns - 1));
                 loaded.push_back(k.loadF32(0, from + indices[i]));
               }
               for (uint32_t i = 0; i < tiles.largestUnroll; ++i) {
                 // Finite, as core/sampler_math.h has it: infinities are equal to the largest
                 // number, NaN to its negative.
                 Val x = k.fmax(loaded[i], k.f32(-largestFinite));
                 x = k.fmin(x, k.f32(largestFinite));
                 state = better(k, state[0], state[1], x, indices[i]);
               }
               return state;
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
