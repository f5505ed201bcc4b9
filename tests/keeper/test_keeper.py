"""What `hearth up` promises: readiness, restarts without a refused connection, an orderly stop, one
Hearth per data directory, nothing exposed by accident, and an unprivileged cloud."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading

import pytest

import hearth_up
from hearth_up import Hearth, wait_for


def up(*options, **popen):
    """Runs `hearth up` that is expected to refuse; returns the finished process."""
    return subprocess.run(
        [os.path.join(hearth_up.build_directory(), "hearth"), "up", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=hearth_up.DEADLINE_S,
        **popen,
    )


def status_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def works(hearth):
    return hearth.client("sts").get_caller_identity()["Account"] == "000000000000"


# Starting


def test_printed_lines_work_in_a_shell():
    with Hearth() as hearth:
        wait_for(lambda: "Hearth is ready" in hearth.log(), "the ready line")
        pasted = "\n".join(line.strip() for line in hearth.log().splitlines() if line.startswith("    "))
        assert "aws sts get-caller-identity" in pasted
        done = subprocess.run(
            ["bash", "-c", "shopt -s expand_aliases\n" + pasted],
            env={"PATH": "/usr/bin:/bin", "AWS_PAGER": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=hearth_up.DEADLINE_S,
        )
        assert "arn:aws:iam::000000000000:root" in done.stdout, done.stderr


def test_the_root_key_outlives_a_restart():
    with Hearth() as hearth:
        key = hearth.root_key()
        assert hearth.stop(keep_data=True) == 0
        hearth.start()
        assert hearth.root_key() == key
        assert works(hearth)


def test_the_cloud_has_no_privileges_and_the_host_no_network():
    if os.geteuid() != 0:
        pytest.skip("needs root: without it nothing is dropped")
    with Hearth() as hearth:
        # The host may start after the cloud is ready: the functions' way out is made before it.
        wait_for(lambda: {"cloud", "host"} <= set(hearth.pids()), "both programs")
        pids = hearth.pids()
        status = status_of(pids["cloud"])
        assert set(status["Uid"].split()) != {"0"} and "0" not in status["Uid"].split()
        assert status["Groups"].strip() == ""
        assert status["NoNewPrivs"] == "1"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0, kind
        machine = os.readlink("/proc/self/ns/net")
        wait_for(
            lambda: os.readlink(f"/proc/{pids['host']}/ns/net") != machine, "the host to leave the network"
        )


def test_the_data_directory_is_private():
    with Hearth() as hearth:
        assert stat.S_IMODE(os.stat(hearth.data).st_mode) == 0o700
        assert stat.S_IMODE(os.stat(os.path.join(hearth.data, "credentials")).st_mode) == 0o600


@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_starts_with_standard_descriptors_closed(closed):
    with Hearth(ready=False) as hearth:
        hearth.stop(keep_data=True)
        redirections = " ".join(f"{fd}<&-" if fd == "0" else f"{fd}>&-" for fd in closed)
        hearth.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" {redirections}', hearth.program, "up", "--port", str(hearth.port),
             "--data", hearth.data],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=hearth_up._end_with_test,
        )
        hearth.wait_ready()
        assert works(hearth)


def test_starts_without_home_and_with_few_open_files():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))

    with Hearth(ready=False) as hearth:
        hearth.stop(keep_data=True)
        hearth.process = subprocess.Popen(
            [hearth.program, "up", "--port", str(hearth.port), "--data", hearth.data],
            env={name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(hearth.log_path, "ab"),
            preexec_fn=limit,
        )
        hearth.wait_ready()
        assert works(hearth)


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_programs_and_data_may_be_below_a_private_directory(mode):
    with tempfile.TemporaryDirectory() as private:  # mode 0700
        build = os.path.join(private, "build")
        os.mkdir(build, 0o700)
        for name in os.listdir(hearth_up.build_directory()):
            path = os.path.join(hearth_up.build_directory(), name)
            if name in ("hearth", "hearth-cloud", "hearth-host", "hearth-init"):
                shutil.copy(path, build)
                os.chmod(os.path.join(build, name), mode)
            elif name == "runtimes":
                # Without Node's: its SDK has thousands of files.
                shutil.copytree(path, os.path.join(build, name), ignore=shutil.ignore_patterns("node"))
        with Hearth(build=build, data=os.path.join(private, "data")) as hearth:
            assert works(hearth)


def test_the_service_manager_hears_of_readiness():
    with tempfile.TemporaryDirectory() as directory, socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM
    ) as manager:
        path = os.path.join(directory, "notify")
        manager.bind(path)
        manager.settimeout(hearth_up.DEADLINE_S)
        with Hearth(environment={"NOTIFY_SOCKET": path}) as hearth:
            assert manager.recv(100) == b"READY=1"
            assert hearth.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"


# Refusing


def test_a_second_hearth_on_the_same_data_is_refused():
    with Hearth() as hearth:
        refused = up("--port", str(hearth_up.free_port()), "--data", hearth.data)
        assert refused.returncode == 1
        assert "another hearth up is running on it" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert works(hearth)


def test_a_port_in_use_is_refused_with_advice():
    with Hearth() as hearth, tempfile.TemporaryDirectory() as directory:
        refused = up("--port", str(hearth.port), "--data", os.path.join(directory, "data"))
        assert refused.returncode == 1
        assert "--port" in refused.stderr and "in use" in refused.stderr


def test_somebody_elses_directory_is_left_alone():
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "thesis.tex"), "w") as file:
            file.write("work")
        before = os.stat(directory)
        refused = up("--port", str(hearth_up.free_port()), "--data", directory)
        assert refused.returncode == 1
        assert "was not made by Hearth" in refused.stderr
        assert os.listdir(directory) == ["thesis.tex"]
        assert (os.stat(directory).st_uid, os.stat(directory).st_mode) == (before.st_uid, before.st_mode)


def test_data_of_a_newer_version_is_left_alone():
    with Hearth() as hearth:
        hearth.stop(keep_data=True)
        with open(os.path.join(hearth.data, "version"), "w") as file:
            file.write("hearth data format 999\n")
        refused = up("--port", str(hearth.port), "--data", hearth.data)
        assert refused.returncode == 1
        assert "newer" in refused.stderr and "999" in refused.stderr


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--bind", "0.0.0.0"], "--tls"),
        (["--bind", "0.0.0.0", "--auth", "open"], "--insecure-open"),
        (["--bind", "::", "--auth", "enforce"], "--tls"),
        (["--bind", "0.0.0.0", "--tls", "off", "--auth", "open"], "--auth enforce"),
        (["--bind", "example.org"], "not an IP address"),
        (["--tls", "files"], "--tls-cert"),
        (["--tls-cert", "/dev/null"], "go together"),
        (["--tls", "self", "--tls-cert", "/x", "--tls-key", "/y"], "contradict"),
        (["--runtime", "python3.13"], "NAME=PATH"),
        (["--auth", "maybe"], "--auth"),
        (["--threads", "0"], "--threads"),
        (["--port", "70000"], "--port"),
        (["--no-such-option"], "--no-such-option"),
        (["--master-key-file", "/no/such/file"], "/no/such/file"),
    ],
)
def test_what_cannot_be_is_refused_with_advice(options, advice):
    with tempfile.TemporaryDirectory() as directory:
        refused = up("--data", os.path.join(directory, "data"), "--port", "0", *options)
        assert refused.returncode != 0
        assert advice in refused.stderr + refused.stdout


# Dying and coming back


@contextlib.contextmanager
def connecting(port):
    """Connects again and again meanwhile; yields the list of refusals."""
    refusals, done = [], threading.Event()

    def loop():
        while not done.is_set():
            try:
                socket.create_connection(("127.0.0.1", port), hearth_up.DEADLINE_S).close()
            except ConnectionRefusedError as error:
                refusals.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield refusals
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("who", ["cloud", "host"])
def test_a_killed_program_comes_back_and_no_connection_is_refused(who):
    with Hearth() as hearth, connecting(hearth.port) as refusals:
        keeper = hearth.pids()["keeper"]
        for _ in range(3):
            gone = hearth.kill(who)
            wait_for(lambda: hearth.pids().get(who, gone) != gone, f"a new {who}")
            assert works(hearth)
        assert hearth.pids()["keeper"] == keeper
        assert not refusals


def test_after_a_killed_keeper_nothing_is_left_and_the_next_start_works():
    with Hearth() as hearth:
        for _ in range(3):
            key = hearth.root_key()
            left = hearth_up.descendants(hearth.pid)
            assert left
            hearth.kill("keeper")
            wait_for(
                lambda: not any(map(hearth_up.process_name, left)), f"the end of {left}", deadline_s=30
            )
            hearth.start()
            assert hearth.root_key() == key
            assert works(hearth)


def test_the_next_start_need_not_wait_for_the_orphans():
    with Hearth() as hearth:
        for _ in range(5):
            hearth.kill("keeper")
            hearth.start()
            assert works(hearth)


def traces_of(data):
    """What the machine holds under the name that a data directory gives its Hearth: FNV-1a of its path,
    twelve digits of which name cgroups and nftables tables, nine the interface."""
    digest = 0xCBF29CE484222325
    for byte in data.encode():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    name = f"{digest % 2**48:012x}"
    found = [top for top, _, _ in os.walk("/sys/fs/cgroup") if name in os.path.basename(top)]
    found += [interface for interface in os.listdir("/sys/class/net") if name[:9] in interface]
    if os.geteuid() == 0 and shutil.which("nft", path="/usr/sbin:/usr/bin"):
        tables = subprocess.run(["/usr/sbin/nft", "list", "tables"], capture_output=True, text=True).stdout
        found += [table for table in tables.splitlines() if name in table]
    with open("/proc/self/mountinfo") as mounts:
        found += [line for line in mounts if data in line]
    return found


def test_a_killed_keeper_leaves_no_mount_interface_cgroup_or_table_after_the_next_stop():
    with Hearth() as hearth:
        wait_for(lambda: "host" in hearth.pids(), "the host")
        wait_for(lambda: os.geteuid() != 0 or traces_of(hearth.data), "a cgroup of its own")
        hearth.kill("keeper")
        hearth.start()
        assert works(hearth)
        assert hearth.stop(keep_data=True) == 0
        assert traces_of(hearth.data) == []


def test_keeper_follows_no_symbolic_link_in_the_data_directory():
    with Hearth() as hearth, tempfile.NamedTemporaryFile("w+") as victim:
        victim.write("precious")
        victim.flush()
        hearth.stop(keep_data=True)
        os.symlink(victim.name, os.path.join(hearth.data, "endpoint"))
        hearth.start()
        wait_for(lambda: "Hearth is ready" in hearth.log(), "the ready line")
        with open(victim.name) as file:
            assert file.read() == "precious"


# Stopping


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stops_in_order_and_leaves_nothing(how):
    with Hearth() as hearth:
        left = hearth_up.descendants(hearth.pid)
        hearth.process.send_signal(how)
        assert hearth.process.wait(hearth_up.DEADLINE_S) == 0
        assert not any(map(hearth_up.process_name, left))
        assert not os.path.exists(os.path.join(hearth.data, "endpoint"))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", hearth.port), 10)


def test_help_names_every_option_of_the_manual():
    text = up("--help").stdout
    for option in ("port", "bind", "data", "auth", "threads", "isolation", "durability",
                   "encrypt-at-rest", "tls", "egress", "insecure-open", "hot-reload", "master-key-file", "runtime",
                   "runtimes", "test-clock", "lenient", "log-level"):
        assert re.search(rf"--{option}\b", text), option
