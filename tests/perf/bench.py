#!/usr/bin/python3
"""Figures, each as a ratio to a reference that is measured in the same run.

usage: bench.py BUILD_DIR [SECTION ...] [--seconds S] [--json FILE]

Sections: gateway, invoke, cold, layers, extensions, snapshots, mappings, sqs, fair_queues, s3_listing, s3_objects, vmm,
burst, start, idle, size, logs, stream, tls, enforce. Nothing here passes or fails by a time; docs/performance.md says what
the figures were and how they are meant.
"""

import argparse
import concurrent.futures
import io
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import botocore.auth
import botocore.awsrequest
import botocore.credentials

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)

import bench_fair_queues  # noqa: E402  (needs the path above)
import bench_mappings  # noqa: E402  (likewise)
import bench_s3_listing  # noqa: E402  (likewise)
import bench_s3_objects  # noqa: E402  (likewise)
import bench_snapshots  # noqa: E402  (needs the path above)
import bench_sqs  # noqa: E402  (likewise)
import bench_vmm  # noqa: E402  (likewise)
import hearth_up  # noqa: E402

SECONDS = 3.0
CALLERS = 8
# The default quota ends at 10,000 calls a second, as AWS's does.
QUOTA = ("--account-concurrency", "100000")
GATEWAY_CONNECTIONS = 32
BURST_FUNCTIONS = 50
START_FUNCTIONS = 10_000
LOG_LINES = 10_000
COLD_RUNS = 15
EXTENSION_RUNS = 15
STREAM_TICKS = 300
STREAM_MEGABYTES = 200
RESULTS = {}

PYTHON_ECHO = "def handler(event, context):\n    return event\n"
NODE_ECHO = "export const handler = async (event) => event;\n"


def report(name, value, unit="", reference="", ratio=None, target=""):
    RESULTS[name] = {"value": value, "unit": unit, "ratio": ratio, "target": target}
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
    line = f"  {name:<46} {number:>10} {unit:<6}"
    if ratio is not None:
        line += f" {ratio:6.2f} x {reference}"
    if target:
        line += f"   (target {target})"
    print(line, flush=True)


def signed_request(hearth, service, method, path, body, headers=None, unsigned=False):
    """The bytes of one request, signed now with the root key."""
    url = f"http://127.0.0.1:{hearth.port}{path}"
    request = botocore.awsrequest.AWSRequest(method, url, data=body, headers=headers or {})
    if not unsigned:
        key, secret = hearth.root_key()
        botocore.auth.SigV4Auth(
            botocore.credentials.Credentials(key, secret), service, "us-east-1"
        ).add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{hearth.port}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


class Load:
    """Compiled once for a run: tests/perf/load.cc."""

    def __init__(self, directory):
        self.directory = directory
        self.program = os.path.join(directory, "load")
        subprocess.run(
            ["clang++-19", "-std=c++23", "-O2", os.path.join(TESTS, "perf", "load.cc"), "-o"]
            + [self.program, "-lssl", "-lcrypto"],
            check=True,
        )

    def run(self, port, request, connections, seconds=None, tls=False):
        path = os.path.join(self.directory, "request")
        with open(path, "wb") as file:
            file.write(request)
        command = [self.program, str(port), path, str(connections), str(seconds or SECONDS)]
        done = subprocess.run(
            command + (["--tls"] if tls else []), check=True, capture_output=True, text=True
        )
        result = json.loads(done.stdout)
        if result["errors"]:
            print(f"  !! {result['errors']} of {result['requests']} requests failed")
        return result


