//===- AttentionKernel.cpp - Attention over the paged cache ---------------===//
//
// A workgroup takes one query head of one token, and walks over the keys in pieces: scores, their
// maximum, exponentials, then the sum of values. Each piece has sums of its own, relative to its
// maximum, and pieces are merged in order as online softmax does it. They begin at multiples of
// LLMIR_GPU_PIECE_KEYS, so that results do not depend on what else is in the batch.
//
// Few tokens and long contexts leave most of a large GPU idle, so there a token's pieces are cut
// into parts: a workgroup takes one part of a head, leaves what it found in the scratch memory,
// and a second function merges the parts. Where parts begin depends on the token's context alone,
// and the function for many tokens merges in the same order, so the bits are the same (after Dao et
// al., "Flash-Decoding for long-context inference", 2023).
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

#include <algorithm>

namespace llmir::compiler {
namespace {

using Vals = KernelBuilder::Vals;

constexpr uint32_t pieceKeys = LLMIR_GPU_PIECE_KEYS;
constexpr uint32_t joinedAtOnce = 4; ///< parts whose loads are on their way together

/// Of the operands that the plan knows, and behind them.
constexpr uint32_t queryBinding = 0, cacheBinding = 1, outBinding = 2;
constexpr uint32_t scratchBinding = LLMIR_GPU_SCRATCH_BINDING;

class Attention {
public:
  Attention(KernelBuilder &k, const llmir_attention_params_t &p, uint32_t storage)
      : k(k), p(p), tiles(gpuTiles(k.target())), threads(tiles.attentionThreads),
        places(k, cacheBinding, storage, p.head_dim) {}
  void buildWhole();
  void buildPart();
  void buildJoin();

private:
  uint32_t pairs() const { return p.head_dim / 2; }
  bool isCut() const { return tiles.attentionParts != 0; }
  /// Shares of the keys of a piece whose values are summed by threads of their own.
  uint32_t slices() const { return isCut() ? std::max(threads / pairs(), 1u) : 1u; }
  /// Pairs of elements that a thread keeps.
  uint32_t kept() const { return slices() > 1 ? 1 : (pairs() + threads - 1) / threads; }
  Val pairOf(uint32_t kept);
  Val ownsPair(uint32_t kept);
  uint32_t unrolled(uint32_t count) const;
  Vals nothing();

  void takeShared();
  void place(Val head);
  void placePieces();
  void loadQuery();
  Val score(Val position, Val value);
  Vals scorePair(Val keys, Val lanes);
  Vals dotFloats(Val keys, Val lanes);
  Vals dotIntegers(Val keys, Val lanes);
  Val scorePiece(Val first, Val end);
  Vals findPiece(Val piece);
  Val weigh(Val values, Val lane, Val index, Val exponential);
  void addGroup(Vals &sums, Val values, Val firstScore);
  Vals sumValues(Val first, Val begin, Val end);
  void joinSlices(Vals &sums);
  Vals merge(const Vals &state, const Vals &found);
  Vals walk(Val from, Val to);
  Vals walkParts();
  Val scratchOf(Val part);
  void storePart(const Vals &state, Val part);
  Vals loadPart(Val part);
  void storeOut(const Vals &state);
  void storeTurned(const Vals &state, Val to);

