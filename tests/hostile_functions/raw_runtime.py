"""Runtimes that break the rules: a bootstrap of a few lines that speaks to the Runtime API over raw sockets.

bootstrap("...") is the text of a bootstrap whose `handle(id, event, api)` is the text given; `api` is
the connection that waited in /next, and a new Connection() is another one.
"""

import textwrap

_LIBRARY = '''#!/usr/bin/python3 -SB
import json, os, socket, sys, time
HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
RUNTIME = "/2018-06-01/runtime/"
CHUNKED = ("Transfer-Encoding: chunked", "Lambda-Runtime-Function-Response-Mode: streaming",
           "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body")

class Connection:
    def __init__(self):
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def send(self, data):
        self.socket.sendall(data)

    def head(self, method, path, headers=()):
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: x", *headers, "", ""]
        self.send("\\r\\n".join(lines).encode())

    def chunk(self, data):
        self.send(b"%x\\r\\n%s\\r\\n" % (len(data), data))

    def answer(self):
        """(status, headers, body); (0, {}, b"") when the other side hung up."""
        while b"\\r\\n\\r\\n" not in self.left:
            data = self.socket.recv(65536)
            if not data:
                return 0, {}, b""
            self.left += data
        head, _, self.left = self.left.partition(b"\\r\\n\\r\\n")
        lines = head.decode().split("\\r\\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        size = int(headers.get("content-length", 0))
        while len(self.left) < size:
            self.left += self.socket.recv(65536)
        body, self.left = self.left[:size], self.left[size:]
        return int(lines[0].split()[1]), headers, body

    def call(self, method, path, body=b"", headers=()):
        self.head(method, path, ("Content-Length: %d" % len(body), *headers))
        self.send(body)
        return self.answer()

    def stream(self, id, headers=()):
        self.head("POST", RUNTIME + "invocation/" + id + "/response", (*CHUNKED, *headers))

    def respond(self, id, value):
        return self.call("POST", RUNTIME + "invocation/" + id + "/response", json.dumps(value).encode())

def next_event(api):
    status, headers, body = api.call("GET", RUNTIME + "invocation/next")
    if status == 0:
        raise OSError("the Runtime API hung up")
    if status != 200:
        sys.exit("next: %d %r" % (status, body))
    return headers["lambda-runtime-aws-request-id"], json.loads(body)
'''

_LOOP = '''
if __name__ == "__main__":
    api = Connection()
    while True:
        try:
            id, event = next_event(api)
        except OSError:
            api = Connection()
            continue
        try:
            handle(id, event, api)
        except OSError as error:
            print("handle:", error, flush=True)
            api = Connection()
'''


def bootstrap(handle):
    """A runtime that calls `handle` for each event."""
    return _LIBRARY + "\ndef handle(id, event, api):\n" + textwrap.indent(textwrap.dedent(handle), "    ") + _LOOP


def program(text):
    """A program of its own with the same library."""
    return _LIBRARY + textwrap.dedent(text)
