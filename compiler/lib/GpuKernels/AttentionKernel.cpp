//===- AttentionKernel.cpp - Attention over the paged cache ---------------===//
//
// A workgroup takes one query head of one token, and walks over the keys in pieces of 256: scores,
// their maximum, exponentials, then the sum of values; pieces are merged as online softmax does it.
// Pieces begin at multiples of 256, so that results do not depend on what else is in the batch.
//
// With a cache of integers (targets/cpu/kernels/attention_integer.h) queries are integers, too,
// sums of products are exact, weights of values are multiplied with their scales, and the result is
// turned back.
//
//===----------------------------------------------------------------------===//
#include "Hadamard.h"
#include "Kernels.h"
#include "KvPlaces.h"

extern "C" {
#include "quant/kv_layout.h"
}

namespace llmir::compiler {
namespace {

using Vals = KernelBuilder::Vals;

constexpr uint32_t pieceKeys = 256;

class Attention {
public:
  Attention(KernelBuilder &k, const llmir_attention_params_t &p, uint32_t threads, uint32_t storage)
      : k(k), p(p), threads(threads), places(k, 1, storage, p.head_dim) {}
  void build();

private:
  uint32_t pairs() const { return p.head_dim / 2; }
  /// Pairs of elements that a thread keeps.
  uint32_t kept() const { return (pairs() + threads - 1) / threads; }

  void place();
  void loadQuery();
  Val score(Val position, Val value);
  Vals scorePair(Val keys, Val lanes);
  Vals dotIntegers(Val keys, Val lanes);
  Val scorePiece(Val first, Val end);
  void addPiece(Val piece, Vals &state);
  Val weigh(Val values, Val lane, Val index, Val exponential);
  Vals sumValues(Val first, Val begin, Val end);
  void storeOut(const Vals &state);
  void storeTurned(const Vals &state, Val to);

