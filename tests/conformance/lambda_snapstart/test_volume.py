"""Many calls over restored environments, which do what running programs do; ./dev soak snapshots makes it more."""

import concurrent.futures
import contextlib
import json
import os
import re

import pytest

import hearth_up

# Of each runtime.
CALLS = int(os.environ.get("HEARTH_SOAK_COUNT", 800))
CALLERS = 4
CALLS_PER_ENVIRONMENT = 10

PYTHON = """
import gc, os, socket, subprocess, tempfile, threading
import boto3
sts = boto3.client("sts")
kept = []
def echo(text):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            caller, _ = server.accept()
            with caller:
                caller.sendall(caller.recv(100))
        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(text)
            heard = client.recv(100)
        thread.join()
    return heard
def handler(event, context):
    n = event["n"]
    kept.append({"n": [n] * 100})
    if len(kept) > 50:
        kept.clear()
    results = []
    threads = [threading.Thread(target=lambda k=k: results.append(n + k)) for k in range(3)]
    timer = threading.Timer(0.0005, lambda: results.append(n))
    for thread in [*threads, timer]:
        thread.start()
    for thread in [*threads, timer]:
        thread.join()
    with tempfile.NamedTemporaryFile("w+", dir="/tmp") as file:
        file.write(str(n))
        file.seek(0)
        assert file.read() == str(n)
    assert echo(str(n).encode()) == str(n).encode()
    if n % 10 == 0:
        gc.collect()
        assert sts.get_caller_identity()["Account"] == "000000000000"
        assert subprocess.run(["/bin/sh", "-c", f"exit {n % 7}"]).returncode == n % 7
    return sum(results)
"""
NODE = """
const fs = require('fs');
const http = require('http');
const net = require('net');
const { spawnSync } = require('child_process');
const { promisify } = require('util');
const sleep = promisify(setTimeout);
let kept = [];
const echo = (text) => new Promise((done, fail) => {
  const server = net.createServer((caller) => caller.pipe(caller));
  server.on('error', fail);
  server.listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1', () => client.end(text));
    let heard = '';
    client.on('data', (part) => { heard += part; });
    client.on('error', fail);
    client.on('close', () => server.close(() => done(heard)));
  });
});
// ListBuckets: what nobody signed is from the function's role here.
const ask = () => new Promise((done, fail) => {
  http.get(process.env.AWS_ENDPOINT_URL, { agent: false }, (answer) => {
    answer.resume();
    answer.on('end', () => done(answer.statusCode));
  }).on('error', fail);
});
exports.handler = async ({ n }) => {
  kept.push(new Array(1000).fill({ n }));
  if (kept.length > 50) kept = [];
  const name = `/tmp/${n}`;
  await fs.promises.writeFile(name, String(n));
  const read = Number(await fs.promises.readFile(name, 'utf8'));
  await fs.promises.unlink(name);
  await sleep(1);
  if (await echo(String(n)) !== String(n)) throw new Error('echo');
  if (n % 10 === 0 && await ask() !== 200) throw new Error('the cloud');
  if (n % 10 === 0 && spawnSync('/bin/sh', ['-c', `exit ${n % 7}`]).status !== n % 7) throw new Error('child');
  return 3 * n + 3 + read;
};
"""


def bootstrap():
    with open(os.path.join(hearth_up.build_directory(), "examples", "busy-bootstrap"), "rb") as file:
        return {"bootstrap": file.read()}


def control_groups(pid):
    """How many groups of all hierarchies belong to the Hearth of this environment."""
    with open(f"/proc/{pid}/cgroup") as file:
        name = re.search(r"^[^=]*:(?:/[^=\n]*)?(/hearth-[0-9a-f]+)/", file.read(), re.MULTILINE)
    return name and sum(1 for path, _, _ in os.walk("/sys/fs/cgroup") if name[1] + "/" in path)


