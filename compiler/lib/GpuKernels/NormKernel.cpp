//===- NormKernel.cpp - RMS norms and quantization of rows ----------------===//
//
// [x += delta or its norm]; out = rms_norm(x) * weight as f32 or Q8. A workgroup takes a row. The
// first pass makes the new x and sums its squares; the second makes it again, because what other
// threads stored is not visible yet, and scales it.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"
#include "Q8Rows.h"

namespace llmir::compiler {
namespace {

constexpr uint32_t threads = 64;

class Norm {
public:
  Norm(KernelBuilder &k, const llmir_norm_params_t &p) : k(k), p(p) {}
  void build();

private:
  bool adds() const { return p.flags & LLMIR_NORM_ADD_DELTA; }
  bool normsDelta() const { return p.flags & LLMIR_NORM_DELTA_NORM; }

  /// 1 / sqrt(mean of squares + epsilon) of what `value` gives.
  Val inverse(double epsilon, llvm::function_ref<Val(Val)> value);
  Val input(Val i);

  KernelBuilder &k;
  const llmir_norm_params_t &p;
  Shared scratch;
  Val x, delta, deltaInverse;
};

Val Norm::inverse(double epsilon, llvm::function_ref<Val(Val)> value) {
  KernelBuilder::Vals sums =
      k.loop(k.thread(), k.i32(p.dim), k.i32(threads), KernelBuilder::Vals{k.f32(0)},
             [&](Val i, KernelBuilder::Vals state) {
               Val v = value(i);
               return KernelBuilder::Vals{k.fma(v, v, state[0])};
             });
  Val mean = k.sumThreads(scratch, sums[0]) / k.f32(p.dim);
  return k.f32(1) / k.sqrt(mean + k.f32(epsilon));
}

/// Element i of x + delta.
Val Norm::input(Val i) {
  Val value = k.loadF32(0, x + i);
  if (!adds())
    return value;
  Val d = k.loadF32(1, delta + i);
  if (normsDelta())
    d = d * deltaInverse * k.loadF32(2, k.rowBase(2) + i);
  return value + d;
}

void Norm::build() {
  scratch = k.shared(threads, true);
  Val row = k.groupY();
  Val token = p.gather ? k.load(batchBinding, k.word(LLMIR_GPU_WORD_OUTPUT_ROWS) + row) : row;
  x = k.rowBase(0, token);
  if (adds())
    delta = k.rowBase(1, token);
  if (normsDelta())
    deltaInverse = inverse(p.delta_epsilon, [&](Val i) { return k.loadF32(1, delta + i); });
  const bool stores = adds() && !p.gather;
  if (p.flags & LLMIR_NORM_NO_OUTPUT) {
    k.loop(k.thread(), k.i32(p.dim), k.i32(threads), [&](Val i) { k.store(0, x + i, input(i)); });
    return;
  }
  Val factor = inverse(p.epsilon, [&](Val i) { return input(i); });
  Val to = k.rowBase(4, row);
  auto output = [&](Val i) { return input(i) * factor * k.loadF32(3, k.rowBase(3) + i); };
  if (p.out_format == LLMIR_ROW_Q8) {
    Shared sums = k.shared(threads, false);
    const bool wide = p.flags & LLMIR_NORM_WIDE;
    storeQ8Row(k, {p.dim, p.group, wide, threads}, 4, to, scratch, sums, output);
  } else {
    k.loop(k.thread(), k.i32(p.dim), k.i32(threads), [&](Val i) { k.store(4, to + i, output(i)); });
  }
  if (stores) {
    k.barrier(); // all have read x
    k.loop(k.thread(), k.i32(p.dim), k.i32(threads), [&](Val i) { k.store(0, x + i, input(i)); });
  }
}

} // namespace

void buildNorm(VariantFunctions &out, const llmir_norm_params_t &p) {
  llvm::SmallVector<uint32_t, 6> bindings{0};
  if (p.flags & LLMIR_NORM_ADD_DELTA)
    bindings.push_back(1);
  if (p.flags & LLMIR_NORM_DELTA_NORM)
    bindings.push_back(2);
  if (!(p.flags & LLMIR_NORM_NO_OUTPUT))
    bindings.append({3, 4});
  if (p.gather)
    bindings.push_back(batchBinding);
  out.begin(rowFunction(threads, 1), bindings);
  Norm(out.kernel, p).build();
  out.kernel.end();
}

void buildQuantize(VariantFunctions &out, const llmir_quantize_params_t &p) {
  KernelBuilder &k = out.kernel;
  out.begin(rowFunction(threads, 1), {0, 1});
  Shared maxima = k.shared(threads, true), sums = k.shared(threads, false);
  Val from = k.rowBase(0, k.groupY());
  storeQ8Row(k, {p.dim, p.group, p.wide != 0, threads}, 1, k.rowBase(1, k.groupY()), maxima, sums,
             [&](Val i) { return k.loadF32(0, from + i); });
  k.end();
}

} // namespace llmir::compiler
