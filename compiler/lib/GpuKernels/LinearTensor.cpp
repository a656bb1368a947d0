//===- LinearTensor.cpp - Many tokens times integer weights ---------------===//
//
// The products of a group of 32 columns by the device's instructions for tiles (TensorTiles.h). A
// panel of sixteen rows is a tile's rows, so that weights come from memory as the instruction takes
// them; a wave takes a panel (two with a gate) and several tiles of tokens. Integer sums are exact,
// and what follows is that of LinearKernel.cpp, with the same bits.
//
//===----------------------------------------------------------------------===//
#include "LinearKernel.h"
#include "Panels.h"
#include "TensorTiles.h"

extern "C" {
#include "quant/activation.h"
#include "quant/quant_layout.h"
}

namespace llmir::compiler {
namespace {

using Vals = KernelBuilder::Vals;

class LinearTensor {
public:
  LinearTensor(KernelBuilder &k, const llmir_linear_params_t &p, const GpuTiles &tiles)
      : k(k), p(p), tiles(tiles), panels(k, 1, p.layout, p.group, p.columns), tile(k),
        tileCount(tiles.tensorTokens / tile.tokens()) {}
  void build();

  uint32_t threads() const { return tiles.tensorWaves * tile.waveThreads(); }

private:
  bool isWide() const { return p.flags & LLMIR_LINEAR_WIDE; }
  uint32_t perOutput() const { return p.gate != LLMIR_GATE_NONE ? 2 : 1; }
  uint32_t halves() const { return isWide() ? 2 : 1; }
  uint32_t rowColumns() const { return isWide() ? 2 * p.columns : p.columns; }
  /// Where a thread keeps its outputs of a panel and a tile.
  size_t at(uint32_t panel, uint32_t t) const { return (panel * tileCount + t) * tile.outputs(); }
  /// Which of outputRows an output is in.
  uint32_t tokenOf(uint32_t t, uint32_t i) const {
    return t * tile.outputTokens() + i % tile.outputTokens();
  }

  void place();
  Vals loadWeights(Val block, uint32_t chunk);
  Vals loadActivations(Val row, uint32_t from);
  void multiplyChunk(Val column, uint32_t chunk, const Vals &blocks, Vals &dots);
  void addGroup(Val g, Vals &sums);
  void scalePanel(uint32_t panel, uint32_t t, Val block, llvm::ArrayRef<Val> scales,
                  llvm::ArrayRef<Val> rowSums, const Vals &dots, Vals &sums);
  Vals sumSlices();
  void store(const Vals &sums);