class Nginx:
    """The reference: nginx answering a fixed text from memory."""

    def __init__(self, directory):
        self.port = hearth_up.free_port()
        self.directory = os.path.join(directory, "nginx")
        os.makedirs(self.directory, exist_ok=True)
        config = os.path.join(self.directory, "nginx.conf")
        with open(config, "w") as file:
            file.write(
                f"worker_processes 2; daemon off; pid {self.directory}/pid; error_log /dev/null;\n"
                "events { worker_connections 1024; }\n"
                "http { access_log off; keepalive_requests 1000000000;\n"
                f"  server {{ listen 127.0.0.1:{self.port};\n"
                '    location / { default_type text/xml; return 200 "' + "x" * 400 + '"; } } }\n'
            )
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-c", config, "-p", self.directory], stderr=subprocess.DEVNULL
        )
        hearth_up.wait_for_port(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()


IDENTITY_BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def wrk(port, request_parts, connections=GATEWAY_CONNECTIONS):
    """wrk with one prepared request; returns requests a second."""
    path, headers, body = request_parts
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method = "POST"\nwrk.path = "{path}"\nwrk.body = "{body}"\n')
        for name, value in headers.items():
            script.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
        script.flush()
        done = subprocess.run(
            ["wrk", "-t2", f"-c{connections}", f"-d{int(max(2, SECONDS))}s", "-s", script.name]
            + [f"http://127.0.0.1:{port}"],
            check=True,
            capture_output=True,
            text=True,
        )
    if "Non-2xx" in done.stdout:
        print("  !! " + next(line for line in done.stdout.splitlines() if "Non-2xx" in line))
    return float(next(l.split()[1] for l in done.stdout.splitlines() if "Requests/sec" in l))


def identity_parts(hearth):
    raw = signed_request(hearth, "sts", "POST", "/", IDENTITY_BODY, dict(FORM))
    head = raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in head)
    headers.pop("Content-Length")
    return "/", headers, IDENTITY_BODY.decode()


def bench_gateway(options, directory, load):
    print("gateway: STS GetCallerIdentity, signatures verified, 32 connections (wrk)")
    nginx = Nginx(directory)
    hearth = hearth_up.Hearth(options.build)
    try:
        reference, ours = [], []
        for _ in range(3):
            reference.append(wrk(nginx.port, ("/", dict(FORM), IDENTITY_BODY.decode())))
            ours.append(wrk(hearth.port, identity_parts(hearth)))
        ratio = statistics.median(a / b for a, b in zip(ours, reference))
        report("nginx static", statistics.median(reference), "/s")
        report(
            "GetCallerIdentity", statistics.median(ours), "/s", "nginx static", ratio, ">= 0.4"
        )
    finally:
        nginx.stop()
        hearth.stop()


