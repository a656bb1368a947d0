#!/usr/bin/env python3
"""The firmware example as a user makes it: train, compile, build for each Cortex-M, run under qemu-system-arm. The text must be
the host's, kernels must give the bits of plain C, wrong use must end in its status, and sizes stay below their bounds."""

import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(os.environ["LLMIR_SOURCE"])
BIN = pathlib.Path(os.environ["LLMIR_BIN"])
WORK = pathlib.Path(os.environ["LLMIR_WORK"])
CMAKE = os.environ["LLMIR_CMAKE"]
sys.path[:0] = [str(SOURCE / "examples/firmware"), str(SOURCE / "tests/consume")]
import check_sizes
import make_model
import stories

BOARDS = {"cortex-m4": "mps2-an386", "cortex-m7": "mps2-an500", "cortex-m55": "mps3-an547"}
NEEDED = ("arm-none-eabi-gcc", "qemu-system-arm")
STEPS = 150  # less than a minute of training, enough for sentences; the example's own default makes better stories
MODEL = WORK / "model"

LIBRARY_BYTES = 60 * 1024  # the whole archive: text, constants and data
STACK_BYTES = 7 * 1024  # of the 8 KiB that the linker script gives
ARENA_SLACK = 0.03  # what llmirc counts with pointers of 64 bits


def checked(*command, **options):
    """What a command printed, on either stream: QEMU writes semihosting to standard error."""
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{result.stdout}")
    return result.stdout


def emulate(board, image):
    """What an image printed, which must end with status 0. Instructions count as nanoseconds, so that clocks of this machine
    have no part in it."""
    return checked("qemu-system-arm", "-M", board, "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0",
                   "-semihosting-config", "enable=on,target=native", "-kernel", image, timeout=300)


# ---- Bundles that must not load ---------------------------------------------------------------------------------

HEADER = struct.Struct("<8s4HIIQQ32s56x")  # llmir_bundle_header_t
SECTION = struct.Struct("<4IQQ32s")  # llmir_bundle_section_t
WEIGHTS, PLAN, CUDA = 4, 5, 3


def sections(bundle):
    """Where the section table has each section, and the section."""
    *_, count, _, table, _ = HEADER.unpack_from(bundle)
    return [(table + i * SECTION.size, SECTION.unpack_from(bundle, table + i * SECTION.size)) for i in range(count)]


def sealed(bundle):
    """The bundle with the root hash that fits its header and section table."""
    *_, header_bytes, count, _, table, _ = HEADER.unpack_from(bundle)
    at = HEADER.size - 56 - 32
    bundle[at : at + 32] = bytes(32)
    bundle[at : at + 32] = hashlib.blake2b(bundle[:header_bytes] + bundle[table : table + count * SECTION.size], digest_size=32).digest()
    return bytes(bundle)


def for_another_target(bundle):
    """The plan is for CUDA."""
    bundle = bytearray(bundle)
    for at, section in sections(bundle):
        if section[0] == PLAN:
            struct.pack_into("<I", bundle, at + 4, CUDA)
    return sealed(bundle)


