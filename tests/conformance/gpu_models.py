"""Bundles with code for GPUs, and chats with them: what the checks of all GPU targets share."""

import os
import pathlib
import subprocess
import sys

E2E = pathlib.Path(__file__).parent.parent / "e2e"
BIN = pathlib.Path(os.environ["LLMIR_BIN"])
WORK = pathlib.Path(os.environ["LLMIR_WORK"])
NO_FOLDER = "/dev/null/none"  # what one run found out must not spare it another one


def run(*command, environment=None):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          env=dict(os.environ, **{"XDG_CACHE_HOME": NO_FOLDER, **(environment or {})}), timeout=300)


def make_bundle(name, *options, arch="llama", kind="Q4_1", target):
    model, bundle = WORK / f"{name}.gguf", WORK / f"{name}.llmir"
    subprocess.run([sys.executable, E2E / "make_tiny_gguf.py", model, "--arch", arch, "--type", kind], check=True)
    made = run(os.environ["LLMIRC"], model, "-o", bundle, "--quiet", "--target", target, *options)
    assert made.returncode == 0, made.stderr
    return bundle


def chat(bundle, device, prompt="Once upon a time", *more, environment=None, tokens=12):
    return run(BIN / "llmir-chat", bundle, "--device", device, "--raw", "--greedy", "-p", prompt, "-n", tokens, "--stats",
               *more, environment=environment)


class SameTokens:
    """Greedy tokens of the processor on a device: a TestCase says how a bundle is `made` and how it is run `there`."""

    PROMPTS = ("Once upon a time", "a", "The capital of France is Paris, and that of")

    def assert_same_tokens(self, bundle, *more, prompts=PROMPTS):
        for prompt in prompts:
            expected = chat(bundle, "cpu", prompt, *more)
            self.assertEqual(expected.returncode, 0, expected.stderr)
            found = self.there(bundle, prompt, *more)
            self.assertEqual(found.returncode, 0, found.stderr)
            self.assertIn(self.device_name, found.stderr)
            self.assertNotIn("fake driver:", found.stderr)
            self.assertEqual(found.stdout, expected.stdout)

    def test_tokens_are_those_of_the_processor(self):
        self.assert_same_tokens(self.bundle())

    def test_other_weights(self):
        for name, kind, options in (("s4", "Q4_0", ()), ("s8", "Q8_0", ()), ("f16", "F16", ()),
                                    ("int16", "Q4_1", ("--activations", "int16"))):
            with self.subTest(name=name):
                self.assert_same_tokens(self.made(name, *options, kind=kind))

    def test_other_architectures(self):
        for arch in ("gemma3", "qwen3"):
            with self.subTest(arch=arch):
                self.assert_same_tokens(self.made(arch, arch=arch, kind="Q8_0"))

    def test_split_with_the_processor(self):
        """Some layers on the device, among them such with windows and without; `--stats` says so."""
        for bundle, all_layers, some in ((self.bundle(), 2, (1, 2)), (self.made("gemma3", arch="gemma3", kind="Q8_0"), 7, (1, 4, 7))):
            expected = chat(bundle, "cpu").stdout
            for layers in some:
                with self.subTest(layers=f"{layers} of {all_layers}"):
                    found = self.there(bundle, self.PROMPTS[0], "--gpu-layers", layers)
                    self.assertEqual(found.returncode, 0, found.stderr)
                    self.assertRegex(found.stderr, rf"{self.device_name}.* \({layers} of {all_layers} layers\), cpu")
                    self.assertIn(f"{layers} of {all_layers} layers, as asked for", found.stderr)
                    self.assertNotIn("fake driver:", found.stderr)
                    self.assertEqual(found.stdout, expected)

    def test_other_caches(self):
        # With q4 the first two tokens behind the third prompt are 0.0005 apart: less than rounding makes.
        for kind, prompts in (("f32", self.PROMPTS), ("q8", self.PROMPTS), ("q4", self.PROMPTS[:2])):
            with self.subTest(kind=kind):
                self.assert_same_tokens(self.bundle(), "--kv", kind, prompts=prompts)

    def test_a_prompt_in_many_passes_gives_the_same(self):
        long = "once upon a time there was " * 30
        self.assertEqual(self.there(self.bundle(), long).stdout, chat(self.bundle(), "cpu", long).stdout)
