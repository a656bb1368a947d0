//===- KvPlaces.h - Where keys and values lie in the cache ----------------===//
//
// quant/kv_layout.h in 32-bit words, for storage as f16 and f32.
//
//===----------------------------------------------------------------------===//
#ifndef LLMIR_LIB_GPUKERNELS_KVPLACES_H
#define LLMIR_LIB_GPUKERNELS_KVPLACES_H

#include "KernelBuilder.h"

namespace llmir::compiler {

class KvPlaces {
public:
  KvPlaces(KernelBuilder &kernel, uint32_t binding, uint32_t storage, uint32_t headDim)
      : k(kernel), binding(binding), storage(storage), headDim(headDim) {}

  bool isHalf() const { return storage == 0; } ///< LLMIR_KV_STORAGE_F16

  /// First word of the keys of sixteen positions of a head, and of their values.
  struct Group {
    Val keys, values;
  };
  Group group(Val sequence, Val head, Val position);

  /// Stores element `element` of the key in lane `lane` of a group.
  void storeKey(Val keys, Val element, Val lane, Val number);
  /// Stores elements 2 * pair and 2 * pair + 1 of a value.
  void storeValues(Val values, Val pair, Val lane, Val even, Val odd);

  /// Element `element` of the keys in lanes 2 * pair and 2 * pair + 1.
  std::pair<Val, Val> loadKeys(Val keys, Val element, Val pair);
  /// Elements 2 * pair and 2 * pair + 1 of the value in lane `lane`.
  std::pair<Val, Val> loadValues(Val values, Val lane, Val pair);

private:
  KernelBuilder &k;
  uint32_t binding, storage, headDim;
};

/// What attention and the storing of keys are built for.
llvm::ArrayRef<uint32_t> gpuKvStorages();

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_KVPLACES_H
