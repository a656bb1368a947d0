#!/usr/bin/env python3
"""llmir-chat on a terminal, played through a pseudo terminal: prompt, streaming, turns, commands, Ctrl-C, Ctrl-D.
LLMIR_CHAT names the program: once the usual one, once one that was built without line editing."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import tty
import unittest

import e2e

PROMPT = "> "
CTRL_C, CTRL_D = b"\x03", b"\x04"
# The answer to "the" has begun. A line typed before line editing is ready is echoed twice, with the prompt between.
ANSWER = r"the\r?\n[^>]{30}"


class Terminal:
    """A program on a pseudo terminal of its own."""

    def __init__(self, *arguments):
        self.master, slave = pty.openpty()
        tty.setraw(self.master)
        attributes = termios.tcgetattr(slave)
        # Without NOFLSH the system throws output away after it has sent the signal: the answer to it, if that was quick.
        attributes[3] |= termios.ISIG | termios.ICANON | termios.ECHO | termios.NOFLSH
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(  # noqa: S603
            list(map(str, arguments)), stdin=slave, stdout=slave, stderr=slave, close_fds=True, start_new_session=True,
            env=environment, preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = ""

    def send(self, data):
        if data == CTRL_D:  # libedit shows its prompt before it takes the terminal over, and an end of file in between is lost
            time.sleep(0.3)
        os.write(self.master, data if isinstance(data, bytes) else data.encode())

    def read_until(self, pattern, seconds=60):
        """What came since the last call, up to and with the pattern."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen, re.S)
            if found:
                text, self.seen = self.seen[: found.end()], self.seen[found.end() :]
                return text
            ready = select.select([self.master], [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                raise AssertionError(f"no {pattern!r} within {seconds} s in {self.seen!r}")
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the program left before {pattern!r}: {self.seen!r}")
            self.seen += data.decode("utf-8", "replace")

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    os.read(self.master, 65536)
                except OSError:
                    pass
        return self.process.poll()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


class Conversation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = e2e.tiny_bundle(name="terminal")
        cls.program = os.environ.get("LLMIR_CHAT", e2e.BIN / "llmir-chat")

    def start(self, *options):
        terminal = Terminal(self.program, self.bundle, "--greedy", *options)
        self.addCleanup(terminal.close)
        terminal.read_until(r"/help lists the commands")
        terminal.read_until(PROMPT)
        return terminal

    def test_turns_commands_and_quit(self):
        terminal = self.start("-n", "8")
        for text in ("the cat", "na\u00efve \u732b", "a" * 500):
            terminal.send(text + "\n")
            terminal.read_until(r"\n" + PROMPT)
        terminal.send("/stats\n")
        self.assertIn("tokens/s", terminal.read_until(r"threads.*" + PROMPT))
        terminal.send("/reset\n")
        terminal.read_until(r"forgotten.*" + PROMPT)
        terminal.send("/stats\n")
        self.assertIn("position 0", terminal.read_until(r"threads.*" + PROMPT))
        terminal.send("/nonsense\n")
        terminal.read_until(r"unknown command '/nonsense'.*/quit.*" + PROMPT)
        terminal.send("/help\n")
        terminal.read_until(r"/reset.*" + PROMPT)
        terminal.send("\n")
        terminal.read_until(PROMPT)
        terminal.send("/quit\n")
        self.assertEqual(terminal.wait(), 0)

    def test_interrupt_stops_the_answer_and_not_the_program(self):
        terminal = self.start("-n", "0", "--context", "2048")
        terminal.send("the\n")  # its answer, as the next test shows, goes on to the end of the context
        terminal.read_until(ANSWER)
        begin = time.monotonic()
        terminal.send(CTRL_C)
        terminal.read_until(r"\[stopped\].*" + PROMPT, 20)
        self.assertLess(time.monotonic() - begin, 5)
        terminal.send("/stats\n")
        terminal.read_until(r"position \d+.*" + PROMPT)
        self.assertIsNone(terminal.process.poll())
        terminal.send(CTRL_D)
        self.assertEqual(terminal.wait(), 0)

    def test_interrupt_at_the_prompt_keeps_the_program(self):
        terminal = self.start("-n", "4")
        terminal.send("half a li")
        time.sleep(0.2)
        terminal.send(CTRL_C)
        time.sleep(0.2)
        terminal.send("\n/stats\n")
        terminal.read_until(r"threads.*" + PROMPT)
        self.assertIsNone(terminal.process.poll())
        terminal.send(CTRL_D)
        self.assertEqual(terminal.wait(), 0)

    def test_answer_streams(self):
        """The first piece is there long before the last."""
        terminal = self.start("-n", "0", "--context", "2048")
        terminal.send("the\n")
        begin = time.monotonic()
        terminal.read_until(ANSWER)
        first = time.monotonic() - begin
        terminal.read_until(r"context is full.*" + PROMPT, 120)
        self.assertLess(first, (time.monotonic() - begin) / 2)

    def test_hang_up_ends_the_program(self):
        terminal = self.start("-n", "4")
        terminal.process.send_signal(signal.SIGHUP)
        self.assertEqual(terminal.wait(), -signal.SIGHUP)


if __name__ == "__main__":
    unittest.main()