def held(hearth):
    """What cloud and host hold: {what: count}, memory in KiB."""
    found = {}
    for name, pids in hearth.processes().items():
        if name not in ("hearth-cloud", "hearth-host"):
            continue
        for pid in pids:
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status") as file:
                    status = dict(line.split(":", 1) for line in file)
                with open(f"/proc/{pid}/mountinfo") as file:
                    mounts = len(file.readlines())
                counts = {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "threads": int(status["Threads"]),
                          "mounts": mounts, "memory": int(status["VmRSS"].split()[0]),
                          # A sanitizer's shadow; what it holds back of freed memory is no leak.
                          "shadow": int(status["VmSize"].split()[0]) >> 30 > 1}
                for kind, count in counts.items():
                    found[name, kind] = found.get((name, kind), 0) + count
    processes = hearth.processes()
    namespaces = set()
    for pids in processes.values():
        for pid in pids:
            with contextlib.suppress(OSError):
                namespaces.add(os.readlink(f"/proc/{pid}/ns/net"))
    found["all", "network namespaces"] = len(namespaces)
    prepared = processes.get("hearth-init", [])
    found["all", "environments"] = len(prepared)
    for pid in prepared:
        with contextlib.suppress(OSError):
            found["all", "control groups"] = control_groups(pid) or 0
            break
    return found


def settled(hearth):
    """What is there once no environment is left: processes by name, and what they hold."""
    json.load(hearth.get("/_hearth/slots", method="DELETE"))
    names = lambda: {name: len(pids) for name, pids in hearth.processes().items() if name != "hearth-init"}
    hearth_up.wait_for(
        lambda: not {"python3", "node", "bootstrap"} & set(names()), "environments to go")
    return names(), held(hearth)


# The most that an environment kept prepared holds of one kind.
HELD_BY_ONE = 16


def grown(before, after, environments):
    """What grew by more than one for every fourth environment, besides what is held by those that are prepared.

    The host keeps between 4 and 128 prepared, as they are needed. The allowance for memory is 256 MiB for the
    cloud, which caches logs and functions, and 32 MiB for the host.
    """
    found = []
    prepared = max(0, after["all", "environments"] - before["all", "environments"])
    for key, now in after.items():
        allowed = environments // 4 + HELD_BY_ONE * prepared
        if key[1] == "memory":
            allowed = (256 << 10) if key[0] == "hearth-cloud" else (32 << 10)
            if after[key[0], "shadow"]:
                continue
        if key[1] == "environments":
            allowed = 128
        if now - before.get(key, 0) > allowed:
            found.append((*key, before.get(key, 0), now))
    return found


@pytest.mark.parametrize(
    "runtime, handler, code",
    [
        ("python3.12", "app.handler", lambda: PYTHON),
        ("nodejs20.x", "index.handler", lambda: NODE),
        ("provided.al2023", "busy", bootstrap),
    ],
    ids=["python", "node", "cpp"],
)
def test_volume(hearth, publish, runtime, handler, code):
    version = publish(code(), runtime=runtime, handler=handler, Timeout=60)
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"

    def call(n):
        answer = version.client.invoke(
            FunctionName=version.name, Qualifier=version.number, Payload=json.dumps({"n": n}))
        body = answer["Payload"].read()
        assert "FunctionError" not in answer and json.loads(body) == 4 * n + 3, (n, body)

    def evict():
        json.load(hearth.get(f"/_hearth/slots?function={version.name}", method="DELETE"))

    per_round = CALLERS * CALLS_PER_ENVIRONMENT
    # By then caches are filled, and as many environments are kept prepared as these callers need.
    warm_up = max(1, CALLS // per_round // 10)
    names = before = None
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:
        for number, start in enumerate(range(0, CALLS, per_round)):
            for _ in callers.map(call, range(start, start + per_round)):
                pass
            evict()
            if number + 1 == warm_up:
                names, before = settled(hearth)
            elif number % 100 == 99:
                print(f"\n{runtime}: {start + per_round:,} calls", held(hearth), flush=True)
    names_after, after = settled(hearth)
    assert names_after == names
    print(f"\n{runtime}: before {before}, after {after}")
    assert grown(before, after, CALLS // CALLS_PER_ENVIRONMENT * 9 // 10) == []
