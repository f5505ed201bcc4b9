"""InvokeWithResponseStream over a raw connection, event by event, and a bootstrap that speaks the Runtime API in bytes."""

import base64
import http.client
import json
import urllib.parse

from botocore.eventstream import EventStreamBuffer

# One socket per answer; `how` of the event names what is sent.
BOOTSTRAP = r'''#!/bin/sh
exec /usr/bin/python3 -S - <<'EOS'
import base64, json, os, socket, sys, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)

def connect():
    return socket.create_connection((host, int(port)))

def read_answer(s):
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            return 0, {}, b""
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {l.split(":", 1)[0].lower(): l.split(":", 1)[1].strip() for l in lines[1:]}
    while len(body) < int(headers.get("content-length", 0)):
        body += s.recv(65536)
    return int(lines[0].split()[1]), headers, body

def head(path, *more):
    lines = ["POST /2018-06-01/runtime/" + path + " HTTP/1.1", "Host: h"] + list(more)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()

def chunk(data):
    return b"%x\r\n" % len(data) + data + b"\r\n"

STREAM = ("Lambda-Runtime-Function-Response-Mode: streaming", "Transfer-Encoding: chunked",
          "Content-Type: text/x-test", "Trailer: Lambda-Runtime-Function-Error-Type")
def error_trailer(kind, body):
    return (b"0\r\nLambda-Runtime-Function-Error-Type: " + kind + b"\r\nLambda-Runtime-Function-Error-Body: " +
            body + b"\r\n\r\n")

main = connect()
seen = {}
while True:
    main.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n")
    status, headers, body = read_answer(main)
    event = json.loads(body)
    id = headers["lambda-runtime-aws-request-id"]
    how = event.get("how", "ok")
    s = connect()
    answer = head("invocation/" + id + "/response", *STREAM)
    if how == "ok":
        s.sendall(answer + chunk(b"one ") + chunk(b"two") + b"0\r\n\r\n")
    elif how == "seen":
        s.sendall(answer + chunk(json.dumps(seen).encode()) + b"0\r\n\r\n")
    elif how == "empty":
        s.sendall(answer + b"0\r\n\r\n")
    elif how == "length":
        s.sendall(head("invocation/" + id + "/response", STREAM[0], "Content-Length: 5") + b"fixed")
    elif how == "query":
        s.sendall(head("invocation/" + id + "/response?a=b", *STREAM) + chunk(b"queried") + b"0\r\n\r\n")
    elif how == "nothing":
        s.sendall(head("invocation/" + id + "/response", STREAM[0], "Content-Length: 0"))
    elif how == "hang":
        s.sendall(answer + chunk(b"first"))
        time.sleep(3600)
    elif how == "trailer":
        details = json.dumps({"errorType": "My.Late", "errorMessage": "late"}).encode()
        s.sendall(answer + chunk(b"some") + error_trailer(b"My.Late", base64.b64encode(details)))
    elif how == "bad-trailer-body":
        s.sendall(answer + chunk(b"some") + error_trailer(b"My.Late", b"*** no base64 ***"))
    elif how == "bad-trailer":
        s.sendall(answer + chunk(b"some") + b"0\r\nno colon\r\n\r\n")
    elif how == "bad-chunk":
        s.sendall(answer + chunk(b"some") + b"xyz\r\n")
    elif how == "endless-trailer":
        s.sendall(answer + chunk(b"some") + b"0\r\n" + b"X: y\r\n" * 20000)
    elif how == "close":
        s.sendall(answer + chunk(b"some"))
        s.shutdown(socket.SHUT_WR)
    elif how == "die":
        s.sendall(answer + chunk(b"some") + b"ffff\r\nnot all of it")
        os._exit(3)
    elif how == "error":
        data = b'{"errorType":"My.Error","errorMessage":"early"}'
        s.sendall(head("invocation/" + id + "/error", "Lambda-Runtime-Function-Error-Type: My.Error",
                       "Content-Length: %d" % len(data)) + data)
    elif how == "buffered":
        data = json.dumps("x" * event["bytes"]).encode()
        s.sendall(head("invocation/" + id + "/response", "Content-Length: %d" % len(data)) + data)
    elif how == "mode":
        s.sendall(head("invocation/" + id + "/response", "Lambda-Runtime-Function-Response-Mode: sideways",
                       "Content-Length: 2") + b"{}")
    elif how == "flood":
        s.sendall(answer)
        piece = chunk(b"x" * 1048576)
        try:
            for _ in range(event["megabytes"]):
                s.sendall(piece)
            s.sendall(b"0\r\n\r\n")
            print("flooded", flush=True)
        except OSError as error:
            print("flood", error, flush=True)
    elif how == "tiny":
        s.sendall(answer + chunk(b"x") * event["count"] + b"0\r\n\r\n")
    elif how == "states":
        s.sendall(answer + chunk(b"some"))
        other = connect()
        codes = []
        for request in (b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n",
                        head("invocation/" + id + "/response", "Content-Length: 2") + b"{}",
                        head("invocation/" + id + "/error", "Content-Length: 2") + b"{}",
                        answer + chunk(b"other") + b"0\r\n\r\n"):
            other.sendall(request)
            status, _, text = read_answer(other)
            codes.append([status, json.loads(text)["errorMessage"]])
        s.sendall(chunk(json.dumps(codes).encode()) + b"0\r\n\r\n")
    try:
        status, _, text = read_answer(s)
        seen[how] = [status, json.loads(text).get("errorType") if text else None]
    except OSError as error:
        seen[how] = [0, type(error).__name__]
    s.close()
EOS
'''


class Stream:
    """An answer of InvokeWithResponseStream; iterate it for its events."""

    def __init__(self, hearth, function, event=None, log=False, read=True, **headers):
        address = urllib.parse.urlsplit(hearth.endpoint)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
        if log:
            headers["X-Amz-Log-Type"] = "Tail"
        self.connection.request(
            "POST",
            f"/2021-11-15/functions/{function}/response-streaming-invocations",
            json.dumps(event or {}),
            headers,
        )
        self.buffer = EventStreamBuffer()
        if read:
            self.begin()

    def begin(self):
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = self.answer.headers

    def __iter__(self):
        while data := self.answer.read1(65536):
            self.buffer.add_data(data)
            yield from self.buffer

    def rest(self):
        """(chunks, what InvokeComplete says)"""
        chunks, complete = [], None
        for event in self:
            assert complete is None, "an event after InvokeComplete"
            assert event.headers[":message-type"] == "event"
            if event.headers[":event-type"] == "PayloadChunk":
                assert event.headers[":content-type"] == "application/octet-stream"
                chunks.append(event.payload)
            else:
                assert event.headers[":event-type"] == "InvokeComplete"
                assert event.headers[":content-type"] == "application/json"
                complete = json.loads(event.payload)
                if "LogResult" in complete:
                    complete["LogResult"] = base64.b64decode(complete["LogResult"]).decode()
        assert complete is not None, "the stream broke off"
        return chunks, complete

    def close(self):
        self.connection.close()


def call(hearth, function, event=None, **more):
    """(body, InvokeComplete)"""
    stream = Stream(hearth, function, event, **more)
    assert stream.status == 200, stream.answer.read()
    chunks, complete = stream.rest()
    stream.close()
    return b"".join(chunks), complete
