#!/usr/bin/env python3
"""Whole models on Vulkan: the tokens of the processor, a silent validation layer, and what becomes of machines without a
driver, bundles without code and devices that compute wrongly. Runs on Mesa's lavapipe where there is no GPU."""

import hashlib
import os
import re
import struct
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gpu_models import WORK, ButForTies, SameTokens, chat, make_bundle, run  # noqa: E402

REAL_PROMPTS = ("The capital of France is", "Once upon a time", "def fibonacci(n):", "Water boils at",
                "The three primary colours are", "1, 2, 3, 4,", "Dear Sir or Madam,", "The opposite of hot is")
VALIDATION = {"VK_INSTANCE_LAYERS": "VK_LAYER_KHRONOS_validation"}
NO_DRIVER = {"VK_DRIVER_FILES": "/nonexistent.json", "VK_ICD_FILENAMES": "/nonexistent.json"}
CODE, VULKAN = 6, 2


def make_vulkan_bundle(name, *options, target="cpu:none,vulkan", **more):
    return make_bundle(name, *options, target=target, **more)


def has_device():
    result = chat(BUNDLE, "vulkan", tokens=1)
    return result.returncode == 0 or "fits" not in result.stderr and "loader" not in result.stderr


class Sections:
    """A bundle whose sections can be changed; hashes are made anew."""

    def __init__(self, path):
        self.data = bytearray(path.read_bytes())
        (self.count,) = struct.unpack_from("<I", self.data, 20)
        (self.table,) = struct.unpack_from("<Q", self.data, 32)

    def code(self):
        """(entry of the section table, offset, bytes) of the sections with Vulkan code."""
        for i in range(self.count):
            entry = self.table + 64 * i
            kind, target, _, _, offset, size = struct.unpack_from("<IIIIQQ", self.data, entry)
            if kind == CODE and target == VULKAN:
                yield entry, offset, size

    def write(self, path):
        for entry, offset, size in self.code():
            self.data[entry + 32:entry + 64] = hashlib.blake2b(self.data[offset:offset + size], digest_size=32).digest()
        self.data[40:72] = bytes(32)
        root = self.data[:128] + self.data[self.table:self.table + 64 * self.count]
        self.data[40:72] = hashlib.blake2b(root, digest_size=32).digest()
        path.write_bytes(self.data)
        return path


