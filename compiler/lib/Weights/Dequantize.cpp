//===- Dequantize.cpp - Source encodings to binary32 ----------------------===//
//
// One function per block format. All numbers are little-endian; "d" and "dmin" are binary16.
// Products of scales are made first and rounded once, as in ggml, so that values agree bit by bit.
//
//===----------------------------------------------------------------------===//
#include "llmir/Weights/Dequantize.h"

#include "SixBit.h"
#include "llmir/Import/SourceTypes.h"
#include "quant/half.h"

#include "llvm/Support/Endian.h"

using namespace llmir::compiler;
using llvm::support::endian::read16le;
using llvm::support::endian::read32le;

static float half(const uint8_t *at) { return llmir_f16_to_f32(read16le(at)); }

static void f32Block(const uint8_t *block, float *out) {
  llmir_f32_bits_t bits;
  bits.bits = read32le(block);
  *out = bits.value;
}

static void f16Block(const uint8_t *block, float *out) { *out = half(block); }

static void bf16Block(const uint8_t *block, float *out) {
  *out = llmir_bf16_to_f32(read16le(block));
}

// d | 16 bytes: byte j holds elements j (low nibble) and j + 16.     w = d (q - 8)
static void q4_0Block(const uint8_t *block, float *out) {
  const float d = half(block);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((block[2 + j] & 15) - 8);
    out[j + 16] = d * static_cast<float>((block[2 + j] >> 4) - 8);
  }
}

// d | m | 16 bytes as Q4_0.                                          w = d q + m
static void q4_1Block(const uint8_t *block, float *out) {
  const float d = half(block), m = half(block + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(block[4 + j] & 15) + m;
    out[j + 16] = d * static_cast<float>(block[4 + j] >> 4) + m;
  }
}

// d | u32 of fifth bits, bit j of element j | 16 bytes as Q4_0.      w = d (q - 16)
static void q5_0Block(const uint8_t *block, float *out) {
  const float d = half(block);
  const uint32_t high = read32le(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int q0 = (block[6 + j] & 15) | (high >> j & 1) << 4;
    const int q1 = block[6 + j] >> 4 | (high >> (j + 16) & 1) << 4;
    out[j] = d * static_cast<float>(q0 - 16);
    out[j + 16] = d * static_cast<float>(q1 - 16);
  }
}

// d | m | fifth bits | 16 bytes.                                     w = d q + m
static void q5_1Block(const uint8_t *block, float *out) {
  const float d = half(block), m = half(block + 2);
  const uint32_t high = read32le(block + 4);
  for (int j = 0; j < 16; ++j) {
    const int q0 = (block[8 + j] & 15) | (high >> j & 1) << 4;
    const int q1 = block[8 + j] >> 4 | (high >> (j + 16) & 1) << 4;
    out[j] = d * static_cast<float>(q0) + m;
    out[j + 16] = d * static_cast<float>(q1) + m;
  }
}

// d | 32 signed bytes.                                               w = d q
static void q8_0Block(const uint8_t *block, float *out) {
  const float d = half(block);
  for (int j = 0; j < 32; ++j)
    out[j] = d * static_cast<float>(static_cast<int8_t>(block[2 + j]));
}

// 16 bytes scale (low) and minimum (high nibble) | 64 bytes | d | dmin.
// Byte 32 h + l holds elements 128 h + 32 i + l at bits 2 i.         w = d sc q - dmin m
static void q2_kBlock(const uint8_t *block, float *out) {
  const uint8_t *scales = block, *bytes = block + 16;
  const float d = half(block + 80), dmin = half(block + 82);
  for (int i = 0; i < 256; ++i) {
    const uint8_t scale = scales[i / 16];
    const int q = bytes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
    const float step = d * static_cast<float>(scale & 15);
    out[i] = step * static_cast<float>(q) - dmin * static_cast<float>(scale >> 4);
  }
}

// 32 bytes of third bits: bit i of byte l belongs to element 32 i + l | 64 bytes as Q2_K |
// 12 bytes of 16 six-bit scales | d.                                 w = d (sc - 32) (q - 4)
static void q3_kBlock(const uint8_t *block, float *out) {
  const uint8_t *high = block, *bytes = block + 32, *packed = block + 96;
  const float d = half(block + 108);
  float steps[16];
  for (int s = 0; s < 16; ++s) {
    const int low = packed[s % 8] >> (s / 8 * 4) & 15;
    const int top = packed[8 + s % 4] >> (s / 4 * 2) & 3;
    steps[s] = d * static_cast<float>((low | top << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const int q = (bytes[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3) |
                  (high[i % 32] >> (i / 32) & 1) << 2;
    out[i] = steps[i / 16] * static_cast<float>(q - 4);
  }
}

// d | dmin | 12 bytes of pairs | 128 bytes: byte 32 h + l holds elements 64 h + l (low nibble) and
// 64 h + 32 + l.                                                     w = d sc q - dmin m
static void q4_kBlock(const uint8_t *block, float *out) {
  const float d = half(block), dmin = half(block + 2);
  for (int s = 0; s < 8; ++s) {
    int scale, minimum;
    sixBitPair(block + 4, s, scale, minimum);
    const float step = d * static_cast<float>(scale), shift = dmin * static_cast<float>(minimum);
    const uint8_t *bytes = block + 16 + s / 2 * 32;
    for (int l = 0; l < 32; ++l)
      out[s * 32 + l] = step * static_cast<float>(bytes[l] >> (s % 2 * 4) & 15) - shift;
  }
}

// d | dmin | 12 bytes of pairs | 32 bytes of fifth bits: bit s of byte l belongs to element 32 s +
// l | 128 bytes as Q4_K.
static void q5_kBlock(const uint8_t *block, float *out) {
  const float d = half(block), dmin = half(block + 2);
  const uint8_t *high = block + 16;
  for (int s = 0; s < 8; ++s) {
    int scale, minimum;
    sixBitPair(block + 4, s, scale, minimum);
    const float step = d * static_cast<float>(scale), shift = dmin * static_cast<float>(minimum);
    const uint8_t *bytes = block + 48 + s / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      const int q = (bytes[l] >> (s % 2 * 4) & 15) | (high[l] >> s & 1) << 4;
      out[s * 32 + l] = step * static_cast<float>(q) - shift;
    }
  }
}

// 128 bytes: byte 64 h + l (l < 64) holds elements 128 h + l (low nibble) and 128 h + 64 + l |
// 64 bytes of fifth and sixth bits as Q2_K | 16 signed scales | d.   w = d sc (q - 32)
static void q6_kBlock(const uint8_t *block, float *out) {
  const uint8_t *low = block, *high = block + 128, *scales = block + 192;
  const float d = half(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int nibble = low[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
    const int top = high[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
    const float step = d * static_cast<float>(static_cast<int8_t>(scales[i / 16]));
    out[i] = step * static_cast<float>((nibble | top << 4) - 32);
  }
}

void llmir::compiler::dequantize(SourceType type, const uint8_t *data, int64_t count, float *out) {
  using Decode = void (*)(const uint8_t *, float *);
  static const Decode decoders[] = {f32Block,  f16Block,  bf16Block, q4_0Block, q4_1Block,
                                    q5_0Block, q5_1Block, q8_0Block, q2_kBlock, q3_kBlock,
                                    q4_kBlock, q5_kBlock, q6_kBlock};
  const SourceTypeInfo &info = sourceTypeInfo(type);
  const Decode decode = decoders[static_cast<size_t>(type)];
  for (int64_t i = 0; i < count; i += info.blockElements, data += info.blockBytes)
    decode(data, out + i);
}
