#!/usr/bin/env python3
"""llmir-serve as its clients see it: the official `openai` package, and raw HTTP where that says too little."""

import concurrent.futures
import json
import unittest

import openai

import e2e
import serving

MESSAGES = [{"role": "system", "content": "Say words."}, {"role": "user", "content": "the cat sat"}]


class Interface(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = e2e.tiny_bundle(name="server")
        cls.server = serving.Server(cls.bundle, "--max-body", 20000)
        cls.client = openai.OpenAI(base_url=cls.server.url, api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        code, errors = cls.server.stop()
        assert code == 0 and errors == "", (code, errors)

    def chat(self, **options):
        options.setdefault("messages", MESSAGES)
        options.setdefault("max_tokens", 12)
        options.setdefault("seed", 7)
        return self.client.chat.completions.create(model="server", **options)

    # ---- What there is ----

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["server"])
        self.assertEqual(self.client.models.retrieve("server").owned_by, "llmir")
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.models.retrieve("other")
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_health_and_page(self):
        self.assertEqual(self.server.request("GET", "/health")[::2], (200, {"status": "ok"}))
        status, headers, page = self.server.request("GET", "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("</html>", page)
        self.assertEqual(self.server.request("HEAD", "/")[::2], (200, ""))

    def test_metrics(self):
        before = self.server.metric("tokens_generated_total")
        self.chat(max_tokens=5, logit_bias={"2": -100})
        self.assertEqual(self.server.metric("tokens_generated_total"), before + 5)
        self.assertEqual(self.server.metric('first_token_seconds{quantile="0.5"}') > 0, True)
        self.assertGreater(self.server.metric('http_responses_total{status="2xx"}'), 0)

    # ---- Answers ----

    def test_chat(self):
        answer = self.chat()
        choice = answer.choices[0]
        self.assertEqual((answer.object, answer.model, choice.message.role), ("chat.completion", "server", "assistant"))
        self.assertIn(choice.finish_reason, ("length", "stop"))
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertEqual(self.chat().choices[0].message.content, choice.message.content)
        self.assertNotEqual(self.chat(seed=8).choices[0].message.content, choice.message.content)

    def test_greedy_answer_is_that_of_llmir_chat(self):
        question = "the dog ran"
        expected = e2e.run("llmir-chat", self.bundle, "-p", question, "--greedy", "-n", "16")
        answer = self.chat(messages=[{"role": "user", "content": [{"type": "text", "text": question}]}], temperature=0, max_tokens=16)
        self.assertEqual(answer.choices[0].message.content.rstrip("\n"), expected.stdout.rstrip("\n"))

    def test_stream_is_the_answer_in_pieces(self):
        whole = self.chat(n=2)
        texts, reasons, usage = ["", ""], [None, None], None
        for chunk in self.chat(n=2, stream=True, stream_options={"include_usage": True}):
            self.assertEqual(chunk.object, "chat.completion.chunk")
            usage = chunk.usage or usage
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                reasons[choice.index] = choice.finish_reason or reasons[choice.index]
        self.assertEqual(texts, [choice.message.content for choice in whole.choices])
        self.assertEqual(reasons, [choice.finish_reason for choice in whole.choices])
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)

    def test_choices_differ_and_repeat(self):
        first, second = self.chat(n=3), self.chat(n=3)
        texts = [choice.message.content for choice in first.choices]
        self.assertEqual(texts, [choice.message.content for choice in second.choices])
        self.assertGreater(len(set(texts)), 1)
        self.assertEqual(texts[1], self.chat(seed=8).choices[0].message.content)

    def test_logprobs(self):
        answer = self.chat(logprobs=True, top_logprobs=3, temperature=0, max_tokens=4)
        content = answer.choices[0].logprobs.content
        self.assertEqual(len(content), answer.usage.completion_tokens)
        for token in content:
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertEqual(token.top_logprobs[0].logprob, token.logprob)
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(bytes(token.bytes).decode(errors="replace"), token.token)
        streamed = [token for chunk in self.chat(logprobs=True, top_logprobs=3, temperature=0, max_tokens=4, stream=True)
                    for token in ((chunk.choices[0].logprobs and chunk.choices[0].logprobs.content) or [])]
        self.assertEqual(streamed, content)

    def test_text_completions(self):
        by_text = self.client.completions.create(model="server", prompt="the cat", temperature=0, max_tokens=6, logprobs=2)
        choice = by_text.choices[0]
        self.assertEqual(by_text.object, "text_completion")
        self.assertEqual(len(choice.logprobs.tokens), by_text.usage.completion_tokens)
        self.assertEqual(by_text.usage.completion_tokens <= 6, True)
        ids = [int(line) for line in e2e.run("llmir-tokenize", self.bundle, stdin="the cat\n").stdout.split()]
        by_ids = self.client.completions.create(model="server", prompt=ids, temperature=0, max_tokens=6)
        if by_ids.usage.prompt_tokens == by_text.usage.prompt_tokens:  # unless the text gets a begin-of-text token
            self.assertEqual(by_ids.choices[0].text, choice.text)
        default = self.client.completions.create(model="server", prompt=["the cat"], logit_bias={"2": -100})
        self.assertLessEqual(default.usage.completion_tokens, 16)

    def test_stop_strings(self):
        text = self.chat(temperature=0, max_tokens=40).choices[0].message.content
        stop = text[len(text) // 2:][:3]
        answer = self.chat(temperature=0, max_tokens=40, stop=[stop, "never said"])
        self.assertEqual(answer.choices[0].message.content, text[:text.index(stop)])
        self.assertEqual(answer.choices[0].finish_reason, "stop")

    def test_schema(self):
        schema = {"type": "object", "properties": {"word": {"enum": ["cat", "dog"]}, "count": {"enum": [1, 2, 3]}}, "required": ["word", "count"]}
        for seed in range(4):
            answer = self.chat(seed=seed, max_tokens=200, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
            value = json.loads(answer.choices[0].message.content)
            self.assertIn(value["word"], ("cat", "dog"))
            self.assertIn(value["count"], (1, 2, 3))
        answer = self.chat(max_tokens=30, response_format={"type": "json_object"})
        self.assertTrue(answer.choices[0].message.content.lstrip().startswith("{"))
        answer = self.chat(max_tokens=30, extra_body={"grammar": 'root ::= "yes" | "no"'})
        self.assertIn(answer.choices[0].message.content, ("yes", "no"))

    def test_samplers_have_effect(self):
        greedy = self.chat(temperature=0).choices[0].message.content
        self.assertEqual(self.chat(temperature=1, extra_body={"top_k": 1}).choices[0].message.content, greedy)
        self.assertEqual(self.chat(temperature=1, top_p=1e-6).choices[0].message.content, greedy)
        penalized = self.chat(temperature=0, max_tokens=40, frequency_penalty=2, presence_penalty=2)
        self.assertNotEqual(penalized.choices[0].message.content, self.chat(temperature=0, max_tokens=40).choices[0].message.content)

    def test_many_at_once_say_what_they_say_alone(self):
        def ask(seed):
            return self.chat(seed=seed, max_tokens=20).choices[0].message.content
        alone = [ask(seed) for seed in range(24)]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            self.assertEqual(list(pool.map(ask, range(24))), alone)

    # ---- Errors ----

    def refuses(self, status, param, fragment, path="/v1/chat/completions", headers=None, method="POST", **body):
        if path == "/v1/chat/completions":
            body.setdefault("messages", MESSAGES)
        found, _, reply = self.server.request(method, path, body, headers)
        self.assertEqual(found, status, reply)
        self.assertEqual(set(reply["error"]), {"message", "type", "param", "code"})
        self.assertEqual(reply["error"]["param"], param)
        self.assertIn(fragment, reply["error"]["message"])

    def test_wrong_parameters_are_named(self):
        for param, value, fragment in (
            ("temperature", 3, "expected 0 to 2"), ("temperature", "hot", "is a string, expected a number"), ("top_p", -0.1, "expected 0 to 1"),
            ("n", 0, "expected 1 to 8"), ("n", 1.5, "expected an integer"), ("max_tokens", 0, "expected 1 to"), ("stream", 1, "true or false"),
            ("seed", "x", "a number"), ("stop", [""], "1 to 64 bytes"), ("stop", ["a"] * 17, "up to 16"), ("stop", 5, "strings"),
            ("logit_bias", [], "an object"), ("logit_bias", {"x": 1}, "a token from 0"), ("logit_bias", {"999999": 1}, "a token from 0"),
            ("logit_bias", {"1": 101}, "-100 to 100"), ("messages", [], "0 messages"), ("messages", "hello", "an array"),
            ("messages", [{"role": "user"}], "message 0"), ("messages", [{"role": "robot", "content": "x"}], "robot"),
            ("messages", [{"role": "user", "content": [{"type": "image_url"}]}], "image_url"), ("tools", [{"type": "function"}], "not supported"),
            ("top_logprobs", 2, "needs 'logprobs'"), ("response_format", {"type": "xml"}, "known are"),
            ("response_format", {"type": "json_schema"}, "an object 'json_schema'"), ("model", 5, "a string"),
            ("response_format", {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": "a"}}}, "not supported"),
            ("grammar", "root ::= (", "line 1"), ("timeout", 0, "expected 0.001"), ("presence_penalty", 3, "expected -2 to 2"),
        ):
            with self.subTest(param=param, value=value):
                self.refuses(400, param, fragment, **{param: value})
        self.refuses(404, "model", "there is 'server'", model="gpt")
        self.refuses(400, "messages", "the context", messages=[{"role": "user", "content": "word " * 3000}])
        self.refuses(400, "prompt", "token from 0", path="/v1/completions", prompt=[5, -1])
        self.refuses(400, "prompt", "missing", path="/v1/completions")
        self.refuses(400, "model", "no embeddings", path="/v1/embeddings", input="x")

    def test_wrong_bodies(self):
        for body, status in ((b"", 400), (b"{", 400), (b"[1]", 400), (b"\xff\xfe", 400), (b'{"a":1,"a":2}', 400), (b"[" * 15000, 400), (b'"' + b"x" * 30000 + b'"', 413)):
            found, _, reply = self.server.request("POST", "/v1/chat/completions", body)
            self.assertEqual(found, status, reply)
            self.assertTrue(reply["error"]["message"])

    def test_wrong_routes_and_types(self):
        self.refuses(404, None, "/v1/nothing", path="/v1/nothing")
        self.refuses(405, None, "takes POST", path="/v1/chat/completions", method="PUT")
        self.refuses(405, None, "takes GET", path="/v1/models")
        self.refuses(415, None, "application/json", headers={"Content-Type": "text/plain"})
        self.refuses(403, None, "is not", headers={"Host": "evil.example"})

    def test_deadline(self):
        status, _, reply = self.server.chat(timeout=0.001, max_tokens=400, n=8)
        self.assertEqual((status, reply["error"]["code"]), (504, "timeout"))


class Guesses(unittest.TestCase):
    def test_answers_are_the_same(self):
        bundle = e2e.tiny_bundle(name="guesses")
        body = {"seed": 5, "max_tokens": 60, "logit_bias": {str(token): 100 for token in (300, 301)}, "response_format": {"type": "text"}}
        answers = []
        for options in ((), ("--guess", 8)):
            server = serving.Server(bundle, *options)
            try:
                answers.append(server.chat(**body)[2]["choices"])
                guessed = server.metric("tokens_guessed_total")
                self.assertEqual(guessed > 0, bool(options))
                self.assertLessEqual(server.metric("tokens_accepted_total"), guessed)
            finally:
                self.assertEqual(server.stop(), (0, ""))
        self.assertEqual(answers[0], answers[1])


class Keys(unittest.TestCase):
    def test_key(self):
        file = e2e.WORK / "server.key"
        bundle = e2e.tiny_bundle(name="keys")
        file.write_text("secret\n")
        server = serving.Server(bundle, "--api-key-file", file, "--no-page", "--name", "tiny")
        try:
            for key in ("", "secre", "secret2", "Secret"):
                with self.assertRaises(openai.AuthenticationError) as caught:
                    openai.OpenAI(base_url=server.url, api_key=key or "x", max_retries=0).models.list()
                self.assertEqual(caught.exception.code, "invalid_api_key")
            self.assertEqual(openai.OpenAI(base_url=server.url, api_key="secret").models.list().data[0].id, "tiny")
            self.assertEqual(server.request("GET", "/metrics")[0], 401)
            self.assertEqual(server.request("GET", "/health")[0], 200)
            self.assertEqual(server.request("GET", "/")[0], 404)
        finally:
            self.assertEqual(server.stop()[0], 0)

    def test_wrong_usage(self):
        bundle = e2e.tiny_bundle(name="keys")
        empty = e2e.WORK / "empty.key"
        empty.write_text("")
        for code, fragment, *options in ((2, "--port", "--port", "70000"), (2, "--kv", "--kv", "f8"), (1, "numeric address", "--host", "example.org"),
                                         (1, "no key", "--api-key-file", empty), (1, "no key", "--api-key-file", e2e.WORK / "absent")):
            result = e2e.run("llmir-serve", bundle, *options)
            self.assertEqual(result.returncode, code)
            self.assertIn(fragment, result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
