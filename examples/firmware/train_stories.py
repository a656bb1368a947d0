#!/usr/bin/env python3
"""Trains the model of the firmware example from stories.py and writes it as GGUF. Needs numpy and gguf (PyPI).

    train_stories.py OUT.gguf [--steps N] [--seed N]

A llama of about 260,000 parameters: 5 layers of 64, 4 heads with 2 for keys and values, a vocabulary of 768 (bytes and merges).
Forward and backward pass are written out in numpy, one step for 24 windows of 96 tokens; 600 steps take about three minutes on
one core of 2024. Equal seeds give equal files on equal machines."""

import argparse
import collections
import pathlib
import re
import time

import gguf
import numpy as np

import stories

DIM, LAYERS, HEADS, KV_HEADS, FFN, CONTEXT = 64, 5, 4, 2, 160, 256
HEAD = DIM // HEADS
ROPE_BASE, EPSILON = 10000.0, 1e-5
WINDOW, BATCH = 96, 24
CONTROLS = ("<|story|>", "<|end|>")
MERGES = 510
PRETOKEN = re.compile(r" ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+")


# ---- Tokenizer: bytes and merges --------------------------------------------------------------------------------


def byte_letters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in printable}
    letters.update({b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in printable)})
    return [letters[b] for b in range(256)]


LETTERS = byte_letters()


def join(piece, pair):
    out, at = [], 0
    while at < len(piece):
        if tuple(piece[at : at + 2]) == pair:
            out.append(piece[at] + piece[at + 1])
            at += 2
        else:
            out.append(piece[at])
            at += 1
    return out


class Tokenizer:
    def __init__(self, lines):
        counts = collections.Counter(word for line in lines for word in PRETOKEN.findall(line))
        pieces = {word: [LETTERS[b] for b in word.encode()] for word in counts}
        self.merges = []
        while len(self.merges) < MERGES:
            pairs = collections.Counter()
            for word, piece in pieces.items():
                for pair in zip(piece, piece[1:]):
                    pairs[pair] += counts[word]
            if not pairs:
                break
            best = min(pairs, key=lambda pair: (-pairs[pair], pair))
            self.merges.append(best)
            pieces = {word: join(piece, best) if best[0] in piece else piece for word, piece in pieces.items()}
        self.tokens = [*CONTROLS, *LETTERS, *(a + b for a, b in self.merges)]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.words = {word: [self.ids[piece] for piece in joined] for word, joined in pieces.items()}

    def encode(self, line):
        return [i for word in PRETOKEN.findall(line) for i in self.words[word]]


# ---- Model ------------------------------------------------------------------------------------------------------


def initial_weights(vocab, rng):
    def matrix(rows, columns, gain=1.0):
        return (rng.standard_normal((rows, columns)) * gain / np.sqrt(columns)).astype(np.float32)

    weights = {"token_embd": matrix(vocab, DIM, 0.5), "output_norm": np.ones(DIM, np.float32)}
    deep = 1.0 / np.sqrt(2 * LAYERS)
    for i in range(LAYERS):
        weights[f"blk.{i}.attn_norm"] = np.ones(DIM, np.float32)
        weights[f"blk.{i}.attn_q"] = matrix(DIM, DIM)
        weights[f"blk.{i}.attn_k"] = matrix(KV_HEADS * HEAD, DIM)
        weights[f"blk.{i}.attn_v"] = matrix(KV_HEADS * HEAD, DIM)
        weights[f"blk.{i}.attn_output"] = matrix(DIM, DIM, deep)
        weights[f"blk.{i}.ffn_norm"] = np.ones(DIM, np.float32)
        weights[f"blk.{i}.ffn_gate"] = matrix(FFN, DIM)
        weights[f"blk.{i}.ffn_up"] = matrix(FFN, DIM)
        weights[f"blk.{i}.ffn_down"] = matrix(DIM, FFN, deep)
    return weights


def norm_forward(x, weight):
    inverse = 1.0 / np.sqrt(np.mean(x * x, -1, keepdims=True) + EPSILON)
    normed = x * inverse
    return normed * weight, (normed, inverse, weight)


def norm_backward(d, saved):
    normed, inverse, weight = saved
    dweight = (d * normed).sum(0)
    d = d * weight
    return inverse * (d - normed * np.mean(d * normed, -1, keepdims=True)), dweight


def rope_tables():
    angles = np.arange(WINDOW)[:, None] * ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


COS, SIN = rope_tables()


def rotate(x, sign=1.0):
    """Turns neighbouring elements of x[batch][head][position][HEAD]; sign -1 turns back."""
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2] = even * COS - sign * odd * SIN
    out[..., 1::2] = odd * COS + sign * even * SIN
    return out


def heads_of(x, count):
    return x.reshape(BATCH, WINDOW, count, HEAD).transpose(0, 2, 1, 3)


def rows_of(x):
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(BATCH * WINDOW, -1)


MASK = np.triu(np.full((WINDOW, WINDOW), -1e9, np.float32), 1)
SCALE = np.float32(1.0 / np.sqrt(HEAD))


