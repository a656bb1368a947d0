//===- QkvKernel.cpp - Finishing the projections of a layer ---------------===//
//
// [RMS norm of q and k heads], rotation of q in place, k and v into the cache. A workgroup takes
// one head of one token; its elements lie in shared memory, since the rotation needs two of them.
// With a cache of integers all heads are turned by a Hadamard matrix, and q becomes integers, too.
//
//===----------------------------------------------------------------------===//
#include "Hadamard.h"
#include "Kernels.h"
#include "KvIntegers.h"
#include "KvPlaces.h"

namespace llmir::compiler {
namespace {

constexpr uint32_t threads = 64;

class Qkv {
public:
  Qkv(KernelBuilder &k, const llmir_qkv_params_t &p, uint32_t storage)
      : k(k), p(p), places(k, 4, storage, p.head_dim) {}
  void build();

private:
  void loadHead();
  void normalise();
  Val rotated(Val i);
  void findPlace();
  void storeFloats();
  void storeKeyAndValue(Val pair, Val even, Val odd);
  void storeIntegers();

  KernelBuilder &k;
  const llmir_qkv_params_t &p;
  KvPlaces places;
  Shared head;
  Val token, headIndex, base, isQuery, isKey, isValue;
  KvPlaces::Group group; ///< where this head's key or value goes, as `lane` of sixteen
  Val lane;
};

void Qkv::loadHead() {
  head = k.shared(p.head_dim, true);
  token = k.groupY();
  headIndex = k.groupX();
  isQuery = headIndex < p.q_heads;
  isKey = headIndex - p.q_heads < p.kv_heads; // below q_heads the difference is huge
  isValue = k.i32(p.q_heads + p.kv_heads - 1) < headIndex;
  base = k.rowBase(0, token) + headIndex * p.head_dim;
  k.loop(k.thread(), k.i32(p.head_dim), k.i32(threads),
         [&](Val i) { k.store(head, i, k.loadF32(0, base + i)); });
}

/// x * inverse * weight; values keep theirs.
void Qkv::normalise() {
  Shared scratch = k.shared(threads, true);
  KernelBuilder::Vals squares =
      k.loop(k.thread(), k.i32(p.head_dim), k.i32(threads), KernelBuilder::Vals{k.f32(0)},
             [&](Val i, KernelBuilder::Vals state) {
               Val v = k.load(head, i);
               return KernelBuilder::Vals{k.fma(v, v, state[0])};
             });
  Val mean = k.sumThreads(scratch, squares[0]) / k.f32(p.head_dim);
  Val inverse = k.f32(1) / k.sqrt(mean + k.f32(p.norm_epsilon));
  k.loop(k.thread(), k.i32(p.head_dim), k.i32(threads), [&](Val i) {
    Val weight = k.when(
        isQuery, [&] { return k.loadF32(2, k.rowBase(2) + i); },
        [&] { return k.loadF32(3, k.rowBase(3) + i); });
    Val v = k.load(head, i);
    k.store(head, i, k.select(isValue, v, v * inverse * weight));
  });
}

/// Element i turned by its angle: pairs are (i, i + half).
Val Qkv::rotated(Val i) {
  Val x = k.load(head, i);
  if (!(p.flags & LLMIR_QKV_ROPE))
    return x;
  const uint32_t half = p.rope_dim / 2;
  Val table = k.rowBase(1, token);
  Val isLower = i < half;
  Val angle = k.umin(k.select(isLower, i, i - half), k.i32(half - 1));
  Val other = k.load(head, k.umin(k.select(isLower, i + half, i - half), k.i32(p.head_dim - 1)));
  Val c = k.loadF32(1, table + angle), s = k.loadF32(1, table + angle + half);
  Val turned = k.select(isLower, x * c - other * s, x * c + other * s);
  if (p.rope_dim < p.head_dim)
    turned = k.select(i < p.rope_dim, turned, x);
  return k.select(isValue, x, turned);
}

void Qkv::findPlace() {
  Val position = k.load(batchBinding, k.word(LLMIR_GPU_WORD_POSITIONS) + token);
  Val sequence = k.load(batchBinding, k.word(LLMIR_GPU_WORD_SEQUENCES) + token);
  Val kvHead = (headIndex - p.q_heads) % p.kv_heads;
  group = places.group(sequence, kvHead, position);
  lane = position % 16;
}

void Qkv::storeKeyAndValue(Val pair, Val even, Val odd) {
  findPlace();
  k.when(isKey, [&] {
    places.storeKey(group.keys, pair * 2, lane, even);
    places.storeKey(group.keys, pair * 2 + 1, lane, odd);
  });
  k.when(isValue, [&] { places.storeValues(group.values, pair, lane, even, odd); });
}

void Qkv::storeFloats() {
  k.loop(k.thread(), k.i32(p.head_dim / 2), k.i32(threads), [&](Val pair) {
    Val even = rotated(pair * 2), odd = rotated(pair * 2 + 1);
    k.when(isQuery, [&] {
      k.store(0, base + pair * 2, even);
      k.store(0, base + pair * 2 + 1, odd);
    });
    k.when(k.i32(p.q_heads - 1) < headIndex, [&] { storeKeyAndValue(pair, even, odd); });
  });
}

void Qkv::storeIntegers() {
  Shared turned = k.shared(p.head_dim, true), scratch = k.shared(threads, true);
  k.loop(k.thread(), k.i32(p.head_dim), k.i32(threads),
         [&](Val i) { k.store(turned, i, rotated(i)); });
  k.barrier();
  turnHead(k, turned, p.head_dim, threads);
  KvIntegers integers(k, turned, p.head_dim, threads);
  Val largest = k.maxThreads(scratch, integers.largest());
  k.when(isQuery, [&] { integers.storeQuery(0, base, largest); });
  k.when(k.i32(p.q_heads - 1) < headIndex, [&] {
    findPlace();
    k.when(isKey, [&] { integers.storeKey(4, group.keys, lane, largest); });
    k.when(isValue, [&] {
      if (places.isQ4())
        integers.storeValueQ4(4, group.values, lane);
      else
        integers.storeValueQ8(4, group.values, lane, largest);
    });
  });
}

void Qkv::build() {
  loadHead();
  if (p.flags & LLMIR_QKV_NORM)
    normalise();
  k.barrier();
  if (places.isInteger())
    storeIntegers();
  else
    storeFloats();
}

} // namespace

void buildQkv(VariantFunctions &out, const llmir_qkv_params_t &p) {
  llvm::SmallVector<uint32_t, 6> bindings{0, 4, batchBinding};
  if (p.flags & LLMIR_QKV_ROPE)
    bindings.push_back(1);
  if (p.flags & LLMIR_QKV_NORM)
    bindings.append({2, 3});
  for (uint32_t storage : gpuKvStorages()) {
    llmir_gpu_function_t function = rowFunction(threads, p.q_heads + 2 * p.kv_heads);
    function.kv_type = storage;
    out.begin(function, bindings);
    Qkv(out.kernel, p, storage).build();
    out.kernel.end();
  }
}

} // namespace llmir::compiler
