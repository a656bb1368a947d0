"""Bundles with code for GPUs, and chats with them: what the checks of all GPU targets share."""

import os
import pathlib
import subprocess
import sys

E2E = pathlib.Path(__file__).parent.parent / "e2e"
BIN = pathlib.Path(os.environ["LLMIR_BIN"])
WORK = pathlib.Path(os.environ["LLMIR_WORK"])


def run(*command, environment=None):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          env=dict(os.environ, **(environment or {})), timeout=300)


def make_bundle(name, *options, arch="llama", kind="Q4_1", target):
    model, bundle = WORK / f"{name}.gguf", WORK / f"{name}.llmir"
    subprocess.run([sys.executable, E2E / "make_tiny_gguf.py", model, "--arch", arch, "--type", kind], check=True)
    made = run(os.environ["LLMIRC"], model, "-o", bundle, "--quiet", "--target", target, *options)
    assert made.returncode == 0, made.stderr
    return bundle


def chat(bundle, device, prompt="Once upon a time", *more, environment=None, tokens=12):
    return run(BIN / "llmir-chat", bundle, "--device", device, "--raw", "--greedy", "-p", prompt, "-n", tokens, "--stats",
               *more, environment=environment)
