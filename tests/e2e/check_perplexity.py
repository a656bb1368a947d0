#!/usr/bin/env python3
"""llmir-perplexity beside the independent reference and, where it is installed, llama-cpp-python: within 1 %.

llama.cpp rounds activations too and may itself be further from the reference than that: then it is no measure, and
its figure is only printed.

    check_perplexity.py                      a tiny model
    check_perplexity.py NAME=FILE.gguf ...   real ones, on 20 KB of the text in data/

The reference computes in float32 over the dequantized weights; all see the same windows of 256 tokens."""

import json
import math
import sys
import unittest

import numpy as np

import e2e
import reference

CONTEXT = 256
TEXT = e2e.pathlib.Path(__file__).parent / "data" / "constitution.txt"
TEXT_BYTES = 20000
BOUND = 0.01
MODELS = []


def llama_cpp_nll(source, ids):
    """Mean negative log-likelihood by llama.cpp, or None where it is not installed."""
    try:
        import llama_cpp
    except ImportError:
        return None
    model = llama_cpp.Llama(str(source), n_ctx=CONTEXT, n_batch=CONTEXT, logits_all=True, verbose=False, n_threads=2)
    total, count = 0.0, 0
    for start in range(0, len(ids) - 1, CONTEXT):
        window = ids[start : start + CONTEXT]
        if len(window) < 2:
            break
        model.reset()
        model.eval(window)
        rows = np.asarray(model.scores[: len(window)], dtype=np.float32)
        for i in range(len(window) - 1):
            total -= reference.log_softmax(rows[i])[window[i + 1]]
            count += 1
    return total / count


class Perplexity(unittest.TestCase):
    def compare(self, name, source, bundle, text):
        text = " ".join(text.split())  # one line: llmir-tokenize reads lines
        ids = [int(word) for word in e2e.run("llmir-tokenize", bundle, "--bos", stdin=text).stdout.split()]
        result = e2e.run("llmir-perplexity", bundle, "-f", "-", "-c", CONTEXT, "--json", stdin=text)
        self.assertEqual(result.returncode, 0, result.stderr)
        found = json.loads(result.stdout)
        expected, count = reference.mean_nll(reference.Reference(source), ids, CONTEXT)
        self.assertEqual(found["tokens"], count)
        line = f"{name}: {count} tokens, perplexity {found['perplexity']:.4f}, reference {math.exp(expected):.4f}"
        peer = llama_cpp_nll(source, ids)
        if peer is not None:
            line += f", llama.cpp {math.exp(peer):.4f}"
        print(line, flush=True)
        self.assertLess(abs(found["perplexity"] / math.exp(expected) - 1), BOUND)
        if peer is not None and abs(math.exp(peer - expected) - 1) < BOUND:
            self.assertLess(abs(found["perplexity"] / math.exp(peer) - 1), BOUND)

    def test_perplexity(self):
        if not MODELS:
            bundle = e2e.tiny_bundle(name="perplexity")
            self.compare("tiny", e2e.WORK / "perplexity.gguf", bundle, TEXT.read_text()[:3000])
        for entry in MODELS:
            name, _, source = entry.partition("=")
            bundle = e2e.compile_model(source, e2e.WORK / f"perplexity-{name}.llmir")
            self.compare(name, source, bundle, TEXT.read_text()[:TEXT_BYTES])


if __name__ == "__main__":
    MODELS.extend(sys.argv[1:])
    unittest.main(argv=sys.argv[:1])
