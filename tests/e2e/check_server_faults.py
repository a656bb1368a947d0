#!/usr/bin/env python3
"""llmir-serve among clients that stall, leave, send garbage or too much: it answers the others, with the right answers, and gives everything back."""

import json
import os
import random
import signal
import socket
import threading
import time
import unittest

import e2e
import serving

LONG = {"messages": [{"role": "user", "content": "the cat"}], "max_tokens": 400, "stream": True, "seed": 1, "logit_bias": {"2": -100}}
SHORT = {"messages": [{"role": "user", "content": "the dog"}], "max_tokens": 8, "seed": 3}


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = os.environ.get("LLMIR_BUNDLE") or e2e.tiny_bundle(name="faults")
        # What it says of the bundle when it starts, an old one's code say, and nothing after that.
        cls.clean_end = serving.Server(cls.bundle).stop()

    def setUp(self):
        self.connections = []

    def test_starts_and_ends(self):
        code, errors = self.clean_end
        self.assertEqual(code, 0)
        self.assertLessEqual(len(errors.splitlines()), 1 if "LLMIR_BUNDLE" in os.environ else 0, errors)

    def serve(self, *options):
        self.server = serving.Server(self.bundle, *options)
        self.addCleanup(self.server.stop)
        self.addCleanup(lambda: [connection.close() for connection in self.connections])

    def open(self, data=b""):
        self.connections.append(self.server.connect(data))
        return self.connections[-1]

    def is_idle(self):
        return all(self.server.metric(name) == 0 for name in ("requests_queued", "requests_running")) and \
            self.server.metric("kv_pages") == self.server.metric("kv_pages_free")

    def test_64_bad_connections(self):
        self.serve("--max-body", 100000, "--idle", 20, "--queue", 80)
        expected = self.server.chat(**SHORT)[2]["choices"]
        rng = random.Random(5)
        whole = serving.raw_post(LONG)
        kinds = (
            lambda: self.open(),  # says nothing
            lambda: self.open(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-"),  # stalls in the head
            lambda: self.open(serving.raw_post(LONG, length=5000)),  # sends half of its body
            lambda: self.open(whole),  # never reads its stream
            lambda: (self.open(whole).recv(200), self.connections.pop().close()),  # leaves in the middle
            lambda: self.open(rng.randbytes(3000)),  # garbage
            lambda: self.open(b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nzz\r\n"),
            lambda: self.open(b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\n\r\n"),  # a head without end
        )
        for i in range(64):
            try:
                kinds[i % len(kinds)]()
            except OSError:
                pass  # the server has refused it already
            if i % 4 == 0:
                self.assertEqual(self.server.chat(**SHORT)[2]["choices"], expected)
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        self.assertTrue(eventually(self.is_idle))
        self.assertEqual(self.server.chat(**SHORT)[2]["choices"], expected)
        self.assertEqual(self.server.stop(), self.clean_end)

    def test_leaving_cancels(self):
        self.serve()
        for stream in (True, False):
            before = self.server.metric("requests_submitted_total")
            connection = self.server.connect(serving.raw_post(LONG | {"stream": stream, "max_tokens": 400, "n": 8}))
            self.assertTrue(eventually(lambda: self.server.metric("requests_submitted_total") > before))
            connection.close()
            self.assertTrue(eventually(self.is_idle))
        self.assertGreater(self.server.metric("http_clients_gone_total") + self.server.metric("requests_finished_total"), 0)

    def test_full_queue_is_said(self):
        self.serve("--queue", 1)
        status, headers, reply = self.server.chat(**SHORT, n=2)
        self.assertEqual((status, reply["error"]["code"], headers["Retry-After"]), (429, "queue_full", "1"))
        self.assertTrue(eventually(lambda: self.server.chat(**SHORT)[0] == 200))
        self.assertEqual(self.server.metric("requests_refused_total"), 1)

    def test_bodies_have_a_bound(self):
        self.serve("--max-body", 2000)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        announced = self.open(head + b"Content-Length: 99999999999\r\n\r\n")
        self.assertIn(b" 413 ", announced.recv(4000))
        chunked = self.open(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"bb8\r\n" + b" " * 3000 + b"\r\n0\r\n\r\n")
        self.assertIn(b" 413 ", chunked.recv(4000))
        endless = self.open(head + b"Transfer-Encoding: chunked\r\n\r\n")
        with self.assertRaises(OSError):
            for _ in range(10000):
                endless.sendall(b"2710\r\n" + b" " * 10000 + b"\r\n")
        self.assertEqual(self.server.chat(**SHORT)[0], 200)

    def test_silent_connections_are_closed(self):
        self.serve("--idle", 1)
        silent = self.open(b"GET /health HTTP/1.1\r\n")
        silent.settimeout(20)
        self.assertEqual(silent.recv(100), b"")

    def test_signals_end_it_in_the_middle(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = serving.Server(self.bundle)
            connections = [server.connect(serving.raw_post(LONG | {"n": 4})) for _ in range(4)]
            connections[0].recv(100)
            start = time.monotonic()
            self.assertEqual(server.stop(number), self.clean_end)
            self.assertLess(time.monotonic() - start, 20)
            for connection in connections:
                connection.close()

    def test_clients_that_come_and_go(self):
        """Many at once, a third of which leave at a random moment; the others get what they get alone."""
        self.serve("--context", 2000, "--batch", 4)
        body = SHORT | {"max_tokens": 30}
        expected = [self.server.chat(**body | {"seed": seed})[2]["choices"] for seed in range(6)]
        wrong = []

        def client(seed):
            rng = random.Random(seed)
            for _ in range(6):
                if rng.random() < 0.33:
                    connection = self.server.connect(serving.raw_post(LONG))
                    time.sleep(rng.random() * 0.05)
                    connection.close()
                else:
                    number = rng.randrange(6)
                    status, _, reply = self.server.chat(**body | {"seed": number})
                    if status != 200 or reply["choices"] != expected[number]:
                        wrong.append(json.dumps(reply))

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertTrue(eventually(self.is_idle))


if __name__ == "__main__":
    socket.setdefaulttimeout(120)
    unittest.main(verbosity=2)
