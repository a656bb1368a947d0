//===- Hadamard.cpp - Turning heads for a cache of integers ---------------===//
#include "Hadamard.h"

#include "llvm/Support/MathExtras.h"

namespace llmir::compiler {
namespace {

/// `size` elements from `first` on, a power of two.
void turnBlock(KernelBuilder &k, Shared head, uint32_t first, uint32_t size, uint32_t threads) {
  float norm = 1.0f;
  for (uint32_t i = size; i > 1; i /= 4)
    norm *= i >= 4 ? 0.5f : 0.70710678118654752f;
  k.loop(k.i32(0), k.i32(llvm::Log2_32(size)), k.i32(1), [&](Val step) {
    k.loop(k.thread(), k.i32(size / 2), k.i32(threads), [&](Val i) {
      Val distance = k.i32(1) << step;
      Val lower = ((i >> step) << (step + 1)) + (i & (distance - 1)) + first;
      Val a = k.load(head, lower), b = k.load(head, lower + distance);
      k.store(head, lower, a + b);
      k.store(head, lower + distance, a - b);
    });
    k.barrier();
  });
  k.loop(k.thread(), k.i32(size), k.i32(threads),
         [&](Val i) { k.store(head, i + first, k.load(head, i + first) * k.f32(norm)); });
}

} // namespace

void turnHead(KernelBuilder &k, Shared head, uint32_t dim, uint32_t threads) {
  for (uint32_t first = 0; first < dim;) {
    const uint32_t size = uint32_t(1) << llvm::Log2_32(dim - first);
    turnBlock(k, head, first, size, threads);
    first += size;
  }
  k.barrier();
}

} // namespace llmir::compiler
