"""Requests that an SDK would never send: bytes over a socket, and signatures made by hand."""

import hashlib
import hmac
import json
import re
import socket

DEADLINE_S = 120
STS_BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def code(self):
        """The AWS error code, whatever the protocol."""
        found = re.search(r"<Code>(.*?)</Code>", self.text)
        if found:
            return found.group(1)
        if "x-amzn-errortype" in self.headers:
            return self.headers["x-amzn-errortype"].split(":")[0]
        return json.loads(self.text)["__type"].split("#")[-1]

    @property
    def message(self):
        found = re.search(r"<Message>(.*?)</Message>", self.text, re.DOTALL)
        if found:
            return found.group(1)
        parsed = json.loads(self.text)
        return parsed.get("message") or parsed.get("Message")


class Connection:
    def __init__(self, hearth):
        self.socket = socket.create_connection(("127.0.0.1", hearth.port), DEADLINE_S)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _fill(self):
        more = self.socket.recv(65536)
        if not more:
            raise EOFError("the server closed the connection")
        self.buffer += more

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head

    def read_answer(self):
        head = self.read_head()
        answer = Answer(head, b"")
        length = int(answer.headers.get("content-length", 0))
        while len(self.buffer) < length:
            self._fill()
        answer.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return answer

    def is_closed(self):
        """Waits for the end of the stream; True when it comes without another byte."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def request_bytes(method="POST", target="/", headers=(), body=b"", length=True):
    lines = [f"{method} {target} HTTP/1.1"]
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        lines.append("Host: hearth")
    lines += [f"{name}: {value}" for name, value in headers]
    if length and (body or method in ("POST", "PUT")):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def call(hearth, *arguments, **keywords):
    with Connection(hearth) as connection:
        connection.send(request_bytes(*arguments, **keywords))
        return connection.read_answer()


def sign(
    key,
    secret,
    when,
    service="sts",
    body=STS_BODY,
    method="POST",
    path="/",
    region="us-east-1",
    scope_date=None,
    terminator="aws4_request",
    extra=(),
    signed=None,
    token=None,
):
    """Headers of a signed request. An implementation of its own, to be an independent oracle."""
    time = when.strftime("%Y%m%dT%H%M%SZ")
    date = scope_date or time[:8]
    headers = {"host": "hearth", "x-amz-date": time}
    headers.update(extra)
    if token:
        headers["x-amz-security-token"] = token
    names = sorted(signed if signed is not None else headers)
    canonical = "\n".join(
        [method, path, ""]
        + [f"{name}:{headers.get(name, '')}" for name in names]
        + ["", ";".join(names), hashlib.sha256(body).hexdigest()]
    )
    scope = f"{date}/{region}/{service}/{terminator}"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    derived = ("AWS4" + secret).encode()
    for part in (date, region, service, terminator):
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(derived, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return list(headers.items())
