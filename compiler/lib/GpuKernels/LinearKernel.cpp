//===- LinearKernel.cpp - The matrix product ------------------------------===//
//
// out[t][n] = epilogue(sum over k of w[n][k] * a[t][k]). Sixteen adjacent threads take the rows of
// a panel, so that they read adjacent words; a thread takes one output of one or several tokens.
//
// The columns are cut into slices, whose sums are added in order: with few tokens each slice has
// threads of its own, with many a thread takes one after the other. Both give the same bits, for
// any number of tokens. Integer weights, per slice, groups g in order:
//
//   i   = dot(q_w[n][g], q_a[t][g])                          exact
//   acc = fma((float)i * d[n][g], scale[t][g], acc)
//   acc = fma(m[n][g], (float)sum[t][g] * scale[t][g], acc)  U4 only
//
// Floats: four chains, acc[k % 4] = fma(w[k], a[k], acc[k % 4]).
//
//===----------------------------------------------------------------------===//
#include "LinearKernel.h"
#include "Panels.h"

extern "C" {
#include "quant/activation.h"
#include "quant/quant_layout.h"
}

namespace llmir::compiler {
namespace {

using Vals = KernelBuilder::Vals;

/// How the threads of a workgroup share the work.
struct LinearShape {
  uint32_t slices; ///< of the columns
  bool spread;     ///< slices have threads of their own
  uint32_t panels; ///< output panels of a workgroup
  uint32_t tokens; ///< of a thread

  uint32_t sliceThreads() const { return spread ? slices : 1; }
  uint32_t threads() const { return 16 * panels * sliceThreads(); }
};

class Linear {
public:
  Linear(KernelBuilder &k, const llmir_linear_params_t &p, const LinearShape &shape)
      : k(k), p(p), shape(shape), panels(k, 1, p.layout, p.group, p.columns) {}
  void build();

private:
  bool isWide() const { return p.flags & LLMIR_LINEAR_WIDE; }
  uint32_t perOutput() const { return p.gate != LLMIR_GATE_NONE ? 2 : 1; }
  uint32_t halves() const { return isWide() ? 2 : 1; }
  uint32_t rowColumns() const { return isWide() ? 2 * p.columns : p.columns; }
  /// Steps that the columns are cut into: groups, or four columns of floats.
  uint32_t stepCount() const {
    return panels.isInteger() ? p.columns / p.group : (p.columns + 3) / 4;
  }
  size_t at(uint32_t panel, uint32_t token) const { return panel * shape.tokens + token; }

  void place();
  Vals sumSteps(Val from, Val to);
  void addGroup(Val g, Vals &sums);
  Vals dotGroup(Val g, llvm::ArrayRef<Val> blocks);
  Val dotNibbles(Val weights, bool high, Val a, Val acc);
  void addColumns(Val quad, Vals &chains);
  Vals sumSlices();
  Vals sumSpread();

