#!/usr/bin/env python3
"""Models linked into programs: llmirc --emit object, and examples/static as one static executable."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import unittest

import e2e
import make_tiny_gguf

SOURCE = pathlib.Path(os.environ["LLMIR_SOURCE"])
CC = os.environ["LLMIR_CC"]
MIB = 1 << 20
# What e_machine and class of each object must be, as readelf says it.
MACHINES = {
    "x86-64": ("ELF64", "X86-64"),
    "aarch64": ("ELF64", "AArch64"),
    "arm": ("ELF32", "ARM"),
    "riscv64": ("ELF64", "RISC-V"),
    "riscv32": ("ELF32", "RISC-V"),
}
LINKERS = {"x86-64": "elf_x86_64", "aarch64": "aarch64elf", "arm": "armelf", "riscv64": "elf64lriscv", "riscv32": "elf32lriscv"}


def checked(*command, **options):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {result.stdout}{result.stderr}")
    return result.stdout


def build_static(folder, model):
    """model.o, and the example around it without a shared library."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    e2e.compile_model(model, folder / "model.o", "--emit", "object")
    checked(CC, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", f"-I{SOURCE / 'core/include'}", f"-I{folder}",
            SOURCE / "examples/static/static_main.c", folder / "model.o", os.environ["LLMIR_LIBRARY"], "-lm", "-pthread",
            "-o", folder / "llmir-static")
    return folder / "llmir-static"


class Objects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = e2e.WORK / "objects"
        shutil.rmtree(cls.folder, ignore_errors=True)
        cls.folder.mkdir(parents=True)
        cls.model = make_tiny_gguf.write(cls.folder / "tiny.gguf", "llama")

    def test_object_holds_the_bundle(self):
        """The same bytes as --emit bundle, for every processor, in a file that readelf and lld accept."""
        bundle = e2e.compile_model(self.model, self.folder / "tiny.llmir", "--target", "cpu:none").read_bytes()
        for name, (kind, machine) in MACHINES.items():
            with self.subTest(name):
                path = self.folder / f"my-{name}.o"
                e2e.compile_model(self.model, path, "--emit", "object", "--object-for", name, "--target", "cpu:none")
                listing = checked("readelf", "-hSsW", path)
                self.assertRegex(listing, rf"Class:\s+{kind}\b")
                self.assertRegex(listing, rf"Machine:\s+.*{machine}")
                self.assertNotIn("Warning", listing)
                symbol = f"llmir_bundle_my_{name.replace('-', '_')}"
                self.assertRegex(listing, rf"\s(?:{len(bundle)}|{len(bundle):#x}) OBJECT\s+GLOBAL HIDDEN\s+1 {symbol}\n")
                self.assertIn(bundle, path.read_bytes())
                self.assertIn(symbol, path.with_suffix(".h").read_text())
                if shutil.which("ld.lld-19"):
                    linked = self.folder / f"{name}.elf"
                    checked("ld.lld-19", "-m", LINKERS[name], "--entry=0", "--undefined", symbol, path, "-o", linked)
                    self.assertIn(bundle, linked.read_bytes())

    def test_static_program_says_what_the_bundle_says(self):
        program = build_static(self.folder / "static", self.model)
        bundle = e2e.compile_model(self.model, self.folder / "tiny.llmir")
        expected = e2e.run("llmir-chat", bundle, "-p", "the cat", "--greedy", "-n", "1024", "--context", "2048").stdout
        self.assertEqual(checked(program, "the cat").strip(), expected.strip())
        self.assertNotIn("NEEDED", checked("readelf", "-d", program))
        # Weights on pages of their own, in a segment that nobody can write or run.
        segments = checked("readelf", "-lW", program)
        address = int(re.search(r"^([0-9a-f]+) . llmir_bundle_model$", checked("nm", program), re.M).group(1), 16)
        self.assertEqual(address % 4096, 0)
        loads = [(int(virtual, 16), int(size, 16), flags) for virtual, size, flags in
                 re.findall(r"LOAD\s+\S+ (0x\S+) \S+ \S+ (0x\S+) (.{3})", segments)]
        self.assertEqual([flags.strip() for begin, size, flags in loads if begin <= address < begin + size], ["R"])

    @unittest.skipIf(shutil.which("llmirc"), "an llmirc is installed")
    def test_build_without_any_compiler_says_so(self):
        result = subprocess.run([os.environ["LLMIR_CMAKE"], "-S", SOURCE, "-B", self.folder / "none", "-DLLMIR_BUILD_TESTS=OFF",
                                 f"-DLLMIR_STATIC_MODEL={self.model}"], capture_output=True, text=True, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("LLMIR_STATIC_MODEL: no llmirc, expected LLMIR_BUILD_COMPILER=ON or LLMIR_LLMIRC to name one",
                      " ".join(result.stderr.split()))


@unittest.skipUnless("LLMIR_STATIC" in os.environ, "llmir-static is not built: LLMIR_STATIC_MODEL")
class SmolLM2(unittest.TestCase):
    """What the build makes of -DLLMIR_STATIC_MODEL=smollm2.gguf."""

    def test_self_contained_and_without_copies(self):
        program = pathlib.Path(os.environ["LLMIR_STATIC"])
        with subprocess.Popen([program, "What is the capital of France?"], stdout=subprocess.PIPE, cwd="/", env={}) as process:
            first = process.stdout.read(1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.05)
            rollup = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            process.send_signal(signal.SIGCONT)
            text = (first + process.communicate(timeout=120)[0]).decode()
        own = int(re.search(r"^Anonymous:\s+(\d+) kB", rollup, re.M).group(1)) * 1024
        size = program.stat().st_size
        print(f"llmir-static: {size / MIB:.1f} MiB, of which {own / MIB:.1f} MiB are memory of its own")
        self.assertEqual(process.returncode, 0)
        self.assertIn("Paris", text)
        self.assertLess(own, size / 2)


if __name__ == "__main__":
    unittest.main()
