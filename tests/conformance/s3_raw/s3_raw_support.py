"""Requests to S3 that an SDK would never send: bytes over a socket, and signatures made by hand."""

import base64
import datetime
import hashlib
import hmac
import re
import socket
import urllib.parse
import zlib

DEADLINE_S = 120
REGION = "us-east-1"
EMPTY = hashlib.sha256(b"").hexdigest()
ALGORITHM = "AWS4-HMAC-SHA256"


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.body = body

    def field(self, name):
        found = re.search(f"<{name}>(.*?)</{name}>", self.body.decode(), re.DOTALL)
        return found and found.group(1)

    @property
    def code(self):
        return self.field("Code")

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


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

    def read_until(self, end):
        while end not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"closed; had {self.buffer[:500]!r}")
            self.buffer += data
        before, _, self.buffer = self.buffer.partition(end)
        return before

    def read(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"closed; had {self.buffer[:500]!r}")
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def answer(self, head_only=False):
        head = self.read_until(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head = self.read_until(b"\r\n\r\n")
        answer = Answer(head, b"")
        if not head_only:
            answer.body = self.read(int(answer.headers.get("content-length", 0)))
        return answer


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, date, region=REGION, service="s3"):
    return mac(mac(mac(mac(b"AWS4" + secret.encode(), date), region), service), "aws4_request")


class Request:
    """One request, signed by the header as S3 wants it unless told otherwise."""

    def __init__(self, hearth, method, path, query="", headers=None, body=b"", payload=None, key=None, now=None):
        self.hearth = hearth
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.key_id, self.secret = key or hearth.root_key()
        now = now or datetime.datetime.now(datetime.timezone.utc)
        self.time = now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.time[:8]}/{REGION}/s3/aws4_request"
        self.payload = hashlib.sha256(body).hexdigest() if payload is None else payload
        self.headers = {
            "host": f"127.0.0.1:{hearth.port}",
            "x-amz-date": self.time,
            "x-amz-content-sha256": self.payload,
            **(headers or {}),
        }
        self.signature = ""

    def key(self):
        return signing_key(self.secret, self.time[:8])

    def canonical(self, headers, payload):
        pairs = sorted(
            (urllib.parse.quote(name, "-_.~"), urllib.parse.quote(value, "-_.~"))
            for name, value in urllib.parse.parse_qsl(self.query, keep_blank_values=True)
            if name != "X-Amz-Signature"
        )
        path = urllib.parse.quote(urllib.parse.unquote_to_bytes(self.path), "/-_.~")
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
        query = "&".join(f"{name}={value}" for name, value in pairs)
        return f"{self.method}\n{path}\n{query}\n{lines}\n{names}\n{payload}", names

    def string_to_sign(self, canonical):
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        return f"{ALGORITHM}\n{self.time}\n{self.scope}\n{hashed}"

    def sign(self):
        signed = {name.lower(): value for name, value in self.headers.items()}
        canonical, names = self.canonical(signed, self.payload)
        self.signature = mac(self.key(), self.string_to_sign(canonical)).hex()
        self.headers["authorization"] = (
            f"{ALGORITHM} Credential={self.key_id}/{self.scope}, SignedHeaders={names}, "
            f"Signature={self.signature}"
        )
        return self

    def presign(self, expires=900, headers=()):
        """Moves the signature to the query; of the headers only host and `headers` are signed."""
        for name in ("x-amz-date", "x-amz-content-sha256"):
            self.headers.pop(name)
        signed = {name: self.headers[name] for name in ("host", *headers)}
        credential = urllib.parse.quote(f"{self.key_id}/{self.scope}", "")
        added = (
            f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={self.time}"
            f"&X-Amz-Expires={expires}&X-Amz-SignedHeaders={'%3B'.join(sorted(signed))}"
        )
        self.query = f"{self.query}&{added}" if self.query else added
        canonical, _ = self.canonical(signed, "UNSIGNED-PAYLOAD")
        self.signature = mac(self.key(), self.string_to_sign(canonical)).hex()
        self.query += f"&X-Amz-Signature={self.signature}"
        return self

    def head(self, length=None):
        target = self.path + ("?" + self.query if self.query else "")
        headers = dict(self.headers)
        if length != "none" and (self.body or self.method in ("PUT", "POST") or length is not None):
            headers.setdefault("content-length", str(len(self.body) if length is None else length))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def send(self, length=None):
        with Connection(self.hearth) as connection:
            connection.send(self.head(length) + self.body)
            return connection.answer(self.method == "HEAD")

    def chunk(self, data, previous):
        """One signed chunk, and its signature."""
        text = (
            f"{ALGORITHM}-PAYLOAD\n{self.time}\n{self.scope}\n{previous}\n{EMPTY}\n"
            f"{hashlib.sha256(data).hexdigest()}"
        )
        signature = mac(self.key(), text).hex()
        return f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + b"\r\n", signature

    def trailer(self, text, previous):
        """The signature over trailers, each "name:value\\n"."""
        hashed = hashlib.sha256(text.encode()).hexdigest()
        return mac(self.key(), f"{ALGORITHM}-TRAILER\n{self.time}\n{self.scope}\n{previous}\n{hashed}").hex()


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def multipart(fields, file=b"", file_name="file.txt", boundary="XbOuNdArY"):
    body = b""
    for name, value in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    if file is not None:
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
            "Content-Type: text/plain\r\n\r\n"
        ).encode() + file + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