  KernelBuilder &k;
  const llmir_attention_params_t &p;
  uint32_t threads;
  KvPlaces places;
  Shared query; ///< f32 [head_dim], or two int16 a word
  Shared scores, scratch;
  Val queryScale; ///< of integers, times the scale of all scores
  Val token, head, kvHead, sequence, firstKey, lastKey; ///< keys [firstKey, lastKey)
};

void Attention::place() {
  scores = k.shared(pieceKeys, true);
  scratch = k.shared(threads, true);
  token = k.groupY();
  head = k.groupX();
  kvHead = head / (p.q_heads / p.kv_heads);
  sequence = k.load(batchBinding, k.word(LLMIR_GPU_WORD_SEQUENCES) + token);
  lastKey = k.load(batchBinding, k.word(LLMIR_GPU_WORD_POSITIONS) + token) + 1;
  firstKey = k.i32(0);
  if (p.window != 0)
    firstKey = k.select(lastKey < p.window, k.i32(0), lastKey - p.window);
  loadQuery();
  k.barrier();
}

void Attention::loadQuery() {
  Val from = k.rowBase(0, token) + head * p.head_dim;
  const bool isInteger = places.isInteger();
  const uint32_t words = isInteger ? p.head_dim / 2 : p.head_dim;
  query = k.shared(words, !isInteger);
  k.loop(k.thread(), k.i32(words), k.i32(threads), [&](Val i) {
    k.store(query, i, isInteger ? k.load(0, from + i) : k.loadF32(0, from + i));
  });
  if (isInteger)
    queryScale = k.loadF32(0, from + words) * k.f32(p.scale);
}

/// The score of a key from its scaled sum of products; minus infinity if this token does not see
/// it.
Val Attention::score(Val position, Val value) {
  if (p.soft_cap != 0)
    value = k.softCap(value, p.soft_cap);
  Val nothing = k.asFloat(k.i32(static_cast<int32_t>(0xff800000)));
  value = k.select(position < lastKey, value, nothing);
  return p.window == 0 ? value : k.select(position < firstKey, nothing, value);
}

/// Scaled products of the query with the keys of a pair of positions.
Vals Attention::scorePair(Val keys, Val lanes) {
  if (places.isInteger())
    return dotIntegers(keys, lanes);
  Vals sums = k.loop(k.i32(0), k.i32(p.head_dim), k.i32(1), Vals{k.f32(0), k.f32(0)},
                     [&](Val d, Vals sums) {
                       auto [even, odd] = places.loadKeys(keys, d, lanes);
                       Val q = k.load(query, d);
                       return Vals{k.fma(q, even, sums[0]), k.fma(q, odd, sums[1])};
                     });
  return {sums[0] * k.f32(p.scale), sums[1] * k.f32(p.scale)};
}

Vals Attention::dotIntegers(Val keys, Val lanes) {
  Vals sums = k.loop(
      k.i32(0), k.i32(p.head_dim / 2), k.i32(1), Vals{k.i32(0), k.i32(0)}, [&](Val d, Vals sums) {
        Val q = k.load(query, d), bytes = places.loadKeyBytes(keys, d, lanes);
        return Vals{k.dot2(q, bytes, false, sums[0]), k.dot2(q, bytes, true, sums[1])};
      });
  auto [even, odd] = places.loadKeyScales(keys, lanes);
  return {k.toFloat(sums[0]) * even * queryScale, k.toFloat(sums[1]) * odd * queryScale};
}

/// Leaves the scores of keys [0, end) of a piece in shared memory; returns the maximum of this
/// thread's.
Val Attention::scorePiece(Val first, Val end) {
  Vals largest =
      k.loop(k.thread(), (end + 1) / 2, k.i32(threads),
             Vals{k.asFloat(k.i32(static_cast<int32_t>(0xff800000)))}, [&](Val pair, Vals state) {
               Val position = first + pair * 2;
               Vals values =
                   scorePair(places.group(sequence, kvHead, position).keys, (position % 16) / 2);
               Val even = score(position, values[0]), odd = score(position + 1, values[1]);
               k.store(scores, pair * 2, even);
               k.store(scores, pair * 2 + 1, odd);
               return Vals{k.fmax(k.fmax(even, odd), state[0])};
             });
  return largest[0];
}

/// What a value of integers is multiplied with. Where keys were never written, scales may be
/// anything.
Val Attention::weigh(Val values, Val lane, Val index, Val exponential) {
  Val weight = exponential * places.loadValueScale(values, lane, index);
  return k.select(k.greater(exponential, k.f32(0)), weight, k.f32(0));
}

/// Sums of exponential * value over the keys of a piece, for the pairs of elements of this thread.
/// Sixteen keys share a group; the exponentials of those that do not count are zero.
Vals Attention::sumValues(Val first, Val begin, Val end) {
  return k.loop(begin / 16, (end + 15) / 16, k.i32(1), Vals(2 * kept(), k.f32(0)),
                [&](Val group, Vals sums) {
                  Val values = places.group(sequence, kvHead, first + group * 16).values;
                  for (uint32_t key = 0; key < 16; ++key) {
                    Val weight = k.load(scores, group * 16 + key);
                    for (uint32_t i = 0; i < kept(); ++i) {
                      Val pair = k.umin(k.thread() + i * threads, k.i32(pairs() - 1));
                      auto [even, odd] = places.loadValues(values, k.i32(key), pair);
                      Val scaled = weight;
                      if (places.isQ4())
                        scaled = weigh(values, k.i32(key), pair / (LLMIR_KV_Q4_GROUP / 2), weight);
                      sums[2 * i] = k.fma(scaled, even, sums[2 * i]);
                      sums[2 * i + 1] = k.fma(scaled, odd, sums[2 * i + 1]);
                    }
                  }
                  return sums;
                });
}

/// Merges a piece into `state`: maximum, sum of exponentials, sums of values.
void Attention::addPiece(Val piece, Vals &state) {
  Val first = piece * pieceKeys;
  Val begin = k.select(first < firstKey, firstKey - first, k.i32(0));
  Val end = k.umin(lastKey - first, k.i32(pieceKeys));
  Val pieceMax = k.maxThreads(scratch, scorePiece(first, end));
  Val largest = k.fmax(state[0], pieceMax);
  Val whole = ((end + 15) / 16) * 16;
  Vals sums = k.loop(k.thread(), whole, k.i32(threads), Vals{k.f32(0)}, [&](Val key, Vals sum) {
    Val e = k.exp(k.load(scores, key) - largest);
    e = k.select(key < end, e, k.f32(0));
    Val weight = e;
    if (places.isInteger() && !places.isQ4()) // one scale for all of a value
      weight = weigh(places.group(sequence, kvHead, first + key).values, key % 16, k.i32(0), e);
    k.store(scores, key, weight);
    return Vals{sum[0] + e};
  });
  Val pieceSum = k.sumThreads(scratch, sums[0]);
  Val keep = k.exp(state[0] - largest);
  Vals values = sumValues(first, begin, end);
  k.barrier(); // before the scores of the next piece
  state[0] = largest;
  state[1] = k.fma(state[1], keep, pieceSum);
  for (size_t i = 0; i < values.size(); ++i)
    state[2 + i] = k.fma(state[2 + i], keep, values[i]);
}

void Attention::storeOut(const Vals &state) {
  Val to = k.rowBase(2, token) + head * p.head_dim;
  if (places.isInteger())
    return storeTurned(state, to);
  for (uint32_t i = 0; i < kept(); ++i) {
    Val pair = k.thread() + i * threads;
    k.when(pair < pairs(), [&] {
      k.store(2, to + pair * 2, state[2 + 2 * i] / state[1]);
      k.store(2, to + pair * 2 + 1, state[3 + 2 * i] / state[1]);
    });
  }
}

/// The values were turned.
void Attention::storeTurned(const Vals &state, Val to) {
  Shared turned = k.shared(p.head_dim, true);
  for (uint32_t i = 0; i < kept(); ++i) {
    Val pair = k.thread() + i * threads;
    k.when(pair < pairs(), [&] {
      k.store(turned, pair * 2, state[2 + 2 * i] / state[1]);
      k.store(turned, pair * 2 + 1, state[3 + 2 * i] / state[1]);
    });
  }
  k.barrier();
  turnHead(k, turned, p.head_dim, threads);
  k.loop(k.thread(), k.i32(p.head_dim), k.i32(threads),
         [&](Val i) { k.store(2, to + i, k.load(turned, i)); });
}

void Attention::build() {
  place();
  // The first maximum is finite, so that differences are numbers; every token sees a key.
  Vals state{k.f32(-3.0e38), k.f32(0)};
  state.append(2 * kept(), k.f32(0));
  Val lastPiece = (lastKey + (pieceKeys - 1)) / pieceKeys;
  state = k.loop(firstKey / pieceKeys, lastPiece, k.i32(1), state, [&](Val piece, Vals inner) {
    addPiece(piece, inner);
    return inner;
  });
  storeOut(state);
}

} // namespace

void buildAttention(VariantFunctions &out, const llmir_attention_params_t &p) {
  const uint32_t threads = gpuTiles(out.kernel.target()).attentionThreads;
  for (uint32_t storage : gpuKvStorages()) {
    llmir_gpu_function_t function = rowFunction(threads, p.q_heads);
    function.kv_type = storage;
    out.begin(function, {0, 1, 2, batchBinding});
    Attention(out.kernel, p, threads, storage).build();
    out.kernel.end();
  }
}

} // namespace llmir::compiler
