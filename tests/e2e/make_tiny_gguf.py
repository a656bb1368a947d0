#!/usr/bin/env python3
"""Tiny random models of every supported architecture as GGUF files: the same seed gives the same bytes.

    make_tiny_gguf.py OUT.gguf [--arch NAME] [--type TYPE] [--seed N] [--split N]
    make_tiny_gguf.py --all FOLDER            the sets that the end-to-end tests compile

Weights are scaled so that activations stay of order one and logits separate. The tokenizer is trained on a few
lines of text: bytes, some merges and the control tokens of the chat template. Needs numpy and gguf (PyPI)."""

import argparse
import collections
import dataclasses
import pathlib

import gguf
import numpy as np

import kquants

TYPES = gguf.GGMLQuantizationType
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # token_type

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim "
    "+ '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA3_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")

TRAINING_TEXT = """the cat sat on the mat and the dog ran after the cat in the garden of the house
she said that there is nothing better than a small model that answers when it is asked
system user assistant model you are a helpful assistant and this is the answer to the question
how many words are in this text and which of them come again and again in the text""".split("\n")


@dataclasses.dataclass
class Shape:
    """Hyper-parameters; rows of every matrix are multiples of 256, so that any encoding fits."""

    arch: str
    layers: int = 2
    dim: int = 256
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 512
    context: int = 2048
    rope_base: float = 10000.0
    rope_factors: bool = False  # Llama 3's rope_freqs tensor
    rope_scaling: str = ""  # "linear" or "yarn"
    rope_dim: int = 0  # rotated elements of a head, if not all
    window: int = 0
    window_pattern: object = None  # every n-th layer is global, or a flag for each layer
    local_rope_base: float = 0.0
    biases: tuple = ()  # projections of each layer that have one
    scales: tuple = ()  # (key, value) of attention.scale and the soft caps
    tied: bool = True
    pre: str = "smollm"  # byte-level pre-tokenizer; "" makes a SentencePiece vocabulary
    controls: tuple = CHATML_TOKENS
    template: str = CHATML


SHAPES = {
    "llama": Shape("llama"),
    "llama3": Shape("llama", kv_heads=1, rope_base=500000.0, rope_factors=True, tied=False, pre="llama-bpe",
                    controls=LLAMA3_TOKENS, template=LLAMA3),
    "llama-linear": Shape("llama", kv_heads=4, rope_scaling="linear"),
    "llama-yarn": Shape("llama", rope_scaling="yarn"),
    "qwen2": Shape("qwen2", rope_base=1000000.0, tied=False, pre="qwen2"),
    "qwen3": Shape("qwen3", heads=4, head_dim=128, rope_base=1000000.0, pre="qwen2"),
    "gemma3": Shape("gemma3", layers=7, kv_heads=1, head_dim=128, rope_base=1000000.0, window=24, pre="",
                    controls=GEMMA_TOKENS, template=GEMMA),
    # What files of these architectures may ask for beyond the usual.
    "llama-biases": Shape("llama", biases=("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")),
    "llama-odd": Shape("llama", dim=288, heads=9, kv_heads=3, head_dim=32, ffn=672, tied=False),
    "llama-fractions": Shape("llama", dim=72, heads=3, kv_heads=3, head_dim=24, ffn=100),
    "llama-partial": Shape("llama", rope_dim=32, scales=(("attention.scale", 0.2),)),
    "qwen3-yarn": Shape("qwen3", kv_heads=1, head_dim=32, rope_scaling="yarn", tied=False, pre="qwen2"),
    "gemma3-linear": Shape("gemma3", layers=4, head_dim=32, rope_base=1000000.0, rope_scaling="linear", window=40,
                           window_pattern=2, local_rope_base=20000.0, tied=False, pre="", controls=GEMMA_TOKENS,
                           template=GEMMA),
    "gemma3-caps": Shape("gemma3", layers=3, window=100, window_pattern=(False, True, True), pre="",
                         scales=(("final_logit_softcapping", 3.0), ("attn_logit_softcapping", 2.0)),
                         controls=GEMMA_TOKENS, template=GEMMA),
}


# ---- Tokenizer --------------------------------------------------------------------------------------------------


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    letters = {b: chr(b) for b in printable}
    letters.update({b: chr(256 + i) for i, b in enumerate(others)})
    return [letters[b] for b in range(256)]


