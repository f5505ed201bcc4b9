"""The section "s3_listing" of bench.py: listings of a bucket of a million keys.

The keys are put empty and without signatures, which open mode believes, on 16 connections with 64 requests
each on its way, so that a thousand of them share one sync of the disk: filling is not what is measured.
HEARTH_S3_KEYS makes it shorter.
"""

import os
import re
import socket
import statistics
import threading
import time
import urllib.parse

import hearth_up

KEYS = int(os.environ.get("HEARTH_S3_KEYS", "1000000"))
PREFIXES = 10
CONNECTIONS = 16
AT_ONCE = 64
PAGES = 50
BUCKET = "listing"


class Connection:
    """Plain HTTP, kept open; requests may be sent before earlier answers were read."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, *requests):
        self.socket.sendall(
            b"".join(
                f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode()
                for method, target in requests
            )
        )

    def answer(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        length = int(length[1]) if length else 0
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        assert head.startswith(b"HTTP/1.1 200"), head + body
        return body

    def more(self):
        got = self.socket.recv(1 << 20)
        assert got, "the server closed the connection"
        self.buffer += got

    def call(self, method, target):
        self.send((method, target))
        return self.answer()


def fill(port, first):
    connection = Connection(port)
    mine = range(first, KEYS, CONNECTIONS)
    for start in range(0, len(mine), AT_ONCE):
        batch = mine[start : start + AT_ONCE]
        connection.send(
            *(
                ("PUT", f"/{BUCKET}/p{number % PREFIXES}/{number // PREFIXES:09}")
                for number in batch
            )
        )
        for _ in batch:
            connection.answer()


def timed(calls):
    times = []
    for call in calls:
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), max(times)


def run(bench, options):
    print(f"s3_listing: a bucket of {KEYS:,} keys")
    with hearth_up.Hearth(options.build) as hearth:
        connection = Connection(hearth.port)
        connection.call("PUT", f"/{BUCKET}")
        begun = time.perf_counter()
        threads = [
            threading.Thread(target=fill, args=(hearth.port, first))
            for first in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - begun
        # The first was idle for minutes.
        connection = Connection(hearth.port)
        bench.report("keys put, empty, durable, unsigned", KEYS / took, "1/s")
        token = None

        def page():
            nonlocal token
            more = f"&continuation-token={token}" if token else ""
            body = connection.call("GET", f"/{BUCKET}?list-type=2{more}")
            # At the end it begins again.
            found = re.search(rb"<NextContinuationToken>([^<]*)<", body)
            token = urllib.parse.quote(found[1].decode(), safe="") if found else None
            assert body.count(b"<Contents>") == min(1000, KEYS)

        middle, worst = timed([page] * PAGES)
        bench.report(
            f"page of 1,000 of {KEYS:,} keys", middle, "ms", target=f"<= 10; worst {worst:.1f}"
        )

        def prefixes():
            body = connection.call("GET", f"/{BUCKET}?list-type=2&delimiter=%2F")
            assert body.count(b"<CommonPrefixes>") == PREFIXES

        middle, worst = timed([prefixes] * PAGES)
        bench.report(
            f"{PREFIXES} common prefixes over {KEYS:,} keys",
            middle,
            "ms",
            target=f"<= 5; worst {worst:.1f}",
        )

        def versions():
            body = connection.call("GET", f"/{BUCKET}?versions")
            assert body.count(b"<Version>") == min(1000, KEYS)

        middle, worst = timed([versions] * PAGES)
        bench.report(f"page of 1,000 versions of {KEYS:,}", middle, "ms", target=f"worst {worst:.1f}")
