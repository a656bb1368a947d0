"""Bundles with code for GPUs, and chats with them: what the checks of all GPU targets share."""

import hashlib
import lzma
import os
import pathlib
import re
import shutil
import struct
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


def ptxas():
    """What llmirc takes; None: the machine has none."""
    folders = [os.environ["PATH"], os.path.join(os.environ.get("CUDA_HOME", "/nonexistent"), "bin"), "/usr/local/cuda/bin"]
    return shutil.which("ptxas", path=os.pathsep.join(folders))


# LLMIR_LZMA_LC, _LP and _PB of llmir_bundle.h.
LZMA = {"id": lzma.FILTER_LZMA1, "dict_size": 64 << 20, "lc": 0, "lp": 2, "pb": 2}


def with_other_module(bundle, name, target, level, change):
    """A copy of a bundle in which `change` was called with the module of a CODE section, a bytearray. It lies unpacked in a section at
    the end; hashes are right."""
    data = bytearray(bundle.read_bytes())
    (count,), (table,) = struct.unpack_from("<I", data, 20), struct.unpack_from("<Q", data, 32)
    for entry in range(table, table + 64 * count, 64):
        kind, found_target, found_level, _, offset, size = struct.unpack_from("<IIIIQQ", data, entry)
        if (kind, found_target, found_level) == (6, target, level):
            section = data[offset:offset + size]
            (image,) = struct.unpack_from("<Q", section, 16)
            at, length = struct.unpack_from("<II", section, image + 12)
            module = bytearray(lzma.decompress(section[image + at:image + at + length], format=lzma.FORMAT_RAW, filters=[LZMA]))
            change(module)
            section[image + at:] = module
            struct.pack_into("<Q", section, 24, at + len(module))
            struct.pack_into("<I", section, image + 16, len(module))
            struct.pack_into("<II", section, image + 24, 0, 0)
            data += bytes(-len(data) % 64)
            struct.pack_into("<QQ", data, entry + 16, len(data), len(section))
            data[entry + 32:entry + 64] = hashlib.blake2b(section, digest_size=32).digest()
            data += section
            struct.pack_into("<Q", data, 24, len(data))
            header = data[:40] + bytes(32) + data[72:128]
            data[40:72] = hashlib.blake2b(header + data[table:table + 64 * count], digest_size=32).digest()
            copy = WORK / f"{name}.llmir"
            copy.write_bytes(data)
            return copy
    raise AssertionError(f"{bundle}: no code for target {target}, level {level:#x}")


def choices(stderr):
    """Of each token of `--logprobs 2`: its id, and (log-probability, id) of the two likeliest."""
    lines = re.findall(r'^ *-?[\d.]+ (\d+) ".*"   of (.*)$', stderr, re.M)
    return [(int(token), [(float(p), int(i)) for p, i in re.findall(r'(-?[\d.]+) (\d+) "', rest)]) for token, rest in lines]


class ButForTies:
    """Sums in another order can make another choice of two tokens that are all but equally likely: their log-probabilities are within
    TIE."""

    def assert_same_but_for_ties(self, expected, found, tokens):
        """Compares what `--logprobs 2` printed of so many tokens of the processor with that of a device; False if one differs."""
        expected, found = choices(expected), choices(found)
        self.assertEqual(len(expected), tokens)
        for (token, likeliest), (other, _) in zip(expected, found):
            if token != other:  # what follows is another text
                self.assertEqual(other, likeliest[1][1])
                self.assertLess(likeliest[0][0] - likeliest[1][0], self.TIE)
                return False
        self.assertEqual(len(found), len(expected))
        return True


class SameTokens(ButForTies):
    """Greedy tokens of the processor on a device: a TestCase says how a bundle is `made` and how it is run `there`."""

    TIE = 0.001  # of stand-ins, which execute one lowering everywhere: with q4 two tokens behind the third prompt are 0.0005 apart
    PROMPTS = ("Once upon a time", "a", "The capital of France is Paris, and that of")

    def assert_same_tokens(self, bundle, *more, prompts=PROMPTS):
        for prompt in prompts:
            expected = chat(bundle, "cpu", prompt, *more)
            self.assertEqual(expected.returncode, 0, expected.stderr)
            found = self.there(bundle, prompt, *more)
            self.assertEqual(found.returncode, 0, found.stderr)
            self.assertIn(self.device_name, found.stderr)
            self.assertNotIn("fake driver:", found.stderr)
            if found.stdout != expected.stdout:  # asked again, because devices choose greedy tokens themselves, without log-probabilities
                again = (*more, "--logprobs", 2)
                asked = (chat(bundle, "cpu", prompt, *again).stderr, self.there(bundle, prompt, *again).stderr)
                self.assertFalse(self.assert_same_but_for_ties(*asked, 12), found.stdout)

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
        for kind in ("f32", "q8", "q4"):
            with self.subTest(kind=kind):
                self.assert_same_tokens(self.bundle(), "--kv", kind)

    def test_a_prompt_in_many_passes_gives_the_same(self):
        long = "once upon a time there was " * 30
        self.assertEqual(self.there(self.bundle(), long).stdout, chat(self.bundle(), "cpu", long).stdout)