def package(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content, mode in files:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = (0o100000 | mode) << 16
            zipped.writestr(info, content)
    return buffer.getvalue()


def echo_functions(options):
    with open(os.path.join(options.build, "examples", "echo-bootstrap"), "rb") as program:
        bootstrap = program.read()
    return {
        "python": ("python3.12", "f.handler", package([("f.py", PYTHON_ECHO, 0o644)])),
        "c++": ("provided.al2023", "bootstrap", package([("bootstrap", bootstrap, 0o755)])),
        "node": ("nodejs20.x", "f.handler", package([("f.mjs", NODE_ECHO, 0o644)])),
    }


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def create(client, name, runtime, handler, code, **more):
    client.create_function(
        FunctionName=name,
        Runtime=runtime,
        Handler=handler,
        Role="arn:aws:iam::000000000000:role/bench",
        Code={"ZipFile": code},
        **{"MemorySize": 256, "Timeout": 30, **more},
    )


def invoke_request(hearth, name):
    path = f"/2015-03-31/functions/{name}/invocations"
    return signed_request(hearth, "lambda", "POST", path, b'{"k":1}')


TARGETS = {
    "python": ("0.4 / 2 ms", 3000),
    "c++": ("0.4 / 2 ms", 6000),
    "node": ("0.5 / - ms", 2000),
}


def bench_invoke(options, directory, load):
    print("invoke: warm, over the handler (an echo; its own time is some microseconds)")
    hearth = hearth_up.Hearth(options.build, options=QUOTA)
    try:
        client = hearth.client("lambda")
        for language, parts in echo_functions(options).items():
            name = "echo-" + language.replace("+", "p")
            create(client, name, *parts)
            client.get_waiter("function_active_v2").wait(FunctionName=name)
            request = invoke_request(hearth, name)
            load.run(hearth.port, request, 1, 0.5)
            one = load.run(hearth.port, request, 1)
            load.run(hearth.port, request, CALLERS, 1.5)
            many = load.run(hearth.port, request, CALLERS)
            target, rate = TARGETS[language]
            report(f"{language}: added p50, one caller", one["p50_us"] / 1000, "ms", target=target)
            report(f"{language}: added p99, one caller", one["p99_us"] / 1000, "ms")
            report(
                f"{language}: {CALLERS} callers", many["per_second"], "/s", target=f">= {rate}"
            )
    finally:
        hearth.stop()


def plain_exec_ms(command, runs):
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def bench_cold(options, directory, load):
    print(f"cold: first call of a new function over a plain exec of the same handler, {COLD_RUNS} runs")
    hearth = hearth_up.Hearth(options.build)
    try:
        client = hearth.client("lambda")
        for name, content in (("f.py", PYTHON_ECHO), ("f.mjs", NODE_ECHO)):
            with open(os.path.join(directory, name), "w") as file:
                file.write(content)
        references = {
            "python": ["/usr/bin/python3", "-c", f"import sys, json; sys.path.insert(0, {directory!r}); "
                       "import f; print(json.dumps(f.handler({}, None)))"],
            "c++": [os.path.join(options.build, "examples", "echo-bootstrap"), "--self-test"],
            "node": ["/usr/bin/node", "--input-type=module", "-e",
                     f"import {{handler}} from '{directory}/f.mjs'; console.log(await handler({{}}))"],
        }
        for language, parts in echo_functions(options).items():
            cold, plain = [], []
            for run in range(COLD_RUNS):
                name = f"cold-{language.replace('+', 'p')}-{run}"
                create(client, name, *parts)
                client.get_waiter("function_active_v2").wait(FunctionName=name)
                request = invoke_request(hearth, name)
                result = load.run(hearth.port, request, 1, 0.000001)
                cold.append(result["max_us"] / 1000)
                plain.append(plain_exec_ms(references[language], 1))
            a, b = statistics.median(cold), statistics.median(plain)
            report(f"{language}: cold start p50", a, "ms", "plain exec", a / b, f"<= {b:.1f} + 10")
    finally:
        hearth.stop()


def layer_zip(files, megabytes, name="data"):
    """So many files of together so many MB, which make a small zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        content = bytes(megabytes * 1_000_000 // files)
        for number in range(files):
            zipped.writestr(f"{name}/{number % 100}/{number}", content)
    return buffer.getvalue()


def bench_extensions(options, directory, load):
    print("extensions: what one that only asks for the next event adds to a warm call, runs in turn")
    hearth = hearth_up.Hearth(options.build)
    try:
        client = hearth.client("lambda")
        with open(os.path.join(options.build, "examples", "counter-extension"), "rb") as program:
            layer = client.publish_layer_version(
                LayerName="counter",
                Content={"ZipFile": package([("extensions/counter", program.read(), 0o755)])},
            )["LayerVersionArn"]
        for language, parts in echo_functions(options).items():
            requests = []
            for layers in ([], [layer]):
                name = f"extended-{language.replace('+', 'p')}-{len(layers)}"
                create(client, name, *parts, Layers=layers)
                client.get_waiter("function_active_v2").wait(FunctionName=name)
                requests.append(invoke_request(hearth, name))
                load.run(hearth.port, requests[-1], 1, 0.5)
            times = [[], []]
            for _ in range(EXTENSION_RUNS):
                for kind, request in enumerate(requests):
                    times[kind].append(load.run(hearth.port, request, 1, 0.3)["p50_us"])
            # The least disturbed of the runs: both sides swing by more than what is between them.
            without, with_one = (min(one) / 1000 for one in times)
            report(f"{language}: warm call without, best p50", without, "ms")
            report(f"{language}: added by an idle extension", with_one - without, "ms", target="<= 0.1 ms")
    finally:
        hearth.stop()


def bench_layers(options, directory, load):
    print(f"layers: what they add to a cold start of a C++ function, {COLD_RUNS} runs of each in turn")
    hearth = hearth_up.Hearth(options.build)
    try:
        client = hearth.client("lambda")

        def publish(name, *about):
            answer = client.publish_layer_version(
                LayerName=name, Content={"ZipFile": layer_zip(*about)}
            )
            return answer["LayerVersionArn"]

        kinds = {
            "none": [],
            "one of 250 MB": [publish("big", 50, 250)],
            "one of 250 MB in 20,000 files": [publish("many", 20_000, 250)],
            "five of together 250 MB": [publish(f"fifth-{n}", 4_000, 49, str(n)) for n in range(5)],
        }
        parts = echo_functions(options)["c++"]
        times = {kind: [] for kind in kinds}
        for run in range(COLD_RUNS + 1):
            for number, (kind, layers) in enumerate(kinds.items()):
                name = f"layers-{number}-{run}"
                create(client, name, *parts, Layers=layers)
                client.get_waiter("function_active_v2").wait(FunctionName=name)
                result = load.run(hearth.port, invoke_request(hearth, name), 1, 0.000001)
                if run > 0:
                    times[kind].append(result["max_us"] / 1000)
        # The best run, too: what a layer adds is far below what a busy machine adds to the median.
        for what, of in (("p50", statistics.median), ("best", min)):
            plain = of(times["none"])
            report(f"no layer: cold start, {what}", plain, "ms")
            for kind in list(kinds)[1:]:
                report(f"{kind}: added, {what}", of(times[kind]) - plain, "ms", target="<= 2 ms")
    finally:
        hearth.stop()


def bench_burst(options, directory, load):
    print(f"burst: {BURST_FUNCTIONS} different functions cold at once")
    hearth = hearth_up.Hearth(options.build)
    try:
        client = hearth.client("lambda", pool=BURST_FUNCTIONS)
        parts = echo_functions(options)["python"]
        names = [f"burst-{i}" for i in range(BURST_FUNCTIONS)]
        for name in ["burst-one"] + names:
            create(client, name, *parts, MemorySize=128)

        def call(name):
            started = time.perf_counter()
            answer = client.invoke(FunctionName=name, Payload=b"{}")
            answer["Payload"].read()
            return (time.perf_counter() - started) * 1000, "FunctionError" in answer

        one = call("burst-one")[0]
        with concurrent.futures.ThreadPoolExecutor(BURST_FUNCTIONS) as callers:
            answers = list(callers.map(call, names))
        slowest = max(answer[0] for answer in answers)
        failed = sum(answer[1] for answer in answers)
        report("one cold start", one, "ms")
        report("failed", failed, "", target="0")
        report(
            f"slowest of {BURST_FUNCTIONS}", slowest, "ms", f"{BURST_FUNCTIONS} x one",
            slowest / (one * BURST_FUNCTIONS), "<= 0.7",
        )
    finally:
        hearth.stop()


def bench_start(options, directory, load):
    print("start: hearth up until it answers")
    hearth = hearth_up.Hearth(options.build)
    report("empty", hearth.ready_ms, "ms", target="<= 50")
    client = hearth.client("lambda", pool=8)
    parts = echo_functions(options)["python"]
    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        list(
            callers.map(lambda i: create(client, f"start-{i:05}", *parts), range(START_FUNCTIONS))
        )
    data = hearth.data
    hearth.stop(keep_data=True)
    hearth = hearth_up.Hearth(options.build, data=data)
    report(f"{START_FUNCTIONS} functions, after a clean stop", hearth.ready_ms, "ms", target="<= 200")
    worst = 0.0
    for run in range(5):
        client = hearth.client("lambda", pool=8)
        with concurrent.futures.ThreadPoolExecutor(8) as callers:
            calls = [
                callers.submit(create, client, f"more-{run}-{i}", *parts) for i in range(400)
            ]
            while sum(call.done() for call in calls) < 200:
                concurrent.futures.wait(calls, return_when=concurrent.futures.FIRST_COMPLETED)
                calls = [call for call in calls if not call.done()] or calls
                if len(calls) < 200:
                    break
            hearth.kill()
        hearth = hearth_up.Hearth(options.build, data=data)
        worst = max(worst, hearth.ready_ms)
    report("after kill -9 under load, worst of 5", worst, "ms", target="<= 1,000")
    hearth.stop()


def process_tree(root):
    """The pid and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry))
            except OSError:
                pass
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def pss_mb(pids):
    total_kb = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total_kb += next(int(l.split()[1]) for l in rollup if l.startswith("Pss:"))
        except OSError:
            pass
    return total_kb / 1024


