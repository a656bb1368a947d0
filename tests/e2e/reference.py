#!/usr/bin/env python3
"""An independent float32 reference of the supported architectures, in numpy over dequantized GGUF weights.

Written from the papers and the GGUF conventions, not from the compiler: it is what logits are compared with.
It has no KV cache and no chunks: a prompt of T tokens is one pass with a T x T mask, so that it shares no
mechanism with the runtime. Needs numpy and gguf (PyPI).

    reference.py MODEL.gguf --ids 1,2,3 [--ids ...]    log-probabilities of the last token's top 20, one JSON line each
    reference.py MODEL.gguf --ids-file FILE --nll -c C  mean negative log-likelihood over windows of C tokens
"""

import argparse
import json
import math

import gguf
import numpy as np


def field(reader, key, default=None):
    entry = reader.fields.get(key)
    return default if entry is None else entry.contents()


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def silu(z):
    return z / (1.0 + np.exp(-z))


def gelu_tanh(z):
    return 0.5 * z * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))


def cap(x, limit):
    return np.float32(limit) * np.tanh(x / np.float32(limit)) if limit else x


class Reference:
    """Holds every weight as float32; `logits(ids)` returns [T, vocab]."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.weights = {}
        for tensor in self.reader.tensors:
            shape = [int(n) for n in reversed(tensor.shape)]
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            self.weights[tensor.name] = np.ascontiguousarray(values.reshape(shape), dtype=np.float32)
        self.arch = field(self.reader, "general.architecture")
        self.read_config()

    def read_config(self):
        def get(key, default=None):
            return field(self.reader, f"{self.arch}.{key}", default)

        self.layers = get("block_count")
        self.dim = get("embedding_length")
        self.heads = get("attention.head_count")
        self.kv_heads = get("attention.head_count_kv", self.heads)
        self.head_dim = get("attention.key_length", self.dim // self.heads)
        self.eps = get("attention.layer_norm_rms_epsilon")
        self.rope_dim = get("rope.dimension_count", self.head_dim)
        self.rope_base = get("rope.freq_base", 10000.0)
        self.rope_divisor, self.rope_factor, self.yarn_context = 1.0, np.float32(1.0), 0
        if get("rope.scaling.type") in ("linear", "yarn"):
            self.rope_divisor = get("rope.scaling.factor")
        if get("rope.scaling.type") == "yarn":
            self.yarn_context = get("rope.scaling.original_context_length")
            self.rope_factor = np.float32(1.0 + 0.1 * math.log(self.rope_divisor))
        self.gemma = self.arch == "gemma3"
        self.window = get("attention.sliding_window", 0) if self.gemma else 0
        pattern = get("attention.sliding_window_pattern", 6)
        if not isinstance(pattern, list):
            pattern = [(i + 1) % pattern != 0 for i in range(self.layers)]
        self.is_window = [self.window > 0 and bool(flag) for flag in pattern]
        self.local_base = get("rope.freq_base_swa", 10000.0)
        self.scale = get("attention.scale") or 1.0 / math.sqrt(self.head_dim)
        self.attention_cap, self.final_cap = get("attn_logit_softcapping", 0.0), get("final_logit_softcapping", 0.0)

    def norm(self, x, name):
        scale = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True, dtype=np.float32) + np.float32(self.eps))
        return x * scale * self.weights[name]

    def yarn_ramp(self, half, base):
        """YaRN (arXiv 2309.00071): 1 where a pair keeps its frequency, 0 where it is interpolated; 0 without YaRN."""
        if not self.yarn_context:
            return np.zeros(half)
        low, high = (
            2 * half * math.log(self.yarn_context / (turns * 2 * math.pi)) / (2 * math.log(base)) for turns in (32, 1)
        )
        low, high = max(math.floor(low), 0), min(math.ceil(high), 2 * half - 1)
        return 1.0 - np.clip((np.arange(half) - low) / max(high - low, 0.001), 0.0, 1.0)

    def rope(self, x, window_layer):
        """x [T, heads, head_dim]; pairs (2i, 2i+1) for llama, (i, i + n/2) for the others."""
        half = self.rope_dim // 2
        base = self.local_base if window_layer else self.rope_base
        freq = base ** (-np.arange(half, dtype=np.float64) * 2.0 / self.rope_dim)
        if not window_layer:
            freq = freq * self.yarn_ramp(half, base) + freq / self.rope_divisor * (1.0 - self.yarn_ramp(half, base))
        if "rope_freqs.weight" in self.weights:
            freq = freq / self.weights["rope_freqs.weight"]
        angle = np.arange(x.shape[0], dtype=np.float64)[:, None] * freq
        cos, sin = (self.rope_factor * f(angle)[:, None].astype(np.float32) for f in (np.cos, np.sin))
        out = x.copy()
        if self.arch == "llama":
            first, second = slice(0, self.rope_dim, 2), slice(1, self.rope_dim, 2)
        else:
            first, second = slice(0, half), slice(half, 2 * half)
        out[..., first] = x[..., first] * cos - x[..., second] * sin
        out[..., second] = x[..., first] * sin + x[..., second] * cos
        return out

    def linear(self, x, name):
        y = x @ self.weights[name + ".weight"].T
        bias = self.weights.get(name + ".bias")
        return y if bias is None else y + bias

    def attention(self, x, layer):
        prefix, tokens = f"blk.{layer}.", x.shape[0]
        q = self.linear(x, prefix + "attn_q").reshape(tokens, self.heads, self.head_dim)
        k = self.linear(x, prefix + "attn_k").reshape(tokens, self.kv_heads, self.head_dim)
        v = self.linear(x, prefix + "attn_v").reshape(tokens, self.kv_heads, self.head_dim)
        if prefix + "attn_q_norm.weight" in self.weights:
            q = self.norm(q, prefix + "attn_q_norm.weight")
            k = self.norm(k, prefix + "attn_k_norm.weight")
        q, k = self.rope(q, self.is_window[layer]), self.rope(k, self.is_window[layer])
        distance = np.arange(tokens)[:, None] - np.arange(tokens)[None, :]
        hidden = distance < 0
        if self.is_window[layer]:
            hidden |= distance >= self.window
        mask = np.where(hidden, np.float32(-np.inf), np.float32(0.0))
        group = self.heads // self.kv_heads
        out = np.empty_like(q)
        for head in range(self.heads):
            scores = cap(q[:, head] @ k[:, head // group].T * np.float32(self.scale), self.attention_cap)
            out[:, head] = softmax(scores + mask) @ v[:, head // group]
        return self.linear(out.reshape(tokens, -1), prefix + "attn_output")

    def feed_forward(self, x, layer):
        prefix = f"blk.{layer}."
        activation = gelu_tanh if self.gemma else silu
        gate = activation(self.linear(x, prefix + "ffn_gate"))
        return self.linear(gate * self.linear(x, prefix + "ffn_up"), prefix + "ffn_down")

    def logits(self, ids):
        x = self.weights["token_embd.weight"][np.asarray(ids)]
        if self.gemma:
            x = x * np.float32(math.sqrt(self.dim))
        for layer in range(self.layers):
            prefix = f"blk.{layer}."
            delta = self.attention(self.norm(x, prefix + "attn_norm.weight"), layer)
            if self.gemma:
                delta = self.norm(delta, prefix + "post_attention_norm.weight")
            x = x + delta
            delta = self.feed_forward(self.norm(x, prefix + "ffn_norm.weight"), layer)
            if self.gemma:
                delta = self.norm(delta, prefix + "post_ffw_norm.weight")
            x = x + delta
        x = self.norm(x, "output_norm.weight")
        return cap(x @ self.weights.get("output.weight", self.weights["token_embd.weight"]).T, self.final_cap)


def log_softmax(row):
    row = row.astype(np.float64)
    top = row.max()
    return row - top - math.log(np.exp(row - top).sum())


def mean_nll(model, ids, context):
    """Windows of `context` tokens, each predicted from the start of its window."""
    total, count = 0.0, 0
    for start in range(0, len(ids) - 1, context):
        window = ids[start : start + context]
        if len(window) < 2:
            break
        logits = model.logits(window)
        for i in range(len(window) - 1):
            total -= log_softmax(logits[i])[window[i + 1]]
            count += 1
    return total / count, count


def parse_ids(text):
    return [int(word) for word in text.replace(",", " ").split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--ids", action="append", default=[])
    parser.add_argument("--ids-file")
    parser.add_argument("--nll", action="store_true")
    parser.add_argument("-c", "--context", type=int, default=512)
    arguments = parser.parse_args()
    model = Reference(arguments.model)
    if arguments.nll:
        with open(arguments.ids_file, encoding="ascii") as file:
            nll, count = mean_nll(model, parse_ids(file.read()), arguments.context)
        print(json.dumps({"tokens": count, "nll": nll, "perplexity": math.exp(nll)}))
        return
    for text in arguments.ids:
        row = log_softmax(model.logits(parse_ids(text))[-1])
        top = np.argsort(-row)[:20]
        print(json.dumps({"top": [[int(i), float(row[i])] for i in top]}))


if __name__ == "__main__":
    main()
