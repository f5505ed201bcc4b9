"""Tier B: tiny guests (tests/vmm/tiny) under the real monitor, on any KVM that opens; milliseconds each.

Where this machine has none, they run in an emulated machine that has (test_in_an_emulated_machine).
"""

import fcntl
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import emulated_host
import pytest
import tiny_guest

NO_KVM = tiny_guest.why_no_kvm()
needs_kvm = pytest.mark.skipif(NO_KVM is not None, reason=f"SKIPPED: TINY GUESTS DO NOT RUN HERE: {NO_KVM}")
# In a row and at once; the full counts are `./dev soak vmm`'s.
ROW = int(os.environ.get("HEARTH_SOAK_COUNT", "100"))
AT_ONCE = 100 if ROW >= 1000 else 20
KILLS = 50 if ROW >= 1000 else 20
DEADLINE_S = 120
SECTOR = b"HEARTH TEST DISK"


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tiny")
    built = {}

    def get(name):
        # In the emulated machine, where there is no compiler, they come along.
        if "HEARTH_TINY_GUESTS" in os.environ:
            return pathlib.Path(os.environ["HEARTH_TINY_GUESTS"]) / f"{name}.elf"
        if name not in built:
            built[name] = tiny_guest.build(name, directory)
        return built[name]

    return get


@pytest.fixture
def monitors():
    """Starts monitors and ends those that are left."""
    started = []

    def start(*arguments, **options):
        started.append(tiny_guest.Monitor(*arguments, **options))
        return started[-1]

    yield start
    for monitor in started:
        if monitor.process.poll() is None:
            monitor.kill()
        for pipe in (monitor.process.stdout, monitor.process.stderr):
            pipe.close()


def disk(directory, sectors=2048):
    path = directory / "disk.img"
    path.write_bytes(SECTOR.ljust(sectors * 512, b"\0"))
    return path


def drive(path, **members):
    return {"drive_id": "disk", "path_on_host": str(path), "is_root_device": False, "is_read_only": False, **members}


@needs_kvm
def test_a_guest_prints_and_ends(image, monitors, tmp_path):
    status, out, err = monitors(tmp_path, tiny_guest.config(image("hello"))).finish()
    assert status == 0, (out, err)
    assert "hello from a tiny guest\n" in out


@needs_kvm
def test_a_triple_fault_ends_the_machine(image, monitors, tmp_path):
    status, out, _ = monitors(tmp_path, tiny_guest.config(image("fault"))).finish()
    assert "faulting" in out
    assert status >= 0, "the monitor died of a signal"


@needs_kvm
@pytest.mark.parametrize("pages", ["None", "Transparent", "2M"])
def test_a_guest_runs_in_pages_of_each_size(image, monitors, tmp_path, pages):
    configuration = tiny_guest.config(image("hello"))
    configuration["machine-config"]["huge_pages"] = pages
    status, out, err = monitors(tmp_path, configuration).finish()
    if pages == "2M" and status != 0:
        # Hosts set none aside unless told to.
        assert "cannot map 8388608 bytes of guest memory" in err, err
        pytest.skip("SKIPPED: NO GUEST RAN IN HUGE PAGES: this machine has set none aside (vm.nr_hugepages)")
    assert status == 0 and "hello from a tiny guest\n" in out, (out, err)


@needs_kvm
def test_every_port_and_device_page_may_be_touched(image, monitors, tmp_path):
    resources = {
        "drives": [drive(disk(tmp_path))], "entropy": {}, "balloon": {"amount_mib": 0, "deflate_on_oom": False},
        "vsock": {"guest_cid": 3, "uds_path": str(tmp_path / "v.sock")}}
    status, out, err = monitors(tmp_path, tiny_guest.config(image("probe"), **resources)).finish()
    assert status == 0 and "probed\n" in out, (status, out[-2000:], err[-2000:])