  KernelBuilder &k;
  const llmir_linear_params_t &p;
  LinearShape shape;
  Panels panels;
  Val lane, slice, panelPlace, outputPanel, weightPanel, rowCount;
  Vals rowBases, tokens;
};

/// Finds out what this thread works on. Loads of threads beyond the last panel or token are moved
/// to it, and their results dropped.
void Linear::place() {
  Val thread = k.thread();
  lane = thread % 16;
  slice = (thread / 16) % shape.sliceThreads();
  panelPlace = thread / (16 * shape.sliceThreads());
  Val first = k.word(LLMIR_GPU_WORD_FIRST) / 16;
  Val panel = k.groupX() * shape.panels + panelPlace;
  outputPanel = first + panel;
  Val last = k.i32(llmir_panel_count(p.rows) - 1) - first;
  weightPanel = k.umin(panel, last) * perOutput();
  rowCount = k.word(LLMIR_GPU_WORD_ROWS);
  for (uint32_t t = 0; t < shape.tokens; ++t) {
    tokens.push_back(k.groupY() * shape.tokens + t);
    rowBases.push_back(k.rowBase(0, k.umin(tokens[t], rowCount - 1)));
  }
}

/// Nibbles 0 .. 15 times signed bytes. Without an instruction for it, each is taken out.
Val Linear::dotNibbles(Val weights, bool high, Val a, Val acc) {
  if (k.target().dot4)
    return k.dot4((high ? weights >> 4 : weights) & 0x0f0f0f0f, a, acc);
  for (int byte = 0; byte < 4; ++byte)
    acc = acc +
          ((weights >> (8 * byte + (high ? 4 : 0))) & 15) * k.shiftSigned(a << (24 - 8 * byte), 24);
  return acc;
}

/// The integer products of group `g`: [panel][half][token], where half 0 is the high bytes of wide
/// activations, or all. `blocks`: the group's block of each panel.
Vals Linear::dotGroup(Val g, llvm::ArrayRef<Val> blocks) {
  const uint32_t words = p.group / 4, steps = panels.isNibbles() ? words / 2 : words;
  return k.loop(k.i32(0), k.i32(steps), k.i32(1),
                Vals(perOutput() * halves() * shape.tokens, k.i32(0)), [&](Val w, Vals dots) {
                  // A word of nibbles has columns w and w + 16 of its chunk of 32.
                  Val place = panels.isNibbles() && p.group > 32 ? (w / 4) * 8 + w % 4 : w;
                  Val column = g * words + place;
                  Vals weights;
                  for (Val block : blocks)
                    weights.push_back(k.load(1, block + w * 16 + lane));
                  for (uint32_t half = 0; half < halves(); ++half)
                    for (uint32_t t = 0; t < shape.tokens; ++t) {
                      Val from = rowBases[t] + column + half * (p.columns / 4);
                      Val low = k.load(0, from);
                      Val high = panels.isNibbles() ? k.load(0, from + 4) : Val();
                      for (uint32_t panel = 0; panel < perOutput(); ++panel) {
                        Val &dot = dots[(panel * halves() + half) * shape.tokens + t];
                        dot = panels.isNibbles()
                                  ? dotNibbles(weights[panel], true, high,
                                               dotNibbles(weights[panel], false, low, dot))
                                  : k.dot4(weights[panel], low, dot);
                      }
                    }
                  return dots;
                });
}

void Linear::addGroup(Val g, Vals &sums) {
  Vals blocks;
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    blocks.push_back((weightPanel + panel) * panels.panelWords() + g * panels.blockWords());
  Vals dots = dotGroup(g, blocks);
  const uint32_t scales = llmir_q8_scale_offset(rowColumns()) / 4;
  const uint32_t sumsAt = llmir_q8_sum_offset(rowColumns(), p.group) / 4;
  for (uint32_t t = 0; t < shape.tokens; ++t) {
    Val scale = k.loadF32(0, rowBases[t] + g + scales);
    Val rowSum = p.layout == LLMIR_LAYOUT_PANEL_S8 ? Val() : k.load(0, rowBases[t] + g + sumsAt);
    for (uint32_t panel = 0; panel < perOutput(); ++panel) {
      Panels::Place place{blocks[panel], blocks[panel], lane};
      const size_t first = panel * halves() * shape.tokens + t;
      Val dot = isWide() ? (dots[first] << 8) + dots[first + shape.tokens] : dots[first];
      if (p.layout == LLMIR_LAYOUT_PANEL_S4)
        dot = dot - (rowSum << 3);
      Val &sum = sums[at(panel, t)];
      sum = k.fma(k.toFloat(dot) * panels.scale(place), scale, sum);
      if (p.layout == LLMIR_LAYOUT_PANEL_U4)
        sum = k.fma(panels.minimum(place), k.toFloat(rowSum) * scale, sum);
    }
  }
}

/// Four columns of floats; `chains` are four for each sum.
void Linear::addColumns(Val quad, Vals &chains) {
  for (uint32_t j = 0; j < 4; ++j) {
    Val column = quad * 4 + j;
    Val safe = p.columns % 4 == 0 ? column : k.umin(column, k.i32(p.columns - 1));
    Vals a;
    for (uint32_t t = 0; t < shape.tokens; ++t) {
      Val value = k.loadF32(0, rowBases[t] + safe);
      a.push_back(p.columns % 4 == 0 ? value : k.select(column < p.columns, value, k.f32(0)));
    }
    for (uint32_t panel = 0; panel < perOutput(); ++panel) {
      Val base = (weightPanel + panel) * panels.panelWords();
      Val w = panels.numberAt(base, safe * 16 + lane);
      for (uint32_t t = 0; t < shape.tokens; ++t) {
        Val &chain = chains[at(panel, t) * 4 + j];
        chain = k.fma(w, a[t], chain);
      }
    }
  }
}

/// The sums of steps [from, to): of each panel and token.
Vals Linear::sumSteps(Val from, Val to) {
  const size_t count = perOutput() * shape.tokens;
  if (panels.isInteger())
    return k.loop(from, to, k.i32(1), Vals(count, k.f32(0)), [&](Val g, Vals sums) {
      addGroup(g, sums);
      return sums;
    });
  Vals chains = k.loop(from, to, k.i32(1), Vals(4 * count, k.f32(0)), [&](Val quad, Vals state) {
    addColumns(quad, state);
    return state;
  });
  Vals sums;
  for (size_t i = 0; i < count; ++i)
    sums.push_back((chains[4 * i] + chains[4 * i + 1]) + (chains[4 * i + 2] + chains[4 * i + 3]));
  return sums;
}

/// All slices by this thread.
Vals Linear::sumSlices() {
  const uint32_t steps = stepCount(), length = (steps + shape.slices - 1) / shape.slices;
  if (shape.slices == 1)
    return sumSteps(k.i32(0), k.i32(steps));
  return k.loop(k.i32(0), k.i32(steps), k.i32(length), Vals(perOutput() * shape.tokens, k.f32(0)),
                [&](Val from, Vals sums) {
                  Vals part = sumSteps(from, k.umin(from + length, k.i32(steps)));
                  for (size_t i = 0; i < sums.size(); ++i)
                    sums[i] = sums[i] + part[i];
                  return sums;
                });
}

/// One slice by this thread; the sums of all reach the threads of slice 0.
Vals Linear::sumSpread() {
  const uint32_t steps = stepCount(), length = (steps + shape.slices - 1) / shape.slices;
  Val from = k.umin(slice * length, k.i32(steps));
  Vals part = sumSteps(from, k.umin(from + length, k.i32(steps)));
  Shared memory = k.shared(shape.threads() * static_cast<uint32_t>(part.size()), true);
  for (size_t i = 0; i < part.size(); ++i)
    k.store(memory, k.thread() + i * shape.threads(), part[i]);
  k.barrier();
  Vals sums;
  Val first = panelPlace * (16 * shape.slices) + lane;
  for (size_t i = 0; i < part.size(); ++i) {
    Val sum = k.f32(0);
    for (uint32_t s = 0; s < shape.slices; ++s)
      sum = sum + k.load(memory, first + (i * shape.threads() + 16 * s));
    sums.push_back(sum);
  }
  return sums;
}

void Linear::build() {
  place();
  Vals sums = shape.spread ? sumSpread() : sumSlices();
  Val isOutput = outputPanel * 16 + lane < p.rows;
  if (shape.spread)
    isOutput = k.both(isOutput, slice == 0);
  for (uint32_t t = 0; t < shape.tokens; ++t)
    k.when(k.both(isOutput, tokens[t] < rowCount), [&] {
      finishOutput(k, p, outputPanel * 16 + lane, tokens[t], sums[at(0, t)],
                   perOutput() == 2 ? sums[at(1, t)] : Val());
    });
}

void addLinear(VariantFunctions &out, const llmir_linear_params_t &p, const LinearShape &shape,
               uint32_t rowsMin) {
  addLinearFunction(out, p, {shape.threads(), shape.panels, shape.tokens, rowsMin},
                    [&] { Linear(out.kernel, p, shape).build(); });
}

} // namespace

Vals sumChunks(KernelBuilder &k, const llmir_linear_params_t &p, const Vals &zeros,
               llvm::function_ref<void(Val first, uint32_t chunk, Vals &sums)> add) {
  const bool isSmall = p.layout != LLMIR_LAYOUT_PANEL_S8 && !(p.flags & LLMIR_LINEAR_WIDE);
  const uint32_t chunks = p.group / 32, atOnce = std::min(chunks, isSmall ? 2u : 1u);
  auto addSome = [&](Val first, Vals sums) {
    for (uint32_t chunk = 0; chunk < atOnce; ++chunk)
      add(first, chunk, sums);
    return sums;
  };
  return chunks == atOnce ? addSome(k.i32(0), zeros)
                          : k.loop(k.i32(0), k.i32(chunks), k.i32(atOnce), zeros, addSome);
}

void addLinearFunction(VariantFunctions &out, const llmir_linear_params_t &p,
                       const LinearGroup &group, llvm::function_ref<void()> build) {
  llmir_gpu_function_t function = rowFunction(group.threads, 0);
  function.grid_x = (llmir_panel_count(p.rows) + group.panels - 1) / group.panels;
  function.rows = group.tokens;
  function.rows_min = group.rowsMin;
  function.weight_rows = group.panels * 16;
  llvm::SmallVector<uint32_t, 4> bindings{0, 1, 3};
  if (p.flags & LLMIR_LINEAR_BIAS)
    bindings.push_back(2);
  out.begin(function, bindings);
  build();
  out.kernel.end();
}

void finishOutput(KernelBuilder &k, const llmir_linear_params_t &p, Val row, Val token, Val value,
                  Val up) {
  Val place = k.rowBase(3, token) + row + p.out_column;
  if (p.flags & LLMIR_LINEAR_BIAS)
    value = value + k.loadF32(2, k.rowBase(2) + row);
  if (p.gate != LLMIR_GATE_NONE)
    value = k.gate(value, p.gate) * up;
  if (p.soft_cap != 0)
    value = k.softCap(value, p.soft_cap);
  if (p.flags & LLMIR_LINEAR_ADD)
    value = value + k.loadF32(3, place);
  k.store(3, place, value);
}

void buildLinear(VariantFunctions &out, const llmir_linear_params_t &p) {
  const GpuTiles &tiles = gpuTiles(out.kernel.target());
  const bool takesQuads = llmir_layout_is_integer(p.layout) && tiles.quadSlices != 0;
  const uint32_t slices = takesQuads ? tiles.quadSlices : tiles.slices;
  if (takesQuads)
    addLinearVector(out, p, slices);
  else
    addLinear(out, p, {slices, slices > 1, tiles.vectorPanels, 1}, 1);
  if (llmir_layout_is_integer(p.layout) && out.kernel.target().matrix)
    return addLinearMatrix(out, p, slices);
  if (takesQuads && out.kernel.target().tensorUnit != TensorUnit::None)
    return addLinearTensor(out, p);
  addLinear(out, p, {slices, false, tiles.matrixPanels, tiles.matrixTokens}, tiles.matrixMin);
}

} // namespace llmir::compiler
