#!/usr/bin/env python3
"""Writes dequantize_vectors.inc: what the gguf package makes of pseudo-random blocks of every encoding.

    make_dequantize_vectors.py > dequantize_vectors.inc

The test makes the same blocks from the same generator (SplitMix64, see GgufBuilder), so only results are kept: a
hash over the bits of all values of 64 blocks, and the first four values to look at when it differs. Needs numpy
and gguf (PyPI)."""

import gguf
import numpy as np

BLOCKS = 64
SEED = 42
# Name and places of binary16 scales in a block; whole floats end with their exponent.
TYPES = {
    "F32": [], "F16": [], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
MASK = (1 << 64) - 1


def split_mix(seed):
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def random_blocks(kind, scales):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    generator = split_mix(SEED)
    data = np.array([next(generator) >> 56 for _ in range(BLOCKS * size)], dtype=np.uint8).reshape(BLOCKS, size)
    for offset in scales:
        data[:, offset + 1] &= 0xBF  # the top bit of the exponent off: finite
    if elements == 1:
        data[:, size - 1] &= 0xBF
    return data


def hash_bits(values):
    """FNV-1a over 32-bit words."""
    state = 0xCBF29CE484222325
    for word in values.view(np.uint32).tolist():
        state = ((state ^ word) * 0x100000001B3) & MASK
    return state


def main():
    print("// Made by make_dequantize_vectors.py with gguf, the reference of the formats: encoding, hash of the bits")
    print("// of the values of 64 blocks, first four values.")
    for name, scales in TYPES.items():
        kind = gguf.GGMLQuantizationType[name]
        data = random_blocks(kind, scales)
        if name in ("F32", "F16"):
            data = data.view(np.float32 if name == "F32" else np.float16)
        values = np.ascontiguousarray(gguf.quants.dequantize(data, kind), dtype=np.float32).ravel()
        first = ", ".join(f"{value.hex()}f" for value in values[:4].astype(float).tolist())
        print(f"{{SourceType::{name}, 0x{hash_bits(values):016X}u, {{{first}}}}},")


if __name__ == "__main__":
    main()
