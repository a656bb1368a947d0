#!/usr/bin/env python3
"""Compares compiled bundles with the independent float32 reference, and bundles with themselves bit by bit.

    check_accuracy.py --llmirc PATH --logits-dump PATH --work DIR [--models tiny|NAME=FILE.gguf ...] [--prompts N]

For each model: compile it as it is (integer path) and with float weights (float path), run prompts of 5 to 600
tokens, and compare log-probabilities of the reference's top 20 at the last tokens. Then run one prompt again with
other thread counts, chunks, code paths, ISA levels and a neighbour session: every byte must be equal.
Needs numpy and gguf (PyPI)."""

import argparse
import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import make_tiny_gguf  # noqa: E402
import reference  # noqa: E402

# Bounds of log-probability differences over the reference's top 20: (median, worst).
INTEGER_BOUND = (0.05, 0.5)
FLOAT_BOUND = (0.001, 0.01)
PROMPT_LENGTHS = (5, 16, 33, 64, 100, 200, 400, 600)
COMPARED_TAIL = 4  # last positions of each prompt that are compared
LEVELS = {"v2": 0x102, "v3": 0x103, "v4-vnni": 0x105}


class Failure(Exception):
    pass


def run(command, ids=None):
    text = None if ids is None else " ".join(map(str, ids)).encode()
    result = subprocess.run([str(word) for word in command], input=text, capture_output=True, check=False)
    if result.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit {result.returncode}: {result.stderr.decode()[-500:]}")
    return result.stdout, result.stderr.decode()


def dump(tool, bundle, ids, *options):
    return run([tool, bundle, *options], ids)[0]


def compile_model(llmirc, source, out, *options):
    run([llmirc, source, "-o", out, "--quiet", *options])
    return out


def prompts_of(vocab, lengths, seed):
    """Random ids from the lower part of the vocabulary: text-like enough, and reproducible."""
    generator = np.random.default_rng(seed)
    return [generator.integers(3, min(vocab, 20000), size=n).tolist() for n in lengths]


def text_prompts(ids, lengths):
    """Prompts cut out of a real text's ids, at different places."""
    return [ids[i * 613 : i * 613 + n] for i, n in enumerate(lengths)]


def differences(model, logits, ids):
    """Absolute log-probability differences of the reference's top 20 at the last positions."""
    expected = model.logits(ids)
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


def check_accuracy(arguments, name, source, prompts):
    model = reference.Reference(source)
    paths = (
        ("integer path", ("--quantize", "keep"), (), INTEGER_BOUND),
        ("float path", ("--quantize", "f32"), ("--kv", 1), FLOAT_BOUND),
    )
    for path, compile_options, run_options, bound in paths:
        bundle = arguments.work / f"{name}-{path.split()[0]}.llmir"
        compile_model(arguments.llmirc, source, bundle, *compile_options)
        values = []
        for ids in prompts:
            values.extend(differences(model, dump(arguments.logits_dump, bundle, ids, "--threads", 2, *run_options), ids))
        check_bound(f"{name}, {path}, {len(prompts)} prompts", values, bound)


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


def check_same_bits(arguments, name, bundle, ids):
    first, info = run([arguments.logits_dump, bundle], ids)
    if "bundle" not in info:
        raise Failure(f"{name}: the bundle's code is not used: {info.strip()}")
    count = 0
    for options in variations(info, len(ids)):
        if dump(arguments.logits_dump, bundle, ids, *options) != first:
            raise Failure(f"{name}: other bits with {' '.join(map(str, options))}")
        count += 1
    print(f"{name}: same bits in {count} variations ({info.strip()})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llmirc", required=True)
    parser.add_argument("--logits-dump", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--models", nargs="+", default=["tiny"])
    parser.add_argument("--ids-file", type=pathlib.Path, help="ids of a real text, for prompts of real models")
    parser.add_argument("--prompts", type=int, default=len(PROMPT_LENGTHS))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    lengths = PROMPT_LENGTHS[: arguments.prompts]
    try:
        for entry in arguments.models:
            if entry == "tiny":
                models = [(path.stem, path) for path in make_tiny_gguf.write_all(arguments.work)]
            else:
                name, _, path = entry.partition("=")
                models = [(name, pathlib.Path(path))]
            for name, source in models:
                vocab = reference.Reference(source).weights["token_embd.weight"].shape[0]
                if arguments.ids_file and entry != "tiny":
                    prompts = text_prompts(reference.parse_ids(arguments.ids_file.read_text()), lengths)
                else:
                    prompts = prompts_of(vocab, lengths, seed=7)
                check_accuracy(arguments, name, source, prompts)
                check_same_bits(arguments, name, arguments.work / f"{name}-integer.llmir", prompts[min(4, len(prompts) - 1)])
    except Failure as failure:
        print(f"check_accuracy: error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
