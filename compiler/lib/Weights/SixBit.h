//===- SixBit.h - The packed scales of Q4_K and Q5_K ----------------------===//
#ifndef LLMIR_LIB_WEIGHTS_SIXBIT_H
#define LLMIR_LIB_WEIGHTS_SIXBIT_H

#include <cstdint>

namespace llmir::compiler {

/// Scale and minimum of sub-block `s`, six bits each in 12 bytes: the first four in the low bits of
/// bytes s and s + 4; of the others four bits in byte s + 4 and two in the tops of bytes s - 4 and
/// s.
inline void sixBitPair(const uint8_t *packed, int s, int &scale, int &minimum) {
  if (s < 4) {
    scale = packed[s] & 63;
    minimum = packed[s + 4] & 63;
    return;
  }
  scale = (packed[s + 4] & 15) | packed[s - 4] >> 6 << 4;
  minimum = packed[s + 4] >> 4 | packed[s] >> 6 << 4;
}

} // namespace llmir::compiler

#endif // LLMIR_LIB_WEIGHTS_SIXBIT_H