def train_merges(words, count):
    """Plain BPE over a word list; ties go to the pair that sorts first, so the result is one."""
    pieces = [list(word) for word in words]
    merges = []
    for _ in range(count):
        pairs = collections.Counter(pair for piece in pieces for pair in zip(piece, piece[1:]))
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for i, piece in enumerate(pieces):
            joined, at = [], 0
            while at < len(piece):
                if tuple(piece[at : at + 2]) == best:
                    joined.append(piece[at] + piece[at + 1])
                    at += 2
                else:
                    joined.append(piece[at])
                    at += 1
            pieces[i] = joined
    return merges


def add_byte_level_tokenizer(writer, shape):
    letters = byte_alphabet()
    words = [word for line in TRAINING_TEXT for word in [line.split()[0], *(letters[32] + w for w in line.split()[1:])]]
    merges = train_merges(words, 100)
    tokens = [*shape.controls, *letters, *(a + b for a, b in merges)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(shape.pre)
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL] * len(shape.controls) + [NORMAL] * (len(tokens) - len(shape.controls)))
    writer.add_token_merges([f"{a} {b}" for a, b in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(tokens.index("<|eot_id|>" if "<|eot_id|>" in tokens else "<|im_end|>"))
    writer.add_add_bos_token("<|begin_of_text|>" in tokens)
    return len(tokens)


def add_sentencepiece_tokenizer(writer, shape):
    words = ["\u2581" + word for line in TRAINING_TEXT for word in line.split()]
    merges = train_merges(words, 100)
    singles = sorted({letter for word in words for letter in word} | set("\n.,?!ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
    byte_tokens = [f"<0x{b:02X}>" for b in range(256)]
    pieces = [a + b for a, b in merges] + singles
    tokens = [*shape.controls, *byte_tokens, *pieces]
    kinds = [UNKNOWN if token == "<unk>" else CONTROL for token in shape.controls]
    kinds += [BYTE] * 256 + [NORMAL] * len(pieces)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * (len(tokens) - len(pieces)) + [-float(i) for i in range(len(pieces))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(tokens.index("<bos>"))
    writer.add_eos_token_id(tokens.index("<eos>"))
    writer.add_unk_token_id(tokens.index("<unk>"))
    writer.add_pad_token_id(tokens.index("<pad>"))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    return len(tokens)


# ---- Weights ----------------------------------------------------------------------------------------------------


def model_tensors(shape, vocab, seed):
    """Yields (name, f32 values); the order is fixed, so equal seeds give equal models."""
    generator = np.random.default_rng(seed)
    q_rows, kv_rows = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

    def matrix(rows, columns, gain=1.0):
        return generator.standard_normal((rows, columns), dtype=np.float32) * np.float32(gain / np.sqrt(columns))

    def norm(size):
        return (1.0 + 0.1 * generator.standard_normal(size, dtype=np.float32)).astype(np.float32)

    # Logits of standard deviation 1: random layers pass on more rounding noise than trained ones.
    yield "token_embd.weight", matrix(vocab, shape.dim)
    yield "output_norm.weight", norm(shape.dim)
    if not shape.tied:
        yield "output.weight", matrix(vocab, shape.dim)
    if shape.rope_factors:
        half = shape.head_dim // 2
        yield "rope_freqs.weight", np.linspace(1.0, 8.0, half, dtype=np.float32)
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        yield prefix + "attn_norm.weight", norm(shape.dim)
        yield prefix + "attn_q.weight", matrix(q_rows, shape.dim)
        yield prefix + "attn_k.weight", matrix(kv_rows, shape.dim)
        yield prefix + "attn_v.weight", matrix(kv_rows, shape.dim)
        yield prefix + "attn_output.weight", matrix(shape.dim, q_rows)
        sizes = {"attn_q": q_rows, "attn_k": kv_rows, "attn_v": kv_rows, "ffn_gate": shape.ffn, "ffn_up": shape.ffn}
        for name in ("attn_q", "attn_k", "attn_v") if shape.arch == "qwen2" else shape.biases:
            size = sizes.get(name, shape.dim)
            yield f"{prefix}{name}.bias", 0.2 * generator.standard_normal(size, dtype=np.float32)
        if shape.arch in ("qwen3", "gemma3"):
            yield prefix + "attn_q_norm.weight", norm(shape.head_dim)
            yield prefix + "attn_k_norm.weight", norm(shape.head_dim)
        if shape.arch == "gemma3":
            yield prefix + "post_attention_norm.weight", norm(shape.dim)
            yield prefix + "post_ffw_norm.weight", norm(shape.dim)
        yield prefix + "ffn_norm.weight", norm(shape.dim)
        yield prefix + "ffn_gate.weight", matrix(shape.ffn, shape.dim)
        yield prefix + "ffn_up.weight", matrix(shape.ffn, shape.dim)
        yield prefix + "ffn_down.weight", matrix(shape.dim, shape.ffn)


def add_metadata(writer, name, shape, vocab):
    writer.add_name(f"Tiny {name}")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6 if shape.arch == "gemma3" else 1e-5)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(vocab)
    if shape.head_dim * shape.heads != shape.dim:
        writer.add_key_length(shape.head_dim)
        writer.add_value_length(shape.head_dim)
    if shape.arch == "llama" or shape.rope_dim:
        writer.add_rope_dimension_count(shape.rope_dim or shape.head_dim)
    if shape.rope_scaling:
        writer.add_rope_scaling_type(gguf.RopeScalingType(shape.rope_scaling))
        writer.add_rope_scaling_factor(4.0)
        if shape.rope_scaling == "yarn":
            writer.add_rope_scaling_orig_ctx_len(shape.context // 4)
    if shape.window:
        writer.add_sliding_window(shape.window)
    if isinstance(shape.window_pattern, tuple):
        writer.add_array(f"{shape.arch}.attention.sliding_window_pattern", list(shape.window_pattern))
    elif shape.window_pattern:
        writer.add_uint32(f"{shape.arch}.attention.sliding_window_pattern", shape.window_pattern)
    if shape.local_rope_base:
        writer.add_float32(f"{shape.arch}.rope.freq_base_swa", shape.local_rope_base)
    for key, value in shape.scales:
        writer.add_float32(f"{shape.arch}.{key}", value)
    writer.add_chat_template(shape.template)


def write(path, name="llama", quantization="Q4_1", seed=0, split=0):
    """Writes one model; matrices get the encoding, norms and biases stay f32. Returns the (first) file."""
    shape, kind = SHAPES[name], TYPES[quantization]
    path = pathlib.Path(path)
    extra = {"split_max_tensors": split} if split else {}
    writer = gguf.GGUFWriter(path, shape.arch, **extra)
    vocab = (add_byte_level_tokenizer if shape.pre else add_sentencepiece_tokenizer)(writer, shape)
    add_metadata(writer, f"{name} {quantization}", shape, vocab)
    for tensor, values in model_tensors(shape, vocab, seed):
        if values.ndim == 1:
            writer.add_tensor(tensor, values)
        else:
            writer.add_tensor(tensor, kquants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if not split:
        return path
    return sorted(path.parent.glob(f"{path.stem}-00001-of-*.gguf"))[0]


ENCODINGS = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
VARIANTS = {"llama-fractions": "F16"}  # columns that no integer layout can divide
SETS = {
    "architectures": [(name, "Q4_1") for name in list(SHAPES)[:7]],
    "variants": [(name, VARIANTS.get(name, "Q8_0")) for name in list(SHAPES)[7:]],
    "types": [("llama", kind) for kind in ENCODINGS],
}


def write_set(folder, name, seed=0):
    """Writes one of the sets; returns the paths."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [write(folder / f"tiny-{shape}-{kind.lower()}.gguf", shape, kind, seed) for shape, kind in SETS[name]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, nargs="?")
    parser.add_argument("--arch", choices=sorted(SHAPES), default="llama")
    parser.add_argument("--type", default="Q4_1", help="ggml type of the matrices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", type=int, default=0, metavar="N", help="tensors per file of a split model")
    parser.add_argument("--all", type=pathlib.Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.all:
        paths = [path for name in SETS for path in write_set(arguments.all, name, arguments.seed)]
    elif arguments.out:
        paths = [write(arguments.out, arguments.arch, arguments.type, arguments.seed, arguments.split)]
    else:
        parser.error("give OUT.gguf or --all FOLDER")
    for path in paths:
        print(path)


if __name__ == "__main__":
    main()