@needs_kvm
@pytest.mark.parametrize("engine", ["Sync", "Async"])
@pytest.mark.parametrize("cache", ["Unsafe", "Writeback"])
def test_a_disk_is_read_and_written(image, monitors, tmp_path, engine, cache):
    path = disk(tmp_path)
    configuration = tiny_guest.config(image("block_good"), drives=[drive(path, io_engine=engine, cache_type=cache)])
    status, out, err = monitors(tmp_path, configuration).finish()
    assert status == 0, (out, err)
    for line in ("capacity 2048", "read HEARTH TEST DISK", "write 0", "again 0 written by guest", "beyond 1", "end 0",
                 "unknown 2"):
        assert line + "\n" in out, (line, out)
    assert path.read_bytes()[512:528] == b"written by guest"
    assert path.stat().st_size == 2048 * 512


@needs_kvm
def test_a_read_only_disk_is_not_written(image, monitors, tmp_path):
    path = disk(tmp_path)
    before = path.read_bytes()
    configuration = tiny_guest.config(image("block_good"), drives=[drive(path, is_read_only=True)])
    status, out, _ = monitors(tmp_path, configuration).finish()
    assert status == 0
    assert "write 1\n" in out and "again 0 \n" in out, out
    assert path.read_bytes() == before


@needs_kvm
@pytest.mark.parametrize("engine", ["Sync", "Async"])
def test_a_hostile_disk_driver(image, monitors, tmp_path, engine):
    path = disk(tmp_path)
    before = path.read_bytes()
    configuration = tiny_guest.config(
        image("block_hostile"), drives=[drive(path, is_read_only=True, io_engine=engine)])
    status, out, err = monitors(tmp_path, configuration).finish()
    assert status == 0 and "end of attacks\n" in out, (status, out[-3000:], err[-2000:])
    assert "DEAD" not in out and out.count("survived ") == 35, out
    assert path.read_bytes() == before


@needs_kvm
def test_hostile_drivers_of_every_device(image, monitors, tmp_path):
    resources = {
        "entropy": {}, "balloon": {"amount_mib": 0, "deflate_on_oom": False, "stats_polling_interval_s": 1},
        "vsock": {"guest_cid": 3, "uds_path": str(tmp_path / "v.sock")}}
    status, out, err = monitors(tmp_path, tiny_guest.config(image("any_hostile"), **resources)).finish()
    assert status == 0 and "end of attacks\n" in out, (status, out[-3000:], err[-2000:])
    assert "DEAD" not in out, out
    assert len(out.splitlines()) > 40


@needs_kvm
def test_forged_vsock_packets(image, monitors, tmp_path):
    path = tmp_path / "v.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}_77")
    listener.listen()
    listener.settimeout(DEADLINE_S)
    monitor = monitors(
        tmp_path,
        tiny_guest.config(image("vsock_hostile"), vsock={"guest_cid": 3, "uds_path": str(path)}))
    # The one honest connection, before and after all that was forged.
    for _ in range(2):
        connection = listener.accept()[0]
        connection.settimeout(DEADLINE_S)
        assert connection.recv(5, socket.MSG_WAITALL) == b"hello"
        connection.close()
    status, out, err = monitor.finish()
    listener.close()
    assert status == 0 and "end of attacks\n" in out, (status, out[-3000:], err[-2000:])
    assert "DEAD" not in out, out


@pytest.fixture
def tap():
    name = f"hvt{os.getpid() % 100000}"
    made = subprocess.run(["ip", "tuntap", "add", "dev", name, "mode", "tap"], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"SKIPPED: NO HOSTILE NETWORK DRIVER WAS TESTED: {made.stderr.strip()}")
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


@needs_kvm
def test_a_hostile_network_driver_and_forged_mmds_packets(image, monitors, tmp_path, tap):
    resources = {
        "network-interfaces": [{"iface_id": "eth0", "host_dev_name": tap, "guest_mac": "06:00:00:00:00:01"}],
        "mmds-config": {"network_interfaces": ["eth0"], "version": "V1"}}
    status, out, err = monitors(tmp_path, tiny_guest.config(image("net_hostile"), **resources)).finish()
    assert status == 0 and "end of attacks\n" in out, (status, out[-3000:], err[-2000:])
    assert "DEAD" not in out, out


