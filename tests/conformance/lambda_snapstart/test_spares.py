"""Spares: environments that were restored ahead, taken by the next call that needs a new one."""

import json
import re

import pytest

import deployed
import hearth_up
from conftest import Version, log_lines

COUNTS = """
import uuid
calls, mine = 0, None
def handler(event, context):
    global calls, mine
    calls += 1
    mine = mine or str(uuid.uuid4())
    return {"calls": calls, "mine": mine}
"""
# With hooks, so that it waits to be told that it goes on; without, it waits for its first event.
HOOKED = COUNTS + """
from snapshot_restore_py import register_after_restore
register_after_restore(lambda: None)
"""
COUNTS_JS = """
const crypto = require('crypto');
let calls = 0, mine = null;
const counts = async () => ({ calls: ++calls, mine: mine ??= crypto.randomUUID() });
exports.handler = counts;
"""
HOOKED_JS = COUNTS_JS + """
awslambda.registerAfterRestore(async () => {});
"""
HOLDS = """
held = bytearray(40 << 20)
for page in range(0, len(held), 4096):
    held[page] = 1
def handler(event, context):
    return len(held)
"""


@pytest.fixture(scope="module")
def spared():
    with hearth_up.Hearth(options=("--spares", "2")) as hearth:
        yield hearth


def described(hearth, name):
    return next(f for f in json.load(hearth.get("/_hearth/slots"))["functions"]
                if f["function"] == name and f["version"] != "$LATEST")


def states(hearth, name):
    return sorted(one["state"] for one in described(hearth, name)["environments"])


def evict(hearth, name, more=""):
    return json.load(hearth.get(f"/_hearth/slots?function={name}{more}", method="DELETE"))["evicted"]


def version_of(hearth, unique, source, **more):
    client = hearth.client("lambda")
    name = deployed.function(
        client, unique("fn"), source, SnapStart={"ApplyOn": "PublishedVersions"}, MemorySize=256, **more).name
    version = Version(client, name, client.publish_version(FunctionName=name)["Version"])
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    return version


NODE = {"runtime": "nodejs20.x", "handler": "index.handler"}


@pytest.mark.parametrize(
    "source, more", [(COUNTS, {}), (HOOKED, {}), (COUNTS_JS, NODE), (HOOKED_JS, NODE)],
    ids=["python", "python-hooks", "node", "node-hooks"])
def test_a_call_takes_a_spare_and_another_one_is_made(spared, unique, source, more):
    version = version_of(spared, unique, source, **more)
    first = version.invoke().json()
    hearth_up.wait_for(lambda: states(spared, version.name).count("spare") == 2, "two spares")
    # The one that has been used goes first, as it is warm.
    again = version.invoke().json()
    assert again == {"calls": 2, "mine": first["mine"]}
    assert evict(spared, version.name, "&spares=keep") == 1
    call = version.invoke()
    answer = call.json()
    assert answer["calls"] == 1
    assert answer["mine"] != first["mine"]
    assert re.search(r"\tRestore Duration: \d+\.\d\d ms\t", call.log)
    assert described(spared, version.name)["spare_hits"] == 1
    hearth_up.wait_for(lambda: states(spared, version.name).count("spare") == 2, "a new spare")
    # Only those that had a call say so in the log.
    reports = [line for line in log_lines(spared, version.name) if line.startswith("RESTORE_REPORT")]
    assert len(reports) == 2
    assert evict(spared, version.name) == 3


def test_spares_go_with_their_version(spared, unique):
    version = version_of(spared, unique, COUNTS)
    version.invoke()
    hearth_up.wait_for(lambda: states(spared, version.name).count("spare") == 2, "two spares")
    spared.client("lambda").delete_function(FunctionName=version.name)
    hearth_up.wait_for(
        lambda: version.name not in json.dumps(json.load(spared.get("/_hearth/slots"))), "all to go")


def test_memory_counts_the_template(spared, unique):
    version = version_of(spared, unique, HOLDS)

    def used(call):
        assert call.json() == 40 << 20
        return int(re.search(r"Max Memory Used: (\d+) MB", call.log)[1])

    restored = used(version.invoke())
    cold = used(deployed.Function(version.client, version.name).invoke({}))
    assert 0.9 * cold - 1 <= restored <= 1.1 * cold + 2, (restored, cold)
