"""The section "s3_objects" of bench.py: objects of 1 KB at 32 connections, of 256 MB at one, and memory.

Small objects are written under many keys, signed beforehand, so that what is measured is the server and
neither the client nor the order of writes to one key. HEARTH_S3_LARGE_MB and HEARTH_S3_UPLOAD_MB make
the large ones smaller.
"""

import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
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
UPLOADS = 100
UPLOAD_MB = int(os.environ.get("HEARTH_S3_UPLOAD_MB", "100"))
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


def put_all(port, puts):
    """Each object once, so that all are there for GET however slow the writing of the others is."""
    connection = socket.create_connection(("127.0.0.1", port))
    answers = connection.makefile("rb")
    for method, path, headers, body in puts:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)
        status = answers.readline()
        assert status.startswith(b"HTTP/1.1 200"), status
        while answers.readline() != b"\r\n":
            pass
    connection.close()


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
        put_all(hearth.port, puts)
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


def openssl_md5(seconds):
    """Bytes a second of `openssl speed md5` on long texts."""
    done = subprocess.run(
        ["openssl", "speed", "-seconds", str(seconds), "-bytes", str(1 << 20), "-mr", "md5"],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(next(l for l in done.stdout.splitlines() if l.startswith("+F:")).split(":")[-1])


def dd_fdatasync(directory):
    """Bytes a second of dd writing as much as a large object has, and syncing it."""
    path = os.path.join(directory, "dd")
    begun = time.monotonic()
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={LARGE_BYTES >> 20}"]
        + ["conv=fdatasync"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    rate = LARGE_BYTES / (time.monotonic() - begun)
    os.unlink(path)
    return rate


def get_large(hearth, path):
    status, seconds, received = send(hearth.port, "GET", path, signed_head(hearth, "GET", path))
    assert status == 200 and received > LARGE_BYTES, (status, received)
    return LARGE_BYTES / seconds


def large_objects(bench, hearth, directory):
    body = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
    path = f"/{BUCKET}/large"
    puts, gets, ratios, hashes, disks = [], [], [], [], []
    for _ in range(LARGE_RUNS):
        hashes.append(openssl_md5(1))
        disks.append(dd_fdatasync(directory))
        headers = signed_head(hearth, "PUT", path, unsigned_payload=True)
        status, seconds, _ = send(hearth.port, "PUT", path, headers, body)
        assert status == 200, status
        puts.append(LARGE_BYTES / seconds)
        ratios.append(puts[-1] / min(hashes[-1], disks[-1]))
        gets.append(get_large(hearth, path))
    bench.report("openssl speed md5", statistics.median(hashes) / 1e9, "GB/s")
    bench.report("dd conv=fdatasync", statistics.median(disks) / 1e9, "GB/s")
    bench.report(f"GET {LARGE_BYTES >> 20} MB, encrypted", statistics.median(gets) / 1e9, "GB/s", target=">= 0.8")
    bench.report(
        f"PUT {LARGE_BYTES >> 20} MB, CRC64 and MD5, durable",
        statistics.median(puts) / 1e9,
        "GB/s",
        "slower of MD5, dd",
        statistics.median(ratios),
        ">= 0.6",
    )


def large_plain(bench, options):
    with hearth_up.Hearth(options.build, options=["--encrypt-at-rest", "off"]) as hearth:
        hearth.client("s3").create_bucket(Bucket=BUCKET)
        path = f"/{BUCKET}/large"
        headers = signed_head(hearth, "PUT", path, unsigned_payload=True)
        body = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
        status, _, _ = send(hearth.port, "PUT", path, headers, body)
        assert status == 200, status
        rate = statistics.median(get_large(hearth, path) for _ in range(LARGE_RUNS))
        bench.report(f"GET {LARGE_BYTES >> 20} MB, plain", rate / 1e9, "GB/s", target=">= 1.2")


def many_uploads(bench, options):
    """The cloud's memory while many clients upload at once."""
    with hearth_up.Hearth(options.build) as hearth:
        hearth.client("s3").create_bucket(Bucket=BUCKET)
        cloud = [hearth.pids()["cloud"]]
        before = bench.pss_mb(cloud)
        piece = memoryview(os.urandom(1 << 20))
        failed = []

        def upload(number):
            path = f"/{BUCKET}/upload-{number}"
            lines = [f"PUT {path} HTTP/1.1", f"Host: 127.0.0.1:{hearth.port}"]
            headers = signed_head(hearth, "PUT", path, unsigned_payload=True)
            lines += [f"{name}: {value}" for name, value in headers.items()]
            lines += [f"Content-Length: {UPLOAD_MB << 20}", "Connection: close", "", ""]
            with socket.create_connection(("127.0.0.1", hearth.port)) as connection:
                connection.sendall("\r\n".join(lines).encode())
                for _ in range(UPLOAD_MB):
                    connection.sendall(piece)
                if not connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                    failed.append(path)

        threads = [threading.Thread(target=upload, args=(number,)) for number in range(UPLOADS)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        sizes = []
        while any(thread.is_alive() for thread in threads):
            sizes.append(bench.pss_mb(cloud))
            time.sleep(0.1)
        took = time.monotonic() - begun
        assert not failed, failed
        half = len(sizes) // 2
        bench.report(f"{UPLOADS} uploads of {UPLOAD_MB} MB at once", UPLOADS * UPLOAD_MB / took, "MB/s")
        bench.report("memory of the cloud before", before, "MB")
        bench.report("highest in the first half of them", max(sizes[:half]), "MB", target="<= 150")
        bench.report("highest in the second half", max(sizes[half:]), "MB", target="flat")


def run(bench, options, directory):
    print("s3_objects: 1 KB at 32 connections (wrk), 256 MB at one; signatures verified, encrypted")
    with hearth_up.Hearth(options.build) as hearth:
        hearth.client("s3").create_bucket(Bucket=BUCKET)
        small_objects(bench, hearth, directory)
        large_objects(bench, hearth, directory)
    large_plain(bench, options)
    many_uploads(bench, options)