def processes_in(directory):
    """Every process whose current directory it is, as that of each monitor started there; nobody else's."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "cwd") == str(directory):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@needs_kvm
def test_many_in_a_row_leave_nothing(image, monitors, tmp_path):
    """Each is a process of its own, so what could stay are files, processes and what the kernel holds."""
    path = disk(tmp_path)
    configuration = tiny_guest.config(
        image("hello"), drives=[drive(path)], vsock={"guest_cid": 3, "uds_path": str(tmp_path / "v.sock")}, entropy={})
    for number in range(ROW):
        status, out, err = monitors(tmp_path, configuration).finish()
        assert status == 0 and "hello from a tiny guest" in out, (number, out, err)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["disk.img", "vm.json", "vm.log"]
    assert processes_in(tmp_path) == []


@needs_kvm
def test_many_at_once_are_all_alike_and_a_kill_leaves_nothing(image, monitors, tmp_path):
    running = []
    for number in range(AT_ONCE):
        directory = tmp_path / str(number)
        directory.mkdir()
        configuration = tiny_guest.config(
            image("wait"), drives=[drive(disk(directory))], entropy={},
            vsock={"guest_cid": 3, "uds_path": str(directory / "v.sock")})
        running.append(monitors(directory, configuration))
    for monitor in running:
        monitor.await_line("waiting\n")
    descriptors = {monitor.descriptors() for monitor in running}
    threads = {monitor.threads() for monitor in running}
    memory = [monitor.status("VmRSS") for monitor in running]
    print(f"{AT_ONCE} at once: descriptors {descriptors}, threads {threads}, VmRSS {min(memory)}..{max(memory)} KiB")
    assert len(descriptors) == 1 and len(threads) == 1
    # Nobody pays for the number of the others; pages of shared libraries make small differences.
    assert max(memory) - min(memory) < 1024
    for monitor in running:
        monitor.process.kill()
    for monitor in running:
        assert monitor.finish()[0] == -signal.SIGKILL
        assert not os.path.exists(f"/proc/{monitor.pid}")


@needs_kvm
def test_a_kill_at_any_point_leaves_nothing(image, monitors, tmp_path, tap):
    """At random times since the start. What stays are the sockets, which a monitor that is killed cannot remove."""
    seed = int(os.environ.get("HEARTH_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    instants = random.Random(seed)
    configuration = tiny_guest.config(
        image("spin"), drives=[drive(disk(tmp_path), io_engine="Async")], entropy={},
        vsock={"guest_cid": 3, "uds_path": str(tmp_path / "v.sock")})
    configuration["network-interfaces"] = [{"iface_id": "eth0", "host_dev_name": tap}]
    files = {"disk.img", "vm.json", "vm.log", "v.sock", "api.sock"}
    for _ in range(KILLS):
        monitor = monitors(tmp_path, configuration, "--api-sock", str(tmp_path / "api.sock"))
        try:
            monitor.process.wait(instants.uniform(0, 0.1))
        except subprocess.TimeoutExpired:
            pass
        assert monitor.kill()[0] == -signal.SIGKILL
        assert not os.path.exists(f"/proc/{monitor.pid}")
        assert processes_in(tmp_path) == []
        assert {file.name for file in tmp_path.iterdir()} <= files
        # Whoever starts the next one takes away the sockets of the last.
        for name in ("v.sock", "api.sock"):
            (tmp_path / name).unlink(missing_ok=True)
    # The tap, the disk and all else are free for the next one.
    monitor = monitors(tmp_path, configuration, "--api-sock", str(tmp_path / "api.sock"))
    monitor.await_line("spinning\n")


@needs_kvm
@pytest.mark.parametrize("engine", ["Sync", "Async"])
def test_a_guest_keeps_its_kernel_when_the_file_changes(image, monitors, tmp_path, engine):
    """Behind the filters of the monitor's threads."""
    kernel = tmp_path / "large.elf"
    shutil.copy(image("large"), kernel)
    with open(kernel, "rb") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            pytest.skip(f"SKIPPED: NO FILE WAS CHANGED: there are no leases on files here: {error.strerror}")
    monitor = monitors(tmp_path, tiny_guest.config(kernel, drives=[drive(disk(tmp_path), io_engine=engine)]))
    monitor.await_line("kept o\n")
    # Waits until the monitor has taken its copy.
    kernel.write_bytes(b"something else")
    # More than the pipe can hold from before.
    for _ in range(20_000):
        monitor.await_line("kept o\n")
        if monitor.seen > 100_000:
            break
    assert monitor.process.poll() is None
    assert "took a copy" in (tmp_path / "vm.log").read_text()
    monitor.kill()


