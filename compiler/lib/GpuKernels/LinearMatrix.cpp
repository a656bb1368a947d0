//===- LinearMatrix.cpp - Many tokens times integer weights ---------------===//
//
// The products of a group of columns by cooperative matrices (MatrixTiles.h). A workgroup brings 32
// columns of its panels and tokens into its memory, weights as signed bytes, and the group's scales
// beside them; each subgroup multiplies a panel of sixteen rows (two with a gate) by all tokens.
// Sums never leave the matrices before the end. Integer sums are exact, and what follows is that of
// LinearKernel.cpp, with the same bits.
//
//===----------------------------------------------------------------------===//
#include "LinearKernel.h"
#include "MatrixTiles.h"
#include "Panels.h"

extern "C" {
#include "quant/activation.h"
#include "quant/quant_layout.h"
}

namespace llmir::compiler {
namespace {

using Vals = KernelBuilder::Vals;
using Matrix = MatrixTiles::Matrix;

constexpr uint32_t chunkWords = 8; // 32 columns
/// Words from a row to the next in the workgroup's memory: a multiple of 4, which matrices ask for,
/// and no power of two, so that rows lie in different banks.
constexpr uint32_t rowWords = 12;

class LinearMatrix {
public:
  LinearMatrix(KernelBuilder &k, const llmir_linear_params_t &p, const GpuTiles &tiles,
               uint32_t slices)
      : k(k), p(p), waves(tiles.tensorWaves), tokens(tiles.tensorTokens), slices(slices),
        panels(k, 1, p.layout, p.group, p.columns), tile(k) {}
  void build();

  uint32_t threads() const { return waves * tile.shape().threads; }

private:
  bool isWide() const { return p.flags & LLMIR_LINEAR_WIDE; }
  bool hasMinimum() const { return p.layout == LLMIR_LAYOUT_PANEL_U4; }
  uint32_t perOutput() const { return p.gate != LLMIR_GATE_NONE ? 2 : 1; }
  uint32_t halves() const { return isWide() ? 2 : 1; }
  uint32_t rowColumns() const { return isWide() ? 2 * p.columns : p.columns; }
  uint32_t panelCount() const { return waves * perOutput(); } ///< of the workgroup
  uint32_t rowTiles() const { return 16 / tile.shape().rows; }
  uint32_t tokenTiles() const { return tokens / tile.shape().tokens; }
  uint32_t matrixCount() const { return perOutput() * rowTiles() * tokenTiles(); }
  size_t at(uint32_t panel, uint32_t r, uint32_t t) const {
    return (panel * rowTiles() + r) * tokenTiles() + t;
  }

  void place();
  void forEach(uint32_t count, llvm::function_ref<void(Val, uint32_t)> body);
  Val panelOf(Val slot) const;
  Val nibbleBytes(Val word) const;
  void bringWeights(Val g, Val chunk);
  void bringActivations(Val g, Val chunk);
  void bringScales(Val g);
  void multiplyStep(Val from, std::vector<Matrix> &dots);
  void multiplyChunk(std::vector<Matrix> &dots);
  void scale(const std::vector<Matrix> &dots, std::vector<Matrix> &sums);
  void addGroup(Val g, std::vector<Matrix> &sums);
  std::vector<Matrix> apart(const Vals &state) const;
  Vals together(const std::vector<Matrix> &matrices) const;
  Vals sumSlices();
  void finishTile(uint32_t r, uint32_t t, const std::vector<Matrix> &sums);