def ticks(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total


def hearth_processes(hearth):
    """Keeper, cloud and host; pooled environments and functions do not count."""
    names = ("hearth", "hearth-cloud", "hearth-host")
    found = []
    for pid in process_tree(hearth.pid):
        try:
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read().strip() in names:
                    found.append(pid)
        except OSError:
            pass
    return found


def bench_idle(options, directory, load):
    print("idle: keeper, cloud and host without environments")
    hearth = hearth_up.Hearth(options.build)
    try:
        time.sleep(2)  # settles; a figure, not a test
        pids = hearth_processes(hearth)
        report("memory after start (PSS)", pss_mb(pids), "MB", target="<= 30")
        before = ticks(pids)
        time.sleep(60)
        report("CPU in 60 s after start", ticks(pids) - before, "ticks", target="<= 1")
        client = hearth.client("lambda")
        for language, parts in echo_functions(options).items():
            name = "idle-" + language.replace("+", "p")
            create(client, name, *parts)
            load.run(hearth.port, invoke_request(hearth, name), CALLERS)
        load.run(
            hearth.port,
            signed_request(hearth, "sts", "POST", "/", IDENTITY_BODY, dict(FORM)),
            GATEWAY_CONNECTIONS,
        )
        for language in echo_functions(options):
            client.delete_function(FunctionName="idle-" + language.replace("+", "p"))
        time.sleep(60)
        report("memory a minute after load (PSS)", pss_mb(pids), "MB", target="<= 60")
        before = ticks(pids)
        time.sleep(60)
        report("CPU in 60 s after load", ticks(pids) - before, "ticks", target="<= 1")
    finally:
        hearth.stop()


def bench_size(options, directory, load):
    print("size: programs, stripped")
    total = 0
    for name in ("hearth", "hearth-cloud", "hearth-host", "hearth-init"):
        copy = os.path.join(directory, name)
        shutil.copy(os.path.join(options.build, name), copy)
        subprocess.run(["strip", copy], check=True)
        total += os.path.getsize(copy)
    report("all programs", total / 1e6, "MB", target="<= 25")


def bench_logs(options, directory, load):
    print(f"logs: a function writes {LOG_LINES} lines")
    code = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    started = time.perf_counter()\n"
        f"    for i in range({LOG_LINES}):\n"
        "        os.write(1, b'line %06d of a function that has much to say\\n' % i)\n"
        "    return time.perf_counter() - started\n"
    )
    hearth = hearth_up.Hearth(options.build)
    try:
        client = hearth.client("lambda")
        create(client, "talks", "python3.12", "f.handler", package([("f.py", code, 0o644)]))
        ours, piped = [], []
        runs = 5
        for _ in range(runs):
            answer = client.invoke(FunctionName="talks", Payload=b"{}")
            ours.append(json.loads(answer["Payload"].read()) * 1000)
            done = subprocess.run(
                ["/bin/sh", "-c", "/usr/bin/python3 - | cat >/dev/null"],
                input=(code + "import sys\nprint(handler(0, 0), file=sys.stderr)\n").encode(),
                capture_output=True,
            )
            piped.append(float(done.stderr) * 1000)
        lines = hearth_up.wait_for(
            lambda: count_lines(hearth, runs * LOG_LINES), "all lines in the log"
        )
        ratio = statistics.median(ours) / statistics.median(piped)
        report("into a pipe read by cat", statistics.median(piped), "ms")
        report("in a function", statistics.median(ours), "ms", "the pipe", ratio, "<= 1.5")
        report("lines there, in order", lines, "", target=f"{runs * LOG_LINES}")
    finally:
        hearth.stop()


