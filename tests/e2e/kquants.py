"""Writers of GGUF's K encodings, which the gguf package only reads: round to nearest, no search.

    quantize(values, type)  f32 [..., columns] -> u8 [..., bytes of a row], for any type of the tests

Good enough to make test models; the packer's tests read what this writes with gguf's own dequantize."""

import gguf
import numpy as np

SUPER = 256  # elements of a block
TYPES = gguf.GGMLQuantizationType


def f16(values):
    return values.astype(np.float16)


def divide(values, by):
    return np.divide(values, by, out=np.zeros(np.broadcast(values, by).shape, np.float32), where=by != 0)


def affine_parts(blocks, sub, levels, scale_levels):
    """Scales, minimums and integers of `w = d * sc * q - dmin * m` in sub-blocks of `sub` elements."""
    x = blocks.reshape(len(blocks), SUPER // sub, sub)
    low = np.minimum(x.min(axis=2), 0.0)
    scale = (x.max(axis=2).clip(min=0.0) - low) / levels
    d = f16(scale.max(axis=1, keepdims=True) / scale_levels)
    dmin = f16((-low).max(axis=1, keepdims=True) / scale_levels)
    sc = np.rint(divide(scale, d.astype(np.float32))).clip(0, scale_levels)
    m = np.rint(divide(-low, dmin.astype(np.float32))).clip(0, scale_levels)
    step, shift = d.astype(np.float32) * sc, dmin.astype(np.float32) * m
    q = np.rint(divide(x + shift[..., None], step[..., None])).clip(0, levels)
    return d, dmin, sc.astype(np.uint8), m.astype(np.uint8), q.astype(np.uint8).reshape(len(blocks), SUPER)


def signed_parts(blocks, sub, levels, scale_levels):
    """Scales and integers of `w = d * sc * q` with q in -levels .. levels - 1."""
    x = blocks.reshape(len(blocks), SUPER // sub, sub)
    scale = np.abs(x).max(axis=2) / (levels - 1)
    d = f16(scale.max(axis=1, keepdims=True) / scale_levels)
    sc = np.rint(divide(scale, d.astype(np.float32))).clip(0, scale_levels)
    step = d.astype(np.float32) * sc
    q = np.rint(divide(x, step[..., None])).clip(-levels, levels - 1)
    return d, sc.astype(np.int8), q.astype(np.int8).reshape(len(blocks), SUPER)


def as_bytes(array):
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)


def pack_six_bit(sc, m):
    """The 12 bytes of eight 6-bit scales and minimums of Q4_K and Q5_K."""
    low = (sc[:, :4] & 63) | ((sc[:, 4:] >> 4) << 6)
    middle = (m[:, :4] & 63) | ((m[:, 4:] >> 4) << 6)
    high = (sc[:, 4:] & 15) | ((m[:, 4:] & 15) << 4)
    return np.concatenate([low, middle, high], axis=1)


def nibbles(q, run):
    """Pairs of runs of `run` elements share bytes: the first in the low halves."""
    pairs = q.reshape(len(q), -1, 2, run)
    return ((pairs[:, :, 0] & 15) | ((pairs[:, :, 1] & 15) << 4)).reshape(len(q), -1)


def crumbs(q):
    """Four runs of 32 elements share 32 bytes, two bits each."""
    runs = q.reshape(len(q), 2, 4, 32) & 3
    return (runs[:, :, 0] | runs[:, :, 1] << 2 | runs[:, :, 2] << 4 | runs[:, :, 3] << 6).reshape(len(q), -1)


def bit_planes(bits):
    """Eight runs of 32 elements share 32 bytes, a bit each."""
    runs = bits.reshape(len(bits), 8, 32)
    return np.bitwise_or.reduce([runs[:, i] << i for i in range(8)]).astype(np.uint8)


def blocks_q2_k(x):
    d, dmin, sc, m, q = affine_parts(x, 16, 3, 15)
    return [sc | m << 4, crumbs(q), as_bytes(d), as_bytes(dmin)]


def blocks_q3_k(x):
    d, sc, q = signed_parts(x, 16, 4, 31)
    q = (q + 4).astype(np.uint8)
    stored = (sc + 32).astype(np.uint8)
    low = (stored[:, :8] & 15) | ((stored[:, 8:] & 15) << 4)
    high = stored >> 4
    high = high[:, 0:4] | high[:, 4:8] << 2 | high[:, 8:12] << 4 | high[:, 12:16] << 6
    return [bit_planes(q >> 2), crumbs(q), low, high, as_bytes(d)]


def blocks_q4_k(x):
    d, dmin, sc, m, q = affine_parts(x, 32, 15, 63)
    return [as_bytes(d), as_bytes(dmin), pack_six_bit(sc, m), nibbles(q, 32)]


def blocks_q5_k(x):
    d, dmin, sc, m, q = affine_parts(x, 32, 31, 63)
    return [as_bytes(d), as_bytes(dmin), pack_six_bit(sc, m), bit_planes(q >> 4), nibbles(q, 32)]


def blocks_q6_k(x):
    d, sc, q = signed_parts(x, 16, 32, 127)
    q = (q + 32).astype(np.uint8)
    return [nibbles(q, 64), crumbs(q >> 4), as_bytes(sc), as_bytes(d)]


K_WRITERS = {
    TYPES.Q2_K: blocks_q2_k,
    TYPES.Q3_K: blocks_q3_k,
    TYPES.Q4_K: blocks_q4_k,
    TYPES.Q5_K: blocks_q5_k,
    TYPES.Q6_K: blocks_q6_k,
}


def quantize(values, quantization):
    """Raw bytes of `values` in an encoding; float types come back as their own arrays."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    writer = K_WRITERS.get(quantization)
    if writer is None:
        return gguf.quants.quantize(values, quantization)
    if values.shape[-1] % SUPER != 0:
        raise ValueError(f"{quantization.name} needs rows of a multiple of {SUPER}, found {values.shape[-1]}")
    blocks = np.concatenate(writer(values.reshape(-1, SUPER)), axis=1)
    return blocks.reshape(*values.shape[:-1], -1)
