#!/usr/bin/env python3
"""The same model with its channels in another order: what a group of columns costs, on a model whose weights lie on a grid of groups.

    shuffle_channels.py MODEL.gguf OUT.gguf SEED

Shuffles the channels between layers, of the feed-forward part, and of the values in a head of a Llama model, each wherever it is
written and read. Logits stay the same but for the order of sums; weights are f32 in OUT, and columns that shared a scale do not any
more. Needs numpy and gguf."""

import argparse
import pathlib

import gguf
import numpy as np


def shuffled(weights, field, generator):
    """{name: weights in the new order}, as f32 [outputs, inputs]."""
    heads, kv_heads = field("attention.head_count"), field("attention.head_count_kv")
    dim = field("embedding_length")
    head_dim = dim // heads
    between = generator.permutation(dim)
    result = {name: weights[name][..., between] for name in ("token_embd.weight", "output_norm.weight")}
    for layer in range(field("block_count")):
        feed = generator.permutation(field("feed_forward_length"))
        in_head = [generator.permutation(head_dim) for _ in range(kv_heads)]
        values = np.concatenate([h * head_dim + in_head[h] for h in range(kv_heads)])
        read = np.concatenate([h * head_dim + in_head[h * kv_heads // heads] for h in range(heads)])
        rows = {"attn_v": values, "attn_output": between, "ffn_gate": feed, "ffn_up": feed, "ffn_down": between}
        columns = {"attn_output": read, "ffn_down": feed}
        for kind in ("attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            name = f"blk.{layer}.{kind}.weight"
            matrix = weights[name][rows[kind]] if kind in rows else weights[name]
            result[name] = matrix[..., columns.get(kind, between)]
    if set(result) != set(weights):
        raise SystemExit(f"tensors that are not known here: {sorted(set(weights) - set(result))}")
    return result


def write(reader, weights, out):
    writer = gguf.GGUFWriter(out, "llama")
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            is_array = field.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(key, field.contents(), field.types[0], field.types[-1] if is_array else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.ascontiguousarray(weights[tensor.name]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args()
    reader = gguf.GGUFReader(arguments.model)
    if reader.fields["general.architecture"].contents() != "llama":
        raise SystemExit(f"{arguments.model}: not a Llama model")
    weights = {tensor.name: np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
               for tensor in reader.tensors}
    order = shuffled(weights, lambda name: reader.fields[f"llama.{name}"].contents(), np.random.default_rng(arguments.seed))
    write(reader, order, arguments.out)


if __name__ == "__main__":
    main()