  KernelBuilder &k;
  const llmir_linear_params_t &p;
  uint32_t waves, tokens, slices;
  Panels panels;
  MatrixTiles tile;
  Val firstPanel, lastPanel, rowCount, firstToken;
  Vals tokenRows; ///< of each turn of bringActivations: where the token's row begins
  Shared weights, activations, weightScales, tokenScales, outputs;
};

void LinearMatrix::place() {
  tile.place();
  Val first = k.word(LLMIR_GPU_WORD_FIRST) / 16;
  firstPanel = k.groupX() * waves;
  lastPanel = k.i32(llmir_panel_count(p.rows) - 1) - first;
  rowCount = k.word(LLMIR_GPU_WORD_ROWS);
  firstToken = k.groupY() * tokens;
  weights = k.shared(panelCount() * 16 * rowWords, false);
  activations = k.shared(halves() * tokens * rowWords, false);
  weightScales = k.shared(panelCount() * 16 * (hasMinimum() ? 2 : 1), true);
  tokenScales = k.shared(tokens * (hasMinimum() ? 2 : 1), true);
  outputs = k.shared(waves * tile.shape().rows * tile.shape().tokens, true);
  forEach(tokens * chunkWords, [&](Val i, uint32_t) {
    tokenRows.push_back(k.rowBase(0, k.umin(firstToken + i / chunkWords, rowCount - 1)));
  });
}

/// body(i, turn) for i < count, shared by the threads.
void LinearMatrix::forEach(uint32_t count, llvm::function_ref<void(Val, uint32_t)> body) {
  for (uint32_t turn = 0; turn * threads() < count; ++turn) {
    Val i = k.thread() + turn * threads();
    if ((turn + 1) * threads() <= count)
      body(i, turn);
    else
      k.when(i < count, [&] { body(i, turn); });
  }
}

/// First word of a panel of weights; those beyond the last one are moved to it, and their results
/// dropped.
Val LinearMatrix::panelOf(Val slot) const {
  Val panel = k.umin(firstPanel + slot / perOutput(), lastPanel) * perOutput() + slot % perOutput();
  return panel * panels.panelWords();
}

/// The lower nibbles of four bytes as numbers: 0 .. 15, or of S4 -8 .. 7. These are their three
/// lower bits, and 0xf8 = 31 * 8 where the fourth is not set.
Val LinearMatrix::nibbleBytes(Val word) const {
  if (hasMinimum())
    return word & 0x0f0f0f0f;
  return (word & 0x07070707) | (k.i32(0x08080808) - (word & 0x08080808)) * 31;
}

void LinearMatrix::bringWeights(Val g, Val chunk) {
  const uint32_t words = panels.chunkWords();
  forEach(panelCount() * words, [&](Val i, uint32_t) {
    Val slot = i / words, inPanel = i % words;
    Val from = panelOf(slot) + g * panels.blockWords() + chunk * words + inPanel;
    Val to = (slot * 16 + inPanel % 16) * rowWords + inPanel / 16;
    Val word = k.load(1, from);
    if (panels.isNibbles()) {
      k.store(weights, to, nibbleBytes(word));
      k.store(weights, to + 4, nibbleBytes(word >> 4));
    } else {
      k.store(weights, to, word);
    }
  });
}

void LinearMatrix::bringActivations(Val g, Val chunk) {
  forEach(tokens * chunkWords, [&](Val i, uint32_t turn) {
    Val from = tokenRows[turn] + g * (p.group / 4) + chunk * chunkWords + i % chunkWords;
    for (uint32_t half = 0; half < halves(); ++half)
      k.store(activations, (i / chunkWords + half * tokens) * rowWords + i % chunkWords,
              k.load(0, from, half * (p.columns / 4)));
  });
}

/// Scales and minimums of rows, and what tokens multiply these by.
void LinearMatrix::bringScales(Val g) {
  const uint32_t rows = panelCount() * 16;
  forEach(rows, [&](Val i, uint32_t) {
    Val block = panelOf(i / 16) + g * panels.blockWords();
    Panels::Place place{block, block, i % 16};
    k.store(weightScales, i, panels.scale(place));
    if (hasMinimum())
      k.store(weightScales, i + rows, panels.minimum(place));
  });
  forEach(tokens, [&](Val i, uint32_t) {
    Val row = k.rowBase(0, k.umin(firstToken + i, rowCount - 1)) + g;
    Val scale = k.asFloat(k.load(0, row, llmir_q8_scale_offset(rowColumns()) / 4));
    k.store(tokenScales, i, scale);
    if (hasMinimum()) {
      Val sum = k.load(0, row, llmir_q8_sum_offset(rowColumns(), p.group) / 4);
      k.store(tokenScales, i + tokens, k.toFloat(sum) * scale);
    }
  });
}

/// One step of the products: of the columns from word `from` of each row on.
void LinearMatrix::multiplyStep(Val from, std::vector<Matrix> &dots) {
  std::vector<MatrixTiles::Side> rows; // [panel][row tile]
  for (uint32_t i = 0; i < perOutput() * rowTiles(); ++i) {
    Val row = tile.wave() * (perOutput() * 16) + i * tile.shape().rows;
    rows.push_back(tile.loadRows({weights, row * rowWords + from, rowWords}));
  }
  for (uint32_t half = 0; half < halves(); ++half)
    for (uint32_t t = 0; t < tokenTiles(); ++t) {
      const uint32_t token = half * tokens + t * tile.shape().tokens;
      const auto columns = tile.loadColumns({activations, from + token * rowWords, rowWords});
      for (uint32_t i = 0; i < rows.size(); ++i) {
        Matrix &dot = dots[half * matrixCount() + i * tokenTiles() + t];
        dot = tile.multiply(rows[i], columns, dot);
      }
    }
}

/// dots: [half][panel][row tile][token tile].
void LinearMatrix::multiplyChunk(std::vector<Matrix> &dots) {
  const uint32_t stepWords = tile.shape().columns / 4;
  if (chunkWords / stepWords <= 2) {
    for (uint32_t from = 0; from < chunkWords; from += stepWords)
      multiplyStep(k.i32(from), dots);
    return;
  }
  // Of small steps there are many, and a driver that unrolls products takes long to compile them.
  dots = apart(k.loop(k.i32(0), k.i32(chunkWords), k.i32(stepWords), together(dots),
                      [&](Val from, const Vals &state) {
                        std::vector<Matrix> inner = apart(state);
                        multiplyStep(from, inner);
                        return together(inner);
                      }));
}

/// Adds the products of a group to the sums: see LinearKernel.cpp.
void LinearMatrix::scale(const std::vector<Matrix> &dots, std::vector<Matrix> &sums) {
  const uint32_t rows = panelCount() * 16;
  std::vector<Matrix> ofTokens, termsOfTokens;
  for (uint32_t t = 0; t < tokenTiles(); ++t) {
    ofTokens.push_back(tile.ofTokens(tokenScales, k.i32(t * tile.shape().tokens)));
    if (hasMinimum())
      termsOfTokens.push_back(tile.ofTokens(tokenScales, k.i32(tokens + t * tile.shape().tokens)));
  }
  for (uint32_t panel = 0; panel < perOutput(); ++panel)
    for (uint32_t r = 0; r < rowTiles(); ++r) {
      Val row = (tile.wave() * perOutput() + panel) * 16 + r * tile.shape().rows;
      const Matrix ofRows = tile.ofRows(weightScales, row);
      const Matrix minimums = hasMinimum() ? tile.ofRows(weightScales, row + rows) : Matrix();
      for (uint32_t t = 0; t < tokenTiles(); ++t) {
        const size_t i = at(panel, r, t);
        const Matrix dot = isWide() ? tile.joinBytes(dots[i], dots[i + matrixCount()]) : dots[i];
        sums[i] = tile.fma(tile.mul(tile.toFloat(dot), ofRows), ofTokens[t], sums[i]);
        if (hasMinimum())
          sums[i] = tile.fma(minimums, termsOfTokens[t], sums[i]);
      }
    }
}

void LinearMatrix::addGroup(Val g, std::vector<Matrix> &sums) {
  const std::vector<Matrix> zeros(halves() * matrixCount(), tile.integers(0));
  auto addChunk = [&](Val chunk, const Vals &state) {
    std::vector<Matrix> dots = apart(state);
    k.barrier(); // what was there has been read
    bringWeights(g, chunk);
    bringActivations(g, chunk);
    k.when(chunk == 0, [&] { bringScales(g); });
    k.barrier();
    multiplyChunk(dots);
    return together(dots);
  };
  const uint32_t chunks = p.group / 32;
  scale(apart(chunks == 1 ? addChunk(k.i32(0), together(zeros))
                          : k.loop(k.i32(0), k.i32(chunks), k.i32(1), together(zeros), addChunk)),
        sums);
}

std::vector<Matrix> LinearMatrix::apart(const Vals &state) const {
  std::vector<Matrix> matrices;
  for (uint32_t i = 0; i < state.size() / tile.parts(); ++i)
    matrices.emplace_back(state.begin() + i * tile.parts(), state.begin() + (i + 1) * tile.parts());
  return matrices;
}

Vals LinearMatrix::together(const std::vector<Matrix> &matrices) const {
  Vals state;
  for (const Matrix &matrix : matrices)
    state.append(matrix.begin(), matrix.end());
  return state;
}

Vals LinearMatrix::sumSlices() {
  const uint32_t groups = p.columns / p.group, length = (groups + slices - 1) / slices;
  const Vals zeros = together(std::vector<Matrix>(matrixCount(), tile.floats(0)));
  auto sumGroups = [&](Val from, Val to) {
    return k.loop(from, to, k.i32(1), zeros, [&](Val g, const Vals &state) {
      std::vector<Matrix> sums = apart(state);
      addGroup(g, sums);
      return together(sums);
    });
  };
  if (slices == 1)
    return sumGroups(k.i32(0), k.i32(groups));
  return k.loop(k.i32(0), k.i32(groups), k.i32(length), zeros, [&](Val from, const Vals &state) {
    std::vector<Matrix> sums = apart(state);
    const std::vector<Matrix> part = apart(sumGroups(from, k.umin(from + length, k.i32(groups))));
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = tile.add(sums[i], part[i]);
    return together(sums);
  });
}

/// Stores the outputs of a tile of each subgroup, through the workgroup's memory.
void LinearMatrix::finishTile(uint32_t r, uint32_t t, const std::vector<Matrix> &sums) {
  const MatrixShape &shape = tile.shape();
  const uint32_t elements = shape.rows * shape.tokens;
  llvm::SmallVector<Vals, 2> values(perOutput());
  for (uint32_t panel = 0; panel < perOutput(); ++panel) {
    k.barrier(); // what it had is read
    tile.store(outputs, tile.wave() * elements, sums[at(panel, r, t)]);
    k.barrier();
    forEach(waves * elements,
            [&](Val i, uint32_t) { values[panel].push_back(k.load(outputs, i)); });
  }
  Val outputPanel = k.word(LLMIR_GPU_WORD_FIRST) / 16 + firstPanel;
  forEach(waves * elements, [&](Val i, uint32_t turn) {
    Val row = (outputPanel + i / elements) * 16 + (i % shape.rows + r * shape.rows);
    Val token = firstToken + t * shape.tokens + i % elements / shape.rows;
    k.when(k.both(row < p.rows, token < rowCount), [&] {
      finishOutput(k, p, row, token, values[0][turn], perOutput() == 2 ? values[1][turn] : Val());
    });
  });
}

void LinearMatrix::build() {
  place();
  const std::vector<Matrix> sums = apart(sumSlices());
  for (uint32_t r = 0; r < rowTiles(); ++r)
    for (uint32_t t = 0; t < tokenTiles(); ++t)
      finishTile(r, t, sums);
}

} // namespace

void addLinearMatrix(VariantFunctions &out, const llmir_linear_params_t &p, uint32_t slices) {
  const GpuTiles &tiles = gpuTiles(out.kernel.target());
  LinearMatrix linear(out.kernel, p, tiles, slices);
  addLinearFunction(out, p,
                    {linear.threads(), tiles.tensorWaves, tiles.tensorTokens, tiles.matrixMin},
                    [&] { linear.build(); });
}

} // namespace llmir::compiler
