#!/usr/bin/env python3
"""The contract of the commands: options, exit codes, what goes to which stream, the keys of --json.

Every failure is one line "PROGRAM: error: ..." on standard error and exit code 1; wrong usage is exit code 2."""

import json
import re
import signal
import subprocess
import unittest

import e2e

PROGRAMS = ("llmir-chat", "llmir-bench", "llmir-inspect", "llmir-many", "llmir-perplexity", "llmir-tokenize")
TEXT = "the cat sat on the mat and the dog ran after the cat in the garden of the house\n" * 4


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = e2e.tiny_bundle(name="commands")
        cls.text = e2e.WORK / "commands.txt"
        cls.text.write_text(TEXT)
        cls.noise = e2e.WORK / "commands.noise"
        cls.noise.write_bytes(b"no bundle at all" * 100)

    def done(self, program, *arguments, **options):
        result = e2e.run(program, *arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def fails(self, code, fragment, program, *arguments, **options):
        result = e2e.run(program, *arguments, **options)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertTrue(result.stderr.startswith(f"{program}: error: "), result.stderr)
        self.assertIn(fragment, result.stderr)
        if code == 1:
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    # ---- All programs ----

    def test_help_is_on_standard_output(self):
        for program in PROGRAMS:
            result = self.done(program, "--help")
            self.assertIn(f"usage: {program} BUNDLE", result.stdout)
            self.assertEqual(result.stderr, "")

    def test_no_bundle_and_unknown_options_are_wrong_usage(self):
        for program in PROGRAMS:
            self.assertEqual(e2e.run(program).returncode, 2)
            self.fails(2, "--colour", program, self.bundle, "--colour")

    def test_missing_and_foreign_files_fail_by_name(self):
        for program in PROGRAMS:
            extra = ("-f", self.text) if program == "llmir-perplexity" else ()
            self.fails(1, "absent.llmir", program, e2e.WORK / "absent.llmir", *extra)
            self.fails(1, "commands.noise", program, self.noise, *extra)

    def test_many_requests_are_answered_as_alone(self):
        result = self.done("llmir-many", self.bundle, "--requests", "12", "--clients", "5", "-b", "3", "-n", "12", "--check", "--stats")
        self.assertEqual(len(re.findall(r"^--- \d+: ", result.stdout, re.M)), 12)
        self.assertRegex(result.stderr, r"^12 requests in .* s: \d+ tokens .*, [1-3]\.\d sequences a pass")

    def test_numbers_out_of_range_are_wrong_usage(self):
        for option in ("-n", "--threads", "--top-k", "--context", "--seed"):
            self.fails(2, option, "llmir-chat", self.bundle, "-p", "x", option, "many")
            self.fails(2, option, "llmir-chat", self.bundle, "-p", "x", option, "-1")
        for option in ("--temperature", "--top-p", "--min-p"):
            self.fails(2, option, "llmir-chat", self.bundle, "-p", "x", option, "warm")
        self.fails(2, "needs a value", "llmir-chat", self.bundle, "-p")

    def test_full_disk_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            command = [str(e2e.BIN / "llmir-chat"), str(self.bundle), "-p", "the", "--raw", "--greedy", "-n", "4"]
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("llmir-chat: error: cannot write standard output", result.stderr)

    # ---- llmir-chat ----

    def chat(self, *arguments, **options):
        return self.done("llmir-chat", self.bundle, *arguments, **options)

    def test_chat_greedy_raw_prints_the_generated_text_alone(self):
        result = self.chat("-p", "the cat", "--raw", "--greedy", "-n", 12)
        self.assertEqual(result.stderr, "")
        self.assertTrue(result.stdout)
        again = self.chat("-p", "the cat", "--raw", "--greedy", "-n", 12, "--threads", 1, "--context", 64)
        self.assertEqual(result.stdout, again.stdout)

    def test_chat_seeds_repeat_and_differ(self):
        texts = [self.chat("-p", "the", "--temperature", 1.5, "--seed", seed, "-n", 24).stdout for seed in (1, 1, 2)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_chat_json_schema_and_grammar(self):
        schema = e2e.WORK / "commands.schema"
        schema.write_text('{"properties": {"n": {"type": "integer"}, "s": {"type": "string", "maxLength": 8}}, "required": ["n", "s"]}')
        for seed in range(4):
            answer = json.loads(self.chat("-p", "the", "--temperature", 1, "--seed", seed, "--json-schema", schema).stdout)
            self.assertEqual(list(answer), ["n", "s"])
            self.assertIsInstance(answer["n"], int)
        grammar = e2e.WORK / "commands.gbnf"
        grammar.write_text('root ::= ("red" | "green"){3}')
        self.assertRegex(self.chat("-p", "the", "--grammar", grammar).stdout, r"^(red|green){3}\n$")
        grammar.write_text('root ::= "red\n')
        self.fails(1, "line 1, column", "llmir-chat", self.bundle, "-p", "x", "--grammar", grammar)
        self.fails(1, "absent", "llmir-chat", self.bundle, "-p", "x", "--grammar", e2e.WORK / "absent")
        self.fails(2, "one of them", "llmir-chat", self.bundle, "-p", "x", "--grammar", grammar, "--json-schema", schema)

    def test_chat_statistics_go_to_standard_error(self):
        result = self.chat("-p", "the", "--greedy", "-n", 4, "--stats")
        self.assertRegex(result.stderr, r"prompt \d+ tokens, [\d.]+ tokens/s; answer 4 tokens")
        self.assertRegex(result.stderr, r"load [\d.]+ ms, first token after [\d.]+ ms, peak memory [\d.]+ MiB, cpu, (bundle|built-in) ")

    def test_chat_reads_a_conversation_from_a_pipe(self):
        result = self.chat("--greedy", "-n", 5, "-s", "you are helpful", stdin="the cat\n/stats\n/reset\nthe dog\n/quit\nnever\n")
        self.assertEqual(len(result.stdout.rstrip("\n").split("\n")), 2, result.stdout)
        self.assertIn("position", result.stderr)
        self.assertIn("forgotten", result.stderr)

    def test_chat_turns_add_up_to_one_conversation(self):
        one = self.chat("--greedy", "-n", 6, "--stats", stdin="the cat\nand the dog\n")
        positions = [int(n) for n in re.findall(r"position (\d+)", one.stderr)]
        self.assertEqual(len(positions), 2)
        self.assertGreater(positions[1], positions[0])

    def test_chat_odd_prompts(self):
        for prompt in ("\ufeff", "\u0000".join(["x"]), "\udcff\udcfe".encode("utf-8", "surrogateescape").decode("latin-1"), "a" * 1500):
            self.chat("-p", prompt, "--greedy", "-n", 2)
        self.fails(1, "empty", "llmir-chat", self.bundle, "-p", "", "--raw", "-n", 2)

    def test_chat_prompt_of_a_megabyte_fails_clearly(self):
        result = e2e.run("llmir-chat", self.bundle, "--greedy", "-n", 2, stdin="a b " * 262144 + "\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("tokens at position 0, the session's context has 2048", result.stderr)

    def test_chat_without_a_template_says_what_to_do(self):
        bundle = e2e.compile_model(e2e.WORK / "commands.gguf", e2e.WORK / "commands-raw.llmir", "--chat-template", "none", "--target", "cpu:none")
        self.fails(1, "--chat-template", "llmir-chat", bundle, "-p", "x", "-n", 1)
        self.assertTrue(self.done("llmir-chat", bundle, "-p", "the", "--raw", "--greedy", "-n", 8).stdout)

    def test_chat_prompt_beyond_the_context_fails(self):
        self.fails(1, "the session's context has 16", "llmir-chat", self.bundle, "-p", "the cat " * 40, "--context", 16, "--raw")

    def test_chat_context_of_one_token(self):
        result = self.chat("-p", "t", "--raw", "--greedy", "--context", 1)
        self.assertIn("context is full", result.stderr)

    def test_chat_unknown_device_is_named(self):
        self.fails(1, "abacus", "llmir-chat", self.bundle, "-p", "x", "--device", "abacus")

    def test_chat_ends_quietly_when_the_reader_goes(self):
        command = [str(e2e.BIN / "llmir-chat"), str(self.bundle), "-p", "the", "--raw", "--greedy", "-n", "2000", "--context", "2048"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.read(1)
            process.stdout.close()
            self.assertIn(process.wait(60), (-signal.SIGPIPE, 1))
            self.assertNotIn("Assertion", process.stderr.read())

    # ---- llmir-bench ----

    def test_bench_json(self):
        result = self.done("llmir-bench", self.bundle, "-p", 32, "-n", 4, "-d", 8, "-b", 2, "-t", "1,2", "-r", 2, "--json")
        report = json.loads(result.stdout)
        self.assertLessEqual(
            {"bundle", "device", "threads", "load_ms", "first_token_ms", "peak_rss_bytes", "arena_bytes", "roofline", "results"},
            set(report),
        )
        self.assertEqual(set(report["roofline"]), {"read_bytes_per_second", "int8_ops_per_second"})
        kinds = {(row["test"], row["threads"]) for row in report["results"]}
        self.assertEqual(kinds, {(test, threads) for test in ("prompt", "decode", "batch") for threads in (1, 2)})
        for row in report["results"]:
            self.assertLessEqual(
                {"test", "tokens", "depth", "batch", "threads", "tokens_per_second", "repeats", "bytes_per_token", "roofline_share"},
                set(row),
            )
            self.assertEqual(len(row["repeats"]), 2)
            self.assertGreater(row["tokens_per_second"], 0)

    def test_bench_text(self):
        result = self.done("llmir-bench", self.bundle, "-p", 16, "-n", 4, "-r", 1, "--no-roofline")
        self.assertIn("prompt", result.stdout)
        self.assertIn("decode", result.stdout)

    def test_bench_trace_is_json(self):
        path = e2e.WORK / "commands.trace"
        self.done("llmir-bench", self.bundle, "-p", 16, "-n", 2, "-r", 1, "--no-roofline", "--trace", path)
        trace = json.loads(path.read_text())
        events = trace["traceEvents"] if isinstance(trace, dict) else trace
        self.assertIn("attention", {event.get("name") for event in events})

    def test_bench_beyond_the_context_fails(self):
        self.fails(1, "context", "llmir-bench", self.bundle, "-p", 100000, "-n", 0, "-r", 1, "--no-roofline")

    # ---- llmir-inspect ----

    def test_inspect_json(self):
        report = json.loads(self.done("llmir-inspect", self.bundle, "--json").stdout)
        self.assertLessEqual({"format", "sections", "tensors", "model", "report"}, set(report))
        self.assertEqual(report["format"][0], 1)
        for section in report["sections"]:
            self.assertLessEqual({"kind", "target", "level", "offset", "bytes", "hash"}, set(section))
        self.assertLessEqual({"model", "tokenizer", "chat", "plan", "code", "weights", "report"}, {s["kind"] for s in report["sections"]})
        for tensor in report["tensors"]:
            self.assertLessEqual({"name", "shape", "layout", "bytes"}, set(tensor))

    def test_inspect_verify_finds_a_changed_weight(self):
        self.done("llmir-inspect", self.bundle, "--verify")
        data = bytearray(self.bundle.read_bytes())
        weights = next(s for s in json.loads(self.done("llmir-inspect", self.bundle, "--json").stdout)["sections"] if s["kind"] == "weights")
        data[weights["offset"] + weights["bytes"] // 2] ^= 1
        damaged = e2e.WORK / "commands-damaged.llmir"
        damaged.write_bytes(data)
        self.done("llmir-inspect", damaged)
        result = e2e.run("llmir-inspect", damaged, "--verify")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^llmir-inspect: error: .*WEIGHTS.*hash.*\n$")

    # ---- llmir-perplexity ----

    def test_perplexity_json(self):
        report = json.loads(self.done("llmir-perplexity", self.bundle, "-f", self.text, "-c", 32, "--json").stdout)
        self.assertEqual(set(report), {"bundle", "tokens", "nll", "perplexity", "seconds"})
        self.assertAlmostEqual(report["perplexity"], 2.718281828459045 ** report["nll"], places=3)
        piped = self.done("llmir-perplexity", self.bundle, "-f", "-", "-c", 32, "--threads", 1, "--json", stdin=TEXT)
        self.assertEqual(json.loads(piped.stdout)["nll"], report["nll"])

    def test_perplexity_needs_two_tokens(self):
        self.fails(1, "token", "llmir-perplexity", self.bundle, "-f", "-", stdin="")

    # ---- llmir-tokenize ----

    def test_tokenize_there_and_back(self):
        lines = "the cat\n  sat  on\nna\u00efve \u732b \U0001f408\n\nend"
        ids = self.done("llmir-tokenize", self.bundle, stdin=lines).stdout
        self.assertEqual(len(ids.split("\n")) - 1, 5)
        back = self.done("llmir-tokenize", self.bundle, "--decode", stdin=ids).stdout
        self.assertEqual(back.rstrip("\n"), lines)

    def test_tokenize_special_text_only_on_request(self):
        plain = self.done("llmir-tokenize", self.bundle, stdin="<|im_end|>\n").stdout.split()
        special = self.done("llmir-tokenize", self.bundle, "--special", stdin="<|im_end|>\n").stdout.split()
        self.assertGreater(len(plain), 1)
        self.assertEqual(len(special), 1)
        self.assertEqual(self.done("llmir-tokenize", self.bundle, "--decode", stdin=special[0]).stdout.strip(), "")
        self.assertEqual(self.done("llmir-tokenize", self.bundle, "--decode", "--special", stdin=special[0]).stdout.strip(), "<|im_end|>")

    def test_tokenize_bad_ids_fail(self):
        self.fails(1, "99999999", "llmir-tokenize", self.bundle, "--decode", stdin="99999999\n")
        self.fails(1, "cat", "llmir-tokenize", self.bundle, "--decode", stdin="cat\n")


if __name__ == "__main__":
    unittest.main()
