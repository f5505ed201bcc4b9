#!/usr/bin/python3
"""The demo: one real job, as three functions, on a fresh Hearth.

Starts `hearth up` in a new directory, deploys examples/read-quality in Python, Node and C++ with the
`aws` command, sends the lambda phage reads of Debian's bowtie2-examples through each of them in
concurrent batches, merges the answers and shows them with cold and warm latencies. Reads and result are kept in S3.

usage: demo.py BUILD_DIR [--keep] [--reads N] [--json]
"""

import argparse
import concurrent.futures
import gzip
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

import boto3
import botocore.config

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READS = "/usr/share/doc/bowtie2/examples/reads"
READ_FILES = ("reads_1.fq.gz", "reads_2.fq.gz", "longreads.fq.gz")
BATCH_BYTES = 400_000
CALLERS = 4
START_TIMEOUT_S = 60
ROLE = "arn:aws:iam::000000000000:role/demo"
WARM_CALLS = 50
SNAPSHOT_CALLS = 5


def step(text):
    print(f"\033[1m==>\033[0m {text}" if sys.stdout.isatty() else f"==> {text}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cloud:
    """A `hearth up` of its own, stopped and removed at the end unless it is kept."""

    def __init__(self, build_directory):
        self.directory = tempfile.mkdtemp(prefix="hearth-demo-")
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log_path = os.path.join(self.directory, "hearth.log")
        started = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [
                    os.path.join(build_directory, "hearth"),
                    "up",
                    "--port",
                    str(self.port),
                    "--data",
                    os.path.join(self.directory, "data"),
                    "--spares",
                    "1",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                with urllib.request.urlopen(f"{self.endpoint}/_hearth/health", timeout=30) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - started > START_TIMEOUT_S:
                with open(self.log_path, errors="replace") as log:
                    sys.exit(f"hearth up did not get ready; its log:\n{log.read()}")
            time.sleep(0.005)
        self.ready_ms = (time.monotonic() - started) * 1000

    def aws(self, *arguments):
        """Runs the installed `aws` against this cloud and returns its parsed output."""
        environment = dict(
            os.environ,
            AWS_ACCESS_KEY_ID="000000000000",
            AWS_SECRET_ACCESS_KEY="demo",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_PAGER="",
            AWS_EC2_METADATA_DISABLED="true",
        )
        done = subprocess.run(
            ["/usr/bin/aws", "--endpoint-url", self.endpoint, "--output", "json", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"aws {' '.join(arguments)} failed:\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="000000000000",
            aws_secret_access_key="demo",
            config=botocore.config.Config(
                retries={"max_attempts": 0}, max_pool_connections=2 * CALLERS, read_timeout=120
            ),
        )

    def slots(self, query="", method="GET"):
        """The environments; or puts idle ones away, so that the next call has to make one."""
        request = urllib.request.Request(f"{self.endpoint}/_hearth/slots{query}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait_for_spare(self, name):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if any(
                environment["state"] == "spare"
                for function in self.slots()["functions"]
                if function["function"] == name
                for environment in function["environments"]
            ):
                return
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def zip_file(path, entries):
    """Writes a deployment package; entries are (name in the zip, source file, mode)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, source, mode in entries:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            with open(source, "rb") as content:
                package.writestr(info, content.read())
    return path


def functions(build_directory):
    example = os.path.join(ROOT, "examples", "read-quality")
    return {
        "python": ("python3.12", "quality.handler", [("quality.py", f"{example}/python/quality.py", 0o644)]),
        "node": ("nodejs20.x", "index.handler", [("index.mjs", f"{example}/node/index.mjs", 0o644)]),
        "c++": (
            "provided.al2023",
            "bootstrap",
            [("bootstrap", os.path.join(build_directory, "examples", "read-quality-bootstrap"), 0o755)],
        ),
    }


def load_batches(reads_max):
    """Whole FASTQ records in batches of about BATCH_BYTES."""
    batches, batch, size, reads = [], [], 0, 0
    for name in READ_FILES:
        with gzip.open(os.path.join(READS, name), "rt") as lines:
            while reads < reads_max:
                record = [lines.readline() for _ in range(4)]
                if not record[0]:
                    break
                batch += record
                size += sum(map(len, record))
                reads += 1
                if size >= BATCH_BYTES:
                    batches.append("".join(batch))
                    batch, size = [], 0
    if batch:
        batches.append("".join(batch))
    return batches


def merge(parts):
    total = {"reads": 0, "bases": 0, "gc": 0, "quality_sum": [], "quality_count": []}
    for part in parts:
        for member in ("reads", "bases", "gc"):
            total[member] += part[member]
        for member in ("quality_sum", "quality_count"):
            more = len(part[member]) - len(total[member])
            total[member] += [0] * more
            for position, value in enumerate(part[member]):
                total[member][position] += value
    return total


def invoke(client, name, payload, qualifier="$LATEST"):
    started = time.monotonic()
    answer = client.invoke(FunctionName=name, Payload=payload, Qualifier=qualifier)
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        sys.exit(f"{name} failed: {json.dumps(body, indent=2)}")
    return body, (time.monotonic() - started) * 1000


def publish(client, name):
    """A version with a snapshot; None where none can be made."""
    version = client.publish_version(FunctionName=name)["Version"]
    while True:
        state = client.get_function_configuration(FunctionName=name, Qualifier=version)
        if state["State"] != "Pending":
            return version if state["SnapStart"]["OptimizationStatus"] == "On" else None
        time.sleep(0.01)


def snapshot_starts(cloud, client, name, payload):
    """Median ms of a call that restores an environment, and of one that finds a restored one."""
    version = publish(client, name)
    if version is None:
        return None, None
    restored, spared = [], []
    for _ in range(SNAPSHOT_CALLS):
        cloud.slots(f"?function={name}", "DELETE")
        time.sleep(0.1)  # as between calls that do not come back to back
        restored.append(invoke(client, name, payload, version)[1])
        cloud.wait_for_spare(name)
        cloud.slots(f"?function={name}&spares=keep", "DELETE")
        time.sleep(0.05)
        spared.append(invoke(client, name, payload, version)[1])
    return statistics.median(restored), statistics.median(spared)


def keep(cloud, result):
    """The reads and what was found in them as objects, listed."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="reads")
    started = time.monotonic()
    for name in READ_FILES:
        s3.upload_file(os.path.join(READS, name), "reads", f"raw/{name}")
    took_s = time.monotonic() - started
    s3.put_object(Bucket="reads", Key="result.json", Body=json.dumps(result).encode())
    objects = s3.list_objects_v2(Bucket="reads")["Contents"]
    stored = sum(entry["Size"] for entry in objects)
    step(f"kept in S3, encrypted and on the disk: {stored / 1e6:.1f} MB in {took_s:.2f} s")
    for entry in objects:
        print(f"    s3://reads/{entry['Key']:<20} {entry['Size']:>12,}")
    print()


def plot(means, width=64, height=8):
    """Mean quality per position as a small text plot."""
    columns = min(width, len(means))
    cells = []
    for column in range(columns):
        begin = column * len(means) // columns
        end = max(begin + 1, (column + 1) * len(means) // columns)
        cells.append(statistics.fmean(means[begin:end]))
    low, high = min(cells), max(cells)
    span = (high - low) or 1
    for row in range(height, 0, -1):
        level = low + span * (row - 1) / (height - 1)
        line = "".join("█" if cell >= level - span / (2 * height) else " " for cell in cells)
        print(f"    {level:5.1f} │{line}")
    print(f"          └{'─' * columns}")
    print(f"           1{str(len(means)).rjust(columns - 1)}  position in the read")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_directory")
    parser.add_argument("--keep", action="store_true", help="leave the cloud running")
    parser.add_argument("--reads", type=int, default=10**9, metavar="N", help="only the first N reads")
    parser.add_argument("--json", action="store_true", help="print the result as JSON as the last line")
    options = parser.parse_args()
    if not os.path.isdir(READS):
        sys.exit("The reads are missing: apt-get install bowtie2-examples")

    cloud = Cloud(os.path.abspath(options.build_directory))
    finished = False
    try:
        step(f"hearth up: ready on {cloud.endpoint} in {cloud.ready_ms:.0f} ms")
        client = cloud.client("lambda")
        jobs = functions(os.path.abspath(options.build_directory))
        for language, (runtime, handler, entries) in jobs.items():
            name = "read-quality-" + language.replace("+", "p")
            package = zip_file(os.path.join(cloud.directory, name + ".zip"), entries)
            cloud.aws(
                "lambda", "create-function",
                "--function-name", name,
                "--runtime", runtime,
                "--handler", handler,
                "--role", ROLE,
                "--memory-size", "512",
                "--timeout", "60",
                "--snap-start", "ApplyOn=PublishedVersions",
                "--zip-file", f"fileb://{package}",
            )
            cloud.aws("lambda", "wait", "function-active-v2", "--function-name", name)
            step(f"deployed {name} ({runtime})")

        batches = load_batches(options.reads)
        payloads = [json.dumps({"fastq": batch}).encode() for batch in batches]
        tiny = json.dumps({"fastq": "@r\nACGT\n+\nIIII\n"}).encode()
        results, table = {}, []
        for language in jobs:
            name = "read-quality-" + language.replace("+", "p")
            _, cold_ms = invoke(client, name, tiny)
            started = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:
                answers = list(callers.map(lambda payload: invoke(client, name, payload), payloads))
            wall_s = time.monotonic() - started
            warm = sorted(invoke(client, name, tiny)[1] for _ in range(WARM_CALLS))
            results[language] = merge([body for body, _ in answers])
            starts = snapshot_starts(cloud, client, name, tiny)
            table.append((language, cold_ms, *starts, warm[len(warm) // 2], warm[-1], wall_s))
            step(f"{name}: {len(payloads)} batches, {results[language]['reads']} reads in {wall_s:.2f} s")

        first = results["python"]
        agree = all(result == first for result in results.values())
        means = [s / c for s, c in zip(first["quality_sum"], first["quality_count"])]
        print()
        print(f"  reads        {first['reads']:>12,}")
        print(f"  bases        {first['bases']:>12,}")
        print(f"  GC           {first['gc'] / first['bases']:>12.2%}")
        print(f"  mean quality {sum(first['quality_sum']) / sum(first['quality_count']):>12.2f}  (Phred)")
        print(f"  runtimes     {'all agree' if agree else 'DIFFER':>12}")
        print()
        plot(means)
        print()
        print("  runtime   cold, ms   restored, ms   spare, ms   warm p50, ms   warm max, ms   all batches, s")
        for language, cold_ms, restored_ms, spare_ms, warm_ms, warm_max_ms, wall_s in table:
            restored, spare = (f"{ms:.2f}" if ms is not None else "-" for ms in (restored_ms, spare_ms))
            print(f"  {language:<8} {cold_ms:>9.1f} {restored:>14} {spare:>11} {warm_ms:>14.2f} "
                  f"{warm_max_ms:>14.2f} {wall_s:>16.2f}")
        print("  (as boto3 sees it: its own share is about 1 ms a call)")
        print()

        keep(cloud, first)

        step("the log of one call of the Node function:")
        logs = cloud.client("logs")
        deadline = time.monotonic() + 30
        lines = []
        while not lines and time.monotonic() < deadline:
            try:
                events = logs.filter_log_events(logGroupName="/aws/lambda/read-quality-node", limit=4)
                lines = [event["message"].rstrip() for event in events["events"]]
            except logs.exceptions.ResourceNotFoundException:
                time.sleep(0.05)
        for line in lines:
            print("    " + line)
        if not agree:
            sys.exit("the runtimes do not agree")
        if options.json:
            print(json.dumps({"reads": first["reads"], "bases": first["bases"], "gc": first["gc"]}))
        finished = True
    finally:
        if options.keep and finished:
            step(f"left running, pid {cloud.process.pid}: {cloud.endpoint}")
            print(f"    stop it with: kill {cloud.process.pid} && rm -r {cloud.directory}")
        else:
            cloud.stop()


if __name__ == "__main__":
    main()
