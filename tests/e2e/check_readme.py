#!/usr/bin/env python3
"""The C example of the README compiles without a warning and runs; its commands name files that exist."""

import os
import pathlib
import re
import shlex
import subprocess
import unittest

import e2e

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


class Readme(unittest.TestCase):
    def test_example_compiles_and_runs(self):
        examples = re.findall(r"```c\n(.*?)```", README, re.S)
        self.assertEqual(len(examples), 1)
        self.assertLessEqual(len(examples[0].splitlines()), 24)
        folder = e2e.WORK
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "example.c").write_text(examples[0])
        compiler = shlex.split(os.environ.get("LLMIR_CC", "cc"))
        subprocess.run(
            [*compiler, "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", ROOT / "core" / "include", "example.c", "-o", "example",
             os.environ["LLMIR_LIBRARY"], "-lm", "-lpthread"],
            cwd=folder, check=True,
        )
        e2e.tiny_bundle(name="model")
        # The tiny model never ends its turn by itself: what the example prints is read, then the reader goes.
        with subprocess.Popen(["./example"], cwd=folder, stdout=subprocess.PIPE) as process:
            self.assertEqual(len(process.stdout.read(16)), 16)
            process.stdout.close()
            process.wait(60)

    def test_files_that_it_names_exist(self):
        for path in re.findall(r"(?:sh |`)((?:examples|tests|docs)/[\w./]+)", README):
            self.assertTrue((ROOT / path).exists(), path)


if __name__ == "__main__":
    unittest.main()
