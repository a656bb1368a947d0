#!/usr/bin/env python3
"""One bundle for all processors: its code and the built-in kernels of a cross build, run under an emulator, give the bits of
this machine.

    check_processors.py one|all FOLDER/*SUFFIX EMULATOR [argument...]     FOLDER, SUFFIX: programs of the cross build, with logits_dump

Environment as in e2e.py: LLMIR_BIN has llmirc and logits_dump of this machine, LLMIR_MODELS keeps bundles (cross.py). `one`: a
model of int4 weights whose bundle has code for every level; `all`: every layout of weights, and more ways to run. Every
processor of the emulator runs the code of its level; the logits are those of AVX2 here, which test_kernel_* show to be those of
AVX-512. Kernels without a fused multiply-add, plain C, are compared with plain C here."""

import os
import pathlib
import subprocess
import sys
import typing
import unittest

import cross
import e2e

ALL = sys.argv[1:2] == ["all"]
PATTERN = sys.argv[2] if len(sys.argv) > 3 else None
EMULATOR = sys.argv[3:]
PLAIN, SSE4, AVX2 = 1, 0x102, 0x103  # limits of the level


class Way(typing.NamedTuple):
    """A processor that the emulator is told to be, options there, the level whose code is taken, the level here."""

    processor: typing.Optional[str]
    options: tuple
    level: str
    limit: int


# By the name of the emulator. RISC-V: registers of either length. Wine runs this machine's processor.
WAYS = {
    "qemu-aarch64": (Way("cortex-a57", (), "aarch64-neon", AVX2), Way("cortex-a76", (), "aarch64-dotprod", AVX2),
                     Way("max", (), "aarch64-i8mm", AVX2)),
    "qemu-arm": (Way("cortex-a7", (), "armv7-neon", AVX2), Way("max", (), "armv7-neon", AVX2)),
    "qemu-riscv64": (Way("rv64,v=true,vlen=128", (), "rv64gcv", AVX2), Way("rv64,v=true,vlen=256", (), "rv64gcv", AVX2)),
    "wine": (Way(None, ("--level", SSE4), "x86-64-v2", SSE4), Way(None, ("--level", AVX2), "x86-64-v3", AVX2)),
    "node": (Way(None, (), "", PLAIN),),  # takes no code
}
# Processors without a level: the built-in portable kernels run, and the reason is told.
WITHOUT = {"qemu-arm": ("cortex-a9",), "qemu-riscv64": ("rv64",)}

# Every weight layout, heads of odd sizes, windows and soft caps; options of llmirc.
MODELS = {
    "q4": ("llama-odd", "Q4_0", ()),
    "q4-minima": ("llama", "Q4_1", ()),
    "q8": ("qwen3", "Q8_0", ("--activations", "int8")),
    "wide": ("llama-biases", "Q4_0", ("--activations", "int16")),
    "f16": ("llama-fractions", "F16", ()),
    "window": ("gemma3-caps", "Q4_0", ()),
}
RUNS = (("--chunk", 19), ("--chunk", 1, "--kv", 2), ("--kv", 3))
IDS = " ".join(str(5 + i * 37 % 250) for i in range(40))


def kind_of_emulator():
    """Its name; words before it set its environment."""
    names = (pathlib.Path(word).name.removesuffix("-static") for word in EMULATOR)
    return next((name for name in ({"wine64": "wine", "nodejs": "node"}.get(name, name) for name in names) if name in WAYS), None)


def dump(command, bundle, *options, processor=None):
    environment = dict(os.environ, QEMU_CPU=processor) if processor else None
    result = subprocess.run([*command, bundle, *map(str, options)], input=IDS.encode(), capture_output=True, check=False,
                            timeout=600, env=environment)
    if result.returncode != 0:
        raise AssertionError(f"{command} {bundle} {options}: {result.stderr.decode()}")
    return result.stdout, result.stderr.decode()


class Processors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kind = kind_of_emulator()
        cls.here = [e2e.BIN / "logits_dump"]
        emulator = list(EMULATOR)
        if "-cpu" in emulator:  # it would win over the processor of each way
            del emulator[emulator.index("-cpu") : emulator.index("-cpu") + 2]
        cls.there = [*emulator, PATTERN.replace("*", "logits_dump")]
        cls.bundles = {"q4": cross.bundle_for_all()}
        for name, (shape, quantization, options) in MODELS.items() if ALL else ():
            levels = {"wine": "x86-64", "node": "none"}.get(cls.kind, cls.kind.removeprefix("qemu-"))
            cls.bundles.setdefault(name, cross.tiny(shape, quantization, levels, *options))

    def compare(self, name, options, level, processor, *there):
        want, _ = dump(self.here, self.bundles[name], "--level", level, "--no-code", *options)
        have, said = dump(self.there, self.bundles[name], *there, *options, processor=processor)
        self.assertEqual(len(have), len(want))
        self.assertTrue(have == want, f"{name} {options} on {processor} {there}: other logits than here")
        return said

    def test_code_of_each_level_gives_the_bits_of_this_machine(self):
        for way in WAYS[self.kind]:
            for name in self.bundles:
                for options in RUNS if ALL and name == "q4" else RUNS[:1]:
                    with self.subTest(way=way, model=name, options=options):
                        said = self.compare(name, options, way.limit, way.processor, *way.options)
                        self.assertIn(f"bundle {way.level}" if way.level else "built-in portable", said)

    def test_built_in_kernels_give_the_bits_of_this_machine(self):
        for way in WAYS[self.kind]:
            for name in set(self.bundles) & {"q4", "wide", "f16"}:
                with self.subTest(way=way, model=name):
                    _, said = dump(self.there, self.bundles[name], "--no-code", *way.options, processor=way.processor)
                    self.compare(name, (), PLAIN if "portable" in said else way.limit, way.processor, "--no-code", *way.options)

    def test_processor_without_a_level_runs_the_portable_kernels(self):
        for processor in WITHOUT.get(self.kind, ()):
            with self.subTest(processor=processor):
                said = self.compare("q4", (), PLAIN, processor)
                self.assertIn("built-in portable", said)


if __name__ == "__main__":
    if PATTERN is None or sys.argv[1] not in ("one", "all"):
        sys.exit(__doc__)
    if kind_of_emulator() is None or not (e2e.BIN / "llmirc").exists():
        print(f"skipped: no emulator known here in {EMULATOR}, or {e2e.BIN} has no llmirc")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
