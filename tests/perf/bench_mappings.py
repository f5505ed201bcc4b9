"""The section "mappings" of bench.py: how soon a message reaches its function, what idle mappings cost, and
whether many queues on one function are served alike.

Messages are sent without signatures, which open mode believes, on one connection; their answers are searched for
an id and not parsed. Client and function read the same clock. HEARTH_IDLE_MAPPINGS makes the idle part shorter.
"""

import json
import os
import re
import socket
import time

import botocore.exceptions

import deployed
import hearth_up

IDLE = int(os.environ.get("HEARTH_IDLE_MAPPINGS", "10000"))
RATE = 1_000
SINGLE = 500
WARM = 50
QUEUES = 200
CALLS = 2
ROLE_MEMORY_MB = 1_769

CLOCK = """
import time

def handler(event, context):
    now = time.time()
    print("HANDLED " + " ".join(f"{r['messageId']}={now:.6f}" for r in event["Records"]))
"""
NOTHING = "def handler(event, context):\n    pass\n"


class Sender:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, url, body):
        """(message id, when the answer was there)"""
        text = json.dumps({"QueueUrl": url, "MessageBody": body}).encode()
        head = (
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n"
            f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + text)
        answer = b""
        while b'"MessageId":"' not in answer:
            got = self.socket.recv(1 << 16)
            assert got and not answer.startswith(b"HTTP/1.1 4"), answer
            answer += got
        returned = time.time()
        return re.search(rb'"MessageId":"([^"]+)"', answer)[1].decode(), returned


def arn(name):
    return f"arn:aws:sqs:us-east-1:000000000000:{name}"


def times_of(hearth, function, expected):
    logs = hearth.client("logs")
    found = {}

    def read():
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{function}", filterPattern='"HANDLED"'
        ):
            for event in page["events"]:
                for pair in event["message"].split()[1:]:
                    name, at = pair.split("=")
                    found.setdefault(name, float(at))
        return len(found) >= expected

    hearth_up.wait_for(read, f"{expected} messages in the log", interval_s=1)
    return found


def report_latency(bench, name, sent, seen, target):
    late = sorted((seen[one] - returned) * 1000 for one, returned in sent.items())
    bench.report(f"{name}: p50", late[len(late) // 2], "ms", target=f"<= {target[0]}")
    bench.report(f"{name}: p99", late[len(late) * 99 // 100], "ms", target=f"<= {target[1]}")


def bench_latency(bench, hearth):
    sqs, functions = hearth.client("sqs"), hearth.client("lambda")
    deployed.function(functions, "clock", CLOCK, MemorySize=ROLE_MEMORY_MB, Timeout=10)
    url = sqs.create_queue(QueueName="clock")["QueueUrl"]
    functions.create_event_source_mapping(EventSourceArn=arn("clock"), FunctionName="clock")
    sender = Sender(hearth.port)
    for _ in range(WARM):
        sender.send(url, "warm")
        time.sleep(0.02)
    before = WARM
    sent = {}
    for _ in range(SINGLE):
        name, returned = sender.send(url, "x" * 256)
        sent[name] = returned
        time.sleep(0.01)
    before += SINGLE
    seen = times_of(hearth, "clock", before)
    report_latency(bench, "SendMessage returned -> handler, alone", sent, seen, (1, 5))

    sent = {}
    started = time.monotonic()
    count = int(RATE * max(bench.SECONDS, 3))
    for number in range(count):
        wait = started + number / RATE - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        name, returned = sender.send(url, "x" * 256)
        sent[name] = returned
    rate = count / (time.monotonic() - started)
    seen = times_of(hearth, "clock", before + count)
    report_latency(bench, f"the same at {rate:,.0f} messages/s", sent, seen, (1, 5))


def share(bench, hearth, function, messages, work_s):
    """Many queues with a backlog on a function that runs two calls at once, each for `work_s`."""
    sqs, functions = hearth.client("sqs"), hearth.client("lambda")
    deployed.function(functions, function, CLOCK + f"    time.sleep({work_s})\n", Timeout=10)
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=CALLS)
    sent = {}
    for number in range(QUEUES):
        name = f"{function}-{number}"
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        for answer in sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(messages)]
        )["Successful"]:
            sent[answer["MessageId"]] = number
    created = time.time()
    for number in range(QUEUES):
        functions.create_event_source_mapping(
            EventSourceArn=arn(f"{function}-{number}"), FunctionName=function, BatchSize=1
        )
    seen = times_of(hearth, function, len(sent))
    # AWS lets each of the two begin ten calls a second.
    least = len(sent) * max(work_s, 0.1) / CALLS
    took = max(seen.values()) - created
    title = f"{QUEUES} queues of {messages}, {CALLS} calls of {work_s * 1_000:.0f} ms at once"
    bench.report(f"{title}: all done", took, "s", f"the {least:,.0f} s that they need", took / least, "<= 1.5")
    order, first = [sent[one] for one in sorted(seen, key=seen.get)], {}
    for place, number in enumerate(order, 1):
        first.setdefault(number, place)
    bench.report(
        "  every queue had a call after calls", max(first.values()), target=f"<= {2 * QUEUES}"
    )
    bench.report("  the last queue's first message after", seen_first(sent, seen) - created, "s")


def seen_first(sent, seen):
    first = {}
    for one, number in sent.items():
        first[number] = min(first.get(number, seen[one]), seen[one])
    return max(first.values())


def bench_fairness(bench, hearth):
    share(bench, hearth, "shared", 5, 0)
    share(bench, hearth, "busy", 2, 0.15)


def bench_idle(bench, hearth):
    sqs, functions = hearth.client("sqs"), hearth.client("lambda")
    deployed.function(functions, "idle", NOTHING, Timeout=10)
    pids = bench.hearth_processes(hearth)
    memory = bench.pss_mb(pids)
    for number in range(IDLE):
        name = f"idle-{number}"
        sqs.create_queue(QueueName=name)
        functions.create_event_source_mapping(EventSourceArn=arn(name), FunctionName="idle")
    time.sleep(5)  # settles; a figure, not a test
    bench.report(f"memory of {IDLE:,} idle mappings", bench.pss_mb(pids) - memory, "MB")
    before = bench.ticks(pids)
    time.sleep(60)
    bench.report(
        f"CPU of {IDLE:,} idle mappings in 60 s", bench.ticks(pids) - before, "ticks", target="<= 1"
    )
    hearth.stop(keep_data=True)
    started = time.monotonic()
    hearth.start()
    name = f"idle-{IDLE - 1}"
    url = hearth.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    hearth.client("sqs").send_message(QueueUrl=url, MessageBody="x")

    def done():
        try:
            found = hearth.client("sqs").get_queue_attributes(
                QueueUrl=url, AttributeNames=["All"]
            )["Attributes"]
        except botocore.exceptions.ClientError:
            return False
        return (
            found["ApproximateNumberOfMessages"] == "0"
            and found["ApproximateNumberOfMessagesNotVisible"] == "0"
        )

    hearth_up.wait_for(done, "the last mapping to work after a restart")
    bench.report(
        f"restart with {IDLE:,} mappings: the last one worked", time.monotonic() - started, "s"
    )


def run(bench, options):
    print("mappings: queues that feed functions")
    for part in (bench_latency, bench_fairness, bench_idle):
        with hearth_up.Hearth(options.build, options=bench.QUOTA) as hearth:
            part(bench, hearth)
