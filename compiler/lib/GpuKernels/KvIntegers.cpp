//===- KvIntegers.cpp - Queries, keys and values as integers --------------===//
#include "KvIntegers.h"

extern "C" {
#include "quant/kv_layout.h"
}

namespace llmir::compiler {
namespace {

constexpr int64_t largestHalf = 0x7bff; ///< bits of the largest finite one
constexpr double largestFinite = 0x1.fffffep+127;

} // namespace

Val KvIntegers::largest() {
  return k.loop(k.thread(), k.i32(headDim), k.i32(threads), KernelBuilder::Vals{k.f32(0)},
                [&](Val i, KernelBuilder::Vals state) {
                  return KernelBuilder::Vals{k.fmax(k.fabs(k.load(head, i)), state[0])};
                })[0];
}

Val KvIntegers::integer(Val i, Val inverse, double low, double high) {
  Val safe = k.umin(i, k.i32(headDim - 1));
  Val held = k.fmin(k.fmax(k.load(head, safe) * inverse, k.f32(low)), k.f32(high));
  return k.select(i < headDim, k.toSigned(k.roundEven(held)), k.i32(0));
}

void KvIntegers::storeHalf(uint32_t binding, Val base, Val index, Val bits) {
  Val shift = (index & 1) << 4;
  k.storeBits(binding, base + index / 2, k.i32(0xffff) << shift, bits << shift);
}

void KvIntegers::storeQuery(uint32_t binding, Val to, Val largest) {
  Val scale = largest / k.f32(32767);
  Val inverse = k.select(k.greater(scale, k.f32(0)), k.f32(1) / scale, k.f32(0));
  inverse = k.fmin(inverse, k.f32(largestFinite));
  auto bits = [&](Val i) { return integer(i, inverse, -32767, 32767) & 0xffff; };
  k.loop(k.thread(), k.i32(headDim / 2), k.i32(threads), [&](Val pair) {
    k.store(binding, to + pair, bits(pair * 2) | (bits(pair * 2 + 1) << 16));
  });
  k.when(k.thread() == 0, [&] { k.store(binding, to + headDim / 2, scale); });
}

KvIntegers::Scale KvIntegers::scaleQ8(Val largest) {
  Val bits = k.umin(k.toHalf(largest / k.f32(127)), k.i32(largestHalf));
  Val isShort = k.greater(largest, k.half(bits, false) * k.f32(127));
  bits = k.select(k.both(isShort, bits < largestHalf), bits + 1, bits);
  Val scale = k.half(bits, false);
  return {bits, k.select(k.greater(scale, k.f32(0)), k.f32(1) / scale, k.f32(0))};
}

void KvIntegers::storeKey(uint32_t binding, Val keys, Val lane, Val largest) {
  Scale scale = scaleQ8(largest);
  auto bits = [&](Val i) { return integer(i, scale.inverse, -127, 127) & 0xff; };
  k.loop(k.thread(), k.i32(headDim / 2), k.i32(threads), [&](Val pair) {
    storeHalf(binding, keys, pair * LLMIR_KV_GROUP + lane,
              bits(pair * 2) | (bits(pair * 2 + 1) << 8));
  });
  k.when(k.thread() == 0, [&] {
    Val scales = keys + llmir_kv_key_scales(LLMIR_KV_STORAGE_Q8, headDim) / 4;
    storeHalf(binding, scales, lane, scale.bits);
  });
}

void KvIntegers::storeValueQ8(uint32_t binding, Val values, Val lane, Val largest) {
  Scale scale = scaleQ8(largest);
  const uint32_t words = llmir_kv_value_row_bytes(LLMIR_KV_STORAGE_Q8, headDim) / 4;
  k.loop(k.thread(), k.i32(words), k.i32(threads), [&](Val word) {
    Val bits = k.i32(0);
    for (uint32_t j = 0; j < 4; ++j)
      bits = bits | ((integer(word * 4 + j, scale.inverse, -127, 127) & 0xff) << (8 * j));
    k.store(binding, values + lane * words + word, bits);
  });
  k.when(k.thread() == 0, [&] {
    Val scales = values + llmir_kv_value_scales(LLMIR_KV_STORAGE_Q8, headDim) / 4;
    storeHalf(binding, scales, lane, scale.bits);
  });
}

/// Of the 32 elements of `group`: that of the first x with the largest magnitude goes to -8.
KvIntegers::Scale KvIntegers::scaleQ4(Val group) {
  Val first = group * LLMIR_KV_Q4_GROUP;
  Val end = k.umin(first + LLMIR_KV_Q4_GROUP, k.i32(headDim));
  Val peak = k.loop(first, end, k.i32(1), KernelBuilder::Vals{k.f32(0)},
                    [&](Val i, KernelBuilder::Vals state) {
                      Val x = k.load(head, i);
                      Val isLarger = k.greater(k.fabs(x), k.fabs(state[0]));
                      return KernelBuilder::Vals{k.select(isLarger, x, state[0])};
                    })[0];
  Val bits = k.umin(k.toHalf(k.fabs(peak) / k.f32(8)), k.i32(largestHalf));
  bits = bits | k.select(k.greater(peak, k.f32(0)), k.i32(0x8000), k.i32(0));
  Val scale = k.half(bits, false);
  return {bits, k.select(k.greater(k.fabs(scale), k.f32(0)), k.f32(1) / scale, k.f32(0))};
}

void KvIntegers::storeValueQ4(uint32_t binding, Val values, Val lane) {
  const uint32_t words = llmir_kv_value_row_bytes(LLMIR_KV_STORAGE_Q4, headDim) / 4;
  const uint32_t groupWords = LLMIR_KV_Q4_GROUP / 8;
  k.loop(k.thread(), k.i32(words), k.i32(threads), [&](Val word) {
    Val group = word / groupWords, place = word % groupWords;
    Scale scale = scaleQ4(group);
    Val bits = k.i32(0);
    for (uint32_t j = 0; j < 4; ++j)
      for (uint32_t half = 0; half < 2; ++half) {
        Val element = group * LLMIR_KV_Q4_GROUP + place * 4 + (j + 16 * half);
        Val u = integer(element, scale.inverse, -8, 7) + 8;
        bits = bits | (u << (8 * j + 4 * half));
      }
    k.store(binding, values + lane * words + word, bits);
    k.when(place == 0, [&] {
      Val scales = values + llmir_kv_value_scales(LLMIR_KV_STORAGE_Q4, headDim) / 4;
      storeHalf(binding, scales, group * LLMIR_KV_GROUP + lane, scale.bits);
    });
  });
}

} // namespace llmir::compiler
