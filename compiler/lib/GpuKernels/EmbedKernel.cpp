//===- EmbedKernel.cpp - Rows of the embedding table ----------------------===//
//
// x[t] = weights[token[t]] * scale. A workgroup takes a token; its threads take words of the row,
// which hold one, two, four or eight columns. A table that is too large for one binding comes in
// parts; a part leaves other parts' tokens alone.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"
#include "Panels.h"

namespace llmir::compiler {
namespace {

/// Columns that one word of a row holds.
uint32_t wordColumns(uint32_t layout) {
  switch (layout) {
  case LLMIR_LAYOUT_PANEL_S4:
  case LLMIR_LAYOUT_PANEL_U4:
    return 8;
  case LLMIR_LAYOUT_PANEL_S8:
    return 4;
  default:
    return 1; // of floats; halves share theirs
  }
}

/// Stores the columns that word `w` of row `row` holds, from `out` on.
void storeWord(KernelBuilder &k, const llmir_embed_params_t &p, Val row, Val w, Val out) {
  Panels panels(k, 0, p.layout, p.group, p.dim);
  Val scale = k.f32(p.scale);
  if (!panels.isInteger()) {
    k.store(1, out + w, panels.number(row, w) * scale);
    return;
  }
  Val column = w * wordColumns(p.layout);
  if (panels.isNibbles())
    column = (w / 4) * 32 + (w % 4) * 4;
  Panels::Place place = panels.place(row, column);
  Val bits = panels.integers(place);
  Val d = panels.scale(place);
  for (uint32_t j = 0; j < 4; ++j) {
    if (p.layout == LLMIR_LAYOUT_PANEL_S8) {
      Val q = k.shiftSigned(bits << (24 - 8 * j), 24);
      k.store(1, out + column + j, k.toFloat(q) * d * scale);
      continue;
    }
    for (uint32_t high = 0; high < 2; ++high) {
      Val q = k.toFloat((bits >> (8 * j + 4 * high)) & 15);
      Val value =
          p.layout == LLMIR_LAYOUT_PANEL_S4 ? d * (q - k.f32(8)) : d * q + panels.minimum(place);
      k.store(1, out + column + (j + 16 * high), value * scale);
    }
  }
}

} // namespace

void buildEmbed(VariantFunctions &out, const llmir_embed_params_t &p) {
  KernelBuilder &k = out.kernel;
  const uint32_t threads = 64;
  out.begin(rowFunction(threads, 1), {0, 1, batchBinding});
  Val t = k.groupY();
  Val token = k.load(batchBinding, k.word(LLMIR_GPU_WORD_TOKENS) + t);
  Val row = token - k.word(LLMIR_GPU_WORD_FIRST);
  Val to = k.rowBase(1, t);
  k.when(row < k.word(LLMIR_GPU_WORD_HELD), [&] {
    k.loop(k.thread(), k.i32(p.dim / wordColumns(p.layout)), k.i32(threads),
           [&](Val w) { storeWord(k, p, row, w, to); });
  });
  k.end();
}

} // namespace llmir::compiler
