#!/usr/bin/env python3
"""The sampler as a user of llmir-chat meets it: every option changes what its name says, log-probabilities are those of a softmax, the best of
several answers is the best."""

import math
import re
import unittest

import e2e

LINE = re.compile(r"^\s*(-?[\d.]+) (\d+) (\"(?:[^\"\\]|\\.)*\")", re.M)


class Sampling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = e2e.tiny_bundle(name="sampling")

    def chat(self, *arguments):
        result = e2e.run("llmir-chat", self.bundle, "-p", "the cat", "--raw", "-n", 24, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def tokens(self, *arguments):
        """The tokens of an answer, as --logprobs prints them, without one that ends it."""
        return [int(token) for _, token, _ in LINE.findall(self.chat("--logprobs", 0, *arguments).stderr)]

    def refused(self, code, fragment, *arguments):
        result = e2e.run("llmir-chat", self.bundle, "-p", "x", *arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(fragment, result.stderr)
        self.assertEqual(result.stdout, "")

    # ---- Log-probabilities ----

    def test_logprobs_are_a_softmax_and_sorted(self):
        result = self.chat("--greedy", "--logprobs", 20)
        lines = result.stderr.splitlines()
        self.assertGreater(len(lines), 4)
        for line in lines:
            chosen, _, rest = line.partition("   of ")
            logprob, token, _ = LINE.match(chosen).groups()
            top = re.findall(r"(-?[\d.]+) (\d+) \"", rest)
            values = [float(value) for value, _ in top]
            self.assertEqual(len(top), 20)
            self.assertEqual(top[0], (logprob, token))
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertLess(sum(math.exp(value) for value in values), 1.001)
        self.assertEqual(result.stdout, self.chat("--greedy").stdout)

    def test_logprobs_do_not_depend_on_the_sampler(self):
        plain = LINE.findall(self.chat("--temperature", 1, "--repeat-penalty", 1, "--logprobs", 0, "--seed", 3).stderr)
        biased = self.chat("--temperature", 2, "--repeat-penalty", 1.5, "--logit-bias", f"{plain[0][1]}=1000", "--logprobs", 0).stderr
        self.assertEqual(LINE.findall(biased)[0], plain[0])

    # ---- Steps ----

    def test_logit_bias_forces_and_forbids(self):
        self.assertEqual(set(self.tokens("--greedy", "--logit-bias", "300=1000")), {300})
        first = self.tokens("--greedy")[0]
        self.assertNotIn(first, self.tokens("--greedy", "--logit-bias", f"{first}=-1000"))

    def test_each_filter_alone_can_leave_only_the_likeliest(self):
        greedy = self.tokens("--greedy")
        off = ("--temperature", 1.5, "--repeat-penalty", 1, "--top-k", 0, "--top-p", 1, "--min-p", 0, "--seed", 5)
        self.assertNotEqual(self.tokens(*off), greedy)
        for option in (("--top-k", 1), ("--top-p", 1e-6), ("--min-p", 1)):
            self.assertEqual(self.tokens(*off, *option), greedy, option)
        self.assertNotEqual(self.tokens(*off, "--typical", 0.05), self.tokens(*off))

    def test_order_leaves_out_what_it_does_not_name(self):
        warm = ("--temperature", 1.5, "--repeat-penalty", 1, "--top-k", 1, "--top-p", 1, "--min-p", 0, "--seed", 5)
        self.assertEqual(self.tokens(*warm), self.tokens("--greedy"))
        self.assertNotEqual(self.tokens(*warm, "--order", "temperature"), self.tokens("--greedy"))
        self.assertEqual(self.tokens(*warm, "--order", "temperature,top-k"), self.tokens("--greedy"))

    def test_penalties_avoid_what_was_said(self):
        plain = ("--temperature", 0, "--repeat-penalty", 1)
        for option in (("--presence-penalty", 1000), ("--frequency-penalty", 1000), ("--repeat-penalty", 1e30)):
            tokens = self.tokens(*plain, "--repeat-window", 200, *option)
            self.assertEqual(len(set(tokens)), len(tokens), option)
        few = self.tokens(*plain, "--presence-penalty", -1000)
        self.assertLessEqual(len(set(few)), 5)  # the tokens of the prompt

    def test_dry_ends_loops(self):
        plain = ("--temperature", 0, "--repeat-penalty", 1, "--logit-bias", "300=1000")
        self.assertEqual(set(self.tokens(*plain)), {300})
        tokens = self.tokens(*plain, "--dry", 3000, "--dry-length", 3)
        self.assertEqual(tokens[:4], [300] * 4)  # the fifth would be the first to continue three
        self.assertNotEqual(tokens[4], 300)

    # ---- Ends ----

    def test_several_stop_strings(self):
        whole = self.chat("--greedy").stdout
        for stops in ((whole[3:5], whole[8:10]), (whole[8:10], "never this", whole[3:5])):
            arguments = [argument for stop in stops for argument in ("--stop", stop)]
            expected = min(whole.index(stop) for stop in stops if stop in whole)
            self.assertEqual(self.chat("--greedy", *arguments).stdout, whole[:expected])

    # ---- Best of ----

    def test_best_of_is_the_answer_with_the_largest_mean(self):
        warm = ("--temperature", 1.2, "--repeat-penalty", 1, "--seed")
        best = self.chat(*warm, 7, "--best-of", 4, "--stats")
        means = [float(mean) for mean in re.findall(r"answer \d: \d+ tokens, mean log-probability (-[\d.]+)", best.stderr)]
        self.assertEqual(len(means), 4)
        texts = []
        for seed, mean in enumerate(means, 7):
            one = self.chat(*warm, seed, "--logprobs", 0)
            values = [float(value) for value, _, _ in LINE.findall(one.stderr)]
            self.assertAlmostEqual(sum(values) / len(values), mean, places=3)
            texts.append(one.stdout)
        self.assertEqual(best.stdout, texts[means.index(max(means))])
        self.assertEqual(best.stdout, self.chat(*warm, 7, "--best-of", 4).stdout)

    def test_best_of_goes_on_with_the_conversation(self):
        command = ("llmir-chat", self.bundle, "--temperature", 1, "--best-of", 3, "-n", 8, "--stats")
        result = e2e.run(*command, stdin="the cat\nand the dog\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        positions = [int(n) for n in re.findall(r"position (\d+)", result.stderr)]
        self.assertEqual(len(positions), 2)
        self.assertGreater(positions[1], positions[0])

    # ---- Wrong use ----

    def test_wrong_options_are_refused(self):
        for option, value in (("--typical", "1.5"), ("--dry-base", "0.5"), ("--repeat-window", "2000"), ("--dry-window", "2000"), ("--top-p", "2")):
            self.refused(1, option.lstrip("-").split("-")[0][:4], option, value)
        self.refused(1, "100000", "--logit-bias", "100000=1")
        self.refused(1, "order[1]", "--order", "top-k,top-k")
        self.refused(1, "not one token", "--dry", 1, "--dry-breaker", "two words here")
        self.refused(1, "stop", *[argument for i in range(17) for argument in ("--stop", f"s{i}")])
        for option, value in (("--order", "top-q"), ("--order", "top-k,"), ("--logit-bias", "5"), ("--logit-bias", "5=nan"), ("--logit-bias", "-1=2"),
                              ("--logprobs", "21"), ("--best-of", "0"), ("--best-of", "65"), ("--presence-penalty", "inf")):
            self.refused(2, option, option, value)
        self.refused(2, "greedy", "--best-of", 2, "--greedy")


if __name__ == "__main__":
    unittest.main()
