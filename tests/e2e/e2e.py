"""What the end-to-end tests share: where the programs are, running them, and a tiny model compiled once.

Environment: LLMIR_BIN, the folder of the programs; LLMIR_WORK, a folder for models that is kept between tests."""

import os
import pathlib
import subprocess
import unittest

import make_tiny_gguf

BIN = pathlib.Path(os.environ["LLMIR_BIN"])
WORK = pathlib.Path(os.environ["LLMIR_WORK"])
SMOLLM2 = os.environ.get("LLMIR_SMOLLM2_GGUF")


def run(program, *arguments, stdin="", **options):
    """Runs a program to its end; text in, text out."""
    command = [str(BIN / program), *map(str, arguments)]
    options.setdefault("timeout", 300)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, **options)


def has_vnni():
    """Whether x86-64-v4-vnni code may run here; unknown is yes."""
    try:
        return "avx512_vnni" in pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return True


def compile_model(source, out, *options):
    WORK.mkdir(parents=True, exist_ok=True)
    result = run("llmirc", source, "-o", out, "--quiet", *options)
    if result.returncode != 0:
        raise AssertionError(f"llmirc {source}: {result.stderr}")
    return out


def tiny_bundle(shape="llama", *options, name="tiny"):
    """A bundle of a tiny model; made again for each test program, so that no stale one is used."""
    WORK.mkdir(parents=True, exist_ok=True)
    source = make_tiny_gguf.write(WORK / f"{name}.gguf", shape)
    return compile_model(source, WORK / f"{name}.llmir", *options)


def smollm2():
    """The path of SmolLM2 as GGUF, or the test is skipped."""
    if not SMOLLM2:
        raise unittest.SkipTest("LLMIR_SMOLLM2_GGUF names no file")
    WORK.mkdir(parents=True, exist_ok=True)
    return SMOLLM2
