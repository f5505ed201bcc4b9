"""hearth-host's life: what is left behind after crashes (nothing), many environments at once, neighbours."""
import glob
import os
import signal
import subprocess
import time

import pytest

from host_channel import BIN, CREATED, Environment, Host, Refused, RootlessHost, needs_root, user_namespaces_work

pytestmark = pytest.mark.skipif(needs_root, reason="SKIPPED: environments need root here")
COUNT = int(os.environ.get("HEARTH_CLONES", "60"))


def instance(data):
    """InstanceName of src/sandbox/host/options.cc."""
    value = 0xcbf29ce484222325
    for byte in data.encode():
        value = ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return f"hearth-{value & 0xffffffffffff:012x}"


def groups(data):
    found = []
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(root, folder) for folder in folders if folder == instance(data)]
    return found


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def children(pid):
    """Processes whose parent is `pid`."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.split("/")[2]))
    return found


def test_stop_leaves_nothing():
    mounts = open("/proc/self/mountinfo", encoding="utf-8").read()
    with Host() as host:
        environment = host.create(["/bin/sleep", "1000"])
        environment.start()
        below = children(host.process.pid)
        assert below
        assert host.stop() == 0
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "processes are left")
        assert groups(host.data) == []
    assert open("/proc/self/mountinfo", encoding="utf-8").read() == mounts


@pytest.mark.parametrize("frozen", [False, True])
def test_next_host_sweeps_what_a_killed_one_left(frozen):
    with Host() as host:
        if not host.facts["freezer"] and frozen:
            pytest.skip("SKIPPED: no freezer here")
        environment = host.create(["/bin/sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"])
        environment.start()
        if frozen:
            v2 = os.readlink(f"/proc/self/fd/{environment.rest[0]}").endswith("cgroup.freeze")
            os.write(environment.rest[0], b"1" if v2 else b"FROZEN")
        below = children(host.process.pid)
        host.stop(signal.SIGKILL)
        environment.close()
        host.launch()
        host.hello()
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "processes are left")
        assert host.run(["/bin/echo", "again"])[1] == "again\n"
        left = {os.path.basename(group) for top in groups(host.data) for group in glob.glob(top + "/e*")}
        assert len(left) <= 3, left


def test_sweep_command_removes_what_is_left_without_a_host():
    with Host() as host:
        environment = host.create(["/bin/sleep", "1000"])
        environment.start()
        host.stop(signal.SIGKILL)
        environment.close()
        subprocess.run([host.binary, "--sweep", "--data-name", host.data], check=True, timeout=60)
        assert groups(host.data) == []


def test_new_cloud_gets_a_clean_host():
    with Host() as host:
        old = host.create(["/bin/sleep", "1000"])
        old.start()
        host.hello()
        assert old.wait() is None
        old.close()
        assert host.run(["/bin/echo", "new"])[1] == "new\n"


def test_neighbour_on_another_directory_is_not_disturbed():
    with Host() as one, Host() as other:
        environment = one.create(["/bin/cat"])
        environment.start()
        other.run(["/bin/true"])
        other.stop(signal.SIGKILL)
        subprocess.run([other.binary, "--sweep", "--data-name", other.data], check=True, timeout=60)
        assert one.run(["/bin/echo", "here"])[1] == "here\n"
        environment.destroy()


def waits(group):
    try:
        with open(group + "/cgroup.procs") as listed:
            (process,) = listed.read().split()
        with open(f"/proc/{process}/comm") as name:
            return name.read() == "hearth-init\n"
    except (OSError, ValueError):
        return False


def test_many_environments_at_once():
    with Host(pool=4) as host:
        environments = []
        for index in range(COUNT):
            environment = host.create(["/bin/sh", "-c", f"echo {index}; exec sleep 1000"], memory_mb=128)
            environment.start()
            environments.append(environment)
        for index, environment in enumerate(environments):
            assert os.read(environment.stdout, 100).decode() == f"{index}\n"
        for environment in environments:
            environment.destroy()
        # What is left is the pool, which has grown: each group with the one process that waits there.
        until(lambda: all(waits(g) for top in groups(host.data) for g in glob.glob(top + "/e*")),
              "control groups are left")


def test_burst_larger_than_the_pool_is_served_in_full():
    with Host(pool=2) as host:
        packets = [host.create_packet(["/bin/true"]) for _ in range(20)]
        for _, packet in packets:
            host.send(packet)
        environments = []
        for number, _ in packets:
            body, fds = host.expect(CREATED, number)
            assert body[:4] == b"\0\0\0\0"
            environments.append(Environment(host, number, fds))
        for environment in environments:
            environment.destroy()


def test_names_and_targets_are_checked():
    with Host() as host:
        for options in [{"name": "../x"}, {"name": ""}, {"name": "A"}, {"mounts": [("code", "/etc")]},
                        {"mounts": [("code", "/tmp/../usr")]}, {"memory_mb": 0}, {"pids": 0}, {"cwd": "relative"}]:
            with pytest.raises(Refused):
                host.create(["/bin/true"], **options)


def test_column_of_privileges_that_applies_here(capsys):
    probe = subprocess.run([os.path.join(BIN, "hearth-host"), "--probe"], capture_output=True, text=True, check=True, timeout=60)
    facts = dict(line.split(None, 1) for line in probe.stdout.splitlines())
    with capsys.disabled():
        print(f"\nisolation on this machine: {facts['column']}: {facts}")
    with Host() as host:
        assert (host.facts["backend"] == "namespaces") == (facts["namespaces"] == "yes")
        assert host.facts["cgroup"] == facts["cgroups"]
        assert host.facts["memory"] == (facts["memory"] == "group")
        assert host.facts["pids"] == (facts["pids"] == "group")
        assert host.facts["freezer"] == (facts["freeze"] == "group")
    assert not groups("/tmp")


def test_what_a_level_has_no_group_for_is_limited_otherwise():
    """The substitutes of docs/security.md, where they are the only means: without root and groups."""
    if not user_namespaces_work():
        pytest.skip("SKIPPED: ordinary users cannot make user namespaces here")
    with RootlessHost("--isolation", "namespaces") as host:
        if host.facts["memory"]:
            pytest.skip("SKIPPED: groups are delegated to ordinary users here")
        # memory: private memory per process
        _, output, _ = host.python("try:\n    x = bytearray(900 << 20)\nexcept MemoryError: print('no')\n", memory_mb=128)
        assert output == "no\n"
        # pids: processes per environment
        _, output, _ = host.python(
            "import os\nn = 0\ntry:\n    while n < 500:\n        if os.fork() == 0: import time; time.sleep(100)\n"
            "        n += 1\nexcept BlockingIOError: print(n < 60)\n", pids=50)
        assert output == "True\n"
        # freeze: stopped and continued over the control socket
        environment = host.create(["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"])
        environment.start()
        assert os.read(environment.stdout, 100)
        environment.control.send(b"\xfe")
        quiet = 0
        os.set_blocking(environment.stdout, False)
        deadline = time.monotonic() + 60
        while quiet < 20 and time.monotonic() < deadline:
            try:
                os.read(environment.stdout, 65536)
                quiet = 0
            except BlockingIOError:
                quiet += 1
            time.sleep(0.02)
        assert quiet == 20
        environment.control.send(b"\xfd")
        os.set_blocking(environment.stdout, True)
        assert os.read(environment.stdout, 100)
        environment.destroy()
