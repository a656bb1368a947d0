#!/usr/bin/env python3
"""The GGUF front end as a user meets it: versions, split files, every type of tensor, and what an unknown part of a
file leads to.

Values themselves are compared by test_weights (bit by bit with gguf's dequantizer) and check_accuracy.py (whole
models); here it is shown that the container makes no difference, and that llmirc says what it changed."""

import json
import struct
import unittest

import numpy

import check_accuracy
import e2e
import make_tiny_gguf
import reference

# What becomes of each type: the layout, and the largest relative error; None: taken over value by value.
LAYOUTS = {
    "F32": ("F32", None), "F16": ("F16", None), "BF16": ("BF16", None),
    "Q4_0": ("S4 group 32", None), "Q4_1": ("U4 group 32", None), "Q8_0": ("S8 group 32", None),
    "Q4_K": ("U4 group 32", 1e-3), "Q5_0": ("S8 group 32", None), "Q5_1": ("S8 group 32", 0.01),
    "Q2_K": ("S8 group 32", 0.01), "Q3_K": ("S8 group 32", 0.01), "Q5_K": ("S8 group 32", 0.01),
    "Q6_K": ("S8 group 32", 0.01),
}


def sections(bundle):
    """(kind, level) -> hash of all sections but the report, which names the source."""
    report = json.loads(e2e.run("llmir-inspect", bundle, "--json").stdout)
    return {(s["kind"], s["level"]): s["hash"] for s in report["sections"] if s["kind"] != "report"}


class Containers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        e2e.WORK.mkdir(parents=True, exist_ok=True)
        cls.source = make_tiny_gguf.write(e2e.WORK / "gguf.gguf", "llama3", "Q4_1")
        cls.expected = sections(e2e.compile_model(cls.source, e2e.WORK / "gguf.llmir", "--target", "cpu:v3"))

    def assert_same_bundle(self, source):
        out = e2e.compile_model(source, e2e.WORK / "gguf-other.llmir", "--target", "cpu:v3")
        self.assertEqual(sections(out), self.expected)

    def test_version_2_gives_the_same_bundle(self):
        data = bytearray(self.source.read_bytes())
        self.assertEqual(struct.unpack_from("<I", data, 4), (3,))
        struct.pack_into("<I", data, 4, 2)
        path = e2e.WORK / "gguf-v2.gguf"
        path.write_bytes(data)
        self.assert_same_bundle(path)

    def test_split_files_give_the_same_bundle_from_any_part(self):
        folder = e2e.WORK / "split"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        make_tiny_gguf.write(folder / "gguf.gguf", "llama3", "Q4_1", split=5)
        parts = sorted(folder.glob("*.gguf"))
        self.assertGreater(len(parts), 3)
        self.assert_same_bundle(parts[0])
        self.assert_same_bundle(parts[2])
        parts[1].unlink()
        result = e2e.run("llmirc", parts[0], "-o", e2e.WORK / "gguf-none.llmir")
        self.assertEqual(result.returncode, 1)
        self.assertIn(parts[1].name, result.stderr)


class Types(unittest.TestCase):
    def test_the_summary_tells_what_became_of_every_type(self):
        self.assertEqual(set(LAYOUTS), set(make_tiny_gguf.ENCODINGS))
        for kind, (layout, bound) in LAYOUTS.items():
            with self.subTest(kind=kind):
                source = make_tiny_gguf.write(e2e.WORK / "gguf-type.gguf", "llama", kind)
                out = e2e.WORK / "gguf-type.llmir"
                result = e2e.run("llmirc", source, "-o", out, "--target", "cpu:none")
                self.assertEqual(result.returncode, 0, result.stderr)
                line = next(l for l in result.stderr.splitlines() if l.split()[:2] == [kind, "to"] and " 15 tensors" in l)
                self.assertIn(f"to {layout} ", line)
                self.assertIn("value by value" if bound is None else "relative error", line)
                report = json.loads(e2e.run("llmir-inspect", out, "--json").stdout)["report"]
                found = next(c for c in report["conversions"] if c["from"] == kind and c["tensors"] == 15)
                if bound is None:
                    self.assertEqual(found["relative_error"], 0)
                else:
                    self.assertTrue(0 < found["relative_error"] <= bound, found)


class Policies(unittest.TestCase):
    """--quantize: layouts that the user asks for instead of the file's, against the reference over the file's values."""

    # Median and worst difference of log-probabilities: relative errors of 2e-4, 5e-3 and 8e-2 in some ten products.
    BOUNDS = {"f32": (1e-4, 1e-3), "f16": (2e-3, 0.01), "q8": (0.03, 0.2), "q4": (0.4, 2.0)}

    def test_every_policy_is_as_close_as_its_bits(self):
        ids = [7 * i % 300 + 3 for i in range(64)]
        medians = []
        for shape, kind in (("llama", "F32"), ("gemma3", "Q6_K")):
            source = make_tiny_gguf.write(e2e.WORK / "gguf-policy.gguf", shape, kind)
            expected = reference.Reference(source).logits(ids)
            for policy, (median, worst) in self.BOUNDS.items():
                with self.subTest(shape=shape, policy=policy):
                    out = e2e.compile_model(source, e2e.WORK / "gguf-policy.llmir", "--target", "cpu:none", "--quantize",
                                            policy, "--activations", "int16")
                    values = check_accuracy.differences(expected, check_accuracy.dump(out, ids, "--kv", 1), ids)
                    medians.append(float(numpy.median(values)))
                    print(f"{shape} {kind} as {policy}: median {medians[-1]:.6f}, worst {max(values):.5f}")
                    self.assertLessEqual(medians[-1], median)
                    self.assertLessEqual(max(values), worst)
                    if policy != "f32":  # fewer bits lose more: the option has an effect
                        self.assertGreater(medians[-1], medians[-2])


