//===- KvIntegers.h - Queries, keys and values as integers ----------------===//
//
// The storage as q8 and q4 of quant/kv_layout.h, and the queries that go with it
// (targets/cpu/kernels/kv_cache.h): a workgroup has one turned head in its memory.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_KVINTEGERS_H
#define LLMIR_LIB_GPUKERNELS_KVINTEGERS_H

#include "KernelBuilder.h"

namespace llmir::compiler {

class KvIntegers {
public:
  /// `head`: the elements; all threads see them.
  KvIntegers(KernelBuilder &k, Shared head, uint32_t headDim, uint32_t threads)
      : k(k), head(head), headDim(headDim), threads(threads) {}

  /// The largest magnitude of this thread's elements; the next functions take that of all.
  Val largest();

  /// A query: int16 [head_dim], scale f32, from word `to` on.
  void storeQuery(uint32_t binding, Val to, Val largest);
  /// A key, into lane `lane` of the group whose keys begin at word `keys`.
  void storeKey(uint32_t binding, Val keys, Val lane, Val largest);
  /// A value of q8 or q4, the same way.
  void storeValueQ8(uint32_t binding, Val values, Val lane, Val largest);
  void storeValueQ4(uint32_t binding, Val values, Val lane);

private:
  /// The scale of int8 and its inverse, from the largest magnitude.
  struct Scale {
    Val bits, inverse;
  };
  Scale scaleQ8(Val largest);
  Scale scaleQ4(Val group);
  /// Element `i` times `inverse`, rounded and held; 0 behind the head.
  Val integer(Val i, Val inverse, double low, double high);
  /// Stores the half in bits 0 .. 15 of `bits` as half `index` of an array at word `base`.
  void storeHalf(uint32_t binding, Val base, Val index, Val bits);

  KernelBuilder &k;
  Shared head;
  uint32_t headDim, threads;
};

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_KVINTEGERS_H
