#!/usr/bin/env python3
"""The same model gives the same bundle, byte by byte: in other folders, time zones and languages, on other numbers of cores, and by
another build of the same llmirc, where LLMIR_OTHER_LLMIRC names it."""

import os
import pathlib
import shutil
import subprocess
import unittest

import e2e
import make_tiny_gguf


class Reproducible(unittest.TestCase):
    def compile_in(self, name, prefix=(), llmirc=e2e.BIN / "llmirc", **environment):
        folder = e2e.WORK / "folder with spaces" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make_tiny_gguf.write(folder / "tiny.gguf", "qwen3", "Q4_1")
        command = [*prefix, llmirc, "tiny.gguf", "-o", f"{name}.llmir", "--quiet"]
        subprocess.run(command, check=True, cwd=folder, env={**os.environ, **environment})
        return pathlib.Path(folder / f"{name}.llmir").read_bytes()

    def test_bundle(self):
        first = self.compile_in("first")
        self.assertEqual(first, self.compile_in("second", TZ="Asia/Tokyo", LC_ALL="C", HOME="/nowhere", SOURCE_DATE_EPOCH="1"))
        one_core = ("taskset", "-c", "0") if shutil.which("taskset") else ()
        self.assertEqual(first, self.compile_in("third", one_core))

    def test_bundle_of_another_build(self):
        other = os.environ.get("LLMIR_OTHER_LLMIRC")
        if not other:
            self.skipTest("LLMIR_OTHER_LLMIRC names no compiler")
        self.assertEqual(self.compile_in("ours"), self.compile_in("theirs", llmirc=other))


if __name__ == "__main__":
    unittest.main()