def count_lines(hearth, expected):
    logs = hearth.client("logs")
    found, token = [], {}
    while True:
        page = logs.filter_log_events(
            logGroupName="/aws/lambda/talks", filterPattern='"much to say"', **token
        )
        found += [event["message"].split()[1] for event in page["events"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    in_order = [f"{i % LOG_LINES:06}" for i in range(len(found))] == found
    return len(found) if in_order and len(found) >= expected else None


def read_all(stream, at_bytes=None):
    """Everything of a socket until its other side ends; `at_bytes` gets each piece."""
    buffer = bytearray(1 << 20)
    total = 0
    while count := stream.recv_into(buffer):
        total += count
        if at_bytes:
            at_bytes(bytes(buffer[:count]))
    return total


def plain_loopback_seconds(megabytes):
    """The same bytes over one loopback connection, with nobody between."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        writer = subprocess.Popen(
            [sys.executable, "-S", "-c",
             "import socket, sys\n"
             "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
             "piece = b'x' * (1 << 20)\n"
             "for _ in range(int(sys.argv[2])): s.sendall(piece)",
             str(server.getsockname()[1]), str(megabytes)])
        stream, _ = server.accept()
        with stream:
            started = time.perf_counter()
            read_all(stream)
            taken = time.perf_counter() - started
        writer.wait()
        return taken


def bench_stream(options, directory, load):
    print("stream: answers that flow, of a C++ function, to one reader")
    hearth = hearth_up.Hearth(options.build)
    try:
        client = hearth.client("lambda")
        with open(os.path.join(options.build, "examples", "stream-bootstrap"), "rb") as program:
            code = package([("bootstrap", program.read(), 0o755)])
        create(client, "stream", "provided.al2023", "bootstrap", code)
        client.get_waiter("function_active_v2").wait(FunctionName="stream")

        def stream(event, at_bytes=None):
            path = "/2021-11-15/functions/stream/response-streaming-invocations"
            request = signed_request(
                hearth, "lambda", "POST", path, json.dumps(event).encode(), {"Connection": "close"})
            with socket.create_connection(("127.0.0.1", hearth.port)) as connection:
                connection.sendall(request)
                return read_all(connection, at_bytes)

        stream({"ticks": 1})
        late_us = []

        def note(piece):
            now = time.monotonic_ns()
            late_us.extend((now - int(written)) / 1000 for written in re.findall(rb"(\d{10,})\n", piece))

        stream({"ticks": STREAM_TICKS}, note)
        late_us.sort()
        report("written to received, p50", late_us[len(late_us) // 2] / 1000, "ms", target="<= 1 ms")
        report("written to received, p99", late_us[len(late_us) * 99 // 100] / 1000, "ms")

        stream({"megabytes": 20})
        cloud = hearth.pids()["cloud"]
        before = pss_mb([cloud])
        highest = []
        times = []
        for _ in range(3):
            pieces = iter(range(10**9))

            def watch(_):
                if next(pieces) % 200 == 100:
                    highest.append(pss_mb([cloud]))

            started = time.perf_counter()
            stream({"megabytes": STREAM_MEGABYTES}, watch)
            times.append(time.perf_counter() - started)
        rate = STREAM_MEGABYTES / statistics.median(times)
        plain = STREAM_MEGABYTES / statistics.median(plain_loopback_seconds(STREAM_MEGABYTES) for _ in range(3))
        report(f"{STREAM_MEGABYTES} MB", rate, "MB/s", f"plain loopback, {plain:,.0f} MB/s", rate / plain,
               ">= 200 MB/s")
        report("memory of the cloud over before", max(highest) - before, "MB", target="flat")
    finally:
        hearth.stop()


def bench_variant(options, load, up_options, tls, title):
    """The hot paths once plain and open, once as `up_options` say, in turn."""
    print(title)
    plain = hearth_up.Hearth(options.build)
    other = hearth_up.Hearth(options.build, options=up_options, tls=tls)
    try:
        requests = {}
        for hearth in (plain, other):
            client = hearth.client("lambda")
            # In enforce mode a role must exist and let Lambda in.
            hearth.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=TRUST)
            parts = echo_functions(options)["python"]
            create(client, "echo", *parts)
            client.invoke(FunctionName="echo", Payload=b"{}")
            requests[hearth] = (
                signed_request(hearth, "sts", "POST", "/", IDENTITY_BODY, dict(FORM)),
                invoke_request(hearth, "echo"),
            )
        for name, index, connections in (
            ("GetCallerIdentity, 32 connections", 0, GATEWAY_CONNECTIONS),
            ("python invoke, 8 callers", 1, CALLERS),
            ("python invoke, 1 caller", 1, 1),
        ):
            ratios, rates = [], []
            for _ in range(3):
                base = load.run(plain.port, requests[plain][index], connections)
                mine = load.run(other.port, requests[other][index], connections, tls=tls)
                ratios.append(mine["per_second"] / base["per_second"])
                rates.append(mine["per_second"])
            report(name, statistics.median(rates), "/s", "plain, open", statistics.median(ratios),
                   ">= 0.85")
    finally:
        plain.stop()
        other.stop()


def bench_tls(options, directory, load):
    bench_variant(options, load, ["--tls", "self"], True, "tls: over TLS, keep-alive connections")


def bench_enforce(options, directory, load):
    bench_variant(options, load, ["--auth", "enforce"], False, "enforce: every call signed")


def bench_snapshots_section(options, directory, load):
    bench_snapshots.run(sys.modules[__name__], options, load)


def bench_mappings_section(options, directory, load):
    bench_mappings.run(sys.modules[__name__], options)


def bench_sqs_section(options, directory, load):
    bench_sqs.run(sys.modules[__name__], options, directory)
    bench_fair_queues_section(options, directory, load)


def bench_fair_queues_section(options, directory, load):
    bench_fair_queues.run(sys.modules[__name__], options)


def bench_s3_listing_section(options, directory, load):
    bench_s3_listing.run(sys.modules[__name__], options)


def bench_s3_objects_section(options, directory, load):
    bench_s3_objects.run(sys.modules[__name__], options, directory)


def bench_vmm_section(options, directory, load):
    bench_vmm.run(sys.modules[__name__], options, directory)


SECTIONS = {
    "gateway": bench_gateway,
    "invoke": bench_invoke,
    "cold": bench_cold,
    "layers": bench_layers,
    "extensions": bench_extensions,
    "snapshots": bench_snapshots_section,
    "mappings": bench_mappings_section,
    "sqs": bench_sqs_section,
    "fair_queues": bench_fair_queues_section,
    "s3_listing": bench_s3_listing_section,
    "s3_objects": bench_s3_objects_section,
    "vmm": bench_vmm_section,
    "burst": bench_burst,
    "start": bench_start,
    "size": bench_size,
    "logs": bench_logs,
    "stream": bench_stream,
    "tls": bench_tls,
    "enforce": bench_enforce,
    "idle": bench_idle,
}


def main():
    global SECONDS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each load")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    SECONDS = options.seconds
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    with open("/proc/cpuinfo") as info:
        model = next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    print(f"{os.cpu_count()} x {model}, kernel {os.uname().release}")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as directory:
        load = Load(directory)
        for name in options.sections or SECTIONS:
            SECTIONS[name](options, directory, load)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(RESULTS, file, indent=1)


if __name__ == "__main__":
    main()