def with_damaged_weights(bundle):
    bundle = bytearray(bundle)
    for _, section in sections(bundle):
        if section[0] == WEIGHTS:
            bundle[section[4] + section[5] // 2] ^= 1
    return bytes(bundle)


# ---- Tests ------------------------------------------------------------------------------------------------------


def prepare():
    """The model, once; bundles that must not load; images of all boards."""
    if not (MODEL / "stories.gguf").exists():
        shutil.rmtree(WORK, ignore_errors=True)
    make_model.make(MODEL, BIN, STEPS)
    bundle = (MODEL / "stories.llmir").read_bytes()
    (MODEL / "other_target.llmir").write_bytes(for_another_target(bundle))
    (MODEL / "damaged.llmir").write_bytes(with_damaged_weights(bundle))
    checked(BIN / "llmirc", MODEL / "stories.gguf", "-o", MODEL / "x86_code.llmir", "--quantize", "q8", "--context", "256",
            "--chunk", "8", "--target", "cpu:v3", "--quiet")
    for cpu in BOARDS:
        checked(CMAKE, "--preset", cpu, "-B", WORK / cpu, f"-DLLMIR_FIRMWARE_MODEL={MODEL}", "-DLLMIR_BUILD_TESTS=ON", cwd=SOURCE)
        log = checked(CMAKE, "--build", WORK / cpu, "-j", "2")
        warnings = [line for line in log.splitlines() if re.search(r"\.[ch]:\d+.*warning", line)]
        if warnings:
            raise AssertionError("\n".join(warnings))


class Firmware(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        prepare()
        cls.transcripts = {cpu: emulate(board, WORK / cpu / "bin/llmir-firmware.elf") for cpu, board in BOARDS.items()}

    def test_tells_what_the_host_tells(self):
        for cpu, transcript in self.transcripts.items():
            with self.subTest(cpu):
                told = transcript.split("\n\n")[:-1]
                self.assertEqual(len(told), len(make_model.PROMPTS))
                for prompt, story in zip(make_model.PROMPTS, told):
                    expected = checked(BIN / "llmir-chat", MODEL / "stories.llmir", "--raw", "--greedy", "-p", prompt)
                    self.assertEqual(story, prompt + expected.rstrip("\n"))
                print(f"{cpu}: {transcript.splitlines()[-1]}")

    def test_tells_sentences(self):
        """Every word is one of the grammar's, and every story ends as a story does."""
        words = stories.words()
        for story in self.transcripts["cortex-m4"].split("\n\n")[:-1]:
            self.assertEqual([word for word in re.findall(r"[A-Za-z]+", story) if word not in words], [])
            self.assertGreaterEqual(story.count("."), 6)
            self.assertRegex(story, r"\.$")

    def test_arena_is_what_the_header_says(self):
        stated = int(re.search(r"ARENA_BYTES (\d+)", (MODEL / "model.h").read_text()).group(1))
        for cpu, transcript in self.transcripts.items():
            used, size, stack = map(int, re.search(r"arena (\d+) of (\d+) bytes, stack (\d+) of", transcript).groups())
            with self.subTest(cpu):
                self.assertEqual(size, stated)
                self.assertLessEqual(used, stated)
                self.assertGreater(used, stated * (1 - ARENA_SLACK))
                self.assertLessEqual(stack, STACK_BYTES)

    def test_kernels_give_the_bits_of_plain_c(self):
        for cpu, board in BOARDS.items():
            with self.subTest(cpu):
                self.assertIn("4 checks, 0 failed", emulate(board, WORK / cpu / "bin/test-kernels.elf"))

    def test_kernels_use_the_instructions_of_the_board(self):
        for cpu, instruction in (("cortex-m4", "smlad"), ("cortex-m7", "smlad"), ("cortex-m55", "vmlava")):
            with self.subTest(cpu):
                listing = checked("arm-none-eabi-objdump", "-d", "-m", "armv8.1-m.main", WORK / cpu / "core/libllmir.a")
                self.assertGreater(listing.count(instruction), 2)

    def test_wrong_use_ends_in_its_status(self):
        for cpu, board in BOARDS.items():
            with self.subTest(cpu):
                transcript = emulate(board, WORK / cpu / "bin/test-wrong-use.elf")
                self.assertRegex(transcript, r"\n1\d checks, 0 failed\n")
                if cpu == "cortex-m4":
                    print(transcript)

    def test_no_heap_no_system(self):
        for cpu in BOARDS:
            symbols = checked("arm-none-eabi-nm", WORK / cpu / "bin/llmir-firmware.elf")
            with self.subTest(cpu):
                self.assertNotRegex(symbols, r"\b_?(malloc|calloc|realloc|free|sbrk|printf|vsnprintf|write|exit|abort)(_r)?\b")

    def test_sizes(self):
        print(f"{'':12} {'library':>8} {'bound':>8} {'flash':>8} {'weights':>8} {'RAM':>8} (arena and stack included)")
        for cpu in BOARDS:
            library = sum(check_sizes.measure("arm-none-eabi-size", WORK / cpu / "core/libllmir.a").values())
            listing = checked("arm-none-eabi-size", "-A", WORK / cpu / "bin/llmir-firmware.elf")
            parts = {name: int(size) for name, size in re.findall(r"^\.(\w+)\s+(\d+)", listing, re.M)}
            code = parts["text"] + parts["rodata"] + parts["data"]
            ram = parts["data"] + parts["bss"] + parts["stack"]
            print(f"{cpu:12} {library:8} {LIBRARY_BYTES:8} {code:8} {parts['llmir']:8} {ram:8}")
            with self.subTest(cpu):
                self.assertLessEqual(library, LIBRARY_BYTES)
                self.assertGreater(library, LIBRARY_BYTES // 2)


if __name__ == "__main__":
    if missing := [tool for tool in NEEDED if shutil.which(tool) is None]:
        print(f"skipped: {', '.join(missing)} not found")
        sys.exit(77)
    unittest.main(verbosity=2)
