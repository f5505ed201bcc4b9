"""Function code is hostile: what it tries from inside an environment must fail, and must harm only itself."""
import json
import os
import socket
import subprocess
import time

import pytest

from host_channel import Host, RootlessHost, needs_root, user_namespaces_work

pytestmark = pytest.mark.skipif(needs_root, reason="SKIPPED: environments need root here")
ATTEMPTS = os.path.join(os.path.dirname(__file__), "attempts.py")


@pytest.fixture(scope="module", params=["root", "rootless"])
def host(request):
    if request.param == "rootless" and not user_namespaces_work():
        pytest.skip("SKIPPED: ordinary users cannot make user namespaces here")
    kind = RootlessHost if request.param == "rootless" else Host
    with kind("--isolation", "namespaces") as one:
        yield one


def test_no_attempt_to_escape_succeeds(host):
    with socket.create_server(("127.0.0.1", 0)) as loopback, socket.create_server(("0.0.0.0", 0)) as anywhere, \
            socket.socket(socket.AF_UNIX) as abstract, open(ATTEMPTS, encoding="utf-8") as file:
        name = f"hearth-test-{os.getpid()}"
        abstract.bind(b"\0" + name.encode())
        abstract.listen()
        address = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
        targets = [["127.0.0.1", loopback.getsockname()[1]], ["169.254.169.254", 80], ["169.254.170.2", 80], ["1.1.1.1", 80]]
        targets += [[one, anywhere.getsockname()[1]] for one in address if ":" not in one]
        report, output, error = host.python(
            file.read(), memory_mb=512,
            env=["OWN_UIDS=" + ("1" if host.facts["own_uids"] else ""), "TARGETS=" + json.dumps(targets), "ABSTRACT=" + name,
                 "SECRETS=" + json.dumps([host.data, "/source", os.path.abspath(host.binary)])])
    assert report == (0, 0, ""), (report, output, error)
    results = json.loads(output)
    assert len(results) > 120
    allowed = {name: answer for name, answer in results.items() if answer != "refused"}
    assert not allowed


def test_two_environments_share_nothing(host):
    script = ("import os, socket, sys, time\n"
              "s = socket.socket(socket.AF_UNIX); s.bind(b'\\0shared'); s.listen()\n"
              "open('/tmp/mine', 'w').write('x')\n"
              "os.umask(0); print(os.listdir('/tmp'), sorted(p for p in os.listdir('/proc') if p.isdigit()))\n")
    first = host.python(script)
    second = host.python(script)
    assert first == second == ((0, 0, ""), "['mine'] ['1', '2']\n", "")


def test_users_of_two_environments_differ(host):
    if not host.facts["own_uids"]:
        pytest.skip("SKIPPED: one user for all without root; namespaces part them")
    seen = set()
    environments = [host.create(["/bin/sleep", "1000"]) for _ in range(2)]
    for environment in environments:
        environment.start()
    # Seen from the machine: every environment's process has a user of its own.
    deadline = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < deadline:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                    if file.read() == "/bin/sleep\x001000\x00":
                        seen.add(os.stat(f"/proc/{pid}").st_uid)
            except OSError:
                pass
    for environment in environments:
        environment.destroy()
    assert len(seen) == 2 and all(uid >= 0x60000000 for uid in seen)


def test_fork_bomb_ends_at_its_limit_and_dies_with_its_environment(host):
    environment = host.create(["/bin/sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"], pids=60)
    environment.start()
    # Another environment works meanwhile, and destroying the bomb takes no luck.
    assert host.run(["/bin/echo", "fine"])[1] == "fine\n"
    environment.destroy()
    assert host.run(["/bin/echo", "fine"])[1] == "fine\n"


def test_orphans_and_sessions_die_with_the_first_process(host):
    report, output, _ = host.run(
        ["/bin/sh", "-c", "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' & done; exit 3"])
    assert report == (3 << 8, 0, "")
    assert output == ""


def test_killing_init_from_inside_is_impossible_and_the_exit_is_told(host):
    report, output, _ = host.run(["/bin/sh", "-c", "kill -9 1; kill -TERM 1; kill -9 -1; echo alive; exit 5"])
    assert report == (5 << 8, 0, "")
    assert output == "alive\n"


def test_memory_of_one_cannot_be_unlimited(host):
    report, output, _ = host.python("x = bytearray(1 << 30)\nprint('got it')", memory_mb=128)
    assert output == "" and report[0] != 0


def test_inodes_of_tmp_are_limited(host):
    report, output, _ = host.python(
        "import errno\n"
        "try:\n"
        "    for i in range(200000): open(f'/tmp/{i}', 'w').close()\n"
        "except OSError as e: print(errno.errorcode[e.errno], i > 10000)\n", memory_mb=512)
    assert report == (0, 0, "") and output == "ENOSPC True\n"


def test_host_survives_malformed_packets(host):
    number, packet = host.create_packet(["/bin/true"])
    for size in range(0, len(packet), 3):
        if size:
            host.send(packet[:size])
    for position in range(1, len(packet), 5):
        host.send(packet[:position] + b"\xff" + packet[position + 1:])
    host.send(bytes([200]) * 50)
    host.hello()
    assert host.run(["/bin/echo", "fine"])[1] == "fine\n"


def test_sources_cannot_leave_the_data_directory(host):
    os.symlink("/etc", os.path.join(host.data, "link"))
    for source in ["/etc", "link", "code/../../etc", "link/ssl", "/", "/proc/1/root"]:
        with pytest.raises(Exception):
            host.create(["/bin/true"], mounts=[(source, "/opt")])


def test_host_holds_no_inet_socket_and_few_descriptors(host):
    """The passive design: everything the host has open is its channel, files, pipes of its own."""
    environment = host.create(["/bin/sleep", "1000"])
    environment.start()
    folder = f"/proc/{host.process.pid}/fd"
    open_files = {}
    for name in os.listdir(folder):
        try:
            open_files[int(name)] = os.readlink(f"{folder}/{name}")
        except OSError:
            pass
    environment.destroy()
    inodes = {link[8:-1] for link in open_files.values() if link.startswith("socket:")}
    inet = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        with open(f"/proc/{host.process.pid}/net/{table}", encoding="utf-8") as file:
            inet |= {line.split()[9] for line in list(file)[1:]}
    # Listeners of prepared environments pass through; they are in other network namespaces and the host's
    # filter kills it for accept, connect, listen and bind.
    assert not inodes & inet
    with open(f"/proc/{host.process.pid}/status", encoding="utf-8") as file:
        assert "Seccomp:\t2" in file.read()
    # Of each environment, prepared ones too: a pidfd, its /tmp, three sockets and a file for each control group.
    environments = sum(link == "anon_inode:[pidfd]" for link in open_files.values())
    assert environments <= 130
    assert len(open_files) < 40 + 11 * environments, open_files
