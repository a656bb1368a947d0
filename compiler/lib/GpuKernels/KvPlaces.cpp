//===- KvPlaces.cpp - Where keys and values lie in the cache --------------===//
#include "KvPlaces.h"

extern "C" {
#include "quant/kv_layout.h"
}

namespace llmir::compiler {

llvm::ArrayRef<uint32_t> gpuKvStorages() {
  static constexpr uint32_t storages[] = {LLMIR_KV_STORAGE_F16, LLMIR_KV_STORAGE_F32};
  return storages;
}

KvPlaces::Group KvPlaces::group(Val sequence, Val head, Val position) {
  const uint32_t pageTokens = k.target().pageTokens;
  const uint32_t pageGroups = pageTokens / LLMIR_KV_GROUP;
  Val table = k.word(LLMIR_GPU_WORD_TABLE) + sequence * k.word(LLMIR_GPU_WORD_TABLE_STRIDE);
  Val page = k.load(LLMIR_GPU_BATCH_BINDING, table + position / pageTokens);
  Val group = head * pageGroups + (position % pageTokens) / LLMIR_KV_GROUP;
  Val layer = page * k.word(LLMIR_GPU_WORD_PAGE) + k.word(LLMIR_GPU_WORD_LAYER);
  const uint32_t keyWords = llmir_kv_key_group_bytes(storage, headDim) / 4;
  const uint32_t valueWords = llmir_kv_value_group_bytes(storage, headDim) / 4;
  return {layer + group * keyWords, layer + k.word(LLMIR_GPU_WORD_VALUES) + group * valueWords};
}

void KvPlaces::storeKey(Val keys, Val element, Val lane, Val number) {
  if (!isHalf()) {
    k.store(binding, keys + element * 16 + lane, number);
    return;
  }
  // The other half of the word is the key of another position, which may be stored just now.
  Val shift = (lane & 1) << 4;
  k.storeBits(binding, keys + element * 8 + lane / 2, k.i32(0xffff) << shift,
              k.toHalf(number) << shift);
}

void KvPlaces::storeValues(Val values, Val pair, Val lane, Val even, Val odd) {
  if (isHalf()) {
    k.store(binding, values + lane * (headDim / 2) + pair, k.toHalf(even) | (k.toHalf(odd) << 16));
    return;
  }
  Val to = values + lane * headDim + pair * 2;
  k.store(binding, to, even);
  k.store(binding, to + 1, odd);
}

std::pair<Val, Val> KvPlaces::loadKeys(Val keys, Val element, Val pair) {
  if (isHalf()) {
    Val word = k.load(binding, keys + element * 8 + pair);
    return {k.half(word, false), k.half(word, true)};
  }
  Val at = keys + element * 16 + pair * 2;
  return {k.loadF32(binding, at), k.loadF32(binding, at + 1)};
}

std::pair<Val, Val> KvPlaces::loadValues(Val values, Val lane, Val pair) {
  if (isHalf()) {
    Val word = k.load(binding, values + lane * (headDim / 2) + pair);
    return {k.half(word, false), k.half(word, true)};
  }
  Val at = values + lane * headDim + pair * 2;
  return {k.loadF32(binding, at), k.loadF32(binding, at + 1)};
}

} // namespace llmir::compiler