class Groups(unittest.TestCase):
    """--group: columns that share a scale, in a whole model with code of its own."""

    # Bounds as in Policies; inputs of 8 bits add to what q8 loses.
    CASES = (("q8", 256, "s8", check_accuracy.INTEGER_BOUND), ("q4", 128, "u4", Policies.BOUNDS["q4"]))

    def test_wider_groups_run_and_are_as_close_as_their_bits(self):
        ids = [7 * i % 300 + 3 for i in range(64)]
        source = make_tiny_gguf.write(e2e.WORK / "gguf-group.gguf", "llama3", "F32")
        expected = reference.Reference(source).logits(ids)
        for policy, group, layout, bound in self.CASES:
            with self.subTest(policy=policy, group=group):
                error = self.relative_error(self.compile(source, "cpu:none", policy), policy, 32, layout)
                out = self.compile(source, check_accuracy.target_of("types", "integer"), policy, "--group", group)
                self.assertGreater(self.relative_error(out, policy, group, layout), error)  # fewer scales lose more
                label = f"llama3 F32 as {policy} group {group}"
                values = check_accuracy.differences(expected, check_accuracy.dump(out, ids), ids)
                check_accuracy.check_bound(label, values, bound)
                check_accuracy.check_same_bits(label, out, ids, 64)

    def compile(self, source, target, policy, *options):
        return e2e.compile_model(source, e2e.WORK / "gguf-group.llmir", "--target", target, "--quantize", policy, *options)

    def relative_error(self, bundle, policy, group, layout):
        """What the layout loses, after a look at the group of every matrix and at what the report says."""
        found = json.loads(e2e.run("llmir-inspect", bundle, "--json").stdout)
        self.assertEqual((found["report"]["options"]["quantize"], found["report"]["options"]["group"]), (policy, group))
        matrices = [t for t in found["tensors"] if len(t["shape"]) == 2]
        self.assertEqual({t["layout"] for t in matrices}, {f"panel_{layout}", "panel_s8"})
        self.assertEqual({t["group"] for t in matrices}, {group})
        # Merged as with groups of 32.
        self.assertLessEqual({"blk.0.attn_qkv.weight", "blk.0.ffn_gate_up.weight"}, {t["name"] for t in matrices})
        name = f"{layout.upper()} group {group}"
        return next(c for c in found["report"]["conversions"] if c["to"] == name)["relative_error"]


class Unknown(unittest.TestCase):
    """Parts of a file that the front end does not know: the message names them and lists what it knows."""

    @classmethod
    def setUpClass(cls):
        e2e.WORK.mkdir(parents=True, exist_ok=True)
        cls.data = make_tiny_gguf.write(e2e.WORK / "gguf-base.gguf", "llama", "Q8_0").read_bytes()

    def assert_fails(self, data, *fragments):
        path, out = e2e.WORK / "gguf-unknown.gguf", e2e.WORK / "gguf-unknown.llmir"
        path.write_bytes(data)
        result = e2e.run("llmirc", path, "-o", out)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertFalse(out.exists())
        for fragment in ("gguf-unknown.gguf", *fragments):
            self.assertIn(fragment, result.stderr)

    def replaced(self, after, old, new):
        """The file with `old`, the first after `after`, exchanged for bytes of the same length."""
        at = self.data.index(old, self.data.index(after))
        return self.data[:at] + new + self.data[at + len(old) :]

    def test_architecture(self):
        data = self.replaced(b"general.architecture", b"llama", b"mamba")
        self.assert_fails(data, "'general.architecture'", "'mamba'", "gemma3, llama, qwen2, qwen3")

    def test_tensor(self):
        data = self.replaced(b"blk.1.", b"blk.1.ffn_up.weight", b"blk.1.ffn_uq.weight")
        self.assert_fails(data, "'blk.1.ffn_uq.weight'", "unknown in a llama model of 2 layers", "blk.0.ffn_up.weight")

    def test_tensor_type(self):
        name = b"blk.0.ffn_up.weight"
        at = self.data.index(name) + len(name) + 4 + 2 * 8  # behind the rank and two dimensions
        self.assertEqual(struct.unpack_from("<I", self.data, at), (8,))
        data = self.data[:at] + struct.pack("<I", 20) + self.data[at + 4 :]
        self.assert_fails(data, "'blk.0.ffn_up.weight'", "IQ4_NL (20)", *make_tiny_gguf.ENCODINGS)

    def test_pre_tokenizer(self):
        data = self.replaced(b"tokenizer.ggml.pre", b"smollm", b"sm@llm")
        self.assert_fails(data, "pre-tokenizer 'sm@llm' is not known", "llama-bpe", "qwen2", "smollm")

    def test_chat_template(self):
        data = self.replaced(b"tokenizer.chat_template", b"message['content']", b"message.content|e ")
        self.assert_fails(data, "chat template of the model: it cannot be lowered", "--chat-template NAME|FILE")


if __name__ == "__main__":
    unittest.main()
