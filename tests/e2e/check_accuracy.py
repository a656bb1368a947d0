#!/usr/bin/env python3
"""Compares compiled bundles with the independent float32 reference, and bundles with themselves bit by bit.

    check_accuracy.py [--models MODEL ...] [--prompts N] [--bits-only]

A model is `architectures` (a tiny random one of each), `variants` (what their files may ask for beyond the usual),
`types` (one of each type of tensor), or NAME=FILE.gguf.

For each model: compile it as it is (integer path) and with float weights (float path), run prompts of 5 to 600
tokens, and compare log-probabilities of the reference's top 20 at the last tokens. Then run one prompt again with
other thread counts, chunks, code paths, ISA levels and a neighbour session: every byte must be equal; --bits-only
does that alone.
Prompts of real models are cut out of the text in data/, those of tiny ones are random. Needs numpy and gguf (PyPI);
e2e.py tells where the programs are."""

import argparse
import pathlib
import subprocess
import sys

import numpy as np

import e2e
import make_tiny_gguf
import reference

# Bounds of log-probability differences over the reference's top 20: (median, worst).
INTEGER_BOUND = (0.05, 0.5)
FLOAT_BOUND = (0.001, 0.01)
# x86-64-v2 rounds in other places (no fused multiply-add), which makes another draw of the same noise of int8
# activations; its tail differs by chance, so what is exact about it is shown on the float path.
OTHER_DRAW_BOUND = (0.06, 1.2)
PROMPT_LENGTHS = (5, 16, 33, 64, 100, 200, 400, 600)
TEXT = pathlib.Path(__file__).parent / "data" / "constitution.txt"
COMPARED_TAIL = 4  # last positions of each prompt that are compared
LEVELS = {"portable": 0x100, "v2": 0x102, "v3": 0x103, "v4-vnni": 0x105}


class Failure(Exception):
    pass


def run(command, ids=None):
    text = None if ids is None else " ".join(map(str, ids)).encode()
    result = subprocess.run([str(word) for word in command], input=text, capture_output=True, check=False)
    if result.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit {result.returncode}: {result.stderr.decode()[-500:]}")
    return result.stdout, result.stderr.decode()


def dump(bundle, ids, *options):
    return run([e2e.BIN / "logits_dump", bundle, *options], ids)[0]


def prompts_of(vocab, lengths, seed):
    """Random ids from the lower part of the vocabulary: text-like enough, and reproducible."""
    generator = np.random.default_rng(seed)
    return [generator.integers(3, min(vocab, 20000), size=n).tolist() for n in lengths]


def text_prompts(bundle, lengths):
    """Prompts cut out of a real text's ids, at different places."""
    text = " ".join(TEXT.read_text().split())
    ids = [int(word) for word in e2e.run("llmir-tokenize", bundle, stdin=text).stdout.split()]
    step = (len(ids) - max(lengths)) // len(lengths)
    return [ids[i * step : i * step + n] for i, n in enumerate(lengths)]


def differences(expected, logits, ids):
    """Absolute log-probability differences of the reference's top 20 at the last positions."""
    found = np.frombuffer(logits, dtype="<f4").reshape(len(ids), -1)
    result = []
    for row in range(max(0, len(ids) - COMPARED_TAIL), len(ids)):
        want, have = reference.log_softmax(expected[row]), reference.log_softmax(found[row][: expected.shape[1]])
        top = np.argsort(-want)[:20]
        result.extend(np.abs(want[top] - have[top]))
    return result


def check_bound(label, values, bound):
    median, worst = float(np.median(values)), float(np.max(values))
    line = f"{label}: median {median:.5f} (bound {bound[0]}), worst {worst:.4f} (bound {bound[1]})"
    print(line, flush=True)
    if not (median <= bound[0] and worst <= bound[1]):
        raise Failure(line)


COMPILED = {"integer": (), "float": ("--quantize", "f32")}
PATHS = (  # the bundle of COMPILED, how it is run, and what it must reach
    ("integer", (), INTEGER_BOUND),
    ("integer", ("--level", LEVELS["v2"]), OTHER_DRAW_BOUND),
    ("float", ("--kv", 1), FLOAT_BOUND),
    ("float", ("--kv", 1, "--level", LEVELS["v2"]), FLOAT_BOUND),
)

# Generating code is most of a tiny model's time, so tiny models get code of some levels, and of those that run here. Other
# levels are the built-in kernels then.
TARGETS = {
    "architectures": {"integer": ("v2", "v3", "v4-vnni"), "float": ("v3",)},
    "variants": {"integer": ("v3", "v4-vnni"), "float": ("v3",)},
    "types": {"integer": ("v3", "v4-vnni"), "float": ()},
}


