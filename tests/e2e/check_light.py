#!/usr/bin/env python3
"""What an application pays: sizes of program and library, time to the first token, memory, time to compile.

The bounds are those of the project; times of a busy machine get room, and all figures are printed."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import e2e

MIB = 1 << 20
CHAT_BYTES = 1 << 20
LIBRARY_BYTES = 400 << 10
FIRST_TOKEN_MS = 150
COMPILE_SECONDS = 30
SPARE_BYTES = 4 * MIB
TWENTY_TOKENS = "Once upon a time there was a small dog who lived in a house by the sea and liked to run"


class Sizes(unittest.TestCase):
    def test_chat_stripped(self):
        with tempfile.TemporaryDirectory() as folder:
            stripped = os.path.join(folder, "llmir-chat")
            subprocess.run(["strip", "-o", stripped, e2e.BIN / "llmir-chat"], check=True)
            size = os.path.getsize(stripped)
        print(f"llmir-chat, stripped: {size} bytes of {CHAT_BYTES}")
        self.assertLessEqual(size, CHAT_BYTES)

    def test_library_code_and_constants(self):
        """All members of the archive, every ISA level among them."""
        listing = subprocess.run(["size", "-A", os.environ["LLMIR_LIBRARY"]], capture_output=True, text=True, check=True).stdout
        total = 0
        for name, size in re.findall(r"^(\.\S+)\s+(\d+)", listing, re.M):
            total += int(size) if name.startswith((".text", ".rodata", ".data.rel.ro")) else 0
        print(f"library, code and constants: {total} bytes of {LIBRARY_BYTES}")
        self.assertGreater(total, 0)
        self.assertLessEqual(total, LIBRARY_BYTES)


class SmolLM2(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        source = e2e.smollm2()
        begin = time.monotonic()
        cls.bundle = e2e.compile_model(source, e2e.WORK / "light.llmir")
        cls.compile_seconds = time.monotonic() - begin

    @classmethod
    def tearDownClass(cls):
        cls.bundle.unlink()

    def test_compile_time(self):
        print(f"SmolLM2 compiled in {self.compile_seconds:.1f} s of {COMPILE_SECONDS}")
        self.assertLess(self.compile_seconds, COMPILE_SECONDS)

    def test_first_token_from_process_start(self):
        """Median of seven, from before the process exists to its first byte of text."""
        program = shutil.which(str(e2e.BIN / "llmir-chat"))
        times = []
        for _ in range(8):
            begin = time.monotonic()
            command = [program, str(self.bundle), "-p", TWENTY_TOKENS, "--raw", "--greedy", "-n", "4"]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                self.assertTrue(process.stdout.read(1))
                times.append((time.monotonic() - begin) * 1e3)
                process.communicate()
            self.assertEqual(process.returncode, 0)
        median = sorted(times[1:])[3]
        print(f"first token after {median:.1f} ms of {FIRST_TOKEN_MS}")
        self.assertLess(median, FIRST_TOKEN_MS)

    def test_memory_is_what_was_announced(self):
        """Peak RSS of a chat: at most the bundle, the arena that llmir-bench announces for the same context, 4 MiB."""
        context = 512
        report = json.loads(
            e2e.run("llmir-bench", self.bundle, "-p", context, "-n", 0, "-r", 1, "--no-roofline", "--json").stdout
        )
        chat = e2e.run("llmir-chat", self.bundle, "-p", TWENTY_TOKENS, "--raw", "--greedy", "-n", 40, "--context", context, "--stats")
        peak = float(re.search(r"peak memory ([\d.]+) MiB", chat.stderr).group(1)) * MIB
        bound = self.bundle.stat().st_size + report["arena_bytes"] + SPARE_BYTES
        print(f"peak memory {peak / MIB:.1f} MiB of {bound / MIB:.1f}")
        self.assertLess(peak, bound)

    def test_conversation_in_english(self):
        answer = e2e.run("llmir-chat", self.bundle, "-p", "What is the capital of France?", "--greedy", "-n", 60)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("Paris", answer.stdout)


if __name__ == "__main__":
    unittest.main()
