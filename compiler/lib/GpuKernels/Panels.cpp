//===- Panels.cpp - Weights as kernels read them --------------------------===//
#include "Panels.h"

extern "C" {
#include "quant/quant_layout.h"
}

namespace llmir::compiler {

Panels::Panels(KernelBuilder &kernel, uint32_t binding, uint32_t layout, uint32_t group,
               uint32_t columns)
    : k(kernel), binding(binding), layout(layout), group(group), columns(columns) {}

bool Panels::isInteger() const { return llmir_layout_is_integer(layout); }

bool Panels::isNibbles() const {
  return layout == LLMIR_LAYOUT_PANEL_S4 || layout == LLMIR_LAYOUT_PANEL_U4;
}

uint32_t Panels::blockWords() const { return llmir_block_bytes(layout, group) / 4; }

uint32_t Panels::panelWords() const {
  return static_cast<uint32_t>(llmir_panel_bytes(layout, group, columns) / 4);
}

uint32_t Panels::chunkWords() const { return isNibbles() ? 64 : 128; }

uint32_t Panels::scaleWords() const { return group / 32 * chunkWords(); }

Panels::Place Panels::place(Val row, Val column) {
  Val lane = row % 16;
  Val inGroup = column % group;
  Val block = (row / 16) * panelWords() + (column / group) * blockWords();
  Val offset = isNibbles() ? (inGroup / 32) * 64 + (inGroup % 16 / 4) * 16 : (inGroup / 4) * 16;
  return {block, block + offset + lane, lane};
}

Val Panels::lanesHalf(Val base, Val lane) {
  return k.half(k.load(binding, base + lane / 2) >> ((lane & 1) << 4), false);
}

Val Panels::numberAt(Val base, Val element) {
  if (layout == LLMIR_LAYOUT_F32 || layout == LLMIR_LAYOUT_PANEL_F32)
    return k.loadF32(binding, base + element);
  Val bits = k.load(binding, base + element / 2) >> ((element & 1) << 4);
  return layout == LLMIR_LAYOUT_PANEL_BF16 ? k.bfloat(bits, false) : k.half(bits, false);
}

Val Panels::number(Val row, Val column) {
  if (layout == LLMIR_LAYOUT_F32 || layout == LLMIR_LAYOUT_F16)
    return numberAt(k.i32(0), row * columns + column);
  return numberAt((row / 16) * panelWords(), column * 16 + row % 16);
}

} // namespace llmir::compiler