@needs_kvm
def test_sigterm_ends_a_guest_that_never_answers(image, monitors, tmp_path):
    monitor = monitors(tmp_path, tiny_guest.config(image("spin")))
    monitor.await_line("spinning\n")
    monitor.process.send_signal(signal.SIGTERM)
    monitor.finish()


class Api:
    def __init__(self, path):
        self.path = str(path)

    def __call__(self, method, target, body=None):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(DEADLINE_S)
        connection.sock.connect(self.path)
        connection.request(method, target, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else None


def await_socket(path, monitor):
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert monitor.process.poll() is None, monitor.finish()
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@needs_kvm
def test_a_running_guest_is_paused_and_goes_on(image, monitors, tmp_path):
    path = tmp_path / "api.sock"
    monitor = monitors(tmp_path, tiny_guest.config(image("count")), "--api-sock", str(path))
    api = Api(path)
    monitor.await_line("tick\n")
    assert api("PATCH", "/vm", {"state": "Paused"})[0] == 204
    assert api("GET", "/")[1]["state"] == "Paused"
    # What was printed before the pause is in the pipe; then nothing more comes.
    os.set_blocking(monitor.process.stdout.fileno(), False)
    while monitor.process.stdout.read():
        pass
    threading.Event().wait(0.2)
    assert not monitor.process.stdout.read()
    os.set_blocking(monitor.process.stdout.fileno(), True)
    assert api("PATCH", "/vm", {"state": "Resumed"})[0] == 204
    monitor.await_line("tick\n")
    monitor.kill()


def test_requests_right_after_the_start_are_answered(tmp_path):
    """The first line of the log may be that of the API's thread, behind its filter."""
    for number in range(20):
        path = tmp_path / f"{number}.sock"
        process = subprocess.Popen(
            [tiny_guest.monitor_program(), "--api-sock", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + DEADLINE_S
            while True:
                assert process.poll() is None and time.monotonic() < deadline, process.poll()
                try:
                    assert Api(path)("GET", "/version")[0] == 200
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    continue
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(NO_KVM is None, reason="this machine has a KVM of its own: the tests above ran")
@pytest.mark.skipif("HEARTH_TINY_GUESTS" in os.environ, reason="this is the emulated machine")
def test_in_an_emulated_machine(image, tmp_path):
    if emulated_host.why_not() is not None:
        pytest.skip(f"SKIPPED: NO TINY GUEST WAS TESTED: {NO_KVM}, and {emulated_host.why_not()}")
    payload = tmp_path / "payload"
    shutil.copytree(pathlib.Path(__file__).parent, payload, ignore=shutil.ignore_patterns("__pycache__"))
    # Of hearth_up.py only this is used, and it needs boto3.
    (payload / "hearth_up.py").write_text("ROOT = '/payload'\n\n\ndef build_directory():\n    return ROOT\n")
    (payload / "images").mkdir()
    for source in (payload / "tiny").glob("*.c"):
        shutil.copy(image(source.stem), payload / "images")
    emulated_host.put_programs(payload, "hearth-vmm")
    overlay = emulated_host.python_overlay(tmp_path / "overlay")
    packages = overlay / "usr/lib/python3/dist-packages"
    for name in ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "attr", "attrs", "pkg_resources"):
        if (source := pathlib.Path("/usr/lib/python3/dist-packages") / name).is_dir():
            shutil.copytree(source, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = emulated_host.run(
        payload,
        ["sh", "-c", "HEARTH_BIN=/payload HEARTH_TINY_GUESTS=/payload/images HEARTH_SOAK_COUNT=20 "
         "exec /usr/bin/python3 -B -m pytest -q -p no:cacheprovider -rs /payload/test_tiny_guests.py"],
        overlay=overlay, programs=("ip",))
    print(done.stdout[-6000:], done.stderr[-2000:])
    assert done.returncode == 0
