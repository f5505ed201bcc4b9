#!/usr/bin/python3
"""The demo, event driven: reads are put into a bucket, and everything else happens by itself.

A bucket tells a queue what is put into it, the queue feeds a function, and the function puts its results into
another bucket. Nothing polls, and nobody calls the function. It shows the work as it moves, the result, and what
it would have cost on AWS.

usage: events.py BUILD_DIR [--keep] [--reads N] [--objects N] [--json]
"""

import argparse
import concurrent.futures
import json
import os
import re
import signal
import statistics
import sys
import time

import demo

FUNCTION = "read-quality-on-object"
MEMORY_MB = 512
# us-east-1, x86, list prices of 2026-11, without the free tier and without SnapStart's own price: a snapshot kept for
# its three hours at least would cost more there than all of this.
USD_PER_INVOCATION = 0.20 / 1e6
USD_PER_GB_S = 0.0000166667
USD_PER_QUEUE_REQUEST = 0.40 / 1e6
USD_PER_PUT = 0.005 / 1e3
USD_PER_GET = 0.0004 / 1e3
DEADLINE_S = 600
CORES = len(os.sched_getaffinity(0))
REPORT = re.compile(r"^REPORT .*?\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB", re.S)


def allow_bucket(queue_arn):
    """The policy that a queue needs on AWS before a bucket may send to it."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "s3.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::reads"}},
                }
            ],
        }
    )


def deploy(cloud):
    """Two buckets, a queue with its dead letters, a function, and what ties them together."""
    example = os.path.join(demo.ROOT, "examples", "read-quality", "python")
    package = demo.zip_file(
        os.path.join(cloud.directory, "function.zip"),
        [(name, os.path.join(example, name), 0o644) for name in ("quality.py", "on_object.py")],
    )
    for bucket in ("reads", "results"):
        cloud.aws("s3api", "create-bucket", "--bucket", bucket)
    dead_arn = "arn:aws:sqs:us-east-1:000000000000:reads-failed"
    queue_arn = "arn:aws:sqs:us-east-1:000000000000:reads"
    cloud.aws("sqs", "create-queue", "--queue-name", "reads-failed")
    url = cloud.aws(
        "sqs", "create-queue",
        "--queue-name", "reads",
        "--attributes", json.dumps(
            {
                "VisibilityTimeout": "120",
                "Policy": allow_bucket(queue_arn),
                "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 5}),
            }
        ),
    )["QueueUrl"]
    cloud.aws(
        "lambda", "create-function",
        "--function-name", FUNCTION,
        "--runtime", "python3.12",
        "--handler", "on_object.handler",
        "--role", demo.ROLE,
        "--memory-size", str(MEMORY_MB),
        "--timeout", "60",
        "--environment", "Variables={RESULTS=results}",
        "--snap-start", "ApplyOn=PublishedVersions",
        "--zip-file", f"fileb://{package}",
    )
    cloud.aws("lambda", "wait", "function-active-v2", "--function-name", FUNCTION)
    # Of a version there is a snapshot: further environments begin behind `import boto3`.
    client = cloud.client("lambda")
    version = client.publish_version(FunctionName=FUNCTION)["Version"]
    while client.get_function_configuration(FunctionName=FUNCTION, Qualifier=version)["State"] == "Pending":
        time.sleep(0.01)
    mapping = cloud.aws(
        "lambda", "create-event-source-mapping",
        "--function-name", f"{FUNCTION}:{version}",
        "--event-source-arn", queue_arn,
        "--batch-size", "4",
        "--scaling-config", f"MaximumConcurrency={2 * CORES}",
        "--function-response-types", "ReportBatchItemFailures",
    )["UUID"]
    while client.get_event_source_mapping(UUID=mapping)["State"] != "Enabled":
        time.sleep(0.02)
    cloud.aws(
        "s3api", "put-bucket-notification-configuration",
        "--bucket", "reads",
        "--notification-configuration", json.dumps(
            {
                "QueueConfigurations": [
                    {
                        "QueueArn": queue_arn,
                        "Events": ["s3:ObjectCreated:*"],
                        "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".fq"}]}},
                    }
                ]
            }
        ),
    )
    return url


def objects_of(batches, count):
    """The same reads, in so many objects."""
    lines = "".join(batches).splitlines(keepends=True)
    reads = len(lines) // 4
    bounds = [4 * (reads * number // count) for number in range(count + 1)]
    return ["".join(lines[begin:end]) for begin, end in zip(bounds, bounds[1:]) if begin < end]


class Progress:
    """One line that moves on a terminal, and a line now and then elsewhere."""

    def __init__(self, total):
        self.total, self.live, self.last = total, sys.stdout.isatty(), 0.0
        self.shown = None

    def show(self, put, waiting, running, done, end=False):
        now = time.monotonic()
        numbers = (put, waiting, running, done)
        if not end and (now - self.last < (0.1 if self.live else 1.0) or numbers == self.shown):
            return
        self.last, self.shown = now, numbers
        width = 30
        filled = width * done // max(1, self.total)
        line = (
            f"    put {put:>4}   in the queue {waiting:>4}   in functions {running:>4}   "
            f"results {done:>4} of {self.total} │{'█' * filled}{'·' * (width - filled)}│"
        )
        print(("\r" if self.live else "") + line, end="\n" if end or not self.live else "", flush=True)


def put_and_watch(cloud, url, batches):
    """Puts the batches as objects and waits for a result of each; seconds from the begin of a put to its result."""
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    put_at = {}

    def put(number):
        key = f"lane/{number:04}.fq"
        began = time.time()
        s3.put_object(Bucket="reads", Key=key, Body=batches[number].encode())
        put_at[key] = began

    progress = Progress(len(batches))
    deadline = time.monotonic() + DEADLINE_S
    with concurrent.futures.ThreadPoolExecutor(demo.CALLERS) as callers:
        puts = [callers.submit(put, number) for number in range(len(batches))]
        while True:
            done = sum(
                len(page.get("Contents", []))
                for page in s3.get_paginator("list_objects_v2").paginate(Bucket="results")
            )
            counts = sqs.get_queue_attributes(
                QueueUrl=url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            progress.show(
                len(put_at),
                int(counts["ApproximateNumberOfMessages"]),
                int(counts["ApproximateNumberOfMessagesNotVisible"]),
                done,
                end=done >= len(batches),
            )
            if done >= len(batches):
                break
            if time.monotonic() > deadline:
                sys.exit(f"only {done} of {len(batches)} results after {DEADLINE_S} s")
            time.sleep(0.05)
        for one in puts:
            one.result()
    took, parts = [], []
    for key, at in put_at.items():
        answer = s3.get_object(Bucket="results", Key=key + ".json")
        took.append(float(answer["Metadata"]["done"]) - at)
        parts.append(json.load(answer["Body"]))
    return took, demo.merge(parts)


def bill(cloud, objects):
    """(what, how much, US dollars) by the platform's own report lines; waits until all are there."""
    logs = cloud.client("logs")
    deadline = time.monotonic() + 30
    while True:
        started, reports = 0, []
        try:
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{FUNCTION}"
            )
            for page in pages:
                for event in page["events"]:
                    started += event["message"].startswith("START ")
                    if found := REPORT.match(event["message"]):
                        reports.append((int(found[1]), int(found[2])))
        except logs.exceptions.ResourceNotFoundException:
            pass
        if (reports and len(reports) == started) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    gb_s = sum(ms / 1000 * mb / 1024 for ms, mb in reports)
    calls = len(reports)
    # A send for each object, a receive and a delete for each call.
    requests = objects + 2 * calls
    return [
        ("invocations", f"{calls:,}", calls * USD_PER_INVOCATION),
        ("GB-seconds", f"{gb_s:,.2f}", gb_s * USD_PER_GB_S),
        ("queue requests", f"{requests:,}", requests * USD_PER_QUEUE_REQUEST),
        ("objects put", f"{2 * objects:,}", 2 * objects * USD_PER_PUT),
        ("objects read", f"{objects:,}", objects * USD_PER_GET),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_directory")
    parser.add_argument("--keep", action="store_true", help="leave the cloud running")
    parser.add_argument("--reads", type=int, default=10**9, metavar="N", help="only the first N reads")
    parser.add_argument("--objects", type=int, default=100, metavar="N", help="so many objects (100)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON as the last line")
    options = parser.parse_args()
    if not os.path.isdir(demo.READS):
        sys.exit("The reads are missing: apt-get install bowtie2-examples")

    cloud = demo.Cloud(os.path.abspath(options.build_directory))
    finished = False
    try:
        demo.step(f"hearth up: ready on {cloud.endpoint} in {cloud.ready_ms:.0f} ms")
        url = deploy(cloud)
        demo.step("deployed: bucket reads → queue reads → function → bucket results")
        batches = objects_of(demo.load_batches(options.reads), options.objects)
        demo.step(f"putting {len(batches)} objects of reads")
        started = time.monotonic()
        took, result = put_and_watch(cloud, url, batches)
        wall_s = time.monotonic() - started
        print()
        print(f"  reads         {result['reads']:>12,}")
        print(f"  bases         {result['bases']:>12,}")
        print(f"  GC            {result['gc'] / result['bases']:>12.2%}")
        print(f"  mean quality  {sum(result['quality_sum']) / sum(result['quality_count']):>12.2f}  (Phred)")
        print()
        demo.plot([s / c for s, c in zip(result["quality_sum"], result["quality_count"])])
        print()
        took.sort()
        print(f"  all of it     {wall_s:>12.2f} s")
        print(
            f"  put → result  {statistics.median(took) * 1000:>12.0f} ms median, "
            f"{took[0] * 1000:.0f} ms best, {took[-1] * 1000:.0f} ms worst"
        )
        print()
        total = 0.0
        print("  on AWS, at list price (us-east-1, x86, no free tier, without SnapStart)")
        for what, count, dollars in bill(cloud, len(batches)):
            total += dollars
            print(f"    {what:<16} {count:>10}   $ {dollars:.6f}")
        print(f"    {'together':<16} {'':>10}   $ {total:.6f}")
        print("  here          nothing, and when no reads come, nothing runs")
        print()
        finished = True
        if options.json:
            print(json.dumps({name: result[name] for name in ("reads", "bases", "gc")}))
        if options.keep:
            demo.step(f"the cloud stays: {cloud.endpoint}, process {cloud.process.pid}, {cloud.directory}")
    finally:
        if not (finished and options.keep):
            cloud.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