  KernelBuilder &k;
  const llmir_attention_params_t &p;
  const GpuTiles &tiles;
  uint32_t threads;
  KvPlaces places;
  Shared query; ///< f32 [head_dim], or two int16 a word
  Shared scores, scratch, sliced;
  Val queryScale; ///< of integers, times the scale of all scores
  Val token, head, kvHead, sequence, firstKey, lastKey; ///< keys [firstKey, lastKey)
  Val firstPiece, lastPiece, partPieces; ///< pieces [firstPiece, lastPiece), and those of a part
};

//===----------------------------------------------------------------------===//
// Where a workgroup is
//===----------------------------------------------------------------------===//

Val Attention::pairOf(uint32_t i) {
  return slices() > 1 ? k.thread() % pairs() : k.thread() + i * threads;
}

Val Attention::ownsPair(uint32_t i) {
  return slices() > 1 ? k.thread() < pairs() : pairOf(i) < pairs();
}

/// How many of `count` steps stand side by side.
uint32_t Attention::unrolled(uint32_t count) const {
  uint32_t steps = tiles.attentionUnroll;
  while (count % steps != 0)
    steps /= 2;
  return steps;
}

/// A state: maximum, sum of exponentials, sums of values. The first maximum is finite, so that
/// differences are numbers.
Vals Attention::nothing() {
  Vals state{k.f32(-3.0e38), k.f32(0)};
  state.append(2 * kept(), k.f32(0));
  return state;
}

void Attention::place(Val headIndex) {
  token = k.groupY();
  head = headIndex;
  kvHead = head / (p.q_heads / p.kv_heads);
  sequence = k.load(batchBinding, k.word(LLMIR_GPU_WORD_SEQUENCES) + token);
  lastKey = k.load(batchBinding, k.word(LLMIR_GPU_WORD_POSITIONS) + token) + 1;
  firstKey = k.i32(0);
  if (p.window != 0)
    firstKey = k.select(lastKey < p.window, k.i32(0), lastKey - p.window);
  placePieces();
}

/// There are never more parts than tiles.attentionParts. Every token sees a key.
void Attention::placePieces() {
  firstPiece = firstKey / pieceKeys;
  lastPiece = (lastKey + (pieceKeys - 1)) / pieceKeys;
  partPieces = (lastPiece - firstPiece + (tiles.attentionParts - 1)) / tiles.attentionParts;
}

void Attention::loadQuery() {
  Val from = k.rowBase(queryBinding, token) + head * p.head_dim;
  const bool isInteger = places.isInteger();
  const uint32_t words = isInteger ? p.head_dim / 2 : p.head_dim;
  k.loop(k.thread(), k.i32(words), k.i32(threads), [&](Val i) {
    k.store(query, i,
            isInteger ? k.load(queryBinding, from + i) : k.loadF32(queryBinding, from + i));
  });
  if (isInteger)
    queryScale = k.loadF32(queryBinding, from + words) * k.f32(p.scale);
  k.barrier();
}

//===----------------------------------------------------------------------===//
// A piece
//===----------------------------------------------------------------------===//

/// The score of a key from its scaled sum of products; minus infinity if this token does not see
/// it.
Val Attention::score(Val position, Val value) {
  if (p.soft_cap != 0)
    value = k.softCap(value, p.soft_cap);
  Val none = k.asFloat(k.i32(static_cast<int32_t>(0xff800000)));
  value = k.select(position < lastKey, value, none);
  return p.window == 0 ? value : k.select(position < firstKey, none, value);
}

/// Scaled products of the query with the keys of a pair of positions.
Vals Attention::scorePair(Val keys, Val lanes) {
  return places.isInteger() ? dotIntegers(keys, lanes) : dotFloats(keys, lanes);
}

Vals Attention::dotFloats(Val keys, Val lanes) {
  const uint32_t steps = unrolled(p.head_dim);
  Vals sums = k.loop(
      k.i32(0), k.i32(p.head_dim), k.i32(steps), Vals{k.f32(0), k.f32(0)}, [&](Val d, Vals sums) {
        llvm::SmallVector<std::pair<Val, Val>, 16> loaded;
        for (uint32_t i = 0; i < steps; ++i)
          loaded.push_back(places.loadKeys(keys, d, lanes, i));
        for (uint32_t i = 0; i < steps; ++i) {
          Val q = k.load(query, d + i);
          sums = {k.fma(q, loaded[i].first, sums[0]), k.fma(q, loaded[i].second, sums[1])};
        }
        return sums;
      });
  return {sums[0] * k.f32(p.scale), sums[1] * k.f32(p.scale)};
}

Vals Attention::dotIntegers(Val keys, Val lanes) {
  const uint32_t steps = unrolled(p.head_dim / 2);
  Vals sums =
      k.loop(k.i32(0), k.i32(p.head_dim / 2), k.i32(steps), Vals{k.i32(0), k.i32(0)},
             [&](Val d, Vals sums) {
               Vals loaded;
               for (uint32_t i = 0; i < steps; ++i)
                 loaded.push_back(places.loadKeyBytes(keys, d, lanes, i));
               for (uint32_t i = 0; i < steps; ++i) {
                 Val q = k.load(query, d + i);
                 sums = {k.dot2(q, loaded[i], false, sums[0]), k.dot2(q, loaded[i], true, sums[1])};
               }
               return sums;
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

/// Adds exponential * value of the sixteen keys of a group, whose exponentials begin at scores
/// [firstScore]. Everything is asked for before anything is needed.
void Attention::addGroup(Vals &sums, Val values, Val firstScore) {
  llvm::SmallVector<std::pair<Val, Val>, 16> loaded;
  Vals scaled;
  for (uint32_t key = 0; key < 16; ++key)
    for (uint32_t i = 0; i < kept(); ++i) {
      Val pair = k.umin(pairOf(i), k.i32(pairs() - 1));
      loaded.push_back(places.loadValues(values, key, pair));
      Val weight = k.load(scores, firstScore + key);
      scaled.push_back(places.isQ4()
                           ? weigh(values, k.i32(key), pair / (LLMIR_KV_Q4_GROUP / 2), weight)
                           : weight);
    }
  for (size_t n = 0; n < loaded.size(); ++n) {
    const size_t i = n % kept();
    sums[2 * i] = k.fma(scaled[n], loaded[n].first, sums[2 * i]);
    sums[2 * i + 1] = k.fma(scaled[n], loaded[n].second, sums[2 * i + 1]);
  }
}

/// Sums of exponential * value over the keys of a piece, for the pairs of elements of this thread.
/// Sixteen keys share a group; the exponentials of those that do not count are zero.
Vals Attention::sumValues(Val first, Val begin, Val end) {
  Val from = begin / 16;
  if (slices() > 1)
    from = from + k.thread() / pairs();
  Vals sums = k.loop(from, (end + 15) / 16, k.i32(slices()), Vals(2 * kept(), k.f32(0)),
                     [&](Val group, Vals sums) {
                       addGroup(sums, places.group(sequence, kvHead, first + group * 16).values,
                                group * 16);
                       return sums;
                     });
  if (slices() > 1)
    joinSlices(sums);
  return sums;
}

/// In the order of the slices.
void Attention::joinSlices(Vals &sums) {
  for (uint32_t i = 0; i < 2; ++i)
    k.store(sliced, k.thread() + i * threads, sums[i]);
  k.barrier();
  for (uint32_t i = 0; i < 2; ++i) {
    Val at = pairOf(0) + i * threads;
    sums[i] = k.load(sliced, at);
    for (uint32_t slice = 1; slice < slices(); ++slice)
      sums[i] = sums[i] + k.load(sliced, at + slice * pairs());
  }
}

/// The state of a piece alone.
Vals Attention::findPiece(Val piece) {
  Val first = piece * pieceKeys;
  Val begin = k.select(first < firstKey, firstKey - first, k.i32(0));
  Val end = k.umin(lastKey - first, k.i32(pieceKeys));
  Val largest = k.maxThreads(scratch, scorePiece(first, end));
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
  Vals found{largest, k.sumThreads(scratch, sums[0])};
  found.append(sumValues(first, begin, end));
  k.barrier(); // before the scores of the next piece
  return found;
}

//===----------------------------------------------------------------------===//
// Pieces and parts
//===----------------------------------------------------------------------===//

Vals Attention::merge(const Vals &state, const Vals &found) {
  Val largest = k.fmax(state[0], found[0]);
  Val keep = k.exp(state[0] - largest), take = k.exp(found[0] - largest);
  Vals merged{largest};
  for (size_t i = 1; i < state.size(); ++i)
    merged.push_back(k.fma(state[i], keep, found[i] * take));
  return merged;
}

/// The state of pieces [from, to).
Vals Attention::walk(Val from, Val to) {
  return k.loop(from, to, k.i32(1), nothing(),
                [&](Val piece, Vals state) { return merge(state, findPiece(piece)); });
}

/// The state of all pieces, merged part by part.
Vals Attention::walkParts() {
  const size_t count = nothing().size();
  Vals both = nothing();
  both.append(nothing());
  both = k.loop(firstPiece, lastPiece, k.i32(1), both, [&](Val piece, Vals inner) {
    Vals whole(inner.begin(), inner.begin() + count), part(inner.begin() + count, inner.end());
    part = merge(part, findPiece(piece));
    Vals merged = merge(whole, part), empty = nothing(), result;
    Val next = piece + 1;
    Val ends = k.either((next - firstPiece) % partPieces == k.i32(0), next == lastPiece);
    for (size_t i = 0; i < count; ++i)
      result.push_back(k.select(ends, merged[i], whole[i]));
    for (size_t i = 0; i < count; ++i)
      result.push_back(k.select(ends, empty[i], part[i]));
    return result;
  });
  return Vals(both.begin(), both.begin() + count);
}

/// Maximum, sum and sums of values of a part: f32 [row][query head][part][2 + head_dim].
Val Attention::scratchOf(Val part) {
  Val row = token * p.q_heads + head;
  return (row * tiles.attentionParts + part) * (p.head_dim + 2);
}

void Attention::storePart(const Vals &state, Val part) {
  Val to = scratchOf(part);
  k.when(k.thread() == 0, [&] {
    k.store(scratchBinding, to, state[0]);
    k.store(scratchBinding, to + 1, state[1]);
  });
  for (uint32_t i = 0; i < kept(); ++i)
    k.when(ownsPair(i), [&] {
      k.store(scratchBinding, to + pairOf(i) * 2 + 2, state[2 + 2 * i]);
      k.store(scratchBinding, to + pairOf(i) * 2 + 3, state[3 + 2 * i]);
    });
}

Vals Attention::loadPart(Val part) {
  Val from = scratchOf(part);
  Vals state{k.loadF32(scratchBinding, from), k.loadF32(scratchBinding, from + 1)};
  for (uint32_t i = 0; i < kept(); ++i) {
    Val pair = k.umin(pairOf(i), k.i32(pairs() - 1));
    state.push_back(k.loadF32(scratchBinding, from + pair * 2 + 2));
    state.push_back(k.loadF32(scratchBinding, from + pair * 2 + 3));
  }
  return state;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void Attention::storeOut(const Vals &state) {
  Val to = k.rowBase(outBinding, token) + head * p.head_dim;
  if (places.isInteger())
    return storeTurned(state, to);
  for (uint32_t i = 0; i < kept(); ++i)
    k.when(ownsPair(i), [&] {
      k.store(outBinding, to + pairOf(i) * 2, state[2 + 2 * i] / state[1]);
      k.store(outBinding, to + pairOf(i) * 2 + 1, state[3 + 2 * i] / state[1]);
    });
}

/// The values were turned.
void Attention::storeTurned(const Vals &state, Val to) {
  Shared turned = k.shared(p.head_dim, true);
  for (uint32_t i = 0; i < kept(); ++i)
    k.when(ownsPair(i), [&] {
      k.store(turned, pairOf(i) * 2, state[2 + 2 * i] / state[1]);
      k.store(turned, pairOf(i) * 2 + 1, state[3 + 2 * i] / state[1]);
    });
  k.barrier();
  turnHead(k, turned, p.head_dim, threads);
  k.loop(k.thread(), k.i32(p.head_dim), k.i32(threads),
         [&](Val i) { k.store(outBinding, to + i, k.load(turned, i)); });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

void Attention::takeShared() {
  query = k.shared(places.isInteger() ? p.head_dim / 2 : p.head_dim, !places.isInteger());
  scores = k.shared(pieceKeys, true);
  scratch = k.shared(threads, true);
  if (slices() > 1)
    sliced = k.shared(2 * threads, true);
}

void Attention::buildWhole() {
  takeShared();
  place(k.groupX());
  loadQuery();
  storeOut(isCut() ? walkParts() : walk(firstPiece, lastPiece));
}

/// Workgroups along x: [part][query head]; there may be more than the token has parts.
void Attention::buildPart() {
  takeShared();
  place(k.groupX() % p.q_heads);
  Val part = k.groupX() / p.q_heads;
  Val from = firstPiece + part * partPieces;
  k.when(from < lastPiece, [&] {
    loadQuery();
    storePart(walk(from, k.umin(from + partPieces, lastPiece)), part);
  });
}

void Attention::buildJoin() {
  place(k.groupX());
  Val parts = (lastPiece - firstPiece + (partPieces - 1)) / partPieces;
  storeOut(k.loop(k.i32(0), parts, k.i32(joinedAtOnce), nothing(), [&](Val part, Vals state) {
    llvm::SmallVector<Vals, joinedAtOnce> found;
    for (uint32_t i = 0; i < joinedAtOnce; ++i)
      found.push_back(loadPart(k.umin(part + i, parts - 1)));
    for (uint32_t i = 0; i < joinedAtOnce; ++i) {
      Vals merged = merge(state, found[i]);
      for (size_t n = 0; n < state.size(); ++n)
        state[n] = k.select(part + i < parts, merged[n], state[n]);
    }
    return state;
  }));
}

} // namespace

void buildAttention(VariantFunctions &out, const llmir_attention_params_t &p) {
  KernelBuilder &k = out.kernel;
  const GpuTiles &tiles = gpuTiles(k.target());
  llvm::SmallVector<size_t, 4> wholes;
  for (uint32_t storage : gpuKvStorages()) {
    llmir_gpu_function_t function = rowFunction(tiles.attentionThreads, p.q_heads);
    function.kv_type = storage;
    wholes.push_back(out.begin(function, {queryBinding, cacheBinding, outBinding, batchBinding}));
    Attention(k, p, storage).buildWhole();
    k.end();
  }
  if (tiles.attentionParts == 0)
    return;
  // What joins parts differs only in whether the values were turned.
  size_t joins[2] = {0, 0};
  for (auto [storage, whole] : llvm::zip_equal(gpuKvStorages(), wholes)) {
    size_t &join = joins[llmir_kv_is_integer(storage)];
    if (join == 0) {
      join = out.beginApart(rowFunction(tiles.attentionThreads, p.q_heads),
                            {outBinding, scratchBinding, batchBinding});
      Attention(k, p, storage).buildJoin();
      k.end();
    }
    llmir_gpu_function_t function = rowFunction(tiles.attentionThreads, p.q_heads);
    const size_t part =
        out.beginApart(function, {queryBinding, cacheBinding, scratchBinding, batchBinding});
    Attention(k, p, storage).buildPart();
    k.end();
    out.at(whole).split = static_cast<uint32_t>(part) + 1;
    out.at(part).split = static_cast<uint32_t>(join) + 1;
  }
}

} // namespace llmir::compiler
