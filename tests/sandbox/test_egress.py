"""The way out of environments, in network namespaces of the test's own."""
import json
import os
import shutil
import subprocess
import sys

import pytest

from host_channel import needs_root, user_namespaces_work

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


ROOTLESS = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from host_channel import RootlessHost
loopback = socket.create_server(("127.0.0.1", 0)).getsockname()[1]
script = '''
import socket, os
for name, target in eval(os.environ["TARGETS"]).items():
    try:
        socket.create_connection(target, timeout=4).close()
        print(name, "open")
    except OSError:
        print(name, "refused")
'''
targets = {"outside": ("203.0.113.2", 80), "loopback": ("127.0.0.1", loopback), "gateway": ("203.0.113.2", loopback),
           "machine": ("203.0.113.1", 82), "metadata": ("169.254.169.254", 80)}
with RootlessHost("--egress", "on") as host:
    print("egress", host.facts["egress"])
    print(host.python(script, env=[f"TARGETS={targets!r}"], egress=True)[1])
"""


@pytest.mark.skipif(not shutil.which("pasta"), reason="SKIPPED: pasta (package passt) is not installed")
def test_without_root_pasta_is_the_way_out(tmp_path):
    """The machine is a network namespace again; /dev/net/tun is made as open as distributions have it."""
    if not user_namespaces_work() or not os.path.exists("/dev/net/tun"):
        pytest.skip("SKIPPED: ordinary users cannot make user namespaces here, or there is no tun device")
    script = tmp_path / "rootless.py"
    script.write_text(ROOTLESS)
    shell = (
        "mount -t tmpfs x /mnt && mknod /mnt/tun c 10 200 && chmod 666 /mnt/tun && mount --bind /mnt/tun /dev/net/tun\n"
        "ip link set lo up\n"
        "unshare -n sleep 1000 & outside=$!\n"
        "trap 'kill $outside $!' EXIT\n"
        "while [ \"$(readlink /proc/$outside/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.05; done\n"
        "ip link add wan0 type veth peer name eth0 netns $outside\n"
        "ip addr add 203.0.113.1/24 dev wan0; ip link set wan0 up; ip route add default via 203.0.113.2\n"
        "nsenter -t $outside -n sh -c 'ip addr add 203.0.113.2/24 dev eth0; ip link set eth0 up; ip link set lo up'\n"
        "nsenter -t $outside -n /usr/bin/python3 -m http.server 80 >/dev/null 2>&1 & server=$!\n"
        "trap 'kill $outside $server' EXIT\n"
        "until /usr/bin/python3 -c 'import socket; socket.create_connection((\"203.0.113.2\", 80), 1)' 2>/dev/null\n"
        "do sleep 0.1; done\n"
        f"{sys.executable} -B {script} {os.path.dirname(os.path.dirname(SCENARIO))}\n")
    done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", shell], capture_output=True, text=True, timeout=200, check=False,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))
    assert done.stdout.split("\n")[:6] == [
        "egress True", "outside open", "loopback refused", "gateway refused", "machine refused", "metadata refused"], done.stderr
