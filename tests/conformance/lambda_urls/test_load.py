"""Many functions with URLs and many clients that keep their connections: memory stays flat, nothing is lost.

./dev test runs it small; ./dev soak urls with 1,000 functions and 10,000 clients. Latencies are printed and
judge nothing.
"""

import json
import os
import resource
import select
import socket
import statistics
import time

import pytest

import deployed
import function_url
import hearth_up

# A release's count is the clients'; there is one function for each ten of them.
CLIENTS = int(os.environ.get("HEARTH_SOAK_COUNT", "200"))
FUNCTIONS = max(1, CLIENTS // 10)
# What an environment holds open in the cloud: its sockets, its log, its code and its layers.
DESCRIPTORS_PER_FUNCTION = 12
# Hearth gives up a connection that nobody used for 75 s; clients make another one before.
KEPT_S = 60
ROUNDS = 3 if CLIENTS <= 200 else 10
# In flight at once: so many calls keep two processors busy, and more would only measure a queue.
AT_ONCE = 16
# A connection costs its buffers, and the sockets' memory is the kernel's. Measured: 3 KiB.
BYTES_PER_CLIENT_MAX = 24 * 1024
# Between the first round and the last: allocators' slack.
GROWTH_MAX = 32 * 1024 * 1024
# The address sanitizer keeps back what was freed, up to 256 MB; that is none of the program's.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}


@pytest.fixture(scope="module")
def hearth():
    with hearth_up.Hearth(environment=ENVIRONMENT) as running:
        yield running


def resident_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no Pss")


class Client:
    reconnected = 0

    def __init__(self, port, url):
        self.port = port
        self.url = url
        self.request = f"GET /load HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode()
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), hearth_up.DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = time.perf_counter()

    def send(self):
        if time.perf_counter() - self.sent > KEPT_S:
            self.socket.close()
            self.connect()
            Client.reconnected += 1
        self.answer = b""
        self.sent = time.perf_counter()
        self.socket.sendall(self.request)

    def receive(self):
        """True when the answer is whole."""
        piece = self.socket.recv(65536)
        assert piece, "a kept connection was closed"
        self.answer += piece
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end:
            return False
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return False
        assert head.startswith(b"HTTP/1.1 200 "), self.answer[:500]
        event = json.loads(body)
        assert event["rawPath"] == "/load"
        assert event["requestContext"]["apiId"] == self.url.id, "the answer of another function"
        return True


def one_round(clients):
    """Each client calls once, AT_ONCE of them at a time; latencies in ms."""
    poll = select.epoll()
    by_number = {}
    waiting = iter(clients)
    latencies = []

    def start_one():
        client = next(waiting, None)
        if client is not None:
            client.send()
            by_number[client.socket.fileno()] = client
            poll.register(client.socket.fileno(), select.EPOLLIN)

    for _ in range(AT_ONCE):
        start_one()
    while len(latencies) < len(clients):
        ready = poll.poll(hearth_up.DEADLINE_S)
        assert ready, "no answer came"
        for number, _ in ready:
            client = by_number[number]
            if client.receive():
                del by_number[number]
                latencies.append((time.perf_counter() - client.sent) * 1000)
                poll.unregister(number)
                start_one()
    poll.close()
    return sorted(latencies)


def test_memory_is_flat_with_many_urls_and_clients(hearth, client):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CLIENTS + 1000:
        pytest.skip(f"{CLIENTS} clients need more open files than {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CLIENTS + 1000), hard))
    with open(f"/proc/{hearth.pids()['cloud']}/limits") as limits:
        open_files = int(next(line for line in limits if line.startswith("Max open files")).split()[3])
    functions = min(FUNCTIONS, (open_files - CLIENTS - 1000) // DESCRIPTORS_PER_FUNCTION)
    if functions < 1:
        pytest.skip(f"{CLIENTS} clients need more than the {open_files} open files that the cloud has")
    code = {"bootstrap": deployed.program("echo-bootstrap")}
    package = deployed.zipped(code)
    urls = []
    for number in range(functions):
        name = f"load-{number}"
        client.create_function(
            FunctionName=name, Runtime="provided.al2023", Role=deployed.ROLE, Handler="x",
            Code={"ZipFile": package}, Timeout=60,
        )
        urls.append(function_url.public(hearth, client, name))
    cloud = hearth.pids()["cloud"]
    first = [Client(hearth.port, url) for url in urls]
    one_round(first)  # every function has its environment now
    before = resident_bytes(cloud)
    clients = first + [Client(hearth.port, urls[i % functions]) for i in range(CLIENTS - functions)]
    memory, medians = [], []
    for number in range(ROUNDS):
        latencies = one_round(clients)
        memory.append(resident_bytes(cloud))
        medians.append(statistics.median(latencies))
        print(
            f"round {number}: {CLIENTS} clients, {functions} functions: p50 {medians[-1]:.2f} ms, "
            f"p99 {latencies[len(latencies) * 99 // 100]:.2f} ms, cloud {memory[-1] >> 20} MiB",
            flush=True,
        )
    per_client = (memory[0] - before) / CLIENTS
    print(f"{per_client / 1024:.1f} KiB per kept client, {Client.reconnected} connected anew", flush=True)
    assert memory[0] - before <= CLIENTS * BYTES_PER_CLIENT_MAX + GROWTH_MAX
    assert memory[-1] - memory[0] <= GROWTH_MAX
    # Others are served while they stay.
    assert client.get_function_url_config(FunctionName="load-0")["FunctionUrl"] == urls[0].text
    for one in clients:
        one.socket.close()
