#!/usr/bin/env python3
"""The programs of another system, run by an emulator, say what this machine's say: the same greedy tokens, the same errors.

    check_cross.py CASE... -- FOLDER/*SUFFIX [EMULATOR-WORD...]

FOLDER and SUFFIX: the other system's programs. Cases: see CASES. Environment as in e2e.py, with LLMIR_BIN the programs of this
machine, the compiler among them, and LLMIR_MODELS (cross.py). Exit code 77, with the reason, where the emulator, those programs or a
model is not here."""

import json
import os
import pathlib
import re
import subprocess
import sys

import cross
import e2e

SKIPPED = 77
SUBJECT = "the cat sat on the mat and"
TEXT = "the cat sat on the mat and the dog ran after the cat in the garden of the house\n" * 2


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


class Other:
    """Programs of the other system."""

    def __init__(self, pattern, *emulator):
        self.pattern, self.emulator = pattern, emulator
        self.runs_this_processor = pattern.endswith(".exe")

    def run(self, program, *arguments, stdin="", timeout=800):
        command = [*self.emulator, self.pattern.replace("*", program), *map(str, arguments)]
        result = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False, timeout=timeout)
        # Byte for byte: a program that turns newlines into two bytes would be found here.
        result.stdout, result.stderr = result.stdout.decode(), result.stderr.decode()
        if result.returncode == SKIPPED:
            skip(result.stdout.removeprefix("skipped: ").strip())
        return result


def check_equal(what, found, expected):
    if found != expected:
        sys.exit(f"{what}:\n{found!r}\non this machine:\n{expected!r}")


def same(other, program, *arguments, **options):
    """Both succeed and print the same; returns what was printed."""
    expected = e2e.run(program, *arguments, **options)
    if expected.returncode != 0:
        sys.exit(f"{program} on this machine: {expected.stderr}")
    found = other.run(program, *arguments, **options)
    if found.returncode != 0:
        sys.exit(f"{program}: exit code {found.returncode}\n{found.stdout}{found.stderr}")
    check_equal(f"{program} {' '.join(map(str, arguments))}", found.stdout, expected.stdout)
    if not expected.stdout:
        sys.exit(f"{program} printed nothing, on both")
    return found.stdout


def chat_tiny(other):
    """A tiny model of each kind: text, templates, long prompts, a conversation, caches of other types."""
    e2e.WORK.mkdir(parents=True, exist_ok=True)
    bundle = cross.bundle_for_all()
    for model in (bundle, cross.tiny("qwen3", "Q4_1", "v3"), cross.tiny("gemma3", "Q8_0", "v3")):
        same(other, "llmir-chat", model, "-p", SUBJECT, "--raw", "--greedy", "-n", 24)
    same(other, "llmir-chat", bundle, "--greedy", "-n", 8, "-s", "you are helpful", stdin="the cat\nna\u00efve \u732b\n/quit\n")
    same(other, "llmir-chat", bundle, "-p", TEXT, "--raw", "--greedy", "-n", 8, "--kv", "q8", "--threads", 1)
    schema = e2e.WORK / "cross.schema"
    schema.write_text('{"properties": {"n": {"type": "integer"}}, "required": ["n"]}')
    json.loads(same(other, "llmir-chat", bundle, "-p", SUBJECT, "--greedy", "--json-schema", schema))


def programs(other):
    """The other programs, and the figures of a chat."""
    bundle = cross.bundle_for_all()
    e2e.WORK.mkdir(parents=True, exist_ok=True)
    ids = same(other, "llmir-tokenize", bundle, stdin="the cat\n  sat  on\nna\u00efve \u732b \U0001f408\n\nend")
    same(other, "llmir-tokenize", bundle, "--decode", stdin=ids)
    same(other, "llmir-inspect", bundle, "--json")
    same(other, "llmir-inspect", bundle, "--verify")
    text = e2e.WORK / "cross.txt"
    text.write_text(TEXT)
    arguments = ("llmir-perplexity", bundle, "-f", text, "-c", 32, "--json")
    found, expected = json.loads(other.run(*arguments).stdout), json.loads(e2e.run(*arguments).stdout)
    if abs(found["nll"] - expected["nll"]) > 1e-3 * expected["nll"] or found["tokens"] != expected["tokens"]:
        sys.exit(f"llmir-perplexity: {found}, on this machine {expected}")
    bench = other.run("llmir-bench", bundle, "-p", 16, "-n", 2, "-r", 1, "--no-roofline", "--json")
    if bench.returncode != 0 or min(row["tokens_per_second"] for row in json.loads(bench.stdout)["results"]) <= 0:
        sys.exit(f"llmir-bench: {bench.stdout}{bench.stderr}")
    stats = other.run("llmir-chat", bundle, "-p", SUBJECT, "--greedy", "-n", 4, "--stats").stderr
    if not re.search(r"answer 4 tokens.*\nload [\d.]+ ms, first token after [\d.]+ ms, peak memory [\d.]+ MiB, cpu, ", stats):
        sys.exit(f"llmir-chat --stats: {stats}")
    print(stats.strip())


