#!/usr/bin/env python3
"""What storing keys and values in fewer bits costs: the perplexity of each --kv beside that of f16.

    check_kv.py NAME=FILE.gguf ...

Weights are f16, so that the rounding of activations, which any change to their inputs throws about, does not hide
the effect. A byte of memory announced is a byte taken: that is tests/unit/test_pool.c."""

import json
import sys
import unittest

import e2e

TEXT = e2e.pathlib.Path(__file__).parent / "data" / "constitution.txt"
CONTEXT = 512
# Scores of Gemma 3 are products of longer vectors than those of other models, so errors of keys weigh more.
BOUNDS = {"smollm2": {"q8": 0.001, "q4": 0.015}, "gemma3": {"q8": 0.005, "q4": 0.03}}
MODELS = []


class Storage(unittest.TestCase):
    def perplexity(self, bundle, kv):
        result = e2e.run("llmir-perplexity", bundle, "-f", TEXT, "-c", CONTEXT, "--kv", kv, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["perplexity"]

    def test_perplexity_hardly_changes(self):
        for entry in MODELS:
            name, _, source = entry.partition("=")
            bundle = e2e.compile_model(source, e2e.WORK / f"kv-{name}.llmir", "--quantize", "f16")
            try:
                exact = self.perplexity(bundle, "f16")
                for kv, bound in BOUNDS[name].items():
                    change = self.perplexity(bundle, kv) / exact - 1
                    print(f"{name}: --kv {kv}: {exact:.4f}, {change:+.3%}, at most {bound:.1%}", flush=True)
                    with self.subTest(name=name, kv=kv):
                        self.assertLess(change, bound)
            finally:
                bundle.unlink()


if __name__ == "__main__":
    MODELS.extend(sys.argv[1:])
    unittest.main(argv=sys.argv[:1])
