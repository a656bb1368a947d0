//===- TakeOver.cpp - Encodings that a layout holds as they are -----------===//
//
//   source   layout  q          d           m
//   Q4_0     S4      as is      d           -
//   Q4_0     U4      as is      d           -8 d   (a power of two times d: exact)
//   Q4_1     U4      as is      d           m
//   Q4_K     U4      as is      f16(d sc)   f16(-dmin m)
//   Q4_0     S8      q - 8      d           -
//   Q5_0     S8      q - 16     d           -
//   Q8_0     S8      as is      d           -
//
//===----------------------------------------------------------------------===//
#include "TakeOver.h"

#include "SixBit.h"
#include "quant/half.h"
#include "quant/quant_layout.h"

#include "llvm/Support/Endian.h"

using llvm::support::endian::read16le;
using llvm::support::endian::read32le;

namespace llmir::compiler {

TakeOver takeOverKind(SourceType type, uint32_t layout, uint32_t group) {
  if (group != 32)
    return TakeOver::None;
  switch (layout) {
  case LLMIR_LAYOUT_PANEL_S4:
    return type == SourceType::Q4_0 ? TakeOver::Exact : TakeOver::None;
  case LLMIR_LAYOUT_PANEL_U4:
    if (type == SourceType::Q4_K)
      return TakeOver::RoundedScales;
    return type == SourceType::Q4_0 || type == SourceType::Q4_1 ? TakeOver::Exact : TakeOver::None;
  case LLMIR_LAYOUT_PANEL_S8:
    return type == SourceType::Q4_0 || type == SourceType::Q5_0 || type == SourceType::Q8_0
               ? TakeOver::Exact
               : TakeOver::None;
  default:
    return TakeOver::None;
  }
}

/// 16 bytes of two nibbles each: byte j holds elements j and j + 16.
static void splitNibbles(const uint8_t *bytes, int offset, int8_t *q) {
  for (int j = 0; j < 16; ++j) {
    q[j] = static_cast<int8_t>((bytes[j] & 15) - offset);
    q[j + 16] = static_cast<int8_t>((bytes[j] >> 4) - offset);
  }
}

static void q4_0Group(const uint8_t *block, uint32_t layout, int8_t *q, uint16_t &d, uint16_t &m) {
  d = read16le(block);
  m = llmir_f32_to_f16(-8.0f * llmir_f16_to_f32(d));
  splitNibbles(block + 2, layout == LLMIR_LAYOUT_PANEL_S8 ? 8 : 0, q);
}

static void q4_1Group(const uint8_t *block, int8_t *q, uint16_t &d, uint16_t &m) {
  d = read16le(block);
  m = read16le(block + 2);
  splitNibbles(block + 4, 0, q);
}

static void q5_0Group(const uint8_t *block, int8_t *q, uint16_t &d) {
  d = read16le(block);
  splitNibbles(block + 6, 16, q);
  const uint32_t high = read32le(block + 2);
  for (int j = 0; j < 32; ++j)
    q[j] = static_cast<int8_t>(q[j] + 16 * static_cast<int>(high >> j & 1));
}

static void q8_0Group(const uint8_t *block, int8_t *q, uint16_t &d) {
  d = read16le(block);
  for (int j = 0; j < 32; ++j)
    q[j] = static_cast<int8_t>(block[2 + j]);
}

/// Sub-block `s` of a Q4_K block of eight.
static void q4_kGroup(const uint8_t *block, int s, int8_t *q, uint16_t &d, uint16_t &m) {
  int scale, minimum;
  sixBitPair(block + 4, s, scale, minimum);
  d = llmir_f32_to_f16(llmir_f16_to_f32(read16le(block)) * static_cast<float>(scale));
  m = llmir_f32_to_f16(llmir_f16_to_f32(read16le(block + 2)) * static_cast<float>(-minimum));
  const uint8_t *bytes = block + 16 + s / 2 * 32;
  for (int l = 0; l < 32; ++l)
    q[l] = static_cast<int8_t>(bytes[l] >> (s % 2 * 4) & 15);
}

void takeOverRow(SourceType type, uint32_t layout, const uint8_t *data, uint32_t columns,
                 IntegerRow &out) {
  const uint32_t groups = columns / 32;
  for (uint32_t g = 0; g < groups; ++g) {
    int8_t *q = out.q.data() + size_t(g) * 32;
    uint16_t &d = out.scales[g], &m = out.mins[g];
    switch (type) {
    case SourceType::Q4_0:
      q4_0Group(data + size_t(g) * 18, layout, q, d, m);
      break;
    case SourceType::Q4_1:
      q4_1Group(data + size_t(g) * 20, q, d, m);
      break;
    case SourceType::Q5_0:
      q5_0Group(data + size_t(g) * 22, q, d);
      break;
    case SourceType::Q8_0:
      q8_0Group(data + size_t(g) * 34, q, d);
      break;
    case SourceType::Q4_K:
      q4_kGroup(data + size_t(g / 8) * 144, static_cast<int>(g % 8), q, d, m);
      break;
    default: // takeOverKind() says None for all others
      break;
    }
  }
}

} // namespace llmir::compiler