def wrong_use(other):
    """What is wrong ends with exit code 1 and one line that says it, as on this machine."""
    whole = cross.tiny("qwen3", "Q4_1", "v3")
    data = whole.read_bytes()
    e2e.WORK.mkdir(parents=True, exist_ok=True)
    truncated, noise, damaged = (e2e.WORK / f"cross-{name}.llmir" for name in ("truncated", "noise", "damaged"))
    truncated.write_bytes(data[: len(data) * 2 // 3])
    noise.write_bytes(b"no bundle at all" * 100)
    damaged.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    prompt = ("-p", "the cat " * 40, "--raw", "--greedy")
    for arguments, fragment in (
        ((truncated, *prompt), f"header: {len(data) * 2 // 3} bytes, expected {len(data)}"),
        ((noise, *prompt), "not a bundle: it does not begin with"),
        ((damaged, *prompt), "header: "),
        ((e2e.WORK / "absent.llmir", *prompt), "absent.llmir"),
        ((e2e.WORK, *prompt), "is a directory"),
        ((whole, *prompt, "--context", 16), "the session's context has 16"),
        ((whole, *prompt, "--device", "abacus"), "abacus"),
    ):
        found, expected = other.run("llmir-chat", *arguments), e2e.run("llmir-chat", *arguments)
        if expected.returncode != 1 or fragment not in expected.stderr:
            sys.exit(f"llmir-chat on this machine: {expected.returncode} {expected.stderr}")
        # A processor better than the bundle's code warns of that first.
        lines = [line for line in found.stderr.splitlines() if "the built-in kernels are better" not in line]
        if found.returncode != 1 or len(lines) != 1 or not lines[0].startswith("llmir-chat: error: ") or fragment not in lines[0]:
            sys.exit(f"llmir-chat {arguments}: exit code {found.returncode}, {found.stderr}\non this machine: {expected.stderr}")
        print(lines[0])
    usage = other.run("llmir-chat", whole, "--colour")
    if usage.returncode != 2 or "--colour" not in usage.stderr:
        sys.exit(f"llmir-chat --colour: exit code {usage.returncode}, {usage.stderr}")
    # Code for another processor alone is passed over, and --stats says why.
    if other.runs_this_processor:
        whole = cross.tiny("llama", "Q4_0", "aarch64-neon")
    same(other, "llmir-chat", whole, "-p", SUBJECT, "--raw", "--greedy", "-n", 8)
    stats = other.run("llmir-chat", whole, "-p", SUBJECT, "--raw", "--greedy", "-n", 1, "--stats").stderr
    if "built-in" not in stats or not re.search("the bundle's code is not used: the bundle has no code for this (device|processor)", stats):
        sys.exit(f"a bundle with code for another processor alone: {stats}")


def chat_smollm2(other):
    if not e2e.SMOLLM2 or not os.path.isfile(e2e.SMOLLM2):
        skip("LLMIR_SMOLLM2_GGUF names no file")
    print(same(other, "llmir-chat", cross.smollm2(), "-p", "The capital of France is", "--raw", "--greedy", "-n", 6))
    if pathlib.Path(other.pattern.replace("*", "llmir-static")).is_file():
        print(same(other, "llmir-static", "What is the capital of France?"))


CASES = {function.__name__: function for function in (chat_tiny, chat_smollm2, programs, wrong_use)}


def main():
    if "--" not in sys.argv or not set(cases := sys.argv[1 : sys.argv.index("--")]) <= set(CASES):
        sys.exit(f"usage: check_cross.py CASE... -- FOLDER/*SUFFIX [EMULATOR-WORD...]   cases: {' '.join(CASES)}")
    if not (e2e.BIN / "llmirc").is_file():
        skip(f"{e2e.BIN / 'llmirc'} is not built: cmake --preset release")
    other = Other(*sys.argv[sys.argv.index("--") + 1 :])
    for case in cases:
        CASES[case](other)


if __name__ == "__main__":
    main()
