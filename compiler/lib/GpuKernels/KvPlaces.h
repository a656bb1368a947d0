//===- KvPlaces.h - Where keys and values lie in the cache ----------------===//
//
// quant/kv_layout.h in 32-bit words. KvIntegers.h stores integers.
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

  bool isHalf() const;
  bool isInteger() const; ///< q8 or q4
  bool isQ4() const;

  /// First word of the keys of sixteen positions of a head, and of their values.
  struct Group {
    Val keys, values;
  };
  Group group(Val sequence, Val head, Val position);

  /// Floats: stores element `element` of the key in lane `lane` of a group.
  void storeKey(Val keys, Val element, Val lane, Val number);
  /// Floats: stores elements 2 * pair and 2 * pair + 1 of a value.
  void storeValues(Val values, Val pair, Val lane, Val even, Val odd);

  /// Floats: element `element + behind` of the keys in lanes 2 * pair and 2 * pair + 1.
  std::pair<Val, Val> loadKeys(Val keys, Val element, Val pair, uint32_t behind);
  /// Elements 2 * pair and 2 * pair + 1 of the value in lane `lane`; integers without their scale.
  std::pair<Val, Val> loadValues(Val values, uint32_t lane, Val pair);

  /// Integers: a word with elements 2 * i and 2 * i + 1 of the keys in lanes 2 * pair (bytes 0 and
  /// 1) and 2 * pair + 1 (bytes 2 and 3), where i is `elements + behind`.
  Val loadKeyBytes(Val keys, Val elements, Val pair, uint32_t behind);
  /// The scales of those two keys.
  std::pair<Val, Val> loadKeyScales(Val keys, Val pair);
  /// The scale of the value in lane `lane`: q8 has one, q4 one for 32 elements.
  Val loadValueScale(Val values, Val lane, Val index);

private:
  KernelBuilder &k;
  uint32_t binding, storage, headDim;
};

/// What attention and the storing of keys are built for.
llvm::ArrayRef<uint32_t> gpuKvStorages();

} // namespace llmir::compiler

#endif // LLMIR_LIB_GPUKERNELS_KVPLACES_H
