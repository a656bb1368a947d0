//===- GateKernel.cpp - gate(in[0 .. dim)) * in[dim .. 2 dim) -------------===//
#include "Kernels.h"

namespace llmir::compiler {

void buildGate(VariantFunctions &out, const llmir_gate_params_t &p) {
  KernelBuilder &k = out.kernel;
  const uint32_t threads = 64;
  out.begin(rowFunction(threads, 1), {0, 1});
  Val from = k.rowBase(0, k.groupY());
  Val to = k.rowBase(1, k.groupY());
  k.loop(k.thread(), k.i32(p.dim), k.i32(threads), [&](Val i) {
    Val gate = k.gate(k.loadF32(0, from + i), p.gate);
    k.store(1, to + i, gate * k.loadF32(0, from + i + p.dim));
  });
  k.end();
}

} // namespace llmir::compiler
