#!/usr/bin/env python3
"""A GGUF model of a named shape with random weights, for benchmarks: speed does not depend on values.

    make_random_gguf.py OUT.gguf --vocab-from MODEL.gguf [--shape llama-1b|llama-8b-layer|smollm2-135m] [--type Q4_0|Q4_1|Q8_0] [--seed N]

Blocks are written as they lie in the file: random quants, scales that keep activations of order one. The first
tokens come from MODEL, the rest of the vocabulary are filler words, so that every engine loads the file. The same
arguments give the same bytes. Needs numpy and gguf (PyPI)."""

import argparse
import dataclasses

import gguf
import numpy as np

TYPES = gguf.GGMLQuantizationType
NORMAL = 1


@dataclasses.dataclass
class Shape:
    layers: int
    dim: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    context: int
    rope_base: float


SHAPES = {
    "llama-1b": Shape(16, 2048, 32, 8, 8192, 128256, 131072, 500000.0),  # Llama-3.2-1B
    "llama-8b-layer": Shape(1, 4096, 32, 8, 14336, 49152, 8192, 500000.0),  # one layer of Llama-3.1-8B
    "smollm2-135m": Shape(30, 576, 9, 3, 1536, 49152, 8192, 100000.0),
}


def random_blocks(rng, kind, rows, columns):
    """[rows][bytes] of blocks of 32 values whose standard deviation is 1 / sqrt(columns)."""
    blocks = columns // 32
    std = 1.0 / np.sqrt(columns)
    quants = rng.integers(0, 256, (rows, blocks, 32 if kind == "Q8_0" else 16), dtype=np.uint8)
    # Uniform quants: 16 values have a deviation of 4.6 steps, 256 values of 74.
    step = std / (74.0 if kind == "Q8_0" else 4.6)
    scale = (step * rng.uniform(0.9, 1.1, (rows, blocks, 1))).astype(np.float16)
    parts = [scale.view(np.uint8)]
    if kind == "Q4_1":
        parts.append((scale.astype(np.float32) * -7.5).astype(np.float16).view(np.uint8))
    return np.concatenate(parts + [quants], axis=2).reshape(rows, -1)


def copy_vocabulary(writer, source, count):
    """The tokenizer of `source` with exactly `count` tokens."""
    tokens = [bytes(source.fields["tokenizer.ggml.tokens"].parts[i])
              for i in source.fields["tokenizer.ggml.tokens"].data]
    kinds = [int(source.fields["tokenizer.ggml.token_type"].parts[i][0])
             for i in source.fields["tokenizer.ggml.token_type"].data]
    merges = [bytes(source.fields["tokenizer.ggml.merges"].parts[i]).decode()
              for i in source.fields["tokenizer.ggml.merges"].data]
    filler = [f"filler{i:06d}".encode() for i in range(count - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens[:count] + filler)
    writer.add_token_types(kinds[:count] + [NORMAL] * len(filler))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def add_header(writer, shape):
    writer.add_name("random")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.dim // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocab)


def add_tensors(writer, shape, kind, rng):
    def matrix(name, rows, columns):
        writer.add_tensor(name, random_blocks(rng, kind, rows, columns), raw_dtype=TYPES[kind])

    def ones(name):
        writer.add_tensor(name, np.ones(shape.dim, dtype=np.float32))

    kv_dim = shape.dim // shape.heads * shape.kv_heads
    matrix("token_embd.weight", shape.vocab, shape.dim)
    ones("output_norm.weight")
    for i in range(shape.layers):
        ones(f"blk.{i}.attn_norm.weight")
        matrix(f"blk.{i}.attn_q.weight", shape.dim, shape.dim)
        matrix(f"blk.{i}.attn_k.weight", kv_dim, shape.dim)
        matrix(f"blk.{i}.attn_v.weight", kv_dim, shape.dim)
        matrix(f"blk.{i}.attn_output.weight", shape.dim, shape.dim)
        ones(f"blk.{i}.ffn_norm.weight")
        matrix(f"blk.{i}.ffn_gate.weight", shape.ffn, shape.dim)
        matrix(f"blk.{i}.ffn_up.weight", shape.ffn, shape.dim)
        matrix(f"blk.{i}.ffn_down.weight", shape.dim, shape.ffn)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--vocab-from", required=True, help="a GGUF model with a byte-level vocabulary")
    parser.add_argument("--shape", choices=SHAPES, default="llama-1b")
    parser.add_argument("--type", choices=["Q4_0", "Q4_1", "Q8_0"], default="Q4_0")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    writer = gguf.GGUFWriter(args.out, "llama")
    add_header(writer, shape)
    copy_vocabulary(writer, gguf.GGUFReader(args.vocab_from), shape.vocab)
    add_tensors(writer, shape, args.type, np.random.default_rng(args.seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
