//===- KvPlaces.cpp - Where keys and values lie in the cache --------------===//
#include "KvPlaces.h"

extern "C" {
#include "quant/kv_layout.h"
}

namespace llmir::compiler {

llvm::ArrayRef<uint32_t> gpuKvStorages() {
  static constexpr uint32_t storages[] = {LLMIR_KV_STORAGE_F16, LLMIR_KV_STORAGE_F32,
                                          LLMIR_KV_STORAGE_Q8, LLMIR_KV_STORAGE_Q4};
  return storages;
}

bool KvPlaces::isHalf() const { return storage == LLMIR_KV_STORAGE_F16; }
bool KvPlaces::isInteger() const { return llmir_kv_is_integer(storage); }
bool KvPlaces::isQ4() const { return storage == LLMIR_KV_STORAGE_Q4; }

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

std::pair<Val, Val> KvPlaces::loadKeys(Val keys, Val element, Val pair, uint32_t behind) {
  if (isHalf()) {
    Val word = k.load(binding, keys + element * 8 + pair, behind * 8);
    return {k.half(word, false), k.half(word, true)};
  }
  Val at = keys + element * 16 + pair * 2;
  return {k.asFloat(k.load(binding, at, behind * 16)),
          k.asFloat(k.load(binding, at, behind * 16 + 1))};
}

std::pair<Val, Val> KvPlaces::loadValues(Val values, uint32_t lane, Val pair) {
  if (isHalf()) {
    Val word = k.load(binding, values + pair, lane * (headDim / 2));
    return {k.half(word, false), k.half(word, true)};
  }
  const uint32_t rowWords = llmir_kv_value_row_bytes(storage, headDim) / 4;
  if (isQ4()) { // sixteen bytes hold 32 elements, the upper nibbles those from 16 on
    Val inGroup = pair % 16;
    Val word = k.load(binding, values + (pair / 16) * 4 + (inGroup % 8) / 2, lane * rowWords);
    Val nibbles = word >> (((pair & 1) << 4) + ((inGroup / 8) << 2));
    return {k.toFloat((nibbles & 15) - 8), k.toFloat(((nibbles >> 8) & 15) - 8)};
  }
  if (isInteger()) {
    Val word = k.load(binding, values + pair / 2, lane * rowWords) >> ((pair & 1) << 4);
    return {k.toFloat(k.shiftSigned(word << 24, 24)), k.toFloat(k.shiftSigned(word << 16, 24))};
  }
  Val at = values + pair * 2;
  return {k.asFloat(k.load(binding, at, lane * headDim)),
          k.asFloat(k.load(binding, at, lane * headDim + 1))};
}

Val KvPlaces::loadKeyBytes(Val keys, Val elements, Val pair, uint32_t behind) {
  return k.load(binding, keys + elements * 8 + pair, behind * 8);
}

std::pair<Val, Val> KvPlaces::loadKeyScales(Val keys, Val pair) {
  Val word = k.load(binding, keys + llmir_kv_key_scales(storage, headDim) / 4 + pair);
  return {k.half(word, false), k.half(word, true)};
}

Val KvPlaces::loadValueScale(Val values, Val lane, Val index) {
  Val scales = values + llmir_kv_value_scales(storage, headDim) / 4 + index * 8;
  return k.half(k.load(binding, scales + lane / 2) >> ((lane & 1) << 4), false);
}

} // namespace llmir::compiler
