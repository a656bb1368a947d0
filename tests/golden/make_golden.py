#!/usr/bin/env python3
"""Makes the golden bundle of the current format: a tiny model with every kind of section, code for x86-64-v3 among them.

    make_golden.py LLMIRC OUT.llmir

The golden file of a released format is never made again: it is there to show that later versions load it
(docs/COMPATIBILITY.md). This script says what is in it, and makes the file of the next format. Needs numpy and gguf."""

import dataclasses
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
import make_tiny_gguf as tiny  # noqa: E402: found by the line above

SHAPE = dataclasses.replace(
    tiny.SHAPES["llama"], dim=32, heads=2, kv_heads=1, head_dim=16, ffn=64, layers=2, context=256, pre="",
    controls=tiny.GEMMA_TOKENS, template=tiny.GEMMA,
)
SEED = 2  # one whose greedy text is not a single word


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: make_golden.py LLMIRC OUT.llmir")
    llmirc, out = sys.argv[1:]
    tiny.SHAPES["golden"] = SHAPE
    with tempfile.TemporaryDirectory() as folder:
        source = tiny.write(pathlib.Path(folder) / "golden.gguf", "golden", "Q4_1", SEED)
        options = ["--target", "cpu:v3", "--activations", "int8", "--quiet"]
        subprocess.run([llmirc, source, "-o", out, *options], check=True)


if __name__ == "__main__":
    main()
