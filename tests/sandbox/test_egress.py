"""The way out of environments, in network namespaces of the test's own."""
import json
import os
import shutil
import subprocess
import sys

import pytest

from host_channel import needs_root

pytestmark = pytest.mark.skipif(
    needs_root or not shutil.which("nft") or not shutil.which("ip"), reason="SKIPPED: needs root, nft and ip")
SCENARIO = os.path.join(os.path.dirname(__file__), "egress_scenario.py")


@pytest.fixture(scope="module")
def results():
    environment = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    done = subprocess.run(["unshare", "-n", sys.executable, "-B", SCENARIO], capture_output=True, text=True, timeout=300,
                          env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_functions_reach_the_outside_as_the_machine(results):
    assert results["facts"]["egress"]
    assert results["on"]["outside"] == "203.0.113.1"
    assert results["on"]["resolv"] == "nameserver 198.18.255.53"


def test_machine_services_are_reachable_but_loopback_metadata_hearth_and_neighbours_are_not(results):
    assert results["on"]["machine service"] != "refused"
    for name in ("metadata", "loopback", "hearth", "link", "neighbour0", "neighbour1", "neighbour2"):
        assert results["on"][name] == "refused", name


def test_without_egress_nothing_is_reachable(results):
    assert results["off"]["interfaces"] == ["lo"]
    assert all(value == "refused" for name, value in results["off"].items() if name not in ("interfaces", "resolv"))


def test_forwarding_is_restored_and_nothing_is_left(results):
    assert (results["before"], results["during"], results["after"]) == ("0", "1", "0")
    assert results["tables"] == ""
    assert results["links"] == ["lo", "wan0"]
    assert results["stop"] == 0