  KernelBuilder &k;
  const llmir_linear_params_t &p;
  const GpuTiles &tiles;
  Panels panels;
  TensorTiles tile;
  uint32_t tileCount;
  Val outputPanel, weightPanel, rowCount, firstToken;
  Vals columnRows; ///< per tile: where the row of the token begins that this thread loads
  Vals outputRows; ///< per tile and token of this thread's outputs, the same
};

void LinearTensor::place() {
  tile.place(tiles.tensorWaves);
  Val first = k.word(LLMIR_GPU_WORD_FIRST) / 16;
  Val panel = k.groupX() * tiles.tensorWaves + k.thread() / tile.waveThreads();
  outputPanel = first + panel;
  Val last = k.i32(llmir_panel_count(p.rows) - 1) - first;
  weightPanel = k.umin(panel, last) * perOutput();
  rowCount = k.word(LLMIR_GPU_WORD_ROWS);
  firstToken = k.groupY() * tiles.tensorTokens;
  auto rowOf = [&](Val token) { return k.rowBase(0, k.umin(token, rowCount - 1)); };
  for (uint32_t t = 0; t < tileCount; ++t) {
    Val tokens = firstToken + t * tile.tokens();
    columnRows.push_back(rowOf(tokens + tile.token()));
    for (uint32_t i = 0; i < tile.outputTokens(); ++i)
      outputRows.push_back(rowOf(tokens + tile.outputToken(i)));
  }
}

/// What this thread holds of sixteen rows and 32 columns. A word of nibbles has four columns in its
/// lower ones, and those sixteen further in the upper ones.
Vals LinearTensor::loadWeights(Val block, uint32_t chunk) {
  Vals lower, upper;
  for (uint32_t r = 0; r < tile.rows(); ++r)
    for (uint32_t q = 0; q < tile.quads(); ++q) {
      Val at = block + tile.quad(q) * 16 + tile.row();
      if (panels.isNibbles()) {
        Val word = k.load(1, at, chunk * 64 + r * 8);
        lower.push_back(word & 0x0f0f0f0f);
        upper.push_back((word >> 4) & 0x0f0f0f0f);
      } else {
        lower.push_back(k.load(1, at, chunk * 128 + r * 8));
        upper.push_back(k.load(1, at, chunk * 128 + 64 + r * 8));
      }
    }
  lower.append(upper);
  return lower;
}

/// The same of the 32 columns of a token that begin `from` words behind `row`.
Vals LinearTensor::loadActivations(Val row, uint32_t from) {
  Vals words;
  for (uint32_t half = 0; half < 2; ++half)
    for (uint32_t q = 0; q < tile.quads(); ++q)
      words.push_back(k.load(0, row + tile.quad(q), from + half * 4));
  return words;
}

/// Chunk `chunk` from word `column` of the rows on; dots: [panel][tile][half][output].
void LinearTensor::multiplyChunk(Val column, uint32_t chunk, const Vals &blocks, Vals &dots) {
  llvm::SmallVector<Vals, 2> weights;
  for (Val block : blocks)
    weights.push_back(loadWeights(block, chunk));
  for (uint32_t t = 0; t < tileCount; ++t) {
    Val row = columnRows[t] + column;
    for (uint32_t half = 0; half < halves(); ++half) {
      const Vals activations = loadActivations(row, chunk * 8 + half * (p.columns / 4));
      for (uint32_t panel = 0; panel < perOutput(); ++panel) {
        auto *first = dots.begin() + at(panel, t) * halves() + half * tile.outputs();
        const Vals sums =
            tile.multiply(weights[panel], activations, Vals(first, first + tile.outputs()));
        std::copy(sums.begin(), sums.end(), first);
      }
    }
  }
}

/// Adds the products of a group to the sums of a tile: see LinearKernel.cpp.
void LinearTensor::scalePanel(uint32_t panel, uint32_t t, Val block, llvm::ArrayRef<Val> scales,
                              llvm::ArrayRef<Val> rowSums, const Vals &dots, Vals &sums) {
  for (uint32_t i = 0; i < tile.outputs(); ++i) {
    Panels::Place place{block, block, tile.outputRow(i)};
    const size_t first = at(panel, t) * halves() + i;
    const uint32_t token = tokenOf(t, i);
    Val dot = isWide() ? (dots[first] << 8) + dots[first + tile.outputs()] : dots[first];
    if (p.layout == LLMIR_LAYOUT_PANEL_S4)
      dot = dot - (rowSums[token] << 3);
    Val &sum = sums[at(panel, t) + i];
    sum = k.fma(k.toFloat(dot) * panels.scale(place), scales[token], sum);
    if (p.layout == LLMIR_LAYOUT_PANEL_U4)
      sum = k.fma(panels.minimum(place), k.toFloat(rowSums[token]) * scales[token], sum);
  }
}

void LinearTensor::addGroup(Val g, Vals &sums) {
  Vals blocks;
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    blocks.push_back((weightPanel + panel) * panels.panelWords() + g * panels.blockWords());
  const Vals zeros(sums.size() * halves(), k.i32(0));
  const Vals dots = sumChunks(k, p, zeros, [&](Val first, uint32_t chunk, Vals &dots) {
    Vals from;
    for (Val block : blocks)
      from.push_back(block + first * panels.chunkWords());
    multiplyChunk(g * (p.group / 4) + first * 8, chunk, from, dots);
  });
  Vals scales, rowSums;
  for (Val row : outputRows) {
    scales.push_back(k.asFloat(k.load(0, row + g, llmir_q8_scale_offset(rowColumns()) / 4)));
    rowSums.push_back(p.layout == LLMIR_LAYOUT_PANEL_S8
                          ? Val()
                          : k.load(0, row + g, llmir_q8_sum_offset(rowColumns(), p.group) / 4));
  }
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    for (uint32_t t = 0; t < tileCount; ++t)
      scalePanel(panel, t, blocks[panel], scales, rowSums, dots, sums);
}

Vals LinearTensor::sumSlices() {
  const uint32_t groups = p.columns / p.group, slices = tiles.quadSlices;
  const uint32_t length = (groups + slices - 1) / slices;
  const Vals zeros(perOutput() * tileCount * tile.outputs(), k.f32(0));
  return k.loop(k.i32(0), k.i32(groups), k.i32(length), zeros, [&](Val from, Vals sums) {
    Vals part =
        k.loop(from, k.umin(from + length, k.i32(groups)), k.i32(1), zeros, [&](Val g, Vals state) {
          addGroup(g, state);
          return state;
        });
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = sums[i] + part[i];
    return sums;
  });
}

void LinearTensor::store(const Vals &sums) {
  for (uint32_t t = 0; t < tileCount; ++t)
    for (uint32_t i = 0; i < tile.outputs(); ++i) {
      Val row = outputPanel * 16 + tile.outputRow(i);
      Val token = firstToken + t * tile.tokens() + tile.outputToken(i % tile.outputTokens());
      k.when(k.both(row < p.rows, token < rowCount), [&] {
        finishOutput(k, p, row, token, sums[at(0, t) + i],
                     perOutput() == 2 ? sums[at(1, t) + i] : Val());
      });
    }
}

void LinearTensor::build() {
  place();
  store(sumSlices());
}

} // namespace

void addLinearTensor(VariantFunctions &out, const llmir_linear_params_t &p) {
  const GpuTiles &tiles = gpuTiles(out.kernel.target());
  LinearTensor linear(out.kernel, p, tiles);
  addLinearFunction(out, p,
                    {linear.threads(), tiles.tensorWaves, tiles.tensorTokens, tiles.matrixMin},
                    [&] { linear.build(); });
}

} // namespace llmir::compiler
