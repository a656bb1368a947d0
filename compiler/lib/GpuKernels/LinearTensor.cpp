//===- LinearTensor.cpp - Many tokens times integer weights ---------------===//
//
// The products of a group of 32 columns on the tensor cores of sm_80 and newer: m16n8k32 of signed
// bytes. A panel of sixteen rows is the 16, so that weights come from memory as the instruction
// takes them; a warp takes a panel (two with a gate) and several tiles of eight tokens. Integer
// sums are exact, and what follows is that of LinearKernel.cpp, with the same bits.
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
using Quad = KernelBuilder::Quad;

constexpr uint32_t warpThreads = 32, tileTokens = 8;

class LinearTensor {
public:
  LinearTensor(KernelBuilder &k, const llmir_linear_params_t &p, const GpuTiles &tiles)
      : k(k), p(p), tiles(tiles), panels(k, 1, p.layout, p.group, p.columns) {}
  void build();

  uint32_t tokens() const { return tiles.tensorTiles * tileTokens; }
  uint32_t threads() const { return tiles.tensorWarps * warpThreads; }

private:
  bool isWide() const { return p.flags & LLMIR_LINEAR_WIDE; }
  uint32_t perOutput() const { return p.gate != LLMIR_GATE_NONE ? 2 : 1; }
  uint32_t halves() const { return isWide() ? 2 : 1; }
  uint32_t rowColumns() const { return isWide() ? 2 * p.columns : p.columns; }
  /// Where a thread keeps its four outputs of a panel and a tile: rows rowInTile and + 8, tokens
  /// 2 * pair and + 1.
  size_t at(uint32_t panel, uint32_t tile) const { return (panel * tiles.tensorTiles + tile) * 4; }

  void place();
  Quad loadWeights(Val block, uint32_t chunk);
  void multiplyChunk(Val g, uint32_t chunk, llvm::ArrayRef<Val> blocks, Vals &dots);
  void addGroup(Val g, Vals &sums);
  void scalePanel(uint32_t panel, uint32_t tile, Val block, llvm::ArrayRef<Val> scales,
                  llvm::ArrayRef<Val> rowSums, const Vals &dots, Vals &sums);
  Vals sumSlices();
  void store(const Vals &sums);

  KernelBuilder &k;
  const llmir_linear_params_t &p;
  const GpuTiles &tiles;
  Panels panels;
  Val rowInTile, pair, outputPanel, weightPanel, rowCount, firstToken;
  Vals columnRows; ///< per tile: where the row of the token begins whose columns this thread loads
  Vals outputRows; ///< per tile and token of this thread's outputs, the same
};

void LinearTensor::place() {
  Val inWarp = k.thread() % warpThreads;
  rowInTile = inWarp / 4;
  pair = inWarp % 4;
  Val first = k.word(LLMIR_GPU_WORD_FIRST) / 16;
  Val panel = k.groupX() * tiles.tensorWarps + k.thread() / warpThreads;
  outputPanel = first + panel;
  Val last = k.i32(llmir_panel_count(p.rows) - 1) - first;
  weightPanel = k.umin(panel, last) * perOutput();
  rowCount = k.word(LLMIR_GPU_WORD_ROWS);
  firstToken = k.groupY() * tokens();
  auto rowOf = [&](Val token) { return k.rowBase(0, k.umin(token, rowCount - 1)); };
  for (uint32_t tile = 0; tile < tiles.tensorTiles; ++tile) {
    Val tokensOf = firstToken + tile * tileTokens;
    columnRows.push_back(rowOf(tokensOf + rowInTile));
    outputRows.push_back(rowOf(tokensOf + pair * 2));
    outputRows.push_back(rowOf(tokensOf + pair * 2 + 1));
  }
}

/// What this thread holds of sixteen rows and 32 columns: columns 4 * pair .. + 3 of rows rowInTile
/// and + 8, then columns 16 more.
Quad LinearTensor::loadWeights(Val block, uint32_t chunk) {
  Val at = block + pair * 16 + rowInTile;
  if (panels.isNibbles()) {
    Val upper = k.load(1, at, chunk * 64), lower = k.load(1, at, chunk * 64 + 8);
    return {upper & 0x0f0f0f0f, lower & 0x0f0f0f0f, (upper >> 4) & 0x0f0f0f0f,
            (lower >> 4) & 0x0f0f0f0f};
  }
  return {k.load(1, at, chunk * 128), k.load(1, at, chunk * 128 + 8),
          k.load(1, at, chunk * 128 + 64), k.load(1, at, chunk * 128 + 72)};
}

