"""A running llmir-serve for tests, and raw connections to it."""

import http.client
import json
import re
import signal
import socket
import subprocess

import e2e


class Server:
    """llmir-serve on a port that the system chose."""

    def __init__(self, bundle, *options):
        command = [str(e2e.BIN / "llmir-serve"), str(bundle), "--port", "0", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+:(\d+)/v1$", line.strip())
        if not found:
            self.process.kill()
            raise AssertionError(line + self.process.communicate()[1])
        self.port = int(found.group(1))
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def stop(self, with_signal=signal.SIGTERM):
        """Ends it; returns exit code and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        errors = self.process.communicate(timeout=60)[1]
        return self.process.returncode, errors

    def request(self, method, path, body=None, headers=None):
        """Status, headers and body of one exchange; dicts are sent and returned as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        kind = response.headers.get("Content-Type", "")
        return response.status, response.headers, json.loads(data) if kind == "application/json" else data.decode()

    def chat(self, **body):
        body.setdefault("messages", [{"role": "user", "content": "the cat"}])
        return self.request("POST", "/v1/chat/completions", body)

    def metric(self, name):
        text = self.request("GET", "/metrics")[2]
        return float(re.search(rf"^llmir_{re.escape(name)} (\S+)$", text, re.M).group(1))

    def connect(self, data=b""):
        """A raw connection on which `data` was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        connection.sendall(data)
        return connection


def raw_post(body, path="/v1/chat/completions", length=None):
    """The bytes of a request, with the length said to be another one if asked for."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length or len(data)}\r\n\r\n"
    return head.encode() + data
