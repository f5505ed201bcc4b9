"""A part of the section "sqs" of bench.py: how long messages of quiet groups wait in a standard queue, alone and while a
noisy group has a backlog.

Consumers are limited, as they are where fairness matters: each takes up to ten messages every 50 ms, and is done with
them half a second later. So a quiet message waits for the next take when it is served at once, and for minutes when it
has to stand behind the backlog. Requests are unsigned, which open mode believes.
"""

import collections
import json
import random
import re
import socket
import threading
import time

import hearth_up

NOISY = 100_000
QUIET_GROUPS = 5
QUIET = 800
QUIET_EVERY_S = 0.02
CONSUMERS = 2
TAKE_EVERY_S = 0.05
WORK_S = 0.5
BATCH = 10


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, operation, **members):
        body = json.dumps(members).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: AmazonSQS.{operation}\r\n"
            f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(body) < length:
            body += self.receive()
        assert head.startswith(b"HTTP/1.1 200"), answer
        return json.loads(body) if body else {}

    def receive(self):
        got = self.socket.recv(1 << 18)
        assert got, "the connection was closed"
        return got


def fill(port, url):
    connection = Connection(port)
    for _ in range(NOISY // BATCH):
        entries = [
            {"Id": str(n), "MessageBody": "noise", "MessageGroupId": "noisy"} for n in range(BATCH)
        ]
        answer = connection.call("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert len(answer["Successful"]) == BATCH, answer


class Consumer(threading.Thread):
    def __init__(self, port, url, first):
        super().__init__()
        self.connection, self.url, self.first = Connection(port), url, first
        self.seen = {}  # body -> when
        self.taken = 0
        self.working = collections.deque()  # (done at, handles)
        self.stopped = threading.Event()

    def run(self):
        due = self.first
        while not self.stopped.wait(max(0, due - time.monotonic())):
            due += TAKE_EVERY_S
            answer = self.connection.call(
                "ReceiveMessage", QueueUrl=self.url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=0
            )
            now = time.monotonic()
            messages = answer.get("Messages", [])
            self.taken += len(messages)
            for message in messages:
                if message["Body"] != "noise":
                    self.seen[message["Body"]] = now
            if messages:
                self.working.append((now + WORK_S, [m["ReceiptHandle"] for m in messages]))
            while self.working and self.working[0][0] <= now:
                _, handles = self.working.popleft()
                entries = [{"Id": str(n), "ReceiptHandle": h} for n, h in enumerate(handles)]
                self.connection.call("DeleteMessageBatch", QueueUrl=self.url, Entries=entries)


def dwell(port, url, seed):
    """Sorted times in ms from the answer to SendMessage to the one to ReceiveMessage, and how many were taken."""
    choice = random.Random(seed)
    begun = time.monotonic()
    consumers = [
        Consumer(port, url, begun + number * TAKE_EVERY_S / CONSUMERS) for number in range(CONSUMERS)
    ]
    for consumer in consumers:
        consumer.start()
    time.sleep(2 * WORK_S)  # as much in flight as there will be
    sender = Connection(port)
    sent = {}
    for number in range(QUIET):
        time.sleep(choice.uniform(0, 2 * QUIET_EVERY_S))
        body = f"quiet {number}"
        group = f"quiet-{choice.randrange(QUIET_GROUPS)}"
        sender.call("SendMessage", QueueUrl=url, MessageBody=body, MessageGroupId=group)
        sent[body] = time.monotonic()

    hearth_up.wait_for(
        lambda: sum(len(consumer.seen) for consumer in consumers) >= QUIET,
        "the quiet groups' messages to be received",
    )
    for consumer in consumers:
        consumer.stopped.set()
        consumer.join()
    found = collections.ChainMap(*(consumer.seen for consumer in consumers))
    took = time.monotonic() - begun
    times = sorted(max(0, found[body] - at) * 1_000 for body, at in sent.items())
    return times, sum(consumer.taken for consumer in consumers) / took


def run(bench, options):
    print(
        f"  fair queues: {CONSUMERS} consumers of ten messages every {TAKE_EVERY_S * 1_000:.0f} ms; "
        f"{QUIET_GROUPS} quiet groups, a message every {QUIET_EVERY_S * 1_000:.0f} ms"
    )
    with hearth_up.Hearth(options.build) as hearth:
        sqs = hearth.client("sqs")
        alone = sqs.create_queue(QueueName="alone")["QueueUrl"]
        shared = sqs.create_queue(QueueName="shared")["QueueUrl"]
        quiet, _ = dwell(hearth.port, alone, 1)
        fill(hearth.port, shared)
        beside, rate = dwell(hearth.port, shared, 1)
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        first, second = (times[int(len(times) * part)] for times in (quiet, beside))
        bench.report(f"dwell of quiet groups alone: {name}", first, "ms")
        bench.report(
            f"the same beside {NOISY:,} of a noisy group: {name}",
            second,
            "ms",
            "alone",
            second / first,
            "<= 2" if name == "p99" else "",
        )
    bench.report("messages taken meanwhile", rate, "/s")
