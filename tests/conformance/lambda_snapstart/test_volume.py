"""Many calls over restored environments, which do what running programs do; ./dev soak snapshots makes it more."""

import concurrent.futures
import json
import os

import pytest

import hearth_up

CALLS = int(os.environ.get("HEARTH_SOAK_COUNT", 2000))
CALLERS = 4
CALLS_PER_ENVIRONMENT = 25

PYTHON = """
import gc, os, subprocess, tempfile, threading
kept = []
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
    if n % 10 == 0:
        gc.collect()
        assert subprocess.run(["/bin/sh", "-c", f"exit {n % 7}"]).returncode == n % 7
    return sum(results)
"""
NODE = """
const fs = require('fs');
const { spawnSync } = require('child_process');
const { promisify } = require('util');
const sleep = promisify(setTimeout);
let kept = [];
exports.handler = async ({ n }) => {
  kept.push(new Array(1000).fill({ n }));
  if (kept.length > 50) kept = [];
  const name = `/tmp/${n}`;
  await fs.promises.writeFile(name, String(n));
  const read = Number(await fs.promises.readFile(name, 'utf8'));
  await fs.promises.unlink(name);
  await sleep(1);
  if (n % 10 === 0 && spawnSync('/bin/sh', ['-c', `exit ${n % 7}`]).status !== n % 7) throw new Error('child');
  return 3 * n + 3 + read;
};
"""


def settled(hearth):
    """Processes by name and all descriptors, once no environment is left."""
    json.load(hearth.get("/_hearth/slots", method="DELETE"))
    names = lambda: {name: len(pids) for name, pids in hearth.processes().items() if name != "hearth-init"}
    hearth_up.wait_for(lambda: "python3" not in names() and "node" not in names(), "environments to go")
    return names()


@pytest.mark.parametrize(
    "runtime, handler, code",
    [("python3.12", "app.handler", PYTHON), ("nodejs20.x", "index.handler", NODE)],
    ids=["python", "node"],
)
def test_volume(hearth, publish, runtime, handler, code):
    version = publish(code, runtime=runtime, handler=handler, Timeout=60)
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"

    def call(n):
        answer = version.client.invoke(
            FunctionName=version.name, Qualifier=version.number, Payload=json.dumps({"n": n}))
        body = answer["Payload"].read()
        assert "FunctionError" not in answer and json.loads(body) == 4 * n + 3, (n, body)

    def evict():
        json.load(hearth.get(f"/_hearth/slots?function={version.name}", method="DELETE"))

    per_round = CALLERS * CALLS_PER_ENVIRONMENT
    before = None
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as callers:
        for start in range(0, CALLS // 2, per_round):
            for _ in callers.map(call, range(start, start + per_round)):
                pass
            evict()
            if before is None:
                before = settled(hearth)
    assert settled(hearth) == before