/// dots: [panel][tile][half][4].
void LinearTensor::multiplyChunk(Val g, uint32_t chunk, llvm::ArrayRef<Val> blocks, Vals &dots) {
  llvm::SmallVector<Quad, 2> weights;
  for (Val block : blocks)
    weights.push_back(loadWeights(block, chunk));
  for (uint32_t tile = 0; tile < tiles.tensorTiles; ++tile) {
    Val column = columnRows[tile] + g * (p.group / 4) + pair;
    for (uint32_t half = 0; half < halves(); ++half) {
      const uint32_t from = chunk * 8 + half * (p.columns / 4);
      const std::array<Val, 2> activations = {k.load(0, column, from), k.load(0, column, from + 4)};
      for (uint32_t panel = 0; panel < perOutput(); ++panel) {
        const size_t first = (at(panel, tile) * halves()) + half * 4;
        Quad dot = {dots[first], dots[first + 1], dots[first + 2], dots[first + 3]};
        dot = k.multiplyTiles(weights[panel], activations, dot);
        std::copy(dot.begin(), dot.end(), dots.begin() + first);
      }
    }
  }
}

/// Adds the products of a group to four sums: see LinearKernel.cpp.
void LinearTensor::scalePanel(uint32_t panel, uint32_t tile, Val block, llvm::ArrayRef<Val> scales,
                              llvm::ArrayRef<Val> rowSums, const Vals &dots, Vals &sums) {
  for (uint32_t i = 0; i < 4; ++i) {
    Panels::Place place{block, block, rowInTile + (i / 2) * 8};
    const size_t first = at(panel, tile) * halves() + i;
    const uint32_t token = tile * 2 + i % 2;
    Val dot = isWide() ? (dots[first] << 8) + dots[first + 4] : dots[first];
    if (p.layout == LLMIR_LAYOUT_PANEL_S4)
      dot = dot - (rowSums[token] << 3);
    Val &sum = sums[at(panel, tile) + i];
    sum = k.fma(k.toFloat(dot) * panels.scale(place), scales[token], sum);
    if (p.layout == LLMIR_LAYOUT_PANEL_U4)
      sum = k.fma(panels.minimum(place), k.toFloat(rowSums[token]) * scales[token], sum);
  }
}

void LinearTensor::addGroup(Val g, Vals &sums) {
  Vals blocks;
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    blocks.push_back((weightPanel + panel) * panels.panelWords() + g * panels.blockWords());
  Vals dots(sums.size() * halves(), k.i32(0));
  for (uint32_t chunk = 0; chunk < p.group / 32; ++chunk)
    multiplyChunk(g, chunk, blocks, dots);
  Vals scales, rowSums;
  for (Val row : outputRows) {
    scales.push_back(k.asFloat(k.load(0, row + g, llmir_q8_scale_offset(rowColumns()) / 4)));
    rowSums.push_back(p.layout == LLMIR_LAYOUT_PANEL_S8
                          ? Val()
                          : k.load(0, row + g, llmir_q8_sum_offset(rowColumns(), p.group) / 4));
  }
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    for (uint32_t tile = 0; tile < tiles.tensorTiles; ++tile)
      scalePanel(panel, tile, blocks[panel], scales, rowSums, dots, sums);
}

Vals LinearTensor::sumSlices() {
  const uint32_t groups = p.columns / p.group, slices = tiles.quadSlices;
  const uint32_t length = (groups + slices - 1) / slices;
  const Vals zeros(perOutput() * tiles.tensorTiles * 4, k.f32(0));
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
  for (uint32_t tile = 0; tile < tiles.tensorTiles; ++tile)
    for (uint32_t i = 0; i < 4; ++i) {
      Val row = outputPanel * 16 + rowInTile + (i / 2) * 8;
      Val token = firstToken + tile * tileTokens + pair * 2 + i % 2;
      k.when(k.both(row < p.rows, token < rowCount), [&] {
        finishOutput(k, p, row, token, sums[at(0, tile) + i],
                     perOutput() == 2 ? sums[at(1, tile) + i] : Val());
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
  llmir_gpu_function_t function = rowFunction(linear.threads(), 0);
  function.grid_x = (llmir_panel_count(p.rows) + tiles.tensorWarps - 1) / tiles.tensorWarps;
  function.rows = linear.tokens();
  function.rows_min = tiles.matrixMin;
  function.weight_rows = tiles.tensorWarps * 16;
  llvm::SmallVector<uint32_t, 4> bindings{0, 1, 3};
  if (p.flags & LLMIR_LINEAR_BIAS)
    bindings.push_back(2);
  out.begin(function, bindings);
  linear.build();
  out.kernel.end();
}

} // namespace llmir::compiler
