#!/usr/bin/env python3
"""One bundle for all processors: its code and the built-in kernels of a cross build, run under an emulator, give the bits of
this machine.

    check_processors.py FOLDER EMULATOR [argument...]     FOLDER: programs of the cross build, with logits_dump

Environment as in e2e.py: LLMIR_BIN has llmirc and logits_dump of this machine. Every processor of the emulator runs the code of
its level; the logits are those of AVX2 here, which test_kernel_* show to be those of AVX-512. Kernels without a fused
multiply-add, plain C, are compared with plain C here."""

import os
import pathlib
import subprocess
import sys
import unittest

import e2e
import make_tiny_gguf

FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 2 else None
EMULATOR = sys.argv[2:]
PLAIN, AVX2 = 1, 0x103  # limits of the level

# Name of the emulator -> (processor that it is told to be, level whose code it must take). RISC-V: registers of either length.
PROCESSORS = {
    "qemu-aarch64": (("cortex-a57", "aarch64-neon"), ("cortex-a76", "aarch64-dotprod"), ("max", "aarch64-i8mm")),
    "qemu-arm": (("cortex-a7", "armv7-neon"), ("max", "armv7-neon")),
    "qemu-riscv64": (("rv64,v=true,vlen=128", "rv64gcv"), ("rv64,v=true,vlen=256", "rv64gcv")),
}
# Processors of the same kind without a level: the built-in portable kernels run, and the reason is told.
WITHOUT = {"qemu-arm": ("cortex-a9",), "qemu-riscv64": ("rv64",)}

# Every weight layout, heads of odd sizes, windows and soft caps; options of llmirc and of the run.
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
        cls.kind = pathlib.Path(EMULATOR[0]).name.removesuffix("-static")
        cls.here = [e2e.BIN / "logits_dump"]
        cls.there = [*EMULATOR, FOLDER / "logits_dump"]
        e2e.WORK.mkdir(parents=True, exist_ok=True)
        cls.bundles = {}
        for name, (shape, kind, options) in MODELS.items():
            source = make_tiny_gguf.write(e2e.WORK / f"{name}.gguf", shape, kind)
            target = "all" if name == "q4" else cls.kind.removeprefix("qemu-")
            cls.bundles[name] = e2e.compile_model(source, e2e.WORK / f"{name}.llmir", "--target", f"cpu:{target}", *options)

    def compare(self, name, options, level, processor, *there):
        want, _ = dump(self.here, self.bundles[name], "--level", level, "--no-code", *options)
        have, said = dump(self.there, self.bundles[name], *there, *options, processor=processor)
        self.assertEqual(len(have), len(want))
        self.assertTrue(have == want, f"{name} {options} on {processor} {there}: other logits than here")
        return said

    def test_code_of_each_level_gives_the_bits_of_this_machine(self):
        for processor, level in PROCESSORS[self.kind]:
            for name in MODELS:
                for options in RUNS if name == "q4" else RUNS[:1]:
                    with self.subTest(processor=processor, model=name, options=options):
                        self.assertIn(f"bundle {level}", self.compare(name, options, AVX2, processor))

    def test_built_in_kernels_give_the_bits_of_this_machine(self):
        for processor, level in PROCESSORS[self.kind]:
            for name in ("q4", "wide", "f16"):
                with self.subTest(processor=processor, model=name):
                    _, said = dump(self.there, self.bundles[name], "--no-code", processor=processor)
                    self.compare(name, (), PLAIN if "portable" in said else AVX2, processor, "--no-code")

    def test_processor_without_a_level_runs_the_portable_kernels(self):
        for processor in WITHOUT.get(self.kind, ()):
            with self.subTest(processor=processor):
                said = self.compare("q4", (), PLAIN, processor)
                self.assertIn("built-in portable", said)


if __name__ == "__main__":
    if FOLDER is None:
        sys.exit(__doc__)
    if pathlib.Path(EMULATOR[0]).name.removesuffix("-static") not in PROCESSORS or not (e2e.BIN / "llmirc").exists():
        print(f"skipped: {EMULATOR[0]} is no emulator known here, or {e2e.BIN} has no llmirc")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
