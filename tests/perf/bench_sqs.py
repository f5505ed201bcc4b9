"""The section "sqs" of bench.py: sending, receiving and deleting at 32 connections, and a queue with a large backlog
beside a queue of ten.

Requests are signed; answers are counted or searched for handles, not parsed. HEARTH_BENCH_MESSAGES is the backlog's
size: a million unless it says more (ten million take some minutes and 5 GB of disk).
"""

import json
import os
import re
import resource
import statistics
import subprocess
import time

import hearth_up

CONNECTIONS = 32
BODY = "m" * 256
BATCH = 10
BACKLOG = int(os.environ.get("HEARTH_BENCH_MESSAGES", "1000000"))
FILL_SECONDS = 1_200
CYCLE_ROUNDS = 5
JSON_TYPE = "application/x-amz-json-1.0"


class QueueLoad:
    """tests/perf/queue_load.cc, compiled once; knows what share of all processors its runs took."""

    def __init__(self, directory):
        self.program = os.path.join(directory, "queue_load")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "queue_load.cc")
        subprocess.run(
            ["clang++-19", "-std=c++23", "-O2", source, "-o", self.program, "-lcrypto"], check=True
        )

    def run(self, hearth, url, mode, connections, seconds, count=0):
        key, secret = hearth.root_key()
        numbers = [str(connections), str(seconds), str(count)]
        done, share = client_share(
            [self.program, str(hearth.port), key, secret, url, mode, *numbers]
        )
        result = json.loads(done.stdout)
        if result["errors"]:
            print(f"  !! {result['errors']} requests failed: {done.stderr.splitlines()[-1]}")
        result["share"] = share
        return result


def client_share(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return done, used / took / os.cpu_count()


def send_parts(bench, hearth, url):
    body = json.dumps({"QueueUrl": url, "MessageBody": BODY})
    headers = {"Content-Type": JSON_TYPE, "X-Amz-Target": "AmazonSQS.SendMessage"}
    raw = bench.signed_request(hearth, "sqs", "POST", "/", body.encode(), headers)
    lines = raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines)
    headers.pop("Content-Length")
    # The script quotes it.
    return "/", headers, body.replace('"', '\\"')


def memory_mb(hearth):
    with open(f"/proc/{hearth.pids()['cloud']}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024


def single_messages(bench, hearth, sqs, directory):
    nginx = bench.Nginx(directory)
    try:
        url = sqs.create_queue(QueueName="singles")["QueueUrl"]
        static, sends = [], []
        for _ in range(3):
            parts = send_parts(bench, hearth, url)
            static.append(bench.wrk(nginx.port, ("/", parts[1], parts[2])))
            sends.append(bench.wrk(hearth.port, parts))
        ratio = statistics.median(a / b for a, b in zip(sends, static))
        bench.report("nginx static", statistics.median(static), "/s")
        bench.report(
            "SendMessage 256 B, durable", statistics.median(sends), "/s", "nginx static", ratio, ">= 0.25"
        )
    finally:
        nginx.stop()


def batches(bench, hearth, sqs, load):
    sends, drains = [], []
    for number in range(3):
        url = sqs.create_queue(QueueName=f"batches-{number}")["QueueUrl"]
        sends.append(load.run(hearth, url, "send", CONNECTIONS, bench.SECONDS))
        drains.append(load.run(hearth, url, "drain", CONNECTIONS, bench.SECONDS))
        sqs.delete_queue(QueueUrl=url)
    for name, runs, target in (
        ("SendMessageBatch of 10, messages", sends, ">= 60,000"),
        ("Receive + DeleteMessageBatch, messages", drains, ">= 40,000"),
    ):
        bench.report(name, statistics.median(run["per_second"] for run in runs), "/s", target=target)
        bench.report("  best", max(run["per_second"] for run in runs), "/s")
        bench.report("  the client's share of all CPU", 100 * statistics.median(r["share"] for r in runs), "%")


def backlog(bench, hearth, sqs, load):
    before = memory_mb(hearth)
    small = sqs.create_queue(QueueName="ten")["QueueUrl"]
    large = sqs.create_queue(QueueName="backlog")["QueueUrl"]
    load.run(hearth, small, "send", 1, FILL_SECONDS, BATCH)
    filled = load.run(hearth, large, "send", CONNECTIONS, FILL_SECONDS, BACKLOG)
    bench.report(f"filling a queue with {BACKLOG / 1e6:g} million", filled["per_second"], "/s")
    bench.report("memory of the cloud before", before, "MB")
    bench.report("memory of the cloud with them", memory_mb(hearth), "MB", target="<= 200")
    rounds = {small: [], large: []}
    for _ in range(CYCLE_ROUNDS):
        for url, runs in rounds.items():
            runs.append(load.run(hearth, url, "cycle", 1, bench.SECONDS / 2))
    for operation in ("send", "receive", "delete", "counts"):
        # The best of some rounds: whoever else is on the machine only adds.
        times = {url: min(run[operation]["p50_us"] for run in runs) for url, runs in rounds.items()}
        ratio = times[large] / times[small]
        bench.report(f"{operation}, p50", times[large], "us", "a queue of ten", ratio, "<= 1.3")
    drained = load.run(hearth, large, "drain", CONNECTIONS, bench.SECONDS)
    bench.report("Receive + DeleteMessageBatch of them", drained["per_second"], "/s")
    bench.report("memory of the cloud afterwards", memory_mb(hearth), "MB", target="<= 200")
    counts = sqs.get_queue_attributes(QueueUrl=large, AttributeNames=["ApproximateNumberOfMessages"])
    left = int(counts["Attributes"]["ApproximateNumberOfMessages"])
    expected = filled["messages"] - drained["messages"]
    print(f"  {left} messages are left, {expected} are expected")


def run(bench, options, directory):
    print("sqs: 256 B messages at 32 connections, durable, signatures verified; JSON")
    load = QueueLoad(directory)
    with hearth_up.Hearth(options.build) as hearth:
        sqs = hearth.client("sqs")
        single_messages(bench, hearth, sqs, directory)
        batches(bench, hearth, sqs, load)
        backlog(bench, hearth, sqs, load)