class Vulkan(SameTokens, unittest.TestCase):
    device_name = "vulkan: "
    TIE = 0.01  # drivers round in other places: Mesa 26.2 exchanges two that are 0.0027 apart

    def bundle(self):
        return BUNDLE

    def made(self, name, *options, **more):
        return make_vulkan_bundle(name, *options, **more)

    def there(self, bundle, prompt, *more):
        return chat(bundle, "vulkan", prompt, *more)

    def test_validation_layer_is_silent(self):
        result = chat(BUNDLE, "vulkan", environment=VALIDATION)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotRegex(result.stdout + result.stderr, r"(?i)validation|VUID")

    def test_cooperative_matrices_give_the_same(self):
        long = "once upon a time there was " * 10
        for name, kind, options in (("matrices", "Q4_1", ()), ("matrices_int16", "Q4_0", ("--activations", "int16"))):
            bundle = make_bundle(name, *options, kind=kind, target="cpu:none,vulkan:all")
            found = chat(bundle, "vulkan", long, environment=VALIDATION)
            self.assertEqual(found.returncode, 0, found.stderr)
            if "with matrices" not in found.stderr:
                self.skipTest("the device has no cooperative matrices in a shape that code is for")
            self.assertEqual(found.stdout, chat(bundle, "cpu", long).stdout)
            self.assertNotRegex(found.stdout + found.stderr, r"(?i)validation|VUID")

    def test_a_part_of_the_name_chooses_the_device(self):
        name = re.search(r"vulkan: (\w+)", chat(BUNDLE, "vulkan").stderr).group(1)
        self.assertIn(f"vulkan: {name}", chat(BUNDLE, name).stderr)
        result = chat(BUNDLE, "no-such-device")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no-such-device", result.stderr)

    def test_bundle_without_code(self):
        bundle = make_bundle("plain", target="cpu:none")
        result = chat(bundle, "vulkan")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no code for this device", result.stderr)
        self.assertEqual(chat(bundle, "auto").returncode, 0)

    def test_code_of_another_plan_is_refused(self):
        sections = Sections(BUNDLE)
        for _, offset, _ in sections.code():
            sections.data[offset + 32] ^= 1  # plan_hash
        result = chat(sections.write(WORK / "other.llmir"), "vulkan")
        self.assertEqual(result.returncode, 1)
        self.assertIn("another plan", result.stderr)

    def test_a_device_that_computes_wrongly_fails_its_self_test(self):
        sections = Sections(BUNDLE)
        for _, offset, _ in sections.code():
            (image,) = struct.unpack_from("<Q", sections.data, offset + 16)
            functions = offset + image + 32
            (count,) = struct.unpack_from("<I", sections.data, offset + image + 4)
            for i in range(count):  # matrix products leave out half of their panels
                (rows,) = struct.unpack_from("<I", sections.data, functions + 32 * i + 16)
                if rows:
                    struct.pack_into("<I", sections.data, functions + 32 * i + 16, 2 * rows)
        result = chat(sections.write(WORK / "wrong.llmir"), "vulkan")
        self.assertEqual(result.returncode, 1)
        self.assertIn("self-test failed", result.stderr)


class RealModel(ButForTies):
    """A model whose file an environment variable names."""

    TIE = 0.05

    def test_tokens_are_those_of_the_processor(self):
        bundle = WORK / f"{type(self).__name__}.llmir"
        made = run(os.environ["LLMIRC"], os.environ[self.variable], "-o", bundle, "--quiet", "--target", "cpu,vulkan")
        self.assertEqual(made.returncode, 0, made.stderr)
        for prompt in REAL_PROMPTS:
            with self.subTest(prompt=prompt):
                expected, found = (chat(bundle, device, prompt, "--context", 1024, "--logprobs", 2, tokens=16) for device in ("cpu", "vulkan"))
                self.assertEqual(found.returncode, 0, found.stderr)
                print(f"{prompt}{found.stdout.rstrip()}  [{found.stderr.splitlines()[-2]}]", flush=True)
                self.assert_same_but_for_ties(expected.stderr, found.stderr, 16)


class SmolLM2(RealModel, unittest.TestCase):
    variable = "LLMIR_SMOLLM2_GGUF"


class Gemma3(RealModel, unittest.TestCase):
    variable = "LLMIR_GEMMA3_GGUF"


REAL_MODELS = ("SmolLM2", "Gemma3")


class WithoutDevice(unittest.TestCase):
    def test_auto_runs_on_the_processor_and_tells_why(self):
        result = chat(BUNDLE, "auto", environment=NO_DRIVER)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr, r"vulkan is not used: vulkan: ")
        self.assertEqual(result.stdout, chat(BUNDLE, "cpu").stdout)

    def test_the_device_that_was_asked_for_is_missed(self):
        result = chat(BUNDLE, "vulkan", environment=NO_DRIVER)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"llmir-chat: error: .*vulkan: ")


if __name__ == "__main__":
    WORK.mkdir(parents=True, exist_ok=True)
    BUNDLE = make_vulkan_bundle("llama")
    is_there = has_device()
    if not is_there:
        print("no Vulkan device: the tests that need one are left out")
        del Vulkan
    for name in REAL_MODELS:
        if name not in sys.argv[1:]:
            del globals()[name]
        elif not is_there or not os.path.isfile(os.environ.get(globals()[name].variable, "")):
            sys.exit(77)
    unittest.main()
