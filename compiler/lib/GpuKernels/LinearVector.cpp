//===- LinearVector.cpp - One token times integer weights -----------------===//
//
// A workgroup takes a panel of sixteen rows, or two with a gate. A thread has four adjacent rows,
// which lie side by side: each of its loads is sixteen bytes, those of 32 or 64 columns are on
// their way at once, and a word of activations serves four rows. Four threads make a slice of the
// columns; the sums of slices are added in their order, as LinearKernel.cpp does, with the same
// bits.
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

class LinearVector {
public:
  LinearVector(KernelBuilder &k, const llmir_linear_params_t &p, uint32_t slices)
      : k(k), p(p), slices(slices), panels(k, 1, p.layout, p.group, p.columns) {}
  void build();

private:
  bool isWide() const { return p.flags & LLMIR_LINEAR_WIDE; }
  uint32_t perOutput() const { return p.gate != LLMIR_GATE_NONE ? 2 : 1; }
  uint32_t halves() const { return isWide() ? 2 : 1; }
  uint32_t rowColumns() const { return isWide() ? 2 * p.columns : p.columns; }
  uint32_t threads() const { return 4 * slices; }

  void place();
  void addGroup(Val g, Vals &sums);
  void dotChunk(uint32_t chunk, const Vals &blocks, Val activations, Vals &dots);
  Val dotNibbles(Val weights, Val low, Val high, Val acc);
  void scaleRows(Val g, Val block, llvm::ArrayRef<Val> dots, llvm::MutableArrayRef<Val> sums);
  Val joinSlices(Shared memory, Val row, uint32_t panel);

  KernelBuilder &k;
  const llmir_linear_params_t &p;
  uint32_t slices;
  Panels panels;
  Val quad, slice, outputPanel, weightPanel, token, rowBase;
};

void LinearVector::place() {
  quad = k.thread() % 4;
  slice = k.thread() / 4;
  outputPanel = k.word(LLMIR_GPU_WORD_FIRST) / 16 + k.groupX();
  weightPanel = k.groupX() * perOutput();
  token = k.groupY();
  rowBase = k.rowBase(0, token);
}

Val LinearVector::dotNibbles(Val weights, Val low, Val high, Val acc) {
  acc = k.dot4(weights & 0x0f0f0f0f, low, acc);
  return k.dot4((weights >> 4) & 0x0f0f0f0f, high, acc);
}

/// Thirty-two columns; dots: [panel][half][row].
void LinearVector::dotChunk(uint32_t chunk, const Vals &blocks, Val activations, Vals &dots) {
  const uint32_t words = panels.chunkWords() / 16; // of a row
  llvm::SmallVector<Quad, 16> weights;
  for (Val block : blocks)
    for (uint32_t w = 0; w < words; ++w)
      weights.push_back(k.loadQuad(1, block, (chunk * words + w) * 16));
  for (uint32_t half = 0; half < halves(); ++half) {
    const uint32_t from = chunk * 8 + half * (p.columns / 4);
    Quad low = k.loadQuad(0, activations, from), high = k.loadQuad(0, activations, from + 4);
    for (uint32_t panel = 0; panel < perOutput(); ++panel)
      for (uint32_t row = 0; row < 4; ++row) {
        Val &dot = dots[(panel * halves() + half) * 4 + row];
        for (uint32_t w = 0; w < words; ++w) {
          Val weight = weights[panel * words + w][row];
          dot = panels.isNibbles() ? dotNibbles(weight, low[w], high[w], dot)
                                   : k.dot4(weight, w < 4 ? low[w] : high[w - 4], dot);
        }
      }
  }
}

/// Adds the products of a group to the sums of four rows: see LinearKernel.cpp.
void LinearVector::scaleRows(Val g, Val block, llvm::ArrayRef<Val> dots,
                             llvm::MutableArrayRef<Val> sums) {
  const bool hasSum = p.layout != LLMIR_LAYOUT_PANEL_S8;
  Val at = rowBase + g;
  Val scale = k.asFloat(k.load(0, at, llmir_q8_scale_offset(rowColumns()) / 4));
  Val rowSum = hasSum ? k.load(0, at, llmir_q8_sum_offset(rowColumns(), p.group) / 4) : Val();
  Val halves2 = block - quad * 4 + quad * 2; // two rows a word
  for (uint32_t row = 0; row < 4; ++row) {
    Val dot = isWide() ? (dots[row] << 8) + dots[4 + row] : dots[row];
    if (p.layout == LLMIR_LAYOUT_PANEL_S4)
      dot = dot - (rowSum << 3);
    const uint32_t word = panels.scaleWords() + row / 2;
    Val d = k.half(k.load(1, halves2, word), row % 2 != 0);
    sums[row] = k.fma(k.toFloat(dot) * d, scale, sums[row]);
    if (p.layout == LLMIR_LAYOUT_PANEL_U4) {
      Val m = k.half(k.load(1, halves2, word + 8), row % 2 != 0);
      sums[row] = k.fma(m, k.toFloat(rowSum) * scale, sums[row]);
    }
  }
}

void LinearVector::addGroup(Val g, Vals &sums) {
  Vals blocks;
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    blocks.push_back((weightPanel + panel) * panels.panelWords() + g * panels.blockWords() +
                     quad * 4);
  Val activations = rowBase + g * (p.group / 4);
  const uint32_t each = halves() * 4;
  const Vals zeros(perOutput() * each, k.i32(0));
  const Vals dots = sumChunks(k, p, zeros, [&](Val first, uint32_t chunk, Vals &sums) {
    Vals from;
    for (Val block : blocks)
      from.push_back(block + first * panels.chunkWords());
    dotChunk(chunk, from, activations + first * 8, sums);
  });
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    scaleRows(g, blocks[panel], llvm::ArrayRef<Val>(dots).slice(panel * each, each),
              llvm::MutableArrayRef<Val>(sums).slice(panel * 4, 4));
}

/// The sum of all slices for a row of the panel.
Val LinearVector::joinSlices(Shared memory, Val row, uint32_t panel) {
  Val first = (row % 4 + 4 * panel) * threads() + row / 4;
  Val sum = k.f32(0);
  for (uint32_t s = 0; s < slices; ++s)
    sum = sum + k.load(memory, first + 4 * s);
  return sum;
}

void LinearVector::build() {
  place();
  const uint32_t groups = p.columns / p.group, length = (groups + slices - 1) / slices;
  Val from = k.umin(slice * length, k.i32(groups)), to = k.umin(from + length, k.i32(groups));
  Vals sums = k.loop(from, to, k.i32(1), Vals(4 * perOutput(), k.f32(0)), [&](Val g, Vals state) {
    addGroup(g, state);
    return state;
  });
  Shared memory = k.shared(threads() * 4 * perOutput(), true);
  for (size_t i = 0; i < sums.size(); ++i)
    k.store(memory, k.thread() + i * threads(), sums[i]);
  k.barrier();
  Val row = k.thread(), output = outputPanel * 16 + row;
  k.when(k.both(row < 16, output < p.rows), [&] {
    Val value = joinSlices(memory, row, 0);
    finishOutput(k, p, output, token, value, perOutput() == 2 ? joinSlices(memory, row, 1) : Val());
  });
}

} // namespace

void addLinearVector(VariantFunctions &out, const llmir_linear_params_t &p, uint32_t slices) {
  addLinearFunction(out, p, {/*threads=*/4 * slices, /*panels=*/1, /*tokens=*/1, /*rowsMin=*/1},
                    [&] { LinearVector(out.kernel, p, slices).build(); });
}

} // namespace llmir::compiler