def target_of(tiny_set, path):
    """The --target of a tiny model."""
    levels = [level for level in TARGETS[tiny_set][path] if level != "v4-vnni" or e2e.has_vnni()]
    return "cpu:" + (",".join(levels) or "none")


def check_accuracy(name, source, tiny_set, lengths):
    """Returns the bundle of the integer path, and a prompt for it. `tiny_set` is None for a real model."""
    model = reference.Reference(source)
    bundles = {}
    for path, options in COMPILED.items():
        target = target_of(tiny_set, path) if tiny_set else "cpu"
        bundles[path] = e2e.compile_model(source, e2e.WORK / f"{name}-{path}.llmir", "--target", target, *options)
    vocab = model.weights["token_embd.weight"].shape[0]
    prompts = prompts_of(vocab, lengths, seed=7) if tiny_set else text_prompts(bundles["integer"], lengths)
    expected = [model.logits(ids) for ids in prompts]
    for path, options, bound in PATHS:
        values = []
        for ids, rows in zip(prompts, expected):
            values.extend(differences(rows, dump(bundles[path], ids, "--threads", 2, *options), ids))
        label = " ".join(map(str, (name, path, "path", *options)))
        check_bound(f"{label}, {len(prompts)} prompts", values, bound)
    return bundles["integer"], prompts[min(4, len(prompts) - 1)]


def variations(info, count):
    """Ways to run the same prompt that must not change a bit."""
    yield from (("--threads", n) for n in (1, 2, 3, 7))
    yield from (("--chunk", n) for n in (1, 3, 16, 100) if n <= count)
    yield ("--neighbour",)
    yield ("--neighbour", "--chunk", 5, "--threads", 3)
    yield ("--no-code",)
    yield ("--no-code", "--threads", 3, "--chunk", 7)
    if "v4" in info:
        yield ("--level", LEVELS["v3"])
        yield ("--level", LEVELS["v3"], "--no-code")


def bits_bundle(name, source):
    """A bundle of a real model and a prompt of 100 tokens, for the comparison of bits alone."""
    bundle = e2e.compile_model(source, e2e.WORK / f"{name}-integer.llmir")
    return bundle, text_prompts(bundle, [100])[0]


def check_same_bits(name, bundle, ids, portable_count):
    """`portable_count`: tokens that the portable level computes, one or two a second of a real model's."""
    first, info = run([e2e.BIN / "logits_dump", bundle], ids)
    if "bundle" not in info:
        raise Failure(f"{name}: the bundle's code is not used: {info.strip()}")
    count = 0
    for options in variations(info, len(ids)):
        if dump(bundle, ids, *options) != first:
            raise Failure(f"{name}: other bits with {' '.join(map(str, options))}")
        count += 1
    print(f"{name}: same bits in {count} variations ({info.strip()})", flush=True)
    # The levels without a fused multiply-add have bits of their own, and agree among themselves.
    ids = ids[:portable_count]
    first = dump(bundle, ids, "--level", LEVELS["portable"])
    for options in ((), ("--no-code",), ("--threads", 3, "--chunk", 7), ("--neighbour",)):
        if dump(bundle, ids, "--level", LEVELS["v2"], *options) != first:
            raise Failure(f"{name}: other bits of v2 with {' '.join(map(str, options))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(make_tiny_gguf.SETS))
    parser.add_argument("--prompts", type=int, default=len(PROMPT_LENGTHS))
    parser.add_argument("--bits-only", action="store_true", help="real models: no comparison with the reference")
    arguments = parser.parse_args()
    e2e.WORK.mkdir(parents=True, exist_ok=True)
    # As many as asked, from the shortest to the longest.
    places = np.linspace(0, len(PROMPT_LENGTHS) - 1, arguments.prompts).round().astype(int)
    lengths = [PROMPT_LENGTHS[i] for i in places]
    try:
        for entry in arguments.models:
            tiny_set = entry if entry in make_tiny_gguf.SETS else None
            name, _, path = entry.partition("=")
            models = [(name, pathlib.Path(path))]
            if tiny_set:
                models = [(path.stem, path) for path in make_tiny_gguf.write_set(e2e.WORK / entry, entry)]
            for name, source in models:
                if arguments.bits_only and not tiny_set:
                    bundle, ids = bits_bundle(name, source)
                else:
                    bundle, ids = check_accuracy(name, source, tiny_set, lengths)
                check_same_bits(name, bundle, ids, 64 if tiny_set else 12)
                if not tiny_set:  # hundreds of megabytes each
                    for used in e2e.WORK.glob(f"{name}-*.llmir"):
                        used.unlink()
    except Failure as failure:
        print(f"check_accuracy: error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
