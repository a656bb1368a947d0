"""Bundles that the tests of all other systems share, compiled once: llmirc needs longer for them than most of those tests do.

Environment: LLMIR_MODELS, the folder that keeps them; a bundle that is older than llmirc is made again."""

import contextlib
import fcntl
import os
import pathlib

import e2e
import make_tiny_gguf

MODELS = pathlib.Path(os.environ["LLMIR_MODELS"])


@contextlib.contextmanager
def locked(name):
    """One process at a time: tests run side by side."""
    MODELS.mkdir(parents=True, exist_ok=True)
    with open(MODELS / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_fresh(path, *sources):
    return path.is_file() and all(path.stat().st_mtime >= pathlib.Path(source).stat().st_mtime for source in sources)


def tiny(shape, kind, levels, *options):
    """A tiny model with code for `levels` of --target cpu; options of llmirc."""
    name = "-".join((shape, kind, levels.replace(",", "+"), *(option.strip("-") for option in options))).lower()
    out = MODELS / f"{name}.llmir"
    with locked(name):
        if not is_fresh(out, e2e.BIN / "llmirc", make_tiny_gguf.__file__):
            source = make_tiny_gguf.write(MODELS / f"{name}.gguf", shape, kind)
            e2e.compile_model(source, out, "--target", f"cpu:{levels}", *options)
    return out


def bundle_for_all():
    """Heads and rows of odd sizes, int4, code for all levels of all processors."""
    return tiny("llama-odd", "Q4_0", "all")


def smollm2():
    """SmolLM2 with code for one level of each processor, so that emulators need not take the slowest path."""
    out = MODELS / "smollm2.llmir"
    with locked("smollm2"):
        if not is_fresh(out, e2e.BIN / "llmirc", e2e.SMOLLM2):
            e2e.compile_model(e2e.SMOLLM2, out, "--target", "cpu:v3,aarch64-neon,armv7-neon,rv64gcv")
    return out
