"""The section "s3_objects" of bench.py: objects of 1 KB at 32 connections, of 256 MB at one.

Small objects are written under many keys, signed beforehand, so that what is measured is the server and
neither the client nor the order of writes to one key.
"""

import hashlib
import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import hearth_up

KEYS = 2_000
CONNECTIONS = 32
SMALL = b"s" * 1024
LARGE_BYTES = int(os.environ.get("HEARTH_S3_LARGE_MB", "256")) << 20
LARGE_RUNS = 3
BUCKET = "figures"


def signed_head(hearth, method, path, body=b"", headers=None, unsigned_payload=False):
    request = botocore.awsrequest.AWSRequest(
        method,
        f"http://127.0.0.1:{hearth.port}{path}",
        data=b"" if unsigned_payload else body,
        headers=dict(headers or {}),
    )
    if unsigned_payload:
        request.context["payload_signing_enabled"] = False
        request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    key, secret = hearth.root_key()
    auth = botocore.auth.S3SigV4Auth
    if unsigned_payload:
        auth = type("Unsigned", (auth,), {"payload": lambda self, request: "UNSIGNED-PAYLOAD"})
    auth(botocore.credentials.Credentials(key, secret), "s3", "us-east-1").add_auth(request)
    return {name: value for name, value in request.headers.items()}


def wrk(port, requests, seconds):
    """wrk over prepared requests, one after the other; returns requests a second."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("local requests = {}\nfunction init(arguments)\n")
        for number, (method, path, headers, body) in enumerate(requests, 1):
            table = ", ".join(f"[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items())
            text = json.dumps(body.decode()) if body else "nil"
            script.write(
                f'requests[{number}] = wrk.format("{method}", "{path}", {{{table}}}, {text})\n'
            )
        script.write(
            "at = math.random(#requests)\nend\n"
            "function request()\n at = at % #requests + 1\n return requests[at]\nend\n"
        )
        script.flush()
        done = subprocess.run(
            ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{int(max(2, seconds))}s", "-s", script.name]
            + [f"http://127.0.0.1:{port}"],
            check=True,
            capture_output=True,
            text=True,
        )
    if "Non-2xx" in done.stdout:
        print("  !! " + next(line for line in done.stdout.splitlines() if "Non-2xx" in line))
    return float(next(l.split()[1] for l in done.stdout.splitlines() if "Requests/sec" in l))


def send(port, method, path, headers, body=b""):
    """One request on a connection of its own: status, and seconds until the last byte."""
    connection = socket.create_connection(("127.0.0.1", port))
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    begun = time.monotonic()
    connection.sendall("\r\n".join(lines).encode())
    if body:
        connection.sendall(body)
    space = bytearray(1 << 20)
    view = memoryview(space)
    received = connection.recv_into(view)
    head = bytes(view[:received])
    while got := connection.recv_into(view):
        received += got
    connection.close()
    status = int(re.match(rb"HTTP/1.1 (\d+)", head)[1])
    return status, time.monotonic() - begun, received


def small_objects(bench, hearth, directory):
    nginx = bench.Nginx(directory)
    writers = os.path.join(directory, "sync_writers")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sync_writers.cc")
    subprocess.run(["clang++-19", "-std=c++23", "-O2", source, "-o", writers], check=True)
    try:
        paths = [f"/{BUCKET}/key-{number:06}" for number in range(KEYS)]
        puts = [("PUT", path, signed_head(hearth, "PUT", path, SMALL), SMALL) for path in paths]
        gets = [("GET", path, signed_head(hearth, "GET", path), None) for path in paths]
        plain = [("GET", "/", {}, None)]
        rates = {"nginx": [], "sync": [], "put": [], "get": []}
        for _ in range(3):
            rates["nginx"].append(wrk(nginx.port, plain, bench.SECONDS))
            done = subprocess.run(
                [writers, directory, str(CONNECTIONS), str(len(SMALL)), str(bench.SECONDS)],
                check=True,
                capture_output=True,
                text=True,
            )
            rates["sync"].append(float(done.stdout))
            rates["put"].append(wrk(hearth.port, puts, bench.SECONDS))
            rates["get"].append(wrk(hearth.port, gets, bench.SECONDS))

        def ratio(ours, reference):
            return statistics.median(a / b for a, b in zip(rates[ours], rates[reference]))

        bench.report("nginx static", statistics.median(rates["nginx"]), "/s")
        bench.report("32 threads, write + fdatasync", statistics.median(rates["sync"]), "/s")
        get, put = statistics.median(rates["get"]), statistics.median(rates["put"])
        bench.report("GET 1 KB", get, "/s", "nginx static", ratio("get", "nginx"), ">= 0.35")
        bench.report("PUT 1 KB", put, "/s", "nginx static", ratio("put", "nginx"), ">= 0.15")
        bench.report("PUT 1 KB (syncs)", put, "/s", "syncs", ratio("put", "sync"), ">= 0.5")
    finally:
        nginx.stop()


def large_objects(bench, hearth, directory):
    body = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
    path = f"/{BUCKET}/large"
    puts, gets, hashes, disks = [], [], [], []
    for _ in range(LARGE_RUNS):
        begun = time.monotonic()
        hashlib.md5(body).digest()
        hashes.append(time.monotonic() - begun)
        begun = time.monotonic()
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={directory}/dd", "bs=1M", f"count={LARGE_BYTES >> 20}"]
            + ["conv=fdatasync"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        disks.append(time.monotonic() - begun)
        os.unlink(f"{directory}/dd")
        headers = signed_head(hearth, "PUT", path, unsigned_payload=True)
        status, seconds, _ = send(hearth.port, "PUT", path, headers, body)
        assert status == 200, status
        puts.append(seconds)
        status, seconds, received = send(hearth.port, "GET", path, signed_head(hearth, "GET", path))
        assert status == 200 and received > LARGE_BYTES, (status, received)
        gets.append(seconds)
    gigabytes = LARGE_BYTES / 1e9
    slower = [max(pair) for pair in zip(hashes, disks)]
    ratio = statistics.median(a / b for a, b in zip(slower, puts))
    bench.report("GET 256 MB, encrypted", gigabytes / statistics.median(gets), "GB/s", target=">= 0.8")
    bench.report(
        "PUT 256 MB, CRC64 and MD5, durable",
        gigabytes / statistics.median(puts),
        "GB/s",
        "slower of MD5, dd",
        ratio,
        ">= 0.6",
    )


def run(bench, options, directory):
    print("s3_objects: 1 KB at 32 connections (wrk), 256 MB at one; signatures verified, encrypted")
    hearth = hearth_up.Hearth(options.build)
    try:
        hearth.client("s3").create_bucket(Bucket=BUCKET)
        small_objects(bench, hearth, directory)
        large_objects(bench, hearth, directory)
    finally:
        hearth.stop()
