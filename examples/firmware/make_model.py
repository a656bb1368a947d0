#!/usr/bin/env python3
"""Makes what the firmware example links: model.o, model.h and prompts.h. Trains the model if it is not there yet.

    make_model.py FOLDER --bin BUILD/bin [--steps N] [--quantize q8] [--context 256] [--chunk 8]

BUILD/bin holds llmirc and llmir-tokenize of this project for the machine that runs this script."""

import argparse
import pathlib
import subprocess
import sys

PROMPTS = (
    "Once there was a clever fox named Lily.",
    "Once there was a tiny mouse named Ben. He lived by the river",
    "Once there was a big bear named Anna. One day Anna found a golden key.",
)


def run(*command, text=None):
    return subprocess.run(list(map(str, command)), input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def prompts_header(rows):
    lines = ["/* Beginnings of stories as tokens of the model. Made by make_model.py. */", "#include <stddef.h>", "#include <stdint.h>", ""]
    lines += [f"static const int32_t prompt_{i}[] = {{{row.strip().replace(' ', ', ')}}};" for i, row in enumerate(rows)]
    lines += ["typedef struct prompt {", "    const int32_t* tokens;", "    size_t count;", "} prompt_t;", "static const prompt_t prompts[] = {"]
    lines += [f"    {{prompt_{i}, sizeof(prompt_{i}) / sizeof(int32_t)}}," for i in range(len(rows))]
    return "\n".join(lines + ["};", ""])


def make(folder, tools, steps=600, quantize="q8", context=256, chunk=8):
    folder.mkdir(parents=True, exist_ok=True)
    gguf = folder / "stories.gguf"
    if not gguf.exists():
        trainer = pathlib.Path(__file__).parent / "train_stories.py"
        subprocess.run([sys.executable, "-B", str(trainer), str(gguf), "--steps", str(steps)], check=True)
    options = ("--quantize", quantize, "--context", context, "--chunk", chunk, "--target", "cpu:none", "--quiet")
    run(tools / "llmirc", gguf, "-o", folder / "stories.llmir", *options)
    run(tools / "llmirc", gguf, "-o", folder / "model.o", "--emit", "object", "--object-for", "arm", *options)
    rows = run(tools / "llmir-tokenize", folder / "stories.llmir", "--bos", text="\n".join(PROMPTS) + "\n").splitlines()
    (folder / "prompts.h").write_text(prompts_header(rows), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--quantize", default="q8")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--chunk", type=int, default=8)
    a = parser.parse_args()
    make(a.folder, a.bin, a.steps, a.quantize, a.context, a.chunk)


if __name__ == "__main__":
    main()