def attention_forward(h, w, p):
    q = rotate(heads_of(h @ w[p + "attn_q"].T, HEADS))
    k = rotate(heads_of(h @ w[p + "attn_k"].T, KV_HEADS))
    v = heads_of(h @ w[p + "attn_v"].T, KV_HEADS)
    k, v = np.repeat(k, HEADS // KV_HEADS, 1), np.repeat(v, HEADS // KV_HEADS, 1)
    scores = q @ k.transpose(0, 1, 3, 2) * SCALE + MASK
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    mixed = rows_of(scores @ v)
    return mixed @ w[p + "attn_output"].T, (h, q, k, v, scores, mixed)


def sum_groups(x):
    return x.reshape(BATCH, KV_HEADS, HEADS // KV_HEADS, WINDOW, HEAD).sum(2)


def attention_backward(d, w, p, saved, grads):
    h, q, k, v, scores, mixed = saved
    grads[p + "attn_output"] = d.T @ mixed
    d = heads_of(d @ w[p + "attn_output"], HEADS)
    dv = sum_groups(scores.transpose(0, 1, 3, 2) @ d)
    ds = d @ v.transpose(0, 1, 3, 2)
    ds = scores * (ds - (ds * scores).sum(-1, keepdims=True)) * SCALE
    dq = rows_of(rotate(ds @ k, -1.0))
    dk = rows_of(rotate(sum_groups(ds.transpose(0, 1, 3, 2) @ q), -1.0))
    dv = rows_of(dv)
    for name, part in (("attn_q", dq), ("attn_k", dk), ("attn_v", dv)):
        grads[p + name] = part.T @ h
    return dq @ w[p + "attn_q"] + dk @ w[p + "attn_k"] + dv @ w[p + "attn_v"]


def gate_forward(h, w, p):
    gate, up = h @ w[p + "ffn_gate"].T, h @ w[p + "ffn_up"].T
    sigmoid = 1.0 / (1.0 + np.exp(-gate))
    active = gate * sigmoid * up
    return active @ w[p + "ffn_down"].T, (h, gate, up, sigmoid, active)


def gate_backward(d, w, p, saved, grads):
    h, gate, up, sigmoid, active = saved
    grads[p + "ffn_down"] = d.T @ active
    d = d @ w[p + "ffn_down"]
    dgate = d * up * sigmoid * (1.0 + gate * (1.0 - sigmoid))
    dup = d * gate * sigmoid
    grads[p + "ffn_gate"], grads[p + "ffn_up"] = dgate.T @ h, dup.T @ h
    return dgate @ w[p + "ffn_gate"] + dup @ w[p + "ffn_up"]


PARTS = (("attn", attention_forward, attention_backward), ("ffn", gate_forward, gate_backward))


def loss_and_grads(w, tokens, targets):
    """Mean cross entropy of tokens[BATCH][WINDOW], and its gradients."""
    grads, saved = {}, []
    flat, wanted = tokens.ravel(), targets.ravel()
    x = w["token_embd"][flat]
    for i in range(LAYERS):
        for part, forward, _ in PARTS:
            h, norm = norm_forward(x, w[f"blk.{i}.{part}_norm"])
            y, inner = forward(h, w, f"blk.{i}.")
            saved.append((norm, inner))
            x = x + y
    h, norm = norm_forward(x, w["output_norm"])
    logits = h @ w["token_embd"].T
    logits -= logits.max(-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(-1, keepdims=True)
    rows = np.arange(flat.size)
    loss = -np.log(logits[rows, wanted] + 1e-20).mean()
    logits[rows, wanted] -= 1.0
    logits /= flat.size
    grads["token_embd"] = logits.T @ h
    d, grads["output_norm"] = norm_backward(logits @ w["token_embd"], norm)
    for i in reversed(range(LAYERS)):
        for part, _, backward in reversed(PARTS):
            norm, inner = saved.pop()
            dh, grads[f"blk.{i}.{part}_norm"] = norm_backward(backward(d, w, f"blk.{i}.", inner, grads), norm)
            d = d + dh
    np.add.at(grads["token_embd"], flat, d)
    return loss, grads


def train(steps, seed):
    lines = stories.stories(8000, seed)
    tokenizer = Tokenizer(lines[:2000])
    stream = np.array([i for line in lines for i in (0, *tokenizer.encode(line), 1)])
    rng = np.random.default_rng(seed)
    w = initial_weights(len(tokenizer.tokens), rng)
    first = {name: np.zeros_like(value) for name, value in w.items()}
    second = {name: np.zeros_like(value) for name, value in w.items()}
    start = time.monotonic()
    print(f"{sum(v.size for v in w.values())} parameters, {len(tokenizer.tokens)} tokens, text of {stream.size}", flush=True)
    for step in range(1, steps + 1):
        begin = rng.integers(0, stream.size - WINDOW - 1, BATCH)[:, None] + np.arange(WINDOW)
        loss, grads = loss_and_grads(w, stream[begin], stream[begin + 1])
        norm = np.sqrt(sum(float((g * g).sum()) for g in grads.values()))
        rate = 5e-3 * min(step / 20, 0.02 + 0.98 * (0.5 + 0.5 * np.cos(np.pi * step / steps)))
        for name, g in grads.items():  # Adam, https://arxiv.org/abs/1412.6980
            g *= min(1.0, 1.0 / norm)
            first[name] += 0.1 * (g - first[name])
            second[name] += 0.02 * (g * g - second[name])
            scale = np.sqrt(second[name] / (1 - 0.98**step)) + 1e-8
            w[name] -= np.float32(rate) * (first[name] / (1 - 0.9**step) / scale)
        if step % 50 == 0 or step == steps:
            print(f"step {step}: loss {loss:.3f}, {time.monotonic() - start:.0f} s", flush=True)
    return tokenizer, w


# ---- GGUF -------------------------------------------------------------------------------------------------------


def write(path, tokenizer, w):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Stories 260K")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_dimension_count(HEAD)
    writer.add_vocab_size(len(tokenizer.tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types([3] * len(CONTROLS) + [1] * (len(tokenizer.tokens) - len(CONTROLS)))
    writer.add_token_merges([f"{a} {b}" for a, b in tokenizer.merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    for name, value in w.items():
        writer.add_tensor(name + ".weight", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tokenizer, weights = train(arguments.steps, arguments.seed)
    write(arguments.out, tokenizer, weights)


if __name__ == "__main__":
    main()
